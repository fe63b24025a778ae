"""The `repo_dedup` stage: a repository that lives in another one goes whole.

Enters: documents with `text_id` and `repo`, before copies of files are removed. Leaves: the documents of repositories
of which no more than `max_share`, of bytes and of files alike, lies in one kept repository; so forks and copies are
found from the files that they share. Held-out repositories come first, then those of the best value of `priority`, then
the larger: a fork of a held-out repository does not train. Rounds: `sizes` adds up each repository, `files` pairs those
that share a text, `shares` adds up the pairs, `choice` goes through them, best first. Limit: a text links a repository
with the LINKED best that have it, so that work grows with the places of files and not with their pairs; pairs beyond
the share are judged in one process; a fork whose files were all edited a little is not seen.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from loopdata import schema
from loopdata.config import Strict
from loopdata.dedup import rank
from loopdata.dedup.verdicts import Partitions
from loopdata.stage import CorpusStage, Fate, Outcome, Round

COPY, HELD_OUT_COPY = "repo_copy", "repo_copy_of_held_out"
LINKED = 8

SUMS = [("bytes", pa.int64()), ("files", pa.int64())]
# What is known of a repository: `places` are its units with NUL between them, since its verdict goes to all.
ABOUT = [
    ("repo", pa.string()),
    ("trains", pa.bool_()),
    ("rank", pa.binary()),
    ("all_bytes", pa.int64()),
    ("all_files", pa.int64()),
    ("places", pa.string()),
]
KEPT = [("kept", pa.string()), ("kept_trains", pa.bool_())]
SIZE = pa.schema([("key", pa.uint64()), *ABOUT[:3], *SUMS, ("unit", pa.string())])
REPO = pa.schema([("unit", pa.string()), *ABOUT])
TEXT = pa.schema([("key", pa.uint64()), ("id", pa.string()), *ABOUT, *SUMS, ("unit", pa.string())])
PAIR = pa.schema([*ABOUT, *KEPT, *SUMS])
KEYED_PAIR = pa.schema([("key", pa.uint64()), *PAIR])
VERDICTS = pa.schema([("unit", pa.string()), ("repo", pa.string()), *KEPT, ("share", pa.float64())])


class RepoConfig(Strict):
    """`max_share`: of the bytes and of the files of a repository. `priority`: columns of documents, as for the other
    kinds of dedup; of a repository the best value counts. `partitions`: parts of the exchange, a power of two."""

    max_share: float = Field(default=0.8, ge=0, lt=1)
    priority: list[str] = Field(default_factory=list)
    partitions: Partitions = 16


class RepoDedup(CorpusStage):
    """Keeps one of repositories that are mostly the same."""

    name = "repo_dedup"
    Config = RepoConfig
    needs: ClassVar[Mapping[str, pa.DataType | None]] = {
        name: schema.DOCUMENT[name] for name in ("doc_id", "text_id", "split", "use", "repo", "path", "num_bytes")
    }

    def __init__(self, config: Strict | None = None, *, label: str = "", seed: int = 0) -> None:
        super().__init__(config, label=label, seed=seed)
        self.needs = {**type(self).needs, **rank.columns(self.config.priority)}  # type: ignore[misc]
        parts = self.config.partitions
        self.rounds = (  # type: ignore[misc]
            Round("sizes", SIZE, REPO, partitions=parts),
            Round("files", TEXT, PAIR, partitions=parts),
            Round("shares", KEYED_PAIR, PAIR, over="rows", partitions=parts),
            Round("choice", KEYED_PAIR, VERDICTS, over="rows", partitions=1),
        )

    def map(self, step: Round, table: pa.Table, given: Mapping[str, pa.Table]) -> pa.Table:
        """A row a repository, one a text of a repository, or the pairs of the round before under another key."""
        if step.name == "shares":
            return table.add_column(0, "key", _keys(table["repo"].to_pylist()))
        if step.name == "choice":
            return table.add_column(0, "key", pa.array(np.zeros(table.num_rows, np.uint64)))
        table = table.filter(pc.and_(table["repo"].is_valid(), table["text_id"].is_valid()))
        return self._sizes(table) if step.name == "sizes" else _texts(table, given["sizes"])

    def reduce(self, step: Round, table: pa.Table) -> pa.Table:
        """Repositories with all their units, pairs that share a text, pairs beyond the share, or verdicts."""
        if not table.num_rows:
            return step.gives.empty_table()
        return {"sizes": _whole, "files": _pairs, "shares": self._beyond, "choice": _choose}[step.name](table)

    def apply(self, table: pa.Table, verdicts: pa.Table) -> Outcome:
        """Drop the documents of repositories that have a verdict."""
        found = {row["repo"]: row for row in verdicts.to_pylist()}
        gone = [repo in found for repo in table["repo"].to_pylist()]
        if not any(gone):
            return Outcome(table)
        left = table.filter(pa.array(gone))
        rows = zip(left["doc_id"].to_pylist(), left["split"].to_pylist(), left["repo"].to_pylist(), strict=True)
        fates = [self._fate(doc_id, split, found[repo]) for doc_id, split, repo in rows]
        return Outcome(table.filter(pc.invert(pa.array(gone))), fates)

    def _fate(self, doc_id: str, split: str, verdict: Mapping[str, Any]) -> Fate:
        rule = HELD_OUT_COPY if split != "valid" and not verdict["kept_trains"] else COPY
        where = f"repo={verdict['kept']}"
        return Fate(doc_id, self.label, "dropped", rule, verdict["share"], self.config.max_share, details=where)

    def _sizes(self, table: pa.Table) -> pa.Table:
        """Of the repositories of a batch: the best rank of their documents, bytes and files."""
        rows = pa.table(
            {
                "repo": table["repo"],
                "trains": pc.fill_null(pc.not_equal(table["split"], "valid"), True),
                "rank": rank.ranks(table, self.config.priority, self.label),
                "bytes": table["num_bytes"],
                "files": pa.array(np.ones(table.num_rows, np.int64)),
            }
        )
        found = _grouped(rows, ["repo", "trains"], [("rank", "min"), ("bytes", "sum"), ("files", "sum")])
        keys, unit = _keys(found["repo"].to_pylist()), pa.nulls(found.num_rows, pa.string())
        return found.append_column("key", keys).append_column("unit", unit).select(SIZE.names)

    def _beyond(self, table: pa.Table) -> pa.Table:
        """Sums of pairs, of those only that are copies."""
        names = [name for name, _ in (*ABOUT, *KEPT)]
        sums = _grouped(table, names, [("bytes", "sum"), ("files", "sum")])
        copies = [pc.greater(_share(sums, name), self.config.max_share) for name in ("bytes", "files")]
        return sums.filter(pc.and_(*copies)).select(PAIR.names)


def _share(table: pa.Table, name: str) -> Any:
    """The share of all bytes, or files; a repository of empty files has all its bytes wherever its files are."""
    shares = np.maximum(table[name].to_numpy(), 1e-9) / np.maximum(table[f"all_{name}"].to_numpy(), 1e-9)
    return pa.array(shares)


def _grouped(table: pa.Table, names: Sequence[str], sums: Sequence[tuple[str, str]]) -> pa.Table:
    """Aggregates under the names of their columns."""
    found = table.group_by(names, use_threads=False).aggregate(list(sums))
    return found.select([*names, *(f"{name}_{how}" for name, how in sums)]).rename_columns(
        [*names, *(name for name, _ in sums)]
    )


def _keys(repos: Sequence[str]) -> pa.Array:
    digests = (hashlib.sha256(repo.encode("utf-8", "surrogatepass")).digest()[:8] for repo in repos)
    return pa.array(np.frombuffer(b"".join(digests), np.uint64))


def _whole(table: pa.Table) -> pa.Table:
    """Each repository with its place among all, for each unit that it lies in."""
    repos: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        repos.setdefault(row["repo"], []).append(row)
    found = []
    for repo, rows in repos.items():
        trains = all(row["trains"] for row in rows)
        size, files = (sum(row[name] for row in rows) for name in ("bytes", "files"))
        best = min(row["rank"] for row in rows)
        name = repo.encode("utf-8", "surrogatepass")
        about = {"repo": repo, "trains": trains, "all_bytes": size, "all_files": files}
        about["rank"] = (b"\1" if trains else b"\0") + best + ((1 << 63) - size).to_bytes(8, "big") + name
        units = sorted({row["unit"] for row in rows})
        found += [{"unit": unit, **about, "places": "\0".join(units)} for unit in units]
    return pa.Table.from_pylist(found, schema=REPO)


def _texts(table: pa.Table, repos: pa.Table) -> pa.Table:
    """Each text of each repository once, with the bytes and files that it is there."""
    ones = pa.array(np.ones(table.num_rows, np.int64))
    rows = pa.table({"repo": table["repo"], "id": table["text_id"], "bytes": table["num_bytes"], "files": ones})
    found = _grouped(rows, ["repo", "id"], [("bytes", "sum"), ("files", "sum")])
    about = repos.take(pc.index_in(found["repo"], value_set=repos["repo"].combine_chunks()))
    keys = pa.array([int(name[:16], 16) for name in found["id"].to_pylist()], pa.uint64())
    known = {name: about[name] for name, _ in ABOUT} | {name: found[name] for name in ("id", "bytes", "files")}
    known |= {"key": keys, "unit": pa.nulls(found.num_rows, pa.string())}
    return pa.table({name: known[name] for name in TEXT.names})


def _pairs(table: pa.Table) -> pa.Table:
    """Each repository that has a text with the LINKED best that have it, itself apart."""
    names = ["key", "id", *(name for name, _ in ABOUT)]
    table = _grouped(table, names, [("bytes", "sum"), ("files", "sum")])  # of a repository in several units
    table = table.sort_by([("key", "ascending"), ("id", "ascending"), ("rank", "ascending")])
    ids = table["id"].combine_chunks().dictionary_encode().indices.to_numpy()
    first = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
    sizes = np.diff(np.append(first, len(ids)))
    begin, place = np.repeat(first, sizes), np.arange(len(ids)) - np.repeat(first, sizes)
    found = []
    for better in range(LINKED):
        rows = np.flatnonzero(place > better)
        of, kept = table.take(pa.array(rows)), table.take(pa.array(begin[rows] + better))
        columns = {name: of[name] for name in table.column_names} | {
            "kept": kept["repo"],
            "kept_trains": kept["trains"],
        }
        found.append(pa.table({name: columns[name] for name in PAIR.names}))
    return pa.concat_tables(found)


def _choose(table: pa.Table) -> pa.Table:
    """Best first: a repository goes if one that stays holds enough of it; of several, the one that holds the most."""
    shares = [_share(table, name).to_pylist() for name in ("bytes", "files")]
    rows = [row | {"share": min(share)} for row, *share in zip(table.to_pylist(), *shares, strict=True)]
    rows.sort(key=lambda row: (row["rank"], row["kept_trains"], -row["share"], row["kept"]))
    gone: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["repo"] not in gone and row["kept"] not in gone:
            gone[row["repo"]] = row
    found = [{**row, "unit": unit} for row in gone.values() for unit in row["places"].split("\0")]
    return pa.Table.from_pylist(found, schema=VERDICTS)
