"""What the loops of a checkpoint do, as tables and a picture.

Enters: a checkpoint, or the folder or config of a training, and the dataset that it was trained on. Leaves: a
Diagnosis, printed; `diagnosis.json` and `diagnosis.png` beside the checkpoint. Limit: one checkpoint at a time, on the
held-out sequences of its own dataset.
"""

import json
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from loopdata.errors import ConfigError, ShardError
from loopdata.tokens.shards import Dataset
from model.checkpoint import STATE, WEIGHTS, load_model, newest_checkpoint, read_checkpoint
from model.data import held_out_batches
from model.diagnosis import Diagnosis, LoopMeasures, diagnose
from model.train_config import load_train_config

_ROWS = {
    "bits_per_byte": "bits per byte, read out here",
    "state_norm": "norm of the state",
    "effective_rank": "effective rank of the state",
    "update": "move, share of the norm",
    "update_cosine": "cosine with the move before",
    "cka": "CKA with the loop before",
    "divergence": "KL from the loop before, nats",
    "helped": "top tokens mended",
    "hurt": "top tokens spoilt",
    "gate_mean": "gate, share of global attention",
}


def diagnose_checkpoint(place: str, data: str | None, sequences: int) -> tuple[Diagnosis, Path]:
    """Measure; the folder that the files were written to. ShardError for what is no checkpoint or other data."""
    path = checkpoint_at(Path(place))
    dataset = Dataset.open(data or str(run_of(path)))
    check_tokenizer(path, dataset.tokenizer, str(dataset.path))
    model = load_model(path)
    if dataset.length > model.config.max_length:
        raise ShardError(
            f"{dataset.path} has sequences of {dataset.length} tokens, {path} takes {model.config.max_length}",
            "give the dataset that it was trained on by --data",
        )
    found = diagnose(model, dataset, held_out_batches(dataset, sequences, 4), torch.device("cpu"))
    (path / "diagnosis.json").write_text(json.dumps(found.to_dict(), indent=2) + "\n", encoding="utf-8")
    draw(found, path / "diagnosis.png")
    return found, path


def checkpoint_at(path: Path) -> Path:
    """The checkpoint in a folder: itself, or the newest of a training, which its config names too.

    ConfigError where a folder holds trainings instead, of which one must be named.
    """
    if path.suffix in (".yaml", ".yml"):
        out = Path(load_train_config(path).out)
        beside = path.parent / out.name  # where the run was copied elsewhere, its config still names the first place
        path = beside if beside.is_dir() else out
    if (path / STATE).exists() or (path / WEIGHTS).exists():
        return path
    newest = newest_checkpoint(path / "checkpoints") or newest_checkpoint(path)
    if newest is not None:
        return newest.path
    if found := _trainings(path):
        names = ", ".join(map(str, found))
        raise ConfigError(f"{path} is no training but holds {len(found)}", f"give one of them: {names}")
    what = "holds no checkpoint" if path.exists() else "is not there"
    raise ShardError(f"{path} {what}", "give a checkpoint, or a config as runs/x/train/two_loops.yaml")


def _trainings(path: Path) -> list[Path]:
    """The trainings in a run folder, or in its folder `train`: the config of each, or its folder where it has none."""
    folders = sorted(found.parent for place in (path, path / "train") for found in place.glob("*/checkpoints"))
    configs = [folder.with_name(f"{folder.name.rpartition('-')[0]}.yaml") for folder in folders]
    named = [config if config.exists() else folder for config, folder in zip(configs, folders, strict=True)]
    return list(dict.fromkeys(named))  # a changed arm leaves its former folders


def check_tokenizer(path: Path, found: str, place: str) -> None:
    """ShardError where the checkpoint was trained on another tokenizer than the one `found` at a place."""
    trained = read_checkpoint(path).origin["dataset"]["tokenizer"]
    if trained != found:
        raise ShardError(
            f"{path} was trained on the tokenizer {trained}, {place} has {found}",
            "give the run that it was trained on by --data",
        )


def run_of(path: Path) -> Path:
    """The dataset folder that a run keeps its trainings in."""
    for folder in path.resolve().parents:
        if (folder / "dataset.json").exists():
            return folder
    raise ConfigError(f"there is no dataset above {path}", "give it by --data")


def print_diagnosis(found: Diagnosis, path: Path, console: Console) -> None:
    """A column a loop."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column(f"{found.targets:,} held-out tokens")
    for measures in found.loops:
        table.add_column(f"loop {measures.loop}", justify="right", no_wrap=True)
    for name, shown in _ROWS.items():
        values = [getattr(measures, name) for measures in found.loops]
        if any(value is not None for value in values):
            table.add_row(shown, *("" if value is None else f"{value:.4f}" for value in values))
    console.print(table)
    if found.injection_norm is not None:
        console.print(f"Spectral norm of the injection on the state: {found.injection_norm:.3f}.")
    if found.without_shift is not None:
        cost = found.loops[-1].bits_per_byte - found.without_shift
        console.print(
            f"Without the shift between loops: {found.without_shift:.4f} bits per byte (it costs {cost:+.4f})."
        )
    if found.gain_per_gflop is not None:
        console.print(
            f"Later loops gain {found.gain_per_gflop:.4f} bits per byte for each extra GFLOP a token, against reading "
            "out the first; a model of one loop trained as long is the fair control."
        )
    console.print(f"{path / 'diagnosis.png'} shows it, diagnosis.json holds it.", style="dim", soft_wrap=True)


def draw(found: Diagnosis, file: Path) -> None:
    """Bits per byte, moves and likeness over the loops, and the gates by layer and head."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    loops = [measures.loop for measures in found.loops]
    gated = [measures for measures in found.loops if measures.gates]
    figure, axes = plt.subplots(1, 3 + bool(gated), figsize=(4 * (3 + bool(gated)), 3.4), layout="constrained")
    axes[0].plot(loops, [measures.bits_per_byte for measures in found.loops], "o-", color="#225ea8")
    axes[0].set_title("bits per byte, read out after each loop", fontsize=10)
    _bars(axes[1], found.loops, {"helped": "#41ab5d", "hurt": "#d95f0e"}, "top tokens mended and spoilt")
    _bars(axes[2], found.loops, {"update": "#225ea8", "cka": "#9e9ac8"}, "move of the state; CKA with the loop before")
    for axis in axes[:3]:
        axis.set_xticks(loops)
        axis.set_xlabel("loop")
        axis.spines[["top", "right"]].set_visible(False)
    if gated:
        _gates(figure, axes[3], gated)
    figure.savefig(file, dpi=120)
    plt.close(figure)


def _bars(axis: Any, loops: list[LoopMeasures], colours: dict[str, str], title: str) -> None:
    later = [measures for measures in loops if measures.loop > 1]
    for number, (name, colour) in enumerate(colours.items()):
        places = [measures.loop + 0.36 * (number - 0.5) for measures in later]
        axis.bar(places, [getattr(measures, name) for measures in later], 0.34, color=colour, label=name)
    axis.set_title(title, fontsize=10)
    axis.set_xlim(0.4, len(loops) + 0.6)
    if later:
        axis.legend(frameon=False, fontsize=8)


def _gates(figure: Any, axis: Any, gated: list[LoopMeasures]) -> None:
    """A row a layer of each later loop, a column a head."""
    rows = [[head[0] for head in heads] for measures in gated for heads in measures.gates]
    names = [f"{measures.loop}.{layer + 1}" for measures in gated for layer in range(len(measures.gates))]
    image = axis.imshow(rows, vmin=0, vmax=1, cmap="PuOr", aspect="auto")
    axis.set_yticks(range(len(rows)), names)
    axis.set_xticks(range(len(rows[0])))
    axis.set_xlabel("head")
    axis.set_ylabel("loop.layer")
    axis.set_title("mean gate: 1 global, 0 local", fontsize=10)
    figure.colorbar(image, ax=axis)
