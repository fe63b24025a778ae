"""The looped transformer: one loop is a plain transformer, every switch does what it says, nothing leaks."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from kernels.documents import Documents
from loopdata.errors import ConfigError
from model.config import ModelConfig, load_model_config
from model.looped import LoopedTransformer

BASE: dict[str, Any] = {
    "vocab_size": 11, "dim": 8, "layers": 2, "heads": 2, "kv_heads": 1, "head_dim": 4, "ffn_dim": 12,
    "max_length": 16, "window": 3,
}  # fmt: skip
TOKENS = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6], [5, 3, 5, 8, 9, 7, 9, 3]])
DOCUMENTS = Documents.of(torch.tensor([[0, 0, 0, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0, 0]]))


def build(**changes: Any) -> LoopedTransformer:
    """A model in fp64 whose weights are large enough that every part matters."""
    model = LoopedTransformer(ModelConfig(**{**BASE, **changes}), seed=1).double()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for _, parameter in sorted(model.named_parameters()):
            fan = parameter.shape[-1] if parameter.ndim > 1 else 4
            parameter += torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / math.sqrt(fan)
    return model


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    return x / torch.sqrt((x * x).mean() + 1e-6) * weight


def turn(x: Tensor, position: int) -> Tensor:
    """Rotary positions as complex numbers: component i and i + d/2 are one."""
    half = len(x) // 2
    turned = []
    for i in range(half):
        angle = position * 10_000.0 ** (-2 * i / len(x))
        turned.append(complex(float(x[i]), float(x[i + half])) * complex(math.cos(angle), math.sin(angle)))
    return x.new_tensor([z.real for z in turned] + [z.imag for z in turned])


def plain_transformer(w: dict[str, Tensor], tokens: list[int], positions: list[int]) -> Tensor:
    """A pre-norm transformer of two blocks on one document, token by token."""
    xs = [w["embedding.weight"][t] for t in tokens]
    for layer in range(2):
        b = {name.split(".", 2)[2]: value for name, value in w.items() if name.startswith(f"blocks.{layer}.")}
        normed = [rms_norm(x, b["attention_norm.weight"]) for x in xs]
        keys = [turn(b["attention.key.weight"] @ n, p) for n, p in zip(normed, positions, strict=True)]
        values = [b["attention.value.weight"] @ n for n in normed]
        for t, n in enumerate(normed):
            heads = []
            for q in (b["attention.query.weight"] @ n).split(4):
                scores = torch.stack([turn(q, positions[t]) @ k / 2.0 for k in keys[: t + 1]])
                heads.append(sum(p * v for p, v in zip(scores.softmax(0), values, strict=False)))
            xs[t] = xs[t] + b["attention.out.weight"] @ torch.cat(heads)
            m = rms_norm(xs[t], b["ffn_norm.weight"])
            up, gate = b["ffn.up.weight"] @ m, b["ffn.gate.weight"] @ m
            xs[t] = xs[t] + b["ffn.down.weight"] @ (gate * torch.sigmoid(gate) * up)
    return torch.stack([rms_norm(x, w["final_norm.weight"]) for x in xs])


def test_one_loop_is_a_plain_transformer() -> None:
    model = build(loops=1)
    weights = {name: value.detach() for name, value in model.named_parameters()}
    out = model(TOKENS, DOCUMENTS)
    assert not any("gate." in name and "attention" in name for name in weights)
    expected = plain_transformer(weights, TOKENS[1].tolist(), list(range(8)))
    torch.testing.assert_close(out[1], expected, rtol=1e-6, atol=1e-6)
    # Positions restart at a document, and it sees nothing of the one before.
    expected = plain_transformer(weights, TOKENS[0, 3:].tolist(), list(range(5)))
    torch.testing.assert_close(out[0, 3:], expected, rtol=1e-6, atol=1e-6)


def test_the_first_loop_of_two_is_the_model_of_one_loop() -> None:
    one, two = build(loops=1), build(loops=2)
    one.load_state_dict(two.state_dict(), strict=False)
    first, second = two.states(TOKENS, DOCUMENTS)
    assert torch.equal(two.read(first), one(TOKENS, DOCUMENTS))
    assert not torch.allclose(first, second)


def test_shared_tensors_begin_alike_whatever_the_number_of_loops() -> None:
    models = {loops: LoopedTransformer(ModelConfig(**{**BASE, "loops": loops}), seed=3) for loops in (1, 2)}
    two = models[2].state_dict()
    assert all(torch.equal(value, two[name]) for name, value in models[1].state_dict().items())
    other = LoopedTransformer(ModelConfig(**BASE), seed=4)
    assert not torch.equal(other.embedding.weight, models[2].embedding.weight)


def test_a_gate_wide_open_leaves_only_the_first_loops_keys_and_values() -> None:
    narrow, wide = build(window=1), build(window=8)
    for model in (narrow, wide):
        for block in model.blocks:
            block.attention.gate.weight.data.zero_()
            block.attention.gate.bias.data.fill_(60.0)
    torch.testing.assert_close(narrow(TOKENS, DOCUMENTS), wide(TOKENS, DOCUMENTS), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "changes",
    [
        {"loops": 1},
        {"loops": 3},
        {"loops": 4},
        {"input_injection": "replace"},
        {"input_injection": "scaled"},
        {"input_injection": "scaled", "state_scale": 0.5},
        {"input_injection": "parcae"},
        {"loop_shift": 1},
        {"gate_input": "residual"},
        {"gate_per": "channel"},
        {"gate_input": "residual", "gate_per": "channel"},
        {"window": 2},
        {"window_self": True},
        {"norm_each_loop": True},
        {"tie_embeddings": False},
        {"rope_theta": 100.0},
        {"kv_heads": 2},
    ],
)
def test_every_switch_changes_the_logits(changes: dict[str, Any]) -> None:
    models = [build(), build(**changes)]
    logits = [m(TOKENS, DOCUMENTS) @ m.readout.T for m in models]
    assert torch.isfinite(logits[1]).all()
    assert not torch.allclose(logits[0], logits[1], atol=1e-6)


@pytest.mark.parametrize("loop_shift", [0, 1])
@pytest.mark.parametrize("window_self", [False, True])
def test_no_position_sees_later_tokens_or_other_documents(loop_shift: int, window_self: bool) -> None:
    model = build(loops=3, loop_shift=loop_shift, window_self=window_self)
    before = model(TOKENS, DOCUMENTS)
    changed = TOKENS.clone()
    changed[0, :3] = 10
    changed[0, 6:] = 0
    after = model(changed, DOCUMENTS)
    assert torch.equal(before[0, 3:6], after[0, 3:6])
    assert not torch.allclose(before[0, 6], after[0, 6])


def test_every_parameter_of_every_variant_receives_a_gradient() -> None:
    for changes in ({}, {"input_injection": "parcae"}, {"gate_input": "residual"}, {"tie_embeddings": False}):
        model = build(**changes)
        (model(TOKENS, DOCUMENTS) @ model.readout.T).pow(2).sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


def test_matrices_begin_as_wide_as_their_inputs_ask_and_vectors_as_their_modules_say() -> None:
    sizes = {"vocab_size": 500, "dim": 64, "layers": 2, "heads": 4, "head_dim": 16, "ffn_dim": 256, "max_length": 8}
    model = LoopedTransformer(ModelConfig(**sizes, input_injection="parcae"))
    spread = {name: p.detach().std().item() for name, p in model.named_parameters() if p.ndim > 1}
    assert spread["embedding.weight"] == pytest.approx(1 / 8, rel=0.05)
    assert spread["blocks.0.attention.query.weight"] == pytest.approx(1 / 8, rel=0.05)
    assert spread["blocks.0.attention.out.weight"] == pytest.approx(1 / 16, rel=0.05)
    assert spread["blocks.1.ffn.down.weight"] == pytest.approx(1 / 32, rel=0.05)
    assert model.blocks[0].attention.gate.bias.tolist() == [0.0] * 4
    assert model.final_norm.weight.tolist() == [1.0] * 64


def test_a_variant_stands_for_its_switches_and_keys_beside_it_count_first() -> None:
    config = load_model_config({**BASE, "variant": "loopcoder-v2", "window": 3}, 11)
    assert (config.input_injection, config.loop_shift, config.gate_input) == ("scaled", 1, "residual")
    assert (config.window, config.window_self, config.norm_each_loop) == (3, True, True)
    assert load_model_config(BASE, 11) == load_model_config({**BASE, "variant": "loopcoder"}, 11)
    with pytest.raises(ConfigError, match=r"'model\.variant' is 'loopcoder-v3'.*there are: loopcoder, loopcoder-re"):
        load_model_config({**BASE, "variant": "loopcoder-v3"}, 11)
