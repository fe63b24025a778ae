"""Best-fit decreasing over integer lengths, in bulk.

Enters: lengths of pieces and the room of a sequence, both in tokens. Leaves: the sequence of each piece. Best-fit
decreasing (Johnson 1974) takes the longest piece first and puts it where the least room is left that still holds it.
Two facts make it fast without a step a piece: rooms are integers, so sequences with equal room are interchangeable; and
a sequence that just took a piece has the least room for the next one of that length, so it is filled at once. A step
therefore settles all pieces of one length that meet all sequences of one room. Limit: it holds the numbers of all
sequences with room left, and makes at most one step a piece where every length and room is different.
"""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def best_fit(lengths: NDArray[np.int64], room: int) -> NDArray[np.int64]:
    """The sequence of each piece, int64 [pieces], numbered from 0 in the order of opening.

    `lengths` int64 [pieces] lie between 1 and `room`. Equal lengths are placed in the order in which they come.
    """
    order = np.argsort(-lengths, kind="stable")
    placed = np.empty(len(lengths), np.int64)
    sizes, counts = np.unique(lengths, return_counts=True)
    rooms, at = _Rooms(room), 0
    for size, count in zip(sizes[::-1].tolist(), counts[::-1].tolist(), strict=True):
        end = at + count
        while at < end:
            step = rooms.take(size, end - at)
            placed[at : at + len(step)] = step
            at += len(step)
    result = np.empty_like(placed)
    result[order] = placed
    return result


class _Rooms:
    """Sequences by the room that they have left."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._levels: list[int] = []  # rooms that some sequence has, ascending
        self._sequences: dict[int, list[int]] = {}
        self._opened = 0

    def take(self, size: int, count: int) -> NDArray[np.int64]:
        """Place up to `count` pieces of one size in the sequences of the best room, and return their sequences."""
        level = bisect_left(self._levels, size)
        room = self._levels[level] if level < len(self._levels) else self._room
        fits = room // size
        wanted = -(-count // fits)
        chosen = self._remove(level, wanted) if level < len(self._levels) else self._open(wanted)
        count = min(count, len(chosen) * fits)
        full, rest = divmod(count, fits)
        self._add(room - fits * size, chosen[:full])
        self._add(room - rest * size, chosen[full:])
        return np.repeat(np.asarray(chosen, np.int64), fits)[:count]

    def _open(self, wanted: int) -> Sequence[int]:
        self._opened += wanted
        return range(self._opened - wanted, self._opened)

    def _remove(self, level: int, wanted: int) -> Sequence[int]:
        sequences = self._sequences[self._levels[level]]
        chosen = sequences[-wanted:]
        del sequences[-wanted:]
        if not sequences:
            del self._sequences[self._levels.pop(level)]
        return chosen

    def _add(self, room: int, chosen: Sequence[int]) -> None:
        if room == 0 or not chosen:
            return
        if room not in self._sequences:
            self._levels.insert(bisect_left(self._levels, room), room)
            self._sequences[room] = []
        self._sequences[room].extend(chosen)
