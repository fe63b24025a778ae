"""The tasks that a corpus is made of: reading a source, going through stages, and the rounds of a corpus stage.

Enters: one input of a source, or outputs that manifests name. Leaves: `documents`, `fates`, `locations` and `rows`
tables. Each task states its identity; the phase that builds the units gives the digests of what it reads. Limit: the
rows that one unit emits, those that one reduce gives, and the verdicts of one unit are held in memory.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopdata.engine import chain
from loopdata.engine.attempt import Attempt
from loopdata.engine.exchange import Share, read_share, read_sorted, write_partitions
from loopdata.engine.isolation import Isolation
from loopdata.engine.part_file import PartFile, PartWriter, read_file
from loopdata.engine.tables import TableWriter, read_tables
from loopdata.engine.unit import Output, unit_number
from loopdata.errors import StageError
from loopdata.schema import FATE, LOCATION, cast, document_schema, source_schema
from loopdata.stage import CorpusStage, Fate, Input, Outcome, Round, Source, Stage

Columns = Mapping[str, pa.DataType]


class Splits(Protocol):
    """Assigns the column `split`, by group."""

    def identity(self) -> Mapping[str, Any]: ...

    def assign(self, table: pa.Table) -> pa.Table: ...


def columns_of(schema: pa.Schema) -> dict[str, pa.DataType]:
    return {field.name: field.type for field in schema}


@dataclass(frozen=True)
class Ingest:
    """Read one input, assign the split, go through the first stages."""

    source: Source
    item: Input
    splits: Splits
    stages: tuple[Stage, ...]
    extra: Columns = field(default_factory=dict)  # columns besides those of every source; of all sources of the run

    def identity(self) -> Mapping[str, Any]:
        stages = [stage.identity() for stage in self.stages]
        identity = {"source": self.source.identity(), "split": self.splits.identity(), "stages": stages}
        return identity | ({"extra": {name: str(kind) for name, kind in self.extra.items()}} if self.extra else {})

    def run(self, attempt: Attempt) -> None:
        given = source_schema(self.extra)
        columns = columns_of(given)
        after = chain.plan_columns(columns, self.stages)
        with (
            attempt.table("documents", document_schema(after)) as documents,
            attempt.table("fates", FATE) as fates,
            attempt.table("locations", LOCATION) as locations,
        ):
            count = attempt.count("read")

            def batches() -> Iterator[pa.Table]:
                for batch in self.source.read(self.item):
                    attempt.guard.at(unit=attempt.unit.id)
                    locations.write(batch.locations)
                    fates.write(chain.fate_table(batch.fates))
                    table = cast(self.splits.assign(batch.documents), given)
                    count.entered += batch.locations.num_rows
                    count.entered_bytes += chain.size(batch.locations)
                    chain.settle(count, table, batch.fates, born=0)
                    chain.divide(count, batch.locations, batch.fates)
                    yield from chain.recut(table)

            _keep(attempt, documents, chain.Chain(self.stages, columns, attempt, fates).flow(batches()))


def _keep(attempt: Attempt, documents: TableWriter, tables: Iterator[pa.Table]) -> None:
    """Write the documents that remain, and note how many of them, with how many bytes, are in each split and use."""
    sums: dict[str, list[int]] = {}
    for table in tables:
        documents.write(table)
        grouped = table.group_by(["split", "use"]).aggregate([("num_bytes", "count"), ("num_bytes", "sum")])
        for row in grouped.to_pylist():
            total = sums.setdefault(f"{row['split']}.{row['use']}", [0, 0])
            total[0] += row["num_bytes_count"]
            total[1] += row["num_bytes_sum"]
    attempt.figures["documents"] = sums


class Judge(Stage):
    """A corpus stage with the verdicts of one unit: it decides like a row-local stage.

    `failed` maps documents that a map of the stage could not bear to their fates; it never sees them again.
    """

    name = "judge"

    def __init__(self, step: CorpusStage, verdicts: pa.Table, failed: Mapping[str, Fate]) -> None:
        super().__init__(step.config, label=step.label, seed=step.seed)
        self._step, self._verdicts, self._failed = step, verdicts, failed
        for attribute in ("scope", "categories", "needs", "adds", "removes"):
            setattr(self, attribute, getattr(step, attribute))

    def apply(self, table: pa.Table) -> Outcome:
        fates = [self._failed[subject] for subject in table["doc_id"].to_pylist() if subject in self._failed]
        if fates:
            bad = pa.array([fate.subject for fate in fates], pa.string())
            table = table.filter(pc.invert(pc.is_in(table["doc_id"], value_set=bad)))
        outcome = self._step.apply(table, self._verdicts)
        return Outcome(outcome.kept, [*fates, *outcome.fates], outcome.born)


@dataclass(frozen=True)
class Segment:
    """Apply the verdicts of a corpus stage to the documents of a unit, then go through the stages behind it."""

    documents: Output
    step: CorpusStage
    verdicts: Share
    stages: tuple[Stage, ...]
    columns: Columns
    failures: tuple[Output, ...] = ()  # of the maps over these documents

    def identity(self) -> Mapping[str, Any]:
        return {"judge": self.step.identity(), "stages": [stage.identity() for stage in self.stages]}

    def run(self, attempt: Attempt) -> None:
        verdicts = _gather(attempt, self.verdicts, self.step.rounds[-1].gives)
        judge = Judge(self.step, verdicts, _failed(attempt, self.failures))
        stages = (judge, *self.stages)
        after = chain.plan_columns(self.columns, stages)
        with (
            attempt.table("documents", document_schema(after)) as documents,
            attempt.table("fates", FATE) as fates,
        ):
            before = (table for whole in read_tables(attempt.folder, self.documents) for table in chain.recut(whole))
            _keep(attempt, documents, chain.Chain(stages, self.columns, attempt, fates).flow(before))


@dataclass(frozen=True)
class Map:
    """The map of one round: over the documents of a unit with what rounds before gave for it, or over `rows`."""

    step: CorpusStage
    round: Round
    documents: Output | None
    rows: PartFile | None
    given: Mapping[str, Share]
    unit: str

    def identity(self) -> Mapping[str, Any]:
        return {
            "step": self.step.identity(),
            "unit": self.unit if self.documents else None,  # it stands in the rows, and is another behind another phase
            "round": self.round.name,
            "partitions": self.round.partitions,
        }

    def run(self, attempt: Attempt) -> None:
        of_documents = self._of_documents(attempt, self.documents) if self.documents else ()
        of_rows = self._of_rows(attempt, self.rows) if self.rows else ()
        table = pa.concat_tables([self.round.emits.empty_table(), *of_documents, *of_rows])
        with attempt.parts("rows", self.round.emits) as writer:
            write_partitions(writer, table, self.round.partitions)
        attempt.figures["rows"] = table.num_rows

    def _of_rows(self, attempt: Attempt, rows: PartFile) -> Iterator[pa.Table]:
        for table in read_file(attempt.folder, rows):
            yield self._checked(self.step.map(self.round, table, {}))

    def _of_documents(self, attempt: Attempt, documents: Output) -> Iterator[pa.Table]:
        """Rows of the documents that the map can bear; those that it cannot are in the output `failures`."""
        gives = {turn.name: turn.gives for turn in self.step.rounds}
        given = {name: _gather(attempt, share, gives[name]) for name, share in self.given.items()}

        def emit(table: pa.Table) -> Outcome:
            return Outcome(self._checked(self.step.map(self.round, table, given)))

        isolation = Isolation(self.step.label, False, emit, attempt)
        columns = sorted({*self.step.needs, "doc_id", "category"})
        with attempt.table("failures", FATE) as failures:
            for table in read_tables(attempt.folder, documents, columns):
                table, killers = isolation.without_killers(self._mine(table))
                outcomes = isolation(table)
                fates = [fate for outcome in outcomes for fate in outcome.fates]
                failures.write(chain.fate_table(killers + fates))
                yield from (outcome.kept for outcome in outcomes if not outcome.fates)

    def _mine(self, table: pa.Table) -> pa.Table:
        if self.step.categories is None:
            return table
        return table.filter(pc.is_in(table["category"], value_set=pa.array(sorted(self.step.categories))))

    def _checked(self, table: pa.Table) -> pa.Table:
        names = self.round.emits.names
        if "unit" in names and self.documents is not None:
            kind = self.round.emits.field("unit").type
            table = table.drop_columns(["unit"]) if "unit" in table.column_names else table
            table = table.append_column("unit", pa.repeat(unit_value(kind, self.unit), table.num_rows))
        if set(table.column_names) != set(names):
            raise StageError(
                f"the stage '{self.step.label}' emits other columns in '{self.round.name}' than it declares"
            )
        return cast(table, self.round.emits)


@dataclass(frozen=True)
class Reduce:
    """The reduce of one partition; what it gives is cut by the unit that the rows go back to."""

    step: CorpusStage
    round: Round
    share: Share
    max_bytes: int

    def identity(self) -> Mapping[str, Any]:
        return {"step": self.step.identity(), "round": self.round.name}

    def run(self, attempt: Attempt) -> None:
        found = []
        for table in read_sorted(attempt.folder, self.share, self.round.partitions, self.max_bytes):
            attempt.guard.at(unit=attempt.unit.id)
            found.append(cast(self.step.reduce(self.round, table), self.round.gives))
        rows = pa.concat_tables(found) if found else self.round.gives.empty_table()
        with attempt.parts("rows", self.round.gives) as writer:
            self._write(writer, rows)
        attempt.figures["rows"] = rows.num_rows
        attempt.figures["tables"] = len(found)

    def _write(self, writer: PartWriter, rows: pa.Table) -> None:
        if "unit" not in self.round.gives.names or not rows.num_rows:
            writer.write(0, rows)
            return
        rows = rows.sort_by([(name, "ascending") for name in dict.fromkeys(("unit", *rows.column_names))])
        runs = pc.run_end_encode(rows["unit"].combine_chunks())
        start = 0
        for unit, stop in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
            writer.write(unit if isinstance(unit, int) else unit_number(unit), rows, np.arange(start, stop))
            start = stop


def unit_value(kind: pa.DataType, unit: str) -> pa.Scalar:
    """What stands for a unit in a column `unit`: its id where the column holds strings, else its number."""
    return pa.scalar(unit if pa.types.is_string(kind) else unit_number(unit), kind)


def _failed(attempt: Attempt, failures: tuple[Output, ...]) -> dict[str, Fate]:
    rows = [row for output in failures for table in read_tables(attempt.folder, output) for row in table.to_pylist()]
    return {row["subject"]: Fate(**row) for row in reversed(rows)}  # the fate of the first round counts


def _gather(attempt: Attempt, share: Share, schema: pa.Schema) -> pa.Table:
    return pa.concat_tables([schema.empty_table(), *read_share(attempt.folder, share)])
