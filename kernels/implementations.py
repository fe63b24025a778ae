"""The ways to compute causal and gated attention: see `kernels.gated_attention` for what their names mean.

Enters: queries, keys and values, for gated attention a second pair, gate logits and window; documents. Leaves: outputs
[B, T, H, d]. Limit: shapes are checked by the caller.

Legend: B batch, T positions, H query heads, G key heads, d head dimension, x gate width (1 or d).
"""

from collections.abc import Callable
from importlib.util import find_spec
from types import ModuleType
from typing import Literal

import torch
from torch import Tensor

from kernels.documents import Documents
from kernels.reference import causal_reference, gated_reference
from kernels.sdpa import attend_causally, attend_in_band

Implementation = Literal["sdpa", "fused", "hybrid", "reference"]
CausalImplementation = Literal["sdpa", "fused", "reference"]
# Channels of a head that the Triton kernels take.
LARGEST_HEAD = 128


def has_triton() -> bool:
    """Whether `fused` and `hybrid` can be asked for; nothing is imported to find out."""
    try:
        return find_spec("triton") is not None
    except ValueError:  # a module of that name is there that says nothing of its origin
        return False


def _by_library(
    q_BTHd: Tensor, k1_BTGd: Tensor, v1_BTGd: Tensor, k2_BTGd: Tensor, v2_BTGd: Tensor, gate_BTHx: Tensor,
    documents: Documents, window: int, window_self: bool,
) -> Tensor:  # fmt: skip
    global_BTHd = attend_causally(q_BTHd, k1_BTGd, v1_BTGd, documents)
    band = documents.band(window, window_self, q_BTHd.dtype)
    local_BTHd = attend_in_band(q_BTHd, k2_BTGd, v2_BTGd, band)
    return torch.lerp(local_BTHd, global_BTHd, torch.sigmoid(gate_BTHx))


def _by_fusion(
    q_BTHd: Tensor, k1_BTGd: Tensor, v1_BTGd: Tensor, k2_BTGd: Tensor, v2_BTGd: Tensor, gate_BTHx: Tensor,
    documents: Documents, window: int, window_self: bool,
) -> Tensor:  # fmt: skip
    tensors = (q_BTHd, k1_BTGd, v1_BTGd, k2_BTGd, v2_BTGd, gate_BTHx, documents.begins_BT, documents.ends_BT)
    out_BTHd: Tensor = _operators("fused").fused_attention(*tensors, window, window_self)[0]
    return out_BTHd


def _by_both(
    q_BTHd: Tensor, k1_BTGd: Tensor, v1_BTGd: Tensor, k2_BTGd: Tensor, v2_BTGd: Tensor, gate_BTHx: Tensor,
    documents: Documents, window: int, window_self: bool,
) -> Tensor:  # fmt: skip
    operators = _operators("hybrid")
    global_BTHd = attend_causally(q_BTHd, k1_BTGd, v1_BTGd, documents)
    tensors = (q_BTHd, k2_BTGd, v2_BTGd, gate_BTHx, global_BTHd, documents.begins_BT, documents.ends_BT)
    out_BTHd: Tensor = operators.local_attention(*tensors, window, window_self)[0]
    return out_BTHd


def _operators(wanted: str) -> ModuleType:
    if not has_triton():
        raise ImportError(f"implementation '{wanted}' needs triton, which is not installed; ask for 'sdpa'")
    from kernels import fused

    return fused


def _causal_by_fusion(q_BTHd: Tensor, k_BTGd: Tensor, v_BTGd: Tensor, documents: Documents) -> Tensor:
    operators = _operators("fused")
    out_BTHd: Tensor = operators.fused_causal_attention(
        q_BTHd, k_BTGd, v_BTGd, documents.begins_BT, documents.ends_BT
    )[0]  # fmt: skip
    return out_BTHd


CAUSAL: dict[str, Callable[..., Tensor]] = {
    "sdpa": attend_causally,
    "fused": _causal_by_fusion,
    "reference": causal_reference,
}
IMPLEMENTATIONS: dict[str, Callable[..., Tensor]] = {
    "sdpa": _by_library,
    "fused": _by_fusion,
    "hybrid": _by_both,
    "reference": gated_reference,
}
