"""The `git` source: every file of one commit of a repository, straight from its objects.

Enters: a work tree, a bare repository or a bundle, and a revision. Leaves: one input, whose digest is the commit's id,
and its files in the order of their path bytes, with git's own blob ids. A blob is read once, and each place where it
lies becomes a document; the executable bit plays no part. Links, submodules, binary and large files are left out with
their fate; a damaged object costs that file only. Limit: a blob that lies in several places is read again where more
than 64 MB of such blobs wait for their other places.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

from pydantic import Field

from loopdata import git
from loopdata.config import Strict
from loopdata.errors import SourceError
from loopdata.sources.entries import Entry, Refusal, batches, binary, dropped, oversized
from loopdata.sources.files import Patterns
from loopdata.sources.globs import Globs
from loopdata.stage import Batch, Input, Source

HELD_BYTES = 64_000_000
# A tree of a few objects can name billions of paths; no repository known has more than some millions.
MAX_ENTRIES = 5_000_000


class GitConfig(Strict):
    """`repo` defaults to the name of the folder or bundle."""

    path: str
    revision: str = Field(default="HEAD", min_length=1)
    repo: str | None = Field(default=None, min_length=1)
    include: Patterns = Field(default_factory=list)
    exclude: Patterns = Field(default_factory=list)
    max_bytes: int = Field(default=1_000_000, ge=1)
    category: str = Field(default="code", min_length=1)

    def identity(self) -> dict[str, Any]:
        """Without `path` and `revision`: the name of the input and its commit say what they stand for."""
        return {"config": self.model_dump(mode="json", exclude={"path", "revision"})}


class Git(Source):
    """Files of one commit."""

    name = "git"
    Config: ClassVar[type[Strict]] = GitConfig

    def __init__(self, config: GitConfig, *, label: str) -> None:
        super().__init__(config, label=label)
        self._globs = Globs(config.include, config.exclude)

    def inputs(self) -> list[Input]:
        """The repository at its commit. ConfigError for a wrong path or revision, SourceError where it has no files."""
        name = self.config.repo or git.repository_name(git.local_path(self.config.path))
        with git.opened(self.config.path) as repository:
            commit = git.resolve(repository, self.config.revision, self.config.path)
            entries = self._wanted(repository, commit)
            if not entries:
                raise SourceError(
                    f"the commit {commit.id} of {self.config.path} holds no files",
                    "check revision, include and exclude",
                )
            sizes = (_size(repository, entry) for entry in entries)
            num_bytes = sum(size for size in sizes if size is not None and size <= self.config.max_bytes)
            return [Input(name, str(commit.id), num_bytes, (name,), {"commit": str(commit.id)})]

    def read(self, item: Input) -> Iterator[Batch]:
        """The files of the commit that was planned; that a branch moved on since then changes nothing."""
        with git.opened(self.config.path) as repository:
            try:
                git.read_object(repository, item.locator["commit"])
                commit = repository[item.locator["commit"]]
            except git.OBJECT_ERRORS as error:
                raise SourceError(
                    f"the commit {item.digest} of {item.name} is gone since it was planned", "run again"
                ) from error
            yield from batches(self.label, self.config.category, self._entries(repository, commit, item))

    def _wanted(self, repository: Any, commit: Any) -> list[git.Entry]:
        found = []
        for count, entry in enumerate(git.entries(repository, commit.tree_id), 1):
            if count > MAX_ENTRIES:
                raise SourceError(f"the commit {commit.id} of {self.config.path} has more than {MAX_ENTRIES} entries")
            if entry.broken or self._globs.take(git.path_text(entry.path)):
                found.append(entry)
        return found

    def _entries(self, repository: Any, commit: Any, item: Input) -> Iterator[Entry]:
        wanted = self._wanted(repository, commit)
        blobs = _Blobs(repository, wanted)
        date = _date(commit.commit_time)
        for entry in wanted:
            size = _size(repository, entry)
            content, refusal = None, _refusal(entry, size, self.config.max_bytes)
            if refusal is None:
                try:
                    content = blobs.read(entry.id)
                    refusal = binary(content)
                except git.OBJECT_ERRORS as error:
                    refusal = Refusal("quarantined", "corrupt_object", details=f"{entry.id}: {error}")
            yield Entry(
                repo=item.name,
                path=git.path_text(entry.path),
                locator=f"{item.name}\0{entry.path.decode('utf-8', 'surrogateescape')}",
                num_bytes=size or 0,
                content=content,
                refusal=refusal,
                blob_id=entry.id if entry.mode not in (git.SUBMODULE, git.FOLDER) else None,
                commit=item.digest,
                date=date,
            )


class _Blobs:
    """Blobs by id, each read once: one that lies in several places is held until its last place was served."""

    def __init__(self, repository: Any, entries: list[git.Entry]) -> None:
        self._repository = repository
        self._places = Counter(entry.id for entry in entries)
        self._held: dict[str, bytes] = {}
        self._held_bytes = 0

    def read(self, blob: str) -> bytes:
        """The bytes of a blob for one of its places."""
        content = self._held.get(blob)
        if content is None:
            content = git.read_blob(self._repository, blob)
        self._places[blob] -= 1
        if self._places[blob] == 0:
            self._held_bytes -= len(self._held.pop(blob, b""))
        elif blob not in self._held and self._held_bytes + len(content) <= HELD_BYTES:
            self._held[blob] = content
            self._held_bytes += len(content)
        return content


def _size(repository: Any, entry: git.Entry) -> int | None:
    """Size of an entry's blob in bytes, from its header; None where there is no blob, or its header cannot be read."""
    if entry.mode in (git.SUBMODULE, git.FOLDER):
        return None
    try:
        return git.blob_size(repository, entry.id)
    except git.OBJECT_ERRORS:
        return None


def _refusal(entry: git.Entry, size: int | None, max_bytes: int) -> Refusal | None:
    """Why an entry is not even read. A size that is unknown refuses nothing: reading then says what is wrong."""
    if entry.broken:
        return Refusal("quarantined", "corrupt_object", details=f"{entry.id}: {entry.broken}")
    if entry.mode == git.SYMLINK:
        return dropped("symlink")
    if entry.mode == git.SUBMODULE:
        return dropped("submodule", entry.id)
    return oversized(size or 0, max_bytes)


def _date(seconds: int) -> datetime | None:
    """Committer date; None for one that no calendar holds, which hand-made commits have."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
