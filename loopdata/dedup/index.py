"""A saved index of what exists, and the stage that drops new near copies of it, row by row.

Enters: documents that were kept before, as tables with `doc_id` and `text`; later, new documents. Leaves: a folder
with `index.json` and one Parquet file: of each document its signature, how many different grams it has, and a sketch,
the SKETCH least of their hashes; later, the new documents without near copies of those. The old texts are not needed:
of two documents with at most SKETCH grams each the Jaccard similarity is exact; else it is that of the least grams of
their union (Bar-Yossef et al. 2002), with a standard error of sqrt(J(1-J)/SKETCH), 0.014 at 0.7. Every line counts
here, also one that is boilerplate among new documents. Limit: each worker holds a whole index in memory.
"""

import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from loopdata import schema
from loopdata.compiled import compiled
from loopdata.config import Strict
from loopdata.dedup.grams import gram_sets
from loopdata.dedup.minhash import band_hashes, sign, sign_sets
from loopdata.dedup.survivors import LISTED, TRIED, Rule, alike, insert
from loopdata.errors import ConfigError
from loopdata.stage import Fate, Outcome, Resource, Stage
from loopdata.storage import Folder

COPY = "near_copy_of_indexed"
SKETCH = 1_024
FORMAT = 1
ABOUT, ROWS = "index.json", "documents.parquet"
BATCH_ROWS = 1_000


class Grams(NamedTuple):
    """What signatures depend on: two that differ here cannot be compared."""

    permutations: int
    words: int
    grams: str  # words, masked_identifiers

    def schema(self) -> pa.Schema:
        """Of the file: a signature is `permutations` 32-bit minima, a sketch ascending 64-bit hashes."""
        signature = pa.binary(4 * self.permutations)
        return pa.schema(
            [("doc_id", pa.string()), ("signature", signature), ("grams", pa.int64()), ("sketch", pa.large_binary())]
        )


def save(folder: Folder, tables: Iterable[pa.Table], kind: Grams, column: str = "text") -> int:
    """Write the index of all documents of `tables` that have grams; return how many these are."""
    rows = 0
    with folder.create(ROWS) as stream, pq.ParquetWriter(pa.PythonFile(stream, mode="w"), kind.schema()) as writer:
        for table in tables:
            for batch in table.select(["doc_id", column]).to_batches(max_chunksize=BATCH_ROWS):
                found = _rows(pa.table(batch).filter(batch[column].is_valid()), kind, column)
                writer.write_table(found)
                rows += found.num_rows
        writer.close()
    about = {"format": FORMAT, "kind": kind._asdict(), "rows": rows, "bytes": stream.num_bytes}
    about["sha256"] = stream.hexdigest()
    folder.write_atomic(ABOUT, json.dumps(about, indent=2).encode())
    return rows


def _rows(table: pa.Table, kind: Grams, column: str) -> pa.Table:
    sets = gram_sets(table[column].combine_chunks().cast(pa.large_string()), kind.words)
    offsets = np.append(0, np.cumsum([len(grams) for grams in sets])).astype(np.int64)
    signatures = sign_sets(np.concatenate([np.zeros(0, np.uint64), *sets]), offsets, kind.permutations)
    columns = [
        table["doc_id"],
        pa.array([row.tobytes() for row in signatures], pa.binary(4 * kind.permutations)),
        pa.array(np.diff(offsets)),
        pa.array([grams[:SKETCH].tobytes() for grams in sets], pa.large_binary()),
    ]
    return pa.table(columns, schema=kind.schema()).filter(pa.array(np.diff(offsets) > 0))


def find(path: str, kind: Grams) -> Resource:
    """The file of a saved index. ConfigError where there is none, it is broken, or of other signatures than `kind`."""
    folder = Folder(path)
    try:
        about = json.loads(folder.read(ABOUT))
        found, sha256 = Grams(**about["kind"]), str(about["sha256"])
        with folder.open(ROWS) as stream:
            size = stream.seek(0, io.SEEK_END)
    except FileNotFoundError:
        raise ConfigError(f"{path} holds no saved index", f"give a folder with {ABOUT} and {ROWS}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"the index {path} is broken: {ABOUT} cannot be read", "save it again") from error
    if about.get("format") != FORMAT:
        raise ConfigError(f"the index {path} has the format {about.get('format')}, not {FORMAT}", "save it again")
    for name, value in kind._asdict().items():
        if getattr(found, name) != value:
            raise ConfigError(
                f"the index {path} was saved with {name}={getattr(found, name)}, not {value}",
                f"set {name}: {getattr(found, name)}, or save it again",
            )
    if size != about.get("bytes"):
        raise ConfigError(f"the index {path} is broken: {ROWS} has {size} bytes, not those saved", "save it again")
    return Resource(folder, ROWS, sha256)


class Index:
    """A saved index in memory; its bands are hashed and sorted once for each choice of them."""

    def __init__(self, table: pa.Table) -> None:
        width = table.schema.field("signature").type.byte_width // 4
        self.doc_ids = table["doc_id"].combine_chunks()
        self.grams = table["grams"].to_numpy()
        self.signatures = _values(table["signature"], np.uint32).reshape(-1, width)
        self.sketches = _values(table["sketch"], np.uint64)
        self.offsets = np.append(0, np.cumsum(np.minimum(self.grams, SKETCH)))
        self._buckets: dict[tuple[int, int], tuple[Any, Any]] = {}

    def buckets(self, bands: int, rows: int) -> tuple[Any, Any]:
        """All band hashes, ascending, and the document of each."""
        if (bands, rows) not in self._buckets:
            keys = band_hashes(self.signatures, bands, rows).reshape(-1)
            order = np.argsort(keys, kind="stable")
            self._buckets[bands, rows] = keys[order], (order // bands).astype(np.uint32)
        return self._buckets[bands, rows]


def _values(column: pa.ChunkedArray, kind: Any) -> Any:
    return np.frombuffer(b"".join(memoryview(value.as_buffer()) for value in column), kind)


def read(raw: bytes) -> Index:
    """The index of the bytes of its file: what a Resource loads."""
    return Index(pq.read_table(io.BytesIO(raw), use_threads=False))


class AgainstConfig(Strict):
    """`path`: the folder of the index; `column`: of the texts that its grams are of."""

    path: str
    column: str = "text"
    words: int = Field(default=5, ge=1)
    grams: str = "words"


class AgainstIndex(Stage):
    """Drops near copies of indexed documents."""

    name = "against_index"
    Config = AgainstConfig
    needs: ClassVar[dict[str, pa.DataType]] = {"doc_id": schema.DOCUMENT["doc_id"]}

    def __init__(self, config: AgainstConfig, rule: Rule, *, label: str = "", seed: int = 0) -> None:
        """ConfigError as `find` raises it."""
        super().__init__(config, label=label, seed=seed)
        self.rule = rule
        self.needs = {**type(self).needs, config.column: pa.large_string()}  # type: ignore[misc]
        self._resource = find(config.path, Grams(rule.permutations, config.words, config.grams))

    def resources(self) -> dict[str, Resource]:
        return {"index": self._resource}

    def identity(self) -> dict[str, Any]:
        """Of the path only the name, which fates carry: an index that was moved is still the same."""
        config = self.config.model_dump() | {"path": self.index_name}
        return super().identity() | {"config": config, "rule": repr(self.rule)}

    @property
    def index_name(self) -> str:
        return str(self.config.path).rstrip("/").rpartition("/")[2]

    def apply(self, table: pa.Table) -> Outcome:
        """Drop what is at least `threshold` like an indexed document."""
        index = self._resource.load(read)
        texts = table[self.config.column].combine_chunks().fill_null("")
        signatures, _ = sign(texts, self.rule.permutations, self.config.words)
        sets = gram_sets(texts, self.config.words)
        fates = []
        for place, grams in enumerate(sets):
            found = self._copy(index, grams, signatures[place]) if len(grams) else None
            if found is not None:
                fates.append(self._fate(table["doc_id"][place].as_py(), *found))
        ended = {fate.subject for fate in fates}
        keep = [doc_id not in ended for doc_id in table["doc_id"].to_pylist()]
        return Outcome(table.filter(pa.array(keep, pa.bool_())), fates)

    def _copy(self, index: Index, grams: Any, signature: Any) -> tuple[str, float, float, bool] | None:
        """The document that this is a copy of: its id, their similarity, the estimate, whether it is exact."""
        bands = self.rule.bands
        keys, documents = index.buckets(*bands)
        mine = band_hashes(signature.reshape(1, -1), *bands)[0]
        found, scores = np.empty(TRIED, np.int64), np.empty(TRIED, np.float64)
        count = _nearest(mine, keys, documents, index.signatures, signature, self.rule.floor, found, scores)
        for place in range(count):
            other = int(found[place])
            sketch = index.sketches[index.offsets[other] : index.offsets[other + 1]]
            exact = len(grams) <= SKETCH and index.grams[other] <= SKETCH
            similarity = sketch_similarity(grams[:SKETCH], len(grams), sketch, index.grams[other])
            if similarity >= self.rule.threshold:
                return index.doc_ids[other].as_py(), float(similarity), float(scores[place]), exact
        return None

    def _fate(self, doc_id: str, ref: str, similarity: float, estimated: float, exact: bool) -> Fate:
        how = "exact" if exact else f"of {SKETCH} least grams"
        details = f"estimated={estimated:.3f} similarity={how} index={self.index_name}"
        return Fate(doc_id, self.label, "dropped", COPY, similarity, self.rule.threshold, ref, details)


@compiled
def _nearest(
    mine: Any, keys: Any, documents: Any, signatures: Any, signature: Any, floor: Any, found: Any, scores: Any
) -> Any:
    """Write the documents that share a band, the most alike first, to `found`; return how many there are."""
    count, seen = 0, {np.int64(-1)}
    for key in mine:
        first = np.searchsorted(keys, key)
        for at in range(first, min(first + LISTED, len(keys))):
            other = np.int64(documents[at])
            if keys[at] != key:
                break
            if other in seen:
                continue
            seen.add(other)
            score = alike(signature, signatures[other])
            if score >= floor:
                count = insert(other, score, found, scores, count)
    return count


@compiled
def sketch_similarity(left: Any, left_size: Any, right: Any, right_size: Any) -> Any:
    """Jaccard similarity of two sets from their least values, ascending; exact where both are whole."""
    most = left_size + right_size
    if len(left) < left_size:
        most = min(most, len(left))
    if len(right) < right_size:
        most = min(most, len(right))
    both, count, i, j = 0, 0, 0, 0
    while count < most and (i < len(left) or j < len(right)):
        if j == len(right) or (i < len(left) and left[i] < right[j]):
            i += 1
        elif i == len(left) or right[j] < left[i]:
            j += 1
        else:
            both, i, j = both + 1, i + 1, j + 1
        count += 1
    return both / count if count else 0.0


def minhashes(index: Index) -> Iterator[tuple[str, Any]]:
    """Each document with a datasketch LeanMinHash of its signature; fill a MinHashLSH with them for quick questions.

    ConfigError where datasketch is not installed. `minhash_of` makes the one to ask with.
    """
    for doc_id, signature in zip(index.doc_ids.to_pylist(), index.signatures, strict=True):
        yield doc_id, _lean(signature)


def minhash_of(text: str, kind: Grams) -> Any:
    """The datasketch LeanMinHash of a text, comparable with those of an index of this kind."""
    return _lean(sign(pa.array([text], pa.large_string()), kind.permutations, kind.words)[0][0])


def _lean(signature: Any) -> Any:
    try:
        from datasketch import LeanMinHash
    except ImportError:
        raise ConfigError("datasketch is not installed", "pip install datasketch==2.0.0") from None
    return LeanMinHash(seed=1, hashvalues=signature, scheme="affine32")
