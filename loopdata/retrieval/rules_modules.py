"""Where a reference leads in languages whose modules are files: Python, JavaScript and TypeScript, Rust.

Enters: `Files`, a file, the target of a reference and one name that is taken of it. Leaves: the files that may hold the
name. The rules are those by which the languages themselves look for modules, as far as paths alone tell: packages with
and without `__init__.py`, relative imports, index files, endings that may be left out, workspaces by the names in
`package.json` and `Cargo.toml`, `mod` and `crate::`. Limit: search paths, bundlers' aliases and `#[path]` are unknown.
"""

import json
import posixpath
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property

from loopdata.retrieval.places import CANDIDATES, Files, folder, joined
from loopdata.retrieval.references import EVERYTHING

_ENDINGS = (".ts", ".tsx", ".d.ts", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts")
_OF_CRATES = ("tests", "benches", "examples", "bin")  # folders in which each file is a crate
_COMPILED = {".js": (".ts", ".tsx"), ".jsx": (".tsx",), ".mjs": (".mts",), ".cjs": (".cts",)}


class PythonRules:
    """Modules are found relative to the file, else by their dotted name below any folder that packages lie in."""

    def __init__(self, files: Files) -> None:
        self.files = files

    def targets(self, at: int, target: str, name: str) -> list[int]:
        """`from target import name`; without a name `import target`."""
        dots = len(target) - len(target.lstrip("."))
        base = self._above(folder(self.files.paths[at]), dots) if dots else None
        parts = [part for part in target.lstrip(".").split(".") if part]
        if name and name != EVERYTHING:
            module = self._find(at, base, [*parts, name])
            if module is not None:
                return [module]
        while parts or base is not None:
            module = self._find(at, base, parts)
            if module is not None or not parts or name:
                return [] if module is None else [module]
            parts = parts[:-1]  # of `import a.b` a package `a` alone is better than nothing
        return []

    def _above(self, base: str, dots: int) -> str:
        return joined(base, *[".."] * (dots - 1))

    def _find(self, at: int, base: str | None, parts: list[str]) -> int | None:
        if base is not None:
            stem = joined(base, *parts)
            return self.files.first(f"{stem}.py", joined(stem, "__init__.py"), f"{stem}.pyi")
        if not parts:
            return None
        found = self._modules.get(".".join(parts), [])
        if parts[0] in sys.stdlib_module_names:  # only where this repository is the standard library
            found = [one for one in found if self.files.paths[one].startswith(parts[0])]
        return self.files.nearest((one for one in found if self._sees(at, one, parts)), at)

    def _sees(self, at: int, module: int, parts: list[str]) -> bool:
        """A lone module is imported by files beside or below it, a package from anywhere."""
        place = folder(self.files.paths[module])
        below = not place or f"{folder(self.files.paths[at])}/".startswith(f"{place}/")
        return len(parts) > 1 or below or self._is_package(module)

    def _is_package(self, module: int) -> bool:
        return posixpath.basename(self.files.paths[module]).startswith("__init__.")

    @cached_property
    def _modules(self) -> dict[str, list[int]]:
        """Dotted name → files, for every name from that below the folder of the top package up to the whole path."""
        found: dict[str, list[int]] = defaultdict(list)
        for at in sorted(range(len(self.files.paths)), key=self.files.paths.__getitem__):
            stem, ending = posixpath.splitext(self.files.paths[at])
            if ending not in (".py", ".pyi"):
                continue
            parts = stem.split("/")
            top = len(parts) - 1
            while top > 0 and "/".join([*parts[:top], "__init__.py"]) in self.files.by_path:
                top -= 1
            if parts[-1] == "__init__":
                parts = parts[:-1]
            for first in range(min(top, len(parts) - 1) + 1):
                group = found[".".join(parts[first:])]
                if len(group) < CANDIDATES:
                    group.append(at)
        return found


class ScriptRules:
    """Relative paths with their endings left out, index files, and packages of the same repository by name."""

    def __init__(self, files: Files) -> None:
        self.files = files

    def targets(self, at: int, target: str, name: str) -> list[int]:
        """`import … from target`."""
        if target.startswith("."):
            places = [joined(folder(self.files.paths[at]), target)]
        else:
            package = next((head for head in self._heads(target) if head in self._packages), None)
            inside = target[len(package) :].lstrip("/") if package else target.removeprefix("@/").removeprefix("~/")
            bases = [self._packages[package]] if package else [""]
            places = [joined(base, part, inside) for base in bases for part in ("", "src", "lib")]
        found = (self.files.first(*self._spellings(place)) for place in places if not place.startswith(".."))
        return [one for one in found if one is not None][:1]

    def _heads(self, target: str) -> list[str]:
        parts = target.split("/")
        return ["/".join(parts[:count]) for count in (2, 1)]

    def _spellings(self, place: str) -> Iterator[str]:
        """Paths that a place without its ending may stand for, in the order in which they are looked for."""
        if place:
            stem, ending = posixpath.splitext(place)
            yield place
            yield from (stem + other for other in _COMPILED.get(ending, ()))
            yield from (place + other for other in _ENDINGS)
        inside = f"{place}/index" if place else "index"
        yield from (inside + other for other in _ENDINGS)

    @cached_property
    def _packages(self) -> dict[str, str]:
        """Name of a package → its folder."""
        found: dict[str, str] = {}
        for at, text in sorted(self.files.build_files.items()):
            if posixpath.basename(self.files.paths[at]) == "package.json":
                try:
                    name = json.loads(text).get("name")
                except (ValueError, AttributeError, RecursionError):
                    continue
                if isinstance(name, str) and name:
                    found.setdefault(name, folder(self.files.paths[at]))
        return found


class RustRules:
    """Modules below the root of their crate, crates of the same repository by name."""

    def __init__(self, files: Files) -> None:
        self.files = files

    def targets(self, at: int, target: str, name: str) -> list[int]:
        """`use target::name`."""
        parts = [*target.split("::"), *([name] if name and name != EVERYTHING else [])]
        parts = [part for part in parts if part]
        found = self._start(at, parts)
        if found is None:
            return []
        place, parts = found
        for count in range(len(parts), -1, -1):
            stem = joined(place, *parts[:count])
            module = self.files.first(f"{stem}.rs", joined(stem, "mod.rs"), *self._roots(stem if count == 0 else None))
            if module is not None:
                return [module] if module != at else []
        return []

    def _start(self, at: int, parts: list[str]) -> tuple[str, list[str]] | None:
        """The folder that the path begins in, and what is left of it."""
        if not parts:
            return None
        place, rest = self._module_folder(at), parts
        if parts[0] == "crate":
            return self._crate(at), parts[1:]
        if parts[0] in ("self", "super"):
            while rest and rest[0] in ("self", "super"):
                place, rest = (folder(place) if rest[0] == "super" else place), rest[1:]
            return place, rest
        if self.files.first(joined(place, f"{parts[0]}.rs"), joined(place, parts[0], "mod.rs")) is not None:
            return place, parts
        crate = self._crates.get(parts[0].replace("-", "_"))
        return None if crate is None else (crate, parts[1:])

    def _module_folder(self, at: int) -> str:
        """Where the children of a module lie: beside the root of a crate, else in a folder of the module's name."""
        path = self.files.paths[at]
        stem = posixpath.splitext(path)[0]
        is_root = posixpath.basename(stem) in ("mod", "lib", "main") or posixpath.basename(folder(path)) in _OF_CRATES
        return folder(path) if is_root else stem

    def _roots(self, place: str | None) -> list[str]:
        return [] if place is None else [joined(place, "lib.rs"), joined(place, "main.rs")]

    def _crate(self, at: int) -> str:
        """The folder of the root of a file's crate: the nearest above it with a `lib.rs` or `main.rs`."""
        place = folder(self.files.paths[at])
        while place and self.files.first(*self._roots(place)) is None:
            place = folder(place)
        return place

    @cached_property
    def _crates(self) -> dict[str, str]:
        """Name of a crate → the folder of its sources."""
        found: dict[str, str] = {}
        for at, text in sorted(self.files.build_files.items()):
            name = re.search(r'^\s*name\s*=\s*"([\w-]+)"', text, re.MULTILINE)
            if name and posixpath.basename(self.files.paths[at]) == "Cargo.toml":
                base = folder(self.files.paths[at])
                source = joined(base, "src")
                has_source = self.files.first(*self._roots(source)) is not None
                found.setdefault(name.group(1).replace("-", "_"), source if has_source else base)
        return found
