"""`loopdata fim INPUT --out OUT`: rows of samples that any trainer can read, and that read back."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.explain import explain_document
from pipelines.sample_rows import ROW
from tests.pipelines.command import Said, call
from tests.pipelines.corpus_case import attempts, functions

Capsys = pytest.CaptureFixture[str]
ONE_LINE = ("--rate", "1", "--levels", "line=1", "--set", "fim.min_chars=1", "--set", "fim.max_chars=9")
TWO = [
    {"text": "from b import find\nfind(1)\n", "repo": "r", "path": "a.py"},
    {"text": "def find(x):\n    return x\n", "repo": "r", "path": "b.py"},
]


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def fim(capsys: Capsys, data: Path, out: Path, *more: str) -> Said:
    return call(capsys, "fim", str(data), "--out", str(out), "--runner", "inline", *more)


def lines(path: Path) -> list[dict[str, Any]]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in data.decode().splitlines()]


def test_a_row_says_all_of_its_sample(tmp_path: Path, capsys: Capsys) -> None:
    data = write_jsonl(tmp_path / "t.jsonl", [{"text": "größe = 10\nb = 2\n", "path": "a.py"}])
    said = fim(capsys, data, tmp_path / "out", *ONE_LINE)
    assert said.code == 0, said.err
    [row] = lines(tmp_path / "out/t.jsonl")
    assert row.pop("sample_id")
    assert row == {
        "file": "t.jsonl", "row": 1, "rows": [1], "repo": None, "path": "a.py", "language": "Python",
        "level": "line", "mode": "psm", "plain": None, "start": 0, "middle_start": 13, "middle_end": 19, "end": 19,
        "prefix": "größe = 10\n", "middle": "b = 2\n", "suffix": "",
        "text": "<|fim_prefix|>größe = 10\n<|fim_suffix|><|fim_middle|>b = 2\n<|endoftext|>",
    }  # fmt: skip


def test_parquet_gives_parquet_and_packed_lines_packed_lines(tmp_path: Path, capsys: Capsys) -> None:
    (tmp_path / "in").mkdir()
    pq.write_table(pa.Table.from_pylist(TWO), tmp_path / "in/t.parquet")
    write_jsonl(tmp_path / "in/t.jsonl.gz", TWO)
    assert fim(capsys, tmp_path / "in", tmp_path / "out", *ONE_LINE).code == 0
    table = pq.read_table(tmp_path / "out/t.parquet")
    assert table.schema.equals(ROW)
    found = lines(tmp_path / "out/t.jsonl.gz")
    names = ("row", "path", "level", "middle")
    assert [[row[name] for name in names] for row in table.to_pylist()] == [
        [1, "a.py", "line", "find(1)\n"],
        [2, "b.py", None, None],  # no line of it is so short
    ]
    assert [row["plain"] for row in found] == [None, "no_hole"]
    assert found[1]["text"] == "def find(x):\n    return x\n<|endoftext|>"


MARKS = {
    "qwen2.5": "<|fim_prefix|>",
    "iquest": "<|fim_prefix|>",
    "starcoder2": "<fim_prefix>",
    "deepseek": "<｜fim▁begin｜>",
    "codellama": "▁<PRE>",
    "seed-coder": "<[fim-suffix]>",
}


@pytest.mark.parametrize("layout", MARKS)
def test_special_tokens_are_those_of_the_layouts_model(layout: str, tmp_path: Path, capsys: Capsys) -> None:
    data = write_jsonl(tmp_path / "t.jsonl", [{"text": f"x = {n}\n" * 9, "path": f"{n}.py"} for n in range(20)])
    assert fim(capsys, data, tmp_path / "out", "--layout", layout).code == 0
    rows = lines(tmp_path / "out/t.jsonl")
    found = json.loads((tmp_path / "out/figures.json").read_text())
    assert found["read_back"] == found["samples"] == len(rows)
    assert all(row["text"].startswith(MARKS[layout]) for row in rows if row["level"])


def test_files_of_a_repository_stand_behind_what_helps_them(tmp_path: Path, capsys: Capsys) -> None:
    data = write_jsonl(tmp_path / "t.jsonl", TWO)
    assert fim(capsys, data, tmp_path / "out", "--repo", "repo", *ONE_LINE).code == 0
    holed, plain = lines(tmp_path / "out/t.jsonl")
    head = "<|repo_name|>r\n<|file_sep|>b.py\ndef find(x):\n    return x\n\n<|file_sep|>a.py\n"
    assert holed["text"].startswith(head + "<|fim_prefix|>from b import find\n<|fim_suffix|><|fim_middle|>find(1)\n")
    assert (holed["row"], holed["rows"], plain["row"], plain["rows"]) == (1, [2, 1], 2, [2])
    assert fim(capsys, data, tmp_path / "none", "--repo", "repo", "--context", "0", *ONE_LINE).code == 0
    assert lines(tmp_path / "none/t.jsonl")[0]["rows"] == [1]


def test_a_plain_sample_of_several_rows_names_them_all(tmp_path: Path, capsys: Capsys) -> None:
    data = write_jsonl(tmp_path / "t.jsonl", TWO)
    assert fim(capsys, data, tmp_path / "out", "--repo", "repo", "--rate", "0").code == 0
    [row] = lines(tmp_path / "out/t.jsonl")
    assert (row["row"], row["path"], row["start"], row["rows"], row["plain"]) == (None, None, None, [2, 1], "not_drawn")


def test_a_plain_part_of_a_row_says_where_it_lies_unless_it_stands_there_twice(tmp_path: Path, capsys: Capsys) -> None:
    numbered, same = "".join(f"a{n:03} = {n:03}\n" for n in range(50)), "bbbb = 1\n" * 60
    rows = [{"text": text, "repo": f"r{n}", "path": "a.py"} for n, text in enumerate([numbered, same] * 8)]
    data = write_jsonl(tmp_path / "t.jsonl", rows)
    half = ("--rate", "0.5", "--levels", "line=1", "--set", "fim.max_bytes=300")
    assert fim(capsys, data, tmp_path / "out", "--repo", "repo", *half).code == 0
    made = lines(tmp_path / "out/t.jsonl")
    plain = [row | {"shown": row["text"].split("a.py\n")[1].removesuffix("<|endoftext|>")}
             for row in made if row["row"] and row["level"] is None]  # fmt: skip
    parts = [row for row in plain if row["shown"] not in (numbered, same)]
    assert {row["row"] % 2 for row in parts} == {0, 1}
    for row in parts:
        start = numbered.index(row["shown"]) if row["row"] % 2 else None
        assert (row["start"], row["end"]) == (start, start if start is None else start + len(row["shown"]))


def test_what_spells_special_tokens_has_parts_but_no_text(tmp_path: Path, capsys: Capsys) -> None:
    spelled = "a = 1\nb = '<|fim_middle|>'\n"
    data = write_jsonl(tmp_path / "t.jsonl", [{"text": spelled, "path": "a.py"}, {"text": "c = 3\n", "path": "b.py"}])
    said = fim(capsys, data, tmp_path / "out", *ONE_LINE)
    first, second = lines(tmp_path / "out/t.jsonl")
    assert (first["text"], first["prefix"] + first["middle"] + first["suffix"]) == (None, spelled)
    assert second["text"] is not None
    assert "1 hold special tokens in their own text and have no `text`" in said.out
    [note] = pq.read_table(tmp_path / "out/fates.parquet").to_pylist()
    assert (note["path"], note["stage"], note["fate"], note["rule"], note["details"]) == (
        "a.py", "fim", "marked", "special_tokens", "<|fim_middle|>"
    )  # fmt: skip


def test_what_could_not_be_had_is_noted(tmp_path: Path, capsys: Capsys) -> None:
    rows = [
        {"text": "words that no grammar knows\n", "path": "a.unknown"},
        {"text": None, "path": "none.py"},
        {"text": "", "path": "empty.py"},
    ]
    data = write_jsonl(tmp_path / "t.jsonl", rows)
    more = ("--rate", "1", "--levels", "function=1", "--set", "corpus.language.network=false")
    assert fim(capsys, data, tmp_path / "out", *more).code == 0
    fates = pq.read_table(tmp_path / "out/fates.parquet").to_pylist()
    assert [(fate["path"], fate["stage"], fate["rule"], fate["details"]) for fate in fates] == [
        ("none.py", "as_text", "no_text", None),
        ("empty.py", "as_text", "no_text", None),
        ("a.unknown", "fim", "no_hole", "function"),
        ("a.unknown", "fim", "no_tree", "Unknown: no_grammar"),
    ]
    (explained,) = explain_document(str(tmp_path / "out/run"), "a.unknown")
    assert explained.passed == ["read", "as_text", "language", "fim"]
    assert [note["rule"] for note in explained.notes] == ["no_hole", "no_tree"]


def test_figures_say_levels_sizes_and_languages(tmp_path: Path, capsys: Capsys) -> None:
    rows = [{"text": "x = 1\n" * n, "path": f"{n}.py"} for n in range(1, 5)]
    said = fim(capsys, write_jsonl(tmp_path / "t.jsonl", rows), tmp_path / "out", *ONE_LINE)
    assert "4 samples of 4 rows, 4 of them with a hole.\n4 read back from their text as they were made." in said.out
    assert json.loads((tmp_path / "out/figures.json").read_text()) == {
        "rows": 4, "samples": 4, "bytes": 60, "with_a_hole": 4, "read_back": 4, "not_readable": 0,
        "levels": {"line": {"samples": 4, "characters": {"p20": 6, "p50": 6, "p80": 6}}},
        "modes": {"psm": 4}, "plain": {}, "languages": {"Python": {"samples": 4, "with_a_hole": 4}},
        "repository_views": 0, "scattered_repositories": 0,
    }  # fmt: skip


def test_a_part_of_a_file_without_a_hole_is_not_called_the_whole_file(tmp_path: Path, capsys: Capsys) -> None:
    text = "".join(f"x{number:02d} = 1\n" for number in range(50))
    data = write_jsonl(tmp_path / "t.jsonl", [{"text": text, "repo": "r", "path": "a.py"}])
    budget = ("--context", "0", "--set", "fim.max_bytes=80", "--rate", "0.5")
    assert fim(capsys, data, tmp_path / "out", "--repo", "repo", *budget, *ONE_LINE[2:]).code == 0
    rows = lines(tmp_path / "out/t.jsonl")
    plain = [row for row in rows if row["level"] is None]
    assert len(plain) < len(rows)
    assert {(row["row"], row["path"], row["plain"]) for row in plain} == {(1, "a.py", "rest")}
    assert all(0 < row["end"] - row["start"] < len(text) for row in plain if row["start"] is not None)
    assert fim(capsys, data, tmp_path / "whole", "--repo", "repo", "--rate", "0").code == 0
    [row] = lines(tmp_path / "whole/t.jsonl")
    assert (row["plain"], row["start"], row["end"]) == ("not_drawn", 0, len(text))


def test_repositories_that_do_not_lie_together_are_counted(tmp_path: Path, capsys: Capsys) -> None:
    data = write_jsonl(tmp_path / "t.jsonl", [TWO[0], {"text": "x\n", "repo": "other", "path": "c.py"}, TWO[1]])
    said = fim(capsys, data, tmp_path / "out", "--repo", "repo")
    assert "1 repositories do not lie together in their file" in said.out


def test_a_second_call_does_only_what_changed_and_leaves_nothing_old(tmp_path: Path, capsys: Capsys) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write_jsonl(tmp_path / f"in/{name}.jsonl", [{"text": functions(name, 8), "path": f"{name}.py"}])
    out = tmp_path / "out"
    assert fim(capsys, tmp_path / "in", out).code == 0
    before, first = attempts(out / "run"), (out / "a.jsonl").read_bytes()
    assert fim(capsys, tmp_path / "in", out).code == 0
    assert attempts(out / "run") == before
    (tmp_path / "in/b.jsonl").unlink()
    assert fim(capsys, tmp_path / "in", out, "--seed", "1").code == 0
    assert sorted(path.name for path in out.iterdir() if path.is_file()) == [
        "a.jsonl", "fates.parquet", "figures.json", "rows.json"
    ]  # fmt: skip
    assert (out / "a.jsonl").read_bytes() != first
    assert fim(capsys, tmp_path / "in", out).code == 0
    assert (out / "a.jsonl").read_bytes() == first


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--count", "2"), "--count has a meaning only without --out"),
        (("--together",), "--together has a meaning only without --out"),
        (("--text", "code"), "t.jsonl: the column 'code' is missing; there are: text"),
        (("--repo", "text"), "t.jsonl: the column 'path' is missing"),
        (("--layout", "qwen"), "error: fim: there is no layout 'qwen'"),
        (("--layout", "deepseek", "--repo", "text"), "no special tokens of its own for repository and file"),
        (("--rate", "2"), "--rate: Input should be less than or equal to 1"),
        (("--context", "9"), "--context has no meaning for files by themselves"),
        (("--set", "fim.loss=middle"), "error: fim.loss: rows of text hold no loss"),
        (("--set", "limits.unit=1"), "unknown key 'limits.unit'"),
        (("another.jsonl",), "--out takes one INPUT, not 2"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line(
    more: tuple[str, ...], said: str, tmp_path: Path, capsys: Capsys
) -> None:
    data = write_jsonl(tmp_path / "t.jsonl", [{"text": "x\n"}])
    found = fim(capsys, data, tmp_path / "out", *more)
    assert (found.code, found.out) == (2, "")
    assert said in found.err.splitlines()[-1]
    assert not (tmp_path / "out/rows.json").exists()


def test_a_source_file_is_no_table(tmp_path: Path, capsys: Capsys) -> None:
    (tmp_path / "a.py").write_text("x\n")
    said = fim(capsys, tmp_path / "a.py", tmp_path / "out")
    assert "a.py has none of the endings .parquet, .jsonl" in said.err


def test_what_another_command_wrote_stays(tmp_path: Path, capsys: Capsys) -> None:
    data = write_jsonl(tmp_path / "t.jsonl", TWO)
    out = tmp_path / "out"
    assert call(capsys, "dedup", str(data), "--out", str(out), "--runner", "inline").code == 0
    before = (out / "t.jsonl").read_bytes()
    said = fim(capsys, data, out)
    assert (said.code, said.err) == (
        2,
        f"error: --out: {out} holds what another command wrote; give another folder\n",
    )
    assert (out / "t.jsonl").read_bytes() == before
