"""Rows meet by key, in sorted tables, in bounded memory, however they were cut into units."""

import json
import pickle
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.engine import exchange
from loopdata.engine.attempt import Attempt, perform
from loopdata.engine.exchange import Shares, partition_name, partition_of, read_share, read_sorted, write_partitions
from loopdata.engine.ledger import Ledger, manifests
from loopdata.engine.unit import Manifest, Unit
from loopdata.errors import RunError
from loopdata.stage import Round
from loopdata.storage import Folder
from tests.engine import toys

SCHEMA = pa.schema([("key", pa.uint64()), ("name", pa.string())])
TOP = 1 << 63


class Emit:
    """Writes literal rows cut by partition."""

    def __init__(self, rows: list[tuple[int, str]], partitions: int) -> None:
        self.rows, self.partitions = rows, partitions

    def identity(self) -> dict[str, Any]:
        return {}

    def run(self, attempt: Attempt) -> None:
        keys = pa.array([key for key, _ in self.rows], pa.uint64())
        table = pa.table({"key": keys, "name": pa.array([name for _, name in self.rows], pa.string())})
        with attempt.parts("rows", SCHEMA) as writer:
            write_partitions(writer, table, self.partitions)


def emitted(folder: Folder, cuts: list[list[tuple[int, str]]], partitions: int) -> list[Manifest]:
    return [perform(Attempt(folder, Unit("map", f"u{n}", Emit(rows, partitions)))) for n, rows in enumerate(cuts)]


def shares_of(folder: Folder, found: list[Manifest]) -> Shares:
    shares = Shares(folder, found)
    shares.publish()
    return shares


def received(folder: Folder, found: list[Manifest], partitions: int, max_bytes: int = 1 << 20) -> list[Any]:
    shares = shares_of(folder, found)
    wanted = [shares.of(partition_name(number, partitions)) for number in range(partitions)]
    return [
        [
            list(zip(*table.to_pydict().values(), strict=True))
            for table in read_sorted(folder, share, partitions, max_bytes)
        ]
        for share in wanted
    ]


def test_the_partition_of_a_key_is_its_top_bits() -> None:
    keys = np.array([0, TOP - 1, TOP, 2**64 - 1], np.uint64)
    assert partition_of(keys, 1).tolist() == [0, 0, 0, 0]
    assert partition_of(keys, 2).tolist() == [0, 0, 1, 1]
    assert partition_of(keys, 4).tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="power of two, found 3"):
        partition_of(keys, 3)


def test_rows_meet_by_key_sorted_by_every_column(folder: Folder) -> None:
    found = emitted(folder, [[(TOP, "b"), (1, "z"), (0, "q")], [(1, "a"), (TOP, "a")]], 2)
    assert received(folder, found, 2) == [[[(0, "q"), (1, "a"), (1, "z")]], [[(TOP, "a"), (TOP, "b")]]]


@settings(max_examples=60, deadline=None)
@given(
    keys=st.lists(st.integers(0, 30), max_size=40),
    names=st.lists(st.none() | st.text(max_size=2), min_size=40, max_size=40),
)
def test_rows_are_sorted_whether_few_or_many_keys_are_shared(keys: list[int], names: list[str | None]) -> None:
    table = pa.table({"name": pa.array(names[: len(keys)], pa.string()), "key": pa.array(keys, pa.uint64())})
    by = [("key", "ascending"), ("name", "ascending")]
    assert exchange.sort_rows(table).equals(table.sort_by(by).combine_chunks())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.binary(max_size=1), st.integers(0, 2)), max_size=20))
def test_large_columns_count_where_those_before_them_are_alike(rows: list[tuple[int, int, bytes, int]]) -> None:
    kinds = {"key": pa.uint64(), "rank": pa.int64(), "grams": pa.large_binary(), "unit": pa.int64()}
    columns = zip(*rows, strict=True) if rows else [[], [], [], []]
    table = pa.table(list(columns), schema=pa.schema(kinds))
    assert exchange.sort_rows(table).to_pylist() == [dict(zip(kinds, row, strict=True)) for row in sorted(rows)]


def test_one_partition_gets_everything_and_no_rows_are_no_tables(folder: Folder) -> None:
    assert received(folder, emitted(folder, [[(TOP, "b")], [(0, "a")], []], 1), 1) == [[[(0, "a"), (TOP, "b")]]]
    assert received(folder, emitted(folder, [[], []], 2), 2) == [[], []]
    assert received(folder, [], 2) == [[], []]


ROWS = st.lists(
    st.tuples(st.sampled_from([0, 1, TOP - 1, TOP, TOP + 1, 2**64 - 1]), st.sampled_from("abc")), max_size=12
)


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, data=st.data())
def test_what_a_reduce_sees_does_not_depend_on_the_cut_into_units(
    rows: list[tuple[int, str]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = Folder(tmp_path_factory.mktemp("run"))
    shuffled = data.draw(st.permutations(rows))
    stops = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    cuts = [shuffled[start:stop] for start, stop in zip([0, *stops], [*stops, len(rows)], strict=True)]
    whole = received(folder, emitted(folder, [rows], 2), 2)
    assert received(folder, emitted(folder, cuts, 2), 2) == whole
    assert sorted(row for part in whole for table in part for row in table) == sorted(rows)


def test_a_partition_above_the_cap_comes_in_tables_below_it(folder: Folder) -> None:
    keys = [int(key) for key in np.random.default_rng(1).integers(0, 2**64 - 1, 4_000, np.uint64, endpoint=True)]
    rows = [(key, f"{number:08d}") for number, key in enumerate(keys)]  # 16 bytes a row
    found = emitted(folder, [rows[:1_500], rows[1_500:]], 2)
    tables = [table for part in received(folder, found, 2, max_bytes=1_600) for table in part]
    assert sum(map(len, tables)) == 4_000
    assert sorted(row for table in tables for row in table) == sorted(rows)
    assert max(map(len, tables)) * 16 < 2 * 1_600
    assert len(tables) >= 40
    flat = [key for table in tables for key, _ in table]
    assert flat == sorted(flat)


def test_one_huge_key_comes_whole(folder: Folder) -> None:
    rows = [(7, f"{n:03d}") for n in range(500)]
    found = emitted(folder, [[*rows[::2], (TOP, "x")], rows[1::2]], 1)
    assert received(folder, found, 1, max_bytes=100) == [[rows, [(TOP, "x")]]]


def test_a_share_changes_with_the_rows_of_its_partition_and_with_no_others(folder: Folder) -> None:
    def digests(*cuts: list[tuple[int, str]]) -> list[str]:
        shares = shares_of(folder, emitted(folder, list(cuts), 2))
        return [shares.of(partition_name(number, 2)).digest for number in range(2)]

    low, high = digests([(0, "a"), (TOP, "b")], [(1, "c")])
    assert digests([(0, "a"), (TOP, "other")], [(1, "c"), (TOP, "b")])[0] == low
    assert digests([(TOP, "b")], [(1, "c"), (0, "a")])[1] == high
    assert digests([(0, "a"), (TOP, "b")], [])[0] != low
    assert digests([(0, "a")], [(1, "c")])[1] == digests([], [])[1] != high


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(ROWS, max_size=5), records=st.integers(1, 20))
def test_a_share_does_not_depend_on_how_many_indexes_are_looked_at_together(
    cuts: list[list[tuple[int, str]]], records: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = Folder(tmp_path_factory.mktemp("run"))
    found = emitted(folder, cuts, 4)
    names = [partition_name(number, 4) for number in range(4)]
    wanted = [Shares(folder, found).of(name) for name in names]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "RECORDS", records)
        assert [Shares(folder, found).of(name) for name in names] == wanted


def test_a_share_counts_the_bytes_of_its_rows(folder: Folder) -> None:
    shares = shares_of(folder, emitted(folder, [[(0, "ab"), (TOP, "x")], [(1, "abc")]], 2))
    assert [shares.of(partition_name(number, 2)).num_bytes for number in range(2)] == [8 + 2 + 8 + 3, 8 + 1]
    assert [table.to_pydict() for table in read_share(folder, shares.of(0))] == [
        {"key": [0], "name": ["ab"]},
        {"key": [1], "name": ["abc"]},
    ]


def test_files_that_hold_other_parts_than_the_driver_saw_are_refused(folder: Folder) -> None:
    first, second = emitted(folder, [[(0, "a")], [(1, "b")]], 1)
    share = shares_of(folder, [first, second]).of(0)
    assert sum(table.num_rows for table in read_share(folder, share)) == 2
    for found in ([first], [second, first], [first, second, first]):
        with pytest.raises(RunError, match="is not what was written"):
            list(read_share(folder, replace(share, files=shares_of(folder, found).of(0).files)))


def test_a_task_is_as_small_for_many_files_as_for_one(folder: Folder) -> None:
    found = emitted(folder, [[(0, "a")]] * 50, 1)
    few, many = (len(pickle.dumps(shares_of(folder, some).of(0))) for some in (found[:1], found))
    assert many < few + 10 < 300  # a number of bytes that is greater


MEMORY = """
import json, resource, sys
import numpy as np, pyarrow as pa
from loopdata.engine.attempt import Attempt, perform
from loopdata.engine.exchange import Shares, read_sorted, write_partitions
from loopdata.engine.unit import Unit
from loopdata.storage import Folder
from tests.engine.test_exchange import SCHEMA

class Big:
    def __init__(self, seed): self.seed = seed
    def identity(self): return {}
    def run(self, attempt):
        random = np.random.default_rng(self.seed)
        keys = random.integers(0, 2**64 - 1, 15_000, np.uint64)
        names = [random.bytes(140).hex() for _ in range(15_000)]
        with attempt.parts("rows", SCHEMA) as writer:
            write_partitions(writer, pa.table({"key": keys, "name": names}), 1)

folder = Folder(sys.argv[1])
found = [perform(Attempt(folder, Unit("map", str(n), Big(n)))) for n in range(20)]
shares = Shares(folder, found)
shares.publish()
share = shares.of(0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = largest = 0
for table in read_sorted(folder, share, 1, 4 << 20):
    rows, largest = rows + table.num_rows, max(largest, table.nbytes)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"total": share.num_bytes, "rows": rows, "largest": largest, "kb": after - before}))
"""


@pytest.mark.slow
def test_a_partition_twenty_times_the_cap_is_sorted_in_bounded_memory(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", MEMORY, str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=240, check=True)
    seen = json.loads(done.stdout)
    assert seen["total"] >= 20 * (4 << 20)
    assert seen["rows"] == 300_000
    assert seen["largest"] < 1.5 * (4 << 20)
    assert seen["kb"] << 10 < 10 * (4 << 20)  # half of what the partition would take at once


LINES = ["r: a b c d e f g h", "s: a x", "t: y b"]


def keys_of(folder: Folder) -> dict[str, str]:
    return {f"{m.phase}/{m.name}": m.key for m in manifests(folder, Ledger.read(folder))}


def composed(folder: Folder, lines: list[str]) -> dict[str, int]:
    driver = toys.driver(folder)
    toys.compose(driver, lines, (toys.Shorter(),), toys.Unique(), (toys.Whole(),))
    return driver.ran


def test_a_changed_unit_redoes_only_the_reduces_that_its_rows_reach(folder: Folder) -> None:
    assert composed(folder, LINES) == {"ingest": 3, "map": 3, "reduce": 4, "apply": 3}
    before = keys_of(folder)
    assert composed(folder, LINES) == {"ingest": 0, "map": 0, "reduce": 0, "apply": 0}
    ran = composed(folder, [*LINES[:2], "t: y b z"])
    after = keys_of(folder)
    changed = {name for name, key in after.items() if before[name] != key}
    assert {name for name in changed if not name.startswith("reduce/")} == {"ingest/toy/t", "map/toy/t", "apply/toy/t"}
    assert ran["reduce"] == len([name for name in changed if name.startswith("reduce/")]) == 1


def test_a_new_source_leaves_the_units_of_the_others_alone(folder: Folder) -> None:
    composed(folder, LINES)
    before = keys_of(folder)
    assert composed(folder, [*LINES, "z: unheard"])["ingest"] == 1
    after = keys_of(folder)
    assert {name for name in before if before[name] != after[name]} <= {f"reduce/part-{n}" for n in range(4)}


def test_a_broken_part_fails_its_reduce_by_name_and_the_remedy_mends_it(folder: Folder) -> None:
    composed(folder, LINES)
    [first, *_] = [m.outputs["rows"].name for m in manifests(folder, Ledger.read(folder), "map")]
    raw = folder.read(first)
    folder.write_atomic(first, bytes([raw[0] ^ 1]) + raw[1:])
    assert set(composed(folder, LINES).values()) == {0}  # nothing reads it
    remove(folder, "manifests/reduce/")
    with pytest.raises(
        RunError, match=rf"unit 'part-\d' of phase 'reduce' failed: .*{first} is broken: bytes 0 to"
    ) as error:
        composed(folder, LINES)
    assert error.value.remedy == "remove manifests/map in that run folder and run again"
    remove(folder, "manifests/map/")
    assert composed(folder, LINES) | {"reduce": 0} == {"ingest": 0, "map": 3, "reduce": 0, "apply": 0}


def remove(folder: Folder, below: str) -> None:
    for file in folder.files():
        if file.name.startswith(below):
            folder.remove(file.name)


class Forgetful(toys.Unique):
    def map(self, step: Round, table: pa.Table, given: Mapping[str, pa.Table]) -> pa.Table:
        return super().map(step, table, given).drop_columns(["word"])


def test_a_map_that_emits_other_columns_is_named(folder: Folder) -> None:
    with pytest.raises(RunError, match="the stage 'unique' emits other columns in 'words'"):
        toys.compose(toys.driver(folder), LINES, (toys.Shorter(),), Forgetful())


def test_a_partition_without_rows_is_reduced_to_nothing(folder: Folder) -> None:
    toys.compose(toys.driver(folder), ["r: BINARY"], (), toys.Unique())
    assert toys.words(folder, "apply") == []
