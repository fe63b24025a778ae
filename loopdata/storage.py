"""Folders behind fsspec URLs: a local path, `s3://…`, `memory://…`. Every byte of a run goes through here.

Enters: names below one folder. Leaves: bytes, streams, and for each written file its size and SHA-256. One written by
`write_atomic` is there whole or not at all: by rename on a local disk, by the one PUT on an object store. A write that
the storage refuses (no space, no permission) is a RunError that names the file, and a scheme that nothing here can read
a ConfigError. Limit: `create` is for files that nobody reads before a manifest names them; it may leave a part of one
behind.
"""

import contextlib
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NamedTuple

import fsspec
from fsspec.implementations.local import LocalFileSystem

from loopdata.errors import ConfigError, RunError

_COPY_BYTES = 1 << 20
_FETCH_BYTES = 32 << 20


@dataclass(frozen=True)
class File:
    """A file below a folder: its name, size in bytes, and seconds since it was written."""

    name: str
    num_bytes: int
    age_seconds: float


@dataclass(frozen=True)
class Written:
    """What was written: name below the folder, size in bytes, SHA-256 in hexadecimal."""

    name: str
    num_bytes: int
    sha256: str


class Range(NamedTuple):
    """Bytes `start` to `stop` of a file below a folder."""

    name: str
    start: int
    stop: int


class HashingWriter:
    """A write-only stream that counts and hashes what passes. A refused write is a RunError that names the file."""

    def __init__(self, stream: IO[bytes], where: str) -> None:
        self._stream = stream
        self._where = where
        self._state = hashlib.sha256()
        self.num_bytes = 0
        self.closed = False
        self._abandoned = False

    def write(self, data: Any) -> int:
        if not self._abandoned:
            self._state.update(memoryview(data))
        return self.write_apart(data)

    def write_apart(self, data: Any) -> int:
        """Write bytes that the digest of the file leaves out: theirs stands in what it covers."""
        view = memoryview(data)
        if self._abandoned:
            return view.nbytes
        try:  # not by `refused_writes`: a Parquet file is some thirty small writes
            self._stream.write(view)
        except OSError as error:
            raise _refusal(self._where, error) from error
        self.num_bytes += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        return self.num_bytes

    def flush(self) -> None:
        with refused_writes(self._where):
            self._stream.flush()

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        """Leave the stream open: the folder that opened it closes it."""

    def abandon(self) -> None:
        """Take what still comes and drop it: a Parquet writer that is given up writes its footer when it is freed."""
        self._abandoned = True

    def hexdigest(self) -> str:
        return self._state.hexdigest()


class Folder:
    """One folder, local or remote. It travels to workers by its URL."""

    def __init__(self, url: str | os.PathLike[str]) -> None:
        scheme, mark, path = os.fspath(url).rpartition("://")
        self.url = f"{scheme}{mark}{path.rstrip('/') or ('' if mark else '/')}"

    def __reduce__(self) -> tuple[type["Folder"], tuple[str]]:
        return Folder, (self.path() or "/" if self.is_local else self.url,)  # a worker may stand in another folder

    def __repr__(self) -> str:
        return f"Folder({self.url!r})"

    @cached_property
    def _place(self) -> tuple[fsspec.AbstractFileSystem, str]:
        try:
            fs, root = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise ConfigError(f"no file system for {self.url}: {error}", "check the scheme") from error
        return fs, root.rstrip("/")

    @property
    def is_local(self) -> bool:
        return isinstance(self._place[0], LocalFileSystem)

    def path(self, name: str = "") -> str:
        """The path that the file system itself uses for `name`."""
        root = self._place[1]
        return f"{root}/{name}" if name else root

    def local(self, name: str = "") -> Path:
        """`name` as a local path; RunError where the folder is remote."""
        if not self.is_local:
            raise RunError(f"{self.url} is not on a local disk", "copy it to one first")
        return Path(self.path(name))

    def child(self, name: str) -> "Folder":
        return Folder(f"{self.url}/{name}")

    def exists(self, name: str) -> bool:
        return bool(self._place[0].exists(self.path(name)))

    def read(self, name: str) -> bytes:
        return bytes(self._place[0].cat_file(self.path(name)))

    def read_ranges(self, wanted: Iterable[Range]) -> Iterator[bytes]:
        """The bytes of each range, in order. From afar they come together, some _FETCH_BYTES at a time."""
        if self.is_local:
            yield from (_read_range(self.path(name), start, stop) for name, start, stop in wanted)
            return
        for ranges in _by_size(wanted, _FETCH_BYTES):
            names, starts, stops = zip(*ranges, strict=True)
            found = self._place[0].cat_ranges([*map(self.path, names)], [*starts], [*stops], on_error="return")
            for data in found:
                if isinstance(data, BaseException):  # by itself: of `on_error` not every release of fsspec takes notice
                    raise data
                yield data

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading; it can seek."""
        stream: IO[bytes] = self._place[0].open(self.path(name), "rb")
        return stream

    @contextlib.contextmanager
    def create(self, name: str) -> Iterator[HashingWriter]:
        """A stream that counts and hashes. After an exception the file may be there in part: no manifest names it."""
        fs, path = self._place[0], self.path(name)
        where = f"{self.url}/{name}"
        with refused_writes(where):
            fs.makedirs(fs._parent(path), exist_ok=True)
            stream = fs.open(path, "wb")
        writer = HashingWriter(stream, where)
        try:
            yield writer
        except BaseException:
            writer.abandon()
            with contextlib.suppress(OSError):
                stream.close()
            raise
        with refused_writes(where):
            stream.close()

    def write_atomic(self, name: str, data: bytes) -> Written:
        """Write a file that is there whole or not at all."""
        fs, path = self._place[0], self.path(name)
        with refused_writes(f"{self.url}/{name}"):
            fs.makedirs(fs._parent(path), exist_ok=True)
            if self.is_local:
                with _beside(Path(path)) as beside:
                    beside.write_bytes(data)
            else:
                fs.pipe_file(path, data)
        return Written(name, len(data), hashlib.sha256(data).hexdigest())

    def copy_in(self, name: str, stream: IO[bytes]) -> None:
        """Write a file from a stream. On a local disk it is there whole or not at all."""
        if not self.is_local:
            with self.create(name) as sink:
                shutil.copyfileobj(stream, sink, _COPY_BYTES)
            return
        path = Path(self.path(name))
        with refused_writes(f"{self.url}/{name}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            with _beside(path) as beside, beside.open("wb") as sink:
                shutil.copyfileobj(stream, sink, _COPY_BYTES)

    def files(self) -> list[File]:
        """Every file below the folder, sorted by name; none where the folder does not exist."""
        fs, root = self._place
        with contextlib.suppress(FileNotFoundError):
            fs.invalidate_cache(root)
            found = fs.find(root, detail=True)
            return [_file(root, path, info) for path, info in sorted(found.items())]
        return []

    def remove(self, name: str) -> None:
        """Remove a file; one that is gone already is no error."""
        with contextlib.suppress(FileNotFoundError):
            self._place[0].rm_file(self.path(name))


def _read_range(path: str, start: int, stop: int) -> bytes:
    """Without a stream, which costs four times as much as a small read."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.pread(descriptor, stop - start, start)
    finally:
        os.close(descriptor)


def _by_size(ranges: Iterable[Range], most: int) -> Iterator[list[Range]]:
    """Runs of ranges that together have at most so many bytes; a larger one comes alone."""
    group: list[Range] = []
    total = 0
    for item in ranges:
        total += item.stop - item.start
        if group and total > most:
            yield group
            group, total = [], item.stop - item.start
        group.append(item)
    if group:
        yield group


def _file(root: str, path: str, info: dict[str, Any]) -> File:
    known = (info.get(key) for key in ("mtime", "LastModified", "last_modified", "updated", "created"))
    modified = next((value for value in known if value), time.time())  # no time at all: as if written just now
    seconds = datetime.fromisoformat(modified) if isinstance(modified, str) else modified
    age = time.time() - (seconds.timestamp() if isinstance(seconds, datetime) else float(seconds))
    return File(path[len(root) :].lstrip("/"), int(info.get("size") or 0), max(0.0, age))


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A place beside the target, which is renamed over it once all is written."""
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield beside
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def refused_writes(where: str) -> Iterator[None]:
    """Turn an OSError of a write into a RunError that names the file and the cause."""
    try:
        yield
    except OSError as error:
        raise _refusal(where, error) from error


def _refusal(where: str, error: OSError) -> RunError:
    cause = error.strerror or str(error) or type(error).__name__
    return RunError(
        f"the storage refused to write {where}: {cause}", "mend that and run again; what is committed is kept"
    )
