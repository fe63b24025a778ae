"""Parameters of the configurations that come along, and operations by the formula."""

from pathlib import Path

import pytest
import torch

from model.config import ModelConfig, load_model_config
from model.cost import count_parameters, flops_per_token
from model.looped import LoopedTransformer

CONFIGS = Path(__file__).parents[2] / "configs" / "model"


@pytest.mark.parametrize(
    ("name", "vocabulary", "parameters"),
    [
        ("100k", 1024, 0.1e6),
        ("1m", 8192, 1e6),
        ("4m", 8192, 4e6),
        ("15m", 8192, 15e6),
        ("60m", 32_768, 60e6),
        ("150m", 32_768, 150e6),
    ],
)
def test_a_configuration_has_the_size_that_its_name_says(
    name: str, vocabulary: int, parameters: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.looped.initialise", lambda *_: None)
    with torch.device("meta"):
        model = LoopedTransformer(load_model_config(CONFIGS / f"{name}.yaml", vocabulary))
    assert count_parameters(model)["total"] == pytest.approx(parameters, rel=0.1)
    assert model.config.max_length >= 1024


def test_every_configuration_is_counted_above() -> None:
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == {"100k", "1m", "4m", "15m", "60m", "150m"}


def small(loops: int, tie: bool = True) -> LoopedTransformer:
    return LoopedTransformer(
        ModelConfig(
            vocab_size=10, dim=4, layers=2, heads=2, kv_heads=1, head_dim=2, ffn_dim=3, max_length=8,
            window=3, loops=loops, tie_embeddings=tie,
        )
    )  # fmt: skip


# A block: two norms 8, query 16, key 8, value 8, out 16, feed-forward 36 = 92; the gate of two loops 2·2 + 2 = 6 more.
def test_parameters_are_counted_with_and_without_the_tables() -> None:
    assert count_parameters(small(1)) == {"total": 2 * 92 + 4 + 40, "non_embedding": 2 * 92 + 4}
    assert count_parameters(small(2)) == {"total": 2 * 98 + 4 + 40, "non_embedding": 2 * 98 + 4}
    assert count_parameters(small(1, tie=False))["total"] == 2 * 92 + 4 + 80


def test_operations_of_one_loop_are_those_of_a_plain_transformer() -> None:
    assert flops_per_token(small(1), 8) == 6 * (184 + 40) + 2 * 6 * 4 * 8


def test_a_further_loop_adds_its_blocks_a_global_and_a_local_pass() -> None:
    assert flops_per_token(small(3), 8) == 6 * (3 * 196 + 40) + 2 * (3 * 6 * 4 * 8 + 2 * 12 * 4 * 3)
