"""What a word and a gram are."""

import re
import time

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.dedup.grams import NARROW, _narrow, gram_sets, jaccard, narrow_sets, wide_sets

WORD = re.compile(rb"[0-9A-Za-z_\x80-\xff]+")


def sets(*texts: str, words: int = 5) -> list[list[int]]:
    return [found.tolist() for found in gram_sets(pa.array(texts, pa.large_string()), words)]


def test_only_words_count() -> None:
    spaced, tight, other = sets(
        "def f(a, b): return a + b", "def f ( a,b ):\n\treturn a+b", "def f(a, b): return b + a"
    )
    assert spaced == tight
    assert len(spaced) == 3
    assert len(set(spaced) & set(other)) == 1


def test_an_underscore_joins_and_a_hyphen_separates() -> None:
    joined, separated, spaced = sets("a_b c d e f", "a-b c d e", "a b c d e")
    assert separated == spaced
    assert len(joined) == 1
    assert joined != spaced


def test_a_letter_beyond_ascii_is_never_cut() -> None:
    accented, plain = sets("na\u00efve a b c d", "na ve a b c d")
    assert len(accented) == 1
    assert len(plain) == 2


def test_a_short_text_has_one_gram_of_all_its_words() -> None:
    four, same, five, three = sets("a b c d", "a.b.c.d", "a b c d e", "a b c")
    assert [len(found) for found in (four, five, three)] == [1, 1, 1]
    assert four == same
    assert len({four[0], five[0], three[0]}) == 3


def test_a_text_without_words_has_no_grams() -> None:
    assert sets("", " \n\t", "+-*/ ()") == [[], [], []]


def test_repeats_count_once() -> None:
    assert [len(found) for found in sets("x " * 4, "x " * 5, "x " * 500)] == [1, 1, 1]


def test_grams_do_not_depend_on_where_a_text_lies() -> None:
    alone = sets("one two three four five six")[0]
    column = pa.array(["zero", "one two three four five six", "seven"], pa.large_string())
    assert gram_sets(column.slice(1, 1), 5)[0].tolist() == alone
    assert gram_sets(column, 5)[1].tolist() == alone


def test_narrow_sets_are_the_upper_bytes_of_sets() -> None:
    """Of any rows in any order; read back alone, or with others left out."""
    texts = ["before", "a b a b a b", "left out", "", "c d", "e f g h"]
    column = pa.array(texts, pa.large_string()).slice(1)
    data, bounds = narrow_sets(column, 2, np.array([4, 2, 0, 3]))
    assert np.diff(bounds).tolist() == [NARROW * count for count in (3, 0, 2, 1)]
    assert len(data) == bounds[-1]
    some = np.array([3, 1, 0])
    grams, offsets = wide_sets(data, bounds[some], bounds[some + 1])
    wanted = [found >> np.uint64(24) << np.uint64(24) for found in gram_sets(column, 2)]
    assert [found.tolist() for found in np.split(grams, offsets[1:-1])] == [wanted[at].tolist() for at in (3, 2, 4)]


def test_grams_that_are_alike_in_their_upper_bytes_are_one_when_narrow() -> None:
    grams = np.array([5, 6, 1 << 24, (1 << 24) + 1, 1 << 63, ~np.uint64(0)], np.uint64)
    bounds, data = np.array([0, 1, 6]), np.empty(30, np.uint8)
    assert _narrow(grams, bounds, data) == bounds[-1] == 5 * NARROW
    sets, offsets = wide_sets(data, bounds[:-1], bounds[1:])
    assert offsets.tolist() == [0, 1, 5]
    assert sets.tolist() == [0, 0, 1 << 24, 1 << 63, ~np.uint64(0) >> np.uint64(24) << np.uint64(24)]


def test_jaccard_is_shared_over_all() -> None:
    left, right, empty = gram_sets(pa.array(["a b c d e f g", "b c d e f g h", ""], pa.large_string()), 5)
    assert jaccard(left, right) == 2 / 4
    assert jaccard(left, left) == 1.0
    assert jaccard(left, empty) == jaccard(empty, empty) == 0.0


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab_9 .\n\u00e9\u4e2d", max_size=60), st.integers(1, 6))
def test_grams_are_those_of_a_plain_reading(text: str, words: int) -> None:
    found = WORD.findall(text.encode())
    plain = {tuple(found[at : at + words]) for at in range(max(len(found) - words + 1, 1))} if found else set()
    assert len(sets(text, words=words)[0]) == len(plain)
    assert sets(" ".join(word.decode() for word in found), words=words) == sets(text, words=words)


def test_hostile_texts_take_time_in_proportion() -> None:
    """10 MB of one line, and a word of 1 MB: a quadratic step would take hours."""
    started = time.monotonic()
    line, word = sets("the same line again and again\n" * 350_000, "w" * 1_000_000)
    assert len(line) == 6
    assert len(word) == 1
    assert time.monotonic() - started < 60
