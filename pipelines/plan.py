"""What a run would do: units done, to run, and waiting for units that must run first; time and disk.

Enters: a run file. Leaves: a row a phase. Nothing runs and nothing is written. A unit that waits may turn out to be
done: when what it reads comes out as before, its key is the one that its manifest has. Limit: time and disk come from
what the same phases took in this folder before, else from the rates below, measured on one machine.
"""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from loopdata.engine.driver import Planned, Planner
from loopdata.engine.ledger import Ledger, manifests
from loopdata.errors import RunError
from loopdata.storage import Folder
from pipelines.corpus import list_inputs
from pipelines.dataset import build_dataset
from pipelines.places import one_line
from pipelines.run_file import RunFile
from pipelines.status import print_list

# Seconds of one core and bytes written for each byte of a phase's work, by the kind of the phase; from the quickstart
# (see docs/log.md).
DEFAULT_SECONDS_PER_MB = 0.05
DEFAULT_BYTES_PER_BYTE = 0.4


@dataclass
class PlannedPhase:
    """One phase. `to_run` is certain, `waiting` depends on what runs before; the estimates cover both."""

    phase: str
    units: int
    done: int
    to_run: int
    waiting: int
    first_to_run: list[str]
    core_seconds: float
    disk_bytes: float


def plan_run(file: RunFile) -> list[PlannedPhase]:
    """The phases of a run in order. ConfigError and SourceError as the run itself would raise them."""
    planner = Planner(Folder(file.run))
    build_dataset(file, list_inputs(file), planner)
    rates = _rates(planner.folder)
    return [_row(planned, rates) for planned in planner.planned]


def _row(planned: Planned, rates: dict[str, tuple[float, float]]) -> PlannedPhase:
    seconds, written = rates.get(planned.phase, (DEFAULT_SECONDS_PER_MB / 1e6, DEFAULT_BYTES_PER_BYTE))
    return PlannedPhase(
        planned.phase,
        planned.units,
        planned.done,
        len(planned.to_run),
        planned.waiting,
        list(planned.to_run)[:3],
        planned.num_bytes * seconds,
        planned.num_bytes * written,
    )


def _rates(folder: Folder) -> dict[str, tuple[float, float]]:
    """Seconds and bytes written for each byte of work, by phase, as they were in this folder."""
    try:
        ledger = Ledger.read(folder)
    except RunError:
        return {}
    sums: dict[str, list[float]] = {}
    for found in manifests(folder, ledger):
        total = sums.setdefault(found.phase, [0.0, 0.0, 0.0])
        total[0] += found.num_bytes
        total[1] += found.seconds
        total[2] += sum(output.num_bytes for output in found.outputs.values())
    return {name: (seconds / size, written / size) for name, (size, seconds, written) in sums.items() if size}


def print_plan(planned: list[PlannedPhase], console: Console) -> None:
    """A table, and the sums."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("phase", "units", "done", "to run", "waiting"):
        table.add_column(name, justify="left" if name == "phase" else "right", no_wrap=True)
    for row in planned:
        shown = (row.phase, row.units, row.done, row.to_run, row.waiting)
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in shown))
    console.print(table)
    for row in planned:
        if row.first_to_run:
            names = [one_line(name) for name in row.first_to_run]
            more = row.to_run - len(names)
            print_list(f"  {row.phase} would run ", [*names, *([f"{more:,} more"] if more else [])], console)
    left = sum(row.to_run + row.waiting for row in planned)
    if not left:
        console.print("Everything is done; a run would only train what is not trained yet.")
        return
    seconds, disk = sum(row.core_seconds for row in planned), sum(row.disk_bytes for row in planned)
    console.print(
        f"At most {left:,} units would run: about {_duration(seconds)} of one core and {disk / 1e6:,.0f} MB of disk. "
        "Units that wait are skipped where what they read comes out as before. Training is not counted."
    )


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )
