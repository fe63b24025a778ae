"""Groups of processes: what two train together is what one trains, and replicas are watched. By gloo, on the CPU."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from loopdata.errors import ConfigError
from model.group import Group, share
from tests.model.test_trainer import Keys, journal, run

ROOT = Path(__file__).resolve().parents[2]


def group(keys: dict[str, Any], folder: Path, size: int, *deed: str | int) -> list[tuple[int, str]]:
    """Exit code and error stream of each process."""
    (folder / "keys.json").write_text(json.dumps(keys))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "tests.model.member", str(folder / "keys.json"), *map(str, deed)]
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
    assert (two["after"]["tokens"], two["after"]["bytes"]) == (one.after["tokens"], one.after["bytes"])
    for part in ("by_category", "by_language"):
        assert two["after"][part] == pytest.approx(one.after[part], rel=1e-5)
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
def test_weights_that_no_loop_with_gradients_reaches_keep_nobody_waiting(training: Keys, tmp_path: Path) -> None:
    model = training()["model"] | {"loops": 2, "input_injection": "replace", "tie_embeddings": False}
    keys = training(model=model, backprop_loops=1, accumulation=2)
    one = run(keys | {"batch_sequences": 4, "out": str(tmp_path / "one")})
    ended = group(keys | {"out": str(tmp_path / "two")}, tmp_path, 2)
    assert [code for code, _ in ended] == [0, 0], ended[0][1]
    two = json.loads((tmp_path / "two/result.json").read_text())["result"]
    assert two["after"]["bits_per_byte"] == pytest.approx(one.after["bits_per_byte"], rel=1e-5)


@pytest.mark.slow
def test_a_bit_that_flips_in_one_replica_ends_all_and_is_named(training: Keys, tmp_path: Path) -> None:
    ended = group(training(verify_every=2), tmp_path, 3, "strike", 1, 3)
    assert [code for code, _ in ended] == [1, 1, 1]
    for _, error in ended:
        assert (
            "SilentError: replicas of parameters differ before step 4: rank 1: blocks.0.attention.key.weight;" in error
        )


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "step"), [(1, 0), (3, 6)])
def test_a_stop_of_one_process_in_evaluation_ends_all_and_is_gone_on_from(
    training: Keys, tmp_path: Path, batch: int, step: int
) -> None:
    """Three held-out sequences, one at a time: the second process has one in each evaluation, and then waits a turn."""
    keys = training(batch_sequences=1)
    rank = 1 if batch == 1 else 0  # the first has two batches in the evaluation before, so that its third is after
    ended = group(keys, tmp_path, 2, "stop", rank, batch)
    assert [code for code, _ in ended] == [130, 130]
    assert all(f"stopped at step {step} of 6; go on by the same command" in error for _, error in ended)
    assert not (tmp_path / "out/result.json").exists()
    assert [code for code, _ in group(keys, tmp_path, 2)] == [0, 0]
    assert (tmp_path / "out/result.json").exists()


@pytest.mark.slow
def test_a_stop_of_one_process_after_all_have_agreed_to_go_on_ends_all_a_step_later(
    training: Keys, tmp_path: Path
) -> None:
    keys = training(checkpoint_every=2)
    ended = group(keys, tmp_path, 2, "stop_saving", 0, 1)
    assert [code for code, _ in ended] == [130, 130]
    assert all("stopped at step 3 of 6; go on by the same command" in error for _, error in ended)
    assert (tmp_path / "out/checkpoints/step-00000003").is_dir()


V2 = {"variant": "loopcoder-v2", "window": 4, "layers": 2}


def weights(out: Path, step: int = 6) -> dict[str, Any]:
    found: dict[str, Any] = load_file(out / f"checkpoints/step-{step:08d}/weights.safetensors")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 4])
def test_processes_that_share_sequences_train_what_one_trains(training: Keys, tmp_path: Path, ranks: int) -> None:
    """With four there are two teams of two. The model shifts its state, and rows hold several documents and padding."""
    model = {**training()["model"], **V2}
    keys = training(model=model, seed={"order": 5}, lr=1e-3, dtype="fp32")
    one = run({**keys, "accumulation": ranks, "out": str(tmp_path / "one")})
    shared = {**keys, "context_parallel": 2, "accumulation": 2, "verify_every": 1, "keep": 9}
    assert group(shared, tmp_path, ranks) == [(0, "")] * ranks
    together = json.loads((tmp_path / "out/result.json").read_text())["result"]
    for name in ("tokens", "steps", "parameters"):
        assert together[name] == getattr(one, name)
    for when in ("before", "after"):
        mine, theirs = getattr(one, when), together[when]
        assert (mine["tokens"], mine["bytes"]) == (theirs["tokens"], theirs["bytes"])
        for part in ("by_category", "by_language"):
            assert theirs[part] == pytest.approx(mine[part], rel=1e-5)
    for mine, theirs in zip(journal(tmp_path / "one"), journal(tmp_path / "out"), strict=True):
        assert theirs == pytest.approx(mine, rel=1e-4)
    found, expected = weights(tmp_path / "out"), weights(tmp_path / "one")
    assert all((found[name] - expected[name]).abs().max() < 2e-5 for name in expected)

    # Gone on from the middle, it ends with the same bytes.
    for step in (4, 6):
        shutil.rmtree(tmp_path / f"out/checkpoints/step-{step:08d}")
    (tmp_path / "out/result.json").unlink()
    assert group(shared, tmp_path, ranks) == [(0, "")] * ranks
    assert all(torch.equal(tensor, found[name]) for name, tensor in weights(tmp_path / "out").items())


@pytest.mark.slow
def test_one_process_goes_on_with_what_two_began_on_shared_sequences(training: Keys, tmp_path: Path) -> None:
    keys = training(checkpoint_every=3, keep=9)
    assert group({**keys, "context_parallel": 2}, tmp_path, 2) == [(0, "")] * 2
    shared = weights(tmp_path / "out")
    shutil.rmtree(tmp_path / "out/checkpoints/step-00000006")
    (tmp_path / "out/result.json").unlink()
    assert run(keys).steps == 6
    assert all((tensor - shared[name]).abs().max() < 1e-4 for name, tensor in weights(tmp_path / "out").items())


def test_processes_that_share_sequences_exchange_no_gradients_during_the_pass() -> None:
    """DDP would, on a communicator beside that of the sequences; it asks for a group as soon as it is made."""
    module = torch.nn.Linear(1, 1)
    assert share(module, Group(size=2, context=2), torch.device("cpu")) is module


def test_a_process_alone_does_not_share_sequences(training: Keys) -> None:
    with pytest.raises(ConfigError, match=r"context_parallel' is 2, the number of processes 1; .*torchrun --nproc-per"):
        run(training(context_parallel=2))


@pytest.mark.slow
def test_a_process_that_is_gone_ends_the_others_with_a_word(training: Keys, tmp_path: Path) -> None:
    (first, error), (second, _) = group(training(), tmp_path, 2, "die", 1, 2)
    assert (first, second) == (1, 9)
    assert error == ("RunError: another process of the 2 has ended, or does not answer; look for what that one says\n")


def test_processes_are_told_to_be_started_together(training: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(
        ConfigError, match=r"WORLD_SIZE is 2, and .*MASTER_ADDR expected, but not set; start .*torchrun"
    ):
        run(training())
