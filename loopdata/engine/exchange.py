"""The exchange: rows travel from every map to the reduce of their key, through files, in bounded memory.

Enters: tables with a column `key` (uint64, evenly spread: a hash). A map writes a file of parts, one for each partition
(the top bits of the key) that it has rows for. What all maps wrote for a partition is its share: the driver keeps one
digest of it, over the digests of its parts, so that a reduce depends on nothing but its own rows; the reduce finds its
parts in the files, and checks that they are those. It reads them in sub-ranges of the key space, each small enough for
`max_bytes`, sorted by key and then by every other column: what it sees does not depend on how the rows were cut into
units. Method: hash partitioning with a second split by the next bits of the key. Limit: all rows of one key must fit in
memory.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopdata.engine.part_file import Part, PartFile, PartWriter, find_parts, part_file, read_indexes, read_parts
from loopdata.engine.unit import UNKNOWN, Manifest
from loopdata.errors import RunError
from loopdata.storage import Folder

MAX_SORT_BYTES = 256 << 20
RECORDS = 1 << 18  # of indexes that the driver looks at together
NOTHING = hashlib.sha256().hexdigest()  # the digest of a share without rows


@dataclass(frozen=True)
class Share:
    """What files hold under one name. `files` names the list of them; `digest` is over the digests of its parts."""

    files: str
    name: int
    num_bytes: int
    digest: str


class Shares:
    """The shares of what a phase wrote: its indexes are read once, some at a time, and none is kept."""

    def __init__(self, folder: Folder, found: Sequence[Manifest]) -> None:
        files = [part_file(manifest, "rows") for manifest in found]
        self._known = all(manifest.known for manifest in found)
        self._states: dict[int, hashlib._Hash] = {}
        self._bytes: dict[int, int] = {}
        batch: list[np.ndarray] = []
        waiting = 0
        for records in read_indexes(folder, files if self._known else ()):
            batch.append(records)
            waiting += len(records)
            if waiting >= RECORDS:
                self._add(batch)
                batch, waiting = [], 0
        if batch:
            self._add(batch)
        self._folder = folder
        self._list = json.dumps([astuple(file) for file in files if file.parts]).encode()
        self._files = f"data/{found[0].phase if found else ''}/{hashlib.sha256(self._list).hexdigest()[:16]}.list"

    def _add(self, indexes: list[np.ndarray]) -> None:
        """Go on with the digest of each name over its parts in these files: one step a name, not one a part."""
        columns = [np.concatenate([records[name] for records in indexes]) for name in ("name", "num_bytes", "digest")]
        order = np.argsort(columns[0], kind="stable")
        names, sizes, digests = (column[order] for column in columns)
        starts = np.flatnonzero(np.append(True, names[1:] != names[:-1]))
        sums, stops = np.add.reduceat(sizes, starts).tolist(), [*starts[1:].tolist(), len(names)]
        raw, width = memoryview(digests.tobytes()), digests.dtype.itemsize
        for name, start, stop, size in zip(names[starts].tolist(), starts.tolist(), stops, sums, strict=True):
            self._states.setdefault(name, hashlib.sha256()).update(raw[width * start : width * stop])
            self._bytes[name] = self._bytes.get(name, 0) + size

    def publish(self) -> None:
        """Write the list of the files where tasks find it: once, instead of into each of them."""
        self._folder.write_atomic(self._files, self._list)

    def of(self, name: int) -> Share:
        """The share under a name; an unknown one while planning."""
        if not self._known:
            return Share(self._files, name, 0, UNKNOWN)
        if name not in self._states:
            return Share(self._files, name, 0, NOTHING)
        return Share(self._files, name, self._bytes[name], self._states[name].hexdigest())


@lru_cache(maxsize=4)
def _listed(url: str, name: str) -> tuple[PartFile, ...]:
    return tuple(PartFile(*entry) for entry in json.loads(Folder(url).read(name)))


def partition_of(keys: np.ndarray, partitions: int) -> np.ndarray:
    """Partition of each uint64 key: its top bits. `partitions` is a power of two."""
    bits = partitions.bit_length() - 1
    if partitions != 1 << bits:
        raise ValueError(f"partitions must be a power of two, found {partitions}")
    shifted: np.ndarray = keys >> np.uint64(64 - bits) if bits else np.zeros_like(keys)
    return shifted.astype(np.uint16) if bits <= 16 else shifted  # which numpy sorts by radix


def partition_name(number: int, partitions: int) -> int:
    """The name of a partition in files of parts: the least key in it."""
    return (number << 64) // partitions


def write_partitions(writer: PartWriter, table: pa.Table, partitions: int) -> None:
    """Write rows cut by partition."""
    table = table.combine_chunks()
    which = partition_of(table["key"].to_numpy(), partitions)
    order = np.argsort(which, kind="stable")
    present, starts = np.unique(which[order], return_index=True)
    for number, rows in zip(present.tolist(), np.split(order, starts)[1:], strict=True):
        writer.write(partition_name(number, partitions), table, rows)


def read_share(folder: Folder, share: Share) -> Iterator[pa.Table]:
    """The rows of a share, part by part."""
    return read_parts(folder, _found(folder, share))


def _found(folder: Folder, share: Share) -> list[Part]:
    """The parts of a share. RunError where they are not those that its digest was made of."""
    if share.digest == NOTHING:
        return []
    parts = list(find_parts(folder, _listed(folder.url, share.files), share.name))
    if hashlib.sha256(b"".join(part.digest for part in parts)).hexdigest() != share.digest:
        raise RunError(f"what files in {folder.url} hold for one reduce is not what was written", "run again")
    return parts


def read_sorted(folder: Folder, share: Share, partitions: int, max_bytes: int = MAX_SORT_BYTES) -> Iterator[pa.Table]:
    """Tables of whole keys, each sorted, that together hold every row of a share (one partition) once."""
    parts = _found(folder, share)
    ranges = 1
    while share.num_bytes / ranges > max_bytes and partitions * ranges < 1 << 32:
        ranges *= 2
    for number in range(ranges):
        found = [
            chosen
            for table in read_parts(folder, parts)
            if (chosen := _in_range(table, partitions, ranges, number)).num_rows
        ]
        if found:
            yield sort_rows(pa.concat_tables(found))


def _in_range(table: pa.Table, partitions: int, ranges: int, number: int) -> pa.Table:
    if ranges == 1:
        return table
    fine = partition_of(table["key"].to_numpy(), partitions * ranges)
    return table.filter(pa.array(fine % np.uint64(ranges) == number))


def sort_rows(table: pa.Table) -> pa.Table:
    """Sort by key, then by every other column: equal sets of rows become equal tables.

    Only the rows of keys that stand more than once are compared by more than their key.
    """
    keys = table["key"].to_numpy()
    order = np.argsort(keys)
    keys = keys[order]
    same = keys[1:] == keys[:-1]
    again = np.flatnonzero((np.append(same, False) | np.append(False, same))[: len(keys)])
    if len(again):
        order[again] = order[again][_by_all_columns(table, pa.array(order[again]))]
    return table.take(pa.array(order)).combine_chunks()


def _by_all_columns(table: pa.Table, rows: pa.Array) -> pa.Array:
    """The order of some rows. Large columns are copied only where those before leave rows that are alike."""
    names = list(dict.fromkeys(("key", *table.column_names)))
    large = (at for at, name in enumerate(names) if pa.types.is_large_binary(table.schema.field(name).type))
    for by in (names[: next(large, None)], names):
        some = table.select(by).take(rows)
        if len(by) == len(names) or some.group_by(by, use_threads=False).aggregate([]).num_rows == len(rows):
            break
    return pc.sort_indices(some, sort_keys=[(name, "ascending") for name in by])
