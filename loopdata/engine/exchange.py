"""The exchange: rows travel from every map to the reduce of their key, through files, in bounded memory.

Enters: tables with a column `key` (uint64, evenly spread: a hash). A map writes one file whose row groups are the
partitions (the top bits of the key), each with its digest, so that a reduce depends only on its own part. A reduce
reads its partition in sub-ranges of the key space, each small enough for `max_bytes`, sorted by key and then by every
other column: what it sees does not depend on how the rows were cut into units. Method: hash partitioning with a
second split by the next bits of the key. Limit: all rows of one key must fit in memory.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopdata.engine.tables import TableWriter, open_table
from loopdata.engine.unit import UNKNOWN, Manifest, Output
from loopdata.storage import Folder

MAX_SORT_BYTES = 256 << 20
READ_ROWS = 65_536


@dataclass(frozen=True)
class Part:
    """Row groups `first` … `first + groups - 1` of a file (all where `groups` is -1); bytes in memory; digest."""

    output: Output
    first: int
    groups: int
    rows: int
    num_bytes: int
    digest: str


def partition_of(keys: np.ndarray, partitions: int) -> np.ndarray:
    """Partition of each uint64 key: its top bits. `partitions` is a power of two."""
    bits = partitions.bit_length() - 1
    if partitions != 1 << bits:
        raise ValueError(f"partitions must be a power of two, found {partitions}")
    shifted: np.ndarray = keys >> np.uint64(64 - bits) if bits else np.zeros_like(keys)
    return shifted.astype(np.uint16) if bits <= 16 else shifted  # which numpy sorts by radix


def write_partitions(writer: TableWriter, table: pa.Table, partitions: int) -> dict[str, list[object]]:
    """Write rows cut by partition; return, for each partition that has rows, what `part` needs to find them."""
    if table.num_rows == 0:
        return {}
    keys = table["key"].to_numpy()
    which = partition_of(keys, partitions)
    order = np.argsort(which, kind="stable")
    table, which = table.take(order), which[order]
    present, starts = np.unique(which, return_index=True)
    stops = [*starts[1:].tolist(), len(which)]
    rows = zip(present.tolist(), starts.tolist(), stops, strict=True)
    return {str(number): write_part(writer, table.slice(start, stop - start)) for number, start, stop in rows}


def write_part(writer: TableWriter, table: pa.Table) -> list[object]:
    """Write rows as row groups of their own; return [first, groups, rows, bytes, digest]."""
    before = writer.groups
    num_bytes = writer.write(table)
    writer.cut()
    return [before, writer.groups - before, table.num_rows, num_bytes, table_digest(table)]


def part(manifest: Manifest, label: str, name: str) -> Part | None:
    """The part that a unit wrote under `name`; None where it wrote no rows there."""
    if not manifest.known:
        return Part(manifest.output(label), 0, 0, 0, 0, UNKNOWN)
    found = manifest.figures["parts"].get(name)
    return Part(manifest.output(label), *found) if found else None


def whole(manifest: Manifest, label: str) -> Part:
    """All rows that a unit wrote."""
    output = manifest.output(label)
    return Part(output, 0, -1, output.rows or 0, output.num_bytes, output.sha256)


def table_digest(table: pa.Table) -> str:
    """SHA-256 of the rows in Arrow's stream format.

    `take` copies them into arrays of their own first: the bytes of a slice depend on what it was cut from.
    """
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks().take(pa.array(np.arange(table.num_rows))))
    return hashlib.sha256(sink.getvalue()).hexdigest()


def read_part(folder: Folder, wanted: Part) -> Iterator[pa.Table]:
    """The rows of a part in batches of READ_ROWS."""
    with open_table(folder, wanted.output) as parquet:
        stop = parquet.num_row_groups if wanted.groups < 0 else wanted.first + wanted.groups
        groups = list(range(wanted.first, stop))
        for batch in parquet.iter_batches(batch_size=READ_ROWS, row_groups=groups, use_threads=False):
            yield pa.Table.from_batches([batch])


def read_sorted(
    folder: Folder, parts: Iterable[Part], partitions: int, max_bytes: int = MAX_SORT_BYTES
) -> Iterator[pa.Table]:
    """Tables of whole keys, each sorted, that together hold every row of `parts` (of one partition) once."""
    parts = list(parts)
    total = sum(item.num_bytes for item in parts)
    ranges = 1
    while total / ranges > max_bytes and partitions * ranges < 1 << 32:
        ranges *= 2
    for number in range(ranges):
        found = [
            chosen
            for item in parts
            for table in read_part(folder, item)
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

    Most keys stand alone, and only the rows of the others are compared by more than their key.
    """
    keys = table["key"].to_numpy()
    order = np.argsort(keys)
    keys = keys[order]
    same = keys[1:] == keys[:-1]
    again = np.flatnonzero((np.append(same, False) | np.append(False, same))[: len(keys)])
    by = [(name, "ascending") for name in ("key", *table.column_names)]
    if len(again) > len(keys) // 4:
        order = pc.sort_indices(table, sort_keys=by).to_numpy()
    elif len(again):
        order[again] = order[again][pc.sort_indices(table.take(pa.array(order[again])), sort_keys=by)]
    return table.take(pa.array(order)).combine_chunks()
