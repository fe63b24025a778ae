"""What every benchmark shares: quantiles, the facts of machine and code, and the one JSON line at the end.

Enters: ratios and figures. Leaves: a line on stdout and, with `--save`, `benchmarks/results/NAME.json`. Limit: peak
memory is that of this process and of the largest of its finished children, not of workers that others started.
"""

import hashlib
import importlib.metadata
import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """p20, p50 and p80, to three digits."""
    return {f"p{q}": round(float(np.quantile(values, q / 100)), 3) for q in (20, 50, 80)}


def input_hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def report(
    name: str, ratios: dict[str, float], figures: dict[str, Any], inputs: str, packages: Sequence[str]
) -> dict[str, Any]:
    """Print the result as the last line; keep it where the command says `--save`."""
    result = {
        "name": name,
        "ratios": {peer: round(ratio, 2) for peer, ratio in ratios.items()},
        "figures": figures,
        "commit": _commit(),
        "versions": {package: importlib.metadata.version(package) for package in packages},
        "input": inputs,
        "peak_memory_mb": round(_peak_kb() / 1024),
        "machine": {"cores": len(os.sched_getaffinity(0)), "cpu": _cpu(), "load": round(os.getloadavg()[0], 1)},
    }
    if "--save" in sys.argv:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result), flush=True)
    return result


def _peak_kb() -> int:
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _commit() -> str:
    """The commit, with a mark where files differ from it."""
    folder = Path(__file__).parent
    git = ["git", "-C", str(folder)]
    head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
    changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=False)
    return (head.stdout.strip() or "unknown") + ("+" if changed.stdout.strip() else "")


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
