"""`loopdata generate`: a model that has learnt a text by heart writes it on, and fills a hole in the run's layout."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from loopdata.fim.layouts import PSM
from loopdata.storage import Folder
from model.train_config import load_train_config
from model.trainer import train
from pipelines.generate import _prompt
from pipelines.inspect_shard import tokenizer_of
from tests.pipelines.command import call

SHAPE = {"dim": 16, "layers": 1, "heads": 2, "head_dim": 8, "ffn_dim": 16, "max_length": 64}


@pytest.fixture
def trained(finished: Path, tmp_path: Path) -> str:
    """The folder of a training on the finished run."""
    keys: dict[str, Any] = {"data": str(finished), "out": str(tmp_path / "out"), "model": SHAPE, "steps": 2}
    train(load_train_config({**keys, "device": "cpu", "threads": 1}))
    return str(tmp_path / "out")


def test_a_model_writes_on_and_repeats_itself(trained: str, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["generate", trained, "--data", str(finished), "--prompt", "def f():", "--tokens", "5", "--json"]
    first = json.loads(call(capsys, *words).out)
    assert first["prefix"] == "def f():"
    assert first["suffix"] is None
    assert 0 <= first["tokens"] <= 5
    assert json.loads(call(capsys, *words).out) == first
    shown = call(capsys, *words[:-1])
    assert shown.code == 0
    assert shown.out.startswith("def f():")


def test_a_hole_is_laid_out_as_the_runs_samples_are(finished: Path, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(Folder(str(finished)))
    (tmp_path / "run.yaml").write_text("samples: {repo: {}, file: {builder: file, fim: {layout: iquest}}}")
    ids, stop = _prompt(Folder(str(tmp_path)), tokenizer, "a = ", "\nb")
    assert tokenizer.decode(ids) == b"<|fim_prefix|>a = <|fim_suffix|>\nb<|fim_middle|>"
    assert stop == {tokenizer.special["<|im_end|>"]}
    (tmp_path / "run.yaml").write_text("samples: {file: {builder: file, fim: {layout: codellama, spm_share: 1}}}")
    ids, _ = _prompt(Folder(str(tmp_path)), tokenizer, "a = ", "\nb")
    assert tokenizer.decode(ids) == b"<|fim_prefix|><|fim_suffix|>\nb<|fim_middle|>a = "
    ids, _ = _prompt(Folder(str(tmp_path)), tokenizer, "<|fim_prefix|>", None)
    assert tokenizer.special["<|fim_prefix|>"] not in ids


OWN = f"{{layout: own, own: {{text_end: <|reserved_0|>, end: <|im_end|>, psm: {PSM}}}}}"


@pytest.mark.parametrize(
    ("samples", "ends"),
    [
        ("", {"<|endoftext|>"}),
        ("file: {builder: file}", {"<|endoftext|>"}),
        ("file: {builder: file, fim: {layout: iquest}}", {"<|endoftext|>"}),
        (f"file: {{builder: file, fim: {OWN}}}", {"<|reserved_0|>"}),
        (f"file: {{builder: file}}, web: {{builder: file, fim: {OWN}}}", {"<|endoftext|>", "<|reserved_0|>"}),
        ("repo: {builder: repo}", {"<|endoftext|>", "<|file_sep|>"}),
        (f"repo: {{builder: repo, fim: {OWN}}}", {"<|reserved_0|>", "<|file_sep|>"}),
    ],
)
def test_a_text_ends_as_it_does_in_the_runs_samples(
    finished: Path, tmp_path: Path, samples: str, ends: set[str]
) -> None:
    tokenizer = tokenizer_of(Folder(str(finished)))
    (tmp_path / "run.yaml").write_text(f"samples: {{{samples}}}")
    _, stop = _prompt(Folder(str(tmp_path)), tokenizer, "a", None)
    assert stop == {tokenizer.special[token] for token in ends}


def test_a_run_that_is_not_on_a_local_disk_lays_out_its_prompts_too(finished: Path) -> None:
    tokenizer = tokenizer_of(Folder(str(finished)))
    run = Folder("memory://generate")
    run.write_atomic("run.yaml", b"samples: {file: {builder: file, fim: {}}}")
    assert _prompt(run, tokenizer, "a", None)[1] == {tokenizer.end_of_text}
    assert tokenizer.decode(_prompt(run, tokenizer, "a", "b")[0]) == b"<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"


@pytest.mark.parametrize(
    ("samples", "before"),
    [
        ("file: {builder: file, fim: {}}", b""),
        ("repo: {builder: repo, fim: {layout: starcoder2}}", b"<|file_sep|>"),
        ("repo: {builder: repo, fim: {}}, file: {builder: file, fim: {}}", b""),
    ],
)
def test_a_hole_begins_as_samples_of_files_do_or_as_a_file_of_a_repository(
    finished: Path, tmp_path: Path, samples: str, before: bytes
) -> None:
    tokenizer = tokenizer_of(Folder(str(finished)))
    (tmp_path / "run.yaml").write_text(f"samples: {{{samples}}}")
    ids, _ = _prompt(Folder(str(tmp_path)), tokenizer, "a", "b")
    assert tokenizer.decode(ids) == before + b"<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"


def test_a_prompt_from_the_input_is_taken_byte_by_byte(
    trained: str, finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["generate", trained, "--data", str(finished), "--tokens", "1", "--json"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("é\r\n".encode()), "utf-8"))
    assert json.loads(call(capsys, *words).out)["prefix"] == "é\r\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"ab\xff"), "utf-8"))
    said = call(capsys, *words)
    assert (said.code, said.err) == (2, "error: the prompt is not text in UTF-8: character 3; convert it\n")
    said = call(capsys, *words, "--prompt", "ab", "--suffix", "\udcff")
    assert (said.code, said.err) == (2, "error: the suffix is not text in UTF-8: character 1; convert it\n")


def test_what_cannot_be_written_on_is_named(
    trained: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["generate", trained, "--data", str(finished)]
    empty = call(capsys, *common, "--prompt", "")
    assert (empty.code, "the prompt is empty" in empty.err) == (2, True)
    long = call(capsys, *common, "--prompt", "x = 1\n" * 40)
    assert (long.code, "are more than 'model.max_length', 64" in long.err) == (2, True)
    (state,) = Path(trained).glob("checkpoints/*/state.json")
    held = state.read_text()
    other = json.loads(held)
    other["origin"]["dataset"]["tokenizer"] = "0123"
    state.write_text(json.dumps(other))
    foreign = call(capsys, *common, "--prompt", "x")
    assert foreign.code == 1
    assert "was trained on the tokenizer 0123" in foreign.err
