"""Dense to loop: the blocks of a dense checkpoint folded into fewer that are run several times (LoopCoder, 2.2).

Enters: a dense model's configuration and weights, the configuration of a looped one of the same shape, and how a group
of blocks becomes one: their mean, the first, the middle or the last. Leaves: weights of the looped model. Block i of l
stands for the dense blocks that it will do the work of: i, i + l, i + 2l … where loops · l is the dense depth, else l
groups of neighbours. What a dense model does not have (gates, injection) keeps its first values. Limit: the seed says
no more than "aggregating the weights of representative blocks"; which way is best is a matter of measurement.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Literal

import torch
from torch import Tensor

from loopdata.errors import ConfigError
from model.config import ModelConfig
from model.looped import LoopedTransformer

Aggregate = Literal["mean", "first", "middle", "last"]
# What may differ: depth, loops, and what only later loops have.
_FREE = {
    "layers", "loops", "max_length", "input_injection", "embedding_scale", "state_scale", "loop_shift", "gate_input",
    "gate_per", "window", "window_self", "norm_each_loop",
}  # fmt: skip


def groups_of(dense_layers: int, layers: int, loops: int) -> list[list[int]]:
    """The dense blocks that each looped block is made of. ConfigError where they do not divide."""
    if dense_layers % layers:
        raise ConfigError(
            f"{dense_layers} dense blocks do not fold into {layers}", "give a divisor of them as `layers`"
        )
    each = dense_layers // layers
    if each == loops:
        return [list(range(layer, dense_layers, layers)) for layer in range(layers)]
    return [list(range(layer * each, (layer + 1) * each)) for layer in range(layers)]


def fold(dense: ModelConfig, weights: Mapping[str, Tensor], looped: LoopedTransformer, how: Aggregate) -> None:
    """Put the folded weights into `looped`. ConfigError names the key in which the two models do not fit."""
    config = looped.config
    for key, value in asdict(dense).items():
        if (
            key not in _FREE
            and value != getattr(config, key)
            and not (key == "kv_heads" and dense.groups == config.groups)
        ):
            raise ConfigError(
                f"'model.{key}' is {getattr(config, key)!r}, the dense model has {value!r}", "give the same"
            )
    state = looped.state_dict()
    for name in ("embedding.weight", "final_norm.weight", *(["head.weight"] if not config.tie_embeddings else [])):
        state[name] = weights[name]
    inside = sorted(name.removeprefix("blocks.0.") for name in weights if name.startswith("blocks.0."))
    for layer, group in enumerate(groups_of(dense.layers, config.layers, config.loops)):
        for name in inside:
            state[f"blocks.{layer}.{name}"] = aggregate([weights[f"blocks.{n}.{name}"] for n in group], how)
    looped.load_state_dict(state)


def aggregate(tensors: list[Tensor], how: Aggregate) -> Tensor:
    """One of `tensors`, or their mean; of an even number the middle is the later of the two."""
    if how == "mean":
        return torch.stack(tensors).mean(0)
    return tensors[{"first": 0, "middle": len(tensors) // 2, "last": -1}[how]]
