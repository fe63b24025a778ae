"""`loopdata fim` shows samples with a hole: what they are, and their text as a model gets it."""

import json
from pathlib import Path

import pytest

from pipelines.show_fim import draw_samples
from tests.pipelines.command import call
from tests.pipelines.corpus_case import write_files

Capsys = pytest.CaptureFixture[str]
ONE_LINE = ("fim.kinds={line: 1}", "fim.max_chars=9", "fim.min_chars=1")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_files(tmp_path, {"a.py": "from b import find\nfind(1)\n", "b.py": "def find(x):\n    return x\n"})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_sample_says_level_size_and_language(place: Path) -> None:
    [sample] = draw_samples(["a.py"], {}, ONE_LINE, 0, False)
    assert (sample.path, sample.language, sample.level, sample.mode) == ("a.py", "Python", "line", "psm")
    assert (sample.characters, sample.lines, sample.num_bytes, sample.context) == (8, 1, 27, [])
    assert [text for text, special, _ in sample.segments if not special] == ["from b import find\n", "", "find(1)\n"]


def test_as_a_repository_a_file_stands_behind_the_others(place: Path) -> None:
    found = {sample.path: sample for sample in draw_samples(["a.py", "b.py"], {}, ONE_LINE, 0, True)}
    assert found["a.py"].context == ["b.py"]
    assert ("def find(x):\n    return x\n", False, False) in found["a.py"].segments


def test_the_text_is_shown_with_its_special_tokens(place: Path, capsys: Capsys) -> None:
    said = call(capsys, "fim", "a.py", *(word for item in ONE_LINE for word in ("--set", item)))
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "a.py  Python  line.psm  middle of 8 characters, 1 lines; 27 bytes in all",
        "<|fim_prefix|>from b import find",
        "<|fim_suffix|><|fim_middle|>find(1)",
        "<|endoftext|>",
        "",
        "1 in all.",
    ]


def test_a_file_without_a_hole_is_said_to_have_none(place: Path, capsys: Capsys) -> None:
    (place / "empty.py").write_text("")
    said = call(capsys, "fim", "empty.py")
    assert (said.code, said.out) == (0, "No file has room for a hole, or none was drawn.\n")


def test_only_so_many_are_shown(place: Path, capsys: Capsys) -> None:
    said = call(capsys, "fim", "a.py", "b.py", "--count", "1")
    assert said.out.endswith("1 more; --count shows them.\n")
    assert len(json.loads(call(capsys, "fim", "a.py", "b.py", "--count", "1", "--json").out)) == 1


def test_wrong_requests_are_one_line(place: Path, capsys: Capsys) -> None:
    (place / "bytes.py").write_bytes(b"\xff")
    (place / "t.jsonl").write_text("{}")
    for words, why in [
        (["absent.py"], "absent.py cannot be read: No such file or directory"),
        (["bytes.py"], "bytes.py is not UTF-8"),
        (["a.py", "--set", "fim.layout=other"], "error: fim: there is no layout 'other'"),
        (["a.py", "--set", "fim.rat=1"], "error: unknown key 'fim.rat'; did you mean 'rate'?"),
        (["a.py", "--levels", "line"], "--levels line: expected name=weight,…; as in --levels line=2,function=1"),
        (["a.py", "--levels", "lines=1"], "error: fim: there is no kind 'lines'; did you mean 'line'?"),
        (["a.py", "--context", "9"], "--context has no meaning for files by themselves"),
        (["a.py", "--repo", "name"], "--repo has a meaning only with --out"),
        (["a.py", "--together", "--layout", "deepseek"], "no special tokens of its own for repository and file"),
        (["t.jsonl"], "t.jsonl is a table; --out FOLDER writes the samples of its rows"),
        (["."], ". cannot be read: Is a directory; name files, or a table with --out"),
    ]:
        said = call(capsys, "fim", *words)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
        assert why in said.err
