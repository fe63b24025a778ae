"""The corpus: sources → split → corpus stages, as phases of units.

Enters: a run file and a driver (or a planner, which runs nothing). Leaves: the manifests of the final documents, one a
unit. Row-local stages between two corpus-wide ones are fused into one phase, so that a document is read and parsed once
for all of them; a corpus-wide stage is a phase for each map and each reduce, and its verdicts open the next phase.
Limit: a unit is one input of a source, however large.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pyarrow as pa

from loopdata.engine.chain import plan_columns
from loopdata.engine.driver import Phases
from loopdata.engine.exchange import Share, Shares, partition_name
from loopdata.engine.part_file import part_file
from loopdata.engine.tasks import Ingest, Map, Reduce, Segment, columns_of
from loopdata.engine.unit import Manifest, Output, Unit, unit_number
from loopdata.errors import ConfigError, RunError
from loopdata.schema import source_schema
from loopdata.sources.split import Splitter
from loopdata.stage import CorpusStage, Input, Round, Source, unit_interval
from pipelines.clusters import clusters_unit
from pipelines.run_file import RunFile, split_corpus

MAX_TURNS = 64  # of a repeated round


@dataclass(frozen=True)
class UnitSplit:
    """The splitter as one unit sees it: where its groups are known, its key depends on their sides alone."""

    splitter: Splitter
    groups: tuple[str, ...] | None

    def identity(self) -> Mapping[str, Any]:
        if self.groups is None:
            return {"valid": self.splitter.valid}
        return {group: self.splitter.split_of(group) for group in self.groups}

    def assign(self, table: pa.Table) -> pa.Table:
        return self.splitter.assign(table)


@dataclass(frozen=True)
class Listing:
    """Every input with its source, and the splitter that holds out at least one repository of them."""

    inputs: list[tuple[Source, Input]]
    splitter: Splitter


def list_inputs(file: RunFile) -> Listing:
    """List the sources. ConfigError and SourceError for one that is not there or empty, or that cannot be split."""
    inputs = _thinned(file, [(source, item) for source in file.sources for item in source.inputs()])
    return Listing(inputs, _splitter(file, [item for _, item in inputs]))


class Corpus(NamedTuple):
    """The manifests of the final documents, in the order of the units, and of the pages on dedup stages."""

    documents: list[Manifest]
    clusters: list[Manifest]


def build_corpus(file: RunFile, listing: Listing, phases: Phases) -> Corpus:
    """Run (or plan) every phase up to the final documents."""
    first, rest = split_corpus(file.corpus)
    units = [
        Unit(
            "ingest",
            f"{source.label}/{item.name}",
            Ingest(source, item, UnitSplit(listing.splitter, item.groups), first, file.extra),
            (item.digest,),
            item.num_bytes,
        )
        for source, item in listing.inputs
    ]
    manifests = phases.phase("ingest", units)
    columns = plan_columns(columns_of(source_schema(file.extra)), first)
    described: list[Unit] = []
    for step, stages in rest:
        decided = decide(step, manifests, phases, file.limits.exchange_mb << 20)
        phase = f"{step.label}.apply"
        units = [
            Unit(
                phase,
                found.name,
                Segment(found.output("documents"), step, verdicts, stages, columns, failures),
                (
                    found.output("documents").sha256,
                    verdicts.digest,
                    *(output.sha256 for output in failures),
                ),
                found.num_bytes,
            )
            for found, (verdicts, failures) in zip(manifests, decided, strict=True)
        ]
        before, manifests = manifests, phases.phase(phase, units)
        columns = plan_columns(columns, (step, *stages))
        described += clusters_unit(step, before, manifests)
    clusters = phases.phase("clusters", described) if described else []
    return Corpus(manifests, clusters)


def _thinned(file: RunFile, inputs: list[tuple[Source, Input]]) -> list[tuple[Source, Input]]:
    """About `sample` of the inputs, by hash; at least two where there are two."""
    if file.sample >= 1.0:
        return inputs
    places = {id(item): unit_interval(0, "sample", source.label, item.name) for source, item in inputs}
    lowest = sorted(places.values())[:2]
    return [(source, item) for source, item in inputs if places[id(item)] < file.sample or places[id(item)] in lowest]


def _splitter(file: RunFile, inputs: list[Input]) -> Splitter:
    """The splitter with at least one group held out, where the groups are known beforehand."""
    groups = [group for item in inputs for group in item.groups or ()]
    known = all(item.groups is not None for item in inputs)
    if file.splitter.valid and known and not file.splitter.can_split(groups):
        raise ConfigError(
            f"all documents belong to the repository '{groups[0]}', so that none can be held out",
            "add a source, or cut this one by `repo_per: top_folder`",
        )
    return file.splitter.force(groups)


Decided = tuple[Share, tuple[Output, ...]]


def decide(step: CorpusStage, manifests: list[Manifest], phases: Phases, max_bytes: int) -> list[Decided]:
    """Drive the rounds of a corpus stage; return each unit's verdicts and failures of its maps."""
    given: dict[str, Shares] = {}  # by the name of the round: rows that go back to units
    failures: list[list[Output]] = [[] for _ in manifests]

    def reduced(turn: Round, name: str, mapped: list[Manifest]) -> list[Manifest]:
        shares = phases.shares(mapped)
        return phases.phase(f"{name}.reduce", _reduces(step, turn, f"{name}.reduce", shares, max_bytes))

    def over_rows(turn: Round, before: list[Manifest], repeat: str = "") -> list[Manifest]:
        turn, name = _sized(turn, before), f"{step.label}.{turn.name}{repeat}"
        return reduced(turn, name, phases.phase(f"{name}.map", _maps_of_rows(step, turn, f"{name}.map", before)))

    before: list[Manifest] = []
    for turn in step.rounds:
        if turn.over == "documents":
            phase = f"{step.label}.{turn.name}.map"
            mapped = phases.phase(phase, _maps_of_documents(step, turn, phase, manifests, given))
            for outputs, found in zip(failures, mapped, strict=True):
                outputs.append(found.output("failures"))
            before = reduced(turn, f"{step.label}.{turn.name}", mapped)
        else:
            before = _settle(step.label, turn, over_rows(turn, before), over_rows)
        if "unit" in turn.gives.names:
            given[turn.name] = phases.shares(before)
    verdicts = given[step.rounds[-1].name]
    return [
        (verdicts.of(unit_number(found.unit)), tuple(outputs))
        for found, outputs in zip(manifests, failures, strict=True)
    ]


def _sized(turn: Round, before: list[Manifest]) -> Round:
    """The round with no more partitions than its rows need: a fact of the data, whatever the number of workers."""
    if not turn.rows_each:
        return turn
    rows, partitions = sum(found.figures.get("rows", 0) for found in before), 1
    while partitions < turn.partitions and rows > partitions * turn.rows_each:
        partitions *= 2
    return replace(turn, partitions=partitions)


def _settle(label: str, turn: Round, given: list[Manifest], drive: Callable[..., list[Manifest]]) -> list[Manifest]:
    """Repeat a round behind its `via` until it gives what it gave before; while planning, not at all.

    What is left may fit in one table after some turns: then `via` is left out, and if it did fit, that was the last.
    """
    if turn.via is None:
        return given
    alone = False
    for number in range(2, MAX_TURNS + 1):
        if any(not found.known for found in given) or sum(found.figures["tables"] for found in given) <= 1:
            return given
        alone = not alone and sum(found.figures["rows"] for found in given) <= turn.rows_each
        after = drive(turn, given if alone else drive(turn.via, given, f"-{number}"), f"-{number}")
        if [_digest(found) for found in after] == [_digest(found) for found in given] and not alone:
            return after
        given = after
    raise RunError(f"the round '{turn.name}' of '{label}' came to no rest in {MAX_TURNS} turns", "report it")


def _digest(found: Manifest) -> str:
    return found.output("rows").sha256


def _maps_of_rows(step: CorpusStage, turn: Round, phase: str, before: list[Manifest]) -> list[Unit]:
    units = []
    for found in before:
        task = Map(step, turn, None, part_file(found, "rows"), {}, found.unit)
        units.append(Unit(phase, found.name, task, (_digest(found),), found.num_bytes))
    return units


def _maps_of_documents(
    step: CorpusStage, turn: Round, phase: str, manifests: list[Manifest], given: Mapping[str, Shares]
) -> list[Unit]:
    units = []
    for found in manifests:
        documents = found.output("documents")
        mine = {name: shares.of(unit_number(found.unit)) for name, shares in given.items()}
        reads = (documents.sha256, *(share.digest for share in mine.values()))
        task = Map(step, turn, documents, None, mine, found.unit)
        units.append(Unit(phase, found.name, task, reads, found.num_bytes))
    return units


def _reduces(step: CorpusStage, turn: Round, phase: str, shares: Shares, max_bytes: int) -> list[Unit]:
    units = []
    for number in range(turn.partitions):
        share = shares.of(partition_name(number, turn.partitions))
        task = Reduce(step, turn, share, max_bytes)
        units.append(Unit(phase, f"part-{number:05d}", task, (share.digest,), share.num_bytes))
    return units
