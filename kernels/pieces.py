"""Attention of a span of queries on a piece of the keys, forward and backward: what one step of a ring computes.

Enters: queries [B, T, H, d], keys and values [B, S, G, d], and a Piece that says where they stand. Leaves: outputs
with their log-sum-exps, by which outputs on several pieces are merged, and gradients from the merged ones. `Plain` is
torch on any device and in any type; `Fused` the Triton kernels. Limit: `Plain` holds 256×S weights a head.

Legend: B batch, T queries, S keys, H query heads, G key heads, n query heads of a group, t queries of a block,
d head dimension, x gate width (1 or d).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from kernels.documents import Documents
from kernels.sdpa import attend_in_band

_QUERIES = 256


@dataclass(frozen=True)
class Piece:
    """Key 0 stands `shift` positions before query 0; a query sees keys from `begins_BT` (counted in keys) to itself.

    `ids_BS` and `ends_BS` are the documents of the keys, `ends_BS` counted in keys as well.
    """

    shift: int
    begins_BT: Tensor
    ends_BS: Tensor
    ids_BS: Tensor


class Pieces(Protocol):
    """The two parts of gated attention. Log-sum-exps are [B, H, T]; `given` is the merged global output."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, piece: Piece) -> tuple[Tensor, Tensor]: ...

    def attend_backward(
        self, q: Tensor, k: Tensor, v: Tensor, piece: Piece, out: Tensor, lse: Tensor, d_out: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]: ...

    def finish(
        self, q: Tensor, k: Tensor, v: Tensor, gate: Tensor, given: Tensor, piece: Piece, window: tuple[int, bool]
    ) -> Tensor: ...

    def finish_backward(
        self, q: Tensor, k: Tensor, v: Tensor, gate: Tensor, given: Tensor, piece: Piece, window: tuple[int, bool],
        d_out: Tensor,
    ) -> tuple[Tensor, ...]: ...  # fmt: skip


def wide(x: Tensor) -> torch.dtype:
    """What sums over pieces are kept in."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def merge(out: Tensor, lse: Tensor, other: Tensor, other_lse: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs [B, T, H, d] on two sets of keys as one on both; a query without keys has log-sum-exp −inf."""
    both = torch.logaddexp(lse, other_lse)
    base = torch.where(both == -torch.inf, 0.0, both)
    shares = [torch.exp(each - base).transpose(1, 2).unsqueeze(-1) for each in (lse, other_lse)]
    return shares[0] * out + shares[1] * other, both


class Plain:
    """In torch, for CPUs and as the oracle of the kernels."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, piece: Piece) -> tuple[Tensor, Tensor]:
        outs, lses = [], []
        for _, scores in self._scores(q, k, piece):
            lse = scores.logsumexp(-1)
            p = torch.exp(scores - torch.where(lse == -torch.inf, 0.0, lse).unsqueeze(-1))
            outs.append(torch.einsum("bgnts,bsgd->btgnd", p, v.to(p.dtype)).flatten(2, 3))
            lses.append(lse.flatten(1, 2))
        return torch.cat(outs, 1), torch.cat(lses, 2)

    def attend_backward(
        self, q: Tensor, k: Tensor, v: Tensor, piece: Piece, out: Tensor, lse: Tensor, d_out: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        group, scale, kind = k.shape[2], q.shape[3] ** -0.5, wide(q)
        dk, dv = torch.zeros_like(k, dtype=kind), torch.zeros_like(v, dtype=kind)
        dqs = []
        for rows, scores in self._scores(q, k, piece):
            block = _by_group(lse[:, :, rows], 1, group).unsqueeze(-1)
            p = torch.exp(scores - torch.where(block == -torch.inf, 0.0, block))
            do = _by_group(d_out[:, rows].to(kind), 2, group)
            rho = (do * _by_group(out[:, rows].to(kind), 2, group)).sum(-1).permute(0, 2, 3, 1).unsqueeze(-1)
            ds = p * (torch.einsum("btgnd,bsgd->bgnts", do, v.to(kind)) - rho) * scale
            dqs.append(torch.einsum("bgnts,bsgd->btgnd", ds, k.to(kind)).flatten(2, 3))
            dk += torch.einsum("bgnts,btgnd->bsgd", ds, _by_group(q[:, rows].to(kind), 2, group))
            dv += torch.einsum("bgnts,btgnd->bsgd", p, do)
        return torch.cat(dqs, 1), dk, dv

    def finish(
        self, q: Tensor, k: Tensor, v: Tensor, gate: Tensor, given: Tensor, piece: Piece, window: tuple[int, bool]
    ) -> Tensor:
        """Local attention, mixed with the given global output."""
        band = Documents.of(piece.ids_BS).band(*window, q.dtype)
        # Queries that stand before the span make both sides one length; they are dropped again.
        before = q.new_zeros((q.shape[0], piece.shift, *q.shape[2:]))
        local = attend_in_band(torch.cat([before, q], 1), k, v, band)[:, piece.shift :]
        return torch.lerp(local, given, torch.sigmoid(gate))

    def finish_backward(
        self, q: Tensor, k: Tensor, v: Tensor, gate: Tensor, given: Tensor, piece: Piece, window: tuple[int, bool],
        d_out: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        """Gradients of q, k, v, gate and given; the band is computed again."""
        leaves = [x.detach().requires_grad_() for x in (q, k, v, gate, given)]
        with torch.enable_grad():
            out = self.finish(leaves[0], leaves[1], leaves[2], leaves[3], leaves[4], piece, window)
        return torch.autograd.grad(out, leaves, d_out)

    def _scores(self, q: Tensor, k: Tensor, piece: Piece) -> Iterator[tuple[slice, Tensor]]:
        """Scores [B, G, n, t, S] of some queries at a time, −inf where a key is not seen."""
        key_S = torch.arange(k.shape[1], device=k.device)
        for first in range(0, q.shape[1], _QUERIES):
            rows = slice(first, min(first + _QUERIES, q.shape[1]))
            last_t = torch.arange(rows.start, rows.stop, device=q.device) + piece.shift
            seen_BtS = (key_S >= piece.begins_BT[:, rows, None]) & (key_S <= last_t[:, None])
            block = _by_group(q[:, rows].to(wide(q)), 2, k.shape[2]) * q.shape[3] ** -0.5
            scores = torch.einsum("btgnd,bsgd->bgnts", block, k.to(wide(q)))
            yield rows, scores.masked_fill(~seen_BtS[:, None, None], -torch.inf)


def _by_group(x: Tensor, dim: int, groups: int) -> Tensor:
    """The heads that lie along `dim` as groups and heads of a group."""
    return x.reshape(*x.shape[:dim], groups, -1, *x.shape[dim + 1 :])


class Fused:
    """By the Triton kernels; see `kernels.fused` for where they run."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, piece: Piece) -> tuple[Tensor, Tensor]:
        from kernels import fused

        out, lse, _ = fused.forward(fused.Parts(q, piece.begins_BT, piece.ends_BS, k, v, shift=piece.shift))
        assert lse is not None
        return out, lse

    def attend_backward(
        self, q: Tensor, k: Tensor, v: Tensor, piece: Piece, out: Tensor, lse: Tensor, d_out: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        from kernels import fused

        parts = fused.Parts(q, piece.begins_BT, piece.ends_BS, k, v, shift=piece.shift)
        grads = fused.backward(parts, out, lse.contiguous(), None, d_out)
        return grads["q"], grads["k1"], grads["v1"]

    def finish(
        self, q: Tensor, k: Tensor, v: Tensor, gate: Tensor, given: Tensor, piece: Piece, window: tuple[int, bool]
    ) -> Tensor:
        from kernels import fused

        return fused.forward(_local(q, k, v, gate, given, piece, window))[0]

    def finish_backward(
        self, q: Tensor, k: Tensor, v: Tensor, gate: Tensor, given: Tensor, piece: Piece, window: tuple[int, bool],
        d_out: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        from kernels import fused

        parts = _local(q, k, v, gate, given, piece, window)
        _, _, lse = fused.forward(parts)
        grads = fused.backward(parts, given, None, lse, d_out)
        return grads["q"], grads["k2"], grads["v2"], grads["gate"], grads["given"]


def _local(
    q: Tensor, k: Tensor, v: Tensor, gate: Tensor, given: Tensor, piece: Piece, window: tuple[int, bool]
) -> Any:  # fmt: skip
    from kernels import fused

    tensors = {"k2": k, "v2": v, "gate": gate, "given": given}
    return fused.Parts(
        q, piece.begins_BT, piece.ends_BS, **tensors, window=window[0], window_self=window[1], shift=piece.shift
    )
