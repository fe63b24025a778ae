"""How deep the blocks of a YAML text may lie, told without its grammar, which crashes on deep ones.

Enters: a text of YAML. Leaves: the longest chain of columns in which blocks may begin, each further right than the one
before it in the text. The scanner of the grammar 0.7.2 keeps a stack of indents and writes it into 1,024 bytes: ten,
and four an indent, so that the 254th lies beyond and ends the process. Blocks begin at the first character of a line,
at `- `, at `? ` and behind them, each further right than the one that it lies in; a list may stand in the column of its
key, so that a stack is at most twice as high as the chain. Limit: `: ` in texts and in flow mappings counts as well, so
that one line with hundreds of them looks deep.
"""

from bisect import bisect_left

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
_NEWLINE, _RETURN, _SPACE, _TAB = 10, 13, 32, 9


def longest_chain(source: bytes, enough: int) -> int:
    """The longest chain; where fewer columns than `enough` occur at all, how many these are, which is no less."""
    columns = _columns(np.frombuffer(source, np.uint8))
    distinct = int(np.count_nonzero(np.bincount(columns))) if len(columns) else 0
    return distinct if distinct < enough else _growing(columns.tolist())


def _columns(data: npt.NDArray[np.uint8]) -> Ints:
    """Where in their lines blocks may begin, in the order of the text."""
    line_end = (data == _NEWLINE) | (data == _RETURN)  # its scanner ends a line at either
    blank = (data == _SPACE) | (data == _TAB) | line_end
    indicators = (data == ord("-")) | (data == ord("?")) | (data == ord(":"))
    followed = np.append(blank[1:], True)
    filled = np.flatnonzero((data != _SPACE) & ~line_end)
    line_starts = np.concatenate([[0], np.flatnonzero(line_end) + 1])
    at = np.searchsorted(filled, line_starts)
    firsts = filled[at[at < len(filled)]]
    places = np.union1d(firsts, np.flatnonzero(indicators & followed))
    return np.asarray(places - line_starts[np.searchsorted(line_starts, places, side="right") - 1], np.int64)


def _growing(columns: list[int]) -> int:
    """The length of the longest strictly growing subsequence."""
    lowest_end: list[int] = []  # of the growing chains of each length
    for column in columns:
        at = bisect_left(lowest_end, column)
        lowest_end[at : at + 1] = [column]
    return len(lowest_end)
