"""The `near_dedup` stage: of documents that are nearly the same one survives, and none trains that is nearly held out.

Enters: documents with `text`. Leaves: documents no two of which have `threshold` of their word grams in common, as far
as bands detect it. Method: MinHash signatures cut into bands (Broder 1997; Lee et al. 2022); documents that meet in a
band are connected; in each cluster survivors are chosen by priority, and every copy is verified by the exact Jaccard
similarity with its survivor. Rounds: `bands` finds who meets, `contract` and `spread` connect, `clusters` weighs,
`survivors` compares. Near copies of held-out documents leave the training split by a rule of their own. Limit: a
cluster beyond `max_cluster_mb` is judged in parts of that size, each with survivors of its own.
"""

from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from loopdata import schema
from loopdata.config import Strict
from loopdata.dedup import bands, clusters, minhash, rank
from loopdata.dedup.components import EDGE, KEYED_EDGE, both_ways, contract, keyed, spread
from loopdata.dedup.grams import Hashes, gram_sets
from loopdata.dedup.survivors import Choice, Rule, choose_survivors
from loopdata.dedup.verdicts import InsideKeptRepo, Verdict, settle
from loopdata.stage import CorpusStage, Fate, Outcome, Round

COPY, HELD_OUT_COPY = "near_copy", "near_copy_of_held_out"
DOCUMENT_WEIGHT = 32  # what a document weighs in a cluster beside its grams, in grams (8 bytes)

ROWS_EACH = 1 << 22  # edges that are connected in one table: some 200 MB
BAND = pa.schema([("key", pa.uint64()), ("doc", pa.uint64()), ("grams", pa.int64()), ("unit", pa.uint64())])
MEMBER = pa.schema([("unit", pa.uint64()), ("doc", pa.uint64()), ("cluster", pa.uint64())])
CANDIDATE = pa.schema(
    [
        ("key", pa.uint64()),  # the cluster
        ("trains", pa.bool_()),  # false for held-out documents, which come first
        ("rank", pa.binary()),
        ("doc_id", pa.string()),
        ("repo", pa.string()),
        ("grams", pa.large_binary()),  # the sorted set as uint64
        ("unit", pa.uint64()),
    ]
)
VERDICTS = pa.schema(
    [
        ("unit", pa.uint64()),
        ("doc_id", pa.string()),
        ("rule", pa.string()),
        ("ref", pa.string()),  # doc_id of the survivor
        ("ref_repo", pa.string()),
        ("exact", pa.float64()),  # Jaccard similarity with the survivor
        ("estimated", pa.float64()),
    ]
)


class NearConfig(Strict):
    """`threshold`: Jaccard similarity of word grams from which a document is a copy. `detection`: share of pairs at the
    threshold that bands must find; null: as datasketch chooses. `priority`: as in exact_dedup. `partitions`: parts of
    the exchange, a power of two; more of them for more documents."""

    threshold: float = Field(default=0.7, gt=0, le=1)
    detection: float | None = Field(default=0.98, gt=0, lt=1)
    permutations: int = Field(default=112, ge=1, le=4096)
    words: int = Field(default=5, ge=1, le=64)
    priority: list[str] = Field(default_factory=lambda: ["path_depth", "path_length", "doc_id"])
    inside_kept_repo: InsideKeptRepo = "context"
    partitions: int = Field(default=16, ge=1, le=65_536)
    max_cluster_mb: int = Field(default=256, ge=1)

    @field_validator("priority")
    @classmethod
    def _sound(cls, priority: list[str]) -> list[str]:
        rank.check(priority)
        return priority

    @field_validator("partitions")
    @classmethod
    def _power_of_two(cls, partitions: int) -> int:
        if partitions & (partitions - 1):
            raise ValueError("give a power of two")
        return partitions


class NearDedup(CorpusStage):
    """Keeps one of nearly equal texts."""

    name = "near_dedup"
    scope = "repo"
    Config = NearConfig
    needs: ClassVar[dict[str, pa.DataType]] = {
        name: schema.DOCUMENT[name] for name in ("doc_id", "text", "split", "use", "repo", "path")
    }
    rounds: ClassVar[tuple[Round, ...]] = (Round("bands", BAND, EDGE), Round("survivors", CANDIDATE, VERDICTS))

    def __init__(self, config: Strict | None = None, *, label: str = "", seed: int = 0) -> None:
        super().__init__(config, label=label, seed=seed)
        chosen = bands.choose(self.config.threshold, self.config.permutations, self.config.detection)
        self.rule = Rule(self.config.threshold, self.config.permutations, chosen)
        ranked = {name: schema.DOCUMENT[name] for name in rank.columns(self.config.priority)}
        self.needs = {**type(self).needs, **ranked}  # type: ignore[misc]
        parts = self.config.partitions
        over_rows: Any = {"over": "rows", "partitions": parts, "rows_each": ROWS_EACH}
        self.rounds = (  # type: ignore[misc]
            Round("bands", BAND, EDGE, partitions=parts),
            Round("contract", KEYED_EDGE, EDGE, via=Round("spread", KEYED_EDGE, EDGE, **over_rows), **over_rows),
            Round("clusters", KEYED_EDGE, MEMBER, **over_rows),
            Round("survivors", CANDIDATE, VERDICTS, partitions=parts),
        )

    def map(self, step: Round, table: pa.Table, given: pa.Table | None) -> pa.Table:
        """Rows of `step.emits`: a row a band of each document, edges, or the gram set of a document in a cluster."""
        if step.name == "bands":
            return self._bands(table.filter(table["text"].is_valid()))
        if step.name == "contract":
            return keyed(table, "doc")
        if step.name == "spread":
            return both_ways(table)
        if step.name == "clusters":
            return keyed(table, "least")
        return self._candidates(table, given if given is not None else MEMBER.empty_table())

    def reduce(self, step: Round, table: pa.Table) -> pa.Table:
        """Rows of `step.gives`: edges, the members of clusters, or a verdict for each document that has a survivor."""
        if step.name == "bands":
            rows, least = clusters.star_edges(table["key"].to_numpy(), table["doc"].to_numpy())
            found = table.take(pa.array(rows))
            return pa.table([found["doc"], pa.array(least), found["grams"], found["unit"]], schema=EDGE)
        if step.name == "contract":
            return contract(table)
        if step.name == "spread":
            return spread(table)
        if step.name == "clusters":
            return self._members(table)
        return self._verdicts(table)

    def apply(self, table: pa.Table, verdicts: pa.Table) -> Outcome:
        """Drop near copies, or keep them as context where their repository keeps another document."""
        return settle(table, verdicts, COPY, self.config.inside_kept_repo, self._fate)

    def _bands(self, table: pa.Table) -> pa.Table:
        signatures, grams = minhash.sign(table["text"].combine_chunks(), self.config.permutations, self.config.words)
        some = grams > 0
        count, rows = self.rule.bands
        keys = minhash.band_hashes(signatures[some], count, rows)
        doc = clusters.numbers(table["doc_id"].to_pylist())[some]
        columns = [keys.reshape(-1), np.repeat(doc, count), np.repeat(grams[some], count)]
        return pa.table([*map(pa.array, columns), pa.nulls(keys.size, pa.uint64())], schema=BAND)

    def _members(self, table: pa.Table) -> pa.Table:
        """The rows hold each document once, with the root of its cluster."""
        roots = table["least"].to_numpy()
        weights = table["grams"].to_numpy() + DOCUMENT_WEIGHT
        parts = clusters.parts(roots, weights, (self.config.max_cluster_mb << 20) // 8)
        keys = clusters.cluster_keys(roots, parts)
        return pa.table([table["place"], table["doc"], pa.array(keys)], schema=MEMBER)

    def _candidates(self, table: pa.Table, given: pa.Table) -> pa.Table:
        order = pc.index_in(
            pa.array(clusters.numbers(table["doc_id"].to_pylist())), value_set=given["doc"].combine_chunks()
        )
        table, order = table.filter(order.is_valid()), order.drop_null()
        return pa.table(
            [
                given["cluster"].take(order),
                pc.fill_null(pc.not_equal(table["split"], "valid"), True),
                rank.ranks(table, self.config.priority, self.label),
                table["doc_id"],
                table["repo"],
                _as_column(gram_sets(table["text"].combine_chunks(), self.config.words)),
                pa.nulls(table.num_rows, pa.uint64()),
            ],
            schema=CANDIDATE,
        )

    def _verdicts(self, table: pa.Table) -> pa.Table:
        """The rows come sorted by cluster, split and rank: best first."""
        if not table.num_rows:
            return VERDICTS.empty_table()
        found = _choose(table, self.rule)
        copies = np.flatnonzero(found.survivor >= 0)
        survivor = pa.array(found.survivor[copies])
        copy = table.take(pa.array(copies))
        held_out = pc.and_(copy["trains"], pc.invert(table["trains"].take(survivor)))
        return pa.table(
            [
                copy["unit"],
                copy["doc_id"],
                pc.if_else(held_out, HELD_OUT_COPY, COPY),
                table["doc_id"].take(survivor),
                table["repo"].take(survivor),
                pa.array(found.exact[copies]),
                pa.array(found.estimated[copies]),
            ],
            schema=VERDICTS,
        )

    def _fate(self, verdict: Verdict, fate: str) -> Fate:
        details = f"estimated={verdict['estimated']:.3f}"
        if verdict["ref_repo"] is not None:
            details += f" repo={verdict['ref_repo']}"
        return Fate(
            verdict["doc_id"],
            self.label,
            fate,
            verdict["rule"],
            verdict["exact"],
            self.config.threshold,
            verdict["ref"],
            details,
        )


def _choose(table: pa.Table, rule: Rule) -> Choice:
    """Survivors of all rows. Of equal sets in a cluster only the first takes part; the others go its way."""
    keys = table["key"].to_numpy()
    cluster = np.cumsum(np.append(0, keys[1:] != keys[:-1]))
    encoded = table["grams"].combine_chunks().dictionary_encode()
    same = cluster * len(encoded.dictionary) + encoded.indices.to_numpy()
    _, first, inverse = np.unique(same, return_index=True, return_inverse=True)
    order = np.sort(first)
    leader = first[inverse]  # of each row, the first row with its set
    place = np.searchsorted(order, leader)
    sets = table["grams"].take(pa.array(order))
    grams, offsets = _sets(sets.combine_chunks())
    trains = table["trains"].to_numpy(zero_copy_only=False)[order]
    found = choose_survivors(grams, offsets, cluster[order], trains, rule)
    survivor = np.where(found.survivor >= 0, order[found.survivor], -1)[place]
    alone = survivor < 0
    is_leader = leader == np.arange(len(leader))
    survivor = np.where(alone & ~is_leader, leader, survivor)
    exact, estimated = (np.where(alone, 1.0, values[place]) for values in (found.exact, found.estimated))
    return Choice(survivor, exact, estimated)


def _as_column(sets: list[Hashes]) -> pa.Array:
    """Sets as a binary column."""
    offsets = np.append(0, np.cumsum([8 * len(grams) for grams in sets])).astype(np.int64)
    values = np.concatenate([np.zeros(0, np.uint64), *sets])
    return pa.Array.from_buffers(pa.large_binary(), len(sets), [None, pa.py_buffer(offsets), pa.py_buffer(values)])


def _sets(column: pa.Array) -> tuple[Any, Any]:
    """The values of a binary column as uint64, and where each set begins in them."""
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    values = np.frombuffer(data, np.uint64, count=int(bounds[-1]) // 8)
    return values, bounds // 8
