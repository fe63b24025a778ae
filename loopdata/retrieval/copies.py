"""Whether a text gives away another: holds it, or a long run of it, whatever the white space.

Enters: the secret text, then candidates. Leaves: whether each may be shown. All white space is taken away from both, so
that a copy that was moved, indented or wrapped is found. A candidate leaks where it holds the whole secret, or any
RUN bytes of it in a row: half of a copied function lies in each of two chunks, and neither holds it whole. A secret of
fewer than MIN_BYTES says nothing about where it comes from (`return x`) and is not guarded. Limit: a copy in which
names were changed is not found.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from loopdata.compiled import compiled

MIN_BYTES = 16
RUN = 48

_BASE = np.uint64(0x9E3779B97F4A7C15)
_BLANK = np.zeros(256, np.bool_)
_BLANK[list(b" \t\n\r\v\f")] = True
_FILTER_BITS = 12  # of a hash: where they are those of no run, it is looked up no further


class Guard:
    """Knows one secret; `leaks` of a candidate says whether it gives it away."""

    def __init__(self, secret: bytes) -> None:
        data = np.frombuffer(secret, np.uint8)
        solid = data[~_BLANK[data]]
        self.active = len(solid) >= MIN_BYTES
        self._size = min(len(solid), RUN)
        self._runs = np.sort(_runs(solid, self._size)) if self.active else np.empty(0, np.uint64)
        self._maybe = np.zeros(1 << _FILTER_BITS, np.bool_)
        self._maybe[self._runs >> np.uint64(64 - _FILTER_BITS)] = True

    def leaks(self, candidate: bytes | npt.NDArray[np.uint8]) -> bool:
        """Whether the candidate holds the secret or a long run of it."""
        if not self.active:
            return False
        data = np.frombuffer(candidate, np.uint8) if isinstance(candidate, bytes) else candidate
        return bool(_has_known(data, self._size, self._runs, self._maybe))


@compiled
def _runs(data: Any, size: Any) -> Any:
    """The hash of every run of `size` bytes (Karp and Rabin 1987)."""
    out = np.empty(max(len(data) - size + 1, 0), np.uint64)
    lead, run = _power(size - 1), np.uint64(0)
    for at in range(len(data)):
        if at >= size:
            run -= np.uint64(data[at - size]) * lead
        run = run * _BASE + np.uint64(data[at])
        if at >= size - 1:
            out[at - size + 1] = run
    return out


@compiled
def _power(exponent: Any) -> Any:
    result = np.uint64(1)
    for _ in range(exponent):
        result *= _BASE
    return result


@compiled
def _has_known(data: Any, size: Any, known: Any, maybe: Any) -> Any:
    """Whether a run of `size` bytes of `data`, blanks left out, is among the sorted hashes `known`."""
    last = np.zeros(size, np.uint64)  # the bytes of the run, in a ring
    lead, run, seen = _power(size - 1), np.uint64(0), 0
    for byte in data:
        if _BLANK[byte]:
            continue
        place = seen % size
        run = (run - last[place] * lead) * _BASE + np.uint64(byte)
        last[place] = byte
        seen += 1
        if seen >= size and maybe[run >> np.uint64(64 - _FILTER_BITS)]:
            at = np.searchsorted(known, run)
            if at < len(known) and known[at] == run:
                return True
    return False
