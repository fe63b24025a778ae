"""`python -m model.train CONFIG.yaml [--set a.b=c]`: train on a machine that has torch, numpy, safetensors and pyyaml.

Enters: a YAML file of TrainConfig's keys. Leaves: what `model.trainer.train` leaves; lines of progress on the error
stream, the result as JSON on the output stream. Exit codes are those of the project: 0 done, 1 failed, 2 wrong
request, 130 interrupted. Several processes are started by `torchrun --nproc-per-node N -m model.train CONFIG.yaml`; the
first of them speaks. Limit: errors come from each of them.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from typing import Any

from loopdata.errors import LoopdataError
from model.parsing import override, read_yaml
from model.threads import wait_politely
from model.train_config import load_train_config

_SECONDS_BETWEEN_LINES = 5.0


class Lines:
    """Prints events; of the steps only one every few seconds, the first and the last."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, event: dict[str, Any]) -> None:
        if event["event"] == "step":
            now = time.monotonic()
            if now - self._last < _SECONDS_BETWEEN_LINES and event["step"] != event["steps"]:
                return
            self._last = now
        sys.stderr.write("  ".join(f"{key} {_short(value)}" for key, value in event.items()) + "\n")


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main(arguments: list[str] | None = None) -> int:
    """Parse, train, print; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m model.train", description="Train a looped transformer on a dataset folder."
    )
    parser.add_argument("config", help="YAML file; its keys are those of model.train_config.TrainConfig")
    parser.add_argument(
        "--set", action="append", default=[], metavar="a.b=c", help="replace a key, e.g. --set lr=0.002"
    )
    options = parser.parse_args(arguments)
    wait_politely()
    from model.trainer import train  # the first import of torch

    try:
        result = train(load_train_config(override(read_yaml(options.config), options.set)), Lines())
    except LoopdataError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt as stopped:
        sys.stderr.write(f"{stopped or 'interrupted'}\n")
        return 130
    if os.environ.get("RANK", "0") == "0":
        sys.stdout.write(json.dumps(asdict(result), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
