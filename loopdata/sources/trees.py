"""Folder trees as lists of entries, local or behind any fsspec URL, and the bytes of one file.

Enters: the root of a tree. Leaves: what lies below it with kind, size and a token that changes when the content may
have changed (mtime_ns, or the etag of an object store), sorted by path bytes; and contents. Symbolic links are listed,
never followed; FIFOs, sockets and devices are never opened; a folder that cannot be listed is itself an entry. Limit:
one listing is held in memory, some 300 bytes an entry.
"""

import errno
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import fsspec
from fsspec.implementations.local import LocalFileSystem

from loopdata import schema
from loopdata.errors import ConfigError, SourceError
from loopdata.git import path_text

Kind = Literal["file", "symlink", "special", "unreadable"]


@dataclass(frozen=True)
class Found:
    """An entry below the root: raw path with `/`, kind, size in bytes, token of change; for `unreadable` the cause."""

    path: bytes
    kind: Kind
    num_bytes: int
    token: str
    cause: str = ""


class ChangedError(Exception):
    """A file is not what it was when it was listed."""


Skip = Callable[[str], bool]


class Tree(ABC):
    """A folder whose entries can be listed and read."""

    @abstractmethod
    def walk(self, skip: Skip, top: Callable[[bytes, bool], bool]) -> Iterator[Found]:
        """Entries in any order, without the folders that `skip` names (by their path as text).

        `top` says which entries directly below the root are wanted, by name and whether it is a folder.
        """

    @abstractmethod
    def read(self, found: Found) -> bytes:
        """The content of a file. `ChangedError` where it is not as listed, OSError where it cannot be read."""


def open_tree(url: str) -> Tree:
    """The tree at a path or URL. ConfigError where there is none."""
    try:
        fs, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"no file system for the path {url}: {error}") from error
    if isinstance(fs, LocalFileSystem):
        return LocalTree(root)
    return RemoteTree(fs, root, url)


def fingerprint(entries: list[Found]) -> str:
    """Hash over path, kind, size and token of each entry."""
    fields = (part for e in entries for part in (e.path, e.kind, str(e.num_bytes), e.token))
    return schema.digest(*fields)


def token_of(info: Mapping[str, Any]) -> str:
    """What fsspec says of a file that changes with its content; empty where it says nothing."""
    keys = ("ETag", "etag", "md5Hash", "checksum", "CRC", "mtime", "LastModified", "last_modified", "created")
    return next((f"{key}={info[key]}" for key in keys if info.get(key)), "")


class LocalTree(Tree):
    """A folder of this machine."""

    def __init__(self, root: str) -> None:
        self._root = os.fsencode(root)
        if not os.path.exists(self._root):  # noqa: PTH110 - bytes paths, which pathlib does not take
            raise ConfigError(f"the path {root} does not exist")
        if not os.path.isdir(self._root):  # noqa: PTH112
            raise ConfigError(f"the path {root} is not a folder", "give the folder that holds it, and `include`")

    def walk(self, skip: Skip, top: Callable[[bytes, bool], bool]) -> Iterator[Found]:
        folders = [b""]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(os.path.join(self._root, folder)) as listing:  # noqa: PTH118
                    children = list(listing)
            except OSError as error:
                if not folder:
                    raise SourceError(f"cannot list {path_text(self._root)}: {_cause(error)}") from error
                yield Found(folder, "unreadable", 0, "", _cause(error))
                continue
            for child in children:
                path = folder + b"/" + child.name if folder else child.name
                is_folder = _is_folder(child)
                if not folder and not top(child.name, is_folder):
                    continue
                if not is_folder:
                    yield _found(path, child)
                elif not skip(path_text(path)):
                    folders.append(path)

    def read(self, found: Found) -> bytes:
        # Between listing and opening a file may have become a link or a FIFO: neither is followed nor waited for.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(os.path.join(self._root, found.path), flags)  # noqa: PTH118
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
                raise ChangedError from error
            raise
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or _token(status) != (found.num_bytes, found.token):
                raise ChangedError
            content = _read_all(stream, found.num_bytes)
            if _token(os.fstat(descriptor)) != (len(content), found.token):
                raise ChangedError
        return content


def _is_folder(child: "os.DirEntry[bytes]") -> bool:
    try:
        return child.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _read_all(stream: Any, num_bytes: int) -> bytes:
    """At most one byte more than was listed: a file that grows without end must not fill the memory."""
    data: bytes = stream.read(num_bytes + 1)
    if len(data) == num_bytes:
        return data
    parts = [data]
    while parts[-1] and sum(map(len, parts)) <= num_bytes:  # a raw read may return less than was asked for
        parts.append(stream.read(num_bytes + 1 - sum(map(len, parts))))
    return b"".join(parts)


def _token(status: os.stat_result) -> tuple[int, str]:
    return status.st_size, str(status.st_mtime_ns)


def _found(path: bytes, child: "os.DirEntry[bytes]") -> Found:
    try:
        status = child.stat(follow_symlinks=False)
    except OSError as error:
        return Found(path, "unreadable", 0, "", _cause(error))
    kind: Kind = "special"
    if stat.S_ISREG(status.st_mode):
        kind = "file"
    elif stat.S_ISLNK(status.st_mode):
        kind = "symlink"
    return Found(path, kind, *_token(status))


def _cause(error: OSError) -> str:
    return error.strerror or type(error).__name__


class RemoteTree(Tree):
    """A folder behind fsspec: an object store, an archive, memory."""

    def __init__(self, fs: Any, root: str, url: str) -> None:
        self._fs, self._root, self._url = fs, root.rstrip("/"), url

    def walk(self, skip: Skip, top: Callable[[bytes, bool], bool]) -> Iterator[Found]:
        try:
            self._fs.invalidate_cache()
            below = self._fs.ls(self._root or "/", detail=True)
        except FileNotFoundError as error:
            raise ConfigError(f"there is nothing at {self._url}") from error
        except OSError as error:
            raise SourceError(f"cannot list {self._url}: {_cause(error)}") from error
        for info in below:
            name = self._relative(info["name"])
            is_folder = info["type"] == "directory"
            if not name or not top(os.fsencode(name), is_folder) or (is_folder and skip(name)):
                continue
            yield from self._below(info) if is_folder else iter((self._remote(info),))

    def _below(self, folder: dict[str, Any]) -> Iterator[Found]:
        try:
            listing = self._fs.find(folder["name"], detail=True)
        except OSError as error:
            yield Found(os.fsencode(self._relative(folder["name"])), "unreadable", 0, "", _cause(error))
            return
        yield from (self._remote(info) for info in listing.values())

    def _relative(self, path: str) -> str:
        return path.strip("/").removeprefix(self._root.strip("/")).strip("/")

    def _remote(self, info: dict[str, Any]) -> Found:
        kind: Kind = {"file": "file", "link": "symlink"}.get(info["type"], "special")  # type: ignore[assignment]
        return Found(os.fsencode(self._relative(info["name"])), kind, int(info.get("size") or 0), token_of(info))

    def read(self, found: Found) -> bytes:
        path = f"{self._root}/{os.fsdecode(found.path)}"
        try:
            content = bytes(self._fs.cat_file(path, start=0, end=found.num_bytes + 1))
        except FileNotFoundError as error:
            raise ChangedError from error
        if len(content) != found.num_bytes:
            raise ChangedError
        return content
