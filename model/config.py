"""What a looped transformer is: the frozen record that builds one, with every published variant as a switch.

Enters: a YAML file or mapping of these keys, of which `variant` stands for those of a published model. Leaves: a
checked ModelConfig. The defaults are the seed's LoopCoder (eqs. 1–5): `H' = f(E + H)`, no shift, gate from the queries,
window strictly before the position.
Limit: depth is fixed by `loops`; a depth drawn per sequence is not here.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from loopdata.errors import ConfigError
from model.parsing import parse, read_yaml

# Published models as switches; a key beside `variant` counts before the variant's.
VARIANTS: dict[str, dict[str, Any]] = {
    "loopcoder": {},
    "loopcoder-released": {"input_injection": "replace", "window_self": True},
    "loopcoder-v2": {
        "input_injection": "scaled", "loop_shift": 1, "gate_input": "residual", "window": 65, "window_self": True,
        "norm_each_loop": True,
    },
    "parcae": {"input_injection": "parcae"},
}  # fmt: skip


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and switches of one model. ConfigError names the key and the value that cannot be."""

    vocab_size: int  # given by the dataset
    dim: int
    layers: int
    heads: int
    head_dim: int
    ffn_dim: int
    max_length: int
    kv_heads: int | None = None  # as many as `heads` unless given
    rope_theta: float = 10_000.0
    norm_epsilon: float = 1e-6
    tie_embeddings: bool = True
    qkv_bias: bool = False  # on queries, keys and values, as in Qwen2
    loops: int = 2
    # Into loop r + 1, from embeddings E and state H:  add E + H · replace H · scaled a·E + b·H with the two numbers
    # below · parcae exp(−ΔA)·H + ΔB·E with learnt diagonals.
    input_injection: Literal["add", "replace", "scaled", "parcae"] = "add"
    embedding_scale: float = 0.707
    state_scale: float = 0.053
    loop_shift: int = 0  # positions by which H moves on before each further loop, inside its document
    # query: from the queries that attend, after RoPE, so that a fused kernel has them on chip. residual: from the
    # normed residual that makes them.
    gate_input: Literal["query", "residual"] = "query"
    # head: one number a head, as in the released models. channel: one for each of its channels, the widest reading of
    # the seed's ⊙; W_g is then a matrix a head.
    gate_per: Literal["head", "channel"] = "head"
    window: int = 64  # keys that local attention sees
    window_self: bool = False  # whether the last of them is the position itself, or (eq. 3) the one before it
    norm_each_loop: bool = False  # the final norm after every loop, or after the last one only

    def __post_init__(self) -> None:
        for name in ("vocab_size", "dim", "layers", "heads", "head_dim", "ffn_dim", "max_length", "window"):
            self._require(name, getattr(self, name) >= 1, "give at least 1")
        self._require("loops", 1 <= self.loops <= 4, "give 1 to 4")
        self._require("loop_shift", self.loop_shift in (0, 1), "give 0 or 1")
        self._require("head_dim", self.head_dim % 2 == 0, "rotary positions need an even number")
        divides = self.groups >= 1 and self.heads % self.groups == 0
        self._require("kv_heads", divides, f"give a divisor of heads, {self.heads}")
        self._require("rope_theta", self.rope_theta > 0, "give a positive number")
        self._require("norm_epsilon", self.norm_epsilon > 0, "give a positive number")

    @property
    def groups(self) -> int:
        """Heads of keys and values."""
        return self.heads if self.kv_heads is None else self.kv_heads

    def _require(self, name: str, holds: bool, remedy: str) -> None:
        if not holds:
            raise ConfigError(f"'model.{name}' is {getattr(self, name)!r}", remedy)


def load_model_config(source: str | Path | Mapping[str, Any], vocab_size: int, loops: int | None = None) -> ModelConfig:
    """The model of a YAML file or mapping, for a dataset's vocabulary; `loops` overrides the file's.

    ConfigError when the file states another vocabulary, or a key or value that cannot be.
    """
    values = dict(source) if isinstance(source, Mapping) else read_yaml(source)
    values = _variant(values.pop("variant", "loopcoder")) | values
    if values.setdefault("vocab_size", vocab_size) != vocab_size:
        raise ConfigError(
            f"'model.vocab_size' is {values['vocab_size']!r}, the dataset has {vocab_size}", "leave the key out"
        )
    if loops is not None:
        values["loops"] = loops
    return parse(ModelConfig, values, "model")


def _variant(name: object) -> dict[str, Any]:
    if name not in VARIANTS:
        raise ConfigError(f"'model.variant' is {name!r}", f"there are: {', '.join(VARIANTS)}")
    return VARIANTS[str(name)]


def as_mapping(config: Any) -> dict[str, Any]:
    """A configuration as plain values for YAML or JSON, defaults included."""
    return dataclasses.asdict(config)
