"""Finding the documents of a batch that make a stage raise, so that the others go on.

Enters: a stage and a table. Leaves: what the stage made of the documents that it can bear, and a fate `quarantined` for
each that it cannot, with the traceback. A row-local batch is halved (2 bad of 1,000 cost 39 calls); a repository is
halved only to find the culprits, then decided whole without them. Before each call `Isolation` notes where it is, so
that a document that kills the process can be found and left out the next time. Limit: documents that fail only
together are quarantined together.
"""

import re
import traceback
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from loopdata.engine.attempt import Attempt
from loopdata.errors import LoopdataError
from loopdata.stage import Fate, Outcome

MAX_TRACEBACK_CHARS = 2_000
Apply = Callable[[pa.Table], Outcome]


def repeatable(text: str) -> str:
    """Without addresses in memory, which differ from process to process: fates are part of the bytes of a run.

    Half a surrogate pair, which no fate could be written with, becomes an escape.
    """
    return re.sub(r"0x[0-9a-fA-F]+", "0x…", text).encode("utf-8", "backslashreplace").decode()


def quarantine(stage: str, subjects: list[str], error: BaseException) -> list[Fate]:
    """Fates for documents that a stage failed on."""
    trace = repeatable("".join(traceback.format_exception(error)))[-MAX_TRACEBACK_CHARS:]
    return [Fate(subject, stage, "quarantined", "exception", details=trace) for subject in subjects]


def apply_row_local(stage: str, apply: Apply, table: pa.Table) -> list[Outcome]:
    """Outcomes of consecutive parts of `table`; a single document that raises is quarantined."""
    try:
        return [apply(table)]
    except LoopdataError:
        raise
    except (Exception, SystemExit) as error:
        if table.num_rows == 1:
            return [Outcome(table.slice(0, 0), quarantine(stage, table["doc_id"].to_pylist(), error))]
    half = table.num_rows // 2
    return [
        *apply_row_local(stage, apply, table.slice(0, half)),
        *apply_row_local(stage, apply, table.slice(half)),
    ]


def apply_whole(stage: str, apply: Apply, table: pa.Table) -> list[Outcome]:
    """The outcome of a table of whole repositories without the documents that raise by themselves."""
    try:
        return [apply(table)]
    except LoopdataError:
        raise
    except (Exception, SystemExit) as error:
        first = error
    fates = _culprits(stage, apply, table)
    bad = pa.array([fate.subject for fate in fates], pa.string())
    rest = table.filter(pc.invert(pc.is_in(table["doc_id"], bad)))
    try:
        if fates:
            return [Outcome(rest.slice(0, 0), fates), apply(rest)]
    except LoopdataError:
        raise
    except (Exception, SystemExit) as error:
        first = error
    return [Outcome(rest.slice(0, 0), [*fates, *quarantine(stage, rest["doc_id"].to_pylist(), first)])]


def _culprits(stage: str, apply: Apply, table: pa.Table) -> list[Fate]:
    return [fate for part in apply_row_local(stage, apply, table) for fate in part.fates if _is_failure(fate)]


def _is_failure(fate: Fate) -> bool:
    return fate.fate == "quarantined" and fate.rule == "exception"


class Isolation:
    """One function over the batches of one unit."""

    def __init__(self, label: str, whole: bool, apply: Apply, attempt: Attempt) -> None:
        """`whole`: the function sees whole repositories, else rows that have nothing to do with each other."""
        self._label, self._whole, self._apply, self._attempt = label, whole, apply, attempt
        self._batch = 0

    def without_killers(self, table: pa.Table) -> tuple[pa.Table, list[Fate]]:
        """The documents that did not kill a worker here before, and the fates of those that did."""
        known = self._attempt.poison.get(self._label)
        if not known:
            return table, []
        bad = pc.is_in(table["doc_id"], value_set=pa.array(list(known), pa.string()))
        fates = [
            Fate(subject, self._label, "quarantined", "worker_death", details=known[subject])
            for subject in table.filter(bad)["doc_id"].to_pylist()
        ]
        return table.filter(pc.invert(bad)), fates

    def __call__(self, table: pa.Table) -> list[Outcome]:
        """Outcomes of consecutive parts of the next batch; document by document where a killer is searched."""
        self._batch += 1
        if table.num_rows == 0:
            return []
        isolate = apply_whole if self._whole else apply_row_local
        parts = [table]
        if self._attempt.suspect == (self._label, self._batch):
            singles = [table.slice(row, 1) for row in range(table.num_rows)]
            if self._whole:  # only to meet the killer with its name noted
                for single in singles:
                    self._note(single)
                    isolate(self._label, self._apply, single)
            else:
                parts = singles
        outcomes = []
        for part in parts:
            self._note(part)
            outcomes += isolate(self._label, self._apply, part)
        self._attempt.guard.at(unit=self._attempt.unit.id)
        return outcomes

    def _note(self, part: pa.Table) -> None:
        subject = part["doc_id"][0].as_py() if part.num_rows == 1 else None
        self._attempt.guard.at(stage=self._label, batch=self._batch, subject=subject)
