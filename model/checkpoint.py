"""Checkpoints: all that a training needs to go on as if it had not stopped, in folders that are whole or not taken.

Enters: a model, its optimisers, a Progress. Leaves: `step-00000100/` with `weights.safetensors`,
`optimiser.safetensors` (the optimiser's tensors by the names of their parameters, and the random states) and
`state.json`, which names the digests of both. A folder whose files do not have them is passed over for the one before;
where none is whole, that is an error. Limit: one process writes; weights are saved as they are on its device.
"""

import json
import math
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from loopdata.errors import ConfigError, ShardError
from model.config import ModelConfig
from model.files import digest_of, write_folder
from model.looped import LoopedTransformer
from model.optimiser import Optimisers
from model.parsing import parse

WEIGHTS, OPTIMISER, STATE = "weights.safetensors", "optimiser.safetensors", "state.json"
_FORMAT = 2
_BEFORE = "take the checkpoint before it"


class BrokenCheckpointError(ShardError):
    """Files of a checkpoint are missing, cut off or changed."""


@dataclass
class Progress:
    """How far a training is. `sequences` is its place in the training order."""

    step: int = 0
    sequences: int = 0
    tokens: int = 0
    seconds: float = 0.0
    loss: float = math.nan  # of the last step
    before: dict[str, Any] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)  # of the last steps that were taken, for the guard against spikes
    skipped: int = 0  # steps in a row that were not


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint on disk. `origin` says what it was trained as and on.

    `passed_over` holds newer ones that are broken, each with what is wrong.
    """

    path: Path
    progress: Progress
    origin: dict[str, Any]
    passed_over: Mapping[Path, str] = field(default_factory=dict)

    def load(self, model: nn.Module, optimisers: Optimisers = ()) -> None:
        """Put the weights, and with optimisers their state and the random states, where they were."""
        device = next(model.parameters()).device
        model.load_state_dict(load_file(self.path / WEIGHTS, device=str(device)))
        if optimisers:
            _load_optimisers(load_file(self.path / OPTIMISER), model, optimisers)


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimisers: Optimisers,
    progress: Progress,
    origin: Mapping[str, Any],
    keep: int,
    broken: Collection[Path] = (),
) -> Path:
    """Write `folder/step-N`; of those before it the `keep` − 1 newest stay. RunError when the disk refuses.

    Those known to be broken do not count and go. Later ones are broken, or the training would have gone on from them:
    they do not count and stay.
    """

    def fill(inside: Path) -> None:
        save_file({n: t.detach().contiguous() for n, t in model.state_dict().items()}, inside / WEIGHTS)
        save_file(_optimiser_tensors(model, optimisers), inside / OPTIMISER)
        files = {name: digest_of(inside / name) for name in (WEIGHTS, OPTIMISER)}
        state = {"format": _FORMAT, "progress": asdict(progress), "origin": origin, "files": files}
        (inside / STATE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")

    for unfinished in folder.glob(".step-*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    path = folder / f"step-{progress.step:08d}"
    write_folder(path, fill)
    before = [found for found in _folders(folder) if found < path]
    whole = [*(found for found in before if found not in broken), path]
    for old in {*before} - {*whole[-keep:]}:
        shutil.rmtree(old, ignore_errors=True)
    return path


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint in `folder` that is whole, or None where there is no checkpoint.

    ShardError where all are broken, or one is of another format: to pass that over would be to begin anew, and to
    remove it in the end.
    """
    broken: dict[Path, str] = {}
    for path in reversed(_folders(folder)):
        try:
            return replace(read_checkpoint(path), passed_over=broken)
        except BrokenCheckpointError as error:
            broken[path] = error.message
    if broken:
        raise ShardError(
            f"no checkpoint in {folder} is whole: {'; '.join(broken.values())}",
            f"remove {folder} to train from the start",
        )
    return None


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in the folder `path`. BrokenCheckpointError names the file; another format is a ShardError."""
    try:
        state = json.loads((path / STATE).read_text(encoding="utf-8"))
        if state["format"] != _FORMAT:
            raise ShardError(
                f"{path} has format {state['format']}, this loopdata reads {_FORMAT}",
                "go on with the version that wrote it, or give another `out`",
            )
        changed = [path / name for name, digest in state["files"].items() if digest_of(path / name) != digest]
        found = Checkpoint(path, Progress(**state["progress"]), state["origin"])
    except OSError as error:
        raise BrokenCheckpointError(f"{error.filename or path} cannot be read: {error.strerror}", _BEFORE) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenCheckpointError(f"{path / STATE} is cut off or changed", _BEFORE) from error
    if changed:
        raise BrokenCheckpointError(f"{changed[0]} is cut off or changed", _BEFORE)
    return found


def load_model(path: Path, device: torch.device | str = "cpu") -> LoopedTransformer:
    """The trained model of a checkpoint folder. ShardError when it is not whole."""
    checkpoint = read_checkpoint(path)
    model = LoopedTransformer(parse(ModelConfig, checkpoint.origin["model"], "model")).to(device)
    checkpoint.load(model)
    return model


def check_origin(found: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    """All that is wanted must be found. ShardError for other data, ConfigError for another model or training."""
    remedy = f"give another `out`, or remove {path} to train anew"
    for part, kind in (("dataset", ShardError), ("model", ConfigError), ("train", ConfigError)):
        for key, there, value in _differences(found.get(part, {}), wanted[part], part):
            raise kind(f"{key} of {path} is {there!r}, this training has {value!r}", remedy)


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any], place: str) -> Iterator[tuple[str, Any, Any]]:
    """Dotted key, what is found, what is wanted; a key that is not wanted is not compared."""
    for key, value in wanted.items():
        there = found.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            yield from _differences(there, value, f"{place}.{key}")
        elif there != value:
            yield f"{place}.{key}", there, value


def _folders(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))


def _optimiser_tensors(model: nn.Module, optimisers: Optimisers) -> dict[str, Tensor]:
    tensors = {
        f"{name}/{key}": value.detach().contiguous()
        for name, parameter in model.named_parameters()
        for optimiser in optimisers
        for key, value in optimiser.state.get(parameter, {}).items()
    }
    tensors["random/cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random/cuda"] = torch.cuda.get_rng_state()
    return tensors


def _load_optimisers(tensors: dict[str, Tensor], model: nn.Module, optimisers: Optimisers) -> None:
    torch.set_rng_state(tensors.pop("random/cpu"))
    random_cuda = tensors.pop("random/cuda", None)
    if random_cuda is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(random_cuda)
    parameters = dict(model.named_parameters())
    keeper = {id(p): optimiser for optimiser in optimisers for group in optimiser.param_groups for p in group["params"]}
    for entry, tensor in tensors.items():
        name, key = entry.rsplit("/", 1)
        keeper[id(parameters[name])].state[parameters[name]][key] = tensor.to(parameters[name].device)
