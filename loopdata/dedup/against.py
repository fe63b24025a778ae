"""Drops near copies of the documents of a saved index, before `near_dedup` compares new ones with each other.

Enters: documents, and an index (see `loopdata.dedup.index`). Leaves: those that are no near copy of an indexed one.
Round `meet`: band hashes of the new documents travel through the exchange; a reduce reads of the index only the bands
between which its own lie, group by group, so that a few questions read little, and many read the index once, in order.
Then the records of those that met are read by their place, the nearest by estimate first, and compared. Every line
counts here, also one that is boilerplate among new documents. Limit: at most LISTED indexed documents a band are looked
at, and TRIED compared; the candidates of one unit are held in memory, 28 bytes each.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from loopdata import schema
from loopdata.compiled import compiled
from loopdata.config import Strict
from loopdata.dedup.clusters import numbers
from loopdata.dedup.grams import Hashes, distinct, gram_sets
from loopdata.dedup.index import SKETCH, Grams, Record, open_index, run_places, signatures_of
from loopdata.dedup.minhash import band_hashes, sign
from loopdata.dedup.survivors import LISTED, TRIED, Rule
from loopdata.dedup.verdicts import Partitions
from loopdata.errors import ConfigError
from loopdata.stage import CorpusStage, Fate, Outcome, Resource, Round

COPY = "near_copy_of_indexed"
READ_BYTES = 64 << 20  # of records that are held at once

ASKED = pa.schema([("key", pa.uint64()), ("doc", pa.uint64()), ("unit", pa.uint64())])
MET = pa.schema(
    [
        ("unit", pa.uint64()),
        ("doc", pa.uint64()),
        ("segment", pa.uint32()),
        ("at", pa.uint64()),
        ("size", pa.uint32()),
    ]
)


class AgainstConfig(Strict):
    """`path`: the folder of the index; `column`: of the texts that its grams are of; `detection`: share of pairs at the
    threshold that its bands must find."""

    path: str
    column: str = "text"
    words: int = Field(default=5, ge=1)
    grams: str = "words"
    detection: float = 0.98
    partitions: Partitions = 16


class AgainstIndex(CorpusStage):
    """Drops near copies of indexed documents."""

    name = "against_index"
    version = 3
    Config = AgainstConfig
    needs: ClassVar[dict[str, pa.DataType]] = {"doc_id": schema.DOCUMENT["doc_id"]}

    def __init__(self, config: AgainstConfig, rule: Rule, *, label: str = "", seed: int = 0) -> None:
        """ConfigError as `open_index` raises it, and for an index of other signatures or too few bands."""
        super().__init__(config, label=label, seed=seed)
        self.rule = rule
        self.needs = {**type(self).needs, config.column: pa.large_string()}  # type: ignore[misc]
        self.index, self._about = open_index(config.path)
        self._check()
        self.rounds = (Round("meet", ASKED, MET, partitions=config.partitions),)  # type: ignore[misc]

    def _check(self) -> None:
        path, wanted = self.config.path, Grams(self.rule.permutations, self.config.words, self.config.grams)
        for name, value in wanted._asdict().items():
            if (found := getattr(self.index.kind, name)) != value:
                raise ConfigError(
                    f"the index {path} was saved with {name}={found}, not {value}",
                    f"set {name}: {found}, or save it again",
                )
        if (share := self.index.bands.detection(self.rule.threshold)) < self.config.detection:
            raise ConfigError(
                f"the index {path} detects {share:.4g} of the pairs at {self.rule.threshold}, not "
                f"{self.config.detection:.4g}",
                f"raise `threshold`, or save it again by `loopdata index --threshold {self.rule.threshold}`",
            )

    def resources(self) -> dict[str, Resource]:
        """`index.json`, which knows the sizes of the other files and what they hold."""
        return {"index": self._about}

    def identity(self) -> dict[str, Any]:
        """Of the path only the name, which fates carry: an index that was moved is still the same."""
        config = self.config.model_dump() | {"path": self.index_name}
        return super().identity() | {"config": config, "rule": [self.rule.threshold, self.rule.permutations]}

    @property
    def index_name(self) -> str:
        return str(self.config.path).rstrip("/").rpartition("/")[2]

    def map(self, step: Round, table: pa.Table, given: Mapping[str, pa.Table]) -> pa.Table:
        """A row a band of each document that has grams."""
        table = table.filter(table[self.config.column].is_valid())
        signatures, grams = sign(schema.one_array(table[self.config.column]), self.rule.permutations, self.config.words)
        keys = band_hashes(signatures[grams > 0], *self.index.bands)
        documents = np.repeat(numbers(table["doc_id"])[grams > 0], self.index.bands.bands)
        columns = [pa.array(keys.reshape(-1)), pa.array(documents), pa.nulls(keys.size, pa.uint64())]
        return pa.table(columns, schema=ASKED)

    def reduce(self, step: Round, table: pa.Table) -> pa.Table:
        """Each new document with the indexed ones that share a band with it."""
        keys = table["key"].to_numpy()
        rows = (_once(_joined(table, keys, *found)) for found in self._found(keys))  # two meet in many bands
        return _once(pa.concat_tables([MET.empty_table(), *rows]))

    def _found(self, keys: Hashes) -> Iterator[tuple[int, pa.Table]]:
        """What the index holds under these keys, by segment: of each key the first LISTED."""
        wanted = distinct(keys)
        room = np.full(len(wanted), LISTED)
        for segment, table in self.index.meeting(wanted):
            place = np.searchsorted(wanted, table["key"].to_numpy())
            keep = run_places(place) < room[place]
            np.subtract.at(room, place[keep], 1)
            yield segment, table.filter(pa.array(keep))

    def apply(self, table: pa.Table, verdicts: pa.Table) -> Outcome:
        """Drop what is at least `threshold` like an indexed document that it met."""
        ids = table["doc_id"].to_pylist()
        place = pc.index_in(verdicts["doc"], value_set=pa.array(numbers(table["doc_id"])))
        met = verdicts.append_column("place", place).filter(place.is_valid())
        met = met.group_by(["place", "segment", "at", "size"], use_threads=False).aggregate([])
        met = met.sort_by([("place", "ascending"), ("segment", "ascending"), ("at", "ascending")])
        fates = [fate for part in _parts(met) for fate in self._fates(table, ids, part)]
        ended = {fate.subject for fate in fates}
        return Outcome(table.filter(pa.array([doc_id not in ended for doc_id in ids], pa.bool_())), fates)

    def _fates(self, table: pa.Table, ids: list[str], met: pa.Table) -> Iterator[Fate]:
        """Fates of the copies among documents with all that they met."""
        places, first, counts = np.unique(met["place"].to_numpy(), return_index=True, return_counts=True)
        sets = gram_sets(table[self.config.column].take(pa.array(places)).combine_chunks(), self.config.words)
        signatures = signatures_of(sets, self.rule.permutations)
        records = self._records(met)
        for number, (start, count) in enumerate(zip(first, counts, strict=True)):
            found = self._copy(sets[number], signatures[number], records[start : start + count])
            if found is not None:
                yield self._fate(ids[places[number]], len(sets[number]), *found)

    def _records(self, met: pa.Table) -> list[Record]:
        """The record of each row; one that several documents met is read once."""
        rows = list(zip(*(met[name].to_pylist() for name in ("segment", "at", "size")), strict=True))
        read: dict[tuple[int, int, int], Record] = {}
        for segment in sorted({row[0] for row in rows}):
            mine = sorted({row for row in rows if row[0] == segment})
            found = self.index.records(segment, [row[1] for row in mine], [row[2] for row in mine])
            read |= zip(mine, found, strict=True)
        return [read[row] for row in rows]

    def _copy(self, grams: Hashes, signature: Any, records: list[Record]) -> tuple[Record, float, float] | None:
        """The first of the TRIED best by estimate that reaches the threshold, its similarity, and the estimate."""
        estimates = np.mean(np.stack([record.signature for record in records]) == signature, axis=1)
        for place in np.argsort(-estimates, kind="stable")[:TRIED]:
            if estimates[place] < self.rule.floor:
                break
            record = records[place]
            similarity = sketch_similarity(grams[:SKETCH], len(grams), record.sketch, record.grams)
            if similarity >= self.rule.threshold:
                return record, float(similarity), float(estimates[place])
        return None

    def _fate(self, doc_id: str, grams: int, record: Record, similarity: float, estimated: float) -> Fate:
        how = "exact" if max(grams, record.grams) <= SKETCH else f"of {SKETCH} least grams"
        details = f"estimated={estimated:.3f} similarity={how} index={self.index_name}"
        return Fate(doc_id, self.label, "dropped", COPY, similarity, self.rule.threshold, record.doc_id, details)


def _joined(table: pa.Table, keys: Hashes, segment: int, found: pa.Table) -> pa.Table:
    """Rows of MET: each of `table`, sorted by `keys`, with each row of the index that has its key."""
    start, stop = (np.searchsorted(keys, found["key"].to_numpy(), side) for side in ("left", "right"))
    counts = stop - start
    indexed = found.take(pa.array(np.repeat(np.arange(len(counts)), counts)))
    ends = np.cumsum(counts)
    asked = table.take(pa.array(np.arange(counts.sum()) + np.repeat(start - (ends - counts), counts)))
    segments = pa.repeat(pa.scalar(segment, pa.uint32()), asked.num_rows)
    return pa.table([asked["unit"], asked["doc"], segments, indexed["at"], indexed["size"]], schema=MET)


def _once(rows: pa.Table) -> pa.Table:
    return rows.group_by(rows.column_names, use_threads=False).aggregate([])


def _parts(met: pa.Table) -> Iterator[pa.Table]:
    """Rows cut where a document ends, so that the records of a part have some READ_BYTES."""
    places, sizes = met["place"].to_numpy(), np.cumsum(met["size"].to_numpy(), dtype=np.int64)
    start: int = 0
    for stop in map(int, np.flatnonzero(np.append(places[1:] != places[:-1], True)[: len(places)]) + 1):
        if stop == len(places) or sizes[stop - 1] - (sizes[start - 1] if start else 0) >= READ_BYTES:
            yield met.slice(start, stop - start)
            start = stop


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
