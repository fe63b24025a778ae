"""Batches for the model, from a dataset folder: sequences padded to one length, with targets and document ids.

Enters: a dataset (`loopdata.tokens.shards`) and an order of sequences. Leaves: Batch. The first token of a document or
piece is no target, nor is one without loss, nor padding: those have `IGNORED`. Training follows the dataset's order,
pass after pass; with a seed each pass is shuffled by (seed, pass). Limit: one thread reads, a step ahead; a mapped file
gives sequences faster than a CPU or one GPU trains on them.

Legend: B sequences, T positions.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kernels.documents import Documents
from kernels.ring_layout import Ring, share
from loopdata.errors import ShardError
from loopdata.tokens.shards import Dataset, Sequence
from model.group import Group

IGNORED = -100


@dataclass(frozen=True)
class Batch:
    """Sequences beside each other. `languages_BT` is an index into the dataset's languages, −1 on padding.

    Where processes share sequences, T are this one's positions, but those of `ids_BT`, which says how they all stand.
    """

    tokens_BT: Tensor
    targets_BT: Tensor
    ids_BT: Tensor
    languages_BT: Tensor
    sequences: list[Sequence]
    sharing: Group | None = None

    @property
    def num_tokens(self) -> int:
        """Tokens of the whole sequences without padding."""
        return sum(len(sequence.tokens) for sequence in self.sequences)

    @property
    def samples(self) -> list[str]:
        """Ids of the samples that lie in the batch."""
        return [sample for sequence in self.sequences for sample in sequence.samples]

    @property
    def num_targets(self) -> int:
        return int((self.targets_BT != IGNORED).sum())

    def share_of(self, group: Group) -> "Batch":
        """What this process has of the batch: its positions, where the group shares sequences."""
        if group.context == 1:
            return self
        parts = (self.tokens_BT, self.targets_BT, self.languages_BT)
        tokens_BT, targets_BT, languages_BT = (share(x_BT, group.context_rank, group.context) for x_BT in parts)
        return replace(self, tokens_BT=tokens_BT, targets_BT=targets_BT, languages_BT=languages_BT, sharing=group)

    def on(self, device: torch.device) -> tuple[Tensor, Tensor, Documents | Ring]:
        """Tokens, targets and documents where the model is."""
        if self.sharing is None:
            return self.whole_on(device)
        ring = Ring.of(self.ids_BT.to(device), self.sharing.context_group)
        return self.tokens_BT.to(device), self.targets_BT.to(device), ring

    def whole_on(self, device: torch.device) -> tuple[Tensor, Tensor, Documents]:
        """The same for a batch that nobody shares."""
        return self.tokens_BT.to(device), self.targets_BT.to(device), Documents.of(self.ids_BT.to(device))


def collate(sequences: list[Sequence], length: int, padding: int) -> Batch:
    """One batch of `sequences`; padding is a document of its own."""
    shape = (len(sequences), length)
    tokens_BT = np.full(shape, padding, dtype=np.int64)
    targets_BT = np.full(shape, IGNORED, dtype=np.int64)
    ids_BT = np.empty(shape, dtype=np.int64)
    languages_BT = np.full(shape, -1, dtype=np.int64)
    for row, sequence in enumerate(sequences):
        size, pieces = len(sequence.tokens), np.diff(sequence.bounds)
        if size > length or pieces.sum() != size:
            raise ShardError(f"a sequence has {size} tokens in pieces of {pieces.sum()}, the dataset's length {length}")
        tokens_BT[row, :size] = sequence.tokens
        targets_BT[row, : max(size - 1, 0)] = _targets(sequence)
        ids_BT[row, :size] = np.repeat(np.arange(len(pieces)), pieces)
        ids_BT[row, size:] = len(pieces)
        languages_BT[row, :size] = np.repeat(sequence.languages, pieces)
    as_tensor = torch.from_numpy
    return Batch(as_tensor(tokens_BT), as_tensor(targets_BT), as_tensor(ids_BT), as_tensor(languages_BT), sequences)


def _targets(sequence: Sequence) -> NDArray[np.int64]:
    """The next token at each position but the last, IGNORED where it carries no loss or begins a piece."""
    wanted = np.asarray(sequence.loss, dtype=bool).copy()
    wanted[sequence.bounds[:-1]] = False
    targets: NDArray[np.int64] = np.where(wanted[1:], sequence.tokens[1:], IGNORED).astype(np.int64)
    return targets


class TrainingOrder:
    """The endless order of training sequences: position n is entry n mod size of pass n div size."""

    def __init__(self, dataset: Dataset, seed: int | None) -> None:
        if len(dataset.order) == 0:
            raise ShardError(f"{dataset.path} has an empty training order", "give the mixture something to draw from")
        self._dataset, self._seed = dataset, seed
        # The permutation of the pass that was asked for last: one a pass, not one a sequence.
        self._pass = (-1, np.empty(0, dtype=np.int64))

    def batch(self, position: int, sequences: int) -> Batch:
        """`sequences` sequences from `position` on; a pass that ends goes over into the next."""
        entries = [self._dataset.order[self._index(n)] for n in range(position, position + sequences)]
        read = [self._dataset.sequence(int(e["packing"]), int(e["sequence"])) for e in entries]
        return collate(read, self._dataset.length, self._dataset.end_of_text)

    def _index(self, position: int) -> int:
        number, index = divmod(position, len(self._dataset.order))
        if self._seed is None:
            return index
        if self._pass[0] != number:
            generator = np.random.default_rng([self._seed, number])
            self._pass = (number, generator.permutation(len(self._dataset.order)))
        return int(self._pass[1][index])


class StepBatches:
    """The batches of each step, read in a thread while the step before is computed.

    `places` gives (position, sequences) of the batches of the step that begins at a position; steps lie `stride` apart.
    """

    def __init__(
        self, order: TrainingOrder, places: Callable[[int], list[tuple[int, int]]], begin: int, stride: int
    ) -> None:
        self._order, self._places, self._next, self._stride = order, places, begin, stride
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="batches")

    def __enter__(self) -> "StepBatches":
        self._coming = self._reader.submit(self._read)
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.shutdown(cancel_futures=True)

    def __next__(self) -> list[Batch]:
        found = self._coming.result()
        self._coming = self._reader.submit(self._read)
        return found

    def _read(self) -> list[Batch]:
        places, self._next = self._places(self._next), self._next + self._stride
        return [self._order.batch(position, sequences) for position, sequences in places]


def held_out(dataset: Dataset, limit: int | None) -> list[tuple[int, int]]:
    """(packing, sequence) of the held-out split, at most `limit`: the packings take turns, so that each is there."""
    packings = [
        [(number, index) for index in range(packing.num_sequences)]
        for number, packing in enumerate(dataset.packings)
        if packing.split == "valid"
    ]
    turns = [entry for turn in zip_longest(*packings) for entry in turn if entry is not None]
    return turns if limit is None else turns[:limit]


def held_out_batches(dataset: Dataset, limit: int | None, sequences: int) -> Iterator[Batch]:
    """The held-out split in batches."""
    return (batch for batch in held_out_turns(dataset, limit, sequences, 0, 1) if batch is not None)


def held_out_turns(
    dataset: Dataset, limit: int | None, sequences: int, rank: int, ranks: int
) -> Iterator[Batch | None]:
    """The batches of one of several readers, who take turns; None where the last turn leaves nothing for it."""
    chosen = held_out(dataset, limit)
    for turn in range(0, len(chosen), sequences * ranks):
        begin = turn + rank * sequences
        read = [dataset.sequence(*entry) for entry in chosen[begin : begin + sequences]]
        yield collate(read, dataset.length, dataset.end_of_text) if read else None
