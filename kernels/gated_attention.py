"""Attention of the looped transformer: causal for the first loop, gated global and local for the later ones.

Enters: queries, keys and values [B, T, heads, d], gate logits, `Documents`. Leaves: outputs [B, T, H, d]. Equations
2–5 of LoopCoder. `sdpa` is built from `scaled_dot_product_attention` over lanes and bands (see `kernels.documents`) and
runs on CPU and GPU; `reference` is the oracle. Limit: `sdpa` keeps both outputs for the backward pass.

Legend: B batch, T positions, H query heads, G key heads, d head dimension, x gate width (1: a head, d: a channel),
n blocks a row, C queries a block, K keys a block, N = B·T, M slots of all lanes.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.documents import Band, Documents, Lanes
from kernels.reference import causal_reference, gated_reference

Implementation = Literal["sdpa", "reference"]


def causal_attention(
    q_BTHd: Tensor,
    k_BTGd: Tensor,
    v_BTGd: Tensor,
    documents: Documents,
    *,
    implementation: Implementation = "sdpa",
) -> Tensor:
    """Each position attends to itself and what stands before it in its document. ValueError on shapes that differ."""
    _check(q_BTHd, (k_BTGd, v_BTGd), documents)
    if implementation == "reference":
        return causal_reference(q_BTHd, k_BTGd, v_BTGd, documents)
    if documents.lanes is None:
        return _attend(q_BTHd, k_BTGd, v_BTGd)
    return _attend_in_lanes(q_BTHd, k_BTGd, v_BTGd, documents.lanes)


def gated_attention(
    q_BTHd: Tensor,
    k1_BTGd: Tensor,
    v1_BTGd: Tensor,
    k2_BTGd: Tensor,
    v2_BTGd: Tensor,
    gate_BTHx: Tensor,
    documents: Documents,
    *,
    window: int,
    window_self: bool = False,
    implementation: Implementation = "sdpa",
) -> Tensor:
    """σ(gate) ⊙ causal attention on k1, v1 + (1 − σ(gate)) ⊙ attention on the nearest `window` of k2, v2.

    The window counts `window` keys that end with the position itself (`window_self`) or with the one before it (the
    seed's eq. 3); it never leaves the document, and an empty window gives 0. ValueError on shapes that differ.
    """
    _check(q_BTHd, (k1_BTGd, v1_BTGd, k2_BTGd, v2_BTGd), documents, gate_BTHx)
    if implementation == "reference":
        return gated_reference(q_BTHd, k1_BTGd, v1_BTGd, k2_BTGd, v2_BTGd, gate_BTHx, documents, window, window_self)
    global_BTHd = causal_attention(q_BTHd, k1_BTGd, v1_BTGd, documents)
    band = documents.band(window, window_self, q_BTHd.dtype)
    local_BTHd = _attend_in_band(q_BTHd, k2_BTGd, v2_BTGd, band)
    return torch.lerp(local_BTHd, global_BTHd, torch.sigmoid(gate_BTHx))


def _check(q_BTHd: Tensor, others: tuple[Tensor, ...], documents: Documents, gate_BTHx: Tensor | None = None) -> None:
    B, T, H, d = q_BTHd.shape
    if tuple(documents.ids_BT.shape) != (B, T):
        raise ValueError(f"documents are {tuple(documents.ids_BT.shape)}, queries {(B, T)}")
    for other in others:
        if other.shape != others[0].shape or other.shape[:2] != (B, T) or other.shape[3] != d or H % other.shape[2]:
            raise ValueError(f"keys or values {tuple(other.shape)} do not fit queries {tuple(q_BTHd.shape)}")
    if gate_BTHx is not None and (gate_BTHx.shape[:3] != (B, T, H) or gate_BTHx.shape[3] not in (1, d)):
        raise ValueError(f"gate {tuple(gate_BTHx.shape)} does not fit queries {tuple(q_BTHd.shape)}")


def _attend(q_BTHd: Tensor, k_BTGd: Tensor, v_BTGd: Tensor, bias: Tensor | None = None) -> Tensor:
    """The library's attention in our layout: by `bias`, or causal where there is none."""
    q, k, v = (x.transpose(1, 2) for x in (q_BTHd, k_BTGd, v_BTGd))
    grouped = q.shape[1] != k.shape[1]
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, is_causal=bias is None, enable_gqa=grouped)
    return out.transpose(1, 2)


class _IntoLanes(torch.autograd.Function):
    """Rows of tokens into slots. The gradient is gathered, not added up: that of a padding slot is exactly 0."""

    @staticmethod
    def forward(ctx: Any, x_NF: Tensor, take_M: Tensor, slot_N: Tensor) -> Tensor:
        ctx.save_for_backward(slot_N)
        return x_NF.index_select(0, take_M)

    @staticmethod
    def backward(ctx: Any, grad_MF: Tensor) -> tuple[Tensor, None, None]:
        (slot_N,) = ctx.saved_tensors
        return grad_MF.index_select(0, slot_N), None, None


class _OutOfLanes(torch.autograd.Function):
    """Slots back into rows of tokens; padding slots are dropped and get a gradient of 0."""

    @staticmethod
    def forward(ctx: Any, y_MF: Tensor, slot_N: Tensor) -> Tensor:
        ctx.save_for_backward(slot_N)
        ctx.slots = y_MF.shape[0]
        return y_MF.index_select(0, slot_N)

    @staticmethod
    def backward(ctx: Any, grad_NF: Tensor) -> tuple[Tensor, None]:
        (slot_N,) = ctx.saved_tensors
        return grad_NF.new_zeros(ctx.slots, grad_NF.shape[1]).index_copy_(0, slot_N, grad_NF), None


_into_lanes: Callable[..., Tensor] = _IntoLanes.apply
_out_of_lanes: Callable[..., Tensor] = _OutOfLanes.apply


def _attend_in_lanes(q_BTHd: Tensor, k_BTGd: Tensor, v_BTGd: Tensor, lanes: Lanes) -> Tensor:
    sizes = [documents * length for documents, length in lanes.shapes]
    q_lanes, k_lanes, v_lanes = (
        torch.split(_into_lanes(x.reshape(-1, x.shape[2] * x.shape[3]), lanes.take_M, lanes.slot_N), sizes)
        for x in (q_BTHd, k_BTGd, v_BTGd)
    )
    outs = []
    for shape, q, k, v in zip(lanes.shapes, q_lanes, k_lanes, v_lanes, strict=True):
        out = _attend(*(x.view(*shape, -1, q_BTHd.shape[3]) for x in (q, k, v)))
        outs.append(out.reshape(-1, q.shape[1]))
    return _out_of_lanes(torch.cat(outs), lanes.slot_N).view_as(q_BTHd)


def _attend_in_band(q_BTHd: Tensor, k_BTGd: Tensor, v_BTGd: Tensor, band: Band) -> Tensor:
    """Each block of queries against its own block of keys and the `reach` blocks before it."""
    B, T, H, d = q_BTHd.shape
    blocks = -(-T // band.block)
    fill = blocks * band.block - T
    q_nCHd = _pad(q_BTHd, 0, fill).reshape(B * blocks, band.block, H, d)
    k_nKGd, v_nKGd = (_beside(_pad(x, band.reach * band.block, fill), blocks, band) for x in (k_BTGd, v_BTGd))
    out_nCHd = _attend(q_nCHd, k_nKGd, v_nKGd, band.bias_nCK)
    out_BTHd = out_nCHd.reshape(B, blocks * band.block, H, d)[:, :T]
    return out_BTHd * band.seen_BT[:, :, None, None]


def _pad(x_BTGd: Tensor, before: int, after: int) -> Tensor:
    return F.pad(x_BTGd, (0, 0, 0, 0, before, after)) if before or after else x_BTGd


def _beside(x_BSGd: Tensor, blocks: int, band: Band) -> Tensor:
    """Keys [B, (blocks + reach)·C, G, d] as [B·blocks, (reach + 1)·C, G, d]: what each block of queries looks at."""
    B, _, G, d = x_BSGd.shape
    x_BbCGd = x_BSGd.reshape(B, -1, band.block, G, d)
    shifted = [x_BbCGd[:, i : i + blocks] for i in range(band.reach + 1)]
    return torch.cat(shifted, dim=2).reshape(B * blocks, -1, G, d)
