"""Waiting threads sleep, unless the user said otherwise; and what decides it loads no torch."""

import subprocess
import sys

CODE = """
import os, sys
import model.train
assert "torch" not in sys.modules
from model.threads import wait_without_spinning
wait_without_spinning()
print(os.environ["OMP_WAIT_POLICY"])
"""


def policy(environment: dict[str, str]) -> str:
    return subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_waiting_threads_sleep_unless_the_user_said_otherwise() -> None:
    assert policy({"PATH": ""}) == "PASSIVE"
    assert policy({"PATH": "", "OMP_WAIT_POLICY": "ACTIVE"}) == "ACTIVE"
