"""Running one unit wherever it is: in this process, or in a child when it kills its process.

Enters: a run folder and a unit. Leaves: plain data, a manifest or a failure, never an exception: exceptions of other
libraries do not always survive the way from a worker. `isolated` runs the unit in child processes that note the
document in progress; a document at which the child dies twice is quarantined. Limit: a death outside of any stage (in
a source, in a write) has no document to blame and fails the unit.
"""

import ctypes
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loopdata.engine.attempt import Attempt, perform
from loopdata.engine.guard import Guard, exit_cause, new_cell, read_beats, read_cell
from loopdata.engine.isolation import repeatable
from loopdata.engine.threads import pin_threads
from loopdata.engine.unit import Manifest, Unit
from loopdata.errors import LoopdataError
from loopdata.storage import Folder

DEATHS_TO_QUARANTINE = 2
MAX_CHILDREN = 50
MAX_CAUSE_CHARS = 2_000
START_SECONDS = 120.0  # for a child to start
GRACE_SECONDS = 30.0  # for a child that stands still to end by its own guard
POLL_SECONDS = 1.0
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Result:
    """What became of a unit: its manifest, or why it failed."""

    unit: str
    manifest: Manifest | None = None
    error: str = ""  # one line
    trace: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Order:
    """What a child is told."""

    run: Folder
    unit: Unit
    stall_seconds: float
    parent: int
    cell: Path
    result: Path
    poison: dict[str, dict[str, str]]
    suspect: tuple[str, int] | None


@dataclass
class _Search:
    """What is known so far about a unit that kills its process."""

    poison: dict[str, dict[str, str]] = field(default_factory=dict)
    suspect: tuple[str, int] | None = None
    deaths: Counter[object] = field(default_factory=Counter)


def attempt_unit(run: Folder, unit: Unit, stall_seconds: float) -> Result:
    """Run the unit in this process."""
    pin_threads()
    return _result(Attempt(run, unit, Guard(stall_seconds=stall_seconds)))


def _result(attempt: Attempt) -> Result:
    unit = attempt.unit
    try:
        return Result(unit.id, perform(attempt))
    except LoopdataError as error:
        return Result(unit.id, error=error.message, trace=traceback.format_exc(), remedy=error.remedy)
    except (Exception, SystemExit) as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        return Result(unit.id, error=cause, trace=traceback.format_exc())


def isolated(run: Folder, unit: Unit, stall_seconds: float) -> Result:
    """Run the unit in child processes until it ends, quarantining the documents that kill it."""
    search = _Search()
    with tempfile.TemporaryDirectory(prefix="loopdata-") as place:
        for _ in range(MAX_CHILDREN):
            order = Order(
                run,
                unit,
                stall_seconds,
                os.getpid(),
                new_cell(Path(place) / "cell"),
                Path(place) / "result",
                search.poison,
                search.suspect,
            )
            code, tail = _child(order)
            if code == 0 and order.result.exists():
                result: Result = pickle.loads(order.result.read_bytes())
                return result
            cause = repeatable(f"the worker {exit_cause(code)}; {tail}".rstrip("; "))
            note = read_cell(order.cell)
            if not _learn(search, note, cause):
                where = f"in the stage '{note['stage']}', " if note and "stage" in note else ""
                return Result(unit.id, error=f"it killed its worker {where}outside of any document: {cause}")
    return Result(unit.id, error=f"it killed {MAX_CHILDREN} workers", remedy="see `loopdata status` for the documents")


def _learn(search: _Search, note: dict[str, Any] | None, cause: str) -> bool:
    """Draw the conclusion from a death; false where nothing can be learnt any more."""
    if note is None or "stage" not in note:
        search.deaths[None] += 1
        return search.deaths[None] < DEATHS_TO_QUARANTINE
    stage, batch, subject = note["stage"], note["batch"], note["subject"]
    search.deaths[stage, batch, subject] += 1
    if subject is None:
        again = search.suspect == (stage, batch)
        search.suspect = (stage, batch)
        return not again
    if search.deaths[stage, batch, subject] >= DEATHS_TO_QUARANTINE:
        search.poison.setdefault(stage, {})[subject] = cause[-MAX_CAUSE_CHARS:]
    return True


def _child(order: Order) -> tuple[int, str]:
    """Run a child; return its exit code and the end of what it said."""
    order.result.unlink(missing_ok=True)
    path = order.cell.with_name("order")
    path.write_bytes(pickle.dumps(order))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    command = [sys.executable, "-m", "loopdata.engine.child", str(path)]
    errors = order.cell.with_name("stderr")
    with (
        errors.open("wb") as stream,
        subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream) as child,
    ):
        try:
            _wait(child, order)
        finally:
            child.kill()
    tail = errors.read_text("utf-8", "replace")[-MAX_CAUSE_CHARS:].strip()
    return child.returncode, tail


def _wait(child: "subprocess.Popen[bytes]", order: Order) -> None:
    """Wait for the end of a child. One whose beats stand still for far longer than its own guard bears is killed."""
    beats, since = 0, time.monotonic()
    while time.monotonic() - since < order.stall_seconds + (GRACE_SECONDS if beats else START_SECONDS):
        try:
            child.wait(timeout=POLL_SECONDS)
            return
        except subprocess.TimeoutExpired:
            found = read_beats(order.cell)
            beats, since = found, since if found == beats else time.monotonic()
    child.kill()
    child.wait()


def _end_with_parent(parent: int) -> None:
    """Ask the kernel to end this process with its parent: a child without one would write on for nobody."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def obey(path: Path) -> None:
    """In the child: run the unit of the order and leave the result beside it."""
    order: Order = pickle.loads(path.read_bytes())
    _end_with_parent(order.parent)
    pin_threads()
    guard = Guard(order.cell, order.stall_seconds)
    attempt = Attempt(order.run, order.unit, guard, order.poison, order.suspect)
    data = pickle.dumps(_result(attempt))
    beside = order.result.with_suffix(".part")
    beside.write_bytes(data)
    beside.replace(order.result)
