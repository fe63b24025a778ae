"""`loopdata dedup`: the same rows and columns without the copies, whatever the files are."""

import gzip
import json
import shutil
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loopdata.storage import Folder
from pipelines.by_itself import dedup_file
from pipelines.explain import explain_document
from pipelines.plan import plan_run
from tests.pipelines.command import Said, call
from tests.pipelines.corpus_case import attempts, functions

Capsys = pytest.CaptureFixture[str]
TEXT = functions("one", 8)
ROWS: list[dict[str, Any]] = [
    {"code": TEXT, "name": "deep/down/first.py", "nested": {"a": [1, None]}},
    {"code": TEXT, "name": "first.py", "nested": None},
    {"code": TEXT + "# a remark\n", "name": "nearly.py", "nested": {"a": []}},
    {"code": functions("two", 8), "name": "two.py", "nested": {"a": [4]}},
    {"code": None, "name": "none.py", "nested": None},
]
STAY = ["first.py", "two.py", "none.py"]


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def dedup(capsys: Capsys, data: Path, out: Path, *more: str) -> Said:
    words = ("dedup", str(data), "--out", str(out), "--text", "code", "--path", "name", "--runner", "inline")
    return call(capsys, *words, *more)


def names(path: Path) -> list[str]:
    return [json.loads(line)["name"] for line in path.read_text().splitlines()]


def test_parquet_comes_back_with_its_schema_and_metadata(tmp_path: Path, capsys: Capsys) -> None:
    schema = pa.schema(
        [
            pa.field("code", pa.string(), metadata={"what": "text"}),
            ("name", pa.string()),
            ("nested", pa.struct([("a", pa.list_(pa.int16()))])),
        ],
        metadata={"made": "here"},
    )
    table = pa.Table.from_pylist(ROWS, schema)
    pq.write_table(table, tmp_path / "t.parquet", compression="snappy", row_group_size=2)
    said = dedup(capsys, tmp_path / "t.parquet", tmp_path / "out", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["rows"] == {"t.parquet": [5, 3]}
    found = pq.ParquetFile(tmp_path / "out/t.parquet")
    given = pq.ParquetFile(tmp_path / "t.parquet").schema_arrow
    assert found.schema_arrow.equals(given, check_metadata=True)
    assert given.metadata == {b"made": b"here"}
    assert found.metadata.row_group(0).column(0).compression == "SNAPPY"
    assert found.read().to_pylist() == [ROWS[1], ROWS[3], ROWS[4]]


def test_lines_come_back_byte_for_byte(tmp_path: Path, capsys: Capsys) -> None:
    lines = [
        '{"name":"a" ,  "code": "x y z"}',
        '{"code": "x y z", "name": "bb", "n": 1e400}',
        '{"code":"q","name":"c"}',
    ]
    (tmp_path / "t.jsonl").write_text("\n\n".join(lines))
    assert dedup(capsys, tmp_path / "t.jsonl", tmp_path / "out").code == 0
    assert (tmp_path / "out/t.jsonl").read_text() == f"{lines[0]}\n{lines[2]}\n"


def test_fates_name_rows_and_survivors_and_explain_reads_them(tmp_path: Path, capsys: Capsys) -> None:
    data = write_jsonl(tmp_path / "t.jsonl", ROWS)
    said = dedup(capsys, data, tmp_path / "out")
    assert "3 of 5 rows stay, in 1 file." in said.out
    fates = pq.read_table(tmp_path / "out/fates.parquet").to_pylist()
    assert [(fate["path"], fate["fate"], fate["rule"], fate["ref_path"]) for fate in fates if fate["ref"]] == [
        ("deep/down/first.py", "dropped", "exact_copy", "first.py"),
        ("nearly.py", "dropped", "near_copy", "first.py"),
    ]
    (explained,) = explain_document(str(tmp_path / "out/run"), "nearly.py")
    assert explained.ended_by is not None
    near = next(fate for fate in fates if fate["rule"] == "near_copy")
    assert explained.ended_by["value"] == near["value"] > 0.7


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_every_fate_can_be_joined_to_the_rows_of_the_input(ending: str, tmp_path: Path, capsys: Capsys) -> None:
    (tmp_path / "in").mkdir()
    for name, rows in (("a", ROWS[:2]), ("b", ROWS[2:])):
        if ending == "parquet":
            pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"in/{name}.parquet")
        else:
            (tmp_path / f"in/{name}.jsonl").write_text("\n\n".join(json.dumps(row) for row in rows))
    assert dedup(capsys, tmp_path / "in", tmp_path / "out").code == 0
    step = 1 if ending == "parquet" else 2  # of JSON lines, blank ones count
    found = pq.read_table(tmp_path / "out/fates.parquet").to_pylist()
    assert sorted((row["file"], row["row"], row["ref_file"], row["ref_row"], row["rule"]) for row in found) == [
        (f"a.{ending}", 1, f"a.{ending}", 1 + step, "exact_copy"),
        (f"b.{ending}", 1, f"a.{ending}", 1 + step, "near_copy"),
        (f"b.{ending}", 1 + 2 * step, None, None, "no_text"),
    ]


def test_rows_without_text_stay_and_it_is_said(tmp_path: Path, capsys: Capsys) -> None:
    data = write_jsonl(tmp_path / "t.jsonl", [*ROWS, {"name": "missing.py"}])
    said = dedup(capsys, data, tmp_path / "out")
    assert "2 rows have no text; they were compared with nothing." in said.out
    assert names(tmp_path / "out/t.jsonl") == [*STAY, "missing.py"]
    fates = pq.read_table(tmp_path / "out/fates.parquet").to_pylist()
    without = [(fate["path"], fate["fate"]) for fate in fates if fate["rule"] == "no_text"]
    assert without == [("none.py", "marked"), ("missing.py", "marked")]
    write_jsonl(data, ROWS[:4])
    assert "no text" not in dedup(capsys, data, tmp_path / "out").out


@pytest.mark.parametrize(
    ("kind", "stay"),
    [
        ("exact", ["first.py", "nearly.py", "two.py", "none.py"]),
        ("tokens", STAY),
        ("near", STAY),
    ],
)
def test_the_kind_says_what_a_copy_is(kind: str, stay: list[str], tmp_path: Path, capsys: Capsys) -> None:
    data = write_jsonl(tmp_path / "t.jsonl", ROWS)
    assert dedup(capsys, data, tmp_path / "out", "--kind", kind).code == 0
    assert names(tmp_path / "out/t.jsonl") == stay


def test_a_folder_keeps_its_files_and_a_second_call_does_what_changed(tmp_path: Path, capsys: Capsys) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    write_jsonl(tmp_path / "in/a.jsonl", ROWS[:2])
    write_jsonl(tmp_path / "in/deep/b.jsonl.gz", ROWS[2:])
    out = tmp_path / "out"
    assert dedup(capsys, tmp_path / "in", out).code == 0
    assert names(out / "a.jsonl") == ["first.py"]
    rest = gzip.decompress((out / "deep/b.jsonl.gz").read_bytes())
    assert [json.loads(line)["name"] for line in rest.splitlines()] == ["two.py", "none.py"]
    before = attempts(out / "run")
    index = json.loads((out / "rows.json").read_text())
    assert sorted(index) == ["a.jsonl", "deep/b.jsonl.gz", "fates.parquet"]
    assert dedup(capsys, tmp_path / "in", out).code == 0
    assert attempts(out / "run") == before
    (tmp_path / "in/deep/b.jsonl.gz").unlink()
    assert dedup(capsys, tmp_path / "in", out).code == 0
    assert sorted(path.name for path in out.iterdir() if path.is_file()) == ["a.jsonl", "fates.parquet", "rows.json"]
    assert not (out / "deep/b.jsonl.gz").exists()


def test_a_call_cut_off_while_it_writes_rows_is_gone_on_with(
    tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out, copy_in = tmp_path / "t.jsonl", tmp_path / "out", Folder.copy_in

    def cut_off(folder: Folder, name: str, stream: IO[bytes]) -> None:
        copy_in(folder, name, stream)
        if name == "t.jsonl":
            raise KeyboardInterrupt

    def dedup_cut_off() -> int:
        with monkeypatch.context() as patch:
            patch.setattr(Folder, "copy_in", cut_off)
            return dedup(capsys, data, out).code

    write_jsonl(data, ROWS)
    assert dedup_cut_off() == 130
    assert dedup(capsys, data, out).code == 0
    assert names(out / "t.jsonl") == STAY
    write_jsonl(data, ROWS[3:])
    assert dedup_cut_off() == 130
    assert names(out / "t.jsonl") == ["two.py", "none.py"]
    write_jsonl(data, ROWS)  # as before the call that was cut off
    assert dedup(capsys, data, out).code == 0
    assert names(out / "t.jsonl") == STAY


def test_plan_says_what_a_call_would_do(tmp_path: Path, capsys: Capsys) -> None:
    data = write_jsonl(tmp_path / "t.jsonl", ROWS)
    file = dedup_file(str(data), str(tmp_path / "out"), "exact", None, {"text": "code"}, ())
    left = {row.phase: row.to_run + row.waiting for row in plan_run(file)}
    assert (left["ingest"], left["rows"], left["rows.fates"]) == (1, 1, 1)
    said = call(capsys, "dedup", str(data), "--out", str(tmp_path / "out"), "--text", "code", "--kind", "exact",
                "--runner", "inline")  # fmt: skip
    assert said.code == 0, said.err
    assert sum(row.to_run + row.waiting for row in plan_run(file)) == 0


def test_order_and_cuts_of_files_change_nothing(tmp_path: Path, capsys: Capsys) -> None:
    """Fates of rows, which have other ids where they lie in other files."""
    found = []
    for number, cut in enumerate(([ROWS], [ROWS[:3], ROWS[3:]], [ROWS[::-1]], [[row] for row in ROWS])):
        folder = tmp_path / str(number)
        folder.mkdir()
        for place, rows in enumerate(cut):
            write_jsonl(folder / f"{place}.jsonl", rows)
        assert dedup(capsys, folder, tmp_path / f"out-{number}").code == 0
        rows = pq.read_table(tmp_path / f"out-{number}/fates.parquet").to_pylist()
        found.append(sorted((row["path"], row["rule"], row["value"] or 0, row["ref_path"] or "") for row in rows))
    assert found[0] == found[1] == found[2] == found[3]


def test_survivors_may_be_ranked_by_any_column(tmp_path: Path, capsys: Capsys) -> None:
    rows = [{"code": TEXT, "name": "a.py", "stars": 1}, {"code": TEXT, "name": "b/c/d.py", "stars": 9}]
    data = write_jsonl(tmp_path / "t.jsonl", rows)
    sets = ("--set", "sources.table.carry={stars: integer}", "--set", "corpus.exact_dedup.priority=[-stars]")
    assert dedup(capsys, data, tmp_path / "out", *sets).code == 0
    assert names(tmp_path / "out/t.jsonl") == ["b/c/d.py"]


@pytest.mark.parametrize(
    ("content", "more", "code", "said"),
    [
        ("", (), 1, "error: INPUT found no rows in "),
        ('{"code": "a", "name": "b"}\n{"code": "a"', (), 1, "error: t.jsonl, line 2 is not JSON: "),
        ('{"code": ["a"], "name": "b"}', (), 1, "error: t.jsonl, row 1: the column 'code' holds a list, not text"),
        ('{"text": "a", "name": "b"}', (), 2, "t.jsonl: the column 'code' is missing; there are: name, text"),
        ('{"code": "a", "name": "b"}', ("--repo", "nmae"), 2, "the column 'nmae' is missing; did you mean 'name'?"),
        ('{"code": "a"}', ("--kind", "exact", "--threshold", "0.9"), 2, "--threshold has no meaning for --kind exact"),
        ('{"code": "a", "name": "b"}', ("--threshold", "1.5"), 2, "error: --threshold: Input should be less"),
        ('{"code": "a"}', ("--set", "corpus.near_dedup.wrods=3"), 2, "unknown key 'corpus.near_dedup.wrods'"),
        ('{"code": "a"}', ("--out", ""), 2, "error: --out '' is no folder for rows"),
    ],
)  # fmt: skip
def test_a_bad_input_is_refused_in_one_line(
    content: str, more: tuple[str, ...], code: int, said: str, tmp_path: Path, capsys: Capsys
) -> None:
    (tmp_path / "t.jsonl").write_text(content)
    found = dedup(capsys, tmp_path / "t.jsonl", tmp_path / "out", *more)
    assert (found.code, found.out) == (code, "")
    assert said in found.err.splitlines()[-1]
    assert not (tmp_path / "out/rows.json").exists()


def test_an_output_folder_with_something_else_is_refused(tmp_path: Path, capsys: Capsys) -> None:
    data = write_jsonl(tmp_path / "t.jsonl", ROWS)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    said = dedup(capsys, data, tmp_path / "out")
    assert said.code == 2
    assert f"error: --out: {tmp_path}/out holds something else" in said.err
    said = dedup(capsys, tmp_path, tmp_path / "new")
    assert f"--out: {tmp_path}/new lies within {tmp_path}, which is read" in said.err
    write_jsonl(tmp_path / "rows.json", ROWS).rename(tmp_path / "fates.parquet")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_an_output_folder_of_another_input_is_refused_and_left_as_it_is(tmp_path: Path, capsys: Capsys) -> None:
    first, other = (write_jsonl(tmp_path / name, ROWS) for name in ("first.jsonl", "other.jsonl"))
    assert dedup(capsys, first, tmp_path / "out").code == 0
    said = dedup(capsys, other, tmp_path / "out")
    assert said.code == 2
    assert f"--out holds what came of another INPUT, {first}" in said.err
    assert names(tmp_path / "out/first.jsonl") == STAY
    assert dedup(capsys, first, tmp_path / "out").code == 0


def test_an_input_in_the_output_folder_is_not_written_over(tmp_path: Path, capsys: Capsys) -> None:
    dedup(capsys, write_jsonl(tmp_path / "t.jsonl", ROWS), tmp_path / "out")
    shutil.rmtree(tmp_path / "out/run")  # which would say that INPUT was another one
    again = write_jsonl(tmp_path / "out/t.jsonl", ROWS)
    said = dedup(capsys, again, tmp_path / "out")
    assert (said.code, said.err) == (
        2,
        f"error: --out: {tmp_path}/out holds {again}, which is read; write somewhere else\n",
    )
    assert again.read_bytes() == (tmp_path / "t.jsonl").read_bytes()


def test_an_input_that_is_not_there_or_holds_nothing_to_read_is_named(tmp_path: Path, capsys: Capsys) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/readme.txt").write_text("no rows")
    said = dedup(capsys, tmp_path / "in", tmp_path / "out")
    assert said.code == 2
    assert said.err.startswith("error: INPUT found no file .parquet, .jsonl")
    said = dedup(capsys, tmp_path / "none.jsonl", tmp_path / "out")
    assert (said.code, said.err) == (2, f"error: INPUT: the path {tmp_path}/none.jsonl does not exist\n")
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    said = dedup(capsys, tmp_path / "t.parquet", tmp_path / "out")
    assert said.code == 1
    assert said.err.startswith("error: t.parquet cannot be read as Parquet: ")
    for place, said_of_it in (("", "INPUT is empty"), ("nosuch://a/b.jsonl", "no file system for nosuch://a/b.jsonl")):
        said = call(capsys, "dedup", place, "--out", str(tmp_path / "out"), "--runner", "inline")
        assert (said.code, said.err.startswith(f"error: {said_of_it}")) == (2, True)
    numbers = pa.table({"code": pa.array([[1]])})
    pq.write_table(numbers, tmp_path / "t.parquet")
    said = dedup(capsys, tmp_path / "t.parquet", tmp_path / "out")
    assert said.err.endswith("the column 'code' holds list<element: int64>, not text; name another by --text\n")


def test_names_of_what_is_written_are_taken(tmp_path: Path, capsys: Capsys) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS[:1]), tmp_path / "fates.parquet")
    said = dedup(capsys, tmp_path / "fates.parquet", tmp_path / "out")
    assert (said.code, "a file of a table is called fates.parquet" in said.err) == (2, True)


def test_what_to_try_next_speaks_of_rows_and_not_of_tokens_or_licences(tmp_path: Path, capsys: Capsys) -> None:
    data = write_jsonl(tmp_path / "t.jsonl", ROWS)
    commands = json.loads(dedup(capsys, data, tmp_path / "out", "--json").out)["commands"]
    run = tmp_path / "out/run"
    assert [call(capsys, *command.split()[1:]).code for command in commands] == [0, 0]
    assert commands == {
        f"loopdata status {run}": "the account of every stage",
        f"loopdata explain {run} table/first.py": "what became of a row",
    }
