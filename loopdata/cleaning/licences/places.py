"""Which files say something about licences, by their paths alone.

Enters: a path within a repository. Leaves: what kind of evidence the file may hold, and for which folder it speaks: the
one it lies in, but for `x.dist-info`, `x.egg-info`, `META-INF` and REUSE's `LICENSES`, which speak for the folder above
them. Limit: the names are English; a licence in a README is not looked for.
"""

import re
from functools import lru_cache
from typing import Literal, NamedTuple

from loopdata.cleaning.licences.metadata import reader_of
from loopdata.cleaning.licences.names import expression_of

Kind = Literal["licence_file", "licence_text", "notice", "metadata"]


class Place(NamedTuple):
    """A file of evidence. `inside` is the folder of metadata that it was found in, if it speaks for the one above;
    `named` that its name says which licence it is (LICENSE-MIT)."""

    kind: Kind
    folder: str
    inside: str = ""
    named: bool = False


_DOCUMENT = re.compile(r"\.(?:txt|md|markdown|rst|adoc|asciidoc|org|html?)$", re.IGNORECASE)
_LICENCE = re.compile(r"(?:UN)?LICEN[CS]ES?|COPYING[23]?|COPYRIGHT", re.IGNORECASE)
_NOTICE = re.compile(r"NOTICES?", re.IGNORECASE)
_OF_OTHERS = re.compile(
    r"third|3rd|part(?:y|ies)|bundle|vendor|depend|header|template|check|binary|wheel|test|old|ignore|docs?\b",
    re.IGNORECASE,
)
_JOINT = re.compile(r"[-_. ]+")
_MIT_STYLE = re.compile(r"(?P<name>[\w.+-]{2,20}?)[-_. ](?:LICEN[CS]E|COPYING)", re.IGNORECASE)
# What follows `LICENSE.` or `COPYING.` and is no document: names of licences and of GNU's variants.
_VARIANT = re.compile(
    r"(?:LESSER|LIB|RUNTIME|v?\d+(?:[._]\d+)*|[AL]?GPL\S*|MIT\S*|BSD\S*|APACHE\S*|MPL\S*|ISC|ZLIB|PSF|EPL\S*|CC0?\S*|UNLICENSE"
    r"|BOOST|BSL\S*|EUPL\S*|OFL\S*|ARTISTIC\S*|CODE|MAIN|EN)",
    re.IGNORECASE,
)


@lru_cache(maxsize=65_536)
def place_of(path: str) -> Place | None:
    """What kind of evidence a path may hold, None for nearly all."""
    folder, _, name = path.rpartition("/")
    if reader_of(name) is not None:
        return _above(Place("metadata", folder))
    stem = _DOCUMENT.sub("", name)
    if folder.rpartition("/")[2] == "LICENSES":
        return Place("licence_text", folder.rpartition("/")[0], folder, True)
    if _OF_OTHERS.search(stem):
        return None
    if _NOTICE.fullmatch(stem) and not folder:  # deeper ones are about what they lie beside
        return Place("notice", folder)
    if _LICENCE.fullmatch(stem):
        return _above(Place("licence_file", folder))
    head, joint, tail = _parted(stem)
    if joint and _LICENCE.fullmatch(head) and _VARIANT.fullmatch(tail):
        return _above(Place("licence_file", folder, named=True))
    found = _MIT_STYLE.fullmatch(stem)
    if found and expression_of(found["name"]):
        return _above(Place("licence_file", folder, named=True))
    return None


def _parted(stem: str) -> tuple[str, str, str]:
    found = _JOINT.search(stem)
    return (stem[: found.start()], found[0], stem[found.end() :]) if found else (stem, "", "")


def _above(place: Place) -> Place:
    """Metadata folders and what lies in them speak for the folder above."""
    parts = place.folder.split("/")
    for depth, part in enumerate(parts):
        if part.endswith((".dist-info", ".egg-info")) or part == "META-INF":
            return place._replace(folder="/".join(parts[:depth]), inside="/".join(parts[: depth + 1]))
    return place


def folders_above(path: str) -> list[str]:
    """The folders that a path lies in, the nearest first; the last is the repository's root, ``."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(len(parts), -1, -1)]
