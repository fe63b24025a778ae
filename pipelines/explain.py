"""What became of a file, from recorded fates only: no rule is run again.

Enters: a run folder and a path, doc_id, blob id or commit. Leaves: for each document that fits, the places where it was
seen, the stages it passed, the fate that ended it with rule, value and threshold, its survivor, and the shards and
offsets where its tokens lie. Limit: it reads the tables of locations of the whole run, one after the other.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.text import Text

from loopdata.dedup.against import COPY as COPY_OF_INDEXED
from loopdata.engine.ledger import Ledger, manifests
from loopdata.engine.tables import read_table, read_tables
from loopdata.engine.unit import Manifest
from loopdata.errors import ConfigError
from loopdata.stage import ENDS
from loopdata.storage import Folder
from pipelines.places import fate_line, place_name

MAX_EXPLAINED = 20
MAX_STRETCHES = 8
ID_COLUMNS = ("doc_id", "blob_id", "commit")
_ID_START = re.compile(r"[0-9a-f]{7,}")


@dataclass
class Explanation:
    """One document. `notes` are rows of FATE in the order of the stages; `tokens` says where they lie, as far as the
    run has come; `survivor` has no place where it lies in a saved index."""

    doc_id: str
    place: dict[str, Any]
    unit: str
    passed: list[str] = field(default_factory=list)
    ended_by: dict[str, Any] | None = None
    notes: list[dict[str, Any]] = field(default_factory=list)
    survivor: dict[str, Any] | None = None
    tokens: list[dict[str, Any]] = field(default_factory=list)
    not_reached: list[str] = field(default_factory=list)
    complete: bool = True  # the run, when this was read
    makes_tokens: bool = True


class _Run:
    """The manifests of a run, by unit name."""

    def __init__(self, url: str) -> None:
        self.folder = Folder(url)
        ledger = Ledger.read(self.folder)
        self.complete = ledger.complete
        self.of_unit: dict[str, list[Manifest]] = {}
        self.phases = list(ledger.phases)
        for manifest in manifests(self.folder, ledger):
            self.of_unit.setdefault(manifest.name, []).append(manifest)

    def locations(self) -> list[tuple[str, Manifest]]:
        return [(name, found[0]) for name, found in self.of_unit.items() if "locations" in found[0].outputs]

    def find(self, test: Any) -> list[tuple[str, dict[str, Any]]]:
        """Unit name and row of every location that `test`, an Arrow mask of a table, accepts."""
        rows = []
        for name, manifest in self.locations():
            for table in read_tables(self.folder, manifest.output("locations")):
                rows += [(name, row) for row in table.filter(test(table)).to_pylist()]
        return rows


def explain_document(url: str, what: str) -> list[Explanation]:
    """Every document that `what` names, at most MAX_EXPLAINED. ConfigError where there is none."""
    run = _Run(url)
    found = run.find(lambda table: _by_id(table, what)) or run.find(lambda table: _by_path(table, what))
    if not found:
        raise ConfigError(
            f"no document of {url} has the path, doc_id, blob id or commit '{what}'",
            "a path may be shortened from the left, as in json/decoder.py",
        )
    return [_explain(run, name, row) for name, row in found[:MAX_EXPLAINED]]


def _by_id(table: pa.Table, what: str) -> pa.Array:
    """`what` is an id, or its beginning, as git has it."""
    test = pc.starts_with if _ID_START.fullmatch(what) else pc.equal
    mask = pa.repeat(False, table.num_rows)
    for column in ID_COLUMNS:
        mask = pc.or_(mask, pc.fill_null(test(table[column], what), False))
    return mask


def _by_path(table: pa.Table, what: str) -> pa.Array:
    """`what` is a path, the end of one, or source/repository/path."""
    parts = (table["source"], table["repo"], table["path"])
    whole = pc.binary_join_element_wise(*parts, "/", null_handling="skip")  # rows often have no repository
    wanted = what.removeprefix("./")
    return pc.or_(pc.equal(whole, wanted), pc.ends_with(whole, "/" + wanted.lstrip("/")))


def _explain(run: _Run, name: str, row: dict[str, Any]) -> Explanation:
    result = Explanation(row["doc_id"], row, name, complete=run.complete, makes_tokens="tokenizer" in run.phases)
    found = run.of_unit[name]
    fates = _fates(run, found, row["doc_id"])
    stages = [(manifest, count.stage) for manifest in found for count in manifest.counts if "fates" in manifest.outputs]
    for position, (_, stage) in enumerate(stages):
        mine = [fate for fate in fates if fate["stage"] == stage]
        result.notes += [fate for fate in mine if fate["fate"] not in ENDS]
        result.ended_by = next((fate for fate in mine if fate["fate"] in ENDS), None)
        if result.ended_by is not None:
            result.not_reached = [later for _, later in stages[position + 1 :]]
            break
        result.passed.append(stage)
    copies = [fate for fate in [*result.notes, result.ended_by] if fate and fate["ref"]]
    result.survivor = _survivor(run, copies[0]) if copies else None
    result.tokens = _tokens(run, found, row["doc_id"])
    return result


def _fates(run: _Run, found: list[Manifest], doc_id: str) -> list[dict[str, Any]]:
    return [
        fate
        for manifest in found
        if "fates" in manifest.outputs
        for table in read_tables(run.folder, manifest.output("fates"))
        for fate in table.filter(pc.equal(table["subject"], doc_id)).to_pylist()
    ]


def _survivor(run: _Run, fate: dict[str, Any]) -> dict[str, Any]:
    """Its place; its id alone in a saved index, although a document of this run may have that id."""
    indexed = fate["rule"] == COPY_OF_INDEXED
    found = [] if indexed else run.find(lambda table: pc.equal(table["doc_id"], fate["ref"]))
    return found[0][1] if found else {"doc_id": fate["ref"]}


def _tokens(run: _Run, found: list[Manifest], doc_id: str) -> list[dict[str, Any]]:
    """Where the samples that hold the document lie: shard, first token, number of tokens."""
    rows = []
    for manifest in found:
        for label, output in manifest.outputs.items():
            if not label.endswith(".samples"):
                continue
            stem = output.name.removesuffix(".samples.parquet")
            table = read_table(run.folder, output)
            for row in table.to_pylist():
                if doc_id in row["parents"]:
                    wanted = ("sample_id", "category", "split", "offset", "length", "num_bytes")
                    rows.append({"shard": f"{run.folder.url}/{stem}.bin", **{key: row[key] for key in wanted}})
    return rows


def print_explanations(found: list[Explanation], console: Console) -> None:
    """A short paragraph a document."""
    for explanation in found:
        for line in _lines(explanation):
            console.print(line, soft_wrap=True, highlight=False, markup=False)
        console.print()
    if len(found) == MAX_EXPLAINED:
        console.print(f"(the first {MAX_EXPLAINED}; give more of the path, or an id)", style="dim")


def _lines(item: Explanation) -> list[Text | str]:
    lines: list[Text | str] = [Text(place_name(item.place), style="bold")]
    lines.append(f"  doc_id {item.doc_id}   blob {item.place.get('blob_id')}   {item.place.get('num_bytes')} bytes")
    if item.passed:
        lines.append(f"  passed     {' → '.join(item.passed)}")
    lines += [f"  {note['fate']:<10} in {fate_line(note)}" for note in item.notes]
    if item.ended_by:
        lines.append(Text(f"  {item.ended_by['fate']:<10} in {fate_line(item.ended_by)}", style="red"))
    if item.not_reached:
        lines.append(f"  not seen   by {', '.join(item.not_reached)}")
    if item.survivor:
        name, doc_id = place_name(item.survivor), item.survivor["doc_id"]
        lines.append(
            f"  instead    {name} ({doc_id})" if name != doc_id else f"  instead    {doc_id}, outside this run"
        )
    lines += [Text(f"  tokens     {stretch}", style="green") for stretch in _stretches(item.tokens)]
    if not item.tokens and not item.ended_by and item.makes_tokens:
        why = "none: no sample was made of it" if item.complete else "none yet: the run is not complete"
        lines.append(f"  tokens     {why}")
    return lines


def _stretches(samples: list[dict[str, Any]]) -> list[str]:
    """Where the samples lie, neighbours as one: a long file has hundreds. At most MAX_STRETCHES, then what is left."""
    found: list[tuple[int, int, int, str]] = []  # first token, token behind the last, samples, where
    for at in samples:
        first, where = at["offset"], f"{at['shard']} ({at['category']}, {at['split']})"
        start, count = first, 1
        if found and found[-1][1:] == (first, found[-1][2], where):
            start, _, before, _ = found.pop()
            count += before
        found.append((start, first + at["length"], count, where))
    lines = [
        f"{start:,} to {end:,} of {where}" + (f", {count:,} samples" if count > 1 else "")
        for start, end, count, where in found[:MAX_STRETCHES]
    ]
    rest = sum(count for _, _, count, _ in found[MAX_STRETCHES:])
    return [*lines, f"and {rest:,} more samples; --json lists all"] if rest else lines
