"""Statistics of lines and characters of many texts at once.

Enters: a column of texts. Leaves: for each text its characters, lines, longest and mean line, and how many characters
are letters, digits, alphanumeric, white space (as `str.isalpha` and its kin have it) or stand in hexadecimal words.
Everything is counted in characters (code points), not in bytes, in one compiled pass over the UTF-8 bytes as they lie
in Arrow: four counts share one 64-bit sum, so that a byte costs one look-up and one addition. A line ends with `\\n`,
which is no part of its length; a last line without one counts, an empty rest after it does not. Limit: the bytes must
be valid UTF-8.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loopdata.compiled import compiled

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


LONG_LINE = 1_000


class Statistics(NamedTuple):
    """One value a text."""

    characters: Ints
    lines: Ints
    longest_line: Ints
    mean_line: npt.NDArray[np.float64]  # 0 for a text without lines
    letters: Ints
    digits: Ints
    alphanumeric: Ints  # letters, digits, and numbers such as ½
    blanks: Ints  # white space, line ends included
    hexadecimal: Ints  # in words such as 0x1F
    in_long_lines: Ints  # in lines of more than LONG_LINE characters


def measure(texts: pa.Array) -> Statistics:
    """Statistics of a `large_string` array without nulls."""
    data, offsets = text_bytes(texts)
    found = np.zeros((10, len(offsets) - 1), np.int64)
    _count(data, offsets, _classes(), found)
    characters, lines, longest, newlines, letters, digits, numbers, blanks, hexadecimal, in_long_lines = found
    mean = (characters - newlines) / np.maximum(lines, 1)
    alphanumeric = letters + digits + numbers
    return Statistics(
        characters, lines, longest, mean, letters, digits, alphanumeric, blanks, hexadecimal, in_long_lines
    )


def text_bytes(texts: pa.Array) -> tuple[Bytes, Ints]:
    """The bytes behind a `large_string` array without nulls, and where each text begins in them; nothing is copied."""
    _, offset_buffer, data_buffer = texts.buffers()
    if not len(texts) or data_buffer is None:
        return np.frombuffer(b"", np.uint8), np.zeros(len(texts) + 1, np.int64)
    offsets = np.frombuffer(offset_buffer, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(data_buffer, np.uint8), offsets


_LETTER, _DIGIT, _NUMBER, _BLANK = _KINDS = (
    1,
    2,
    4,
    8,
)  # what a code point may be; a number is alphanumeric and neither of both
_BLOCK = 1 << 15  # bytes after which the sums are emptied: each has 16 bits
_LETTERS, _DIGITS, _BLANKS, _INSIDE = 0, 16, 32, 48  # where each sum begins
_FIELD = 0xFFFF


def _sums() -> Ints:
    """For every byte, what it adds: a letter, a digit, white space, or a byte inside a character."""
    sums = np.zeros(256, np.int64)
    for byte in range(128):
        kinds = zip((chr(byte).isalpha(), chr(byte).isdigit(), chr(byte).isspace()), (0, 16, 32), strict=True)
        sums[byte] = sum(int(is_kind) << shift for is_kind, shift in kinds)
    sums[0x80:0xC0] = 1 << 48
    return sums


_SUMS = _sums()
# Bytes that need more than a sum: line ends, the first bytes of characters beyond ASCII, the x of a hexadecimal word.
_STOPS = np.array([byte in b"\nxX" or byte >= 0xC0 for byte in range(256)], np.bool_)
IN_WORD = np.array([byte >= 0x80 or byte == 0x5F or chr(byte).isalnum() for byte in range(256)], np.bool_)
IN_HEXADECIMAL = np.array([byte in b"0123456789abcdefABCDEF" for byte in range(256)], np.bool_)


@cache
def _classes() -> npt.NDArray[np.uint8]:
    """What every code point is (1.1 MB, some 0.1 s once a process)."""
    points = np.arange(0x110000, dtype=np.uint32).view("U1")
    letters, digits = np.strings.isalpha(points), np.strings.isdigit(points)
    numbers = np.strings.isalnum(points) & ~letters & ~digits
    kinds = (letters, digits, numbers, np.strings.isspace(points))
    return np.asarray(sum(bit * kind for bit, kind in zip(_KINDS, kinds, strict=True)), np.uint8)


@compiled
def _count(data: Any, offsets: Any, classes: Any, found: Any) -> Any:
    """Fill a column of `found` for each text."""
    for text in range(len(offsets) - 1):
        start, stop = offsets[text], offsets[text + 1]
        letters, digits, numbers, blanks, inside, hexadecimal = 0, 0, 0, 0, 0, 0
        lines, longest, in_long, line_start, inside_before = 0, 0, 0, start, 0
        for block in range(start, stop, _BLOCK):
            sums = 0
            for at in range(block, min(block + _BLOCK, stop)):
                byte = data[at]
                sums += _SUMS[byte]
                if not _STOPS[byte]:
                    continue
                if byte == 10:
                    inside_now = inside + (sums >> _INSIDE)
                    length = at - line_start - (inside_now - inside_before)
                    longest = max(longest, length)
                    if length > LONG_LINE:
                        in_long += length
                    lines, line_start, inside_before = lines + 1, at + 1, inside_now
                elif byte >= 0xC0:
                    kind = classes[_code_point(data, at)]
                    letters += kind & _LETTER
                    digits += (kind & _DIGIT) != 0
                    numbers += (kind & _NUMBER) != 0
                    blanks += (kind & _BLANK) != 0
                else:
                    hexadecimal += _hexadecimal_word(data, start, at, stop)
            letters += (sums >> _LETTERS) & _FIELD
            digits += (sums >> _DIGITS) & _FIELD
            blanks += (sums >> _BLANKS) & _FIELD
            inside += sums >> _INSIDE
        newlines = lines
        if line_start < stop:
            length = stop - line_start - (inside - inside_before)
            longest, lines = max(longest, length), lines + 1
            in_long += length if length > LONG_LINE else 0
        found[0, text], found[1, text], found[2, text] = stop - start - inside, lines, longest
        found[3, text], found[4, text], found[5, text] = newlines, letters, digits
        found[6, text], found[7, text], found[8, text] = numbers, blanks, hexadecimal
        found[9, text] = in_long


@compiled
def _code_point(data: Any, at: Any) -> Any:
    """The code point whose first byte, 0xC0 or more, lies at `at`."""
    first = np.int64(data[at])
    if first < 0xE0:
        return (first & 0x1F) << 6 | data[at + 1] & 0x3F
    if first < 0xF0:
        return (first & 0x0F) << 12 | np.int64(data[at + 1] & 0x3F) << 6 | data[at + 2] & 0x3F
    high = (first & 0x07) << 18 | np.int64(data[at + 1] & 0x3F) << 12
    return high | np.int64(data[at + 2] & 0x3F) << 6 | data[at + 3] & 0x3F


@compiled
def _hexadecimal_word(data: Any, start: Any, at: Any, stop: Any) -> Any:
    """Characters of the word `0x…` whose x lies at `at`; 0 where it is none."""
    if at == start or data[at - 1] != 48 or (at - 1 > start and IN_WORD[data[at - 2]]):
        return 0
    end = at + 1
    while end < stop and IN_HEXADECIMAL[data[end]]:
        end += 1
    return 0 if end == at + 1 or (end < stop and IN_WORD[data[end]]) else end - at + 1
