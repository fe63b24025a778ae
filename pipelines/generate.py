"""What a trained model writes: behind a prompt, or into the hole between a prefix and a suffix.

Enters: a checkpoint, or the folder or config of a training; a prompt, and a suffix where there is a hole. Leaves: the
text that it writes, up to a token that ends a text or a middle in the run's samples; within a repository the token that
begins the next file ends one too. The hole is laid out as those samples were, those of files if there are such, else as
the only file of a repository, without its path. Limit: one text at a time, on the CPU; what a prompt spells is ordinary
text, never a special token.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console
from rich.text import Text

from loopdata.config import parse
from loopdata.errors import ConfigError
from loopdata.fim.config import FimConfig
from loopdata.fim.layouts import Layout, Mode, Parts, render
from loopdata.fim.repo_level import OURS
from loopdata.storage import Folder
from loopdata.tokens.tokenizer import Tokenizer
from model.checkpoint import load_model
from model.generation import generate
from pipelines.diagnose import check_tokenizer, checkpoint_at, run_of
from pipelines.inspect_shard import tokenizer_of


@dataclass(frozen=True)
class Draw:
    """How tokens are chosen: at most `tokens`; the likeliest each, or drawn by `seed` where there is a temperature."""

    tokens: int = 64
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Generated:
    """`text` stands behind `prefix`, and before `suffix` where there was a hole."""

    prefix: str
    text: str
    suffix: str | None
    tokens: int


def generate_text(place: str, data: str | None, prefix: str, suffix: str | None, draw: Draw) -> Generated:
    """ConfigError for a prompt that is empty, too long or no UTF-8; ShardError if the model has another tokenizer."""
    _check_text("prompt", prefix)
    _check_text("suffix", suffix or "")
    path = checkpoint_at(Path(place))
    run = Folder(data or str(run_of(path)))
    tokenizer = tokenizer_of(run)
    check_tokenizer(path, tokenizer.digest, run.url)
    ids, stop = _prompt(run, tokenizer, prefix, suffix)
    (found,) = generate(load_model(path), torch.tensor([ids]), **vars(draw), stop=stop)
    return Generated(prefix, tokenizer.decode(found).decode("utf-8", "replace"), suffix, len(found))


def _check_text(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"the {name} is not text in UTF-8: character {error.start + 1}", "convert it") from None


def _prompt(run: Folder, tokenizer: Tokenizer, prefix: str, suffix: str | None) -> tuple[list[int], set[int]]:
    """Token ids of the prompt, and those that end what follows."""
    if suffix is None:
        ends = {tokenizer.special[token] for token in _ends(run)}
        return _ids(tokenizer, prefix.encode()), ends or {tokenizer.end_of_text}
    layout, mode, before = _layout(run)
    ids = [tokenizer.special[token] for token in before]
    for piece in render(layout, mode, Parts(prefix.encode(), b"", suffix.encode())):
        if piece.role == "middle":
            break
        ids += [tokenizer.special[piece.data.decode()]] if piece.special else _ids(tokenizer, piece.data)
    return ids, {tokenizer.special[layout.end]}


def _ids(tokenizer: Tokenizer, data: bytes) -> list[int]:
    found: list[int] = tokenizer.encode_texts([data.decode()])[0].tolist()
    return found


def _ends(run: Folder) -> set[str]:
    """Special tokens behind a text in the run's samples: its end, and within a repository the next file."""
    ends = set()
    for entry in _samples(run):
        layout = _fim(entry).chosen if entry.get("fim") is not None else OURS
        ends |= {layout.text_end, layout.file if entry["builder"] == "repo" else None}
    return {token for token in ends if token is not None}


def _samples(run: Folder) -> list[dict[str, Any]]:
    return list((yaml.safe_load(run.read("run.yaml")).get("samples") or {}).values())


def _fim(entry: dict[str, Any]) -> FimConfig:
    return parse(FimConfig, entry["fim"], "samples.fim")


def _layout(run: Folder) -> tuple[Layout, Mode, list[str]]:
    """The layout of the run's samples with holes, the order that most of them have, and what stands before."""
    holed = [entry for entry in _samples(run) if entry.get("fim") is not None]
    if not holed:
        raise ConfigError(f"the run {run.url} has no samples with holes", "leave --suffix out")
    entry = min(holed, key=lambda found: found["builder"] == "repo")
    config = _fim(entry)
    mode: Mode = "spm" if config.share > 0.5 or config.chosen.psm is None else "psm"
    return config.chosen, mode, [config.chosen.file or ""] if entry["builder"] == "repo" else []


def print_generated(found: Generated, console: Console) -> None:
    """What was given dim, what was written in green."""
    shown = Text.assemble((found.prefix, "dim"), (found.text, "green"), (found.suffix or "", "dim"))
    console.print(shown, soft_wrap=True)
