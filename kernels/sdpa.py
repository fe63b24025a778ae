"""Causal and local attention from the library's `scaled_dot_product_attention`, on any device.

Enters: queries, keys and values [B, T, heads, d], and the lanes or band of `kernels.documents`. Leaves: outputs
[B, T, H, d]. The library takes its flash or cuDNN kernels by itself. Limit: a band is given as a bias, which the
fastest kernels of a GPU do not take.

Legend: B batch, T positions, H query heads, G key heads, d head dimension, n blocks a row, C queries a block, K keys a
block, N = B·T, M slots of all lanes, F features of a row.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.documents import Band, Documents, Lanes


def attend_causally(q_BTHd: Tensor, k_BTGd: Tensor, v_BTGd: Tensor, documents: Documents) -> Tensor:
    """Each position attends to itself and what stands before it in its document."""
    if documents.lanes is None:
        return _attend(q_BTHd, k_BTGd, v_BTGd)
    return _attend_in_lanes(q_BTHd, k_BTGd, v_BTGd, documents.lanes)


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


def attend_in_band(q_BTHd: Tensor, k_BTGd: Tensor, v_BTGd: Tensor, band: Band) -> Tensor:
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
