"""How far a run is, and the account of its documents, from the ledger and the manifests alone.

Enters: a run folder. Leaves: phases with units done, the account of each stage, and the documents that were
quarantined. Limit: it shows what is committed; what workers are at right now is not recorded.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from loopdata.engine.ledger import Ledger, manifests, totals
from loopdata.engine.tables import read_tables
from loopdata.engine.unit import Count, Group, Manifest
from loopdata.storage import Folder
from pipelines.places import place_name

MAX_SHOWN = 10
MAX_GROUPS = 20


@dataclass
class Status:
    """`phases` maps a name to (units done, units); `quarantined` holds the first rows of FATE of that kind,
    with their place."""

    run: str
    complete: bool
    phases: dict[str, tuple[int, int]]
    stages: list[Count]
    quarantined: list[dict[str, Any]] = field(default_factory=list)


def read_status(url: str) -> Status:
    """RunError where the folder holds no run."""
    run = Folder(url)
    ledger = Ledger.read(run)
    found = list(manifests(run, ledger))
    done = {name: sum(entry.phase == name for entry in found) for name in ledger.phases}
    phases = {name: (done[name], len(units)) for name, units in ledger.phases.items()}
    result = Status(url, ledger.complete, phases, totals(found))
    places = {entry.name: entry for entry in found if "locations" in entry.outputs}
    for manifest in found:
        if len(result.quarantined) >= MAX_SHOWN or not any(count.quarantined for count in manifest.counts):
            continue
        for table in read_tables(run, manifest.output("fates")):
            rows = table.filter(pc.equal(table["fate"], "quarantined")).to_pylist()
            result.quarantined += [row | {"place": _place(run, places.get(manifest.name), row)} for row in rows]
    result.quarantined = result.quarantined[:MAX_SHOWN]
    return result


def _place(run: Folder, manifest: Manifest | None, fate: dict[str, Any]) -> str:
    """Where a document lies; its id where no source has it, since it was born in a stage."""
    for table in read_tables(run, manifest.output("locations")) if manifest is not None else ():
        for row in table.filter(pc.equal(table["doc_id"], fate["subject"])).to_pylist():
            return place_name(row)
    return str(fate["subject"])


def print_status(found: Status, console: Console) -> None:
    """Tables for people."""
    state = "complete" if found.complete else "not complete; run it again to go on"
    console.print(f"{found.run}: {state}", soft_wrap=True, markup=False)
    phases = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("phase", "done", "units"):
        phases.add_column(name, justify="left" if name == "phase" else "right", no_wrap=True)
    for name, (done, units) in found.phases.items():
        phases.add_row(name, f"{done:,}", f"{units:,}")
    console.print(phases)
    console.print()
    print_stages(found.stages, console)
    for fate in found.quarantined:
        last = (fate["details"] or "").strip().splitlines()[-1:] or [""]
        line = f"quarantined {fate['place']} in '{fate['stage']}' ({fate['rule']}): {last[0]}"
        console.print(line, style="red", soft_wrap=True, highlight=False, markup=False)


def print_stages(stages: list[Count], console: Console) -> None:
    """Documents and MB through each stage, then the rules that ended or marked documents there."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("stage", "in", "MB in", "born", "kept", "MB kept", "dropped", "quarantined"):
        table.add_column(name, justify="left" if name == "stage" else "right", no_wrap=True)
    for count in stages:
        sizes = f"{count.entered_bytes / 1e6:,.1f}", f"{count.kept_bytes / 1e6:,.1f}"
        numbers = [f"{number:,}" for number in (count.born, count.kept, count.dropped, count.quarantined)]
        table.add_row(count.stage, f"{count.entered:,}", sizes[0], *numbers[:2], sizes[1], *numbers[2:])
    console.print(table)
    for count in stages:
        rules = sorted(count.notes.items(), key=lambda item: (-item[1], item[0]))
        if rules:
            print_list(f"  {count.stage}: ", [f"{rule} {number:,}" for rule, number in rules], console)


def print_groups(stages: list[Count], by: str, console: Console) -> None:
    """A line a stage: the languages or sources of which it dropped the largest shares; then what there was, and is."""
    for count in stages:
        groups = _groups(count, by)
        dropped = {name: group for name, group in groups.items() if group.dropped}
        ranked = sorted(dropped.items(), key=lambda item: (-item[1].dropped / item[1].entered, item[0]))
        shares = [f"{name} {group.dropped / group.entered:.1%} of {group.entered:,}" for name, group in ranked]
        if shares:
            print_list(f"{count.stage} dropped ", shares[:MAX_GROUPS], console)
    named = [groups for count in stages if (groups := _groups(count, by))]
    if not named:
        console.print(f"No stage knows the {by} of a document.", highlight=False)
    else:
        before = {name: group.entered for name, group in named[0].items()}
        after = {name: group.entered - group.dropped for name, group in named[-1].items()}
        for head, numbers in (("came in: ", before), ("kept: ", after)):
            ranked_numbers = sorted(numbers.items(), key=lambda item: (-item[1], item[0]))[:MAX_GROUPS]
            print_list(head, [f"{name} {number:,}" for name, number in ranked_numbers], console)


def _groups(count: Count, by: str) -> dict[str, Group]:
    """The account of a stage by one of the two; documents without a name are left out."""
    result: dict[str, Group] = {}
    for source, languages in count.groups.items():
        for language, group in languages.items():
            if name := source if by == "source" else language:
                result.setdefault(name, Group()).add(group)
    return result


def print_list(head: str, entries: Sequence[str], console: Console) -> None:
    """Entries after a head, in lines that fit the terminal."""
    # Spaces that do not break keep a name beside its number.
    text = head + ", ".join(entry.replace(" ", "\u00a0") for entry in entries)
    for line in textwrap.wrap(text, console.width, subsequent_indent="    ", break_long_words=False):
        console.print(line.replace("\u00a0", " "), style="dim", highlight=False, markup=False, soft_wrap=True)
