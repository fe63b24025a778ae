"""Bits per byte on the held-out split: overall, by category and by language.

Enters: a model and a dataset. Leaves: Evaluation. Bits per byte = Σ nats / (ln 2 · Σ bytes) over positions that carry
loss; a token counts the bytes of its text, a special token none, so that tokenizers can be compared. Limit: the first
token of each document is no target, and its bytes are not counted either.

Legend: B sequences, T positions, N positions with a target, V vocabulary.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from loopdata.tokens.shards import Dataset
from model.data import IGNORED, Batch
from model.group import Group
from model.looped import LoopedTransformer
from model.loss import nats_each


@dataclass
class Tally:
    """Sums over one part of the held-out split."""

    nats: float = 0.0
    bytes: int = 0
    tokens: int = 0

    def add(self, nats_N: Tensor, bytes_N: Tensor) -> None:
        self.nats += float(nats_N.double().sum())
        self.bytes += int(bytes_N.sum())
        self.tokens += len(nats_N)

    @property
    def bits_per_byte(self) -> float | None:
        """None where there was nothing to measure."""
        return self.nats / (math.log(2) * self.bytes) if self.bytes else None


@dataclass
class Evaluation:
    """Tallies of one evaluation."""

    overall: Tally = field(default_factory=Tally)
    by_category: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    by_language: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))

    def over(self, group: Group, categories: Sequence[str], languages: Sequence[str]) -> "Evaluation":
        """What all processes of a group measured together, the same in each of them."""
        keys = [(kind, name) for kind, names in (("category", categories), ("language", languages)) for name in names]
        parts = {"category": self.by_category, "language": self.by_language}
        mine = [self.overall, *(parts[kind].get(name, Tally()) for kind, name in keys)]
        sums = group.sum(*(value for tally in mine for value in (tally.nats, tally.bytes, tally.tokens)))
        overall, *each = (Tally(sums[n], int(sums[n + 1]), int(sums[n + 2])) for n in range(0, len(sums), 3))
        found = {kind: {n: t for (k, n), t in zip(keys, each, strict=True) if k == kind and t.tokens} for kind in parts}
        return Evaluation(overall, found["category"], found["language"])

    def to_dict(self) -> dict[str, object]:
        """Bits per byte, and what they were measured on."""
        return {
            "bits_per_byte": self.overall.bits_per_byte,
            "bytes": self.overall.bytes,
            "tokens": self.overall.tokens,
            "by_category": {name: tally.bits_per_byte for name, tally in sorted(self.by_category.items())},
            "by_language": {name: tally.bits_per_byte for name, tally in sorted(self.by_language.items())},
        }


class CategoryTally:
    """Nats of the targets of a step, by category: what training says of itself without another pass."""

    def __init__(self) -> None:
        self._sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])

    def add(self, batch: Batch, nats_N: Tensor) -> None:
        """`nats_N` are those of the batch's targets, in order."""
        rows_N = (batch.targets_BT != IGNORED).nonzero()[:, 0]
        sums_B = torch.zeros(len(batch.sequences), dtype=torch.float64).index_add_(0, rows_N, nats_N.double().cpu())
        counts_B = torch.bincount(rows_N, minlength=len(batch.sequences))
        for sequence, total, count in zip(batch.sequences, sums_B.tolist(), counts_B.tolist(), strict=True):
            sums = self._sums[sequence.category]
            sums[0], sums[1] = sums[0] + total, sums[1] + count

    def means(self, names: Sequence[str], summed: Callable[..., list[float]]) -> dict[str, float]:
        """Nats a target of the categories `names`; those without targets are left out. `summed` sums over a group."""
        found = summed(*(value for name in names for value in self._sums[name]))
        return {name: nats / count for name, nats, count in zip(names, found[::2], found[1::2], strict=True) if count}


def evaluate(
    model: LoopedTransformer,
    dataset: Dataset,
    batches: Iterable[Batch | None],
    device: torch.device,
    check: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Bits per byte of `batches`, in the caller's autocast. `check` is called before each and may raise.

    None stands for no batch, where other processes of a group have one more.
    """
    evaluation = Evaluation()
    bytes_V = torch.tensor(dataset.token_bytes, dtype=torch.int64)
    with torch.no_grad():
        for batch in batches:
            check()
            if batch is None:
                continue
            tokens_BT, targets_BT, documents = batch.on(device)
            states_BTD = model(tokens_BT, documents)
            counted_BT = targets_BT != IGNORED
            nats_N = nats_each(states_BTD[counted_BT], model.readout, targets_BT[counted_BT]).cpu()
            _tally(evaluation, dataset, batch, nats_N, bytes_V)
    return evaluation


def _tally(evaluation: Evaluation, dataset: Dataset, batch: Batch, nats_N: Tensor, bytes_V: Tensor) -> None:
    rows_N, columns_N = (batch.targets_BT != IGNORED).nonzero(as_tuple=True)
    bytes_N = bytes_V[batch.targets_BT[rows_N, columns_N]]
    languages_N = batch.languages_BT[rows_N, columns_N]
    evaluation.overall.add(nats_N, bytes_N)
    for row, sequence in enumerate(batch.sequences):
        evaluation.by_category[sequence.category].add(nats_N[rows_N == row], bytes_N[rows_N == row])
    for language in sorted(set(languages_N.tolist())):
        mine_N = languages_N == language
        evaluation.by_language[dataset.languages[language]].add(nats_N[mine_N], bytes_N[mine_N])
