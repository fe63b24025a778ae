"""Saving what a run kept as an index, so that later runs drop near copies of it.

Enters: the folder of a finished run. Leaves: a folder that `near_dedup: {index: …}` reads, with the signatures of all
documents that the run kept, held-out ones and context too. Permutations and grams are those of the run's `near_dedup`,
or the usual ones where it has none; so is the least threshold that the index can be asked for, unless another is given.
Limit: it reads the texts of the run once more, in this process.
"""

from collections.abc import Iterator

import pyarrow as pa
import yaml

from loopdata.config import parse
from loopdata.dedup import index
from loopdata.dedup.masked import MASKED, MaskIdentifiers
from loopdata.dedup.near import NearConfig, NearDedup
from loopdata.engine.ledger import Ledger, manifests
from loopdata.engine.tables import read_tables
from loopdata.errors import RunError
from loopdata.storage import Folder


def save_index(run: str, out: str, threshold: float | None = None) -> int:
    """Write the index; return how many documents it holds. RunError for a run that is not complete."""
    folder = Folder(run)
    ledger = Ledger.read(folder)
    if not ledger.complete:
        raise RunError(f"the run {run} is not complete", "finish it by `loopdata run`")
    corpus = yaml.safe_load(folder.read("run.yaml")).get("corpus") or []
    given = next((entry["near_dedup"] or {} for entry in corpus if "near_dedup" in entry), {})
    given |= {"index": None} | ({} if threshold is None else {"threshold": threshold})  # its own may be gone by now
    near = NearDedup(parse(NearConfig, given, "near_dedup"))
    return index.save(Folder(out), _documents(folder, ledger, near.text), near.kind, near.rule.bands, near.text)


def _documents(folder: Folder, ledger: Ledger, column: str) -> Iterator[pa.Table]:
    """The documents that the last phase of the corpus wrote."""
    for phase in reversed(ledger.phases):
        found = [entry for entry in manifests(folder, ledger, phase) if "documents" in entry.outputs]
        for entry in found:
            for table in read_tables(folder, entry.output("documents"), ["doc_id", "text", "language"]):
                yield MaskIdentifiers().apply(table).kept if column == MASKED else table
        if found:
            return
