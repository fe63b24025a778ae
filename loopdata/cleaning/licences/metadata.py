"""The licence that package metadata declare.

Enters: name and text of a `package.json`, `composer.json`, `pyproject.toml`, `setup.cfg`, `setup.py`, `PKG-INFO`,
`METADATA`, `Cargo.toml`, `pom.xml`, `*.gemspec` or R `DESCRIPTION`. Leaves: the licence as an expression and as it is
written, with its line; several names are a choice, as npm, Composer and Maven have it. Nothing is executed; XML is read
by patterns, so that no entity is ever expanded. Limit: licences that a build script computes are not seen.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from loopdata.cleaning.licences.names import any_of, expression_of

MAX_CHARACTERS = 1 << 20
_MAX_TOML = 1 << 16  # tomllib takes time by the square of a table's depth: 8 s for 200 kB of `[a.a.a…]`
_WRITTEN = 80  # characters of a name that no licence has, as evidence


class Declared(NamedTuple):
    """`licence` is an SPDX expression, None where the name written there stands for none; `line` begins at 1."""

    licence: str | None
    written: str
    line: int


def reader_of(file_name: str) -> Callable[[str], list[str]] | None:
    """What reads the metadata in a file of this name."""
    return _READERS.get(file_name) or (_gemspec if file_name.endswith(".gemspec") else None)


def declared(file_name: str, text: str) -> Declared | None:
    """The licence that a file of metadata declares; None where it says nothing, or refers to a file."""
    reader = reader_of(file_name)
    if reader is None or len(text) > MAX_CHARACTERS:
        return None
    try:
        # JSON may hold half a surrogate pair, which is no text.
        written_names = [name.encode("utf-8", "replace").decode() for name in reader(text)]
    except (ValueError, RecursionError):  # no JSON, no TOML, or nested too deep
        return None
    names = list(dict.fromkeys(name.strip() for name in written_names if name.strip()))
    names = [name for name in names if not _REFERS.match(name)]
    if not names:
        return None
    known = [expression for name in names if (expression := expression_of(name))]
    written = "; ".join(names)[:_WRITTEN]
    return Declared(any_of(known) if len(known) == len(names) else None, written, _line(text, names[0]))


_REFERS = re.compile(r"(?:see\b|file\b|licen[cs]e(?:[-_.]\w+)*$)", re.IGNORECASE)
# What classifiers of PyPI say without naming a licence.
_NO_LICENCE = frozenset({"OSI Approved", "DFSG approved", "Freely Distributable", "Freeware", "Other"})


def _json(text: str) -> Any:
    return json.loads(text.removeprefix("\ufeff"))


def _package_json(text: str) -> list[str]:
    data = _json(text)
    if not isinstance(data, dict):
        return []
    found = data.get("license", data.get("licence")) or data.get("licenses") or []
    return list(_named(found if isinstance(found, list) else [found]))


def _named(entries: Iterable[Any]) -> Iterable[str]:
    for entry in entries:
        name = (entry.get("type") or entry.get("name")) if isinstance(entry, dict) else entry
        if isinstance(name, str):
            yield name


def _composer_json(text: str) -> list[str]:
    data = _json(text)
    found = data.get("license") if isinstance(data, dict) else None
    return list(_named(found if isinstance(found, list) else [found]))


def _toml(text: str) -> Any:
    return tomllib.loads(text) if len(text) <= _MAX_TOML else None


def _table(data: Any, *keys: str) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _pyproject(text: str) -> list[str]:
    data = _toml(text)
    found = _table(data, "project", "license") or _table(data, "tool", "poetry", "license")
    if isinstance(found, dict):
        found = found.get("text")
    if isinstance(found, str) and len(found) <= 200:
        return [found]
    classifiers = _table(data, "project", "classifiers") or _table(data, "tool", "poetry", "classifiers")
    return _classified(entry for entry in classifiers or () if isinstance(entry, str))


def _classified(classifiers: Iterable[str]) -> list[str]:
    """Names of licences among classifiers of PyPI."""
    names = [entry.rpartition("::")[2].strip() for entry in classifiers if entry.strip().startswith("License")]
    return [name for name in names if name not in _NO_LICENCE]


def _cargo(text: str) -> list[str]:
    data = _toml(text)
    found = _table(data, "package", "license") or _table(data, "workspace", "package", "license")
    return [found] if isinstance(found, str) else []


_CFG_LICENCE = re.compile(r"(?m)^licen[cs]e[ \t]*[=:][ \t]*([^\n]+)")
_CLASSIFIER = re.compile(r"License :: [^\n\"',]+")


def _setup_cfg(text: str) -> list[str]:
    return _one_or_classifiers(_CFG_LICENCE.search(text), text)


_PY_LICENCE = re.compile(r"\blicen[cs]e\s*=\s*[\"']([^\"'\n]{1,100})[\"']")


def _setup_py(text: str) -> list[str]:
    return _one_or_classifiers(_PY_LICENCE.search(text), text)


def _one_or_classifiers(found: re.Match[str] | None, text: str) -> list[str]:
    """The licence as it is written, unless only a classifier stands for a known one."""
    written = [found[1]] if found else []
    if written and expression_of(written[0]):
        return written
    return _classified(_CLASSIFIER.findall(text)) or written


def _core_metadata(text: str) -> list[str]:
    head = text.partition("\n\n")[0]
    found = re.search(r"(?m)^License-Expression:[ \t]*([^\n]+)", head)
    if found:
        return [found[1]]
    found = re.search(r"(?m)^License:[ \t]*([^\n]+)", head)
    if found and found[1].strip().upper() == "UNKNOWN":
        found = None
    return _one_or_classifiers(found, head)


_POM_NAME = re.compile(r"<name>([^<]{1,200})</name>")


def _pom(text: str) -> list[str]:
    block = text.partition("<licenses>")[2].partition("</licenses>")[0]
    names = (_POM_NAME.search(part) for part in block.split("</license>"))
    return [" ".join(name[1].split()) for name in names if name]


_GEM_LICENCES = re.compile(
    r"\.licen[cs]es?\s*=\s*(?:\[([^\]]{0,300})\]|([\"'][^\"'\n]{1,100}[\"']|%w\[[^\]]{0,200}\]))"
)


def _gemspec(text: str) -> list[str]:
    found = _GEM_LICENCES.search(text)
    if not found:
        return []
    value = found[1] or found[2]
    return value[3:-1].split() if value.startswith("%w") else re.findall(r"[\"']([^\"']+)[\"']", value)


_R_LICENCE = re.compile(r"(?m)^License:[ \t]*([^\n]+(?:\n[ \t]+[^\n]+)*)")


def _description(text: str) -> list[str]:
    """R's own syntax: `GPL (>= 2) | file LICENSE`, `MIT + file LICENSE`."""
    found = _R_LICENCE.search(text) if re.search(r"(?m)^Package:", text) else None
    if not found:
        return []
    names = (name.partition("+")[0].strip() for name in found[1].split("|"))
    return [re.sub(r"\(\s*>=?\s*([\d.]+)\s*\)", r"\1+", name) for name in names]


_READERS: dict[str, Callable[[str], list[str]]] = {
    "package.json": _package_json,
    "composer.json": _composer_json,
    "pyproject.toml": _pyproject,
    "setup.cfg": _setup_cfg,
    "setup.py": _setup_py,
    "PKG-INFO": _core_metadata,
    "METADATA": _core_metadata,
    "Cargo.toml": _cargo,
    "pom.xml": _pom,
    "DESCRIPTION": _description,
}


def _line(text: str, name: str) -> int:
    """Line on which a licence is named: where its words stand behind the word `licen(s|c)e`, else where that stands."""
    key = re.search(r"(?i)licen[cs]e", text)
    behind = key.end() if key else 0
    place = text.find(name, behind) if key else behind
    return text.count("\n", 0, place if place >= 0 else behind) + 1
