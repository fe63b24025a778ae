"""The ledger of a run: which units it consists of, what they wrote, and what of the rest may be swept away.

Enters: manifests below the run folder, and `ledger.json`, which lists phases and the keys of their units. Leaves: the
manifests that count, the account of the whole run, and a folder without leftovers. Only files that no manifest names
and that are older than FRESH_SECONDS are swept: a worker may outlive its driver by seconds. Limit: the ledger is one
file, some 100 bytes a unit.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from loopdata.engine.unit import Count, Manifest, Unit
from loopdata.errors import RunError
from loopdata.storage import Folder

NAME = "ledger.json"
FRESH_SECONDS = 60.0


@dataclass
class Ledger:
    """Phases in order, each with the keys of its units by id."""

    phases: dict[str, dict[str, str]] = field(default_factory=dict)
    complete: bool = False

    @classmethod
    def read(cls, run: Folder) -> "Ledger":
        """RunError where the folder holds no run."""
        try:
            data = json.loads(run.read(NAME))
        except FileNotFoundError:
            raise RunError(f"{run.url} holds no run", "give the folder that a run file names under `run:`") from None
        return cls(data["phases"], data["complete"])

    def write(self, run: Folder) -> None:
        run.write_atomic(NAME, json.dumps({"phases": self.phases, "complete": self.complete}).encode())


def manifest_of(run: Folder, unit: Unit) -> Manifest | None:
    """The manifest of a unit that is done as it is now."""
    found = read_manifest(run, unit.manifest_name)
    return found if found is not None and found.key == unit.key else None


def read_manifest(run: Folder, name: str) -> Manifest | None:
    """A whole manifest, or None."""
    with contextlib.suppress(FileNotFoundError):
        return Manifest.from_json(run.read(name))
    return None


def manifests(run: Folder, ledger: Ledger, phase: str | None = None) -> Iterator[Manifest]:
    """The manifests of the ledger's units that are done, phase by phase."""
    for name, units in ledger.phases.items():
        if phase is not None and name != phase:
            continue
        for unit, key in units.items():
            found = read_manifest(run, f"manifests/{name}/{unit}.json")
            if found is not None and found.key == key:
                yield found


def totals(found: Iterable[Manifest]) -> list[Count]:
    """The account of each stage over all units, in order of first appearance."""
    result: dict[str, Count] = {}
    for manifest in found:
        for count in manifest.counts:
            total = result.setdefault(count.stage, Count(count.stage))
            for name in ("entered", "born", "kept", "dropped", "quarantined", "entered_bytes", "kept_bytes"):
                setattr(total, name, getattr(total, name) + getattr(count, name))
            for name, number in count.notes.items():
                total.notes[name] = total.notes.get(name, 0) + number
            for source, languages in count.groups.items():
                for language, group in languages.items():
                    total.group(source, language).add(group)
    return list(result.values())


def sweep(run: Folder, ledger: Ledger) -> int:
    """Remove leftovers; return how many files went. Manifests of units that are gone go once the run is complete."""
    files = run.files()
    named: set[str] = set()
    removed = 0
    for file in files:
        if not file.name.startswith("manifests/"):
            continue
        phase, unit = file.name.split("/")[1], file.name.rsplit("/", 1)[1].removesuffix(".json")
        manifest = read_manifest(run, file.name)
        gone = ledger.complete and unit not in ledger.phases.get(phase, {})
        if file.name.endswith(".tmp") or manifest is None or gone:
            removed += _remove_old(run, file.name, file.age_seconds, gone and manifest is not None)
            continue
        named.update(output.name for output in manifest.outputs.values())
    for file in files:
        if file.name.startswith("data/") and file.name not in named:
            removed += _remove_old(run, file.name, file.age_seconds, False)
    return removed


def _remove_old(run: Folder, name: str, age_seconds: float, surely: bool) -> int:
    if not surely and age_seconds < FRESH_SECONDS:
        return 0
    run.remove(name)
    return 1


def counts_of(manifests: Sequence[Manifest], name: str) -> dict[str, list[int]]:
    """Sums of a figure that maps a name to numbers, over all units."""
    sums: dict[str, list[int]] = {}
    for manifest in manifests:
        for key, numbers in manifest.figures.get(name, {}).items():
            total = sums.setdefault(key, [0] * len(numbers))
            sums[key] = [a + b for a, b in zip(total, numbers, strict=True)]
    return sums
