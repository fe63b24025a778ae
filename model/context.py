"""What a forward pass knows beside its tokens: positions, documents, and the first loop's keys and values.

Enters: queries, keys and values of each block and loop, as the model makes them. Leaves: what attention gives, the
state that enters the next loop, and how much gradient flows back by either. `Whole` is a pass over whole sequences, for
training and evaluation; `Shared` one over this process's part of sequences that several processes share (context
parallelism); `model.generation.Cache` is for tokens that come one after the other. Limit: a context serves one pass,
since it holds what the loops before left.

Legend: B batch, T positions, D width, H query heads, G key heads, d head dimension, x gate width (1 or d).
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from kernels.documents import Documents
from kernels.gated_attention import causal_attention, gated_attention
from kernels.ring import ring_causal_attention, ring_gated_attention, ring_shift
from kernels.ring_layout import Ring
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


class _Looped:
    """Keeps the first loop's keys and values for the later ones, by layer."""

    def __init__(self, config: ModelConfig, gradient: LoopGradient) -> None:
        self._config, self._gradient = config, gradient
        self._first: dict[int, tuple[Tensor, Tensor]] = {}

    def _keep(self, place: Place, k_BTGd: Tensor, v_BTGd: Tensor) -> None:
        if self._config.loops > 1:
            k1_BTGd, v1_BTGd = (self._gradient.reaching(x, 0, self._config.loops) for x in (k_BTGd, v_BTGd))
            self._first[place.layer] = (k1_BTGd, v1_BTGd)

    @property
    def _window(self) -> dict[str, Any]:
        return {"window": self._config.window, "window_self": self._config.window_self}


class Whole(_Looped):
    """A pass over whole sequences."""

    def __init__(self, config: ModelConfig, documents: Documents, gradient: LoopGradient) -> None:
        super().__init__(config, gradient)
        self._documents = documents
        self.positions_BT = documents.positions_BT

    def carry(self, state_BTD: Tensor, loop: int) -> Tensor:
        state_BTD = self._gradient.reaching(state_BTD, loop, self._config.loops)
        return shift(state_BTD, self._documents, self._config.loop_shift)

    def attend(self, place: Place, q_BTHd: Tensor, k_BTGd: Tensor, v_BTGd: Tensor, gate_BTHx: Tensor | None) -> Tensor:
        if gate_BTHx is None:
            self._keep(place, k_BTGd, v_BTGd)
            return causal_attention(q_BTHd, k_BTGd, v_BTGd, self._documents)
        k1_BTGd, v1_BTGd = self._first[place.layer]
        own = (k_BTGd, v_BTGd, gate_BTHx)
        return gated_attention(q_BTHd, k1_BTGd, v1_BTGd, *own, self._documents, **self._window)


class Shared(_Looped):
    """A pass over the positions of whole sequences that are this process's; all processes of the ring go through it."""

    def __init__(self, config: ModelConfig, ring: Ring, gradient: LoopGradient) -> None:
        super().__init__(config, gradient)
        self._ring = ring
        self.positions_BT = ring.share(ring.documents.positions_BT)

    def carry(self, state_BTD: Tensor, loop: int) -> Tensor:
        state_BTD = self._gradient.reaching(state_BTD, loop, self._config.loops)
        distance = self._config.loop_shift
        return ring_shift(state_BTD, self._ring, distance) if distance else state_BTD

    def attend(self, place: Place, q_BTHd: Tensor, k_BTGd: Tensor, v_BTGd: Tensor, gate_BTHx: Tensor | None) -> Tensor:
        if gate_BTHx is None:
            self._keep(place, k_BTGd, v_BTGd)
            return ring_causal_attention(q_BTHd, k_BTGd, v_BTGd, self._ring)
        k1_BTGd, v1_BTGd = self._first[place.layer]
        own = (k_BTGd, v_BTGd, gate_BTHx)
        return ring_gated_attention(q_BTHd, k1_BTGd, v1_BTGd, *own, self._ring, **self._window)


def context_of(config: ModelConfig, where: Documents | Ring, gradient: LoopGradient) -> Context:
    """The pass over sequences that lie here whole, or over our part of them."""
    if isinstance(where, Ring):
        return Shared(config, where, gradient)
    return Whole(config, where, gradient)
