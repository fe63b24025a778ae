"""Files of rows, Parquet or lines of JSON: read in small pieces, and written again without some of the rows.

Enters: a stream and the name of its file, whose ending says the format: `.parquet`, or `.jsonl`, `.ndjson`, each also
with `.gz`, `.bz2` or `.zst`. Leaves: chunks of rows with their numbers (from 1; of lines in JSON), the values of one
column of a chunk, and a file of the rows that stay: in Parquet with the same schema, metadata and compression, in JSON
line by line as they were. Every fault is a SourceError that names the file and the row. Limit: pyarrow decodes a whole
row group of Parquet at once; white space between lines of JSON is lost.
"""

import contextlib
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from loopdata.errors import SourceError

CHUNK_ROWS = 1_000
CHUNK_BYTES = 8 << 20
_GROUP_BYTES = 64 << 20  # of a row group that is written
_CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
_LINES = (".jsonl", ".ndjson")
ENDINGS = (".parquet", *_LINES, *(kind + packed for kind in _LINES for packed in _CODECS))


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows, the first of them `first`: a table, or lines and what they say."""

    first: int
    rows: pa.Table | list[tuple[int, bytes, dict[str, Any]]]

    def __len__(self) -> int:
        return len(self.rows)

    def numbers(self) -> Sequence[int]:
        """The number of each row in its file."""
        if isinstance(self.rows, list):
            return [number for number, _, _ in self.rows]
        return range(self.first, self.first + len(self.rows))

    def column(self, name: str) -> list[Any]:
        """The values of a column; null where the row, or the file, has none of that name."""
        if isinstance(self.rows, list):
            return [row.get(name) for _, _, row in self.rows]
        return self.rows[name].to_pylist() if name in self.rows.column_names else [None] * len(self.rows)


class RowWriter(ABC):
    """Writes the rows that stay."""

    @abstractmethod
    def write(self, chunk: Chunk, keep: Sequence[bool]) -> None:
        """Add the rows of a chunk for which `keep` is true."""

    @abstractmethod
    def close(self) -> None:
        """Write what is held; the sink stays open."""


class RowFile(ABC):
    """One open file, which is read once."""

    @abstractmethod
    def head(self) -> dict[str, pa.DataType | None] | None:
        """The columns with their types, of JSON those of the first row, untyped; None for a file without rows."""

    @abstractmethod
    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        """All rows in order, of Parquet only `columns` where they are named."""

    @abstractmethod
    def writer(self, sink: Any) -> RowWriter:
        """A writer of the same kind of file."""


def ending_of(name: str) -> str | None:
    """The ending that says how to read a file of this name."""
    return next((ending for ending in sorted(ENDINGS, key=len, reverse=True) if name.endswith(ending)), None)


@contextlib.contextmanager
def open_rows(stream: IO[bytes], name: str) -> Iterator[RowFile]:
    """Open a file by the ending of `name`. SourceError where it is not what it says."""
    ending = ending_of(name)
    if ending is None:
        raise SourceError(f"{name} has none of the endings {', '.join(ENDINGS)}")
    if ending != ".parquet":
        yield _Lines(stream, name, _codec(ending))
        return
    try:
        with pq.ParquetFile(stream, pre_buffer=False) as parquet:
            yield _Parquet(parquet, name)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{name} cannot be read as Parquet: {_line(error)}") from error


def _codec(ending: str) -> str | None:
    return next((codec for end, codec in _CODECS.items() if ending.endswith(end)), None)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


class _Parquet(RowFile):
    def __init__(self, parquet: pq.ParquetFile, name: str) -> None:
        self._parquet, self._name = parquet, name
        self._schema = parquet.schema_arrow

    def head(self) -> dict[str, pa.DataType | None] | None:
        return {field.name: field.type for field in self._schema} if self._parquet.metadata.num_rows else None

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        first = 1
        there = None if columns is None else [name for name in columns if name in self._schema.names]
        for batch in self._parquet.iter_batches(CHUNK_ROWS, columns=there, use_threads=False):
            yield Chunk(first, pa.Table.from_batches([batch]))
            first += batch.num_rows

    def writer(self, sink: Any) -> RowWriter:
        groups = self._parquet.metadata
        some = groups.num_row_groups and groups.num_columns
        codec = groups.row_group(0).column(0).compression.lower() if some else "zstd"
        codec = {"uncompressed": "none", "lz4_raw": "lz4"}.get(codec, codec)
        return _ParquetWriter(pq.ParquetWriter(pa.PythonFile(sink, mode="w"), self._schema, compression=codec))


class _ParquetWriter(RowWriter):
    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._held: list[pa.Table] = []

    def write(self, chunk: Chunk, keep: Sequence[bool]) -> None:
        assert isinstance(chunk.rows, pa.Table)
        self._held.append(chunk.rows.filter(pa.array(keep, pa.bool_())))
        if sum(table.nbytes for table in self._held) >= _GROUP_BYTES:
            self._cut()

    def _cut(self) -> None:
        if any(table.num_rows for table in self._held):
            self._writer.write_table(pa.concat_tables(self._held))
        self._held = []

    def close(self) -> None:
        self._cut()
        self._writer.close()


class _Lines(RowFile):
    def __init__(self, stream: IO[bytes], name: str, codec: str | None) -> None:
        self._stream, self._name, self._codec = stream, name, codec

    def head(self) -> dict[str, pa.DataType | None] | None:
        first = next(self._numbered(), None)
        return None if first is None else dict.fromkeys(self._parsed(*first))

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        rows: list[tuple[int, bytes, dict[str, Any]]] = []
        held = 0
        for number, line in self._numbered():
            if rows and (len(rows) >= CHUNK_ROWS or held + len(line) > CHUNK_BYTES):
                yield Chunk(rows[0][0], rows)
                rows, held = [], 0
            rows.append((number, line, self._parsed(number, line)))
            held += len(line)
        if rows:
            yield Chunk(rows[0][0], rows)

    def _numbered(self) -> Iterator[tuple[int, bytes]]:
        """Lines that are not blank, with their numbers."""
        number = 0
        try:
            for number, line in enumerate(self._opened(), start=1):
                if not line.isspace():
                    yield number, line
        except OSError as error:  # of a compressed stream that is broken too
            raise SourceError(f"{self._name} cannot be read behind line {number}: {_line(error)}") from error

    def _opened(self) -> IO[bytes]:
        if self._codec is None:
            return self._stream
        return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(self._stream, mode="r"), self._codec))

    def _parsed(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{self._name}, line {number} is not JSON: {_line(error)}") from error
        if not isinstance(row, dict):
            raise SourceError(f"{self._name}, line {number} holds {type(row).__name__}, not an object with columns")
        return row

    def writer(self, sink: Any) -> RowWriter:
        return LinesWriter(sink, self._codec)


class LinesWriter(RowWriter):
    """Lines of JSON, packed where `codec` says so."""

    def __init__(self, sink: Any, codec: str | None) -> None:
        file = pa.PythonFile(sink, mode="w")
        self._sink = pa.CompressedOutputStream(file, codec) if codec else file
        self._is_packed = codec is not None

    def write(self, chunk: Chunk, keep: Sequence[bool]) -> None:
        assert isinstance(chunk.rows, list)
        self.add(line for (_, line, _), stays in zip(chunk.rows, keep, strict=True) if stays)

    def add(self, lines: Iterable[bytes]) -> None:
        """Add lines, with or without their ends."""
        self._sink.write(b"".join(line if line.endswith(b"\n") else line + b"\n" for line in lines))

    def close(self) -> None:
        if self._is_packed:
            self._sink.close()


def lines_writer(sink: Any, ending: str) -> LinesWriter:
    """What writes lines of JSON to a file with this ending."""
    return LinesWriter(sink, _codec(ending))
