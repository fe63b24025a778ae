"""The texts of a repository cut into chunks of ten lines, the unit in which related code is looked up.

Enters: texts as one array of bytes with offsets. Leaves: `Chunks`, which hold every byte once. Ten lines are those of
CrossCodeEval (arXiv 2310.11248) and RepoCoder. Limit: a line ends at a line feed, so that a file without one is one
chunk, however long.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from loopdata.compiled import compiled

LINES = 10


class Chunks(NamedTuple):
    """Chunk i is `data[starts[i]:ends[i]]` of the text `texts[i]`; chunks of a text follow each other."""

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    texts: npt.NDArray[np.int32]


def cut(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], lines: int = LINES) -> Chunks:
    """Chunks of so many lines of each text, `data[offsets[i]:offsets[i + 1]]`; the last of a text may be shorter."""
    room = np.empty((_count(data, offsets, lines), 3), np.int64)
    count = _cut(data, offsets, lines, room)
    starts, ends, texts = room[:count].T.copy()
    return Chunks(starts, ends, texts.astype(np.int32))


@compiled
def _count(data: Any, offsets: Any, lines: Any) -> Any:
    """At least as many chunks as there are."""
    newlines = 0
    for at in range(offsets[0], offsets[-1]):
        newlines += data[at] == 10
    return newlines // lines + len(offsets)


@compiled
def _cut(data: Any, offsets: Any, lines: Any, out: Any) -> Any:
    count = 0
    for text in range(len(offsets) - 1):
        start, seen = offsets[text], 0
        for at in range(offsets[text], offsets[text + 1]):
            if data[at] == 10:
                seen += 1
                if seen == lines:
                    out[count, 0], out[count, 1], out[count, 2] = start, at + 1, text
                    count += 1
                    start, seen = at + 1, 0
        if start < offsets[text + 1]:
            out[count, 0], out[count, 1], out[count, 2] = start, offsets[text + 1], text
            count += 1
    return count
