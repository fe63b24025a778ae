"""`python -m model.train`: exit codes and what is printed."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from model.train import main

Keys = Callable[..., dict[str, Any]]


@pytest.fixture
def config(training: Keys, tmp_path: Path) -> str:
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump(training()))
    return str(path)


def test_a_training_prints_its_result_and_its_progress(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([config, "--set", "steps=2", "--set", "model.window=2"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["steps"] == 2
    assert "event step  step 2  steps 2" in captured.err


def test_a_wrong_request_is_one_line_and_code_2(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([config, "--set", "stepps=2"]) == 2
    assert capsys.readouterr().err == "error: unknown key 'stepps'; did you mean 'steps'?\n"


def test_data_that_is_not_there_is_one_line_and_code_1(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([config, "--set", "data=/nowhere"]) == 1
    assert capsys.readouterr().err.startswith("error: there is no dataset at /nowhere/dataset.json; ")


def test_an_interrupted_training_has_code_130(
    config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: object, event: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("model.train.Lines.__call__", interrupt)
    assert main([config]) == 130
    assert "go on by the same command" in capsys.readouterr().err


def test_it_runs_without_the_libraries_of_the_pipelines(config: str) -> None:
    """A bare GPU machine: an import of anything but torch, numpy, safetensors, yaml and our own is refused."""
    code = (
        "import sys\n"
        "for name in ('pydantic', 'ray', 'pyarrow', 'rich', 'typer', 'tokenizers', 'fsspec', 'triton'):\n"
        "    sys.modules[name] = None\n"
        "from model.train import main\n"
        f"sys.exit(main([{config!r}, '--set', 'steps=1']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
