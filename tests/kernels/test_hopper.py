"""The kernels compiled for Hopper without one: they build, fit its shared memory and spill next to nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="triton is not installed")

SHARED = 227 * 1024  # bytes that a block of sm_90 may have


@pytest.mark.slow
def test_every_mode_builds_for_hopper_with_its_first_tile() -> None:
    wanted = [f"{kernel}/bfloat16/128/1" for kernel in ("forward", "backward_queries", "backward_keys")]
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "tests.kernels.hopper", *wanted]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(built) == 8
    for each in built:
        assert each["shared"] <= SHARED, each
        assert each["spilled"] <= 16, each
