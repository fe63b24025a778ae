"""A training step as the trainer takes it: reading, forward, backward, optimiser, journal.

On a CPU: tokens a second, operations a second by the formula of `model.cost` and peak memory for the sizes of
`configs/model`, two loops beside one (a dense model of equal shape), sequences of 1,024 tokens, all cores. On a GPU
besides: MFU, with 150M parameters, two loops and 4,096 tokens among them. Ratios are CPU time on one core (on a GPU the
clock) of a step with `dense` and with `plain_two_sdpa`, attention as two library calls under a T×T mask, over ours; the
losses must agree. Each contender runs in a process of its own. Run by
`python -m benchmarks.trainer [--save] [--sizes=100k,1m]`. Limit: random tokens, one document a sequence; how threads
wait is taken from the environment and noted.
"""

import json
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from model.threads import wait_politely

if "torch" not in sys.modules:
    wait_politely()

import torch

from benchmarks.contenders import Seconds, median, ratios, spread
from benchmarks.gated_attention import plain
from benchmarks.harness import input_hash, report
from model.train_config import load_train_config
from model.trainer import train
from tests.model.dataset_folder import Entry, Piece, write_dataset

ON_GPU = torch.cuda.is_available()
SIZES = ("1m", "15m", "60m", "150m") if ON_GPU else ("100k", "1m", "4m", "15m")
COMPARED = "150m" if ON_GPU else "1m"
VOCABULARY = {"100k": 1_024, "1m": 8_192, "4m": 8_192, "15m": 8_192, "60m": 32_768, "150m": 32_768}
LENGTH, SEQUENCES = (4_096, 4) if ON_GPU else (1_024, 1)
STEPS, ROUNDS = (20, 3) if ON_GPU else (4, 3)  # the first step of each process is not counted


@dataclass(frozen=True)
class Contender:
    """One training."""

    size: str
    loops: int = 2
    plain: bool = False
    threads: int | None = None


@dataclass(frozen=True)
class Measured:
    """Seconds of each step by the clock and of all cores; `mfu` is empty where it is not known."""

    clock: list[float]
    cpu: list[float]
    losses: list[float]
    mfu: list[float]
    flops_per_token: int
    peak_mb: float


def measure(contender: Contender) -> Measured:
    """Train for a few steps in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        found = process.submit(_train, contender).result()
    print(f"{contender}: {[round(seconds, 3) for seconds in found.clock]} s", flush=True)
    return found


def _train(contender: Contender) -> Measured:
    marks: list[tuple[float, float]] = []

    def note(event: dict[str, Any]) -> None:
        if event["event"] == "step":
            marks.append((time.perf_counter(), time.process_time()))

    attention = mock.patch("model.context.gated_attention", plain) if contender.plain else nullcontext()
    with tempfile.TemporaryDirectory() as folder, attention:
        result = train(load_train_config(_keys(contender, Path(folder))), note)
        lines = [json.loads(line) for line in Path(folder, "out/metrics.jsonl").read_text().splitlines()]
    clock, cpu = (np.diff(times).tolist() for times in zip(*marks, strict=True))
    losses, mfu = [line["loss"] for line in lines], [line["mfu"] for line in lines[1:] if "mfu" in line]
    return Measured(clock, cpu, losses, mfu, result.flops_per_token, max(line["peak_mb"] for line in lines))


def _keys(contender: Contender, folder: Path) -> dict[str, Any]:
    vocabulary = VOCABULARY[contender.size]
    drawn = np.random.default_rng(17).integers(1, vocabulary, (STEPS * SEQUENCES, LENGTH)).tolist()
    entries = [Entry("file", "train", [[Piece(tokens)] for tokens in drawn])]
    data = write_dataset(folder / "data", entries, LENGTH, vocab_size=vocabulary)
    return {
        "data": str(data), "out": str(folder / "out"), "model": f"configs/model/{contender.size}.yaml",
        "loops": contender.loops, "steps": STEPS, "batch_sequences": SEQUENCES, "threads": contender.threads,
        "eval_sequences": 0, "compile": ON_GPU,
    }  # fmt: skip


def figures_of(size: str) -> dict[str, Any]:
    """What two loops and one do on all of the machine."""
    return {f"{loops}_loops": _described(measure(Contender(size, loops))) for loops in (2, 1)}


def _described(found: Measured) -> dict[str, Any]:
    rate = SEQUENCES * LENGTH / median(found.clock)
    described = {
        "tokens_per_second": round(rate, 1),
        "cpu_seconds_a_step": round(median(found.cpu), 3),
        "flops_per_token": found.flops_per_token,
        "gflops_per_second": round(rate * found.flops_per_token / 1e9, 1),
        "peak_mb": round(found.peak_mb),
    }
    return described | ({"mfu": round(median(found.mfu), 4)} if found.mfu else {})


def compare() -> Seconds:
    """Seconds a step of ours and of two others, in turns. Ends the benchmark where ours and the plain one disagree."""
    ours = Contender(COMPARED, threads=None if ON_GPU else 1)
    contenders = {"ours": ours, "dense": replace(ours, loops=1), "plain_two_sdpa": replace(ours, plain=True)}
    seconds: Seconds = {name: [] for name in contenders}
    losses: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, contender in contenders.items():
            found = measure(contender)
            seconds[name] += found.clock if ON_GPU else found.cpu
            losses[name] = found.losses
    if not np.allclose(losses["ours"], losses["plain_two_sdpa"], rtol=2e-2 if ON_GPU else 1e-3):
        sys.exit(f"the trainings do not agree: {losses}")
    return seconds


def main() -> None:
    wanted = next((word.partition("=")[2] for word in sys.argv if word.startswith("--sizes=")), "")
    sizes = wanted.split(",") if wanted else list(SIZES)
    seconds = compare()
    figures: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if ON_GPU else "cpu",
        "threads": torch.get_num_threads(),
        "waiting": {name: os.environ[name] for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT") if name in os.environ},
        "tokens_a_step": SEQUENCES * LENGTH,
        "step_seconds": {"size": COMPARED, **spread(seconds)},
        "sizes": {size: figures_of(size) for size in sizes},
    }
    if not ON_GPU:
        print("MFU, and 150M parameters with two loops at 4,096 tokens: unmeasured: no GPU", flush=True)
    report("trainer", ratios(seconds), figures, input_hash(str((SIZES, LENGTH, SEQUENCES, STEPS))), ("torch",))


if __name__ == "__main__":
    main()
