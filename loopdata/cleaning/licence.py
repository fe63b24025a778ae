"""The `licence` stage: under which licence every file comes, by what evidence, and whether that is wanted.

Enters: documents with `path` and `text`. Leaves: the same with `licence` (an SPDX expression or null), `licence_class`
and `licence_evidence`, without those of classes that `keep` does not name. The repository speaks first: of the folders
above a file the nearest one with a licence file or package metadata (`licences.decision`). A file's own header
overrides it for that file (`licences.headers`). A header or metadata of another class than the repository's is recorded
as `licence_conflict`. Method: a corpus stage, so that a repository may be as large as it likes, lie in several inputs,
and have its licence file last: the map reads licence files and metadata, the reduce decides about each folder, and only
these decisions come back. Limit: a licence file that no earlier stage let through is not seen; hence this stage comes
behind `clean` and before every stage that chooses among documents.
"""

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from loopdata import schema
from loopdata.cleaning.licences.decision import Decision, Evidence, agree, decide, evidence_of, kept
from loopdata.cleaning.licences.headers import HEAD_CHARACTERS, header_of
from loopdata.cleaning.licences.names import BSD, Class, class_of
from loopdata.cleaning.licences.places import folders_above, place_of
from loopdata.config import Strict
from loopdata.stage import CorpusStage, Fate, Outcome, Round

_WHOSE = [("source", pa.string()), ("repo", pa.string())]
_SAID = [
    ("folder", pa.string()),
    ("inside", pa.string()),
    ("kind", pa.string()),  # null: the row only says that the repository has documents in this unit
    ("path", pa.string()),
    ("line", pa.int32()),
    ("licence", pa.string()),
    ("written", pa.string()),
    ("named", pa.bool_()),
    ("either", pa.bool_()),
]
EMITS = pa.schema([("key", pa.uint64()), *_WHOSE, *_SAID, ("unit", pa.string())])
DECISIONS = pa.schema(
    [
        ("unit", pa.string()),
        *_WHOSE,
        ("folder", pa.string()),
        ("licence", pa.string()),
        ("licence_class", pa.string()),
        ("evidence", pa.string()),  # as JSON: rows that travel are sorted by every column
        ("conflict", pa.string()),
    ]
)
FOLDERS = Round("folders", emits=EMITS, gives=DECISIONS)
ADDS = {"licence": schema.DOCUMENT["licence"], "licence_class": pa.string(), "licence_evidence": schema.EVIDENCE}


PACKAGES = ("license-expression", "licenseclassifier")  # whose versions decide which licence a text or a name is


class LicenceConfig(Strict):
    """`keep`: classes of licences whose documents stay. `none` is a repository that says nothing, `unknown` one whose
    licence was not recognised."""

    keep: list[Class] = Field(default=["permissive", "none"], min_length=1)


class _Found(NamedTuple):
    """What holds for one document."""

    licence: str | None
    licence_class: Class
    evidence: list[dict[str, Any]]
    conflict: str | None = None


_NOTHING = _Found(None, "none", [])


class Licence(CorpusStage):
    """Names the licence of documents."""

    name = "licence"
    version = 2
    Config = LicenceConfig
    categories = frozenset({"code"})
    needs: ClassVar[dict[str, pa.DataType]] = {
        name: schema.DOCUMENT[name] for name in ("doc_id", "category", "source", "repo", "path", "text")
    }
    adds: ClassVar[dict[str, pa.DataType]] = ADDS
    rounds = (FOLDERS,)

    def identity(self) -> dict[str, Any]:
        """With the versions of what knows the licences, which is no file of ours."""
        versions = {package: importlib.metadata.version(package) for package in PACKAGES}
        return super().identity() | {"versions": versions}

    def map(self, step: Round, table: pa.Table, given: Mapping[str, pa.Table]) -> pa.Table:
        """A row a file of evidence, and one for each repository."""
        whose = list(zip(table["source"].to_pylist(), table["repo"].to_pylist(), strict=True))
        rows = [_row(source, repo, None) for source, repo in dict.fromkeys(whose) if repo is not None]
        for at, path in enumerate(table["path"].to_pylist()):
            place = place_of(path) if path else None
            if place is not None and whose[at][1] is not None:
                found = evidence_of(place, path, table["text"][at].as_py() or "")
                rows += [_row(*whose[at], found)] if found else []
        return pa.Table.from_pylist(rows, schema=EMITS)

    def reduce(self, step: Round, table: pa.Table) -> pa.Table:
        """The decision about each folder, for each unit in which its repository has documents."""
        units: dict[tuple[str, str], set[str]] = {}
        said: dict[tuple[str, str, str], list[Evidence]] = {}
        for row in table.to_pylist():
            units.setdefault((row["source"], row["repo"]), set()).add(row["unit"])
            if row["kind"] is not None:
                evidence = Evidence(**{name: row[name] for name in Evidence._fields})
                said.setdefault((row["source"], row["repo"], row["folder"]), []).append(evidence)
        rows = [
            {"unit": unit, "source": source, "repo": repo, "folder": folder, **_decision(found)}
            for (source, repo, folder), evidence in sorted(said.items())
            if (found := decide(evidence)) is not None
            for unit in sorted(units[source, repo])
        ]
        return pa.Table.from_pylist(rows, schema=DECISIONS)

    def apply(self, table: pa.Table, verdicts: pa.Table) -> Outcome:
        """Give every document its licence, and drop those of classes that are not wanted."""
        folders = {
            (row["source"], row["repo"], row["folder"]): _Found(
                row["licence"], row["licence_class"], json.loads(row["evidence"]), row["conflict"]
            )
            for row in verdicts.to_pylist()
        }
        heads = pc.utf8_slice_codeunits(table["text"], 0, HEAD_CHARACTERS).to_pylist()
        columns = [table[name].to_pylist() for name in ("source", "repo", "path")]
        found = [
            _of_document(source, repo, path or "", head or "", folders)
            for source, repo, path, head in zip(*columns, heads, strict=True)
        ]
        fates = [
            fate
            for doc_id, item in zip(table["doc_id"].to_pylist(), found, strict=True)
            for fate in self._fates(doc_id, item)
        ]
        for name, values in (
            ("licence", [item.licence for item in found]),
            ("licence_class", [item.licence_class for item in found]),
            ("licence_evidence", [item.evidence for item in found]),
        ):
            table = _with(table, name, pa.array(values, ADDS[name]))
        wanted = pa.array([item.licence_class in self.config.keep for item in found], pa.bool_())
        return Outcome(table.filter(wanted), fates)

    def _fates(self, doc_id: str, found: _Found) -> list[Fate]:
        fates = []
        if found.conflict:
            fates.append(Fate(doc_id, self.label, "marked", "licence_conflict", details=found.conflict))
        if found.licence_class not in self.config.keep:
            fates.append(Fate(doc_id, self.label, "dropped", found.licence_class, details=_said(found)))
        return fates


def _row(source: str, repo: str, evidence: Evidence | None) -> dict[str, Any]:
    key = hashlib.sha256(f"{source}\0{repo}".encode("utf-8", "surrogatepass")).digest()[:8]
    said = evidence._asdict() if evidence else {}
    return {"key": int.from_bytes(key, "big"), "source": source, "repo": repo, **said}


def _decision(found: Decision) -> dict[str, Any]:
    return {
        "licence": found.licence,
        "licence_class": found.licence_class,
        "evidence": json.dumps(kept(found.evidence)),
        "conflict": found.conflict,
    }


def _of_document(
    source: str, repo: str | None, path: str, head: str, folders: Mapping[tuple[str, str | None, str], _Found]
) -> _Found:
    """The licence of the nearest folder, unless the document's own header names one."""
    above = next((found for at in folders_above(path) if (found := folders.get((source, repo, at)))), _NOTHING)
    header = header_of(head) if place_of(path) is None else None
    if header is None:
        return above
    own: Class = class_of(header.licence) if header.licence else "unknown"
    evidence = kept([Evidence(header.kind, path, header.line, header.licence, header.written)])
    conflict = None
    if own != above.licence_class and above is not _NOTHING:
        conflict = f"{_said(_Found(header.licence, own, evidence))} over {_said(above)}"
    licence = header.licence
    if licence and above.licence and own == above.licence_class and agree(licence, above.licence):
        evidence += above.evidence
        licence = above.licence if licence == BSD else licence  # the repository says which of them
    return _Found(licence, own, evidence, conflict)


def _said(found: _Found) -> str:
    """A licence with its first piece of evidence."""
    if not found.evidence:
        return "no evidence of a licence"
    first = found.evidence[0]
    named = found.licence or first["licence"] or "a licence that was not recognised"
    return f"{named} by {first['path']}:{first['line']} ({first['kind']})"


def _with(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    at = table.schema.get_field_index(name)
    return table.append_column(name, column) if at < 0 else table.set_column(at, name, column)
