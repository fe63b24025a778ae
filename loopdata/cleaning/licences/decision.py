"""From the evidence of one folder to its licence.

Enters: what the licence files and the package metadata of a folder say. Leaves: one `Decision`. The licence files speak
first; metadata say how they belong together (`MIT OR Apache-2.0`), whether later versions may be chosen, and which of
several licences is the package's own, as long as they speak of the same licences. Where they speak of others the files
win, and the conflict is recorded. Without metadata several files hold together (`AND`), unless one says that a choice
is offered, or each is named after its permissive licence, as Rust's are. Limit: a folder, not a file: a licence for
some files of a folder only is one for all of them.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from loopdata.cleaning.licences.metadata import declared
from loopdata.cleaning.licences.names import BSD, Class, all_of, any_of, class_of, expression_of, licences_in
from loopdata.cleaning.licences.places import Place
from loopdata.cleaning.licences.texts import read_text

MAX_EVIDENCE = 8
_LGPL_3 = frozenset({"LGPL-3.0-only", "LGPL-3.0-or-later"})
_GPL_3 = frozenset({"GPL-3.0-only", "GPL-3.0-or-later"})


class Evidence(NamedTuple):
    """What one file says. `licence` is null where it has a licence that nobody knows; `folder` is the one that it
    speaks for, `inside` the folder of metadata that it lies in; `named` that its name says which licence it is."""

    kind: str
    path: str
    line: int
    licence: str | None
    written: str = ""
    folder: str = ""
    inside: str = ""
    named: bool = False
    either: bool = False

    def __str__(self) -> str:
        return f"{self.licence or self.written or 'an unknown licence'} by {self.path}:{self.line} ({self.kind})"


class Decision(NamedTuple):
    """A folder's licence; `conflict` is what else says something of another class."""

    licence: str | None
    licence_class: Class
    evidence: tuple[Evidence, ...]
    conflict: str | None = None


def kept(evidence: Iterable[Evidence]) -> list[dict[str, object]]:
    """Evidence as it stays with a document: entries of schema.EVIDENCE."""
    return [
        {"kind": item.kind, "path": item.path, "line": item.line, "licence": item.licence or item.written or None}
        for item in list(evidence)[:MAX_EVIDENCE]
    ]


def evidence_of(place: Place, path: str, text: str) -> Evidence | None:
    """What a file that may hold evidence says; None where it says nothing about a licence."""
    whole = Evidence(place.kind, path, 1, None, "", place.folder, place.inside, place.named)
    if place.kind == "metadata":
        said = declared(path.rpartition("/")[2], text)
        return whole._replace(line=said.line, licence=said.licence, written=said.written) if said else None
    reading = read_text(text)
    licence = reading.licence
    if licence is None and place.kind == "licence_text":
        licence = expression_of(path.rpartition("/")[2].rpartition(".")[0])
    if licence is None and not reading.either and (place.kind != "licence_file" or not reading.legal):
        return None
    return whole._replace(line=reading.line, licence=licence, either=reading.either)


def decide(found: Sequence[Evidence]) -> Decision | None:
    """The licence of a folder by its evidence; None where there is none."""
    found = _of_one_package(sorted(found))
    metadata = [item for item in found if item.kind == "metadata"]
    files = next(
        (
            some
            for kind in ("licence_file", "licence_text", "notice")
            if (some := [item for item in found if item.kind == kind])
        ),
        [],
    )
    if not files and not metadata:
        return None
    by_files, by_metadata = _of_files(files), _all(item.licence for item in metadata)
    if by_files is None or by_metadata is None:
        licence = by_files or by_metadata
        return Decision(licence, class_of(licence) if licence else "unknown", (*files, *metadata))
    if agree(by_files, by_metadata):
        return Decision(by_metadata if BSD not in by_metadata else by_files, class_of(by_metadata), (*files, *metadata))
    differs = class_of(by_files) != class_of(by_metadata)
    conflict = "; ".join(str(item) for item in metadata[:2]) if differs else None
    return Decision(by_files, class_of(by_files), (*files, *metadata), conflict)


def agree(one: str, other: str) -> bool:
    """Whether two expressions speak of the same licences, or one of a part of the other's."""
    first, second = licences_in(one), licences_in(other)
    if BSD in first | second and any(name.startswith("BSD-") for name in first | second):
        first, second = (
            frozenset(BSD if name.startswith("BSD-") else name for name in names) for names in (first, second)
        )
    return first <= second or second <= first


def _of_one_package(found: list[Evidence]) -> list[Evidence]:
    """Folders of metadata speak for the folder above only where there is one: site-packages is no package."""
    inside = {item.inside for item in found if item.inside and item.kind != "licence_text"}
    return [item for item in found if item.kind == "licence_text" or not item.inside] if len(inside) > 1 else found


def _of_files(files: list[Evidence]) -> str | None:
    known = [item for item in files if item.licence]
    licences = list(dict.fromkeys(item.licence for item in known if item.licence))
    if _LGPL_3 & set(licences):  # its text consists of additions to the GPL's, which lies beside it
        licences = [licence for licence in licences if licence not in _GPL_3]
    if not licences:
        return None
    permissive = all(item.named and class_of(item.licence or "") == "permissive" for item in known)
    if len(files) > 1 and (permissive or any(item.either for item in files)):
        return any_of(licences)
    return all_of(licences)


def _all(licences: Iterable[str | None]) -> str | None:
    known = [licence for licence in licences if licence]
    return all_of(known) if known else None
