"""The `semantic_dedup` stage: of documents whose vectors point the same way one survives. Off unless a run names it.

Enters: documents with `text`, and an embedder (see `loopdata.embedding`). Leaves: documents no two of which, in one
cluster, have a cosine of `threshold` or more. Method: SemDeDup (Abbas et al. 2023): spherical k-means by faiss over a
sample of the training split that hashes draw; every document goes to its nearest centre; in each cluster survivors are
chosen by priority, held-out documents first, and a copy names the one that it is like. Rounds: `fit`, `members`.
Documents are compared with survivors only, a block at a time, so that a cluster of copies costs little. Products that
decide are summed in a fixed order, in double precision; those in single precision only name candidates. Limit: copies
in two clusters are not seen, a cluster beyond `max_cluster` is judged in parts, and `fit` holds its sample in one
process.
"""

import importlib.metadata
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from loopdata import schema
from loopdata.compiled import compiled
from loopdata.config import Strict
from loopdata.dedup import rank
from loopdata.dedup.components import mixed
from loopdata.dedup.verdicts import Dedup, DedupConfig, Partitions, Verdict
from loopdata.embedding import (
    FEATURES,
    BuiltIn,
    BuiltInConfig,
    Embedder,
    EmbedderConfig,
    Static,
    Table,
    Texts,
    Vectors,
    features,
    table_of,
)
from loopdata.stage import Fate, Resource, Round
from loopdata.syntax.grammars import grammar_versions

COPY, HELD_OUT_COPY = "semantic_copy", "semantic_copy_of_held_out"
DOCUMENTS_A_CENTRE = 40  # of the sample, at least: fewer make centres of single documents
ITERATIONS, KMEANS_SEED = 20, 1
SLACK = 1e-4  # candidates are found in single precision
BLOCK = 256  # rows that are compared with all survivors at once: 4 bytes a pair

SAMPLED = pa.schema([("key", pa.uint64()), ("drawn", pa.float64()), ("data", pa.large_binary()), ("unit", pa.uint64())])
FITTED = pa.schema(
    [
        ("unit", pa.uint64()),
        ("documents", pa.int64()),
        ("frequencies", pa.large_binary()),  # int64, of the built-in embedder
        ("centres", pa.large_binary()),  # float32
        ("dimensions", pa.int64()),
    ]
)
MEMBER = pa.schema(
    [
        ("key", pa.uint64()),  # the cluster
        ("trains", pa.bool_()),
        ("rank", pa.binary()),
        ("doc_id", pa.string()),
        ("repo", pa.string()),
        ("vector", pa.large_binary()),
        ("unit", pa.uint64()),
    ]
)
VERDICTS = pa.schema(
    [
        ("unit", pa.uint64()),
        ("doc_id", pa.string()),
        ("rule", pa.string()),
        ("ref", pa.string()),
        ("ref_repo", pa.string()),
        ("cosine", pa.float64()),
    ]
)


class SemanticConfig(DedupConfig):
    """`threshold`: cosine from which a document is a copy. `clusters`: at most so many. `sample_share` of the training
    documents, and the first `sample` of them in the order of their draw, fit the embedder and the centres."""

    threshold: float = Field(default=0.95, gt=0, le=1)
    embedder: EmbedderConfig = BuiltInConfig()
    clusters: int = Field(default=256, ge=1)
    sample: int = Field(default=20_000, ge=1)
    sample_share: float = Field(default=1.0, gt=0, le=1)
    max_cluster: int = Field(default=8_192, ge=2)
    partitions: Partitions = 16


class SemanticDedup(Dedup):
    """Keeps one of texts that mean the same."""

    name = "semantic_dedup"
    stays = COPY
    Config = SemanticConfig

    def __init__(self, config: Strict | None = None, *, label: str = "", seed: int = 0) -> None:
        """ConfigError where the embedder's folder holds none."""
        super().__init__(config, label=label, seed=seed)
        self.needs = {  # type: ignore[misc]
            **self.needs,
            **{name: schema.DOCUMENT[name] for name in ("text", "text_id", "language")},
        }
        embedder = self.config.embedder
        self._table = table_of(embedder.path) if embedder.kind == "table" else None
        self._files = Static.resources(embedder.path) if embedder.kind == "folder" else {}
        self.rounds = (  # type: ignore[misc]
            Round("fit", SAMPLED, FITTED, partitions=1),
            Round("members", MEMBER, VERDICTS, partitions=self.config.partitions),
        )

    def identity(self) -> dict[str, Any]:
        """The centres are faiss's, and the words of the built-in embedder those of trees."""
        found = super().identity() | {"faiss": importlib.metadata.version("faiss-cpu")}
        return found | ({"grammars": grammar_versions()} if self.config.embedder.kind == "built_in" else {})

    def resources(self) -> Mapping[str, Resource]:
        return {"vectors": self._table} if self._table is not None else self._files

    def map(self, step: Round, table: pa.Table, given: Mapping[str, pa.Table]) -> pa.Table:
        """Rows of `step.emits`: of each document what fits the embedder, where it is drawn; or its vector."""
        table = table.filter(table["text"].is_valid())
        if step.name == "fit":
            return self._sampled(table)
        return self._members(table, given["fit"])

    def reduce(self, step: Round, table: pa.Table) -> pa.Table:
        """Rows of `step.gives`: what was fitted, for every unit; or a verdict for each copy."""
        return self._fit(table) if step.name == "fit" else self._verdicts(table)

    def fate(self, verdict: Verdict, fate: str) -> Fate:
        where = f" repo={verdict['ref_repo']}" if verdict["ref_repo"] is not None else ""
        return Fate(
            verdict["doc_id"],
            self.label,
            fate,
            verdict["rule"],
            verdict["cosine"],
            self.config.threshold,
            verdict["ref"],
            f"level=semantic{where}",
        )

    def _sampled(self, table: pa.Table) -> pa.Table:
        drawn = [self.random(doc_id) for doc_id in table["doc_id"].to_pylist()]
        trains = pc.fill_null(pc.not_equal(table["split"], "valid"), True).to_pylist()
        wanted = [use and draw < self.config.sample_share for use, draw in zip(trains, drawn, strict=True)]
        chosen = table.filter(pa.array(wanted, pa.bool_()))
        data = iter(self._raw(_texts(chosen)))
        columns = [
            np.zeros(table.num_rows, np.uint64),
            drawn,
            pa.array([next(data) if want else None for want in wanted], pa.large_binary()),
            pa.nulls(table.num_rows, pa.uint64()),
        ]
        return pa.table([pa.array(column) for column in columns], schema=SAMPLED)

    def _raw(self, texts: Texts) -> list[bytes]:
        """Counted features for the built-in embedder, else vectors."""
        if self.config.embedder.kind != "built_in":
            return [vector.tobytes() for vector in self._embedder(None).embed(texts)]
        return [features(*entry).tobytes() for entry in zip(texts.texts, texts.languages, strict=True)]

    def _fit(self, table: pa.Table) -> pa.Table:
        units = pc.unique(table["unit"]).sort()
        data = table.filter(table["data"].is_valid()).sort_by([("drawn", "ascending"), ("data", "ascending")])
        found = data["data"].to_pylist()[: self.config.sample]
        frequencies = np.zeros(FEATURES, np.int64)
        if self.config.embedder.kind == "built_in":
            for raw in found:
                frequencies[np.frombuffer(raw, np.int64)] += 1
            embedder = BuiltIn(self.config.embedder, frequencies, len(found))
            vectors = embedder.project(np.frombuffer(raw, np.int64) for raw in found)
        else:
            vectors = np.array([np.frombuffer(raw, np.float32) for raw in found])
        centres = _centres(vectors, self.config.clusters)
        row = [len(found), frequencies.tobytes(), centres.tobytes(), centres.shape[1]]
        kinds = zip(row, FITTED.types[1:], strict=True)
        return pa.table([units, *(pa.repeat(pa.scalar(*pair), len(units)) for pair in kinds)], schema=FITTED)

    def _members(self, table: pa.Table, fitted: pa.Table) -> pa.Table:
        if not table.num_rows:
            return MEMBER.empty_table()
        model = fitted.slice(0, 1).to_pylist()[0]
        vectors = self._embedder(model).embed(_texts(table))
        centres = np.frombuffer(model["centres"], np.float32).reshape(-1, model["dimensions"])
        members = pa.table(
            [
                pa.array(mixed(_nearest(vectors, centres))),
                pc.fill_null(pc.not_equal(table["split"], "valid"), True),
                rank.ranks(table, self.config.priority, self.label),
                table["doc_id"],
                table["repo"],
                pa.array([vector.tobytes() for vector in vectors], pa.large_binary()),
                pa.nulls(table.num_rows, pa.uint64()),
            ],
            schema=MEMBER,
        )
        return members.filter(pa.array(vectors.any(axis=1)))

    def _embedder(self, model: Mapping[str, Any] | None) -> Embedder:
        if self.config.embedder.kind == "table":
            assert self._table is not None
            return self._table.load(Table)
        if self.config.embedder.kind == "folder":
            return Static(self._files)
        assert model is not None
        return BuiltIn(self.config.embedder, np.frombuffer(model["frequencies"], np.int64), model["documents"])

    def _verdicts(self, table: pa.Table) -> pa.Table:
        """The rows come sorted by cluster, split and rank: best first."""
        found = [self._copies(part) for part in self._parts(table)]
        return pa.concat_tables([VERDICTS.empty_table(), *found])

    def _parts(self, table: pa.Table) -> Iterator[pa.Table]:
        """Whole clusters; those beyond `max_cluster` in parts, dealt in order."""
        keys = table["key"].to_numpy()
        begins = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
        for start, stop in zip(begins, [*begins[1:], len(keys)], strict=True):
            parts = -(-(stop - start) // self.config.max_cluster)
            for part in range(parts):
                yield table.take(pa.array(np.arange(start + part, stop, parts)))

    def _copies(self, table: pa.Table) -> pa.Table:
        vectors = np.frombuffer(b"".join(table["vector"].to_pylist()), np.float32).reshape(table.num_rows, -1)
        survivor, cosine = _survivors(vectors, self.config.threshold)
        copies = np.flatnonzero(survivor >= 0)
        copy, kept = table.take(pa.array(copies)), table.take(pa.array(survivor[copies]))
        held_out = pc.and_(copy["trains"], pc.invert(kept["trains"]))
        rule = pc.if_else(held_out, HELD_OUT_COPY, COPY)
        columns = [copy["unit"], copy["doc_id"], rule, kept["doc_id"], kept["repo"], pa.array(cosine[copies])]
        return pa.table(columns, schema=VERDICTS)


def _texts(table: pa.Table) -> Texts:
    texts = table["text"].cast(pa.large_binary()).to_pylist()
    return Texts(texts, table["language"].to_pylist(), table["text_id"].to_pylist())


def _centres(vectors: Vectors, most: int) -> Vectors:
    """At most so many centres, by spherical k-means on one thread."""
    import faiss

    vectors = vectors[vectors.any(axis=1)] if len(vectors) else np.zeros((0, 1), np.float32)
    count = max(1, min(most, len(vectors) // DOCUMENTS_A_CENTRE))
    if count == 1:  # takes all vectors, also of a length that an empty sample does not know
        return np.ones((1, vectors.shape[1]), np.float32)
    faiss.omp_set_num_threads(1)
    means = faiss.Kmeans(vectors.shape[1], count, niter=ITERATIONS, seed=KMEANS_SEED, spherical=True)
    means.train(np.ascontiguousarray(vectors))
    centres: Vectors = np.array(means.centroids, np.float32)
    return centres


def _survivors(vectors: Vectors, threshold: float) -> tuple[Any, Any]:
    """For each row the first survivor before it that is like it, -1 where it survives; and their cosine."""
    survivor, cosine = np.full(len(vectors), -1, np.int64), np.zeros(len(vectors), np.float64)
    kept, rows = np.empty_like(vectors), np.empty(len(vectors), np.int64)  # survivors so far, and where they stand
    count = 0
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        kept[count : count + len(block)] = block
        rows[count : count + len(block)] = np.arange(start, start + len(block))
        like = block @ kept[: count + len(block)].T >= threshold - SLACK
        _choose(vectors, start, like, rows, count, threshold, survivor, cosine)
        stay = np.flatnonzero(survivor[start : start + len(block)] < 0)
        kept[count : count + len(stay)], rows[count : count + len(stay)] = block[stay], start + stay
        count += len(stay)
    return survivor, cosine


@compiled
def _nearest(vectors: Any, centres: Any) -> Any:
    """The centre with the greatest product, the first of equal ones."""
    found = np.zeros(len(vectors), np.uint64)
    if len(centres) == 1:
        return found
    for row in range(len(vectors)):
        best = -np.inf
        for centre in range(len(centres)):
            product = _product(vectors[row], centres[centre])
            if product > best:
                best, found[row] = product, centre
    return found


@compiled
def _choose(
    vectors: Any, start: Any, like: Any, rows: Any, count: Any, threshold: Any, survivor: Any, cosine: Any
) -> None:
    """Decide a block from `start` on: `rows` names `count` survivors, then the rows of the block itself."""
    for place in range(len(like)):
        row = start + place
        for at in range(count + place):
            other = rows[at]
            if not like[place, at] or survivor[other] >= 0:
                continue
            product = _product(vectors[row], vectors[other])
            if product >= threshold:
                survivor[row], cosine[row] = other, min(product, 1.0)
                break


@compiled
def _product(left: Any, right: Any) -> Any:
    total = 0.0
    for place in range(len(left)):
        total += np.float64(left[place]) * np.float64(right[place])
    return total
