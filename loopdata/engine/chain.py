"""Driving documents through a chain of stages, batch by batch, with isolation, notes, fates and the account.

Enters: tables of documents and stages whose columns were checked by `plan_columns`. Leaves: tables of documents, and
every fate in the attempt's table. What a stage returns is checked: columns as declared, documents kept in order, one
ending fate for each that is not kept. Limit: for scope `repo`, a repository above MAX_REPO_BYTES is decided in
consecutive views, each counted as `marked.repo_view`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopdata.engine.attempt import Attempt
from loopdata.engine.isolation import Isolation
from loopdata.engine.tables import TableWriter
from loopdata.engine.unit import Count, Group
from loopdata.errors import StageError
from loopdata.schema import FATE, cast, document_schema, require
from loopdata.stage import ENDS, NOTES, Fate, Outcome, Stage, Step

BATCH_ROWS = 1_000
BATCH_BYTES = 8 << 20
MAX_REPO_BYTES = 256 << 20


def plan_columns(columns: Mapping[str, pa.DataType], steps: Iterable[Step]) -> dict[str, pa.DataType]:
    """Columns after the steps. ConfigError where one needs a column that nothing before it provides."""
    result = dict(columns)
    for step in steps:
        require(result, step.needs, f"the stage '{step.label}'")
        result = {name: kind for name, kind in result.items() if name not in step.removes} | dict(step.adds)
    return result


class Chain:
    """Stages over the tables of one unit."""

    def __init__(
        self, stages: Sequence[Stage], columns: Mapping[str, pa.DataType], attempt: Attempt, fates: TableWriter
    ) -> None:
        self._drives = []
        for stage in stages:
            before, columns = columns, plan_columns(columns, [stage])
            self._drives.append(_Drive(stage, document_schema(before), document_schema(columns), attempt, fates))

    def flow(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """The documents that remain, in order."""
        for drive in self._drives:
            tables = drive.flow(tables)
        return iter(tables)


class _Drive:
    """One stage over the tables of one unit."""

    def __init__(self, stage: Stage, before: pa.Schema, after: pa.Schema, attempt: Attempt, fates: TableWriter) -> None:
        self.stage = stage
        self.before, self.after = before, after
        self.fates = fates
        self.count = attempt.count(stage.label)
        self.isolation = Isolation(stage.label, stage.scope == "repo", stage.apply, attempt)

    def flow(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        if self.stage.scope == "repo":
            tables = whole_repositories(tables, self._count_view)
        for table in tables:
            if table.num_rows:
                yield from recut(self.drive(table))

    def drive(self, table: pa.Table) -> pa.Table:
        """Apply the stage to one table and account for it."""
        enter(self.count, table)
        entered = table
        table, fates = self.isolation.without_killers(table)
        mine, others = self._of_my_categories(table)
        outcomes = self.isolation(mine)
        kept = [self._checked(part, mine) for part in outcomes]
        given = [fate for part in outcomes for fate in part.fates]
        self._check_fates(mine, kept, given)
        fates += given
        result = pa.concat_tables([*kept, cast(others, self.after)]) if others.num_rows else _concat(kept, self.after)
        if others.num_rows:
            result = result.take(pc.sort_indices(pc.index_in(result["doc_id"], value_set=table["doc_id"])))
        born = [self._as_declared(part.born) for part in outcomes if part.born is not None and part.born.num_rows]
        if born:
            result = self._beside_parents(table, result, pa.concat_tables(born))
        settle(self.count, result, fates, sum(part.num_rows for part in born))
        divide(self.count, entered, fates)
        self.fates.write(fate_table(fates))
        return result

    def _of_my_categories(self, table: pa.Table) -> tuple[pa.Table, pa.Table]:
        if self.stage.categories is None:
            return table, table.slice(0, 0)
        mine = pc.is_in(table["category"], value_set=pa.array(sorted(self.stage.categories), pa.string()))
        return table.filter(mine), table.filter(pc.invert(mine))

    def _checked(self, outcome: Outcome, table: pa.Table) -> pa.Table:
        """The kept documents, in the declared schema and in the order they came in."""
        kept = outcome.kept
        if kept.num_rows == 0:
            return self.after.empty_table()
        kept = self._as_declared(kept)
        at = pc.index_in(kept["doc_id"], value_set=table["doc_id"]).to_numpy()
        if kept["doc_id"].null_count or (at[1:] <= at[:-1]).any() or at.dtype.kind == "f":
            raise StageError(f"the stage '{self.stage.label}' kept documents that did not come in, or out of order")
        return kept

    def _as_declared(self, table: pa.Table) -> pa.Table:
        """The table with its columns in order; StageError where they, or their types, are not those declared."""
        given = {field.name: field.type for field in table.schema}
        wanted = {field.name: field.type for field in self.after}
        wrong = sorted(name for name in given.keys() | wanted.keys() if given.get(name) != wanted.get(name))
        if wrong or len(given) != table.num_columns:
            said = ", ".join(f"{name} as {given.get(name)} for {wanted.get(name)}" for name in wrong)
            raise StageError(f"the stage '{self.stage.label}' declared other columns than it gave: {said or 'twice'}")
        return cast(table, self.after)

    def _beside_parents(self, table: pa.Table, kept: pa.Table, born: pa.Table) -> pa.Table:
        """Documents that were born behind their parent, else behind their repository, so that it stays together."""
        ids = born["doc_id"]
        if ids.null_count or len(pc.unique(ids)) != len(ids) or pc.any(pc.is_in(ids, table["doc_id"])).as_py():
            raise StageError(f"the stage '{self.stage.label}' gave birth to documents whose ids are there already")
        places = {subject: row for row, subject in enumerate(table["doc_id"].to_pylist())}
        last = {repo: row for row, repo in enumerate(table["repo"].to_pylist()) if repo is not None}
        behind = [
            places.get(parent, last.get(repo, table.num_rows))
            for parent, repo in zip(born["parent"].to_pylist(), born["repo"].to_pylist(), strict=True)
        ]
        at = np.array([*(places[subject] for subject in kept["doc_id"].to_pylist()), *behind], np.int64)
        return pa.concat_tables([kept, born]).take(pa.array(np.argsort(at, kind="stable")))

    def _check_fates(self, table: pa.Table, kept: list[pa.Table], fates: list[Fate]) -> None:
        """Every document is either kept or ended, once."""
        ended = [fate.subject for fate in fates if fate.fate in ENDS]
        unknown = {fate.fate for fate in fates} - ENDS - NOTES
        if unknown:
            raise StageError(f"the stage '{self.stage.label}' gave an unknown fate: {', '.join(sorted(unknown))}")
        remaining = [chunk for part in kept for chunk in part["doc_id"].chunks]
        found = pa.chunked_array([pa.array(ended, pa.string()), *remaining])
        places = pc.index_in(found, value_set=table["doc_id"]).drop_null().to_numpy()
        if len(found) != table.num_rows or len(np.unique(places)) != table.num_rows:
            raise StageError(
                f"the stage '{self.stage.label}' lost documents or ended some twice: {table.num_rows} in, "
                f"{len(found) - len(ended)} kept, {len(ended)} ended"
            )

    def _count_view(self) -> None:
        notes = self.count.notes
        notes["marked.repo_view"] = notes.get("marked.repo_view", 0) + 1


def whole_repositories(tables: Iterable[pa.Table], count_view: Callable[[], None]) -> Iterator[pa.Table]:
    """Tables of whole repositories; one above MAX_REPO_BYTES comes in consecutive views, each of which is counted.

    A table that ends within a repository is a view of it, and so is the rest; one view may be both.
    """
    held: list[pa.Table] = []
    rows = held_bytes = 0
    cut = False  # whether `held` begins with the rest of a repository that was cut
    last: object = None
    for table in tables:
        start = 0
        for at, stop, repo, num_bytes in repositories(table):
            ends = rows > 0 and (repo is None or repo != last)
            full = rows >= BATCH_ROWS or held_bytes >= BATCH_BYTES
            if (ends and full) or (not ends and held_bytes > MAX_REPO_BYTES):
                if cut or not ends:
                    count_view()
                yield pa.concat_tables([*held, table.slice(start, at - start)])
                held, rows, held_bytes, cut, start = [], 0, 0, not ends, at
            rows, held_bytes, last = rows + stop - at, held_bytes + num_bytes, repo
        held.append(table.slice(start))
    if rows:
        if cut:
            count_view()
        yield pa.concat_tables(held)


def _concat(parts: list[pa.Table], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables(parts) if parts else schema.empty_table()


def repositories(table: pa.Table) -> Iterator[tuple[int, int, object, int]]:
    """Consecutive rows of equal `repo`: where they begin and end, the repository, their bytes.

    A document without a repository stands alone.
    """
    repos = table["repo"].to_pylist()
    starts = [row for row in range(len(repos)) if row == 0 or repos[row] is None or repos[row] != repos[row - 1]]
    before = np.append(0, np.cumsum(pc.fill_null(table["num_bytes"], 0).to_numpy())).tolist()
    for start, stop in zip(starts, [*starts[1:], len(repos)], strict=True) if starts else ():
        yield start, stop, repos[start], before[stop] - before[start]


def size(table: pa.Table) -> int:
    """Bytes of the documents."""
    return int(pc.sum(table["num_bytes"]).as_py() or 0)


def recut(table: pa.Table) -> Iterator[pa.Table]:
    """Cut into small batches by rows and bytes, so that what stages remember of a batch stays small."""
    if table.num_rows <= BATCH_ROWS and size(table) <= BATCH_BYTES:
        yield table
        return
    start, held = 0, 0
    for row, num_bytes in enumerate(table["num_bytes"].to_pylist()):
        if row > start and (row - start >= BATCH_ROWS or held + (num_bytes or 0) > BATCH_BYTES):
            yield table.slice(start, row - start)
            start, held = row, 0
        held += num_bytes or 0
    yield table.slice(start)


def fate_table(fates: list[Fate]) -> pa.Table:
    """Fates as a table; what a stage quotes of a text may hold what UTF-8 has no bytes for."""
    if not fates:
        return FATE.empty_table()
    columns = dict(zip(Fate._fields, zip(*fates, strict=True), strict=True))
    columns["details"] = tuple(
        text.encode("utf-8", "backslashreplace").decode() if text is not None and not text.isascii() else text
        for text in columns["details"]
    )
    return pa.table(columns, schema=FATE)


def enter(count: Count, table: pa.Table) -> None:
    """Account for documents that enter a stage."""
    count.entered += table.num_rows
    count.entered_bytes += size(table)


def settle(count: Count, kept: pa.Table, fates: list[Fate], born: int) -> None:
    """Account for documents that leave a stage; `kept` includes those born in it."""
    count.born += born
    count.kept += kept.num_rows
    count.kept_bytes += size(kept)
    for fate in fates:
        count.dropped += fate.fate == "dropped"
        count.quarantined += fate.fate == "quarantined"
        name = f"{fate.fate}.{fate.rule}"
        count.notes[name] = count.notes.get(name, 0) + 1


def divide(count: Count, table: pa.Table, fates: list[Fate]) -> None:
    """Divide what entered a stage, and what it dropped, by source and language."""
    names = ["source", "language"] if "language" in table.column_names else ["source"]
    for row in table.group_by(names, use_threads=False).aggregate([([], "count_all")]).to_pylist():
        count.group(row["source"] or "", row.get("language") or "").entered += row["count_all"]
    dropped = list(dict.fromkeys(fate.subject for fate in fates if fate.fate == "dropped"))
    if not dropped:
        return
    rows = pc.index_in(pa.array(dropped, pa.string()), value_set=table["doc_id"].combine_chunks())
    ended = table.select([*names, "doc_id"]).take(rows).group_by(names, use_threads=False)
    for row in ended.aggregate([("doc_id", "list")]).to_pylist():
        ids = row["doc_id_list"]
        count.group(row["source"] or "", row.get("language") or "").add(Group(dropped=len(ids), examples=ids))
