"""What a process is doing right now, written where a parent can read it after its death, and the guard against hanging.

`Guard.at` notes a stage and its documents in a memory-mapped cell (it survives SIGKILL and a segfault) and restarts a
wall-clock timer; a process that stands still for `stall_seconds` prints its stacks and exits. The timer is a thread of
faulthandler in C: it fires while Python code holds the interpreter lock. The end of the cell counts the beats: a parent
that sees them stand still ends a child that cannot end itself. Limit: a stopped process (SIGSTOP) does not notice, and
in the driver's own process nobody does.
"""

import faulthandler
import json
import mmap
import sys
from pathlib import Path
from typing import Any

CELL_BYTES = 4096
BEATS_BYTES = 8  # at the end of the cell
STALL_SECONDS = 600.0


class Guard:
    """Beats and notes of one process. Without a cell it only guards against standing still."""

    def __init__(self, cell: Path | None = None, stall_seconds: float = STALL_SECONDS) -> None:
        self._map: mmap.mmap | None = None
        self._stall_seconds = stall_seconds
        self._armed = False
        self._beats = 0
        if cell is not None:
            with cell.open("r+b") as file:
                self._map = mmap.mmap(file.fileno(), CELL_BYTES)

    def at(self, **note: Any) -> None:
        """Say what comes next. The note is cut to the size of the cell."""
        self.beat()
        if self._map is not None:
            data = json.dumps(note).encode()[: CELL_BYTES - BEATS_BYTES - 4]
            self._map[0:4] = b"\0\0\0\0"
            self._map[4 : 4 + len(data)] = data
            self._map[0:4] = len(data).to_bytes(4, "little")

    def beat(self) -> None:
        """Restart the timer."""
        if self._map is not None:
            self._beats += 1
            self._map[-BEATS_BYTES:] = self._beats.to_bytes(BEATS_BYTES, "little")
        if self._stall_seconds > 0:
            faulthandler.dump_traceback_later(self._stall_seconds, exit=True, file=_stderr())
            self._armed = True

    def rest(self) -> None:
        """Stop the timer and forget the note."""
        if self._armed:
            faulthandler.cancel_dump_traceback_later()
            self._armed = False
        if self._map is not None:
            self._map[0:4] = b"\0\0\0\0"


def _stderr() -> Any:
    try:
        sys.stderr.fileno()
        return sys.stderr
    except (AttributeError, OSError, ValueError):
        return sys.__stderr__


def new_cell(path: Path) -> Path:
    """Create an empty cell."""
    path.write_bytes(bytes(CELL_BYTES))
    return path


def read_cell(path: Path) -> dict[str, Any] | None:
    """The last note, or None where the process was at nothing in particular."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:4], "little")
    if not 0 < size <= CELL_BYTES - BEATS_BYTES - 4:
        return None
    try:
        note: dict[str, Any] = json.loads(raw[4 : 4 + size])
    except ValueError:
        return None
    return note


def read_beats(path: Path) -> int:
    """How often the process beat so far."""
    return int.from_bytes(path.read_bytes()[-BEATS_BYTES:], "little")


def exit_cause(code: int) -> str:
    """How a process ended, in words."""
    return f"was killed by signal {-code}" if code < 0 else f"exited with status {code}"
