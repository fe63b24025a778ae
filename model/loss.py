"""Cross entropy over a large vocabulary without holding its logits.

Enters: normed states, the readout matrix, targets. Leaves: the sum of nats with gradients, and nats a position. Logits
and gradients are computed chunk by chunk in the forward pass (the thought of Liger's fused linear cross entropy), so
that N×V numbers never exist together. Limit: the gradient is made in the forward pass, whether it is used or not;
second derivatives do not exist.

Legend: N positions with a target, c positions of a chunk, D width, V vocabulary.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# Logits of a chunk: small enough to stay in the caches of a CPU, large enough to fill a GPU.
_CHUNK_NUMBERS_CPU, _CHUNK_NUMBERS_GPU = 1 << 22, 1 << 26


def nats_each(states_ND: Tensor, readout_VD: Tensor, targets_N: Tensor) -> Tensor:
    """−ln p(target) of each position, without gradient."""
    with torch.no_grad():
        chunks = zip(*_chunks(states_ND, readout_VD, targets_N), strict=True)
        return torch.cat([_nats(_logits(states, readout_VD), targets) for states, targets in chunks])


def _chunks(states_ND: Tensor, readout_VD: Tensor, targets_N: Tensor) -> tuple[Any, Any]:
    numbers = _CHUNK_NUMBERS_CPU if states_ND.device.type == "cpu" else _CHUNK_NUMBERS_GPU
    rows = max(1, numbers // readout_VD.shape[0])
    return torch.split(states_ND, rows), torch.split(targets_N, rows)


def _logits(states_cD: Tensor, readout_VD: Tensor) -> Tensor:
    """Products in the readout's type, numbers in fp32 at least."""
    logits_cV = states_cD.to(readout_VD.dtype) @ readout_VD.T
    return logits_cV if logits_cV.dtype == torch.float64 else logits_cV.float()


def _nats(logits_cV: Tensor, targets_c: Tensor) -> Tensor:
    return logits_cV.logsumexp(-1) - logits_cV.gather(-1, targets_c[:, None]).squeeze(-1)


class _SumOfNats(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, states_ND: Tensor, readout_VD: Tensor, targets_N: Tensor, product: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        matrix_VD = readout_VD.to(product)
        grad_states_ND = torch.empty_like(states_ND)
        grad_readout_VD = torch.zeros_like(readout_VD)
        exact = torch.float64 if states_ND.dtype == torch.float64 else torch.float32
        nats_N = states_ND.new_empty(len(targets_N), dtype=exact)
        begin = 0
        for states_cD, targets_c in zip(*_chunks(states_ND, readout_VD, targets_N), strict=True):
            logits_cV = _logits(states_cD, matrix_VD)
            at_c1 = targets_c[:, None]
            # One exponential serves the loss and the gradient: logsumexp and softmax apart would take two.
            shifted_cV = logits_cV.sub_(logits_cV.amax(-1, keepdim=True))
            at_target_c1 = shifted_cV.gather(-1, at_c1)
            grad_cV = shifted_cV.exp_()
            sum_c1 = grad_cV.sum(-1, keepdim=True)
            nats_N[begin : begin + len(targets_c)] = (sum_c1.log() - at_target_c1).squeeze(-1)
            # softmax − one-hot, the gradient of the logits
            grad_cV.div_(sum_c1)
            grad_cV.scatter_add_(-1, at_c1, grad_cV.new_full(at_c1.shape, -1.0))
            grad_cV = grad_cV.to(product)
            grad_states_ND[begin : begin + len(targets_c)] = grad_cV @ matrix_VD
            if product == grad_readout_VD.dtype:
                grad_readout_VD.addmm_(grad_cV.T, states_cD.to(product))  # no V×D product beside the sum
            else:
                grad_readout_VD += grad_cV.T @ states_cD.to(product)
            begin += len(targets_c)
        ctx.save_for_backward(grad_states_ND, grad_readout_VD)
        ctx.mark_non_differentiable(nats_N)
        return nats_N.sum(), nats_N

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_states_ND, grad_readout_VD = ctx.saved_tensors
        return grad_states_ND * grad.to(grad_states_ND.dtype), grad_readout_VD * grad, None, None


_sum_of_nats: Callable[..., tuple[Tensor, Tensor]] = _SumOfNats.apply


def sum_of_nats(states_ND: Tensor, readout_VD: Tensor, targets_N: Tensor) -> tuple[Tensor, Tensor]:
    """Σ −ln p(target), a scalar, and its summands [N] without gradient; products run in the type of autocast."""
    kind = states_ND.device.type
    product = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else readout_VD.dtype
    with torch.autocast(kind, enabled=False):
        return _sum_of_nats(states_ND, readout_VD, targets_N, product)
