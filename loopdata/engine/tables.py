"""Arrow tables to Parquet and back, always with the same bytes for the same rows.

Enters: tables of one declared schema. Leaves: a Parquet file (zstd) whose row groups are cut by rows and bytes alone.
The options below are part of the bytes (pyarrow 26: row-group cuts, dictionaries, nullability and column order change
them). Limit: a row group holds at most MAX_ROWS rows and about MAX_BYTES; one larger document makes a larger group.
"""

import contextlib
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from loopdata.engine.unit import Output
from loopdata.schema import cast
from loopdata.storage import Folder, HashingWriter

MAX_ROWS = 10_000
MAX_BYTES = 8 << 20
LEVEL = 1  # of zstd: half the time of 3 for a tenth to a sixth more bytes
PLAIN = frozenset({"content", "text", "doc_id", "blob_id", "text_id", "sample_id", "subject", "ref", "segments"})


class TableWriter:
    """Gathers rows and writes a row group when enough are there."""

    def __init__(self, sink: HashingWriter, schema: pa.Schema) -> None:
        self.schema = schema
        self.rows = 0
        self._held: list[pa.Table] = []
        self._held_rows = 0
        self._held_bytes = 0
        self._writer = pq.ParquetWriter(
            pa.PythonFile(sink, mode="w"),
            schema,
            compression="zstd",
            compression_level=LEVEL,
            use_dictionary=[field.name for field in schema if field.name not in PLAIN and _flat(field.type)],
            write_statistics=True,
            version="2.6",
        )

    def write(self, table: pa.Table) -> None:
        """Add rows, cast to the schema."""
        if table.num_rows == 0:
            return
        self._held.append(cast(table, self.schema))
        self._held_rows += table.num_rows
        self._held_bytes += payload_bytes(self._held[-1])
        if self._held_rows >= MAX_ROWS or self._held_bytes >= MAX_BYTES:
            self._cut()

    def _cut(self) -> None:
        """Write what is held as row groups."""
        if self._held:
            table = pa.concat_tables(self._held).combine_chunks()
            size = max(1, min(MAX_ROWS, MAX_BYTES * table.num_rows // max(self._held_bytes, 1)))
            for start in range(0, table.num_rows, size):
                self._writer.write_table(table.slice(start, size), row_group_size=size)
            self.rows += table.num_rows
        self._held, self._held_rows, self._held_bytes = [], 0, 0

    def close(self) -> None:
        self._cut()
        self._writer.close()


def payload_bytes(table: pa.Table) -> int:
    """Bytes of the values alone. `nbytes` counts validity bitmaps too, which depend on how a table came to be."""
    return sum(_payload(column) for column in table.itercolumns())


def _payload(column: pa.ChunkedArray) -> int:
    kind = column.type
    if pa.types.is_large_binary(kind) or pa.types.is_large_string(kind) or _is_short(kind):
        return int(pc.sum(pc.binary_length(column)).as_py() or 0)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _payload(pc.list_flatten(column))
    if pa.types.is_struct(kind):
        return sum(_payload(pc.struct_field(column, [n])) for n in range(kind.num_fields))
    return len(column) * (kind.bit_width // 8 or 1)


def _is_short(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_string(kind))


def _flat(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_timestamp(kind))


@contextlib.contextmanager
def open_table(folder: Folder, output: Output) -> Iterator[pq.ParquetFile]:
    """Open a table that a manifest names."""
    with folder.open(output.name) as stream, pq.ParquetFile(stream, pre_buffer=False) as parquet:
        yield parquet


def read_tables(folder: Folder, output: Output, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The row groups of a table, one after the other."""
    with open_table(folder, output) as parquet:
        for group in range(parquet.num_row_groups):
            yield parquet.read_row_group(group, columns=list(columns) if columns else None, use_threads=False)


def read_table(folder: Folder, output: Output, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole table at once: for small ones."""
    with open_table(folder, output) as parquet:
        return parquet.read(columns=list(columns) if columns else None, use_threads=False)
