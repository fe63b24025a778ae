"""The parts of a block that know nothing of loops: norm, rotary positions, feed-forward, and how weights begin.

RMSNorm (Zhang & Sennrich 2019), RoPE in the half-split layout (Su et al. 2021; the layout of published checkpoints),
SwiGLU (Shazeer 2020). Limit: no dropout and no bias, as in the models that this follows.

Legend: B batch, T positions, D width, H heads, d head dimension, h = d / 2, F feed-forward width.
"""

import hashlib
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """x / sqrt(mean(x²) + ε) · weight, in fp32 at least."""

    def __init__(self, dim: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.epsilon = epsilon

    def forward(self, x_BTD: Tensor) -> Tensor:
        return F.rms_norm(x_BTD, self.weight.shape, self.weight, self.epsilon)


class Rotary(nn.Module):
    """Cosines and sines of the angles position · θ^(−2i/d), for the positions of a batch."""

    def __init__(self, head_dim: int, max_length: int, theta: float) -> None:
        super().__init__()
        frequency_h = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
        angle_Th = torch.arange(max_length, dtype=torch.float64)[:, None] * frequency_h
        self.register_buffer("cos_Td", angle_Th.cos().float().repeat(1, 2), persistent=False)
        # The sign of the half that is turned is put into the table, so that turning is one product and one sum.
        sin_Th = angle_Th.sin().float()
        self.register_buffer("sin_Td", torch.cat([-sin_Th, sin_Th], dim=1), persistent=False)

    def forward(self, positions_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Tables [B, T, 1, d] for `rotate`."""
        cos_Td, sin_Td = self.get_buffer("cos_Td"), self.get_buffer("sin_Td")
        return cos_Td[positions_BT].unsqueeze(2), sin_Td[positions_BT].unsqueeze(2)


def rotate(x_BTHd: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Queries or keys turned by their positions, in their own type."""
    cos_BT1d, sin_BT1d = rotation
    half = x_BTHd.shape[-1] // 2
    return torch.addcmul(x_BTHd * cos_BT1d, x_BTHd.roll(half, dims=-1), sin_BT1d).to(x_BTHd.dtype)


class SwiGLU(nn.Module):
    """down(silu(gate(x)) · up(x))."""

    def __init__(self, dim: int, ffn_dim: int) -> None:
        super().__init__()
        self.gate = nn.Linear(dim, ffn_dim, bias=False)
        self.up = nn.Linear(dim, ffn_dim, bias=False)
        self.down = nn.Linear(ffn_dim, dim, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        out_BTD: Tensor = self.down(F.silu(self.gate(x_BTD)) * self.up(x_BTD))
        return out_BTD


def initialise(module: nn.Module, seed: int, layers: int) -> None:
    """Matrices from a normal law of width 1/√inputs, those that write into the residual narrower by √(2·layers).

    GPT-2's fixed 0.02 suits widths of thousands; here it left a model of width 96 with signals too faint to learn from.
    An embedding is taken as the readout that it may also be; vectors keep what their modules gave them. Each tensor has
    its own generator, from the seed and its name: models that share a tensor's name share its first value, so that one
    loop and two begin alike.
    """
    for name, parameter in module.named_parameters():
        if parameter.ndim < 2:
            continue
        digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        into_residual = name.endswith(("down.weight", "out.weight"))
        width = parameter.shape[1] ** -0.5 / (math.sqrt(2 * layers) if into_residual else 1.0)
        with torch.no_grad():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * width)
