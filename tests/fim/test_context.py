"""A long document keeps its hole, and as much around it as a sample may have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopdata.fim.characters import Text
from loopdata.fim.context import fit


@pytest.mark.parametrize(
    ("middle", "max_bytes", "kept"),
    [
        ((2, 4), 10, (0, 10)),  # no longer than a sample may be
        ((2, 4), 9, (0, 9)),  # one byte too long: the end of the suffix goes
        ((2, 4), 4, (0, 4)),  # all of the suffix goes
        ((2, 4), 3, None),  # the suffix is too short for that
        ((9, 10), 9, None),
    ],
)
def test_the_suffix_is_cut_first_and_nothing_else(
    middle: tuple[int, int], max_bytes: int, kept: tuple[int, int] | None
) -> None:
    assert fit(Text(b"0123456789"), middle, max_bytes, "cut_suffix") == kept


def test_a_cut_suffix_ends_with_a_whole_character() -> None:
    assert fit(Text("aé漢b".encode()), (0, 1), 5, "cut_suffix") == (0, 3)
    assert fit(Text("aé漢b".encode()), (0, 1), 6, "cut_suffix") == (0, 6)
    assert fit(Text("aé漢".encode()), (1, 3), 2, "cut_suffix") is None


@pytest.mark.parametrize(
    ("middle", "max_bytes", "kept"),
    [
        ((4, 6), 10, (0, 10)),
        ((4, 6), 6, (2, 8)),  # two bytes on each side
        ((4, 6), 5, (3, 7)),  # the odd one goes behind; (3, 7) and one more there: see below
        ((0, 2), 6, (0, 6)),  # what is not before goes behind
        ((8, 10), 6, (4, 10)),  # and the other way about
        ((4, 6), 2, (4, 6)),
        ((4, 7), 2, None),
    ],
)
def test_a_window_has_as_much_before_the_middle_as_behind_it(
    middle: tuple[int, int], max_bytes: int, kept: tuple[int, int] | None
) -> None:
    found = fit(Text(b"0123456789"), middle, max_bytes, "window")
    assert found == ((3, 8) if max_bytes == 5 else kept)


def test_a_window_begins_and_ends_with_whole_lines_where_it_has_any() -> None:
    text = b"one\ntwo\nthree\nfour\nfive\nsix\n"
    middle = (text.index(b"four"), text.index(b"five"))
    start, end = fit(Text(text), middle, 20, "window")
    assert text[start:end] == b"three\nfour\nfive\n"
    start, end = fit(Text(text), middle, 9, "window")
    assert text[start:end] == b"e\nfour\nfi"[2:]


def test_a_window_in_one_long_line_is_cut_at_characters() -> None:
    text = ("é" * 10).encode()
    assert fit(Text(text), (8, 10), 7, "window") == (6, 12)


@given(
    data=st.text(max_size=40).map(str.encode),
    cuts=st.tuples(st.integers(0, 40), st.integers(0, 40)),
    max_bytes=st.integers(1, 60),
    rule=st.sampled_from(["cut_suffix", "window"]),
)
def test_what_is_kept_holds_the_middle_and_whole_characters(
    data: bytes, cuts: tuple[int, int], max_bytes: int, rule: str
) -> None:
    text = Text(data)
    start, end = sorted(text.offset(min(cut, text.num_chars)) for cut in cuts)
    kept = fit(text, (start, end), max_bytes, rule)
    if kept is not None:
        assert 0 <= kept[0] <= start <= end <= kept[1] <= len(data)
        assert kept[1] - kept[0] <= max_bytes
        data[slice(*kept)].decode()
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
