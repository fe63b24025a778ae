"""Reading git repositories by their objects alone: no checkout, no hook, no filter, no trust in their configuration.

Enters: a path to a work tree, a bare repository or a bundle. Leaves: an open repository, a resolved commit, the entries
of its tree in the order of their path bytes, and blobs. Objects are read by libgit2 (pygit2), which runs no program;
only a bundle is unpacked by the git program, into a temporary bare repository under an empty environment. Limit: pygit2
objects do not travel to other processes, so each worker opens a repository for itself, and unpacks a bundle again.
"""

import contextlib
import hashlib
import os
import stat
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pygit2
from pygit2.enums import ConfigLevel, RepositoryOpenFlag

from loopdata.config import nearest
from loopdata.errors import ConfigError, SourceError
from loopdata.storage import Folder

SYMLINK, SUBMODULE, FOLDER = 0o120000, 0o160000, 0o040000
# As git's own core.maxTreeDepth: without an end, a tree made by hand costs the square of its depth in paths.
MAX_DEPTH = 2048
# A guard against a git that hangs, far above what unpacking takes.
UNPACK_SECONDS = 3600.0
# What reading one object of a damaged repository can raise.
OBJECT_ERRORS = (KeyError, ValueError, pygit2.GitError, OSError, zlib.error)


@dataclass(frozen=True)
class Entry:
    """A leaf of a commit's tree: raw path, git mode, object id. `broken` says why a folder could not be listed."""

    path: bytes
    mode: int
    id: str
    broken: str | None = None


def path_text(path: bytes) -> str:
    """A path as text; where it is not UTF-8, each byte that does not decode is written as `\\xNN`."""
    return path.decode("utf-8", "backslashreplace")


def local_path(path: str) -> Path:
    """The local path behind a path or `file://` URL. ConfigError where there is none, or it lies on another machine."""
    folder = Folder(path)
    if not folder.is_local:
        raise ConfigError(f"the repository {path} is not on a local disk", "clone it, or copy a bundle of it, first")
    found = folder.local()
    if not found.exists():
        raise ConfigError(f"there is no repository at {path}: the path does not exist")
    return found


def is_bundle(path: Path) -> bool:
    return path.suffix == ".bundle" and path.is_file()


def repository_name(path: Path) -> str:
    """The name of the folder or bundle, without `.git` and `.bundle`."""
    path = path.resolve()
    if path.name == ".git":
        path = path.parent
    return path.name.removesuffix(".bundle").removesuffix(".git") or path.name


@contextlib.contextmanager
def opened(path: str) -> Iterator[Any]:
    """A `pygit2.Repository` of exactly this path; that of a bundle is gone afterwards.

    ConfigError for a path that is no repository, SourceError for one that cannot be opened.
    """
    place = local_path(path)
    with contextlib.ExitStack() as stack:
        if is_bundle(place):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="loopdata-bundle-"))
            repository = _unbundled(place, Path(folder))
        else:
            repository = _open(place)
        stack.callback(repository.free)
        yield repository


def _open(place: Path) -> Any:
    """Open without a search in the folders above, which would find a repository that nobody named."""
    _ignore_the_user()
    try:
        return pygit2.Repository(str(place), RepositoryOpenFlag.NO_SEARCH)
    except (pygit2.GitError, KeyError, ValueError, OSError) as error:
        if _looks_like_repository(place):
            raise SourceError(f"cannot open the repository {place}: {error}", "check it with git fsck") from error
    above = next((str(folder) for folder in place.absolute().parents if (folder / ".git").exists()), None)
    remedy = f"give its top folder, {above}" if above else "give a work tree, a bare repository or a *.bundle file"
    raise ConfigError(f"{place} is no git repository", remedy)


def _looks_like_repository(place: Path) -> bool:
    return (place / ".git").exists() or ((place / "objects").is_dir() and (place / "HEAD").exists())


def _ignore_the_user() -> None:
    """Neither the owner of the files nor a configuration outside the repository may change what is read."""
    pygit2.settings.owner_validation = False
    for level in (ConfigLevel.PROGRAMDATA, ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL):
        pygit2.settings.search_path[level] = ""


def _unbundled(bundle: Path, folder: Path) -> Any:
    _git(folder, "init", "--quiet", "--bare", "--template=", str(folder))
    listing = _git(folder, "bundle", "unbundle", str(bundle.absolute()), about=bundle)
    repository = _open(folder)
    for line in listing.decode("utf-8", "replace").splitlines():
        commit, _, name = line.partition(" ")
        try:
            if name == "HEAD":
                repository.set_head(pygit2.Oid(hex=commit))
            else:
                repository.references.create(name, commit, force=True)
        except (pygit2.GitError, KeyError, ValueError) as error:
            raise SourceError(f"the bundle {bundle} names a reference that git refuses: {name!r}") from error
    return repository


def _git(folder: Path, *words: str, about: Path | None = None) -> bytes:
    """Run git in an environment that holds nothing of the user's, and that allows no transport and no hook."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "GIT_DIR": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
    command = ["git", "-c", f"core.hooksPath={os.devnull}", "-c", "gc.auto=0", *words]
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=UNPACK_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise ConfigError("a bundle is unpacked by the git program, which is not installed", "install git") from error
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"unpacking {about} took more than {UNPACK_SECONDS:.0f} s") from error
    if done.returncode:
        cause = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise SourceError(f"cannot unpack the bundle {about}: {cause}", "check it with git bundle verify")
    return done.stdout


def resolve(repository: Any, revision: str, where: str) -> Any:
    """The `pygit2.Commit` that a revision names. ConfigError where there is none, SourceError without any commit."""
    start = _named_commit(repository, revision)
    try:
        if start is not None:
            read_object(repository, start)
    except OBJECT_ERRORS as error:
        raise SourceError(f"the commit {start} of {where} cannot be read: {error}", "try git fsck") from error
    try:
        return repository.revparse_single(revision).peel(pygit2.Commit)
    except (pygit2.GitError, KeyError, ValueError) as error:
        names = [name.split("/", 2)[-1] for name in repository.references if name.startswith("refs/")]
        if not names and revision == "HEAD":
            raise SourceError(f"the repository {where} has no commits", "commit something, or leave it out") from error
        raise ConfigError(
            f"{where} has no commit named '{revision}'{nearest(revision, names[:1000])}", "name one by `revision`"
        ) from error


def _named_commit(repository: Any, revision: str) -> str | None:
    """The object id that a reference names, found without reading the object; None for any other revision."""
    with contextlib.suppress(pygit2.GitError, KeyError, ValueError):
        return str(repository.lookup_reference_dwim(revision).resolve().target)
    return None


def entries(repository: Any, tree: Any) -> Iterator[Entry]:
    """Every leaf below a tree (id), ordered by path bytes, as `git ls-tree -r` gives them.

    A folder whose tree object is missing or damaged comes as one entry that says so; its neighbours are not affected.
    """
    stack: list[Iterator[Entry]] = [iter((Entry(b"", FOLDER, str(tree)),))]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
        elif entry.mode != FOLDER:
            yield entry
        elif len(stack) > MAX_DEPTH:
            yield Entry(entry.path, FOLDER, entry.id, f"nested more than {MAX_DEPTH} folders deep")
        else:
            try:
                stack.append(iter(_children(repository, entry)))
            except OBJECT_ERRORS as error:
                yield Entry(entry.path, FOLDER, entry.id, f"its tree cannot be read: {error}")


def _children(repository: Any, folder: Entry) -> list[Entry]:
    """The entries of one tree object: mode, space, name, NUL, twenty bytes of id."""
    prefix = folder.path + b"/" if folder.path else b""
    kind, data = read_object(repository, folder.id)
    if kind != "tree":
        raise ValueError(f"the object {folder.id} is no tree")
    found, at = [], 0
    while at < len(data):
        space, end = data.index(b" ", at), data.index(b"\0", at)
        mode = int(data[at:space], 8)
        child = data[end + 1 : end + 21].hex()
        found.append(Entry(prefix + data[space + 1 : end], FOLDER if stat.S_ISDIR(mode) else mode, child))
        at = end + 21
    return found


def blob_size(repository: Any, blob: str) -> int:
    """Size in bytes from the object's header; the content is not read. One of OBJECT_ERRORS where it cannot be."""
    loose = _loose_file(repository, blob)
    if loose is None:
        return int(repository.odb.read_header(blob)[1])
    with loose.open("rb") as stream:
        return _loose_header(zlib.decompressobj().decompress(stream.read(512), 64))[1]


def read_blob(repository: Any, blob: str) -> bytes:
    """The bytes of a blob, its hash checked. One of OBJECT_ERRORS where it is missing or damaged."""
    kind, data = read_object(repository, blob)
    if kind != "blob":
        raise ValueError(f"the object {blob} is no blob")
    return data


def read_object(repository: Any, name: str) -> tuple[str, bytes]:
    """Kind (`blob`, `tree`, `commit`, `tag`) and bytes of an object, its hash checked.

    An object in a file of its own is inflated here: libgit2 1.9 never returns from one that is cut off.
    """
    loose = _loose_file(repository, name)
    if loose is None:
        kind, data = repository.odb.read(name)
        return kind.name.lower(), bytes(data)
    stream = zlib.decompressobj()
    whole = stream.decompress(loose.read_bytes(), 64)
    word, size, start = _loose_header(whole)
    # No more than the header says, which is what the caller was ready for.
    whole += stream.decompress(stream.unconsumed_tail, max(1, start + size - len(whole) + 1))
    if len(whole) - start != size or hashlib.sha1(whole, usedforsecurity=False).hexdigest() != name:
        raise ValueError(f"the object {name} does not have the content that its name says")
    return word, whole[start:]


def _loose_header(data: bytes) -> tuple[str, int, int]:
    """Kind, size in bytes, and where the content begins."""
    end = data.index(b"\0")
    kind, _, size = data[:end].partition(b" ")
    return kind.decode("ascii"), int(size), end + 1


def _loose_file(repository: Any, name: str) -> Path | None:
    """The file of an object that is in no pack; None where there is none. Alternates are left to libgit2."""
    path = _objects(repository.path) / name[:2] / name[2:]
    return path if path.is_file() else None


@lru_cache(maxsize=256)
def _objects(git_folder: str) -> Path:
    """The folder of objects; a linked work tree has that of its repository."""
    common = Path(git_folder) / "commondir"
    return Path(git_folder, common.read_text("utf-8").strip() if common.is_file() else "", "objects")
