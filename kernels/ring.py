"""Context parallelism: gated attention of rows whose positions are spread over the ranks of a process group.

Enters: each rank's share of queries, keys, values and gates [B, T, heads, d], and a `Ring`. Leaves: its share of the
outputs, with gradients. Global part: pieces of K1, V1 go around a ring of point-to-point messages (Ring Attention, Liu
et al. 2023), and outputs are merged by log-sum-exp. Local part: a halo of the window's reach from whoever holds the
positions before. Every message is posted before the computation that it runs beside.

Each piece goes around the whole ring before the next one starts, so that a rank never holds more of K1 than its own
share and two pieces. Backward sends K1, V1 around again, and their gradients after them (in fp32 at least). A state
that moves on along its row takes what it needs from the ranks before by the same halos.
Limit: balance is that of one long document a row; short ones need less work, and not the same on all ranks.

Legend: B batch, T positions of this rank, H query heads, G key heads, d head dimension, S positions of a piece or with
a halo. A pair is keys and values stacked, [2, B, S, G, d].
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.pieces import merge, wide
from kernels.ring_layout import HALO, Halo, Ring, Window


def ring_causal_attention(q: Tensor, k: Tensor, v: Tensor, ring: Ring) -> Tensor:
    """`causal_attention` on this rank's share of q, k and v; every rank of the group must call it."""
    _check(ring, q, k, v)
    with torch.autocast(q.device.type, enabled=False):  # sums over pieces are wide on purpose
        return _causal(q, k, v, ring)


def ring_gated_attention(
    q: Tensor, k1: Tensor, v1: Tensor, k2: Tensor, v2: Tensor, gate: Tensor, ring: Ring, *, window: int,
    window_self: bool = False,
) -> Tensor:  # fmt: skip
    """`gated_attention` on this rank's share of all tensors; every rank of the group must call it."""
    _check(ring, q, k1, v1, k2, v2, gate)
    if window < 0:
        raise ValueError(f"window must not be negative, not {window}")
    with torch.autocast(q.device.type, enabled=False):
        return _gated(q, k1, v1, k2, v2, gate, ring, (window, window_self))


def ring_shift(x_BTD: Tensor, ring: Ring, distance: int) -> Tensor:
    """Each position gets what stands `distance` before it in its document, or 0; every rank must call it."""
    _check(ring, x_BTD)
    moved = []
    for (span, _), extended_BSD in zip(ring.slices(), _extended(x_BTD, ring, (distance, False)), strict=True):
        length = span[1] - span[0]
        missing = distance - (extended_BSD.shape[1] - length)  # before the row's begin
        moved.append(F.pad(extended_BSD, (0, 0, missing, 0))[:, :length])
    known_BT = ring.share(ring.documents.positions_BT) >= distance
    return torch.cat(moved, dim=1) * known_BT.unsqueeze(-1)


def _check(ring: Ring, *tensors: Tensor) -> None:
    own = (ring.documents.ids_BT.shape[0], ring.positions)
    for x in tensors:
        if tuple(x.shape[:2]) != own:
            raise ValueError(f"rank {ring.rank} of {ring.ranks} holds {own} positions, not {tuple(x.shape[:2])}")


def _global(ring: Ring, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Global output in the type of q, and log-sum-exps [B, H, T]."""
    out = torch.zeros_like(q, dtype=wide(q))
    lse = q.new_full((q.shape[0], q.shape[2], q.shape[1]), -torch.inf, dtype=wide(q))
    for number in range(ring.pieces_a_rank):
        pair = _own_pair(ring, k, v, number)
        for step in range(ring.ranks):
            upcoming = _room(ring, pair, step + 1, number)
            posted = ring.turn([pair] if upcoming else [], upcoming)
            for rows, piece in ring.seen(ring.keys_at(step, number)):
                partial = ring.pieces_by.attend(q[:, rows], pair[0], pair[1], piece)
                out[:, rows], lse[:, :, rows] = merge(out[:, rows], lse[:, :, rows], *partial)
            posted.wait()
            pair = upcoming[0] if upcoming else pair
    return out.to(q.dtype), lse


def _global_backward(
    ring: Ring, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, d_out: Tensor
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of q, k and v. A piece's gradient follows it around the ring, a step behind, and ends at its owner."""
    dq = torch.zeros_like(q, dtype=wide(q))
    d_own = k.new_zeros((2, *k.shape), dtype=wide(k))
    for number in range(ring.pieces_a_rank):
        pair = _own_pair(ring, k, v, number)
        d_pair: list[Tensor] = []
        for step in range(ring.ranks):
            upcoming = _room(ring, pair, step + 1, number)
            so_far = [torch.empty_like(pair, dtype=wide(pair)) for _ in d_pair]
            posted = ring.turn(([pair] if upcoming else []) + d_pair, upcoming + so_far)
            d_here = torch.zeros_like(pair, dtype=wide(pair))
            for rows, piece in ring.seen(ring.keys_at(step, number)):
                known = (out[:, rows], lse[:, :, rows], d_out[:, rows])
                grads = ring.pieces_by.attend_backward(q[:, rows], pair[0], pair[1], piece, *known)
                dq[:, rows] += grads[0]
                d_here[0] += grads[1]
                d_here[1] += grads[2]
            posted.wait()
            d_pair = [sum(so_far, d_here)]
            pair = upcoming[0] if upcoming else pair
        own = d_own[:, :, ring.local(ring.keys_at(0, number))]
        home = [torch.empty_like(own)] if ring.ranks > 1 else []
        ring.turn(d_pair if home else [], home).wait()
        own.copy_((home or d_pair)[0])
    return dq.to(q.dtype), d_own[0].to(k.dtype), d_own[1].to(v.dtype)


def _own_pair(ring: Ring, k: Tensor, v: Tensor, number: int) -> Tensor:
    rows = ring.local(ring.keys_at(0, number))
    return torch.stack([k[:, rows], v[:, rows]])


def _room(ring: Ring, pair: Tensor, step: int, number: int) -> list[Tensor]:
    """Where to receive the piece of a step, if there is such a step."""
    begin, end = ring.keys_at(step, number)
    return [pair.new_empty((*pair.shape[:2], end - begin, *pair.shape[3:]))] if step < ring.ranks else []


def _extend(ring: Ring, window: Window, *parts: Tensor) -> Callable[[], list[Tensor]]:
    """Post the halos; then wait for them, and get the parts of each span, stacked, behind what its window reaches."""
    like = parts[0]
    pairs = {
        halo: torch.stack([x[:, ring.local(halo.span)] for x in parts])
        if halo.owner == ring.rank
        else like.new_empty((len(parts), like.shape[0], halo.span[1] - halo.span[0], *like.shape[2:]))
        for halo in _own_halos(ring, window)
    }
    sends = [(pair, halo.receiver) for halo, pair in pairs.items() if halo.receiver != ring.rank]
    receives = [(pair, halo.owner) for halo, pair in pairs.items() if halo.owner != ring.rank]
    posted = ring.post(sends, receives, HALO)

    def wait() -> list[Tensor]:
        posted.wait()
        extended = []
        for index, (_, rows) in enumerate(ring.slices()):
            before = [pair for halo, pair in pairs.items() if halo.receiver == ring.rank and halo.index == index]
            extended.append(torch.cat([*before, torch.stack([x[:, rows] for x in parts])], dim=2))
        return extended

    return wait


def _give_back(
    ring: Ring, window: Window, d_extended: list[Tensor]
) -> Callable[[], tuple[Tensor, ...]]:  # fmt: skip
    """Post the gradients of halos to their owners; then wait for those of others, and get the gradient of each part."""
    spans = [span for span, _ in ring.slices()]
    begins = [end - d_pair.shape[2] for (_, end), d_pair in zip(spans, d_extended, strict=True)]
    pairs = {}
    for halo in _own_halos(ring, window):
        first, last = halo.span
        if halo.receiver == ring.rank:
            at = slice(first - begins[halo.index], last - begins[halo.index])
            pairs[halo] = d_extended[halo.index][:, :, at].contiguous()
        else:
            like = d_extended[0]
            pairs[halo] = like.new_empty((*like.shape[:2], last - first, *like.shape[3:]))
    sends = [(pair, halo.owner) for halo, pair in pairs.items() if halo.owner != ring.rank]
    receives = [(pair, halo.receiver) for halo, pair in pairs.items() if halo.receiver != ring.rank]
    posted = ring.post(sends, receives, HALO)

    def wait() -> tuple[Tensor, ...]:
        posted.wait()
        own = [
            d_pair[:, :, begin - first :] for d_pair, first, (begin, _) in zip(d_extended, begins, spans, strict=True)
        ]
        total = torch.cat(own, dim=2)
        for halo, pair in pairs.items():
            if halo.owner == ring.rank:
                total[:, :, ring.local(halo.span)] += pair
        return total.unbind()

    return wait


def _own_halos(ring: Ring, window: Window) -> list[Halo]:
    return [halo for halo in ring.halos(window) if ring.rank in (halo.owner, halo.receiver)]


class _Extended(torch.autograd.Function):
    """Each span of this rank behind its halo: [B, S, D] for each."""

    @staticmethod
    def forward(ctx: Any, x_BTD: Tensor, ring: Ring, window: Window) -> tuple[Tensor, ...]:
        ctx.ring, ctx.window = ring, window
        return tuple(extended[0] for extended in _extend(ring, window, x_BTD)())

    @staticmethod
    def backward(ctx: Any, *d_extended: Tensor) -> tuple[Tensor | None, ...]:
        return *_give_back(ctx.ring, ctx.window, [d_span[None] for d_span in d_extended])(), None, None


class _Causal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, ring: Ring) -> Tensor:
        out, lse = _global(ring, q, k, v)
        ctx.save_for_backward(q, k, v, out, lse)
        ctx.ring = ring
        return out

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, out, lse = ctx.saved_tensors
        return *_global_backward(ctx.ring, q, k, v, out, lse, d_out), None


class _Gated(torch.autograd.Function):
    """Saves the global output and log-sum-exps; the local part, which is a band, is computed again."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k1: Tensor, v1: Tensor, k2: Tensor, v2: Tensor, gate: Tensor, ring: Ring, window: Window
    ) -> Tensor:
        wait = _extend(ring, window, k2, v2)
        given, lse = _global(ring, q, k1, v1)
        extended = wait()
        out, finish = torch.empty_like(q), ring.pieces_by.finish
        for (span, rows), pair in zip(ring.slices(), extended, strict=True):
            if span[0] < span[1]:
                piece = ring.piece(span, (span[1] - pair.shape[2], span[1]))
                out[:, rows] = finish(q[:, rows], pair[0], pair[1], gate[:, rows], given[:, rows], piece, window)
        ctx.save_for_backward(q, k1, v1, gate, given, lse, *extended)
        ctx.ring, ctx.window = ring, window
        return out

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor | None, ...]:
        ring, window = ctx.ring, ctx.window
        q, k1, v1, gate, given, lse, *extended = ctx.saved_tensors
        dq, d_gate, d_given = torch.empty_like(q), torch.empty_like(gate), torch.empty_like(given)
        d_extended = [torch.zeros_like(pair) for pair in extended]
        for (span, rows), pair, d_pair in zip(ring.slices(), extended, d_extended, strict=True):
            if span[0] < span[1]:
                piece = ring.piece(span, (span[1] - pair.shape[2], span[1]))
                inputs = (q[:, rows], *pair, gate[:, rows], given[:, rows], piece, window, d_out[:, rows])
                grads = ring.pieces_by.finish_backward(*inputs)
                dq[:, rows], d_pair[0], d_pair[1], d_gate[:, rows], d_given[:, rows] = grads
        wait = _give_back(ring, window, d_extended)
        dq1, dk1, dv1 = _global_backward(ring, q, k1, v1, given, lse, d_given)
        return dq + dq1, dk1, dv1, *wait(), d_gate, None, None


_extended: Callable[..., tuple[Tensor, ...]] = _Extended.apply
_causal: Callable[..., Tensor] = _Causal.apply
_gated: Callable[..., Tensor] = _Gated.apply
