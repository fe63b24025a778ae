"""The runner in one process: the oracle that the others are compared with.

Enters: units. Leaves: a result for each, in order. Before a unit it leaves a marker in the run folder, which it removes
afterwards: one that is still there at the next call says that the unit killed the process, and the unit is then run in
a child that finds the document. Limit: a killer ends the run once.
"""

from collections.abc import Iterable, Iterator

from loopdata.engine.unit import Unit
from loopdata.engine.work import Result, attempt_unit, isolated
from loopdata.storage import Folder


class InlineRunner:
    """One unit after the other, here."""

    name = "inline"

    def __init__(self, stall_seconds: float) -> None:
        self._stall_seconds = stall_seconds

    def run(self, folder: Folder, units: Iterable[Unit]) -> Iterator[Result]:
        """Results as they come. The caller may stop asking; what runs then ends first."""
        for unit in units:
            yield self._one(folder, unit)

    def _one(self, folder: Folder, unit: Unit) -> Result:
        marker = f"attempts/{unit.phase}.{unit.id}"
        if folder.exists(marker):
            result = isolated(folder, unit, self._stall_seconds)
            if result.manifest is not None:  # else it would kill this process at the next call
                folder.remove(marker)
            return result
        folder.write_atomic(marker, (unit.key or "").encode())
        try:
            return attempt_unit(folder, unit, self._stall_seconds)
        finally:
            folder.remove(marker)

    def close(self) -> None:
        """Nothing is held."""
