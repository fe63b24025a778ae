"""Calling the command line: in this process, or as a program of its own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main
from pipelines.run_file import dump

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Said:
    """Exit code, stdout and stderr."""

    code: int
    out: str
    err: str


def call(capsys: pytest.CaptureFixture[str], *words: str) -> Said:
    """Run a command in this process."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    said = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return Said(ended.value.code, said.out, said.err)


def start(*words: str) -> "subprocess.Popen[str]":
    """Start a command as a program with a process group of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    command = [sys.executable, "-m", "pipelines.cli", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def end(program: "subprocess.Popen[str]") -> Said:
    out, err = program.communicate(timeout=200)
    return Said(program.returncode, out, err)


def write_run_file(folder: Path, data: dict[str, Any]) -> str:
    path = folder / "given.yaml"
    path.write_bytes(dump(data))
    return str(path)
