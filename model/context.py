"""What a forward pass knows beside its tokens: positions, documents, and the first loop's keys and values.

Enters: queries, keys and values of each block and loop, as the model makes them. Leaves: what attention gives, the
state that enters the next loop, and how much gradient flows back by either. `Whole` is a pass over whole sequences, for
training and evaluation; `model.generation.Cache` is the other, for tokens that come one after the other. Limit: a
context serves one pass, since it holds what the loops before left.

Legend: B batch, T positions, D width, H query heads, G key heads, d head dimension, x gate width (1 or d).
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from kernels.documents import Documents
from kernels.gated_attention import causal_attention, gated_attention
from model.config import ModelConfig
from model.injection import shift


@dataclass(frozen=True)
class Place:
    """A block of the stack, in one of its loops; both count from 0."""

    layer: int
    loop: int


class Context(Protocol):
    """A pass of the model."""

    positions_BT: Tensor  # within the documents

    def carry(self, state_BTD: Tensor, loop: int) -> Tensor:
        """The state that `loop` left, as the next loop takes it: shifted where the configuration says so."""
        ...

    def attend(self, place: Place, q_BTHd: Tensor, k_BTGd: Tensor, v_BTGd: Tensor, gate_BTHx: Tensor | None) -> Tensor:
        """The attention of one block, [B, T, H, d]; there is a gate from the second loop on."""
        ...


@dataclass(frozen=True)
class LoopGradient:
    """How gradients reach earlier loops, by the state and by the first loop's keys and values (seed, 2.2).

    `loops` truncates: only the last so many loops get any. `scale` shrinks what flows from one loop into another.
    """

    loops: int | None = None
    scale: float = 1.0

    def reaching(self, tensor: Tensor, loop: int, loops: int) -> Tensor:
        """`tensor` of `loop` as a later one of `loops` sees it: the same numbers, less gradient."""
        if self.loops is not None and loop < loops - self.loops:
            return tensor.detach()
        # Between two equal ends a line is constant: no rounding, in bf16 neither.
        return tensor if self.scale == 1.0 else torch.lerp(tensor.detach(), tensor, self.scale)


class Whole:
    """A pass over whole sequences."""

    def __init__(self, config: ModelConfig, documents: Documents, gradient: LoopGradient) -> None:
        self._config, self._documents, self._gradient = config, documents, gradient
        self._first: dict[int, tuple[Tensor, Tensor]] = {}
        self.positions_BT = documents.positions_BT

    def carry(self, state_BTD: Tensor, loop: int) -> Tensor:
        state_BTD = self._gradient.reaching(state_BTD, loop, self._config.loops)
        return shift(state_BTD, self._documents, self._config.loop_shift)

    def attend(self, place: Place, q_BTHd: Tensor, k_BTGd: Tensor, v_BTGd: Tensor, gate_BTHx: Tensor | None) -> Tensor:
        config = self._config
        if gate_BTHx is None:
            if config.loops > 1:
                k1_BTGd, v1_BTGd = (self._gradient.reaching(x, 0, config.loops) for x in (k_BTGd, v_BTGd))
                self._first[place.layer] = (k1_BTGd, v1_BTGd)
            return causal_attention(q_BTHd, k_BTGd, v_BTGd, self._documents)
        first = self._first[place.layer]
        own = (k_BTGd, v_BTGd)
        return gated_attention(
            q_BTHd, *first, *own, gate_BTHx, self._documents, window=config.window, window_self=config.window_self
        )
