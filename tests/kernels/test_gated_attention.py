"""Gated attention against loops over positions written from equations 2–5, in fp64."""

import math
import operator
from typing import Literal

import pytest
import torch
from torch import Tensor

from kernels.documents import Documents
from kernels.gated_attention import causal_attention, gated_attention
from tests.kernels.examples import ids_of, inputs, ragged

Implementation = Literal["reference", "sdpa"]
IMPLEMENTATIONS: tuple[Implementation, ...] = ("reference", "sdpa")
d = 4


def one_head(q: Tensor, keys: list[Tensor], values: list[Tensor]) -> Tensor:
    if not keys:
        return torch.zeros_like(q)
    scores = [math.exp(sum(map(operator.mul, q.tolist(), key)) / math.sqrt(len(q))) for key in map(Tensor.tolist, keys)]
    columns = zip(*map(Tensor.tolist, values), strict=True)
    return q.new_tensor([sum(map(operator.mul, scores, column)) / sum(scores) for column in columns])


def naive(x: dict[str, Tensor], ids: Tensor, window: int | None, window_self: bool) -> Tensor:
    """Position by position; `window=None` is plain causal attention on k1, v1."""
    out = torch.zeros_like(x["q"])
    group = x["q"].shape[2] // x["k1"].shape[2]
    for b, t, h in torch.cartesian_prod(*(torch.arange(n) for n in x["q"].shape[:3])).tolist():
        mine = [s for s in range(t + 1) if ids[b, s] == ids[b, t]]
        q, g = x["q"][b, t, h], h // group
        out[b, t, h] = one_head(q, [x["k1"][b, s, g] for s in mine], [x["v1"][b, s, g] for s in mine])
        if window is not None:
            earlier = mine if window_self else [s for s in mine if s < t]
            near = earlier[max(0, len(earlier) - window) :]
            local = one_head(q, [x["k2"][b, s, g] for s in near], [x["v2"][b, s, g] for s in near])
            gate = 1 / (1 + torch.exp(-x["gate"][b, t, h]))
            out[b, t, h] = gate * out[b, t, h] + (1 - gate) * local
    return out


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("T", [1, 2, 63, 64, 65])
def test_causal_attention_equals_the_loop_over_positions(T: int, implementation: Implementation) -> None:
    x = inputs(T)
    out = causal_attention(x["q"], x["k1"], x["v1"], Documents.of(ragged(T)), implementation=implementation)
    torch.testing.assert_close(out, naive(x, ragged(T), None, False), rtol=0, atol=1e-12)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("window_self", [False, True])
@pytest.mark.parametrize(("T", "window"), [(1, 1), (2, 1), (63, 32), (64, 33), (65, 64), (65, 1), (33, 200), (5, 0)])
def test_gated_attention_equals_the_loop_over_positions(
    T: int, window: int, window_self: bool, implementation: Implementation
) -> None:
    x = inputs(T)
    documents = Documents.of(ragged(T))
    out = gated_attention(*x.values(), documents, window=window, window_self=window_self, implementation=implementation)
    torch.testing.assert_close(out, naive(x, ragged(T), window, window_self), rtol=0, atol=1e-12)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(("G", "gate_width"), [(1, 1), (2, 1), (1, d)])
def test_grouped_heads_and_a_gate_for_each_channel(G: int, gate_width: int, implementation: Implementation) -> None:
    x, ids = inputs(12, G, gate_width), ids_of([5, 7], [1, 1, 10])
    out = gated_attention(*x.values(), Documents.of(ids), window=3, implementation=implementation)
    torch.testing.assert_close(out, naive(x, ids, 3, False), rtol=0, atol=1e-12)


@pytest.mark.parametrize("window_self", [False, True])
def test_both_implementations_agree_on_many_documents_and_several_blocks(window_self: bool) -> None:
    ids = ids_of([130, 1, 69, 33, 67], [300])
    x = inputs(300)
    for window in (1, 31, 32, 64, 65, 129):
        pair = [
            gated_attention(
                *x.values(), Documents.of(ids), window=window, window_self=window_self, implementation=implementation
            )
            for implementation in IMPLEMENTATIONS
        ]
        torch.testing.assert_close(pair[0], pair[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_the_first_position_of_a_document_has_no_local_part_under_a_strict_window(
    implementation: Implementation,
) -> None:
    x = inputs(4, rows=1)
    out = gated_attention(*x.values(), Documents.of(ids_of([2, 2])), window=9, implementation=implementation)
    only_value = x["v1"][0, 2].repeat_interleave(2, dim=0)
    torch.testing.assert_close(out[0, 2], torch.sigmoid(x["gate"][0, 2]) * only_value)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("window_self", [False, True])
def test_gradients_of_all_six_inputs_are_those_of_finite_differences(
    window_self: bool, implementation: Implementation
) -> None:
    documents = Documents.of(ids_of([1, 4, 2]))
    x = [value[..., :3].contiguous().requires_grad_() for value in inputs(7, rows=1).values()]

    def run(*tensors: Tensor) -> Tensor:
        return gated_attention(*tensors, documents, window=2, window_self=window_self, implementation=implementation)

    assert torch.autograd.gradcheck(run, x)


def test_gradients_through_lanes_and_bands_equal_those_of_the_reference() -> None:
    documents = Documents.of(ids_of([40, 1, 59], [100]))
    grads = []
    for implementation in IMPLEMENTATIONS:
        x = [value.requires_grad_() for value in inputs(100).values()]
        out = gated_attention(*x, documents, window=16, implementation=implementation)
        grads.append(torch.autograd.grad(out.pow(3).sum(), x))
    for reference, sdpa in zip(*grads, strict=True):
        torch.testing.assert_close(sdpa, reference, rtol=0, atol=1e-11)


@pytest.mark.parametrize("window_self", [False, True])
def test_other_documents_and_later_positions_change_nothing(window_self: bool) -> None:
    documents = Documents.of(ids_of([3, 4]))
    x = inputs(7, rows=1)
    before = gated_attention(*x.values(), documents, window=4, window_self=window_self)
    for name in ("k1", "v1", "k2", "v2"):
        x[name] = x[name].clone()
        x[name][:, [0, 1, 2, 5, 6]] = 1e3
    after = gated_attention(*x.values(), documents, window=4, window_self=window_self)
    assert torch.equal(before[:, 3:5], after[:, 3:5])
    assert not torch.equal(before[:, 5:], after[:, 5:])


def test_shapes_that_do_not_fit_are_refused() -> None:
    x = inputs(6)
    with pytest.raises(ValueError, match=r"documents are \(2, 5\), queries \(2, 6\)"):
        causal_attention(x["q"], x["k1"], x["v1"], Documents.whole(2, 5))
    with pytest.raises(ValueError, match=r"\(2, 6, 3, 4\) do not fit queries \(2, 6, 2, 4\)"):
        causal_attention(x["q"], x["k1"][:, :, :1].expand(2, 6, 3, d), x["v1"], Documents.whole(2, 6))
    with pytest.raises(ValueError, match=r"gate \(2, 6, 2, 3\)"):
        x["gate"] = torch.zeros(2, 6, 2, 3)
        gated_attention(*x.values(), Documents.whole(2, 6), window=1)


def test_a_negative_window_is_refused() -> None:
    with pytest.raises(ValueError, match="not -1"):
        gated_attention(*inputs(3).values(), Documents.whole(2, 3), window=-1)
