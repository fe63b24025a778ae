"""Folding a dense model into a loop beside training the loop from scratch, at equal operations.

Enters: the dataset of a run, `configs/model/1m.yaml`. A dense model of twice its layers trains on DENSE_TOKENS, is
folded into two loops of its blocks by each way, and trains on for FOLDED_TOKENS. Leaves: bits per byte on the same
held-out sequences right after folding and at the end, beside the same looped model from scratch with the operations of
both parts together, and with those of the second part alone; for several seeds, which draw weights and orders. Run by
`nice python -m benchmarks.folding [--save] [--data=runs/quickstart] [--seeds=17,18,19]`; a quarter of an hour. Limit:
of two blocks the middle one is the last, so that three ways are told apart; one size, one rate for all, and far from
converged.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from model.threads import wait_politely

if "torch" not in sys.modules:
    wait_politely()

from benchmarks.harness import input_hash, report
from loopdata.tokens.shards import Dataset
from model.parsing import read_yaml
from model.result import Result
from model.train_config import load_train_config
from model.trainer import train

MODEL, LOOPS, WAYS = "configs/model/1m.yaml", 2, ("mean", "first", "last")
DENSE_TOKENS, FOLDED_TOKENS, HELD_OUT = 98_304, 49_152, 32
Figures = dict[str, float]


def trained(data: str, folder: Path, name: str, **keys: Any) -> Result:
    """A training by the trainer's own defaults."""
    base = {"data": data, "out": str(folder / name), "eval_sequences": HELD_OUT, "checkpoint_every": 10_000}
    result = train(load_train_config({**base, **keys}))
    print(f"{name}: {result.tokens_per_second:.0f} tokens/s, {_bits(result.after):.4f}", flush=True)
    return result


def _bits(evaluation: dict[str, Any]) -> float:
    return float(evaluation["bits_per_byte"])


def compare(data: str, folder: Path, seed: int) -> tuple[Figures, Figures]:
    """Bits per byte of everything that begins with one seed; tokens of each training."""
    shape = read_yaml(MODEL)
    run = partial(trained, data, folder)
    first, second = {"init": seed, "order": seed}, {"init": seed, "order": seed + 1_000}
    deep = {**shape, "layers": LOOPS * shape["layers"]}
    dense = run("dense", model=deep, loops=1, tokens=DENSE_TOKENS, seed=first)
    found, tokens = {"dense": _bits(dense.after)}, {"dense": float(DENSE_TOKENS)}
    loop = {"model": shape, "loops": LOOPS}
    checkpoint = str(folder / "dense" / dense.checkpoint)
    for way in WAYS:
        start = {"checkpoint": checkpoint, "fold": way}
        folded = run(way, **loop, tokens=FOLDED_TOKENS, seed=second, start=start)
        found |= {f"{way}_folded": _bits(folded.before), f"{way}_trained": _bits(folded.after)}
        operations = DENSE_TOKENS * dense.flops_per_token + FOLDED_TOKENS * folded.flops_per_token
        tokens |= {"folded": FOLDED_TOKENS, "scratch": operations / folded.flops_per_token}
    scratch = run("scratch", **loop, tokens=round(tokens["scratch"]), seed=first)
    short = run("scratch_second_part", **loop, tokens=FOLDED_TOKENS, seed=second)
    found |= {"scratch": _bits(scratch.after), "scratch_second_part": _bits(short.after)}
    return found, tokens


def main() -> None:
    options = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:] if "=" in word)
    data, seeds = options.get("data", "runs/quickstart"), options.get("seeds", "17,18,19").split(",")
    dataset = Dataset.open(data)
    by_seed = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            found, tokens = compare(data, Path(folder), int(seed))
        by_seed.append(found)
    means = {name: float(np.mean([found[name] for found in by_seed])) for name in by_seed[0]}
    figures = {
        "bits_per_byte": {name: round(value, 4) for name, value in means.items()},
        "by_seed": {seed: _rounded(found) for seed, found in zip(seeds, by_seed, strict=True)},
        "tokens": {name: round(value) for name, value in tokens.items()},
    }
    best = min(means[f"{way}_trained"] for way in WAYS)
    ratios = {name: means[name] / best for name in ("scratch", "scratch_second_part")}
    report("folding", ratios, figures, input_hash(dataset.tokenizer, str(len(dataset.order)), str(tokens)), ("torch",))


def _rounded(found: Figures) -> Figures:
    return {name: round(value, 4) for name, value in found.items()}


if __name__ == "__main__":
    main()
