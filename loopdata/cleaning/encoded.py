"""Data encoded as text: base64, runs of hexadecimal bytes, runs of `\\uXXXX`.

Enters: the UTF-8 bytes of texts as they lie in Arrow. Leaves: for each text the characters of its longest run and of
all runs together. The kinds are those of The Stack v2: 64 characters of base64, 8 hexadecimal bytes (`1f`, `0x1f`,
`\\x1f`, with commas or blanks between them), 8 escapes. Its pattern for base64 matches any run of letters or line ends
as well; here a run must look like data: hexadecimal with digits, or a digit in 32 characters and a change of kind
(capital, small, digit, sign) in 4, which random data has in 6 of 10. A run goes on over a line end only where at least
48 characters stand before it. One pass for each kind. Limit: data in an alphabet of its own is not seen.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from loopdata.cleaning.line_statistics import IN_HEXADECIMAL, IN_WORD, Bytes, Ints
from loopdata.compiled import compiled

Floats = npt.NDArray[np.float64]

_MIN_BASE64, _MIN_WRAPPED, _MIN_BYTES, _MIN_ESCAPES = 64, 48, 8, 8
_OTHER, _CAPITAL, _SMALL, _DIGIT, _SIGN = range(5)


def _kind(byte: int) -> int:
    """The kind of a character of base64, _OTHER for what is none."""
    character = chr(byte)
    if not character.isascii() or not (character.isalnum() or character in "+/="):
        return _OTHER
    if character.isdigit():
        return _DIGIT
    return _CAPITAL if character.isupper() else _SMALL if character.islower() else _SIGN


_KINDS = np.array([_kind(byte) for byte in range(256)], np.uint8)
_BEGINS_BYTE = IN_HEXADECIMAL.copy()
_BEGINS_BYTE[92] = True
_IS_GAP = np.array([byte in b" ,\t\n" for byte in range(256)], np.bool_)


class Encoded(NamedTuple):
    """One value a text, in characters."""

    longest: Floats
    total: Floats


def encoded(data: Bytes, offsets: Ints, wanted: npt.NDArray[np.bool_]) -> Encoded:
    """Runs of encoded data in the texts that are wanted, NaN for the others."""
    found = np.full((2, len(wanted)), np.nan)
    _measure(data, offsets, wanted, found)
    return Encoded(*found)


@compiled
def _measure(data: Any, offsets: Any, wanted: Any, found: Any) -> None:
    for text in range(len(wanted)):
        if wanted[text]:
            source = data[offsets[text] : offsets[text + 1]]
            (long_1, all_1), (long_2, all_2), (long_3, all_3) = _base64(source), _bytes(source), _escapes(source)
            found[0, text], found[1, text] = max(long_1, long_2, long_3), all_1 + all_2 + all_3


@compiled
def _base64(source: Any) -> Any:
    """Characters of the longest run of base64, and of all.

    A run has 48 characters before its first line end, so that looking at every 48th byte misses none.
    """
    longest, total, seen, at, size = 0, 0, 0, _MIN_WRAPPED - 1, len(source)
    while at < size:
        if _KINDS[source[at]] == _OTHER:
            seen, at = at + 1, at + _MIN_WRAPPED
            continue
        start = at
        while start > seen and _KINDS[source[start - 1]] != _OTHER:
            start -= 1
        end, is_data = _base64_run(source, start)
        if end - start >= _MIN_BASE64 and is_data:
            longest, total = max(longest, end - start), total + end - start
        seen, at = end, end + _MIN_WRAPPED - 1
    return longest, total


@compiled
def _base64_run(source: Any, start: Any) -> Any:
    """Where the run that begins at a place ends, and whether it looks like data."""
    at, line, size = start, start, len(source)
    digits, changes, others, last = 0, 0, 0, _KINDS[source[start]]
    while at < size and (_KINDS[source[at]] != _OTHER or (source[at] == 10 and at - line >= _MIN_WRAPPED)):
        kind = _KINDS[source[at]]
        if kind == _OTHER:
            line = at + 1
        else:
            digits += kind == _DIGIT
            others += not IN_HEXADECIMAL[source[at]]
            changes += kind != last
            last = kind
        at += 1
    is_mixed = changes * 4 >= at - start and digits * 32 >= at - start
    return at, is_mixed or (digits > 0 and others == 0)


@compiled
def _bytes(source: Any) -> Any:
    """Characters of the longest run of hexadecimal bytes, and of all."""
    longest, total, at, size = 0, 0, 0, len(source)
    while at < size:
        if not _BEGINS_BYTE[source[at]] or (at > 0 and source[at] != 92 and IN_WORD[source[at - 1]]):
            at += 1
            continue
        start = end = at
        units = 0
        while at < size:
            step = _byte(source, at)
            if step == 0:
                break
            units, at = units + 1, at + step
            end = at
            while at < size and _IS_GAP[source[at]]:
                at += 1
        if units >= _MIN_BYTES:
            longest, total = max(longest, end - start), total + end - start
        at = max(at, start + 1)
    return longest, total


@compiled
def _byte(source: Any, at: Any) -> Any:
    """Length of the byte `1f`, `0x1f` or `\\x1f` at a place, 0 where there is none."""
    size = len(source)
    has_prefix = at + 1 < size and source[at + 1] | 0x20 == 120 and (source[at] == 48 or source[at] == 92)
    end = at + 4 if has_prefix else at + 2
    if end > size or not (IN_HEXADECIMAL[source[end - 2]] and IN_HEXADECIMAL[source[end - 1]]):
        return 0
    return 0 if end < size and IN_WORD[source[end]] else end - at


@compiled
def _escapes(source: Any) -> Any:
    """Characters of the longest run of escapes, and of all."""
    longest, total, at, size = 0, 0, 0, len(source)
    while at < size:
        if source[at] != 92:
            at += 1
            continue
        start = at
        while _is_escape(source, at):
            at += 6
        if at - start >= 6 * _MIN_ESCAPES:
            longest, total = max(longest, at - start), total + at - start
        at = max(at, start + 1)
    return longest, total


@compiled
def _is_escape(source: Any, at: Any) -> Any:
    """Whether `\\uXXXX` stands at a place."""
    if at + 6 > len(source) or source[at] != 92 or source[at + 1] != 117:
        return False
    digits = 0
    for place in range(at + 2, at + 6):
        digits += IN_HEXADECIMAL[source[place]]
    return digits == 4
