"""The files of a repository by their places, as the path rules of all languages look them up.

Enters: paths, languages and facts of the files, and the texts of the few build files that name packages. Leaves:
`Files`, which finds files by path and by the end of their path, and of several candidates the nearest.
Limit: of files whose paths end alike only the first CANDIDATES by path are looked at.
"""

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from loopdata.retrieval.references import Facts

CANDIDATES = 64
BUILD_FILES = frozenset({"go.mod", "Cargo.toml", "package.json"})


class Files:
    """Files are numbers, in the order in which they were given; where two have the same path, the first counts."""

    def __init__(
        self,
        paths: Sequence[str],
        languages: Sequence[str | None],
        facts: Sequence[Facts],
        build_files: Mapping[int, str] | None = None,
    ) -> None:
        self.paths = [posixpath.normpath(path).lstrip("/") for path in paths]
        self.languages, self.facts = languages, facts
        self.build_files = build_files or {}
        self.by_path: dict[str, int] = {}
        for at, path in enumerate(self.paths):
            self.by_path.setdefault(path, at)

    @cached_property
    def by_name(self) -> dict[str, list[int]]:
        """File name → files, in the order of their paths."""
        found: dict[str, list[int]] = defaultdict(list)
        for at in sorted(range(len(self.paths)), key=self.paths.__getitem__):
            found[posixpath.basename(self.paths[at])].append(at)
        return dict(found)

    def first(self, *paths: str) -> int | None:
        """The first of these paths that there is."""
        return next((self.by_path[path] for path in paths if path in self.by_path), None)

    def ending(self, end: str, near: int) -> int | None:
        """The file whose path is `end` or ends with it, below a folder; of several the nearest."""
        named = self.by_name.get(posixpath.basename(end), ())[:CANDIDATES]
        return self.nearest([at for at in named if f"/{self.paths[at]}".endswith(f"/{end}")], near)

    def nearest(self, candidates: Iterable[int], near: int) -> int | None:
        """The candidate that shares the most folders with a file; then the shortest path, then the first by name."""
        folders = self.paths[near].split("/")[:-1]

        def distance(at: int) -> tuple[int, int, str]:
            others = self.paths[at].split("/")
            shared = next((n for n, pair in enumerate(zip(folders, others, strict=False)) if pair[0] != pair[1]), None)
            return -(min(len(folders), len(others)) if shared is None else shared), len(others), self.paths[at]

        return min(candidates, key=distance, default=None)


def folder(path: str) -> str:
    """The folder of a path; empty at the top."""
    return posixpath.dirname(path)


def joined(base: str, *parts: str) -> str:
    """A path below or above a folder, without dots; what leaves the repository begins with `..`."""
    path = posixpath.normpath("/".join(part for part in (base, *parts) if part))
    return "" if path == "." else path
