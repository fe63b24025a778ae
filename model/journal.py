"""The written course of a training: a line of JSON for each step.

Enters: one mapping a step. Leaves: `metrics.jsonl`, and TensorBoard's events where they are wanted. A training that
goes on from a checkpoint first cuts what was written after it, so that each step is there once. Limit: lines since the
last flush to the disk are lost with the machine, never with the process.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from loopdata.errors import ConfigError, RunError


class Journal:
    """`with Journal(path, step) as journal: journal.write({"step": step + 1, …})`."""

    def __init__(self, path: Path, step: int, tensorboard: bool = False) -> None:
        """Keep the lines up to `step`, and go on behind them; with `tensorboard` also in that folder beside `path`.

        ConfigError where that package is missing.
        """
        self.path = path
        self._board = _board(path.parent / "tensorboard", step) if tensorboard else None
        kept = [line for line in _lines(path) if json.loads(line)["step"] <= step]
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text("".join(kept), encoding="utf-8")
            beside.replace(path)
            self._stream = path.open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise RunError(f"{path} cannot be written: {error.strerror}") from error

    def write(self, values: dict[str, Any]) -> None:
        if self._board is not None:
            for name, value in _scalars(values):
                self._board.add_scalar(name, value, values["step"])
        try:
            self._stream.write(json.dumps(values) + "\n")
        except OSError as error:
            raise RunError(f"{self.path} cannot be written: {error.strerror}") from error

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        if self._board is not None:
            self._board.close()


def _board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError("'train.tensorboard' needs the package tensorboard", "pip install tensorboard") from error
    return SummaryWriter(str(folder), purge_step=step + 1)


def _scalars(values: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of a line by name; lists and mappings as `name/entry`."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{name}/{key}", entry) for key, entry in value.items())
        elif isinstance(value, list):
            yield from ((f"{name}/{number + 1}", entry) for number, entry in enumerate(value))
        elif name != "step":
            yield name, float(value)


def _lines(path: Path) -> Iterator[str]:
    """Whole lines; a last one that was cut off is left out."""
    if path.exists():
        with path.open(encoding="utf-8") as stream:
            yield from (line for line in stream if line.endswith("}\n"))
