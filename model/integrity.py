"""Silent errors: wrong numbers that raise nothing, found by computing twice and by comparing what must be equal.

Enters: the parameters and gradients of a step. Leaves: nothing, or a SilentError that names step, rank and tensors.
Three invariants (LoopCoder, 2.3): a step computed again from the same weights has the same gradients bit for bit;
parameters before a step are those that the step before left; and they are the same in every process of a group.
Fingerprints are sums of bits as integers: any one flipped bit changes them, and they cost one pass over memory. Limit:
two flips that cancel in the sum are not seen; on a GPU the first invariant asks for deterministic kernels.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from loopdata.errors import RunError
from model.group import Group

_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_SHOWN = 3


class SilentError(RunError):
    """Numbers that must be equal are not: a fault of hardware, or of a kernel that is not deterministic."""


def fingerprint(tensor: Tensor) -> Tensor:
    """The sum of a tensor's bits as integers of its width, int64; any one flipped bit changes it."""
    return tensor.detach().contiguous().view(_INTEGERS[tensor.element_size()]).sum(dtype=torch.int64)


def fingerprints(tensors: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
    """Of every tensor that is there."""
    return {name: fingerprint(tensor) for name, tensor in tensors.items() if tensor is not None}


class Integrity:
    """Checks one training: `every` so many steps one is computed twice, and replicas are compared. None: no checks."""

    def __init__(self, model: nn.Module, group: Group, every: int | None) -> None:
        self._model, self._group, self._every = model, group, every
        self._left: dict[str, Tensor] = {}

    def due(self, step: int) -> bool:
        return self._every is not None and step % self._every == 0

    def after_update(self) -> None:
        """Remember the parameters that a step left."""
        if self._every is not None:
            self._left = fingerprints(dict(self._model.named_parameters()))

    def before_forward(self, step: int) -> None:
        """Parameters must be as the last step left them, and the same in every process. SilentError."""
        if self._every is None:
            return
        now = fingerprints(dict(self._model.named_parameters()))
        changed = [name for name, value in self._left.items() if int(value) != int(now[name])]
        self._agree(changed, f"changed in memory between step {step - 1} and step {step}")
        if self.due(step) and self._group.size > 1:
            self._compare_replicas(step, now)

    def recompute(self, step: int, compute: Callable[[], object]) -> None:
        """Compute the gradients of a step again and compare. SilentError names the tensors that differ."""
        first = fingerprints(self._gradients())
        kept = {name: gradient.clone() for name, gradient in self._gradients().items() if gradient is not None}
        for parameter in self._model.parameters():
            parameter.grad = None
        compute()
        second = fingerprints(self._gradients())
        differing = [name for name in first if int(first[name]) != int(second.get(name, first[name] + 1))]
        for name, parameter in self._model.named_parameters():
            parameter.grad = kept.get(name)
        self._agree(differing, f"of the gradient differ when step {step} is computed again")

    def _gradients(self) -> dict[str, Tensor | None]:
        return {name: parameter.grad for name, parameter in self._model.named_parameters()}

    def _compare_replicas(self, step: int, now: Mapping[str, Tensor]) -> None:
        """The value that most ranks have is taken for right; of two, both are named."""
        names = list(now)
        rows = self._group.gather(torch.stack([now[name] for name in names]))
        usual = rows.mode(dim=0).values
        wrong = [(rank, names[column]) for rank, column in (rows != usual).nonzero().tolist()]
        if wrong:
            where = "; ".join(f"rank {rank}: {name}" for rank, name in wrong[:_SHOWN])
            others = "" if self._group.size > 2 else " (of two ranks either may be the wrong one)"
            raise SilentError(f"replicas of parameters differ before step {step}: {where}{others}", _REMEDY)

    def _agree(self, tensors: list[str], what: str) -> None:
        """Raise in every process where one of them has found something, so that none waits for the others."""
        counts = self._group.gather(torch.tensor([len(tensors)], device=self._anywhere()))
        found = [rank for rank, (count,) in enumerate(counts.tolist()) if count]
        if not found:
            return
        more = f" and {len(tensors) - _SHOWN} more" if len(tensors) > _SHOWN else ""
        names = f": {', '.join(tensors[:_SHOWN])}{more}" if tensors else ""
        ranks = ", ".join(str(rank) for rank in found)
        raise SilentError(f"tensors on rank {ranks} {what}{names}", _REMEDY)

    def _anywhere(self) -> torch.device:
        return next(self._model.parameters()).device


_REMEDY = "take the machine of that rank out, and go on from the newest checkpoint by the same command"
