"""The `exact_dedup` stage: of documents with the same text one survives, and none trains that is also held out.

Enters: documents with `text_id`; by tokens, with `text` and `language`. Leaves: one document a text for training,
chosen by an explicit priority that no order of units or rows can change. By tokens, texts are the same that differ in
white space and comments only; behind `syntax` this parses nothing again. Copies of a held-out document leave the
training split by a rule of their own. A copy in a repository that keeps other documents may stay as context, so that
repositories remain complete. Only ids and ranks travel, some 160 bytes a document. Limit: texts are the same when the
first 128 bits of their SHA-256, or of that of their tokens, are.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopdata.config import Strict
from loopdata.dedup import rank
from loopdata.dedup.token_ids import TokenIds
from loopdata.dedup.verdicts import Dedup, DedupConfig, Verdict
from loopdata.stage import Fate, Round, Stage

By = Literal["text", "tokens"]
IDS: dict[By, str] = {"text": "text_id", "tokens": "token_id"}
COPIES: dict[By, str] = {"text": "exact_copy", "tokens": "token_copy"}
HELD_OUT_COPIES: dict[By, str] = {"text": "copy_of_held_out", "tokens": "token_copy_of_held_out"}

EMITS = pa.schema(
    [
        ("key", pa.uint64()),  # first 64 bits of the id
        ("id", pa.string()),  # of the text, or of its tokens
        ("trains", pa.bool_()),  # false for held-out documents, which come first
        ("rank", pa.binary()),
        ("doc_id", pa.string()),
        ("repo", pa.string()),
        ("unit", pa.uint64()),
    ]
)
VERDICTS = pa.schema(
    [
        ("unit", pa.uint64()),
        ("doc_id", pa.string()),
        ("rule", pa.string()),
        ("ref", pa.string()),  # doc_id of the survivor
        ("ref_repo", pa.string()),  # repository of the survivor
        ("group_size", pa.int64()),  # documents with this text, the survivor included
    ]
)
EXACT = Round("exact", emits=EMITS, gives=VERDICTS)


class ExactConfig(DedupConfig):
    """`by`: what must be the same."""

    by: By = "text"


class ExactDedup(Dedup):
    """Keeps one of equal texts."""

    name = "exact_dedup"
    version = 2
    Config = ExactConfig
    rounds = (EXACT,)

    def __init__(self, config: Strict | None = None, *, label: str = "", seed: int = 0) -> None:
        super().__init__(config, label=label, seed=seed)
        self.id = IDS[self.config.by]
        self.needs = {**self.needs, self.id: pa.string()}  # type: ignore[misc]
        self.stays = COPIES[self.config.by]
        if self.config.by == "tokens":
            self.removes = frozenset({self.id})  # type: ignore[misc]

    def before(self) -> tuple[Stage, ...]:
        """By tokens, the stage that finds them."""
        return (TokenIds(label=f"{self.label}.ids"),) if self.config.by == "tokens" else ()

    def map(self, step: Round, table: pa.Table, given: Mapping[str, pa.Table]) -> pa.Table:
        """One row a document that has a text."""
        table = table.filter(table[self.id].is_valid())
        ids = table[self.id].to_pylist()
        return pa.table(
            [
                pa.array([int(name[:16], 16) for name in ids], pa.uint64()),
                table[self.id],
                pc.fill_null(pc.not_equal(table["split"], "valid"), True),
                rank.ranks(table, self.config.priority, self.label),
                table["doc_id"],
                table["repo"],
                pa.nulls(table.num_rows, pa.uint64()),
            ],
            schema=EMITS,
        )

    def reduce(self, step: Round, table: pa.Table) -> pa.Table:
        """A verdict for each document but the survivor of its text."""
        table = _repeated(table)
        if not table.num_rows:
            return VERDICTS.empty_table()
        order = [(name, "ascending") for name in ("key", "id", "trains", "rank", "doc_id")]
        table = table.sort_by(order).combine_chunks()
        first, sizes = _groups(table["id"])
        survivor = pa.array(np.repeat(first, sizes))
        trains = table["trains"].combine_chunks()
        held_out_copy = pc.and_(trains, pc.invert(trains.take(survivor)))
        verdicts = pa.table(
            [
                table["unit"],
                table["doc_id"],
                pc.if_else(held_out_copy, HELD_OUT_COPIES[self.config.by], self.stays),
                table["doc_id"].take(survivor),
                table["repo"].take(survivor),
                pa.array(np.repeat(sizes, sizes)),
            ],
            schema=VERDICTS,
        )
        is_survivor = np.zeros(table.num_rows, np.bool_)
        is_survivor[first] = True
        return verdicts.filter(pa.array(~is_survivor)).sort_by([("unit", "ascending"), ("doc_id", "ascending")])

    def fate(self, verdict: Verdict, fate: str) -> Fate:
        where = f"repo={verdict['ref_repo']}" if verdict["ref_repo"] is not None else None
        return Fate(
            verdict["doc_id"],
            self.label,
            fate,
            verdict["rule"],
            value=float(verdict["group_size"]),
            ref=verdict["ref"],
            details=where,
        )


def _repeated(table: pa.Table) -> pa.Table:
    """Rows whose key stands more than once: all others are alone with their text, which spares the sort."""
    keys = table["key"].to_numpy()
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    same = keys[1:] == keys[:-1]
    repeated = np.concatenate([same, [False]]) | np.concatenate([[False], same])
    return table.take(pa.array(order[repeated[: len(order)]]))


def _groups(ids: pa.ChunkedArray) -> tuple[Any, Any]:
    """Where each run of equal ids begins, and how long it is."""
    ends = pc.run_end_encode(ids.combine_chunks()).run_ends.to_numpy().astype(np.int64)
    first = np.concatenate([[0], ends[:-1]])
    return first, ends - first
