"""The `table` source: what a row becomes, what its file must hold, and that nothing but the rows decides."""

import bz2
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loopdata import schema
from loopdata.config import parse
from loopdata.errors import LoopdataError
from loopdata.sources.tables import Table, TableConfig

ROWS: list[dict[str, Any]] = [
    {"text": "x = 1\n", "id": 7, "repo": "a/b", "path": "x.py", "language": "python", "stars": 3},
    {"text": "é", "id": 8, "repo": None, "path": None, "language": "Klingon", "stars": None},
    {"text": None, "id": None, "repo": None, "path": None, "language": None, "stars": 5},
]


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def source(path: Path | str, **config: Any) -> Table:
    return Table(parse(TableConfig, {"path": str(path), **config}, "source"), label="src")


def rows_of(of: Table) -> list[dict[str, Any]]:
    return [row for item in of.inputs() for batch in of.read(item) for row in batch.documents.to_pylist()]


def refused(of: Callable[[], object]) -> str:
    with pytest.raises(LoopdataError) as raised:
        of()
    return f"{type(raised.value).__name__}: {raised.value.message}"


@pytest.fixture(params=["rows.parquet", "rows.jsonl", "rows.ndjson.gz", "rows.jsonl.bz2"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / str(request.param)
    pack = {".gz": gzip.compress, ".bz2": bz2.compress}.get(path.suffix, bytes)
    if path.suffix == ".parquet":
        return write_parquet(path, ROWS)
    path.write_bytes(pack(lines(ROWS)))
    return path


def test_a_row_becomes_a_document_with_all_its_columns(file: Path) -> None:
    of = source(file, carry={"stars": "integer"})
    (item,) = of.inputs()
    (batch,) = of.read(item)
    assert (item.name, item.groups) == (file.name, None)
    assert batch.documents.schema == schema.source_schema({"language": pa.string(), "stars": pa.int64()})
    first, second, third = batch.documents.to_pylist()
    assert first == {
        "doc_id": schema.doc_id("src", f"{file.name}\0001", b"x = 1\n"),
        "blob_id": "7d4290a117a4ddcc11daae7ea675841033830c8f",
        "parent": None,
        "category": "code",
        "split": "",
        "use": "train",
        "content": b"x = 1\n",
        "parts": None,
        "source": "src",
        "repo": "a/b",
        "commit": None,
        "path": "x.py",
        "url": None,
        "date": None,
        "language": "Python",
        "num_bytes": 6,
        "stars": 3,
    }
    assert (second["content"], second["path"], second["language"], second["num_bytes"]) == ("é".encode(), "8", None, 2)
    assert (third["content"], third["path"], third["stars"]) == (None, f"{file.name}#3", 5)
    assert batch.fates == []
    assert [row["path"] for row in batch.locations.to_pylist()] == ["x.py", "8", f"{file.name}#3"]


def test_columns_may_have_other_names_or_be_left_out(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "t.parquet", [{"code": b"a", "max_stars_repo": "r", "path": [1], "repo": "wrong"}])
    columns = {"text": "code", "repo": "max_stars_repo", "path": None}
    (row,) = rows_of(source(path, columns=columns))
    assert (row["content"], row["repo"], row["path"]) == (b"a", "r", "t.parquet#1")


def test_every_file_of_a_folder_is_an_input(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write_parquet(tmp_path / "b.parquet", ROWS[:1])
    (tmp_path / "deep/a.jsonl").write_bytes(lines(ROWS[:2]))
    (tmp_path / "empty.jsonl").write_bytes(b"\n")
    (tmp_path / "README.md").write_text("not rows")
    assert [item.name for item in source(tmp_path).inputs()] == ["b.parquet", "deep/a.jsonl", "empty.jsonl"]
    assert [item.name for item in source(tmp_path, include=["*.parquet"]).inputs()] == ["b.parquet"]
    assert len(rows_of(source(tmp_path))) == 3


def test_blank_lines_are_no_rows_but_count(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(b'\n{"text": "a"}\n  \n{"text": "b"}')
    assert [row["path"] for row in rows_of(source(tmp_path / "t.jsonl"))] == ["t.jsonl#2", "t.jsonl#4"]


def test_a_folder_behind_fsspec_reads_alike(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(lines(ROWS))
    fsspec.filesystem("memory").pipe_file("/tables/t.jsonl", lines(ROWS))
    assert rows_of(source("memory://tables")) == rows_of(source(tmp_path / "t.jsonl"))


def test_moved_data_are_the_same_data() -> None:
    assert source("/a").identity() == source("/b").identity()


def test_a_file_that_changed_since_it_was_planned_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(lines(ROWS))
    of = source(path)
    (item,) = of.inputs()
    path.write_bytes(lines(ROWS[:1]))
    assert refused(lambda: list(of.read(item))) == "SourceError: t.jsonl of the source src changed since it was planned"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.jsonl", b"", "SourceError: the source src found no rows in "),
        ("t.jsonl", b'{"txt": "a"}', "ConfigError: t.jsonl: the column 'text' is missing; did you mean 'txt'?"),
        (
            "t.jsonl",
            b'{"text": "a"}\n{"text": "b"',
            "SourceError: t.jsonl, line 2 is not JSON: Expecting ',' delimiter",
        ),
        ("t.jsonl", b'{"text": "a"}\n\xff', "SourceError: t.jsonl, line 2 is not JSON: 'utf-8' codec"),
        ("t.jsonl", b'{"text": "a"}\n["b"]', "SourceError: t.jsonl, line 2 holds list, not an object with columns"),
        ("t.jsonl", b'{"text": "a"}\n' + b"[" * 99_999, "SourceError: t.jsonl, line 2 is not JSON: "),
        ("t.jsonl", b'{"text": 3}', "SourceError: t.jsonl, row 1: the column 'text' holds the value 3, not text"),
        ("t.jsonl", b'{"text": ["a"]}', "SourceError: t.jsonl, row 1: the column 'text' holds a list, not text"),
        ("t.jsonl", b'{"text": "", "repo": {}}', "SourceError: t.jsonl, row 1: the column 'repo' holds an object, not"),
        ("t.parquet", b"PAR1 no more", "SourceError: t.parquet cannot be read as Parquet: "),
        ("t.parquet", b"", "SourceError: t.parquet cannot be read as Parquet: "),
        ("t.jsonl.gz", gzip.compress(lines(ROWS * 99))[:-40], "SourceError: t.jsonl.gz cannot be read behind line "),
        ("t.jsonl.gz", b'{"text": "a"}', "SourceError: t.jsonl.gz cannot be read behind line 0: "),
        ("t.csv", b"text\na\n", "SourceError: t.csv has none of the endings .parquet, .jsonl, "),
    ],
)
def test_broken_files_are_refused_by_name(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert refused(lambda: rows_of(source(tmp_path / name))).startswith(said)


def test_parquet_columns_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "t.parquet", [{"text": "a", "path": 1.5, "list": [1]}])
    assert refused(source(path).inputs) == "ConfigError: t.parquet: the column 'path' holds double, not text"
    missing = source(path, columns={"path": None, "repo": "lst"})
    assert refused(missing.inputs) == "ConfigError: t.parquet: the column 'lst' is missing; did you mean 'list'?"
    carried = source(path, columns={"path": None}, carry={"list": "integer"})
    assert refused(lambda: rows_of(carried)) == (
        "SourceError: t.parquet, row 1: the column 'list' holds a list, not integer"
    )


def test_a_damaged_page_of_parquet_is_refused_by_name(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "t.parquet", [{"text": str(n) * 9} for n in range(5_000)])
    content = bytearray(path.read_bytes())
    content[1_000:3_000] = b"\xff" * 2_000
    path.write_bytes(content)
    assert refused(lambda: rows_of(source(path))).startswith("SourceError: t.parquet cannot be read as Parquet: ")


def test_a_path_that_is_not_there_and_a_folder_without_rows_are_refused(tmp_path: Path) -> None:
    assert refused(source(tmp_path / "no").inputs) == f"ConfigError: the path {tmp_path}/no does not exist"
    assert refused(source(tmp_path).inputs).startswith("ConfigError: the source src found no file .parquet, .jsonl, ")


def test_a_column_of_every_document_cannot_be_carried(tmp_path: Path) -> None:
    assert refused(lambda: source(tmp_path, carry={"split": "text"})) == (
        "ConfigError: sources.src.carry: 'split' is a column of every document"
    )


def test_lone_surrogates_stay_for_the_stages_to_judge(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(b'{"text": "\\ud800", "path": "\\ud800"}')
    (row,) = rows_of(source(tmp_path))
    assert (row["content"], row["path"]) == (b"\xed\xa0\x80", "?")


def test_a_large_file_is_cut_alike_every_time(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "t.parquet", [{"text": f"{n} " * 50} for n in range(2_500)])
    of = source(path)
    (item,) = of.inputs()
    assert [batch.documents.num_rows for batch in of.read(item)] == [1_000, 1_000, 500]
