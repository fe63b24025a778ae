"""What counts as a loss spike, and what a training does about it."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from loopdata.errors import ConfigError, RunError
from model.spikes import Spikes
from model.train_config import load_train_config
from model.trainer import train
from tests.model.test_trainer import Keys, journal, run, saved_bytes, stopping_at

GUARD = {"sigmas": 3.0, "window": 8, "patience": 2}


def test_a_spike_lies_above_mean_and_deviations_of_the_last_losses() -> None:
    assert Spikes(3.0, 8).threshold([1.0, 3.0]) == pytest.approx(2.0 + 3.0)
    assert Spikes(3.0, 8).threshold([100.0, *[1.0, 3.0] * 4]) == pytest.approx(5.0)


def test_the_first_steps_are_not_judged_and_no_sigmas_switch_it_off() -> None:
    assert Spikes(3.0, 8).threshold([1.0]) == math.inf
    assert Spikes(None, 8).threshold([1.0] * 8) == math.inf


@pytest.mark.parametrize("keys", [{"sigmas": 0.0}, {"window": 7}, {"patience": 0}])
def test_a_guard_that_cannot_be_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="spikes"):
        Spikes(**keys)


def leaping(monkeypatch: pytest.MonkeyPatch, steps: set[int]) -> None:
    """The real loss, times ten in some of the steps."""
    from model import objective

    real, calls = objective.sum_of_nats, iter(range(1, 1_000))

    def loss(*tensors: Any) -> Any:
        total, each = real(*tensors)
        return (total * 10 if next(calls) in steps else total), each

    monkeypatch.setattr(objective, "sum_of_nats", loss)


def test_a_step_whose_loss_leaps_changes_nothing_and_is_noted(
    training: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaping(monkeypatch, {4})
    run(training(spikes=GUARD, keep=9, checkpoint_every=1))
    skipped = [json.loads(line)["skipped"] for line in (tmp_path / "out/metrics.jsonl").read_text().splitlines()]
    assert skipped == [False, False, False, True, False, False]
    weights = [(tmp_path / f"out/checkpoints/step-{n:08d}/weights.safetensors").read_bytes() for n in (3, 4, 5)]
    assert weights[0] == weights[1] != weights[2]


def test_spike_after_spike_stops_the_training(training: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    leaping(monkeypatch, {4, 5})
    with pytest.raises(RunError, match=r"leapt in 2 steps in a row, to .* at step 5; lower `lr`"):
        run(training(spikes=GUARD))


def test_the_guard_remembers_over_a_stop(training: Keys, tmp_path: Path) -> None:
    run(training(spikes=GUARD, out=str(tmp_path / "whole")))
    with pytest.raises(KeyboardInterrupt):
        train(load_train_config(training(spikes=GUARD)), stopping_at(3))
    run(training(spikes=GUARD))
    assert saved_bytes(tmp_path / "out") == saved_bytes(tmp_path / "whole")
    assert journal(tmp_path / "out") == journal(tmp_path / "whole")
