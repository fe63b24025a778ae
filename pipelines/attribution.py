"""The attribution table: every place that the text of a run's documents comes from, with its licence and the evidence.

Enters: a run folder. Leaves: a Parquet file with one row a place, and a text of the same for people, by repository.
Places are those of the kept documents, and of every copy that a dedup dropped in favour of one of them: who asks for a
text to be taken down, or is to be named, may be found at any of them. Nothing is decided again; all comes from recorded
documents, fates and locations. A place of a copy has the licence that was found there. Limit: the ids of all copies are
held in memory, some 300 bytes each.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from loopdata.engine.ledger import Ledger, manifests
from loopdata.engine.tables import TableWriter, open_table, read_tables
from loopdata.engine.unit import Manifest, Output
from loopdata.errors import RunError
from loopdata.schema import DOCUMENT, EVIDENCE, LOCATION, cast
from loopdata.storage import Folder
from pipelines.places import one_line

NAME = "attribution.parquet"
ITSELF = "itself"
LICENCE = ("licence", "licence_class", "licence_evidence")
PLACE = ("doc_id", "blob_id", "source", "repo", "commit", "path", "url", "num_bytes")
ATTRIBUTION = pa.schema(
    [
        ("kept_as", pa.string()),  # doc_id of the document that stays
        ("relation", pa.string()),  # itself, or the rule by which this place's copy was dropped
        ("use", pa.string()),  # of the document that stays, where it is the one at this place
        ("split", pa.string()),
        *((name, LOCATION.field(name).type) for name in PLACE),
        ("licence", DOCUMENT["licence"]),
        ("licence_class", pa.string()),
        ("licence_evidence", EVIDENCE),
    ]
)


class Written(NamedTuple):
    """What was written: the two files, documents that stay, and further places of their texts."""

    table: str
    text: str
    documents: int
    copies: int


def write_attribution(url: str, out: str | None = None) -> Written:
    """Write both files, below the run folder unless `out` names the Parquet file. RunError where there is no run."""
    run = _Run(Folder(url))
    folder, _, name = (out or f"{url.rstrip('/')}/{NAME}").rpartition("/")
    target, text_name = Folder(folder or "."), f"{name.removesuffix('.parquet')}.txt"
    documents = copies = 0
    with target.create(name) as sink, target.create(text_name) as text:
        writer = TableWriter(sink, ATTRIBUTION)
        heading = ""
        for table in run.places():
            writer.write(table)
            own = pc.sum(pc.equal(table["relation"], ITSELF)).as_py() or 0
            documents, copies = documents + own, copies + table.num_rows - own
            for after, row in sorted(((_heading(row), row) for row in table.to_pylist()), key=lambda pair: pair[0]):
                text.write((f"\n{after}\n" if after != heading else "").encode() + _line(row).encode())
                heading = after
        writer.close()
    return Written(target.path(name), target.path(text_name), documents, copies)


class _Run:
    """The manifests of a run, by unit, and the copies of what it keeps."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.of_unit: dict[str, list[Manifest]] = {}
        ledger = Ledger.read(folder)
        if not ledger.complete:
            raise RunError(
                f"the run {folder.url} is not complete: what stays is not known yet", "run it again to go on"
            )
        for manifest in manifests(folder, ledger):
            if "documents" in manifest.outputs:
                self.of_unit.setdefault(manifest.name, []).append(manifest)
        self.copies = self._copies()

    def places(self) -> Iterator[pa.Table]:
        """Rows of ATTRIBUTION, unit by unit."""
        for found in self.of_unit.values():
            for table in self._documents(found[-1]):
                count = table.num_rows
                itself = {"kept_as": table["doc_id"], "relation": pa.repeat(pa.scalar(ITSELF), count)}
                yield cast(_with(table, itself), ATTRIBUTION)
            yield from self._places_of_copies(found)

    def _documents(self, manifest: Manifest) -> Iterator[pa.Table]:
        output = manifest.output("documents")
        return read_tables(self.folder, output, self._columns(output, (*PLACE, "use", "split", *LICENCE)))

    def _columns(self, output: Output, wanted: tuple[str, ...]) -> list[str]:
        with open_table(self.folder, output) as parquet:
            there = set(parquet.schema_arrow.names)
        return [name for name in wanted if name in there]

    def _copies(self) -> dict[str, tuple[str, str]]:
        """Dropped document → (document that stays for it, rule); a copy of a copy leads to the last of them."""
        survivors: dict[str, tuple[str, str]] = {}
        for manifest in (manifest for found in self.of_unit.values() for manifest in found):
            for table in read_tables(self.folder, manifest.output("fates"), ["subject", "fate", "rule", "ref"]):
                chosen = table.filter(pc.and_(pc.equal(table["fate"], "dropped"), table["ref"].is_valid()))
                for row in chosen.to_pylist():
                    survivors[row["subject"]] = (row["ref"], row["rule"])
        ends = {subject: _end(survivors, subject) for subject in survivors}
        kept = self._kept(pa.array(sorted({ref for ref, _ in ends.values()}), pa.string()))
        return {subject: end for subject, end in ends.items() if end[0] in kept}

    def _kept(self, among: pa.Array) -> set[str]:
        """Those documents that are there in the end."""
        kept: set[str] = set()
        for found in self.of_unit.values():
            for table in read_tables(self.folder, found[-1].output("documents"), ["doc_id"]):
                kept.update(table["doc_id"].filter(pc.is_in(table["doc_id"], value_set=among)).to_pylist())
        return kept

    def _places_of_copies(self, found: list[Manifest]) -> Iterator[pa.Table]:
        """Where copies of kept documents were seen in one unit, with the licences found there."""
        ids = pa.array(sorted(self.copies), pa.string())
        licences = self._licences(found, ids)
        for table in read_tables(self.folder, found[0].output("locations")):
            table = table.filter(pc.is_in(table["doc_id"], value_set=ids))
            rows = [
                row | {"kept_as": kept_as, "relation": rule, **licences.get(row["doc_id"], {})}
                for row in table.to_pylist()
                for kept_as, rule in [self.copies[row["doc_id"]]]
            ]
            if rows:
                yield pa.Table.from_pylist(rows, schema=ATTRIBUTION)

    def _licences(self, found: list[Manifest], ids: pa.Array) -> dict[str, Mapping[str, Any]]:
        """Licences of copies, as the first documents that have them say."""
        for manifest in found:
            columns = self._columns(manifest.output("documents"), LICENCE)
            if columns:
                return {
                    row.pop("doc_id"): row
                    for table in read_tables(self.folder, manifest.output("documents"), ["doc_id", *columns])
                    for row in table.filter(pc.is_in(table["doc_id"], value_set=ids)).to_pylist()
                }
        return {}


def _end(survivors: Mapping[str, tuple[str, str]], subject: str) -> tuple[str, str]:
    """The last survivor behind a document, with the rule by which the document itself went."""
    ref, rule = survivors[subject]
    seen = {subject}
    while ref in survivors and ref not in seen:
        seen.add(ref)
        ref = survivors[ref][0]
    return ref, rule


def _with(table: pa.Table, columns: Mapping[str, Any]) -> pa.Table:
    for name, values in columns.items():
        table = table.append_column(name, values)
    return table


_WITHOUT = {"none": "no licence found", "unknown": "a licence that was not recognised"}


def _heading(row: Mapping[str, Any]) -> str:
    """A repository and the licence of its files."""
    repo = "/".join(str(row[key]) for key in ("source", "repo") if row[key])
    commit = f" at commit {row['commit']}" if row["commit"] else ""
    licence = row["licence"] or _WITHOUT.get(row["licence_class"], "licence not looked for")
    others = (found for found in row["licence_evidence"] or () if found["path"] != row["path"])
    said = "; ".join(f"{found['path']}:{found['line']} ({found['kind']})" for found in others)
    return one_line(f"{repo}{commit}: {licence}" + (f", by {said}" if said else ""))


def _line(row: Mapping[str, Any]) -> str:
    """A place, and what it is to the document that stays."""
    own = next((e for e in row["licence_evidence"] or () if e["path"] == row["path"]), None)
    said = f"  [{own['kind']} in line {own['line']}]" if own else ""
    relation = "" if row["relation"] == ITSELF else f"  ({row['relation']} of {row['kept_as']})"
    return one_line(f"  {row['path'] or row['url']}{said}{relation}") + "\n"


def print_written(found: Written, console: Console) -> None:
    """What was written where."""
    console.print(f"{found.documents:,} documents and {found.copies:,} further places of their texts", highlight=False)
    console.print(f"{found.table}\n{found.text}", soft_wrap=True, markup=False, highlight=False)
