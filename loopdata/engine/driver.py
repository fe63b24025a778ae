"""Driving phases: which units must run, running them, and what is done when one fails.

Enters: a phase's units. Leaves: their manifests, in the order of the units. A composition calls `phase` once a phase;
given a `Planner` instead of a `Driver` the same composition runs nothing and learns what would be done. Limit: units of
one phase run together, phases one after the other.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from loopdata.engine.exchange import Shares
from loopdata.engine.ledger import Ledger, manifest_of, totals
from loopdata.engine.progress import Progress
from loopdata.engine.unit import Manifest, Unit
from loopdata.engine.work import Result
from loopdata.errors import RunError, StageError
from loopdata.storage import Folder


class Runner(Protocol):
    """Runs units; see `inline_runner` and `ray_runner`."""

    name: str

    def run(self, folder: Folder, units: Iterable[Unit]) -> Iterator[Result]: ...

    def close(self) -> None: ...


class Phases(Protocol):
    """What a composition needs: a driver, or a planner."""

    folder: Folder
    done: list[Manifest]  # of all phases so far

    def phase(self, name: str, units: Sequence[Unit]) -> list[Manifest]: ...

    def shares(self, found: Sequence[Manifest]) -> Shares: ...


@dataclass(frozen=True)
class Failures:
    """How many quarantined documents a run bears: the larger of a number and a share of all documents."""

    max_documents: int = 10
    max_share: float = 0.001


class Driver:
    """Runs what is not done yet."""

    def __init__(
        self,
        folder: Folder,
        runner: Runner,
        progress: Progress,
        failures: Failures,
        watch: Callable[[list[Manifest]], None] | None = None,
    ) -> None:
        """`watch` sees the manifests of each phase when it is done; what it raises ends the run."""
        self.folder = folder
        self.ledger = Ledger()
        self.done: list[Manifest] = []
        self.ran: dict[str, int] = {}
        self._runner = runner
        self._progress = progress
        self._failures = failures
        self._watch = watch

    def phase(self, name: str, units: Sequence[Unit]) -> list[Manifest]:
        """Manifests of all units. RunError for a unit that failed, StageError for too many quarantined documents."""
        keys = {unit.id: unit.key or "" for unit in units}
        if len(keys) != len(units) or any(unit.phase != name for unit in units):
            raise ValueError(f"units of phase {name} must have unique names and this phase")
        found = {unit.id: manifest_of(self.folder, unit) for unit in units}
        missing = [unit for unit in units if found[unit.id] is None]
        self.ledger.phases[name] = keys
        self.ledger.write(self.folder)
        self.ran[name] = len(missing)
        with self._progress.phase(name, units, done=[entry for entry in found.values() if entry is not None]):
            for result in self._runner.run(self.folder, missing):
                found[result.unit] = self._accept(name, missing, result)
        manifests = [entry for unit in units if (entry := found[unit.id]) is not None]
        if len(manifests) != len(units):
            raise RunError(f"{len(units) - len(manifests)} units of phase '{name}' came to no end", "run again")
        self.done += manifests
        self._check_failures()
        if self._watch is not None:
            self._watch(manifests)
        return manifests

    def shares(self, found: Sequence[Manifest]) -> Shares:
        """What a phase wrote, by name, for the tasks of the next one."""
        shares = Shares(self.folder, found)
        shares.publish()
        return shares

    def finish(self) -> None:
        """Say that the run is complete: units that are not in the ledger may be swept."""
        self.ledger.complete = True
        self.ledger.write(self.folder)

    def _accept(self, phase: str, units: list[Unit], result: Result) -> Manifest:
        if result.manifest is None:
            name = next(unit.name for unit in units if unit.id == result.unit)
            error = RunError(f"unit '{name}' of phase '{phase}' failed: {result.error}", result.remedy)
            error.__cause__ = WorkerTraceError(result.trace) if result.trace else None
            raise error
        self._progress.advance(result.manifest)
        return result.manifest

    def _check_failures(self) -> None:
        counts = totals(self.done)
        documents = max((count.entered for count in counts), default=0)
        quarantined = {count.stage: count.quarantined for count in counts if count.quarantined}
        limit = max(self._failures.max_documents, int(documents * self._failures.max_share))
        if sum(quarantined.values()) > limit:
            where = ", ".join(f"{number} in '{stage}'" for stage, number in quarantined.items())
            raise StageError(
                f"too many documents failed: {where}, more than the {limit} allowed of {documents}",
                f"`loopdata status {self.folder.url}` shows them; raise `failures` in the run file to bear them",
            )


class WorkerTraceError(Exception):
    """The traceback of a worker, for --debug."""


@dataclass
class Planned:
    """What a phase would do: units in all, done, to run for certain, and those whose inputs are not known yet."""

    phase: str
    units: int = 0
    done: int = 0
    to_run: deque[str] = field(default_factory=deque)
    waiting: int = 0
    num_bytes: int = 0


class Planner:
    """Runs nothing; a unit that is not done stands for itself with unknown outputs."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.planned: list[Planned] = []
        self.done: list[Manifest] = []

    def phase(self, name: str, units: Sequence[Unit]) -> list[Manifest]:
        row = Planned(name, len(units))
        self.planned.append(row)
        found = []
        for unit in units:
            manifest = manifest_of(self.folder, unit) if unit.key is not None else None
            if manifest is not None:
                row.done += 1
            elif unit.key is None:
                row.waiting += 1
            else:
                row.to_run.append(unit.name)
            if manifest is None:
                row.num_bytes += unit.num_bytes
            found.append(manifest or Manifest.unknown(unit))
        self.done += found
        return found

    def shares(self, found: Sequence[Manifest]) -> Shares:
        return Shares(self.folder, found)
