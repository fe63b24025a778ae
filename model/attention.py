"""The weights of a block's attention: queries, keys, values, the gate between global and local, and the way out.

Enters: the normed residual and rotations. Leaves: what `model.context` attends with. Equations 2–5 of LoopCoder;
weights are the same in all loops, the gate acts from the second on. Limit: every head has the same size.

Legend: B batch, T positions, D width, H query heads, G key heads, d head dimension, x gate width (1 or d).
"""

import torch
from torch import Tensor, nn

from model.config import ModelConfig
from model.layers import rotate

Rotation = tuple[Tensor, Tensor]
Projected = tuple[Tensor, Tensor, Tensor, Tensor | None]


class Gate(nn.Module):
    """The logit of g in eq. 4, [B, T, H, x]: from each head's query, or from the normed residual."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.from_query = config.gate_input == "query"
        width = 1 if config.gate_per == "head" else config.head_dim
        inputs = config.head_dim if self.from_query else config.dim
        self.weight = nn.Parameter(torch.zeros(config.heads, inputs, width))
        # One row of numbers, so that it counts as a vector: it starts at 0 and does not decay.
        self.bias = nn.Parameter(torch.zeros(config.heads * width))

    def forward(self, q_BTHd: Tensor, x_BTD: Tensor) -> Tensor:
        bias_Hx = self.bias.view(self.weight.shape[0], -1)
        if self.from_query:
            return torch.einsum("bthd,hdx->bthx", q_BTHd, self.weight.to(q_BTHd.dtype)) + bias_Hx
        return torch.einsum("btd,hdx->bthx", x_BTD, self.weight) + bias_Hx


class LoopedAttention(nn.Module):
    """The weights of grouped-query attention; `model.context` attends, with the first loop's keys and values."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.query = nn.Linear(config.dim, config.heads * config.head_dim, bias=config.qkv_bias)
        self.key = nn.Linear(config.dim, config.groups * config.head_dim, bias=config.qkv_bias)
        self.value = nn.Linear(config.dim, config.groups * config.head_dim, bias=config.qkv_bias)
        self.out = nn.Linear(config.heads * config.head_dim, config.dim, bias=False)
        self.gate = Gate(config) if config.loops > 1 else None

    def project(self, x_BTD: Tensor, rotation: Rotation, gated: bool) -> Projected:
        """Queries, keys, values, and the gate's logits where `gated` says that there is a gate."""
        q_BTHd = rotate(self._heads(self.query(x_BTD)), rotation)
        k_BTGd = rotate(self._heads(self.key(x_BTD)), rotation)
        v_BTGd = self._heads(self.value(x_BTD))
        gate_BTHx = self.gate(q_BTHd, x_BTD).to(q_BTHd.dtype) if gated and self.gate is not None else None
        return q_BTHd, k_BTGd, v_BTGd, gate_BTHx

    def _heads(self, x_BTF: Tensor) -> Tensor:
        return x_BTF.view(*x_BTF.shape[:2], -1, self.head_dim)
