"""What a run came to, for the end of it: documents through each stage, tokens by category, bits per byte of the arms.

Enters: the manifests of a run and its trained arms. Leaves: a Summary, and its tables. Limit: it says how two arms
compare on this run's held-out split, with one seed each; that is no evidence that one is better.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from loopdata.engine.driver import Driver
from loopdata.engine.ledger import totals
from loopdata.engine.unit import Count
from pipelines.dataset import Built, counts_of
from pipelines.proof import Arm
from pipelines.run_file import RunFile
from pipelines.status import stage_table

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
    bytes]; `languages` a category to the languages of its training split; `shares` are the mixture's categories."""

    run: str
    ran: dict[str, int]
    stages: list[Count]
    documents: dict[str, list[int]]
    samples: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    languages: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    packings: list[dict[str, Any]] = field(default_factory=list)
    shares: list[dict[str, Any]] = field(default_factory=list)
    arms: list[ArmSummary] = field(default_factory=list)


def summarise(file: RunFile, driver: Driver, built: Built, arms: list[Arm]) -> Summary:
    """Gather what is shown."""
    packed = ("category", "split", "num_sequences", "tokens", "fill", "left_out", "left_out_tokens")
    return Summary(
        file.run,
        driver.ran,
        totals(driver.done),
        counts_of(built.documents, "documents"),
        {name: counts_of(found, "samples") for name, found in built.samples.items()},
        {name: counts_of(found, "languages") for name, found in built.samples.items()},
        [{key: found.figures[key] for key in packed} for found in built.packings],
        built.mixture.figures["shares"] if built.mixture else [],
        [_arm(arm) for arm in arms],
    )


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
    console.print(stage_table(found.stages))
    if found.samples:
        console.print(_token_table(found))
    for packing in found.packings:
        if packing["left_out"]:
            console.print(
                f"{packing['left_out']:,} whole samples of {packing['category']} ({packing['split']}) are longer than "
                f"a sequence and were left out: {packing['left_out_tokens']:,} tokens."
            )
    for share in found.shares:
        if share["shortfall"]:
            console.print(
                f"{share['category']} falls short: {share['tokens']:,} of {share['wanted_tokens']:,} tokens after "
                f"{share['epochs']:.1f} epochs; its share was not given to others.",
                style="yellow",
            )
    if found.arms:
        console.print(_arm_table(found.arms))
        console.print(f"Bits per byte on held-out documents; lower is better. {ONE_SEED}")
    for line in _next(found):
        console.print(line, style="dim", highlight=False, soft_wrap=True, markup=False)


def _token_table(found: Summary) -> Table:
    table = Table(box=None, header_style="dim")
    for name in ("tokens of", "split", "samples", "tokens", "MB", "in the mixture", "epochs"):
        table.add_column(name, justify="left" if name in ("tokens of", "split") else "right", no_wrap=True)
    table.add_column("most of it", overflow="fold")
    shares = {share["category"]: share for share in found.shares}
    for name, splits in found.samples.items():
        for split, (samples, tokens, num_bytes) in sorted(splits.items()):
            share = shares.get(name) if split == "train" else None
            drawn = (f"{share['tokens']:,}", f"{share['epochs']:.2f}") if share else ("", "")
            most = _most(found.languages.get(name, {})) if split == "train" else ""
            table.add_row(name, split, f"{samples:,}", f"{tokens:,}", f"{num_bytes / 1e6:,.1f}", *drawn, most)
    return table


def _most(languages: Mapping[str, list[int]]) -> str:
    total = sum(numbers[1] for numbers in languages.values()) or 1
    ranked = sorted(languages.items(), key=lambda item: -item[1][1])[:4]
    return ", ".join(f"{name} {numbers[1] / total:.0%}" for name, numbers in ranked)


def _arm_table(arms: list[ArmSummary]) -> Table:
    table = Table(box=None, header_style="dim")
    categories = sorted({name for arm in arms for name in arm.after["by_category"]})
    languages = _common_languages(arms)
    table.add_column("arm")
    for name in ("parameters", "tokens", "tokens/s", "before", "after", *categories, *languages):
        table.add_column(name, justify="right", no_wrap=True)
    for arm in arms:
        parts = [arm.after["by_category"].get(name) for name in categories]
        parts += [arm.after["by_language"].get(name) for name in languages]
        table.add_row(
            arm.name,
            f"{arm.parameters['total']:,}",
            f"{arm.tokens:,}",
            f"{arm.tokens_per_second:,.0f}",
            *(f"{value:.3f}" if value is not None else "" for value in (_bits(arm.before), _bits(arm.after), *parts)),
        )
    return table


def _bits(evaluation: Mapping[str, Any]) -> float | None:
    value: float | None = evaluation["bits_per_byte"]
    return value


def _common_languages(arms: list[ArmSummary]) -> list[str]:
    """At most three languages that were measured."""
    names = [name for name, bits in arms[0].after["by_language"].items() if bits is not None]
    return names[:3]


def _next(found: Summary) -> list[str]:
    lines = ["", "What to try next:"]
    lines.append(f"  loopdata status {found.run}                    the account of every stage")
    lines.append(f"  loopdata explain {found.run} json/decoder.py   what became of a file, and where its tokens lie")
    if found.arms:
        lines.append(f"  loopdata train {found.arms[0].config} --set steps=…   train an arm again, longer")
    lines.append("  loopdata plan CONFIG --set corpus.clean.…=…   what a changed threshold would redo")
    return lines
