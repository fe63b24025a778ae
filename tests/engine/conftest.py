"""What the tests of the engine share: a folder, one Ray for all of them, and toy runs as programs."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loopdata.storage import Folder

ROOT = Path(__file__).parents[2]
GUARD_SECONDS = 240  # against hanging only


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "run")


@pytest.fixture(scope="package")
def ray_runner() -> Iterator[Any]:
    """Ray with two workers, started once; it ends with this folder, since a process can hold only one."""
    from loopdata.engine.ray_runner import RayRunner

    runner = RayRunner(2, None, stall_seconds=60, unit_seconds=600)
    yield runner
    runner.close()


def command(order: dict[str, Any]) -> list[str]:
    return [sys.executable, "-m", "tests.engine.toy_run", json.dumps(order)]


@pytest.fixture
def toy_run() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run a whole toy run in a process of its own."""

    def call(**order: Any) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command(order), cwd=ROOT, capture_output=True, text=True, timeout=GUARD_SECONDS, check=False
        )

    return call


@pytest.fixture
def start_toy_run() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start one and leave it running; what is left at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def call(**order: Any) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            command(order), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        started.append(process)
        return process

    yield call
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
