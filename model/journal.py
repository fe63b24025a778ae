"""The written course of a training: a line of JSON for each step.

Enters: one mapping a step. Leaves: `metrics.jsonl`. A training that goes on from a checkpoint first cuts what was
written after it, so that each step is there once. Limit: lines since the last flush to the disk are lost with the
machine, never with the process.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from loopdata.errors import RunError


class Journal:
    """`with Journal(path, step) as journal: journal.write({"step": step + 1, …})`."""

    def __init__(self, path: Path, step: int) -> None:
        """Keep the lines up to `step`, and go on behind them."""
        self.path = path
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


def _lines(path: Path) -> Iterator[str]:
    """Whole lines; a last one that was cut off is left out."""
    if path.exists():
        with path.open(encoding="utf-8") as stream:
            yield from (line for line in stream if line.endswith("}\n"))
