"""Whether a text gives away another: holds it, or a long run of it, whatever the white space.

Enters: the secret text, then candidates. Leaves: whether each may be shown. All white space is taken away from both, so
that a copy that was moved, indented or wrapped is found. A candidate leaks where it holds the whole secret, or any
RUN bytes of it in a row: half of a copied function lies in each of two chunks, and neither holds it whole. A secret of
fewer than MIN_BYTES says nothing about where it comes from (`return x`) and is not guarded. Limit: a copy in which
names were changed is not found.
"""

from typing import Any

import numpy as np

from loopdata.compiled import compiled

MIN_BYTES = 16
RUN = 48

_BASE = np.uint64(0x9E3779B97F4A7C15)
_BLANK = np.zeros(256, np.bool_)
_BLANK[list(b" \t\n\r\v\f")] = True


class Guard:
    """Knows one secret; `leaks` of a candidate says whether it gives it away."""

    def __init__(self, secret: bytes) -> None:
        solid = _solid(secret)
        self.size = min(len(solid), RUN)
        self.active = len(solid) >= MIN_BYTES
        self._runs = np.unique(_runs(solid, self.size)) if self.active else np.empty(0, np.uint64)

    def leaks(self, candidate: bytes) -> bool:
        """Whether the candidate holds the secret or a long run of it."""
        return self.active and bool(_any_known(_solid(candidate), self.size, self._runs))


def _solid(text: bytes) -> Any:
    data = np.frombuffer(text, np.uint8)
    return data[~_BLANK[data]]


@compiled
def _runs(data: Any, size: Any) -> Any:
    """The hash of every run of `size` bytes (Karp and Rabin 1987)."""
    out = np.empty(max(len(data) - size + 1, 0), np.uint64)
    lead, run = np.uint64(1), np.uint64(0)
    for at in range(len(data)):
        if at >= size:
            run -= np.uint64(data[at - size]) * lead
        else:
            lead = lead * _BASE if at else lead
        run = run * _BASE + np.uint64(data[at])
        if at >= size - 1:
            out[at - size + 1] = run
    return out


@compiled
def _any_known(data: Any, size: Any, known: Any) -> Any:
    """Whether a run of `data` is among the sorted hashes `known`."""
    for run in _runs(data, size):
        place = np.searchsorted(known, run)
        if place < len(known) and known[place] == run:
            return True
    return False
