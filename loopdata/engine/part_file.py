"""Files of parts: rows under names, back to back, each found by its range of bytes alone.

Enters: tables, each under a name (uint64, evenly spread). Leaves: a file of Arrow IPC streams, one a part, lz4 unless
a column is `large_binary` (packed hashes, which nothing makes smaller), and behind the last one an index: a record a
part, sorted by name. Reading a part is one ranged read, checked against its XXH3; finding it is another, of the few
records among which an evenly spread name must lie. The same rows under the same names give the same bytes. Limit: a
part holds some PART_BYTES; one larger row makes a larger part.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np
import pyarrow as pa
from xxhash import xxh3_128_digest

from loopdata.engine.tables import payload_bytes
from loopdata.engine.unit import UNKNOWN, Manifest
from loopdata.errors import RunError
from loopdata.storage import Folder, HashingWriter, Range

PART_BYTES = 16 << 20
WINDOW = 64  # records of an index that are read first: partitions lie where they should, a few hundred units nearly so

RECORD = np.dtype(
    [("name", "<u8"), ("offset", "<u8"), ("length", "<u8"), ("rows", "<u8"), ("num_bytes", "<u8"), ("digest", "V16")]
)
_WRITE = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_WRITE_AS_IT_IS = pa.ipc.IpcWriteOptions(use_threads=False)
_READ = pa.ipc.IpcReadOptions(use_threads=False)


@dataclass(frozen=True)
class PartFile:
    """A file of parts as its manifest names it: its size, how many they are, and the SHA-256 of their index."""

    name: str
    num_bytes: int
    parts: int
    index: str

    def records(self, first: int, stop: int) -> Range:
        """Where records `first` to `stop` of the index lie."""
        start = self.num_bytes - self.parts * RECORD.itemsize
        return Range(self.name, start + first * RECORD.itemsize, start + stop * RECORD.itemsize)


@dataclass(frozen=True)
class Part:
    """Where a part lies; its rows, their bytes in memory, and the XXH3 (128 bits) of what is stored."""

    place: Range
    rows: int
    num_bytes: int
    digest: bytes


class PartWriter:
    """Writes parts, and the index when it is closed."""

    def __init__(self, sink: HashingWriter, schema: pa.Schema) -> None:
        self.schema = schema
        self.rows = 0
        self.parts: list[tuple[int, int, int, int, int, bytes]] = []
        self._sink = sink
        hashes = any(pa.types.is_large_binary(field.type) for field in schema)
        self._options = _WRITE_AS_IT_IS if hashes else _WRITE

    def write(self, name: int, table: pa.Table, rows: np.ndarray | None = None) -> None:
        """Add the given rows of a table, or all, under a name: as one part, or as several where they are large.

        `take` copies them into arrays of their own: the bytes of a slice depend on what it was cut from.
        """
        rows = np.arange(table.num_rows) if rows is None else rows
        taken = table.take(pa.array(rows)).combine_chunks()
        num_bytes = payload_bytes(taken)
        if num_bytes > PART_BYTES and len(rows) > 1:
            del taken  # which may be as large as the table
            for some in np.array_split(rows, min(len(rows), -(-num_bytes // PART_BYTES))):
                self.write(name, table, some)
        elif len(rows):
            self._add(name, taken, num_bytes)

    def _add(self, name: int, table: pa.Table, num_bytes: int) -> None:
        stored = pa.BufferOutputStream()
        with pa.ipc.new_stream(stored, self.schema, options=self._options) as stream:
            stream.write_table(table)
        data = stored.getvalue()
        digest = xxh3_128_digest(data)
        self.parts.append((name, self._sink.tell(), data.size, table.num_rows, num_bytes, digest))
        self._sink.write_apart(data)
        self.rows += table.num_rows

    def close(self) -> None:
        self._sink.write(np.array(sorted(self.parts, key=lambda part: part[:2]), RECORD).tobytes())


def part_file(manifest: Manifest, label: str) -> PartFile:
    """The file of parts that a unit wrote; an unknown one while planning."""
    if not manifest.known:
        return PartFile(UNKNOWN, 0, 0, UNKNOWN)
    output = manifest.output(label)
    return PartFile(output.name, output.num_bytes, manifest.figures[f"{label}.parts"], output.sha256)


def read_indexes(folder: Folder, files: Sequence[PartFile]) -> Iterator[np.ndarray]:
    """All records of each file that has parts, sorted by name and then by place."""
    files = [file for file in files if file.parts]
    places = [file.records(0, file.parts) for file in files]
    for file, place, raw in zip(files, places, _read(folder, places), strict=True):
        if hashlib.sha256(raw).hexdigest() != file.index:
            raise _broken(folder, place)
        yield np.frombuffer(raw, RECORD)


def find_parts(folder: Folder, files: Sequence[PartFile], name: int) -> Iterator[Part]:
    """The parts under a name, file by file."""
    files = [file for file in files if file.parts]
    windows = [_window(file.parts, name, WINDOW) for file in files]
    wanted = [file.records(*window) for file, window in zip(files, windows, strict=True)]
    for file, window, raw in zip(files, windows, _read(folder, wanted), strict=True):
        records = np.frombuffer(raw, RECORD)
        for width in (WINDOW + 8 * isqrt(file.parts), file.parts):
            if _covers(records["name"], window, file.parts, name):
                break
            window = _window(file.parts, name, width)
            records = np.frombuffer(next(_read(folder, [file.records(*window)])), RECORD)
        yield from _parts(file, records[records["name"] == name])


def _window(parts: int, name: int, width: int) -> tuple[int, int]:
    """So many records of the index around the place of a name, if names are spread as evenly as those of a hash."""
    first = max(0, min((name * parts >> 64) - width // 2, parts - width))
    return first, min(parts, first + width)


def _covers(names: np.ndarray, window: tuple[int, int], parts: int, name: int) -> bool:
    first, stop = window
    return bool((first == 0 or names[0] < name) and (stop == parts or names[-1] > name))


def _parts(file: PartFile, records: np.ndarray) -> Iterator[Part]:
    for _, offset, length, rows, num_bytes, digest in records.tolist():
        yield Part(Range(file.name, offset, offset + length), rows, num_bytes, digest)


def read_parts(folder: Folder, parts: Iterable[Part]) -> Iterator[pa.Table]:
    """The rows of each part. RunError where they are not what was written."""
    parts = list(parts)
    for part, raw in zip(parts, _read(folder, [part.place for part in parts]), strict=True):
        if xxh3_128_digest(raw) != part.digest:
            raise _broken(folder, part.place)
        with pa.ipc.open_stream(raw, options=_READ) as stream:
            yield stream.read_all()


def read_file(folder: Folder, file: PartFile) -> Iterator[pa.Table]:
    """All rows of a file, part by part, by name."""
    for records in read_indexes(folder, [file]):
        yield from read_parts(folder, _parts(file, records))


def _read(folder: Folder, places: Sequence[Range]) -> Iterator[bytes]:
    """The bytes of ranges in files of one phase. RunError for a file that is gone."""
    try:
        yield from folder.read_ranges(places)
    except FileNotFoundError as error:
        raise RunError(f"{error.filename or error} is gone", _remedy(places[0])) from error


def _broken(folder: Folder, place: Range) -> RunError:
    what = f"bytes {place.start} to {place.stop} are not what was written"
    return RunError(f"{folder.url}/{place.name} is broken: {what}", _remedy(place))


def _remedy(place: Range) -> str:
    return f"remove manifests/{place.name.split('/')[1]} in that run folder and run again"
