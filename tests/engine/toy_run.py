"""A whole toy run as a program: `python -m tests.engine.toy_run ORDER`, where ORDER is a JSON object.

It prints one JSON line on stdout, and exits as the command line would: 0 done, 1 failed, 130 interrupted.
"""

import json
import os
import sys
from typing import Any

from loopdata.engine.driver import Failures
from loopdata.engine.inline_runner import InlineRunner
from loopdata.engine.ledger import Ledger, sweep
from loopdata.engine.lock import locked
from loopdata.errors import LoopdataError
from loopdata.storage import Folder
from tests.engine import toys


def runner(order: dict[str, Any]) -> Any:
    stall = order.get("stall", 60)
    if order.get("runner", "inline") == "inline":
        return InlineRunner(stall)
    from loopdata.engine.ray_runner import RayRunner

    return RayRunner(order.get("workers", 2), order.get("address"), stall, 600)


def run(order: dict[str, Any]) -> dict[str, Any]:
    folder = Folder(order["folder"])
    with locked(folder):
        sweep(folder, Ledger())
        chosen = runner(order)
        driver = toys.driver(folder, chosen, Failures(order.get("failures", 10)))
        first = (toys.Shorter(toys.Shorter.Config(**order.get("shorter", {}))),)
        try:
            toys.compose(driver, order["lines"], first, toys.Unique(), (toys.Whole(),))
        finally:
            chosen.close()
        driver.finish()
    return {"hashes": toys.hashes(folder), "ran": driver.ran}


def main() -> int:
    order = json.loads(sys.argv[1])
    if order.get("group"):
        os.setpgid(0, 0)
    try:
        sys.stdout.write(json.dumps(run(order)) + "\n")
    except LoopdataError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
