"""Waiting threads spin shortly, unless the user said otherwise; and what decides it loads no torch."""

import subprocess
import sys

CODE = """
import os, sys
import model.train
assert "torch" not in sys.modules
from model.threads import wait_politely
wait_politely()
print(os.environ.get("OMP_WAIT_POLICY"), os.environ.get("GOMP_SPINCOUNT"))
"""


def policy(environment: dict[str, str]) -> str:
    return subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_waiting_threads_spin_shortly_unless_the_user_said_otherwise() -> None:
    assert policy({"PATH": ""}) == "PASSIVE 1000"
    assert policy({"PATH": "", "OMP_WAIT_POLICY": "ACTIVE"}) == "ACTIVE None"
    assert policy({"PATH": "", "GOMP_SPINCOUNT": "7"}) == "None 7"
