"""Statistics of lines and characters of many texts at once.

Enters: a column of texts. Leaves: for each text its characters, lines, longest and mean line, and how many characters
are letters. Everything is counted in characters (code points), not in bytes, from the UTF-8 bytes as they lie in Arrow.
A line ends with `\\n`, which is no part of its length; a last line without one counts, an empty rest after it does not.
Limit: memory is some 40 bytes a line besides the text.
"""

from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]


class Statistics(NamedTuple):
    """One value a text."""

    characters: Ints
    lines: Ints
    longest_line: Ints
    mean_line: npt.NDArray[np.float64]  # 0 for a text without lines
    letters: Ints


def measure(texts: pa.Array) -> Statistics:
    """Statistics of a `large_string` array without nulls."""
    data, offsets = _bytes_of(texts)
    count = len(offsets) - 1
    sizes = np.diff(offsets)
    filled = np.flatnonzero(sizes)
    lines, longest, characters, newlines = (np.zeros(count, np.int64) for _ in range(4))
    if len(filled):
        starts, lengths, ended = _lines(data, offsets[:-1][filled])
        first = np.searchsorted(starts, offsets[:-1][filled])
        lines[filled] = np.diff(np.append(first, len(starts)))
        longest[filled] = np.maximum.reduceat(lengths, first)
        newlines[filled] = np.add.reduceat(ended, first, dtype=np.int64)
        characters[filled] = np.add.reduceat(lengths, first) + newlines[filled]
    mean = (characters - newlines) / np.maximum(lines, 1)
    letters = [_letters(data[start:end]) for start, end in pairwise(offsets)]
    return Statistics(characters, lines, longest, mean, np.array(letters, np.int64))


def _bytes_of(texts: pa.Array) -> tuple[npt.NDArray[np.uint8], Ints]:
    """The bytes of all texts, and where each begins in them."""
    _, offset_buffer, data_buffer = texts.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    if data_buffer is None or not len(texts):
        return np.zeros(0, np.uint8), np.zeros(len(texts) + 1, np.int64)
    return np.frombuffer(data_buffer, np.uint8)[offsets[0] : offsets[-1]], offsets - offsets[0]


def _lines(data: npt.NDArray[np.uint8], text_starts: Ints) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
    """Start in bytes, length in characters, and whether a `\\n` ends it, of every line of texts that are not empty."""
    after = np.flatnonzero(data[:-1] == 10) + 1
    # A text begins a line of its own where the text before it does not end with one: two sorted runs without repeats.
    open_starts = text_starts[(text_starts == 0) | (data[text_starts - 1] != 10)]
    starts = np.sort(np.concatenate([open_starts, after]), kind="stable")
    ends = np.append(starts[1:], len(data))
    ended = data[ends - 1] == 10
    return starts, ends - starts - ended - _continuations(data, starts), ended


def _continuations(data: npt.NDArray[np.uint8], starts: Ints) -> Ints:
    """How many bytes of each line do not begin a character."""
    if data.max() < 0x80:
        return np.zeros(len(starts), np.int64)
    inside = (data & 0xC0) == 0x80
    if np.count_nonzero(inside) > len(data) // 16:
        return np.asarray(np.add.reduceat(inside, starts, dtype=np.int64))
    # Few of them: cheaper by place, and the places need little memory.
    line = np.searchsorted(starts, np.flatnonzero(inside), side="right") - 1
    return np.bincount(line, minlength=len(starts)).astype(np.int64, copy=False)


def _letters(data: npt.NDArray[np.uint8]) -> int:
    """Characters of one text that are letters, as `str.isalpha` has it."""
    found = int(np.count_nonzero(((data | 0x20) - np.uint8(97)) < 26))
    if len(data) and data.max() >= 0x80:
        # What is left of UTF-8 without its ASCII is UTF-8 again.
        rest = data[data >= 0x80].tobytes().decode("utf-8")
        points = np.frombuffer(rest.encode("utf-32-le"), np.uint32)
        found += int(np.count_nonzero(_is_letter()[points]))
    return found


@cache
def _is_letter() -> npt.NDArray[np.bool_]:
    """For every code point, whether it is a letter (1.1 MB, 0.1 s once a process)."""
    return np.fromiter((chr(point).isalpha() for point in range(0x110000)), np.bool_, 0x110000)
