"""A corpus stage driven in memory: units of documents in, kept documents and fates out."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from loopdata.engine.exchange import partition_of, sort_rows
from loopdata.engine.tasks import unit_value
from loopdata.schema import DOCUMENT, cast, digest, document_schema, table_of
from loopdata.stage import CorpusStage, Fate, Outcome, Round, Stage, Step

COLUMNS = (
    "doc_id", "text_id", "category", "split", "use", "text", "source", "repo", "path", "language", "num_bytes",
)  # fmt: skip
SCHEMA = document_schema({name: DOCUMENT[name] for name in COLUMNS})


def document(doc_id: str, text: str, **other: Any) -> dict[str, Any]:
    """One document for training, in a repository of its own unless `other` says something else."""
    row = {"category": "code", "split": "train", "use": "train", "repo": f"repo-of-{doc_id}", "path": f"{doc_id}.py"}
    return row | {"doc_id": doc_id, "text": text, "num_bytes": len(text.encode())} | other


def drive(
    stage: CorpusStage, units: Mapping[str, Sequence[Mapping[str, Any]]]
) -> tuple[dict[str, dict[str, Any]], dict[str, Fate]]:
    """Kept documents and fates by doc_id."""
    tables = {name: table_of(rows, SCHEMA) for name, rows in units.items()}
    fates: dict[str, Fate] = {}
    for step in (*stage.before(), stage):
        outcomes = _outcomes(step, tables)
        tables = {name: outcome.kept for name, outcome in outcomes.items()}
        fates |= {fate.subject: fate for outcome in outcomes.values() for fate in outcome.fates}
    return {row["doc_id"]: row for table in tables.values() for row in table.to_pylist()}, fates


def _outcomes(stage: Step, tables: Mapping[str, pa.Table]) -> dict[str, Outcome]:
    if isinstance(stage, Stage):
        return {name: stage.apply(table) for name, table in tables.items()}
    assert isinstance(stage, CorpusStage)
    given: dict[str, list[pa.Table]] = {}  # by the name of the round
    for turn in stage.rounds:
        if turn.over == "rows":
            before = stage.rounds[stage.rounds.index(turn) - 1]
            given[turn.name] = over_rows(stage, turn, given[before.name])
        else:
            rows = [_mapped(stage, turn, table, given, name) for name, table in tables.items()]
            given[turn.name] = _reduced(stage, turn, rows)
    last = stage.rounds[-1]
    return {name: stage.apply(table, _of_unit(given[last.name], name, last)) for name, table in tables.items()}


def over_rows(stage: CorpusStage, turn: Round, given: list[pa.Table]) -> list[pa.Table]:
    """What a round over rows gives, repeated where it says so; always in all of its partitions."""
    before, given = given, _reduced(stage, turn, [stage.map(turn, table, {}) for table in given])
    while turn.via is not None and given != before:
        before = given
        for step in (turn.via, turn):
            given = _reduced(stage, step, [stage.map(step, table, {}) for table in given])
    return given


def _mapped(
    stage: CorpusStage, turn: Round, table: pa.Table, given: Mapping[str, list[pa.Table]], unit: str
) -> pa.Table:
    back = [earlier for earlier in stage.rounds if earlier.name in given and "unit" in earlier.gives.names]
    rows = stage.map(turn, table, {earlier.name: _of_unit(given[earlier.name], unit, earlier) for earlier in back})
    place = rows.column_names.index("unit")
    return rows.set_column(place, "unit", pa.repeat(_value(turn.emits, unit), rows.num_rows))


def _reduced(stage: CorpusStage, turn: Round, mapped: list[pa.Table]) -> list[pa.Table]:
    rows = pa.concat_tables([turn.emits.empty_table(), *(cast(part, turn.emits) for part in mapped)])
    which = partition_of(rows["key"].to_numpy(), turn.partitions)
    parts = [rows.filter(pa.array(which == number)) for number in range(turn.partitions)]
    return [cast(stage.reduce(turn, sort_rows(part)), turn.gives) for part in parts if part.num_rows]


def _of_unit(given: list[pa.Table], unit: str, turn: Round) -> pa.Table:
    found = pa.concat_tables([turn.gives.empty_table(), *given])
    return found.filter(pc.equal(found["unit"], _value(turn.gives, unit)))


def _value(schema: pa.Schema, unit: str) -> pa.Scalar:
    return unit_value(schema.field("unit").type, digest(unit))
