"""What a batch is trained for: the nats of its targets, and what is noted of them on the way.

Enters: tokens, targets and documents of a batch. Leaves: Σ nats with gradient, nats a target, and, after the backward
pass, the squared norm of the gradient that reached the state of each loop. Gradients that grow from loop to loop are
how looped training fails (seed, 2.2). Limit: they are of this process's batches since they were taken.

Legend: B batch, T positions, D width, N positions with a target.
"""

from functools import partial

import torch
from torch import Tensor, nn

from kernels.documents import Documents
from kernels.ring_layout import Ring
from model.data import IGNORED
from model.looped import LoopedTransformer
from model.loss import sum_of_nats


class Objective(nn.Module):
    """`Objective(model)(tokens_BT, targets_BT, documents)`; a module, so that a group of processes can share it."""

    def __init__(self, model: LoopedTransformer) -> None:
        super().__init__()
        self.model = model
        self._squares: list[Tensor | float] = [0.0] * model.config.loops

    def forward(self, tokens_BT: Tensor, targets_BT: Tensor, documents: Documents | Ring) -> tuple[Tensor, Tensor]:
        states = self.model.states(tokens_BT, documents)
        for loop, state_BTD in enumerate(states):
            if state_BTD.requires_grad:
                state_BTD.register_hook(partial(self._note, loop))  # type: ignore[no-untyped-call]
        chosen_N = (targets_BT.flatten() != IGNORED).nonzero().squeeze(-1)
        states_ND = self.model.read(states[-1]).flatten(0, 1).index_select(0, chosen_N)
        return sum_of_nats(states_ND, self.model.readout, targets_BT.flatten()[chosen_N])

    def _note(self, loop: int, grad_BTD: Tensor) -> None:
        self._squares[loop] += torch.linalg.vector_norm(grad_BTD.float()) ** 2

    def take_loop_squares(self) -> list[float]:
        """Squared norms of the gradient at the state of each loop, since the last call."""
        squares = list(map(float, self._squares))
        self._squares = [0.0] * len(squares)
        return squares
