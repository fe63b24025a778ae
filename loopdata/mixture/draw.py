"""Draws a mixture: how often each sequence of each category is used, and in which order training sees them.

Enters: the sequences that each category has, weights, a budget in tokens, and a seed. Leaves: the training order and
figures. A category is repeated at most `max_epochs` times: up to four epochs were worth almost as much as new data to
Muennighoff et al. 2023. Each epoch has an order of its own, and a category is spread evenly over the whole training. A
category that has too little falls short; its share is NOT given to others, since that would change the mixture that was
asked for unseen: the training is shorter, and the figures say by how much. Limit: the order stays in memory, 8 bytes a
sequence, with about ten times that while it is made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loopdata.config import nearest
from loopdata.errors import ConfigError
from loopdata.schema import digest
from loopdata.tokens.shards import ORDER


@dataclass(frozen=True)
class Stock:
    """What a category has: its packing's number in the dataset, and the tokens of each sequence, int64 [sequences]."""

    packing: int
    category: str
    tokens: NDArray[np.int64]


@dataclass(frozen=True)
class Share:
    """What became of a category. `shortfall` is what `max_epochs` epochs lack of `wanted_tokens`; all in tokens."""

    category: str
    weight: float
    wanted_tokens: int
    tokens: int
    sequences: int
    epochs: float
    shortfall: int


@dataclass(frozen=True)
class Drawn:
    """A training order (shards.ORDER), and figures for each category, sorted by name."""

    order: NDArray[np.void]
    shares: list[Share]


def draw(
    stocks: Sequence[Stock], weights: Mapping[str, float], *, tokens: int, seed: int, max_epochs: int = 4
) -> Drawn:
    """Draw about `tokens` tokens in the proportions of `weights` (their sum does not matter).

    A category gets the smallest number of sequences whose tokens reach its share; each sequence is used n or n + 1
    times. A category without a weight is not drawn. ConfigError for a weight of a category that is not there, one below
    zero, or none above zero.
    """
    by_name = {stock.category: stock for stock in stocks}
    _check(by_name, stocks, weights)
    total = sum(weights.values())
    picks, shares = [], []
    for category in sorted(by_name):
        stock, weight = by_name[category], weights.get(category, 0)
        wanted = round(tokens * weight / total)
        chosen = _choose(stock, wanted, seed, max_epochs)
        given = int(stock.tokens[chosen].sum())
        epochs = len(chosen) / len(stock.tokens) if len(stock.tokens) else 0.0
        shares.append(Share(category, weight, wanted, given, len(chosen), epochs, max(0, wanted - given)))
        picks.append((stock.packing, chosen))
    return Drawn(_interleave(picks), shares)


def _check(by_name: Mapping[str, Stock], stocks: Sequence[Stock], weights: Mapping[str, float]) -> None:
    if len(by_name) != len(stocks):
        raise ConfigError("a category has more than one packing", "give one packing a category")
    for category, weight in weights.items():
        if category not in by_name:
            raise ConfigError(f"mixture.weights.{category}: no such category{nearest(category, list(by_name))}")
        if not 0 <= weight < float("inf"):
            raise ConfigError(f"mixture.weights.{category}: {weight} is no weight", "give a number of at least 0")
    if not sum(weights.values()) > 0:
        raise ConfigError("mixture.weights: no category has a weight above 0", "give at least one")


def _choose(stock: Stock, wanted: int, seed: int, max_epochs: int) -> NDArray[np.int64]:
    """Sequences in the order of use: epoch by epoch, until their tokens reach what is wanted."""
    chosen = [np.empty(0, np.int64)]
    left = wanted
    for epoch in range(max_epochs):
        if left <= 0 or not len(stock.tokens):
            break
        order = _shuffle(len(stock.tokens), seed, stock.category, epoch)
        reached = np.cumsum(stock.tokens[order])
        chosen.append(order[: int(np.searchsorted(reached, left)) + 1])
        left -= int(reached[-1])
    return np.concatenate(chosen)


def _shuffle(count: int, seed: int, category: str, epoch: int) -> NDArray[np.int64]:
    """A permutation. Philox's raw stream is fixed by its paper, while numpy may change how it draws permutations."""
    key = int(digest("mixture", str(seed), category, str(epoch)), 16)
    return np.argsort(np.random.Philox(key=key).random_raw(count), kind="stable")


def _interleave(picks: Sequence[tuple[int, NDArray[np.int64]]]) -> NDArray[np.void]:
    """Place n sequences at the shares 1/2n, 3/2n, … of the training; equal shares in the order of `picks`."""
    counts = [len(chosen) for _, chosen in picks]
    position = np.concatenate([np.empty(0), *((np.arange(n) + 0.5) / max(n, 1) for n in counts)])
    order = np.zeros(len(position), ORDER)
    order["packing"] = np.repeat([packing for packing, _ in picks], counts)
    order["sequence"] = np.concatenate([np.empty(0, np.int64), *(chosen for _, chosen in picks)])
    return order[np.argsort(position, kind="stable")]
