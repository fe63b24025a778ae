"""Generation: the cache gives what the whole pass gives, in every variant and however the tokens are cut."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernels.documents import Documents
from loopdata.errors import ConfigError
from model.config import ModelConfig
from model.generation import Cache, cache_bytes, generate
from model.looped import LoopedTransformer
from tests.model.test_looped import BASE, TOKENS, build

VARIANTS: list[dict[str, Any]] = [
    {"loops": 1},
    {"loops": 2},
    {"loops": 2, "input_injection": "replace", "window_self": True},
    {"loops": 2, "window": 1},
    {"loops": 2, "window": 1, "window_self": True},
    {"loops": 3, "input_injection": "scaled", "loop_shift": 1, "gate_input": "residual", "window_self": True,
     "norm_each_loop": True},
    {"loops": 4, "input_injection": "parcae", "loop_shift": 1, "gate_per": "channel", "window": 20},
]  # fmt: skip


def whole(model: LoopedTransformer, tokens_BT: Tensor) -> Tensor:
    with torch.no_grad():
        return model(tokens_BT, Documents.whole(*tokens_BT.shape)) @ model.readout.T


@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=12, deadline=None)
@given(cuts=st.sets(st.integers(1, 7)))
def test_a_cached_pass_gives_the_logits_of_the_whole_one(variant: dict[str, Any], cuts: set[int]) -> None:
    model = build(**variant)
    cache = Cache(model, 2, 8)
    pieces = torch.tensor_split(TOKENS, sorted(cuts), dim=1)
    found = torch.cat([cache.read(piece) for piece in pieces], dim=1)
    torch.testing.assert_close(found, whole(model, TOKENS), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_likeliest_tokens_are_those_of_passes_without_a_cache(variant: dict[str, Any]) -> None:
    model = build(**variant)
    tokens = TOKENS
    for _ in range(6):
        tokens = torch.cat([tokens, whole(model, tokens)[:, -1:].argmax(-1)], dim=1)
    assert generate(model, TOKENS, 6) == tokens[:, 8:].tolist()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_bytes_of_a_cache_are_those_of_the_formula(variant: dict[str, Any]) -> None:
    model = build(**variant)
    cache = Cache(model, 1, 16)
    cache.read(TOKENS[:1])
    assert cache.num_bytes == cache_bytes(model.config, 8, element_bytes=8)["looped"]


def test_what_later_loops_keep_does_not_hold_the_prompt() -> None:
    model = build(loops=3, window=2, loop_shift=1)
    cache = Cache(model, 1, 8)
    cache.read(TOKENS[:1])
    kept = [*cache._states.values(), *(x for pair in cache._local.values() for x in pair)]
    assert [x.untyped_storage().nbytes() for x in kept] == [x.numel() * x.element_size() for x in kept]


def test_two_loops_keep_a_window_and_not_a_second_cache() -> None:
    config = ModelConfig(**{**BASE, "loops": 2, "window": 64, "max_length": 4096})
    bytes_of = cache_bytes(config, 4096)
    assert bytes_of == {"looped": 2 * 16 * (4096 + 64), "unrolled": 2 * 2 * 16 * 4096}


def test_generation_ends_before_the_token_that_stops_it() -> None:
    model = build(loops=2)
    free = generate(model, TOKENS[:1], 6)[0]
    stopped = generate(model, TOKENS[:1], 6, stop={free[2]})[0]
    assert stopped == free[: free.index(free[2])]
    early = generate(model, TOKENS[:1], 6, stop={free[1], free[2]})[0]
    assert early == free[: min(free.index(free[1]), free.index(free[2]))]


def test_draws_repeat_by_seed() -> None:
    model = build(loops=2)
    first, again, other = (generate(model, TOKENS, 8, temperature=5.0, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_prompt_that_leaves_no_room_is_refused() -> None:
    model = build(loops=2)
    with pytest.raises(ConfigError, match=r"17 positions are more than 'model\.max_length', 16"):
        generate(model, TOKENS, 10)
    assert len(generate(model, TOKENS, 9)[0]) == 9
    with pytest.raises(ConfigError, match="prompt is empty"):
        generate(model, TOKENS[:, :0], 1)
