"""Rows out as they came in: the section `rows`, and what commands that work on a table by itself have in common.

Enters: a run over tables, and the documents that remain. Leaves: in a folder, each file of the tables again with the
rows whose documents remain for training, every column as it was, or what another task writes of them (`sample_rows`);
`fates.parquet`, which says of each other row (and of what was noted of rows) by which rule, with file, row number and
path of it and of its survivor; and last `rows.json`, which names the files with their digests. A row number counts from
1, of JSON it is that of the line. Nothing of a changed run stays behind. Limit: a text that a stage edited is not
written, only rows that are kept or left; the places of all rows with fates are held in memory while `fates.parquet` is
written.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from loopdata.engine.attempt import Attempt
from loopdata.engine.driver import Driver, Phases
from loopdata.engine.tables import read_tables
from loopdata.engine.unit import UNKNOWN, Manifest, Output, Task, Unit
from loopdata.errors import ConfigError
from loopdata.schema import FATE
from loopdata.sources.entries import entry_id
from loopdata.sources.row_files import ending_of
from loopdata.sources.tables import Placed, Table
from loopdata.stage import Input, Source
from loopdata.storage import Folder
from pipelines.run_file import RunFile

INDEX, FATES, FIGURES, RUN = "rows.json", "fates.parquet", "figures.json", "run/"
PLACE = {"file": pa.string(), "row": pa.int64(), "repo": pa.string(), "path": pa.string()}
PLACED = pa.schema([("doc_id", pa.string()), *((name, kind) for name, kind in PLACE.items() if name != "file")])
FATE_OF_ROW = pa.schema(
    [
        *PLACE.items(),
        *FATE,
        *((f"ref_{name}", kind) for name, kind in PLACE.items()),  # of the survivor
    ]
)


@dataclass(frozen=True)
class KeepRows:
    """Write the rows of one file whose documents remain, and where each row lies."""

    source: Table
    item: Input
    documents: Output

    def identity(self) -> Mapping[str, Any]:
        return {"task": "keep_rows", "source": self.source.identity(), "version": 2}

    def run(self, attempt: Attempt) -> None:
        remain: set[str] = set()
        for table in read_tables(attempt.folder, self.documents, ["doc_id", "use"]):
            remain.update(table.filter(pc.equal(table["use"], "train"))["doc_id"].to_pylist())
        rows = 0
        with (
            attempt.file("rows", ending_of(self.item.name) or "") as sink,
            self.source.rewritten(self.item, sink) as out,
            attempt.table("places", PLACED) as places,
        ):
            for chunk, placed in self.source.rows(self.item, whole=True):
                ids = [entry_id(self.source.label, row.entry) for row in placed]
                out.write(chunk, [doc_id in remain for doc_id in ids])
                places.write(placed_table(ids, placed))
                rows += len(ids)
                attempt.guard.at(unit=attempt.unit.id)
        attempt.figures["rows"] = [rows, len(remain)]


def placed_table(ids: Sequence[str], rows: Sequence[Placed]) -> pa.Table:
    """Where rows lie, by the ids of their documents (PLACED)."""
    numbers = [row.number for row in rows]
    repos, paths = [row.entry.repo for row in rows], [row.entry.path for row in rows]
    columns = zip(PLACED.types, (ids, numbers, repos, paths), strict=True)
    return pa.table([pa.array(values, kind) for kind, values in columns], schema=PLACED)


@dataclass(frozen=True)
class WriteFates:
    """One table of the fates of all rows, with places. `places` are those of each file, by its name."""

    fates: tuple[Output, ...]
    places: tuple[tuple[str, Output], ...]

    def identity(self) -> Mapping[str, Any]:
        return {"task": "write_fates", "version": 2, "files": [name for name, _ in self.places]}

    def run(self, attempt: Attempt) -> None:
        places = self._places(attempt)
        with attempt.table("fates", FATE_OF_ROW) as writer:
            for output in self.fates:
                for table in read_tables(attempt.folder, output):
                    attempt.guard.at(unit=attempt.unit.id)
                    writer.write(_with_places(table, places))
            attempt.figures["rows"] = writer.rows

    def _places(self, attempt: Attempt) -> pa.Table:
        """The places of every document that a fate names, one each."""
        named = [pa.array([], pa.string())]
        for output in self.fates:
            for table in read_tables(attempt.folder, output, ["subject", "ref"]):
                named += [*table["subject"].chunks, *table["ref"].drop_null().chunks]
        wanted = pc.unique(pa.chunked_array(named))
        found = []
        for name, output in self.places:
            for table in read_tables(attempt.folder, output):
                attempt.guard.at(unit=attempt.unit.id)
                mine = table.filter(pc.is_in(table["doc_id"], value_set=wanted))
                found.append(mine.append_column("file", pa.repeat(name, mine.num_rows)))
        return pa.concat_tables(found).combine_chunks()


def _with_places(fates: pa.Table, places: pa.Table) -> pa.Table:
    for subject, prefix in (("subject", ""), ("ref", "ref_")):
        at = pc.index_in(fates[subject], value_set=places["doc_id"].combine_chunks())
        for name in PLACE:
            fates = fates.append_column(prefix + name, places[name].take(at))
    return fates


@dataclass(frozen=True)
class Rows:
    """What was made of the tables: manifests of each file and of the fates, and the name that each file gets."""

    files: dict[str, Manifest]
    fates: Manifest


def check_rows(to: str, sources: Sequence[Source]) -> None:
    """ConfigError for sources that are no tables, or a folder that holds something else or a source, or lies in one."""
    out = Folder(to)
    for source in sources:
        if not isinstance(source, Table):
            raise ConfigError(f"rows: the source '{source.label}' is no table", "leave out `rows`")
        path = source.config.path
        read, written = PurePath(Folder(path).path()), PurePath(out.path())
        if written.is_relative_to(read) or read.is_relative_to(written):
            how = "lies within" if written.is_relative_to(read) else "holds"
            raise ConfigError(f"rows.to: {to} {how} {path}, which is read", "write somewhere else")
    if not out.exists(INDEX) and any(not file.name.startswith(RUN) for file in out.files()):
        raise ConfigError(f"rows.to: {to} holds something else", "give a folder that is empty or not there yet")


def check_same_kind(file: RunFile) -> None:
    """ConfigError where the run folder made other rows: those beside it would be lost."""
    folder = Folder(file.run)
    before = yaml.safe_load(folder.read("run.yaml")) if folder.exists("run.yaml") else file.data
    if (before.get("rows") or {}).get("of", "documents") != file.rows_of:
        raise ConfigError(f"rows.to: {file.rows_to} holds what another command wrote", "give another folder")


def build_rows(
    inputs: Sequence[tuple[Source, Input]],
    documents: Sequence[Manifest],
    phases: Phases,
    write: Callable[[Table, Input, Output], Task],
) -> Rows:
    """Run (or plan) the phases that write rows, behind those of the corpus. `write` makes of a file and its documents
    the task that writes `rows` and their `places`."""
    names = _names(inputs)
    done = list(phases.done)
    units = []
    for (source, item), found in zip(inputs, documents, strict=True):
        assert isinstance(source, Table)
        output = found.output("documents")
        units.append(
            Unit("rows", found.name, write(source, item, output), (item.digest, output.sha256), item.num_bytes)
        )
    kept = phases.phase("rows", units)
    done = [*done, *kept]  # which may have noted something too
    fates = tuple(found.outputs["fates"] for found in done if "fates" in found.outputs)
    places = tuple((name, found.output("places")) for name, found in zip(names, kept, strict=True))
    waits = tuple(UNKNOWN for found in done if not found.known)
    reads = (*waits, *(output.sha256 for output in (*fates, *(output for _, output in places))))
    written = phases.phase("rows.fates", [Unit("rows.fates", "fates", WriteFates(fates, places), reads)])[0]
    return Rows(dict(zip(names, kept, strict=True)), written)


def _names(inputs: Sequence[tuple[Source, Input]]) -> list[str]:
    """What each file is called when it is written. ConfigError for a name that something else has."""
    several = len({source.label for source, _ in inputs}) > 1
    names = [f"{source.label}/{item.name}" if several else item.name for source, item in inputs]
    for name in names:
        if name in (INDEX, FATES, FIGURES) or name.startswith(RUN):
            raise ConfigError(f"rows: a file of a table is called {name}, like one that is written here", "rename it")
    return names


def publish_rows(driver: Driver, rows: Rows, to: str, figures: Mapping[str, Any]) -> dict[str, list[int]]:
    """Put the files where they are wanted, where they are not there yet, and figures where there are any; return rows
    before and after of each."""
    out = Folder(to)
    before = json.loads(out.read(INDEX)) if out.exists(INDEX) else {}
    wanted = {name: found.output("rows") for name, found in rows.files.items()} | {FATES: rows.fates.output("fates")}
    for name in sorted(before.keys() - wanted.keys()):
        out.remove(name)
    index = {name: output.sha256 for name, output in wanted.items()}
    kept = {name: digest for name, digest in index.items() if before.get(name) == digest and out.exists(name)}
    _write_index(out, kept)  # names nothing that is about to change, should this call be cut off
    if kept != index and out.exists(FIGURES):
        out.remove(FIGURES)
    for name in sorted(wanted.keys() - kept.keys()):
        with driver.folder.open(wanted[name].name) as stream:
            out.copy_in(name, stream)
    _write_index(out, index)
    if figures:
        out.write_atomic(FIGURES, json.dumps(figures, indent=2).encode())
    return {name: found.figures["rows"] for name, found in rows.files.items()}


def _write_index(out: Folder, index: Mapping[str, str]) -> None:
    out.write_atomic(INDEX, json.dumps(index, indent=2, sort_keys=True).encode())
