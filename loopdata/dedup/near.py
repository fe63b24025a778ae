"""The `near_dedup` stage: of documents that are nearly the same one survives, and none trains that is nearly held out.

Enters: documents with `text`. Leaves: documents no two of which have `threshold` of their grams in common, as far as
bands detect it; grams are of words, or of tokens with all names alike. Method: MinHash signatures cut into bands
(Broder 1997; Lee et al. 2022); documents that meet in a band are connected; in each cluster survivors are chosen by
priority, and every copy is verified by the exact Jaccard similarity with its survivor. Rounds: `boilerplate` finds the
lines that do not count, `bands` who meets, `contract` and `spread` connect, `clusters` weighs, `survivors` compares.
Near copies of held-out documents leave the training split by a rule of their own. Limit: a cluster beyond
`max_cluster_mb` is judged in parts of that size, each with survivors of its own; sets travel as `narrow_sets`, so that
a similarity is exact to 10^-6.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field
from xxhash import xxh3_128_digest

from loopdata.config import Strict
from loopdata.dedup import bands, clusters, minhash, rank
from loopdata.dedup.against import AgainstConfig, AgainstIndex
from loopdata.dedup.boilerplate import head_lines, without
from loopdata.dedup.components import EDGE, KEYED_EDGE, both_ways, contract, keyed, spread
from loopdata.dedup.grams import Bytes, Hashes, Ints, narrow_sets, wide_sets
from loopdata.dedup.index import Grams
from loopdata.dedup.masked import MASKED, MaskIdentifiers
from loopdata.dedup.survivors import Choice, Rule, choose_survivors
from loopdata.dedup.verdicts import Dedup, DedupConfig, Partitions, Verdict
from loopdata.schema import one_array
from loopdata.stage import Fate, Round, Step

COPY, HELD_OUT_COPY = "near_copy", "near_copy_of_held_out"
DOCUMENT_WEIGHT = 32  # what a document weighs in a cluster beside its grams, in grams (8 bytes)

ROWS_EACH = 1 << 22  # edges that are connected in one table: some 200 MB

HEAD_LINE = pa.schema([("key", pa.uint64()), ("documents", pa.int64()), ("unit", pa.uint64())])
BOILERPLATE = pa.schema([("unit", pa.uint64()), ("line", pa.uint64())])
BAND = pa.schema([("key", pa.uint64()), ("doc", pa.uint64()), ("grams", pa.int64()), ("unit", pa.uint64())])
MEMBER = pa.schema([("unit", pa.uint64()), ("doc", pa.uint64()), ("cluster", pa.uint64())])
CANDIDATE = pa.schema(
    [
        ("key", pa.uint64()),  # the cluster
        ("trains", pa.bool_()),  # false for held-out documents, which come first
        ("rank", pa.binary()),
        ("doc_id", pa.string()),
        ("repo", pa.string()),
        ("grams", pa.large_binary()),  # its set, as `narrow_sets` gives it
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


class NearConfig(DedupConfig):
    """`threshold`: Jaccard similarity of grams from which a document is a copy. `grams` are of words, or of tokens in
    which every identifier is the same word; `words`: how many of either make a gram. `boilerplate`: a line of the
    comment at the head of a file does not count where more documents than this have it; null: all count. `detection`:
    share of pairs at the threshold that bands must find; null: as datasketch chooses. `partitions`: parts of the
    exchange, a power of two; more of them for more documents. `index`: a folder that `loopdata index` wrote; near
    copies of what it holds are dropped first."""

    threshold: float = Field(default=0.7, gt=0, le=1)
    detection: float | None = Field(default=0.98, gt=0, lt=1)
    permutations: int = Field(default=112, ge=1, le=4096)
    grams: Literal["words", "masked_identifiers"] = "words"
    words: int = Field(default=5, ge=1, le=64)
    boilerplate: int | None = Field(default=20, ge=1)
    partitions: Partitions = 16
    max_cluster_mb: int = Field(default=256, ge=1)
    index: str | None = None


class NearDedup(Dedup):
    """Keeps one of nearly equal texts."""

    name = "near_dedup"
    version = 3
    by_similarity = True
    stays = COPY
    Config = NearConfig

    def __init__(self, config: Strict | None = None, *, label: str = "", seed: int = 0) -> None:
        super().__init__(config, label=label, seed=seed)
        chosen = bands.choose(self.config.threshold, self.config.permutations, self.config.detection)
        masked = self.config.grams == "masked_identifiers"
        self.text = MASKED if masked else "text"
        self.needs = {**self.needs, self.text: pa.large_string()}  # type: ignore[misc]
        self.kind = Grams(self.config.permutations, self.config.words, self.config.grams)
        self.removes = frozenset({MASKED} if masked else ())  # type: ignore[misc]
        self.rule = Rule(self.config.threshold, self.config.permutations, chosen)
        parts = self.config.partitions
        over_rows: Any = {"over": "rows", "partitions": parts, "rows_each": ROWS_EACH}
        over_both_ends: Any = over_rows | {"rows_each": ROWS_EACH // 2}  # each edge that comes in is there twice
        boilerplate = Round("boilerplate", HEAD_LINE, BOILERPLATE, partitions=parts)
        self.rounds = (  # type: ignore[misc]
            *(() if self.config.boilerplate is None or masked else (boilerplate,)),
            Round("bands", BAND, EDGE, partitions=parts),
            Round("contract", KEYED_EDGE, EDGE, via=Round("spread", KEYED_EDGE, EDGE, **over_both_ends), **over_rows),
            Round("clusters", KEYED_EDGE, MEMBER, **over_rows),
            Round("survivors", CANDIDATE, VERDICTS, partitions=parts),
        )

    def before(self) -> tuple[Step, ...]:
        """By masked identifiers, the stage that masks them; with an index, the stage that asks it."""
        masks = (MaskIdentifiers(label=f"{self.label}.masks"),) if self.removes else ()
        if self.config.index is None:
            return masks
        config = AgainstConfig(
            path=self.config.index,
            column=self.text,
            words=self.kind.words,
            grams=self.kind.grams,
            detection=self.config.detection or self.rule.bands.detection(self.config.threshold),
            partitions=self.config.partitions,
        )
        return (*masks, AgainstIndex(config, self.rule, label=f"{self.label}.index"))

    def identity(self) -> dict[str, Any]:
        """Without the index: what it decides is decided before."""
        found = super().identity()
        return found | {"config": {name: value for name, value in found["config"].items() if name != "index"}}

    def map(self, step: Round, table: pa.Table, given: Mapping[str, pa.Table]) -> pa.Table:
        """Rows of `step.emits`: a row a line of heads, one a band of each document, edges, or the gram set of a
        document in a cluster."""
        if step.name == "contract":
            return keyed(table, "doc")
        if step.name == "spread":
            return both_ways(table)
        if step.name == "clusters":
            return keyed(table, "least")
        if table[self.text].null_count:
            table = table.filter(table[self.text].is_valid())
        if step.name == "boilerplate":
            lines, counts = head_lines(one_array(table[self.text]))
            return pa.table([lines, counts, pa.nulls(len(lines), pa.uint64())], schema=HEAD_LINE)
        boilerplate = given["boilerplate"]["line"].to_numpy() if "boilerplate" in given else np.zeros(0, np.uint64)
        if step.name == "bands":
            return self._bands(table, np.sort(boilerplate))
        return self._candidates(table, np.sort(boilerplate), given["clusters"])

    def reduce(self, step: Round, table: pa.Table) -> pa.Table:
        """Rows of `step.gives`: lines of many documents, edges, the members of clusters, or a verdict for each document
        that has a survivor."""
        if step.name == "boilerplate":
            return self._frequent(table)
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

    def _frequent(self, table: pa.Table) -> pa.Table:
        """The lines that more documents have than may, for each unit that has them."""
        lines, place = np.unique(table["key"].to_numpy(), return_inverse=True)
        frequent = np.bincount(place, table["documents"].to_numpy(), len(lines)) > self.config.boilerplate
        found = table.filter(pa.array(frequent[place])).select(["unit", "key"]).rename_columns(BOILERPLATE.names)
        return found.group_by(BOILERPLATE.names, use_threads=False).aggregate([])

    def _bands(self, table: pa.Table, boilerplate: Hashes) -> pa.Table:
        texts = without(one_array(table[self.text]), boilerplate)
        signatures, grams = minhash.sign(texts, self.config.permutations, self.config.words)
        some = grams > 0
        count, rows = self.rule.bands
        keys = minhash.band_hashes(signatures[some], count, rows)
        doc = clusters.numbers(table["doc_id"])[some]
        columns = [keys.reshape(-1), np.repeat(doc, count), np.repeat(grams[some], count)]
        return pa.table([*map(pa.array, columns), pa.nulls(keys.size, pa.uint64())], schema=BAND)

    def _members(self, table: pa.Table) -> pa.Table:
        """The rows hold each document once, with the root of its cluster."""
        roots = table["least"].to_numpy()
        weights = table["grams"].to_numpy() + DOCUMENT_WEIGHT
        parts = clusters.parts(roots, weights, (self.config.max_cluster_mb << 20) // 8)
        keys = clusters.cluster_keys(roots, parts)
        return pa.table([table["place"], table["doc"], pa.array(keys)], schema=MEMBER)

    def _candidates(self, table: pa.Table, boilerplate: Hashes, given: pa.Table) -> pa.Table:
        order = pc.index_in(pa.array(clusters.numbers(table["doc_id"])), value_set=given["doc"].combine_chunks())
        rows = np.flatnonzero(order.is_valid())
        texts = without(one_array(table[self.text]), boilerplate)  # whole: those in clusters are not copied out
        table = table.select([*Dedup.needs, *(rank.columns(self.config.priority).keys() - Dedup.needs.keys())])
        table = table.take(pa.array(rows))
        return pa.table(
            [
                given["cluster"].take(order.drop_null()),
                pc.fill_null(pc.not_equal(table["split"], "valid"), True),
                rank.ranks(table, self.config.priority, self.label),
                table["doc_id"],
                table["repo"],
                _as_column(*narrow_sets(texts, self.config.words, rows)),
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
        table = table.drop_columns(["grams"])  # which are nearly all of its bytes
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

    def fate(self, verdict: Verdict, fate: str) -> Fate:
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
    data, bounds = _bytes_of(one_array(table["grams"]))
    sets = data.data
    first: dict[tuple[int, bytes], int] = {}
    leader = np.empty(len(cluster), np.int64)  # of each row, the first row of its cluster with its set
    for row, (number, (start, stop)) in enumerate(zip(cluster.tolist(), pairwise(bounds.tolist()), strict=True)):
        leader[row] = first.setdefault((number, xxh3_128_digest(sets[start:stop])), row)
    order = np.fromiter(first.values(), np.int64, len(first))
    place = np.searchsorted(order, leader)
    grams, offsets = wide_sets(data, bounds[order], bounds[order + 1])
    trains = table["trains"].to_numpy(zero_copy_only=False)[order]
    found = choose_survivors(grams, offsets, cluster[order], trains, rule)
    survivor = np.where(found.survivor >= 0, order[found.survivor], -1)[place]
    alone = survivor < 0
    is_leader = leader == np.arange(len(leader))
    survivor = np.where(alone & ~is_leader, leader, survivor)
    exact, estimated = (np.where(alone, 1.0, values[place]) for values in (found.exact, found.estimated))
    return Choice(survivor, exact, estimated)


def _as_column(data: Bytes, bounds: Ints) -> pa.Array:
    """Values that lie one behind the other as a binary column."""
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_binary(), len(bounds) - 1, buffers)


def _bytes_of(column: pa.Array) -> tuple[Bytes, Ints]:
    """The bytes behind a binary column, and where each value begins in them."""
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data, np.uint8), bounds
