"""Finding the documents of a batch that make a stage raise, so that the others go on.

Enters: a stage and a table. Leaves: what the stage made of the documents that it can bear, and a fate `quarantined` for
each that it cannot, with the traceback. A row-local batch is halved (2 bad of 1,000 cost 39 calls); a repository is
halved only to find the culprits, then decided whole without them. Limit: documents that fail only together are
quarantined together.
"""

import re
import traceback
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from loopdata.errors import LoopdataError
from loopdata.stage import Fate, Outcome

MAX_TRACEBACK_CHARS = 2_000
Apply = Callable[[pa.Table], Outcome]


def repeatable(text: str) -> str:
    """Without addresses in memory, which differ from process to process: fates are part of the bytes of a run."""
    return re.sub(r"0x[0-9a-fA-F]+", "0x…", text)


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
