"""A saved index of what exists, as files that are asked by ranges: none of it need fit in memory.

Enters: documents that were kept before, as tables with `doc_id` and `text`. Leaves: a folder with `index.json` and, for
every SEGMENT documents, two files: band hashes in ascending order, each with the place of its document's record; and
the records. A record holds the id, the signature, how many different grams there are, and a sketch, the SKETCH least of
their hashes. The texts are not needed: of two documents with at most SKETCH grams each the Jaccard similarity is exact;
else it is that of the least grams of their union (Bar-Yossef et al. 2002), with a standard error of
sqrt(J(1-J)/SKETCH), 0.014 at 0.7. Every page and record carries its own checksum, so that what is read is checked
without reading the rest. Limit: bands are those of one threshold; a lower one needs another index.
"""

import hashlib
import json
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loopdata.dedup.bands import Bands
from loopdata.dedup.grams import Hashes, Ints, gram_sets
from loopdata.dedup.minhash import Signatures, band_hashes, sign, sign_sets
from loopdata.dedup.survivors import LISTED
from loopdata.errors import ConfigError, StageError
from loopdata.schema import one_array
from loopdata.stage import Resource
from loopdata.storage import Folder, Range

SKETCH = 1_024
SEGMENT = 250_000  # documents: their bands are sorted in memory, which takes some 0.5 GB
GROUP_ROWS = 16_384  # band rows that are read at once
BATCH_ROWS = 1_000
FORMAT = 2
ABOUT = "index.json"
BANDS = pa.schema([("key", pa.uint64()), ("at", pa.uint64()), ("size", pa.uint32())])
_NAME = re.compile(r"segments/\d{5,}\.(bands\.parquet|records)")
_HEAD = struct.Struct("<IIQ")  # checksum of the rest, bytes of the id, grams


class Grams(NamedTuple):
    """What signatures depend on: two that differ here cannot be compared."""

    permutations: int
    words: int
    grams: str  # words, masked_identifiers


class Record(NamedTuple):
    """What is kept of a document: `grams` of it there are, the least of them, ascending, are in `sketch`."""

    doc_id: str
    grams: int
    signature: Signatures
    sketch: Hashes


class Segment(NamedTuple):
    """Some documents: sizes of the two files in bytes, and the SHA-256 of the footer that describes the bands."""

    number: int
    documents: int
    bands_bytes: int
    records_bytes: int
    footer: str

    @property
    def bands_name(self) -> str:
        return f"segments/{self.number:05d}.bands.parquet"

    @property
    def records_name(self) -> str:
        return f"segments/{self.number:05d}.records"


def save(folder: Folder, tables: Iterable[pa.Table], kind: Grams, bands: Bands, column: str = "text") -> int:
    """Write the index of all documents of `tables` that have grams; return how many these are.

    ConfigError for a folder that holds anything but what a call that was cut off left there.
    """
    _clear(folder)
    batches = (
        pa.table(batch).filter(batch[column].is_valid())
        for table in tables
        for batch in table.select(["doc_id", column]).to_batches(max_chunksize=BATCH_ROWS)
    )
    segments: list[Segment] = []
    while (first := next(batches, None)) is not None:
        segments.append(_write_segment(folder, len(segments), chain([first], batches), kind, bands, column))
    rows = sum(segment.documents for segment in segments)
    about = {"format": FORMAT, "kind": kind._asdict(), "bands": bands, "documents": rows, "segments": segments}
    folder.write_atomic(ABOUT, json.dumps(about, indent=1).encode())
    return rows


def _clear(folder: Folder) -> None:
    names = [file.name for file in folder.files()]
    if ABOUT in names:
        raise ConfigError(f"{folder.url} holds an index already", "give another folder")
    if other := [name for name in names if not _NAME.fullmatch(name)]:
        raise ConfigError(f"{folder.url} is no index: it holds {other[0]}", "give a folder that is empty or not there")
    for name in names:
        folder.remove(name)


def _write_segment(
    folder: Folder, number: int, batches: Iterator[pa.Table], kind: Grams, bands: Bands, column: str
) -> Segment:
    """The next SEGMENT documents of `batches`, or all that are left."""
    segment, count = Segment(number, 0, 0, 0, ""), 0
    keys, places, sizes = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)], [np.zeros(0, np.uint32)]
    with folder.create(segment.records_name) as stream:
        while count < SEGMENT and (table := next(batches, None)) is not None:
            signatures, records = _records(table, kind, column)
            lengths = np.array([len(record) for record in records], np.uint32)
            keys.append(band_hashes(signatures, *bands).reshape(-1))
            ends = np.cumsum(lengths, dtype=np.uint64) + np.uint64(stream.num_bytes)
            places.append(np.repeat(ends - lengths, bands.bands))
            sizes.append(np.repeat(lengths, bands.bands))
            stream.write(b"".join(records))
            count += len(records)
    rows = _sorted(np.concatenate(keys), np.concatenate(places), np.concatenate(sizes))
    num_bytes, footer = _write_bands(folder, segment.bands_name, rows)
    return Segment(number, count, num_bytes, stream.num_bytes, footer)


def _write_bands(folder: Folder, name: str, rows: pa.Table) -> tuple[int, str]:
    """Write rows of BANDS; return the size of the file and the digest of its footer."""
    options: dict[str, Any] = {"use_dictionary": False, "write_page_checksum": True, "compression": "zstd"}
    encoding = {"key": "DELTA_BINARY_PACKED", "at": "PLAIN", "size": "PLAIN"}
    with folder.create(name) as sink:
        pq.write_table(rows, pa.PythonFile(sink, "w"), GROUP_ROWS, column_encoding=encoding, **options)
    with folder.open(name) as written:
        return sink.num_bytes, _footer(written)


def _records(table: pa.Table, kind: Grams, column: str) -> tuple[Signatures, list[bytes]]:
    sets = gram_sets(one_array(table[column]).cast(pa.large_string()), kind.words)
    some = np.flatnonzero([len(grams) for grams in sets])
    sets = [sets[place] for place in some]
    ids = table["doc_id"].take(pa.array(some)).to_pylist()
    signatures = signatures_of(sets, kind.permutations)
    return signatures, [_packed(Record(*row)) for row in zip(ids, map(len, sets), signatures, sets, strict=True)]


def signatures_of(sets: Sequence[Hashes], permutations: int) -> Signatures:
    offsets = np.append(0, np.cumsum([len(grams) for grams in sets])).astype(np.int64)
    return sign_sets(np.concatenate([np.zeros(0, np.uint64), *sets]), offsets, permutations)


def _packed(record: Record) -> bytes:
    doc_id = record.doc_id.encode("utf-8", "surrogatepass")
    body = record.signature.tobytes() + record.sketch[:SKETCH].tobytes() + doc_id
    head = _HEAD.pack(0, len(doc_id), record.grams)[4:]
    return zlib.crc32(head + body).to_bytes(4, "little") + head + body


def _unpacked(raw: bytes, permutations: int) -> Record | None:
    """None for bytes that are not a record."""
    if len(raw) < _HEAD.size or zlib.crc32(raw[4:]) != int.from_bytes(raw[:4], "little"):
        return None
    _, id_bytes, grams = _HEAD.unpack(raw[: _HEAD.size])
    sketch, doc_id = _HEAD.size + 4 * permutations, len(raw) - id_bytes
    return Record(
        raw[doc_id:].decode("utf-8", "surrogatepass"),
        grams,
        np.frombuffer(raw[_HEAD.size : sketch], np.uint32),
        np.frombuffer(raw[sketch:doc_id], np.uint64),
    )


def _sorted(keys: Hashes, places: Hashes, sizes: Any) -> pa.Table:
    """Rows by key, then as they came; of a key only the first LISTED, since no more are ever looked at."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    few = run_places(keys) < LISTED
    order = order[few]
    return pa.table([keys[few], places[order], sizes[order]], schema=BANDS)


def run_places(keys: Any) -> Ints:
    """Of sorted keys, the place of each within its run of equal ones."""
    begins = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    sizes = np.diff(np.append(begins, len(keys)))
    found: Ints = np.arange(len(keys)) - np.repeat(begins, sizes)
    return found


def _footer(stream: Any) -> str:
    """SHA-256 of the footer of a Parquet file: where its pages lie, and what they hold at least and at most."""
    end = stream.seek(max(stream.seek(0, 2) - 8, 0))  # of what is cut off the digest is another, and no seek fails
    stream.seek(max(end - int.from_bytes(stream.read(4), "little"), 0))
    return hashlib.sha256(stream.read()).hexdigest()


class Index:
    """An index that was opened; it holds nothing but what `index.json` says."""

    def __init__(self, folder: Folder, about: dict[str, Any]) -> None:
        """ValueError, KeyError or TypeError where `about` is not what `save` writes."""
        self.folder = folder
        self.kind, self.bands = Grams(**about["kind"]), Bands(*about["bands"])
        self.segments = tuple(Segment(*row) for row in about["segments"])

    def meeting(self, wanted: Hashes) -> Iterator[tuple[int, pa.Table]]:
        """Rows of BANDS whose key is one of the sorted `wanted`, by segment in order, and there by key.

        Only row groups are read that may hold one. StageError where a file is gone, or not what was written.
        """
        for segment in self.segments:
            for table in self._meeting(segment, wanted):
                yield segment.number, table

    def _meeting(self, segment: Segment, wanted: Hashes) -> Iterator[pa.Table]:
        try:
            with self.folder.open(segment.bands_name) as stream:
                if _footer(stream) != segment.footer:
                    raise ValueError("it is not what was written")
                with pq.ParquetFile(stream, pre_buffer=False, page_checksum_verification=True) as parquet:
                    for group in _groups(parquet.metadata, wanted):
                        table = parquet.read_row_group(group, use_threads=False)
                        keys = table["key"].to_numpy()
                        place = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
                        yield table.filter(pa.array(wanted[place] == keys))
        except FileNotFoundError:
            raise self._gone(segment.bands_name) from None
        except (pa.ArrowException, OSError, ValueError) as error:
            if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
                raise self._unread(segment.bands_name, error) from error
            raise self._broken(segment.bands_name, str(error)) from error  # pyarrow raises a bare OSError, too

    def records(self, segment: int, places: Sequence[int], sizes: Sequence[int]) -> list[Record]:
        """Records of one segment by their place and size in bytes. StageError as of `meeting`."""
        name = self.segments[segment].records_name
        wanted = [Range(name, place, place + size) for place, size in zip(places, sizes, strict=True)]
        try:
            raw = list(self.folder.read_ranges(wanted))
        except FileNotFoundError:
            raise self._gone(name) from None
        except OSError as error:
            raise self._unread(name, error) from error
        return [self._record(name, entry) for entry in raw]

    def __iter__(self) -> Iterator[Record]:
        """Every record, as they were saved."""
        for segment in self.segments:
            with self.folder.open(segment.records_name) as stream:
                while head := stream.read(_HEAD.size):
                    _, id_bytes, grams = _HEAD.unpack(head)
                    rest = 4 * self.kind.permutations + 8 * min(grams, SKETCH) + id_bytes
                    yield self._record(segment.records_name, head + stream.read(rest))

    def _record(self, name: str, raw: bytes) -> Record:
        found = _unpacked(raw, self.kind.permutations)
        if found is None:
            raise self._broken(name, "a record is not what was written")
        return found

    def _gone(self, name: str) -> StageError:
        return StageError(f"{self.folder.url}/{name} is gone", "save the index again")

    def _unread(self, name: str, error: BaseException) -> StageError:
        """Of the storage: no fault of the index, nor of the documents that ask."""
        return StageError(f"{self.folder.url}/{name} cannot be read: {error}", "run again")

    def _broken(self, name: str, cause: str) -> StageError:
        return StageError(f"{self.folder.url}/{name} is broken: {' '.join(cause.split())}", "save the index again")


def _groups(metadata: Any, wanted: Hashes) -> Iterator[int]:
    """Row groups that hold keys between which one of `wanted` lies."""
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        if group.num_rows:
            found = group.column(0).statistics
            first = np.searchsorted(wanted, np.uint64(found.min))
            if first < len(wanted) and wanted[first] <= np.uint64(found.max):
                yield number


def open_index(path: str) -> tuple[Index, Resource]:
    """A saved index, and what it is known by. ConfigError where there is none, or it is broken."""
    folder = Folder(path)
    sizes = {file.name: file.num_bytes for file in folder.files()}
    try:
        raw = folder.read(ABOUT)
        about = json.loads(raw)
        if about["format"] != FORMAT:
            raise ConfigError(f"the index {path} has the format {about['format']}, not {FORMAT}", "save it again")
        index = Index(folder, about)
    except FileNotFoundError:
        raise ConfigError(f"{path} holds no saved index", f"give a folder with {ABOUT}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"the index {path} is broken: {ABOUT} cannot be read", "save it again") from error
    for segment in index.segments:
        for name, wanted in ((segment.bands_name, segment.bands_bytes), (segment.records_name, segment.records_bytes)):
            if name not in sizes:
                raise ConfigError(f"the index {path} is broken: {name} is missing", "save it again")
            if sizes[name] != wanted:
                found = f"{name} has {sizes[name]} bytes, not those saved"
                raise ConfigError(f"the index {path} is broken: {found}", "save it again")
    return index, Resource(folder, ABOUT, hashlib.sha256(raw).hexdigest())


def minhashes(index: Index) -> Iterator[tuple[str, Any]]:
    """Each document with a datasketch LeanMinHash of its signature; fill a MinHashLSH with them for quick questions.

    datasketch holds all of them in memory, so that this is for small indexes; a run asks the files themselves.
    ConfigError where datasketch is not installed. `minhash_of` makes the one to ask with.
    """
    for record in index:
        yield record.doc_id, _lean(record.signature)


def minhash_of(text: str, kind: Grams) -> Any:
    """The datasketch LeanMinHash of a text, comparable with those of an index of this kind."""
    return _lean(sign(pa.array([text], pa.large_string()), kind.permutations, kind.words)[0][0])


def _lean(signature: Any) -> Any:
    try:
        from datasketch import LeanMinHash
    except ImportError:
        raise ConfigError("datasketch is not installed", "pip install datasketch==2.0.0") from None
    return LeanMinHash(seed=1, hashvalues=signature, scheme="affine32")
