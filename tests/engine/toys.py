"""A source and stages small enough to see through, importable by workers and children."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from loopdata.config import Strict
from loopdata.engine.chain import plan_columns
from loopdata.engine.driver import Driver, Failures, Phases
from loopdata.engine.exchange import partition_name
from loopdata.engine.inline_runner import InlineRunner
from loopdata.engine.ledger import Ledger, manifests
from loopdata.engine.part_file import part_file, read_file
from loopdata.engine.progress import Progress
from loopdata.engine.tables import read_table
from loopdata.engine.tasks import Ingest, Map, Reduce, Segment, columns_of
from loopdata.engine.unit import Manifest, Unit, unit_number
from loopdata.schema import LOCATION, doc_id, source_schema, table_of
from loopdata.stage import Batch, CorpusStage, Fate, Input, Outcome, Round, Source, Stage
from loopdata.storage import Folder


class Words(Source):
    """One document a word; one input a line `repo: word word …`."""

    name = "words"

    class Config(Strict):
        lines: tuple[str, ...]

    def inputs(self) -> list[Input]:
        pairs = sorted(line.split(": ") for line in self.config.lines)
        return [Input(repo, words, len(words), (repo,), {"words": words}) for repo, words in pairs]

    def identity(self) -> dict[str, Any]:
        return {"source": self.name, "label": self.label}

    def read(self, item: Input) -> Iterator[Batch]:
        rows = []
        for place, word in enumerate(item.locator["words"].split()):
            if word == "SOURCEDIES":
                os._exit(7)
            path = f"{place:05d}.txt"
            row = {"path": path, "repo": item.name, "source": self.label, "num_bytes": len(word)}
            identity = doc_id(self.label, f"{item.name}/{path}", word.encode())
            rows.append(row | {"doc_id": identity, "content": word.encode(), "category": "code", "use": "train"})
        for start in range(0, len(rows), 4):
            part = rows[start : start + 4]
            kept = [row for row in part if row["content"] != b"BINARY"]
            fates = [Fate(row["doc_id"], "read", "dropped", "binary") for row in part if row not in kept]
            places = [{name: row.get(name) for name in LOCATION.names} for row in part]
            yield Batch(table_of(kept, source_schema()), fates, table_of(places, LOCATION))


class Splits:
    """All documents train."""

    def identity(self) -> dict[str, Any]:
        return {}

    def assign(self, table: pa.Table) -> pa.Table:
        place = table.column_names.index("split")
        return table.set_column(place, "split", pa.array(["train"] * table.num_rows, pa.string()))


class Shorter(Stage):
    """Drops documents longer than `most`; misbehaves on words that say so."""

    name = "shorter"
    needs = {"content": pa.large_binary(), "num_bytes": pa.int64()}  # noqa: RUF012
    adds = {"shorter_length": pa.int64()}  # noqa: RUF012

    class Config(Strict):
        most: int = 20
        marker: str = ""

    def apply(self, table: pa.Table) -> Outcome:
        fates, keep = [], []
        for subject, content in zip(table["doc_id"].to_pylist(), table["content"].to_pylist(), strict=True):
            misbehave(content, self.config.marker)
            keep.append(len(content) <= self.config.most)
            if not keep[-1]:
                fates.append(Fate(subject, self.label, "dropped", "length", len(content), self.config.most))
        kept = table.filter(pa.array(keep, pa.bool_()))
        return Outcome(kept.append_column(next(iter(self.adds)), kept["num_bytes"]), fates)


def misbehave(content: bytes, marker: str) -> None:
    """Raise, die or hang, as the word says. `ONCE` dies only until its marker file is there."""
    if content == b"RAISE":
        raise ValueError("a bad word", 42)
    if content == b"EXIT":
        sys.exit(3)
    if content == b"LEAVE":
        os._exit(0)
    if content == b"PRINT":
        os.write(1, b"a stage that talks\n")
    if content.startswith(b"SLOW"):
        time.sleep(0.02)
    if content == b"SEGFAULT":
        ctypes.string_at(0)
    if content == b"KILL":
        os.kill(os.getpid(), signal.SIGKILL)
    if content == b"STOP":
        os.kill(os.getpid(), signal.SIGSTOP)
    if content == b"HANG":
        time.sleep(1_000)
    if content == b"ONCE" and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)


class Whole(Shorter):
    """The same over whole repositories."""

    name = "whole"
    scope = "repo"
    adds = {"whole_length": pa.int64()}  # noqa: RUF012


class Echo(Stage):
    """Gives birth to a copy of every document whose word is TWIN."""

    name = "echo"

    def apply(self, table: pa.Table) -> Outcome:
        twins = table.filter(pc.equal(table["content"], b"TWIN"))
        parents = twins["doc_id"]
        born = twins.set_column(0, "doc_id", pa.array([f"{i}+{self.label}" for i in parents.to_pylist()], pa.string()))
        return Outcome(table, [], born.set_column(born.column_names.index("parent"), "parent", parents))


class Unique(CorpusStage):
    """Keeps the first of equal words, by doc_id; `MAP` followed by a word of `misbehave` does so in its map."""

    name = "unique"
    needs = {"content": pa.large_binary()}  # noqa: RUF012
    rounds = (
        Round(
            "words",
            pa.schema([("key", pa.uint64()), ("unit", pa.string()), ("doc_id", pa.string()), ("word", pa.string())]),
            pa.schema([("unit", pa.string()), ("doc_id", pa.string()), ("ref", pa.string())]),
            partitions=4,
        ),
    )

    def map(self, step: Round, table: pa.Table, given: Mapping[str, pa.Table]) -> pa.Table:
        words = [content.decode() for content in table["content"].to_pylist()]
        for word in words:
            if word.startswith("MAP"):
                misbehave(word.removeprefix("MAP").encode(), "")
        keys = [int(doc_id("", "", word.encode())[:16], 16) for word in words]
        return pa.table({"key": pa.array(keys, pa.uint64()), "doc_id": table["doc_id"], "word": words})

    def reduce(self, step: Round, table: pa.Table) -> pa.Table:
        first: dict[str, str] = {}
        rows = []
        for row in table.to_pylist():
            survivor = first.setdefault(row["word"], row["doc_id"])
            if survivor != row["doc_id"]:
                rows.append({"unit": row["unit"], "doc_id": row["doc_id"], "ref": survivor})
        return pa.Table.from_pylist(rows, schema=step.gives)

    def apply(self, table: pa.Table, verdicts: pa.Table) -> Outcome:
        refs = dict(zip(verdicts["doc_id"].to_pylist(), verdicts["ref"].to_pylist(), strict=True))
        subjects = table["doc_id"].to_pylist()
        fates = [Fate(i, self.label, "dropped", "copy", ref=refs[i]) for i in subjects if i in refs]
        return Outcome(table.filter(pa.array([i not in refs for i in subjects], pa.bool_())), fates)


def ingest_units(lines: list[str], stages: tuple[Stage, ...]) -> list[Unit]:
    source = Words(Words.Config(lines=tuple(lines)), label="toy")
    return [
        Unit("ingest", f"toy/{item.name}", Ingest(source, item, Splits(), stages), (item.digest,), item.num_bytes)
        for item in source.inputs()
    ]


def driver(folder: Folder, runner: Any = None, failures: Failures | None = None) -> Driver:
    quiet = Progress(Console(stderr=True, quiet=True))
    return Driver(folder, runner or InlineRunner(60), quiet, failures or Failures())


def compose(
    phases: Phases, lines: list[str], first: tuple[Stage, ...], step: Unique, then: tuple[Stage, ...] = ()
) -> Any:
    """A small corpus: ingest, one round of `step`, then its verdicts and the stages behind it."""
    turn, found = step.rounds[0], phases.phase("ingest", ingest_units(lines, first))
    columns = plan_columns(columns_of(source_schema()), first)
    outputs = [entry.output("documents") for entry in found]
    maps = [
        Unit("map", entry.name, Map(step, turn, output, None, {}, entry.unit), (output.sha256,), entry.num_bytes)
        for entry, output in zip(found, outputs, strict=True)
    ]
    mapped = phases.phase("map", maps)
    reduces, shares = [], phases.shares(mapped)
    for number in range(turn.partitions):
        share = shares.of(partition_name(number, turn.partitions))
        reduces.append(Unit("reduce", f"part-{number}", Reduce(step, turn, share, 1 << 20), (share.digest,)))
    back = phases.shares(phases.phase("reduce", reduces))
    applies = []
    for entry, output, keys in zip(found, outputs, mapped, strict=True):
        share, failures = back.of(unit_number(entry.unit)), keys.output("failures")
        task = Segment(output, step, share, then, columns, (failures,))
        digests = (output.sha256, share.digest, failures.sha256)
        applies.append(Unit("apply", entry.name, task, digests, entry.num_bytes))
    return phases.phase("apply", applies)


def rows_of(folder: Folder, found: Manifest, label: str) -> int:
    """How many rows an output holds, read from it."""
    if found.outputs[label].name.endswith(".parts"):
        return sum(table.num_rows for table in read_file(folder, part_file(found, label)))
    return int(read_table(folder, found.outputs[label]).num_rows)


def hashes(folder: Folder) -> dict[str, str]:
    """SHA-256 of every output that the manifests of the ledger name."""
    found = manifests(folder, Ledger.read(folder))
    return {f"{m.phase}/{m.name}/{label}": output.sha256 for m in found for label, output in m.outputs.items()}


def fates(folder: Folder) -> list[dict[str, Any]]:
    """Every fate of a run, in order."""
    found = [m.outputs["fates"] for m in manifests(folder, Ledger.read(folder)) if "fates" in m.outputs]
    return [row for output in found for row in read_table(folder, output).to_pylist()]


def words(folder: Folder, phase: str = "ingest", column: str = "content") -> list[Any]:
    """The documents that a phase left, in order."""
    found = [m.outputs["documents"] for m in manifests(folder, Ledger.read(folder), phase)]
    return [value for output in found for value in read_table(folder, output, [column])[column].to_pylist()]
