"""Parts are found by their range of bytes alone, are the same for the same rows, and no flipped byte goes unseen."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.engine import part_file as module
from loopdata.engine.part_file import PartFile, PartWriter, find_parts, read_file, read_indexes, read_parts
from loopdata.engine.tables import payload_bytes
from loopdata.errors import RunError
from loopdata.storage import Folder, Range

NAME = "data/phase/rows.parts"
NUMBERS = pa.schema([("n", pa.int64())])
KINDS = pa.schema([("a", pa.string()), ("b", pa.int64()), ("c", pa.bool_())])
ROW = st.fixed_dictionaries(
    {"a": st.none() | st.text(max_size=3), "b": st.none() | st.integers(0, 3), "c": st.none() | st.booleans()}
)


def write(folder: Folder, rows: list[tuple[int, pa.Table]], schema: pa.Schema = NUMBERS) -> PartFile:
    with folder.create(NAME) as sink:
        writer = PartWriter(sink, schema)
        for name, table in rows:
            writer.write(name, table)
        writer.close()
    return PartFile(NAME, sink.num_bytes, len(writer.parts), sink.hexdigest())


def numbers(*values: int) -> pa.Table:
    return pa.table({"n": values}, schema=NUMBERS)


def values(tables: Any) -> list[list[int]]:
    return [table["n"].to_pylist() for table in tables]


def under(folder: Folder, file: PartFile, name: int) -> list[list[int]]:
    return values(read_parts(folder, find_parts(folder, [file], name)))


def test_rows_are_found_by_name_and_a_file_reads_in_the_order_of_names(folder: Folder) -> None:
    file = write(folder, [(9, numbers(1, 2)), (3, numbers(3)), (5, numbers()), (9, numbers(4))])
    assert file.parts == 3
    assert [under(folder, file, name) for name in (3, 5, 9, 10)] == [[[3]], [], [[1, 2], [4]], []]
    assert values(read_file(folder, file)) == [[3], [1, 2], [4]]


def test_a_file_without_rows_has_no_parts(folder: Folder) -> None:
    file = write(folder, [])
    assert (file.parts, file.num_bytes) == (0, 0)
    assert (under(folder, file, 0), values(read_file(folder, file))) == ([], [])


def test_rows_above_the_limit_become_several_parts_and_one_row_is_never_cut(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART_BYTES", 16)
    file = write(folder, [(1, numbers(1, 2)), (2, numbers(*range(5)))])
    assert (under(folder, file, 1), under(folder, file, 2)) == ([[1, 2]], [[0, 1], [2, 3], [4]])
    monkeypatch.setattr(module, "PART_BYTES", 7)
    assert under(folder, write(folder, [(1, numbers(1, 2))]), 1) == [[1], [2]]


@settings(max_examples=60, deadline=None)
@given(names=st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 3), max_size=40), window=st.integers(1, 50))
def test_every_name_is_found_however_it_lies_in_the_index(
    names: list[int], window: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = Folder(tmp_path_factory.mktemp("run"))
    file = write(folder, [(name, numbers(place)) for place, name in enumerate(names)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WINDOW", window)
        for wanted in {*names, 0, 2, 1 << 63, 2**64 - 1}:
            found = [place for [place] in under(folder, file, wanted)]
            assert found == [place for place, name in enumerate(names) if name == wanted]


@pytest.mark.parametrize(("names", "reads"), [("even", 1), ("spread", 2)])
def test_of_a_large_index_only_a_window_is_read(
    names: str, reads: int, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(3).integers(0, 2**64 - 1, 4_096, np.uint64)
    chosen = [number << 52 for number in range(4_096)] if names == "even" else sorted(draw.tolist())
    file = write(folder, [(name, numbers(place)) for place, name in enumerate(chosen)])
    seen: list[Range] = []
    whole = Folder.read_ranges
    monkeypatch.setattr(Folder, "read_ranges", lambda self, wanted: whole(self, [seen.append(r) or r for r in wanted]))
    for place in (0, 1, 2_047, 4_094, 4_095):
        seen.clear()
        [part] = find_parts(folder, [file], chosen[place])
        assert values(read_parts(folder, [part])) == [[place]]
        *windows, last = seen
        assert last == part.place
        assert len(windows) <= reads
        records = sum(window.stop - window.start for window in windows) / module.RECORD.itemsize
        assert records <= 64 + (64 + 8 * 64) * (reads - 1)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(ROW, max_size=6),
    before=st.lists(ROW, max_size=3),
    after=st.lists(ROW, max_size=3),
    cut=st.integers(0, 6),
)
def test_the_bytes_of_a_part_do_not_depend_on_what_its_rows_were_cut_from(
    rows: list[Any], before: list[Any], after: list[Any], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = Folder(tmp_path_factory.mktemp("run"))
    alone = pa.Table.from_pylist(rows, schema=KINDS)
    among = pa.Table.from_pylist([*before, *rows, *after], schema=KINDS).slice(len(before), len(rows))
    chunked = pa.concat_tables([among.slice(0, cut), alone.slice(cut)])
    assert len({write(folder, [(1, table)], KINDS) for table in (alone, among, chunked)}) == 1
    assert payload_bytes(among) == payload_bytes(alone) == payload_bytes(chunked)


def test_the_digest_of_a_part_changes_with_any_value(folder: Folder) -> None:
    rows = [{"a": "x", "b": 1, "c": True}, {"a": "", "b": None, "c": False}]
    others = [rows[::-1], rows[:1], [rows[0], rows[1] | {"a": None}], [rows[0], rows[1] | {"b": 0}]]
    tables = [pa.Table.from_pylist(some, schema=KINDS) for some in (rows, *others)]
    files = [write(folder, [(1, table)], KINDS) for table in tables]
    assert len({file.index for file in files}) == 5
    [records] = read_indexes(folder, files[-1:])
    assert records["rows"].tolist() == [2]


def test_a_flipped_byte_anywhere_is_refused_by_name(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    file = write(folder, [(1, numbers(1, 2)), (2, numbers(3))])
    whole = folder.read(NAME)
    for place in range(len(whole)):
        folder.write_atomic(NAME, whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(RunError, match=f"{NAME} is broken") as error:
            values(read_file(folder, file))
        assert error.value.remedy == "remove manifests/phase in that run folder and run again"


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    file = write(folder, [(1, numbers(1, 2))])
    folder.write_atomic(NAME, folder.read(NAME)[:-1])
    with pytest.raises(RunError, match="is broken"):
        values(read_file(folder, file))


def test_a_file_that_is_gone_is_named_and_can_be_mended(folder: Folder) -> None:
    file = write(folder, [(1, numbers(1, 2))])
    parts = list(find_parts(folder, [file], 1))
    folder.remove(NAME)
    reads: list[Any] = [read_indexes(folder, [file]), find_parts(folder, [file], 1), read_parts(folder, parts)]
    for found in reads:
        with pytest.raises(RunError, match=f"{NAME} is gone") as error:
            list(found)
        assert error.value.remedy == "remove manifests/phase in that run folder and run again"


def test_parts_in_a_remote_folder_read_the_same() -> None:
    folder = Folder("memory://part-file")
    file = write(folder, [(name << 62, numbers(*range(name))) for name in (1, 2, 3)])
    assert under(folder, file, 2 << 62) == [[0, 1]]
    assert values(read_file(folder, file)) == [[0], [0, 1], [0, 1, 2]]
