"""The `files` source: every file below a folder, as one repository or one a top folder.

Enters: a local folder or any fsspec URL. Leaves: one input a repository, its files sorted by the bytes of their paths,
however the folder is listed. Symbolic links are not followed, special files are not opened, files above `max_bytes` and
binary ones are left out; each such entry has its fate. What `include` and `exclude` leave out is no entry at all and
has none. Limit: a change that keeps size and mtime of a file is not seen.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from loopdata.config import Strict
from loopdata.errors import SourceError
from loopdata.git import path_text
from loopdata.sources.entries import Entry, Refusal, batches, binary, dropped, oversized
from loopdata.sources.globs import Globs, checked
from loopdata.sources.trees import ChangedError, Found, Tree, fingerprint, open_tree
from loopdata.stage import Batch, Input, Source

Patterns = Annotated[list[str], AfterValidator(checked)]
# Caches of the interpreter, and the insides of version control; `.git` is a file in work trees and submodules.
LEFT_OUT = ["**/__pycache__/**", "**/.git/**", "**/.git", "**/.hg/**", "**/.svn/**"]


class FilesConfig(Strict):
    """`repo` names the one repository that all files belong to (default: the source's name); `repo_per: top_folder`
    makes each folder directly below `path` one, and the loose files beside them another, named after the source.
    An `exclude` that is given replaces the default one."""

    path: str
    repo: str | None = Field(default=None, min_length=1)
    repo_per: Literal["top_folder"] | None = None
    include: Patterns = Field(default_factory=list)
    exclude: Patterns = Field(default_factory=LEFT_OUT.copy)
    max_bytes: int = Field(default=1_000_000, ge=1)
    category: str = Field(default="code", min_length=1)

    @model_validator(mode="after")
    def _one_of(self) -> "FilesConfig":
        if self.repo is not None and self.repo_per is not None:
            raise ValueError("`repo` and `repo_per` exclude each other; give one of them")
        return self

    def identity(self) -> dict[str, Any]:
        """Without `path`: data that were moved are still the same data."""
        return {"config": self.model_dump(mode="json", exclude={"path"})}


class Files(Source):
    """Files below a folder."""

    name = "files"
    Config: ClassVar[type[Strict]] = FilesConfig

    def __init__(self, config: FilesConfig, *, label: str) -> None:
        super().__init__(config, label=label)
        self._globs = Globs(config.include, config.exclude)

    def inputs(self) -> list[Input]:
        """One input a repository. ConfigError where there is no such folder, SourceError where it has no files."""
        entries = self._wanted(open_tree(self.config.path), lambda name, is_folder: True)
        if not entries:
            raise SourceError(
                f"the source {self.label} found no files in {self.config.path}", "check path, include and exclude"
            )
        groups: dict[str | None, list[Found]] = defaultdict(list)
        for entry in entries:
            groups[self._top_folder(entry.path)].append(entry)
        return sorted((self._input(top, found, groups) for top, found in groups.items()), key=lambda item: item.name)

    def _input(self, top: str | None, found: list[Found], groups: dict[str | None, list[Found]]) -> Input:
        name = top
        if name is None:
            name = self.config.repo or self.label
            name = f"{name}/." if name in groups else name  # a top folder may have the name of the source
        num_bytes = sum(e.num_bytes for e in found if e.kind == "file" and e.num_bytes <= self.config.max_bytes)
        return Input(name, fingerprint(found), num_bytes, (name,), {"top": top})

    def _top_folder(self, path: bytes) -> str | None:
        """Name of the repository by top folder; None for what belongs to the repository named after the source."""
        top, slash, _ = path.partition(b"/")
        return path_text(top) if slash and self.config.repo_per else None

    def _wanted(self, tree: Tree, top: Callable[[bytes, bool], bool]) -> list[Found]:
        # No pattern can say what a folder that cannot be listed would hold: it stays, to be counted.
        found = (
            entry
            for entry in tree.walk(self._globs.skip, top)
            if entry.kind == "unreadable" or self._globs.take(path_text(entry.path))
        )
        return sorted(found, key=lambda entry: entry.path)

    def read(self, item: Input) -> Iterator[Batch]:
        """The files of one repository. SourceError where anything changed since it was planned."""
        tree = open_tree(self.config.path)
        top = item.locator["top"]

        def belongs(name: bytes, is_folder: bool) -> bool:
            # The loose files are listed with all others: a top folder that cannot be listed is an entry among them.
            return top is None or (is_folder and path_text(name) == top)

        entries = self._wanted(tree, belongs)
        entries = [entry for entry in entries if self._top_folder(entry.path) == top]
        if fingerprint(entries) != item.digest:
            raise self._changed(item)
        yield from batches(self.label, self.config.category, self._entries(tree, item, entries))

    def _changed(self, item: Input, path: str = "") -> SourceError:
        where = f"{item.name}: {path}" if path else item.name
        return SourceError(f"the input {where} of the source {self.label} changed since it was planned", "run again")

    def _entries(self, tree: Tree, item: Input, found: list[Found]) -> Iterator[Entry]:
        for entry in found:
            raw = entry.path.partition(b"/")[2] if item.locator["top"] is not None else entry.path
            refusal = self._refusal(entry)
            content = None
            if refusal is None:
                try:
                    content = tree.read(entry)
                    refusal = binary(content)
                except ChangedError as error:
                    raise self._changed(item, path_text(raw)) from error
                except OSError as error:
                    refusal = Refusal("quarantined", "unreadable", details=error.strerror or repr(error))
            locator = f"{item.name}\0{os.fsdecode(raw)}"
            yield Entry(item.name, path_text(raw), locator, entry.num_bytes, content, refusal)

    def _refusal(self, entry: Found) -> Refusal | None:
        """Why an entry is not even opened."""
        if entry.kind == "unreadable":
            return Refusal("quarantined", "unreadable", details=entry.cause)
        if entry.kind == "symlink":
            return dropped("symlink")
        if entry.kind == "special":
            return dropped("special_file")
        return oversized(entry.num_bytes, self.config.max_bytes)
