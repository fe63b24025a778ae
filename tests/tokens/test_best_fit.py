"""Best fit in bulk packs as well as best fit a piece at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.tokens.best_fit import best_fit


def pack(lengths: list[int], room: int) -> list[list[int]]:
    """Lengths in each sequence."""
    placed = best_fit(np.array(lengths, np.int64), room).tolist()
    return [
        [length for length, at in zip(lengths, placed, strict=True) if at == n]
        for n in range(max(placed, default=-1) + 1)
    ]


def one_by_one(lengths: list[int], room: int) -> list[int]:
    """Rooms left by best-fit decreasing as the textbook has it."""
    rooms: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [n for n, left in enumerate(rooms) if left >= length]
        if not fitting:
            rooms.append(room)
            fitting = [len(rooms) - 1]
        best = min(fitting, key=lambda n: rooms[n])
        rooms[best] -= length
    return sorted(rooms)


def test_pieces_go_where_the_least_room_is_left():
    # 7 and 6 open sequences with 3 and 4 left: 3 goes to the 7, and 4 to the 6.
    assert pack([3, 4, 7, 6], 10) == [[3, 7], [4, 6]]


def test_a_sequence_takes_equal_pieces_until_it_is_full():
    assert pack([4, 4, 4, 4, 4], 10) == [[4, 4], [4, 4], [4]]
    assert pack([2, 5, 2, 2, 5, 2], 9) == [[2, 5, 2], [2, 5, 2]]


def test_a_piece_as_long_as_a_sequence_has_it_alone():
    assert pack([10, 1, 10], 10) == [[10], [10], [1]]


def test_no_pieces_need_no_sequence():
    assert pack([], 10) == []


@settings(deadline=None)
@given(st.integers(1, 30).flatmap(lambda room: st.tuples(st.lists(st.integers(1, room), max_size=60), st.just(room))))
def test_rooms_are_those_of_best_fit_a_piece_at_a_time(case: tuple[list[int], int]):
    lengths, room = case
    sequences = pack(lengths, room)
    assert sorted(room - sum(sequence) for sequence in sequences) == one_by_one(lengths, room)
    assert sorted(length for sequence in sequences for length in sequence) == sorted(lengths)


@pytest.mark.parametrize("room", [1024, 32_768])
def test_many_lengths_fill_nearly_every_sequence(room: int):
    lengths = np.minimum(np.random.default_rng(0).lognormal(6, 1.5, 20_000).astype(np.int64) + 1, room)
    placed = best_fit(lengths, room)
    filled = np.bincount(placed, lengths)
    assert filled.max() <= room
    assert np.sort(filled)[1:].min() > room // 2  # two sequences half empty would have been one
