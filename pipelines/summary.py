"""What a run came to, for the end of it: documents through each stage, tokens by category, bits per byte of the arms.

Enters: the manifests of a run and its trained arms. Leaves: a Summary, and its tables. Limit: it says how two arms
compare on this run's held-out split, with one seed each; that is no evidence that one is better.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from loopdata.cleaning.as_text import NO_TEXT
from loopdata.engine.driver import Driver
from loopdata.engine.ledger import counts_of, totals
from loopdata.engine.tables import read_tables
from loopdata.engine.unit import Count, Manifest
from loopdata.storage import Folder
from pipelines.alarms import Alarm
from pipelines.dataset import Built
from pipelines.proof import Arm
from pipelines.run_file import RunFile
from pipelines.sample_rows import print_described
from pipelines.status import print_list, print_stages

ONE_SEED = "One seed of each proves nothing: the difference may be the seed's."


@dataclass
class ArmSummary:
    """Bits per byte before and after training, overall and by category and language."""

    name: str
    config: str
    parameters: Mapping[str, int]
    tokens: int
    seconds: float
    tokens_per_second: float
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass
class Summary:
    """`ran` maps a phase to the units that ran in this call; `samples` a category and split to [samples, tokens,
    bytes]; `languages` a category to the languages of its training split; `fim` a category to the kinds of holes, as
    [samples, bytes of their middles]; `shares` are the mixture's categories; `rows` maps each file of a table to its
    rows before and after; `made` are the figures of samples that were written as rows; `commands` maps what to try next
    to what it does."""

    run: str
    ran: dict[str, int]
    stages: list[Count]
    documents: dict[str, list[int]]
    samples: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    languages: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    fim: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    packings: list[dict[str, Any]] = field(default_factory=list)
    shares: list[dict[str, Any]] = field(default_factory=list)
    arms: list[ArmSummary] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    rows: dict[str, list[int]] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    commands: dict[str, str] = field(default_factory=dict)


def summarise(
    file: RunFile,
    driver: Driver,
    built: Built,
    arms: list[Arm],
    alarms: list[Alarm],
    rows: dict[str, list[int]],
    made: dict[str, Any],
) -> Summary:
    """Gather what is shown."""
    packed = ("category", "split", "num_sequences", "tokens", "fill", "left_out", "left_out_tokens")
    return Summary(
        file.run,
        driver.ran,
        totals(driver.done),
        counts_of(built.documents, "documents"),
        {name: counts_of(found, "samples") for name, found in built.samples.items()},
        {name: counts_of(found, "languages") for name, found in built.samples.items()},
        {name: counts_of(found, "fim") for name, found in built.samples.items()},
        [{key: found.figures[key] for key in packed} for found in built.packings],
        built.mixture.figures["shares"] if built.mixture else [],
        [_arm(arm) for arm in arms],
        alarms,
        rows,
        made,
        _commands(file, driver, built, arms),
    )


def _commands(file: RunFile, driver: Driver, built: Built, arms: list[Arm]) -> dict[str, str]:
    """What to try next; every command works on this run."""
    run = shlex.quote(file.run)
    commands = {f"loopdata status {run}": "the account of every stage"}
    if example := _example(driver.folder, built.documents):
        what = "what became of a row" if file.rows_to else "what became of a file"
        tokens = ", and where its tokens lie" if built.samples else ""
        commands[f"loopdata explain {run} {shlex.quote(example)}"] = what + tokens
    if not file.rows_to:
        commands[f"loopdata attribution {run}"] = "every place that the documents come from, with its licence"
    if built.samples:
        commands[f"loopdata inspect {run}"] = "the shards; of a shard with --offset, the document behind a token"
    if any(step.label == "heuristics" for step in file.corpus):
        changed = "--set corpus.heuristics.rules.min_words=20"
        commands[f"loopdata plan {run}/run.yaml {changed}"] = "what a changed threshold would redo"
    if arms:
        commands[f"loopdata train {shlex.quote(arms[0].config)}"] = (
            "an arm by itself; for longer add --set steps=… --set out=FOLDER"
        )
    return commands


def _example(folder: Folder, documents: list[Manifest]) -> str:
    """The place of a document that trains."""
    for manifest in documents:
        if "train.train" in manifest.figures["documents"]:
            columns = ["source", "repo", "path", "use"]
            for table in read_tables(folder, manifest.output("documents"), columns):
                for row in table.to_pylist():
                    if row.pop("use") == "train" and (name := "/".join(filter(None, row.values()))).isprintable():
                        return name
    return ""


def _arm(arm: Arm) -> ArmSummary:
    result = arm.result
    return ArmSummary(
        arm.name,
        arm.config,
        result.parameters,
        result.tokens,
        result.seconds,
        result.tokens_per_second,
        result.before,
        result.after,
    )


def print_summary(found: Summary, console: Console) -> None:
    """The tables that a run ends with."""
    print_stages(found.stages, console)
    for alarm in found.alarms:
        console.print(f"alarm: {alarm}", style="yellow", soft_wrap=True, highlight=False, markup=False)
    if found.made:
        print_described(found.made, console)
    elif found.rows:
        before, after = (sum(numbers) for numbers in zip(*found.rows.values(), strict=True))
        files = "file" if len(found.rows) == 1 else "files"
        console.print(f"\n{after:,} of {before:,} rows stay, in {len(found.rows):,} {files}.", highlight=False)
        if empty := sum(count.notes.get(f"marked.{NO_TEXT}", 0) for count in found.stages):
            console.print(f"{empty:,} rows have no text; they were compared with nothing.", style="yellow")
    if found.samples:
        console.print()
        console.print(_token_table(found))
        for name, languages in found.languages.items():
            print_list(f"  {name}: ", _most(languages), console)
        for name, kinds in found.fim.items():
            if holes := _holes(kinds):
                print_list(f"  holes of {name}: ", holes, console)
    for packing in found.packings:
        if packing["left_out"]:
            console.print(_left_out(packing), style="yellow", highlight=False)
    for share in found.shares:
        if share["shortfall"]:
            console.print(
                f"{share['category']} falls short: {share['tokens']:,} of {share['wanted_tokens']:,} tokens after "
                f"{share['epochs']:.1f} epochs; its share was not given to others.",
                style="yellow",
            )
    if found.arms:
        console.print()
        console.print(_arm_table(found.arms))
        console.print()
        console.print(_parts_table(found.arms))
        console.print(f"Bits per byte on held-out documents; lower is better. {ONE_SEED}")
    console.print("\nWhat to try next:", style="dim")
    for command, what in found.commands.items():
        console.print(f"  {what}:\n    {command}", style="dim", highlight=False, soft_wrap=True, markup=False)


def _token_table(found: Summary) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("tokens of", "split", "samples", "tokens", "MB", "in the mixture", "epochs"):
        table.add_column(name, justify="left" if name in ("tokens of", "split") else "right", no_wrap=True)
    shares = {share["category"]: share for share in found.shares}
    for name, splits in found.samples.items():
        for split, (samples, tokens, num_bytes) in sorted(splits.items()):
            share = shares.get(name) if split == "train" else None
            drawn = (f"{share['tokens']:,}", f"{share['epochs']:.2f}") if share else ("", "")
            table.add_row(name, split, f"{samples:,}", f"{tokens:,}", f"{num_bytes / 1e6:,.1f}", *drawn)
    return table


def _left_out(packing: Mapping[str, Any]) -> str:
    """What packing could not place, how much of all that is, and what would place it."""
    name, tokens = packing["category"], packing["left_out_tokens"]
    share = tokens / (tokens + packing["tokens"])
    return (
        f"{packing['left_out']:,} samples of {name} ({packing['split']}) must not be cut, are longer than a sequence "
        f"and were left out: {tokens:,} tokens, {share:.1%} of its own. Raise mixture.sequence, or lower the sizes "
        f"under samples.{name}, which are bytes."
    )


def _most(languages: Mapping[str, list[int]]) -> list[str]:
    total = sum(numbers[1] for numbers in languages.values()) or 1
    ranked = sorted(languages.items(), key=lambda item: -item[1][1])[:8]
    return [f"{name} {numbers[1] / total:.1%}" for name, numbers in ranked]


def _holes(kinds: Mapping[str, list[int]]) -> list[str]:
    """Shares of the levels among samples with a hole, each with the mean size of its middles; nothing without any."""
    levels: dict[str, list[int]] = {}
    for kind, numbers in kinds.items():
        level, dot, _ = kind.partition(".")  # without a dot it is the reason why a sample is plain
        if dot:
            levels[level] = [a + b for a, b in zip(levels.get(level, [0, 0]), numbers, strict=True)]
    total = sum(samples for samples, _ in levels.values())
    ranked = sorted(levels.items(), key=lambda item: (-item[1][0], item[0]))
    return [f"{name} {samples / total:.0%} of {size / samples:,.0f} bytes" for name, (samples, size) in ranked]


def _arm_table(arms: list[ArmSummary]) -> Table:
    """A row an arm: bits per byte before and after."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("arm")
    for name in ("parameters", "tokens", "tokens/s", "before", "after"):
        table.add_column(name, justify="right", no_wrap=True)
    for arm in arms:
        bits = (_bits(arm.before), _bits(arm.after))
        numbers = (arm.parameters["total"], arm.tokens, arm.tokens_per_second)
        table.add_row(arm.name, *(f"{number:,.0f}" for number in numbers), *(_shown(value) for value in bits))
    return table


def _parts_table(arms: list[ArmSummary]) -> Table:
    """A row a category and language: bits per byte of each arm, before and after."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("bits per byte by")
    for arm in arms:
        table.add_column(f"{arm.name} before", justify="right", no_wrap=True)
        table.add_column("after", justify="right", no_wrap=True)
    for kind in ("by_category", "by_language"):
        for name in sorted({name for arm in arms for name, bits in arm.after[kind].items() if bits is not None}):
            bits = [part[kind].get(name) for arm in arms for part in (arm.before, arm.after)]
            table.add_row(f"{kind.removeprefix('by_')} {name}", *(_shown(value) for value in bits))
    return table


def _shown(bits: float | None) -> str:
    return "" if bits is None else f"{bits:.3f}"


def _bits(evaluation: Mapping[str, Any]) -> float | None:
    value: float | None = evaluation["bits_per_byte"]
    return value
