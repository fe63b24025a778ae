"""Dense models from elsewhere: a folder of safetensors in the layout of Llama or Qwen2, as one of ours with one loop.

Enters: a folder with `config.json` and `*.safetensors`, or one of our checkpoints. Leaves: a ModelConfig and the
weights under our names. What such a folder asks for and this model does not have (scaled rotary angles, sliding
windows, norms of queries and keys, biases elsewhere) is refused by its name: a model that is nearly the same is another
model. Limit: weights are read into memory whole, in fp32.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from loopdata.errors import ConfigError, ShardError
from model.checkpoint import STATE, WEIGHTS, read_checkpoint
from model.config import ModelConfig
from model.files import digest_of
from model.looped import LoopedTransformer
from model.parsing import parse

Weights = dict[str, Tensor]

_FETCH = "fetch config.json and all *.safetensors again"
_NAME_ONE = "name a checkpoint, or a folder of a Llama or Qwen2 model"
_SIZES = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "max_position_embeddings",
)  # fmt: skip
_KINDS = ("llama", "qwen2", "mistral")
_NAMES = {
    "self_attn.q_proj": "attention.query",
    "self_attn.k_proj": "attention.key",
    "self_attn.v_proj": "attention.value",
    "self_attn.o_proj": "attention.out",
    "mlp.gate_proj": "ffn.gate",
    "mlp.up_proj": "ffn.up",
    "mlp.down_proj": "ffn.down",
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "ffn_norm",
}
_WHOLE = {
    "model.embed_tokens.weight": "embedding.weight",
    "model.norm.weight": "final_norm.weight",
    "lm_head.weight": "head.weight",
}


def read_dense(folder: str | Path) -> tuple[ModelConfig, Weights]:
    """A dense model: one of our checkpoints with one loop, or a folder in Llama's layout.

    ConfigError names what does not fit; ShardError a folder that is not whole.
    """
    path = Path(folder)
    if _is_ours(path):
        config = parse(ModelConfig, read_checkpoint(path).origin["model"], "model")
        if config.loops != 1:
            raise ConfigError(f"{path} has {config.loops} loops", "fold a model of one loop")
        return config, load_file(path / WEIGHTS)
    try:
        described = dict(json.loads((path / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ShardError(f"{path} is neither a checkpoint nor has it a config.json", _NAME_ONE) from error
    config = _config(described, path)
    return config, _weights(path, config)


def digest_of_dense(folder: str | Path) -> str:
    """A digest of what `read_dense` reads, wherever it lies. ShardError where there are no weights."""
    path = Path(folder)
    weights = _weight_files(path)
    described = [file for file in (path / "config.json",) if file.exists()]  # our own checkpoints have none
    parts = [(file.name, digest_of(file)) for file in (*described, *weights)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _weight_files(path: Path) -> list[Path]:
    """Our checkpoint's weights, or all `*.safetensors` of a folder."""
    files = [path / WEIGHTS] if _is_ours(path) else sorted(path.glob("*.safetensors"))
    if not files:
        raise ShardError(f"{path} holds no *.safetensors", _NAME_ONE)
    return files


def _is_ours(path: Path) -> bool:
    return (path / STATE).exists() and (path / WEIGHTS).exists()


def _config(found: Mapping[str, Any], path: Path) -> ModelConfig:
    rope = found.get("rope_parameters") or found.get("rope_scaling") or {}
    wanted = {
        "model_type": (found.get("model_type"), _KINDS),
        "hidden_act": (found.get("hidden_act", "silu"), ("silu",)),
        "rope_type": (rope.get("rope_type", rope.get("type", "default")), ("default",)),
        "sliding_window": (found.get("sliding_window") if found.get("use_sliding_window", True) else None, (None,)),
        "mlp_bias": (found.get("mlp_bias", False), (False,)),
    }
    for name, (value, allowed) in wanted.items():
        if value not in allowed:
            raise ConfigError(f"{path}: '{name}' is {value!r}, which this model has not", f"it has {allowed}")
    for name in _SIZES:
        if not isinstance(found.get(name), int):
            raise ShardError(f"{path / 'config.json'}: '{name}' is {found.get(name)!r}, no number", _FETCH)
    heads = found["num_attention_heads"]
    return ModelConfig(
        vocab_size=found["vocab_size"],
        dim=found["hidden_size"],
        layers=found["num_hidden_layers"],
        heads=heads,
        kv_heads=found.get("num_key_value_heads") or heads,
        head_dim=found.get("head_dim") or found["hidden_size"] // heads,
        ffn_dim=found["intermediate_size"],
        max_length=found["max_position_embeddings"],
        rope_theta=float(rope.get("rope_theta", found.get("rope_theta", 10_000.0))),
        norm_epsilon=found.get("rms_norm_eps", 1e-6),
        tie_embeddings=found.get("tie_word_embeddings", False),
        qkv_bias=found["model_type"] == "qwen2" or bool(found.get("attention_bias", False)),
        loops=1,
    )


def _weights(path: Path, config: ModelConfig) -> Weights:
    result: Weights = {}
    for name, tensor in _tensors(path):
        if name == "lm_head.weight" and config.tie_embeddings:
            continue
        result[_our_name(name, path)] = tensor.to(torch.float32)
    with torch.device("meta"):
        wanted = LoopedTransformer(config).state_dict()
    for name in sorted(set(wanted) | set(result)):
        has, needs = (list(part[name].shape) if name in part else None for part in (result, wanted))
        if has is None:
            raise ShardError(f"{path} has no tensor for '{name}'", _FETCH)
        if has != needs:
            told = f"one of {needs}" if needs else "none"
            raise ShardError(f"{path} has a tensor of {has} for '{name}', its config.json tells of {told}", _FETCH)
    return result


def _tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    for file in _weight_files(path):
        try:
            yield from load_file(file).items()
        except SafetensorError as error:
            raise ShardError(f"{file} is broken: {error}", _FETCH) from error


def _our_name(name: str, path: Path) -> str:
    if name in _WHOLE:
        return _WHOLE[name]
    parts = name.removeprefix("model.layers.").split(".")
    inside, kind = ".".join(parts[1:-1]), parts[-1]
    biased = kind != "bias" or inside in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    if name.startswith("model.layers.") and inside in _NAMES and biased:
        return f"blocks.{parts[0]}.{_NAMES[inside]}.{kind}"
    raise ConfigError(f"{path}: this model has no place for the tensor '{name}'", "give a plain Llama or Qwen2 model")
