"""Gated attention in a few lines of plain torch: what every faster implementation must equal.

Enters: queries, keys and values [B, T, heads, d], gate logits, documents. Leaves: outputs [B, T, H, d]. Equations 2–5
of LoopCoder, one line each. Limit: it holds T×T weights a head; use it to check, not to train.

Legend: B batch, T queries, S keys, H query heads, G key heads, d head dimension, x gate width (1 or d).
"""

import torch
from torch import Tensor

from kernels.documents import Documents


def masked_attention(q_BTHd: Tensor, k_BSGd: Tensor, v_BSGd: Tensor, allowed_BTS: Tensor) -> Tensor:
    """softmax(q·k / √d) over the allowed keys, times v. A query with no allowed key gives 0."""
    group = q_BTHd.shape[2] // k_BSGd.shape[2]
    k_BSHd, v_BSHd = (x.repeat_interleave(group, dim=2) for x in (k_BSGd, v_BSGd))
    scores_BHTS = torch.einsum("bthd,bshd->bhts", q_BTHd, k_BSHd) * q_BTHd.shape[-1] ** -0.5
    allowed_B1TS = allowed_BTS.unsqueeze(1)
    # The lowest number instead of −inf: a row without keys stays finite, forward and backward, and is zeroed here.
    weights_BHTS = scores_BHTS.masked_fill(~allowed_B1TS, torch.finfo(scores_BHTS.dtype).min).softmax(-1)
    return torch.einsum("bhts,bshd->bthd", weights_BHTS * allowed_B1TS, v_BSHd)


def causal_reference(q_BTHd: Tensor, k_BTGd: Tensor, v_BTGd: Tensor, documents: Documents) -> Tensor:
    """Each position attends to itself and what stands before it in its document."""
    return masked_attention(q_BTHd, k_BTGd, v_BTGd, _same_document(documents) & (_distance(documents) >= 0))


def gated_reference(
    q_BTHd: Tensor,
    k1_BTGd: Tensor,
    v1_BTGd: Tensor,
    k2_BTGd: Tensor,
    v2_BTGd: Tensor,
    gate_BTHx: Tensor,
    documents: Documents,
    window: int,
    window_self: bool,
) -> Tensor:
    """g ⊙ global + (1 − g) ⊙ local with g = σ(gate)."""
    nearest = 0 if window_self else 1
    distance_TS = _distance(documents)
    near_TS = (distance_TS >= nearest) & (distance_TS < nearest + window)
    global_BTHd = causal_reference(q_BTHd, k1_BTGd, v1_BTGd, documents)
    local_BTHd = masked_attention(q_BTHd, k2_BTGd, v2_BTGd, _same_document(documents) & near_TS)
    g_BTHx = torch.sigmoid(gate_BTHx)
    return g_BTHx * global_BTHd + (1 - g_BTHx) * local_BTHd


def _same_document(documents: Documents) -> Tensor:
    return documents.ids_BT.unsqueeze(2) == documents.ids_BT.unsqueeze(1)


def _distance(documents: Documents) -> Tensor:
    index_T = torch.arange(documents.ids_BT.shape[1], device=documents.ids_BT.device)
    return index_T[:, None] - index_T[None, :]
