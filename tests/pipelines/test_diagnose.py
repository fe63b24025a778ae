"""`loopdata diagnose` on a trained checkpoint: a table, a file and a picture, and named errors for what is none."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from model.train_config import load_train_config
from model.trainer import train
from tests.model.dataset_folder import Entry, counting, write_dataset
from tests.pipelines.command import call


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A run folder as `loopdata run` leaves it: the dataset, and a training below it."""
    entries = [Entry("file", "train", [[counting(n, 16)] for n in range(8)])]
    entries.append(Entry("file", "valid", [[counting(4, 16)], [counting(9, 6), counting(20, 10, "go")]]))
    run = write_dataset(tmp_path / "run", entries, length=16)
    shape: dict[str, Any] = {"dim": 16, "layers": 2, "heads": 2, "head_dim": 8, "ffn_dim": 24, "max_length": 16}
    out = run / "train/two-1"
    train(load_train_config({"data": str(run), "out": str(out), "model": shape, "steps": 4, "device": "cpu"}))
    return out


def test_a_training_is_diagnosed_loop_by_loop(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = call(capsys, "diagnose", str(trained))
    assert said.code == 0
    assert "loop 1" in said.out
    assert "bits per byte, read out here" in said.out
    checkpoint = trained / "checkpoints/step-00000004"
    assert len(json.loads((checkpoint / "diagnosis.json").read_text())["loops"]) == 2
    assert (checkpoint / "diagnosis.png").read_bytes().startswith(b"\x89PNG")
    again = call(capsys, "diagnose", str(checkpoint), "--json")
    assert json.loads(again.out)["targets"] == 16 + 6 + 10 - 3


def test_a_copied_run_is_diagnosed_where_it_lies(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (trained.parent / "two.yaml").write_text(f"data: {trained.parents[1]}\nout: {trained}\nmodel: {{}}\n")
    shutil.copytree(trained.parents[1], tmp_path / "copy")
    assert call(capsys, "diagnose", str(tmp_path / "copy/train/two.yaml")).code == 0
    assert (tmp_path / "copy/train/two-1/checkpoints/step-00000004/diagnosis.json").exists()
    assert not (trained / "checkpoints/step-00000004/diagnosis.json").exists()


@pytest.mark.parametrize("command", [["diagnose"], ["generate", "--prompt", "x"]])
def test_a_folder_of_trainings_is_no_training_and_names_them(
    trained: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two arms one was changed and trained twice; a third has no config of its own."""
    folder = trained.parent
    for name in ("one_loop-00c0ffee", "one_loop-0ddba11", "other"):
        shutil.copytree(trained, folder / name)
    for name in ("two", "one_loop"):
        (folder / f"{name}.yaml").write_text("{}")
    for place in (folder, folder.parent):
        said = call(capsys, command[0], str(place), *command[1:])
        names = ", ".join(str(folder / name) for name in ("one_loop.yaml", "other", "two.yaml"))
        assert said.code == 2
        assert f"{place} is no training but holds 3; give one of them: {names}" in " ".join(said.err.split())


@pytest.mark.parametrize(
    ("length", "tokenizer", "said"),
    [
        (16, "sha256:bbb", "was trained on the tokenizer sha256:aaa, "),
        (17, "sha256:aaa", "dataset.json has sequences of 17 tokens, "),
    ],
)
def test_other_data_is_refused(
    trained: Path, tmp_path: Path, length: int, tokenizer: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [Entry("file", split, [[counting(4, length)]]) for split in ("train", "valid")]
    data = write_dataset(tmp_path / "data", entries, length=length, tokenizer=tokenizer)
    found = call(capsys, "diagnose", str(trained), "--data", str(data))
    assert (found.code, said in " ".join(found.err.split())) == (1, True)


def test_what_is_no_checkpoint_or_has_no_data_is_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = call(capsys, "diagnose", str(tmp_path))
    assert (said.code, "holds no checkpoint" in said.err) == (1, True)
    said = call(capsys, "diagnose", str(tmp_path / "nowhere"))
    assert (said.code, "nowhere is not there; give a checkpoint, or a config" in said.err) == (1, True)
    moved = tmp_path / "elsewhere"
    (trained / "checkpoints/step-00000004").rename(moved)
    said = call(capsys, "diagnose", str(moved))
    assert (said.code, "give it by --data" in said.err) == (2, True)
