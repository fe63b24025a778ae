"""Attention of the looped transformer: causal for the first loop, gated global and local for the later ones.

Enters: queries, keys and values [B, T, heads, d], gate logits, `Documents`. Leaves: outputs [B, T, H, d]. Equations
2–5 of LoopCoder, by one of four implementations (causal attention: all but hybrid):

    sdpa       two calls of the library and a gate; any device; keeps both outputs for the backward pass
    fused      one Triton kernel; keeps the output and two log-sum-exps
    hybrid     the library for the global part, one Triton kernel for local part and gate; keeps the global output
    reference  the oracle, with T×T weights

`auto` is `sdpa` on a CPU, and on a GPU what `kernels.choice` measures there. Limit: `fused` and `hybrid` were run in
Triton's interpreter and compiled for Hopper, but not yet run on a GPU.

Legend: B batch, T positions, H query heads, G key heads, d head dimension, x gate width (1: a head, d: a channel).
"""

from typing import Any, Literal

import torch
from torch import Tensor

from kernels.choice import choose
from kernels.documents import Documents
from kernels.implementations import CAUSAL, IMPLEMENTATIONS, CausalImplementation, Implementation


def causal_attention(
    q_BTHd: Tensor,
    k_BTGd: Tensor,
    v_BTGd: Tensor,
    documents: Documents,
    *,
    implementation: CausalImplementation | Literal["auto"] = "auto",
) -> Tensor:
    """Each position attends to itself and what stands before it in its document. ValueError on shapes that differ."""
    _check(q_BTHd, (k_BTGd, v_BTGd), documents)
    if implementation == "auto":
        chosen = _chosen(q_BTHd, k_BTGd, 0, documents, 0, False)
    else:
        chosen = implementation
    return CAUSAL[chosen](q_BTHd, k_BTGd, v_BTGd, documents)


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
    implementation: Implementation | Literal["auto"] = "auto",
) -> Tensor:
    """σ(gate) ⊙ causal attention on k1, v1 + (1 − σ(gate)) ⊙ attention on the nearest `window` of k2, v2.

    The window counts `window` keys that end with the position itself (`window_self`) or with the one before it (the
    seed's eq. 3); it never leaves the document, and an empty window gives 0. ValueError on shapes that differ, or that
    the implementation asked for does not compute; ImportError where it needs Triton and there is none.
    """
    _check(q_BTHd, (k1_BTGd, v1_BTGd, k2_BTGd, v2_BTGd), documents, gate_BTHx)
    if window < 0:
        raise ValueError(f"window must not be negative, not {window}")
    if implementation == "auto":
        chosen = _chosen(q_BTHd, k1_BTGd, gate_BTHx.shape[3], documents, window, window_self)
    else:
        chosen = implementation
    tensors = (q_BTHd, k1_BTGd, v1_BTGd, k2_BTGd, v2_BTGd, gate_BTHx)
    return IMPLEMENTATIONS[chosen](*tensors, documents, window, window_self)


def _chosen(
    q_BTHd: Tensor, k_BTGd: Tensor, gate_width: int, documents: Documents, window: int, window_self: bool
) -> Any:  # fmt: skip
    B, T, H, d = q_BTHd.shape
    sizes = (B, T, H, k_BTGd.shape[2], d, gate_width)
    whole, compiled = documents.lanes is None, torch.compiler.is_compiling()
    return choose(q_BTHd.device, q_BTHd.dtype, *sizes, window, window_self, whole, compiled)


def _check(q_BTHd: Tensor, others: tuple[Tensor, ...], documents: Documents, gate_BTHx: Tensor | None = None) -> None:
    B, T, H, d = q_BTHd.shape
    if tuple(documents.ids_BT.shape) != (B, T):
        raise ValueError(f"documents are {tuple(documents.ids_BT.shape)}, queries {(B, T)}")
    for other in others:
        if other.shape != others[0].shape or other.shape[:2] != (B, T) or other.shape[3] != d or H % other.shape[2]:
            raise ValueError(f"keys or values {tuple(other.shape)} do not fit queries {tuple(q_BTHd.shape)}")
    if gate_BTHx is not None and (gate_BTHx.shape[:3] != (B, T, H) or gate_BTHx.shape[3] not in (1, d)):
        raise ValueError(f"gate {tuple(gate_BTHx.shape)} does not fit queries {tuple(q_BTHd.shape)}")
