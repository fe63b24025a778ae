"""Groups of processes: what two train together is what one trains, and replicas are watched. By gloo, on the CPU."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.model.test_trainer import Keys, journal, run

ROOT = Path(__file__).resolve().parents[2]


def group(keys: dict[str, Any], folder: Path, size: int, *strike: int) -> list[tuple[int, str]]:
    """Exit code and error stream of each process."""
    (folder / "keys.json").write_text(json.dumps(keys))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "tests.model.member", str(folder / "keys.json"), *map(str, strike)]
    common = os.environ | {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    started = [
        subprocess.Popen(
            words,
            cwd=ROOT,
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    errors = [program.communicate(timeout=200)[1] for program in started]
    return [(program.returncode, error) for program, error in zip(started, errors, strict=True)]


@pytest.mark.slow
def test_two_processes_train_what_one_trains(training: Keys, tmp_path: Path) -> None:
    one = run(training(batch_sequences=2, accumulation=2, out=str(tmp_path / "one"), seed={"order": 5}))
    keys = training(batch_sequences=2, accumulation=1, out=str(tmp_path / "two"), seed={"order": 5}, verify_every=2)
    assert [code for code, _ in group(keys, tmp_path, 2)] == [0, 0]
    two = json.loads((tmp_path / "two/result.json").read_text())["result"]
    assert two["tokens"] == one.tokens
    assert two["after"]["bits_per_byte"] == pytest.approx(one.after["bits_per_byte"], rel=1e-5)
    for mine, theirs in zip(journal(tmp_path / "one"), journal(tmp_path / "two"), strict=True):
        assert theirs == pytest.approx(mine, rel=1e-4)
    noted = [
        [json.loads(line) for line in (tmp_path / place / "metrics.jsonl").read_text().splitlines()]
        for place in ("one", "two")
    ]
    for mine, theirs in zip(*noted, strict=True):
        assert theirs["loss_by_category"] == pytest.approx(mine["loss_by_category"], rel=1e-4)
        assert theirs["loop_grad_norms"] == pytest.approx(mine["loop_grad_norms"], rel=1e-3)
    name = "checkpoints/step-00000006/weights.safetensors"
    weights = load_file(tmp_path / "one" / name), load_file(tmp_path / "two" / name)
    assert all((weights[0][key] - weights[1][key]).abs().max() < 1e-4 for key in weights[0])


@pytest.mark.slow
def test_a_bit_that_flips_in_one_replica_ends_all_and_is_named(training: Keys, tmp_path: Path) -> None:
    ended = group(training(verify_every=2), tmp_path, 3, 1, 3)
    assert [code for code, _ in ended] == [1, 1, 1]
    for _, error in ended:
        assert (
            "SilentError: replicas of parameters differ before step 4: rank 1: blocks.0.attention.key.weight;" in error
        )
