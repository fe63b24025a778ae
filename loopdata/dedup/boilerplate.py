"""Lines that do not count for similarity: those of the comment at the head of a file that stand in many documents.

Enters: a `large_string` array; for blanking, the hashes of such lines. Leaves: how many of the texts have each line in
their head, by the hash of its words; and the texts with such lines as spaces. A head is all before the first line that
is neither blank nor comment, read by its marks without a grammar; it holds licences, notices of generators, modelines.
Only there a frequent line says nothing of a file: code that stands in a hundred thousand repositories is a hundred
thousand copies, not boilerplate. A text of nothing else keeps all. Limit: a head behind a line of code is not seen, and
at most MAX_HEAD bytes of one are read.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loopdata.compiled import compiled
from loopdata.dedup.grams import Hashes, Ints, hash_grams, is_word, text_bytes

MAX_HEAD = 1 << 14
_ALL_WORDS = 1 << 20  # more than a head can have: a line is one gram
# Openings of comments, and how those end that go over lines. `#`, the last, opens one only where no letter follows
# (`#include`); C# folds its licences into regions.
_LINE_MARKS = ("//", "--", ";", "%", "<?", "#region", "#endregion", "#")
_BLOCKS = (("/*", "*/"), ("<!--", "-->"), ('"""', '"""'), ("'''", "'''"), ("{-", "-}"), ("(*", "*)"), ("--[[", "]]"))


def _table(marks: tuple[str, ...]) -> tuple[npt.NDArray[np.uint8], Ints]:
    data = np.frombuffer("".join(marks).encode(), np.uint8)
    return data, np.cumsum([0, *map(len, marks)]).astype(np.int64)


_OPEN, _OPEN_AT = _table(tuple(opening for opening, _ in _BLOCKS))
_CLOSE, _CLOSE_AT = _table(tuple(closing for _, closing in _BLOCKS))
_LINE, _LINE_AT = _table(_LINE_MARKS)
_NEWLINE, _BLANKS = ord("\n"), np.array([byte in b" \t\r\f\v" for byte in range(256)])


def head_lines(texts: pa.Array) -> tuple[Hashes, Ints]:
    """The hash of each line of the heads of `texts`, sorted, and how many of them have it."""
    data, offsets = text_bytes(texts)
    return np.unique(_hashes(data, offsets), return_counts=True)


def without(texts: pa.Array, lines: Hashes) -> pa.Array:
    """`texts` with the lines of heads whose hash is among `lines`, which are sorted, as spaces."""
    data, offsets = text_bytes(texts)
    if not len(lines) or not len(data):
        return texts
    copied = np.array(data[offsets[0] : offsets[-1]])
    begins = offsets - offsets[0]
    _blank(copied, begins, lines)
    return pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(begins), pa.py_buffer(copied))


@compiled
def _hashes(data: Any, offsets: Any) -> Any:
    """Of each text the distinct hashes of the lines of its head, one text behind the other."""
    hashes, begins, ends, scratch = _room()
    found, size = np.empty(1_024, np.uint64), 0
    for place in range(len(offsets) - 1):
        count, _ = _head(data, offsets[place], offsets[place + 1], hashes, begins, ends, scratch)
        if size + count > len(found):
            grown = np.empty(2 * (size + count), np.uint64)
            grown[:size] = found[:size]
            found = grown
        lines = np.sort(hashes[:count])
        for line in range(count):
            found[size] = lines[line]
            size += line == 0 or lines[line] != lines[line - 1]
    return found[:size]


@compiled
def _blank(data: Any, offsets: Any, lines: Any) -> None:
    hashes, begins, ends, scratch = _room()
    for place in range(len(offsets) - 1):
        start, stop = offsets[place], offsets[place + 1]
        count, end = _head(data, start, stop, hashes, begins, ends, scratch)
        hit = np.zeros(count, np.bool_)
        for line in range(count):
            at = np.searchsorted(lines, hashes[line])
            hit[line] = at < len(lines) and lines[at] == hashes[line]
        if hit.all() and not _has_word(data, end, stop):
            continue
        for line in range(count):
            if hit[line]:
                data[begins[line] : ends[line]] = 32


@compiled
def _has_word(data: Any, start: Any, stop: Any) -> Any:
    at = start
    while at < stop and not is_word[data[at]]:
        at += 1
    return at < stop


@compiled
def _room() -> Any:
    """Room for the lines of a head, which take two bytes each at least, and for the words of one."""
    size = MAX_HEAD // 2 + 4
    return np.empty(size, np.uint64), np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.uint64)


@compiled
def _head(data: Any, start: Any, stop: Any, hashes: Any, begins: Any, ends: Any, scratch: Any) -> Any:
    """Write hash, begin and end of each line with words in the head of `data[start:stop]`; return how many there are,
    and where the head ends."""
    limit = min(stop, start + MAX_HEAD)
    count, block, begin = 0, -1, start
    while begin < limit:
        end = begin
        while end < limit and data[end] != _NEWLINE:
            end += 1
        if end == limit and limit < stop:
            break  # a line that is not read to its end
        is_head, block = _in_head(data, begin, end, block)
        if not is_head:
            break
        words = hash_grams(data, begin, end, _ALL_WORDS, scratch)
        if words:
            hashes[count], begins[count], ends[count] = scratch[0], begin, end
            count += 1
        begin = end + 1
    return count, min(begin, stop)


@compiled
def _in_head(data: Any, begin: Any, end: Any, block: Any) -> Any:
    """Whether the line is blank or nothing but comment, and the block comment that is open behind it (-1: none)."""
    while begin < end and _BLANKS[data[begin]]:
        begin += 1
    if begin == end:
        return True, block
    if block < 0:
        for kind in range(len(_OPEN_AT) - 1):
            if _stands(data, begin, end, _OPEN, _OPEN_AT, kind):
                block = kind
                begin += _OPEN_AT[kind + 1] - _OPEN_AT[kind]
                break
        else:
            return _is_line_comment(data, begin, end), block
    for at in range(begin, end):
        if _stands(data, at, end, _CLOSE, _CLOSE_AT, block):
            at += _CLOSE_AT[block + 1] - _CLOSE_AT[block]
            while at < end and _BLANKS[data[at]]:
                at += 1
            return at == end, -1
    return True, block


@compiled
def _is_line_comment(data: Any, begin: Any, end: Any) -> Any:
    for kind in range(len(_LINE_AT) - 1):
        if _stands(data, begin, end, _LINE, _LINE_AT, kind):
            return kind < len(_LINE_AT) - 2 or begin + 1 == end or not is_word[data[begin + 1]]
    return False


@compiled
def _stands(data: Any, at: Any, end: Any, marks: Any, bounds: Any, kind: Any) -> Any:
    """Whether mark `kind` stands at `at`."""
    size = bounds[kind + 1] - bounds[kind]
    if at + size > end:
        return False
    same = 0
    while same < size and data[at + same] == marks[bounds[kind] + same]:
        same += 1
    return same == size
