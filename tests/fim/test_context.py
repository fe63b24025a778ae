"""A long document keeps its hole, and as much around it as a sample may have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopdata.fim.characters import Text
from loopdata.fim.context import Room, Rule, contexts, fit


def kept(data: bytes, middle: tuple[int, int], max_bytes: int, rule: Rule) -> tuple[int, int] | None:
    return fit(Text(data), (0, len(data)), middle, Room(max_bytes, rule=rule))


@pytest.mark.parametrize(
    ("middle", "max_bytes", "wanted"),
    [
        ((2, 4), 10, (0, 10)),  # no longer than a sample may be
        ((2, 4), 9, (0, 9)),  # one byte too long: the end of the suffix goes
        ((2, 4), 4, (0, 4)),  # all of the suffix goes
        ((2, 4), 3, None),  # the suffix is too short for that
        ((9, 10), 9, None),
    ],
)
def test_the_suffix_is_cut_first_and_nothing_else(
    middle: tuple[int, int], max_bytes: int, wanted: tuple[int, int] | None
) -> None:
    assert kept(b"0123456789", middle, max_bytes, "cut_suffix") == wanted


def test_a_cut_suffix_ends_with_a_whole_character() -> None:
    assert kept("aé漢b".encode(), (0, 1), 5, "cut_suffix") == (0, 3)
    assert kept("aé漢b".encode(), (0, 1), 6, "cut_suffix") == (0, 6)
    assert kept("aé漢".encode(), (1, 3), 2, "cut_suffix") is None


@pytest.mark.parametrize(
    ("middle", "max_bytes", "wanted"),
    [
        ((4, 6), 10, (0, 10)),
        ((4, 6), 6, (2, 8)),  # two bytes on each side
        ((4, 6), 5, (3, 8)),  # the odd one goes behind
        ((0, 2), 6, (0, 6)),  # what is not before goes behind
        ((8, 10), 6, (4, 10)),  # and the other way about
        ((4, 6), 2, (4, 6)),
        ((4, 7), 2, None),
    ],
)
def test_a_window_has_as_much_before_the_middle_as_behind_it(
    middle: tuple[int, int], max_bytes: int, wanted: tuple[int, int] | None
) -> None:
    assert kept(b"0123456789", middle, max_bytes, "window") == wanted


def test_a_window_begins_and_ends_with_whole_lines_where_it_has_any() -> None:
    text = b"one\ntwo\nthree\nfour\nfive\nsix\n"
    middle = (text.index(b"four"), text.index(b"five"))
    start, end = kept(text, middle, 20, "window")
    assert text[start:end] == b"three\nfour\nfive\n"
    start, end = kept(text, middle, 9, "window")
    assert text[start:end] == b"four\nfi"


def test_a_window_in_one_long_line_is_cut_at_characters() -> None:
    text = ("é" * 10).encode()
    assert kept(text, (8, 10), 7, "window") == (6, 12)


@pytest.mark.parametrize(
    ("prefix", "suffix", "wanted"),
    [
        (None, None, b"one\ntwo\nthree\nfour\n"),
        (8, 5, b"one\ntwo\nthree\nfour\n"),  # just enough
        (7, None, b"two\nthree\nfour\n"),
        (None, 4, b"one\ntwo\nthree\nfour"),  # no line ends in four bytes: cut at a character
        (0, 0, b"three\n"),
    ],
)
def test_each_side_of_a_middle_may_be_bounded(prefix: int | None, suffix: int | None, wanted: bytes) -> None:
    text = b"one\ntwo\nthree\nfour\n"
    start, end = fit(Text(text), (0, len(text)), (8, 14), Room(100, prefix, suffix))
    assert text[start:end] == wanted


def test_a_long_text_is_cut_into_contexts_of_about_equal_size_at_line_starts() -> None:
    text = b"".join(b"%03d\n" % n for n in range(10))
    assert contexts(Text(text), Room(40)) == [(0, 40)]
    assert contexts(Text(text), Room(39)) == [(0, 20), (20, 40)]
    assert contexts(Text(text), Room(17)) == [(0, 12), (12, 24), (24, 40)]
    assert contexts(Text(b"x" * 40), Room(39)) == [(0, 20), (20, 40)]
    assert contexts(Text(text), Room(16, rule="window")) == [(0, 40)]
    assert contexts(Text(b""), Room(16)) == [(0, 0)]


@given(data=st.text(max_size=80).map(str.encode), max_bytes=st.integers(16, 60))
def test_contexts_hold_every_byte_once_and_whole_characters(data: bytes, max_bytes: int) -> None:
    found = contexts(Text(data), Room(max_bytes))
    assert b"".join(data[start:end] for start, end in found) == data
    assert all(end - start <= max_bytes for start, end in found)
    assert [data[start:end].decode() for start, end in found if start == end] == ([] if data else [""])


@given(
    data=st.text(max_size=40).map(str.encode),
    cuts=st.tuples(st.integers(0, 40), st.integers(0, 40)),
    max_bytes=st.integers(1, 60),
    rule=st.sampled_from(["cut_suffix", "window"]),
    sides=st.tuples(st.none() | st.integers(0, 9), st.none() | st.integers(0, 9)),
)
def test_what_is_kept_holds_the_middle_and_whole_characters(
    data: bytes, cuts: tuple[int, int], max_bytes: int, rule: Rule, sides: tuple[int | None, int | None]
) -> None:
    text = Text(data)
    start, end = sorted(text.offset(min(cut, text.num_chars)) for cut in cuts)
    found = fit(text, (0, len(data)), (start, end), Room(max_bytes, *sides, rule))
    if found is not None:
        assert 0 <= found[0] <= start <= end <= found[1] <= len(data)
        assert found[1] - found[0] <= max_bytes
        assert sides[0] is None or start - found[0] <= sides[0]
        assert sides[1] is None or found[1] - end <= sides[1]
        data[slice(*found)].decode()
    elif rule == "window":
        assert end - start > max_bytes
    else:
        assert len(data[:end].decode().encode()) > max_bytes - 4


def test_characters_and_bytes_are_counted_in_each_other() -> None:
    text = Text("aé漢🙂".encode())
    assert (text.num_chars, [text.offset(n) for n in range(5)]) == (4, [0, 1, 3, 6, 10])
    assert [text.char(offset) for offset in (0, 1, 3, 6, 10)] == [0, 1, 2, 3, 4]
    assert text.size(1, 6) == 2
    assert [text.floor(offset) for offset in range(11)] == [0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10]
    assert [text.ceil(offset) for offset in range(11)] == [0, 1, 3, 3, 6, 6, 6, 10, 10, 10, 10]
    assert (Text(b"").num_chars, Text(b"abc").offset(3)) == (0, 3)
