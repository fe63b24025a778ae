"""Contenders timed in turns on one core, and real source files to time them on.

Enters: functions by name, which are warm. Leaves: seconds of each as CPU time of this process, so that neighbours on
the machine cost little, and how many times as long as ours each peer took. Limit: CPU time does not count waiting for
a disk; nothing here waits for one.
"""

import os
import sysconfig
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from benchmarks.harness import quantiles

ROUNDS = 5
Seconds = dict[str, list[float]]


def use_one_core() -> None:
    """Pin this process to one of its cores; thread pools that start later have one thread."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for name in ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"


def measure(contenders: Mapping[str, Callable[[], object]], rounds: int = ROUNDS) -> Seconds:
    """CPU seconds of each contender in each round; they take turns, so that a slow minute hits all of them."""
    seconds: Seconds = {name: [] for name in contenders}
    for turn in range(rounds):
        for name, run in contenders.items():
            started = time.process_time()
            run()
            seconds[name].append(time.process_time() - started)
            print(f"round {turn + 1}: {name} {seconds[name][-1]:.3f} s", flush=True)
    return seconds


def median(values: list[float]) -> float:
    return float(np.median(values))


def ratios(seconds: Seconds) -> dict[str, float]:
    """By peer: its median over the median of `ours`."""
    return {name: median(times) / median(seconds["ours"]) for name, times in seconds.items() if name != "ours"}


def spread(seconds: Seconds) -> dict[str, dict[str, float]]:
    return {name: quantiles(times) for name, times in seconds.items()}


def source_files(max_bytes: int, step: int = 1) -> list[str]:
    """Every `step`-th Python file of the standard library and the installed packages, up to so many bytes."""
    paths = sysconfig.get_paths()
    found = sorted({path for root in ("stdlib", "purelib") for path in Path(paths[root]).rglob("*.py")})
    texts, total = [], 0
    for path in found[::step]:
        text = path.read_bytes().decode("utf-8", "ignore")
        if text and total + len(text.encode()) <= max_bytes:
            texts.append(text)
            total += len(text.encode())
    return texts
