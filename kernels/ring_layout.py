"""Who holds which positions of a row that is spread over ranks, and the messages between them.

Enters: document ids of whole rows and a process group. Leaves: the spans of each rank, the pieces in which they travel,
the halos that windows need, and how queries stand to keys. Limit: the layout is for causal masks.

A rank holds two spans of a row, the r-th from its begin and the r-th from its end (zigzag): all ranks then have alike
work, where one span each would give the last rank (2P − 1)/P times the mean.

Legend: B batch, T positions of whole rows, P ranks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from kernels.documents import Documents
from kernels.pieces import Fused, Piece, Pieces, Plain

Span = tuple[int, int]
Window = tuple[int, bool]
RING, HALO = 0, 1  # tags of messages


def spans(length: int, rank: int, ranks: int) -> list[Span]:
    """The two spans of a rank; they may be empty where a row is short."""
    edges = [n * length // (2 * ranks) for n in range(2 * ranks + 1)]
    return [(edges[n], edges[n + 1]) for n in (rank, 2 * ranks - 1 - rank)]


def share(x_BT: Tensor, rank: int, ranks: int) -> Tensor:
    """A rank's part of a tensor [B, T, …] of whole rows."""
    return torch.cat([x_BT[:, begin:end] for begin, end in spans(x_BT.shape[1], rank, ranks)], dim=1)


@dataclass(frozen=True)
class Halo:
    """Positions `span` of `owner`, which stand before a span of `receiver` and within the window's reach."""

    receiver: int
    owner: int
    index: int  # which span of the receiver
    span: Span


@dataclass(frozen=True)
class Ring:
    """Who holds what of a batch, and where its documents lie. Build it once a batch, by `Ring.of`, on every rank."""

    documents: Documents
    rank: int
    ranks: int
    group: dist.ProcessGroup | None
    cuts: int
    pieces_by: Pieces

    @classmethod
    def of(
        cls, ids_BT: Tensor, group: dist.ProcessGroup | None = None, *, cuts: int = 2, pieces_by: Pieces | None = None
    ) -> "Ring":
        """`ids_BT` are the ids of whole rows. Unless given, the Triton kernels compute on a GPU and torch elsewhere."""
        by = pieces_by or (Fused() if ids_BT.device.type == "cuda" else Plain())
        return cls(Documents.of(ids_BT), dist.get_rank(group), dist.get_world_size(group), group, cuts, by)

    def spans(self, rank: int) -> list[Span]:
        return spans(self.documents.ids_BT.shape[1], rank, self.ranks)

    def pieces(self, rank: int) -> list[Span]:
        """The spans of a rank as they travel."""
        return [
            (begin + n * (end - begin) // self.cuts, begin + (n + 1) * (end - begin) // self.cuts)
            for begin, end in self.spans(rank)
            for n in range(self.cuts)
        ]

    @property
    def pieces_a_rank(self) -> int:
        return 2 * self.cuts

    def keys_at(self, step: int, number: int) -> Span:
        """The piece that is here at a step of its way around: at first our own, then what the left neighbours had."""
        return self.pieces((self.rank - step) % self.ranks)[number]

    @property
    def positions(self) -> int:
        """How many positions of a row this rank holds."""
        return sum(end - begin for begin, end in self.spans(self.rank))

    def share(self, x_BT: Tensor) -> Tensor:
        """This rank's part of a tensor [B, T, …] of whole rows."""
        return share(x_BT, self.rank, self.ranks)

    def slices(self) -> Iterator[tuple[Span, slice]]:
        """Each span of this rank, and where it lies in the rank's tensors."""
        first = 0
        for begin, end in self.spans(self.rank):
            yield (begin, end), slice(first, first + end - begin)
            first += end - begin

    @cached_property
    def first_keys(self) -> list[int]:
        """For each span of this rank the first position that any of its queries sees."""
        begins_BT = self.documents.begins_BT
        return [int(begins_BT[:, begin].min()) if end > begin else 0 for begin, end in self.spans(self.rank)]

    def piece(self, queries: Span, keys: Span) -> Piece:
        documents = self.documents
        return Piece(
            shift=queries[0] - keys[0],
            begins_BT=documents.begins_BT[:, slice(*queries)] - keys[0],
            ends_BS=documents.ends_BT[:, slice(*keys)] - keys[0],
            ids_BS=documents.ids_BT[:, slice(*keys)],
        )

    def seen(self, keys: Span) -> Iterator[tuple[slice, Piece]]:
        """Spans of this rank that see something of the positions `keys`: where they lie, and how they stand."""
        for (span, rows), first in zip(self.slices(), self.first_keys, strict=True):
            some = span[0] < span[1] and keys[0] < keys[1]
            if some and keys[0] < span[1] and first < keys[1]:
                yield rows, self.piece(span, keys)

    def halos(self, window: Window) -> list[Halo]:
        """What the windows of all ranks need from before their spans, in the order in which it is sent."""
        reach = window[0] - 1 if window[1] else window[0]
        found = []
        for receiver in range(self.ranks):
            for index, (begin, end) in enumerate(self.spans(receiver)):
                low = max(0, begin - reach) if begin < end else begin
                for owner in range(self.ranks):
                    for a, b in self.spans(owner):
                        span = (max(a, low), min(b, begin))
                        if span[0] < span[1]:
                            found.append(Halo(receiver, owner, index, span))
        return sorted(found, key=lambda halo: (halo.receiver, halo.index, halo.span))  # as they lie before a span

    def local(self, span: Span) -> slice:
        """Where positions of this rank lie in its tensors."""
        for (begin, end), rows in self.slices():
            if begin <= span[0] and span[1] <= end:
                return slice(rows.start + span[0] - begin, rows.start + span[1] - begin)
        raise ValueError(f"rank {self.rank} does not hold the positions {span}")

    def post(self, sends: Sequence[tuple[Tensor, int]], receives: Sequence[tuple[Tensor, int]], tag: int) -> "Posted":
        """Start messages, each with a rank of the group; empty ones are not sent."""
        operations = [
            dist.P2POp(call, tensor, self._peer(peer), self.group, tag)
            for call, each in ((dist.isend, sends), (dist.irecv, receives))
            for tensor, peer in each
            if tensor.numel()
        ]
        works = dist.batch_isend_irecv(operations) if operations else []
        # What is sent must live until it has been.
        return Posted(works, [tensor for tensor, _ in sends])

    def turn(self, sends: Sequence[Tensor], receives: Sequence[Tensor]) -> "Posted":
        """Start one step around the ring: to the right neighbour, from the left."""
        right, left = (self.rank + 1) % self.ranks, (self.rank - 1) % self.ranks
        return self.post([(x, right) for x in sends], [(x, left) for x in receives], RING)

    def _peer(self, rank: int) -> int:
        return rank if self.group is None else dist.get_global_rank(self.group, rank)


@dataclass(frozen=True)
class Posted:
    """Messages under way."""

    works: list[Any]
    sent: list[Tensor]

    def wait(self) -> None:
        for work in self.works:
            work.wait()
