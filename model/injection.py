"""What enters the next loop: embeddings and the state that the loop before left, mixed as the configuration says.

Enters: embeddings E and state H [B, T, D], shifted already. Leaves: the input of the next loop. Equation 1 of LoopCoder
and its variants; `parcae` is exp(−ΔA)·H + ΔB·E with diagonals A > 0, Δ > 0 and B, so that the spectral norm on H is
below 1 by construction. Limit: B is diagonal too; ours starts at A = 1, Δ = ln 2 (half of H stays), B = 1.

Legend: B batch, T positions, D width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels.documents import Documents
from model.config import ModelConfig


class Injection(nn.Module):
    """One switch, four laws; only `parcae` has parameters."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.law = config.input_injection
        self.scales = (config.embedding_scale, config.state_scale)
        if self.law == "parcae":
            self.log_decay_D = nn.Parameter(torch.zeros(config.dim))
            self.raw_step_D = nn.Parameter(torch.zeros(config.dim))
            self.input_D = nn.Parameter(torch.ones(config.dim))

    def forward(self, embedding_BTD: Tensor, state_BTD: Tensor) -> Tensor:
        if self.law == "add":
            return embedding_BTD + state_BTD
        if self.law == "replace":
            return state_BTD
        if self.law == "scaled":
            return self.scales[0] * embedding_BTD + self.scales[1] * state_BTD
        return self._decays() * state_BTD + F.softplus(self.raw_step_D) * self.input_D * embedding_BTD

    def spectral_norm(self) -> float:
        """The largest factor by which the injection stretches a state: its Jacobian by H is diagonal in every law."""
        if self.law == "parcae":
            return float(self._decays().detach().max())
        return self.scales[1] if self.law == "scaled" else 1.0

    def _decays(self) -> Tensor:
        return torch.exp(-F.softplus(self.raw_step_D) * self.log_decay_D.exp())


def shift(state_BTD: Tensor, documents: Documents, distance: int) -> Tensor:
    """Each position gets the state `distance` before it in its document; the first ones get 0."""
    if distance == 0:
        return state_BTD
    moved_BTD = F.pad(state_BTD, (0, 0, distance, 0))[:, : state_BTD.shape[1]]
    return moved_BTD * (documents.positions_BT >= distance).unsqueeze(-1)
