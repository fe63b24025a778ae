"""Strict reading of configurations: each message names the key, the value and the remedy."""

from pathlib import Path
from typing import Any

import pytest

from loopdata.errors import ConfigError
from model.config import ModelConfig, load_model_config
from model.parsing import override, read_yaml
from model.train_config import load_train_config

MODEL: dict[str, Any] = {"dim": 8, "layers": 1, "heads": 2, "head_dim": 4, "ffn_dim": 8, "max_length": 16}
TRAIN: dict[str, Any] = {"data": "d", "out": "o", "model": MODEL}


def test_defaults_are_the_seeds_loopcoder() -> None:
    config = load_model_config(MODEL, vocab_size=5)
    assert (config.loops, config.input_injection, config.loop_shift) == (2, "add", 0)
    assert (config.gate_input, config.gate_per, config.window, config.window_self) == ("query", "head", 64, False)
    assert (config.norm_each_loop, config.groups, config.vocab_size) == (False, 2, 5)


def test_loops_given_beside_a_model_come_before_its_own() -> None:
    assert load_model_config({**MODEL, "loops": 3}, 5, loops=1).loops == 1


def test_numbers_are_taken_for_what_yaml_says() -> None:
    config = load_train_config({**TRAIN, "lr": "1e-3", "clip": 1, "betas": [0.9, 0.99], "tokens": 6e5})
    assert (config.lr, config.clip, config.betas, config.tokens) == (0.001, 1.0, (0.9, 0.99), 600_000)
    assert load_train_config({**TRAIN, "seed": {"order": 3}}).seed.order == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dims": 8}, "unknown key 'model.dims'; did you mean 'dim'?"),
        ({"dim": "wide"}, "'model.dim' is 'wide' (str); give int"),
        ({"dim": 8.5}, "'model.dim' is 8.5 (float); give int"),
        ({"dim": True}, "'model.dim' is True (bool); give int"),
        ({"window_self": 1}, "'model.window_self' is 1 (int); give bool"),
        ({"gate_per": "heads"}, "'model.gate_per' is 'heads', not one of head, channel; did you mean 'head'?"),
        ({"loops": 5}, "'model.loops' is 5; give 1 to 4"),
        ({"loops": 0}, "'model.loops' is 0; give 1 to 4"),
        ({"loop_shift": 2}, "'model.loop_shift' is 2; give 0 or 1"),
        ({"head_dim": 3}, "'model.head_dim' is 3; rotary positions need an even number"),
        ({"kv_heads": 3}, "'model.kv_heads' is 3; give a divisor of heads, 2"),
        ({"kv_heads": 0}, "'model.kv_heads' is 0; give a divisor of heads, 2"),
        ({"window": 0}, "'model.window' is 0; give at least 1"),
        ({"vocab_size": 6}, "'model.vocab_size' is 6, the dataset has 5; leave the key out"),
    ],
)
def test_a_model_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_model_config({**MODEL, **changes}, vocab_size=5)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rat": 1}, "unknown key 'learning_rat'; known keys: data, out, model,"),
        ({"warmups": 1}, "unknown key 'warmups'; did you mean 'warmup'?"),
        ({"seed": {"inti": 1}}, "unknown key 'seed.inti'; did you mean 'init'?"),
        ({"seed": {"order": -1}}, "'seed.order' is -1; give 0 or more"),
        ({"seed": 5}, "seed is 5"),
        ({"betas": [0.9]}, "'betas' is [0.9], not a list of 2"),
        ({"betas": [0.9, 1]}, "'betas' is (0.9, 1.0); give two numbers from 0 to below 1"),
        ({"model": 7}, "'model' is 7 (int); give str or dict"),
        ({"data": None}, "'data' is None (NoneType); give str"),
        ({"lr": 0}, "'lr' is 0.0; give a positive number"),
        ({"warmup": 1.5}, "'warmup' is 1.5; give a share between 0 and 1"),
        ({"steps": 3, "tokens": 4}, "'steps' is 3; give steps or tokens, not both"),
        ({"keep": 0}, "'keep' is 0; give at least 1"),
    ],
)
def test_a_training_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_train_config({**TRAIN, **changes})
    assert str(refused.value).startswith(message)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ConfigError, match="'out' is missing"):
        load_train_config({"data": "d", "model": MODEL})


def test_a_file_that_is_no_mapping_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    for text, message in (("- 1", "holds list"), ("a: [", "is not YAML"), (None, "cannot be read")):
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
        with pytest.raises(ConfigError, match=f"model.yaml {message}"):
            read_yaml(path)


def test_assignments_replace_values_at_their_place() -> None:
    values = {"lr": 1, "model": {"dim": 8}}
    assert override(values, ["model.dim=16", "seed.order=null", "lr=1e-3"]) == {
        "lr": "1e-3",
        "model": {"dim": 16},
        "seed": {"order": None},
    }
    assert values == {"lr": 1, "model": {"dim": 8}}
    for wrong in ("lr", "=3", "lr.x=3", "lr=[1"):
        with pytest.raises(ConfigError, match="--set"):
            override(values, [wrong])


def test_the_number_of_groups_is_that_of_heads_unless_given() -> None:
    assert ModelConfig(vocab_size=5, **{**MODEL, "kv_heads": 1}).groups == 1
