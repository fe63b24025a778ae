"""How many bands of how many rows: what a signature is cut into, from a threshold and a wanted detection.

Enters: a threshold, a number of permutations, and either the wanted share of pairs at the threshold that must meet in
a band, or nothing: then false positives and false negatives weigh the same, as in datasketch. Leaves: bands and rows.
Two texts of similarity s meet with probability 1 - (1 - s^rows)^bands (Leskovec, Rajaraman, Ullman, 3.4). Limit: the
areas below take every similarity for equally frequent, which no corpus is.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from loopdata.errors import ConfigError

MAX_NODES = 256  # of the quadrature, which is exact for polynomials of twice that degree


class Bands(NamedTuple):
    """`bands` of `rows` consecutive minima each."""

    bands: int
    rows: int

    def detection(self, similarity: float) -> float:
        """Probability that two texts of this similarity meet in at least one band."""
        return float(1.0 - (1.0 - similarity**self.rows) ** self.bands)


def choose(threshold: float, permutations: int, detection: float | None = 0.98) -> Bands:
    """The bands with the fewest false positives among those that reach `detection` at the threshold.

    `None` for `detection`: false positives and negatives weigh the same. ConfigError where no bands reach it.
    """
    if detection is None:
        return balanced(threshold, permutations, 0.5, 0.5)
    reach = [found for found in _all(permutations) if found.detection(threshold) >= detection]
    if not reach:
        best = max(found.detection(threshold) for found in _all(permutations))
        raise ConfigError(
            f"no bands of {permutations} permutations detect {detection:.4g} of the pairs at {threshold}",
            f"raise `permutations`, or ask for at most {best:.4g}",
        )
    return min(reach, key=lambda found: (false_positives(found, threshold), found.bands))


def balanced(threshold: float, permutations: int, positive_weight: float, negative_weight: float) -> Bands:
    """The bands with the smallest weighted sum of false positives and false negatives."""

    def error(found: Bands) -> float:
        wrong, missed = false_positives(found, threshold), false_negatives(found, threshold)
        return wrong * positive_weight + missed * negative_weight

    return min(_all(permutations), key=error)


def false_positives(found: Bands, threshold: float) -> float:
    """Area under the probability to meet, below the threshold."""
    return threshold - _area_apart(found, 0.0, threshold)


def false_negatives(found: Bands, threshold: float) -> float:
    """Area under the probability not to meet, above the threshold."""
    return _area_apart(found, threshold, 1.0)


def _area_apart(found: Bands, low: float, high: float) -> float:
    """Integral of (1 - s^rows)^bands, a polynomial, by Gauss and Legendre."""
    nodes, weights = _quadrature(min(MAX_NODES, 1 << (found.bands * found.rows // 2).bit_length()))
    half = (high - low) / 2
    similarity = low + half * (nodes + 1)
    return float(half * np.sum(weights * (1 - similarity**found.rows) ** found.bands))


@cache
def _quadrature(nodes: int) -> tuple[Any, Any]:
    """Nodes and weights on -1 … 1."""
    return np.polynomial.legendre.leggauss(nodes)


def _all(permutations: int) -> list[Bands]:
    return [Bands(bands, rows) for bands in range(1, permutations + 1) for rows in range(1, permutations // bands + 1)]
