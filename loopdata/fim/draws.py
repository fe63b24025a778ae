"""Random numbers of one document: as many as it needs, the same wherever and in whatever order it is rendered.

Enters: the data seed, the label of the samples, the id of the document. Leaves: numbers drawn one after the other by
SHA-256 of these and a counter. Limit: a number has 53 bits, so that a choice among more than 2^53 things is uneven.
"""

from collections.abc import Mapping

from loopdata.stage import UnitIntervals


class Draws:
    """The sequence of a document."""

    def __init__(self, seed: int, label: str, doc_id: str) -> None:
        self._numbers, self._count = UnitIntervals(seed, label, doc_id, "fim"), 0

    def unit(self) -> float:
        """The next number in [0, 1)."""
        self._count += 1
        return self._numbers.of(str(self._count))

    def below(self, count: int) -> int:
        """One of 0 … count - 1, each as likely."""
        return min(int(self.unit() * count), count - 1)

    def between(self, low: int, high: int) -> int:
        """One of low … high, both included."""
        return low + self.below(high - low + 1)

    def scaled_between(self, low: int, high: int) -> int:
        """One of low … high, both included, above 0: every doubling as likely, so that small ones come most often."""
        return min(int(low * ((high + 1) / low) ** self.unit()), high)

    def weighted(self, weights: Mapping[str, float]) -> str:
        """One of the names, by weight; at least one weight is above 0."""
        names = [name for name, weight in weights.items() if weight > 0]
        left = self.unit() * sum(weights[name] for name in names)
        for name in names[:-1]:
            left -= weights[name]
            if left < 0:
                return name
        return names[-1]
