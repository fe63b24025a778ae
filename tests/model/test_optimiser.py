"""Learning rates of each step, and what decays."""

from typing import Any

import pytest
import torch
from torch import nn

from model.config import ModelConfig
from model.looped import LoopedTransformer
from model.optimiser import learning_rate, make_optimisers
from model.train_config import TrainConfig
from tests.model.test_looped import BASE


def config(**changes: Any) -> TrainConfig:
    base: dict[str, Any] = {"data": "d", "out": "o", "model": "m", "lr": 1.0, "warmup": 0.2, "min_lr": 0.1}
    return TrainConfig(**{**base, **changes})


def rates(steps: int, **changes: Any) -> list[float]:
    return [round(learning_rate(step, steps, config(**changes)), 4) for step in range(1, steps + 1)]


def test_linear_warms_up_and_comes_down_to_the_least_rate() -> None:
    assert rates(10, decay="linear") == [0.5, 1.0, 0.8875, 0.775, 0.6625, 0.55, 0.4375, 0.325, 0.2125, 0.1]


def test_cosine_has_its_middle_in_the_middle() -> None:
    found = rates(10, decay="cosine")
    assert (found[1], found[5], found[9]) == (1.0, 0.55, 0.1)
    assert found[3] == pytest.approx(0.1 + 0.9 * (1 + 2**-0.5) / 2, abs=1e-4)


def test_a_decay_share_leaves_the_rate_constant_before() -> None:
    assert rates(10, decay="linear", decay_share=0.2) == [0.5, *[1.0] * 7, 0.55, 0.1]
    assert rates(4, decay="none", warmup=0.0) == [1.0] * 4
    assert rates(4, decay="linear", warmup=1.0) == [0.25, 0.5, 0.75, 1.0]


def test_one_step_has_a_rate() -> None:
    assert rates(1, warmup=0.05, decay="cosine") == [0.1]


def test_matrices_decay_and_vectors_do_not() -> None:
    module = nn.Linear(2, 2)
    with torch.no_grad():
        module.weight.fill_(1.0)
        module.bias.fill_(1.0)
    (optimiser,) = make_optimisers(module, config(lr=0.1, weight_decay=0.5))
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    assert module.weight.flatten().tolist() == pytest.approx([0.95] * 4)
    assert module.bias.tolist() == [1.0, 1.0]


def test_muon_takes_the_matrices_of_the_blocks_and_adamw_the_rest() -> None:
    model = LoopedTransformer(ModelConfig(**BASE), seed=1)
    muon, adamw = make_optimisers(model, config(optimiser="muon"))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    by_muon, by_adamw = ([names[id(p)] for g in o.param_groups for p in g["params"]] for o in (muon, adamw))
    assert all(name.startswith("blocks.") and name.endswith("weight") for name in by_muon)
    assert len(by_muon) == 2 * 7
    assert "blocks.0.attention.gate.weight" in by_adamw  # a stack of vectors, not a matrix
    assert sorted(by_muon + by_adamw) == sorted(names.values())


def test_steps_come_from_tokens_or_one_pass_or_are_given() -> None:
    assert config(batch_sequences=2, accumulation=2).total_steps(order_size=9, length=10) == 3
    assert config(batch_sequences=2, tokens=41).total_steps(order_size=9, length=10) == 3
    assert config(steps=5).total_steps(order_size=9, length=10) == 5
