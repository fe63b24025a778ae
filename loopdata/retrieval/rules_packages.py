"""Where a reference leads in languages whose packages span files: Java, Go, and C and C++ with their headers.

Enters: `Files`, a file, the target of a reference and one name that is taken of it. Leaves: the files that may hold the
name; and for Java and Go the files of its own package that a file needs without saying so. A header leads to itself
and to the file that holds its functions: the one of the same name, the nearest. Limit: the include path of a build is
unknown, so that `#include "x.h"` finds the nearest file whose path ends so.
"""

import posixpath
import re
from collections import defaultdict
from functools import cached_property

from loopdata.retrieval.places import CANDIDATES, Files, folder, joined
from loopdata.retrieval.references import EVERYTHING

_SOURCES = (".c", ".cc", ".cpp", ".cxx", ".c++", ".C")


class JavaRules:
    """Classes by package and name of their file."""

    def __init__(self, files: Files) -> None:
        self.files = files

    def targets(self, at: int, target: str, name: str) -> list[int]:
        """`import target`, or `import target.*`; of a nested class or a static member the file around it."""
        if name == EVERYTHING:
            return self._used(at, target) or self.targets(at, target, "")
        while "." in target:
            package, _, simple = target.rpartition(".")
            found = self._classes.get(package, {}).get(simple)
            if found is not None:
                return [found]
            target = package
        return []

    def implicit(self, at: int) -> list[int]:
        """Classes of the same package need no import."""
        return self._used(at, self.files.facts[at].package)

    def _used(self, at: int, package: str) -> list[int]:
        classes = self._classes.get(package, {})
        uses = self.files.facts[at].uses
        return [classes[name] for name in sorted(uses & classes.keys()) if classes[name] != at]

    @cached_property
    def _classes(self) -> dict[str, dict[str, int]]:
        """Package → class → its file."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for at, path in enumerate(self.files.paths):
            if path.endswith(".java"):
                facts = self.files.facts[at]
                for name in sorted({posixpath.splitext(posixpath.basename(path))[0], *facts.defines}):
                    found[facts.package].setdefault(name, at)
        return found


class GoRules:
    """A package is a folder; of it the files that define what is taken."""

    def __init__(self, files: Files) -> None:
        self.files = files

    def targets(self, at: int, target: str, name: str) -> list[int]:
        """`target.name`."""
        place = self._place(target)
        if place is None:
            return []
        definers = self._definers.get(place, {})
        names = sorted(self.files.facts[at].uses & definers.keys()) if name == EVERYTHING else [name]
        return [definers[one] for one in names if one in definers]

    def implicit(self, at: int) -> list[int]:
        """What a file uses of its own package."""
        definers = self._definers.get(folder(self.files.paths[at]), {})
        return [definers[name] for name in sorted(self.files.facts[at].uses & definers.keys()) if definers[name] != at]

    def _place(self, target: str) -> str | None:
        """The folder of an import path: below its module, else the longest end of it that is a folder with Go files."""
        for module, base in self._modules:
            if target == module or target.startswith(f"{module}/"):
                return joined(base, target[len(module) :].strip("/")) if target != module else base
        parts = target.split("/")
        if self._modules or "." not in parts[0]:  # without a dot it is the standard library's
            return None
        ends = ("/".join(parts[first:]) for first in range(1, len(parts)))
        return next((end for end in ends if end in self._definers), None)

    @cached_property
    def _modules(self) -> list[tuple[str, str]]:
        """Path of a module and its folder, the longest first."""
        found = []
        for at, text in self.files.build_files.items():
            line = re.search(r"^module\s+(\S+)", text, re.MULTILINE)
            if line and posixpath.basename(self.files.paths[at]) == "go.mod":
                found.append((line.group(1).strip('"'), folder(self.files.paths[at])))
        return sorted(found, key=lambda entry: (-len(entry[0]), entry))

    @cached_property
    def _definers(self) -> dict[str, dict[str, int]]:
        """Folder → name → the file that defines it; tests define nothing for others."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for at in sorted(range(len(self.files.paths)), key=self.files.paths.__getitem__):
            path = self.files.paths[at]
            if path.endswith(".go") and not path.endswith("_test.go"):
                for name in self.files.facts[at].defines:
                    found[folder(path)].setdefault(name, at)
        return found


class CRules:
    """Headers, and the files that hold what they declare."""

    def __init__(self, files: Files) -> None:
        self.files = files

    def targets(self, at: int, target: str, name: str) -> list[int]:
        """`#include target`."""
        path = target.strip('"<> \t')
        header = self.files.first(joined(folder(self.files.paths[at]), path)) if target.startswith('"') else None
        if header is None:
            header = self._elsewhere(at, path.lstrip("./"), target.startswith("<"))
        if header is None:
            return []
        source = self._source_of(header)
        return [header] if source is None or source == at else [source, header]

    def _elsewhere(self, at: int, path: str, is_system: bool) -> int | None:
        """By the end of its path; `<stdio.h>` is the system's unless a folder `include` has it."""
        if not is_system or "/" in path:
            return self.files.ending(path, at)
        return self.files.ending(f"include/{path}", at)

    def _source_of(self, header: int) -> int | None:
        stem, ending = posixpath.splitext(posixpath.basename(self.files.paths[header]))
        if ending in _SOURCES:
            return None
        named = (self.files.by_name.get(stem + source, ())[:CANDIDATES] for source in _SOURCES)
        return self.files.nearest((at for group in named for at in group), header)
