"""Grams and twins of lines agree with plain counting."""

import re
from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.cleaning.line_statistics import text_bytes
from loopdata.cleaning.repetition import duplicate_lines, top_grams, word_counts

WORDS = st.lists(st.sampled_from(["a", "B", "b", "éa", "É", "中", "x_1", ".", "\n", "}\n", "},\n", " \n"]), max_size=40)


def measured(*texts: str) -> np.ndarray:
    """Words, shares of the top grams, share of lines with a twin: a column a text."""
    at = (*text_bytes(pa.array(texts, pa.large_string())), np.ones(len(texts), np.bool_))
    return np.vstack([word_counts(*at), top_grams(*at), duplicate_lines(*at)])


def expected(text: str) -> list[float]:
    folded = bytes(byte | 0x20 if 65 <= byte <= 90 else byte for byte in text.encode())
    words = re.findall(rb"[\w\x80-\xff]+", folded)
    lines = [b"".join(line.split()) for line in text.encode().split(b"\n") if line.strip()]
    counts = Counter(lines)
    twins = sum(
        count for line, count in counts.items() if count > 1 and len(line) > 1 and re.search(rb"[\w\x80-\xff]", line)
    )
    tops = [top_share([word.decode() for word in words], size) for size in (2, 3, 4)]
    return [len(words), *tops, twins / len(lines) if lines else 0.0]


def top_share(words: list[str], size: int) -> float:
    grams = Counter(zip(*(words[start:] for start in range(size)), strict=False))
    gram, count = max(grams.items(), key=lambda item: item[1], default=((), 0))  # of several, the first
    return count * sum(map(len, gram)) / sum(map(len, words)) if count > 1 else 0.0


@settings(deadline=None)
@given(st.lists(WORDS.map(" ".join) | WORDS.map("".join), max_size=5))
def test_measures_are_those_of_plain_counting(texts: list[str]) -> None:
    assert measured(*texts).T.tolist() == [expected(text) for text in texts]


def test_of_several_most_frequent_grams_the_first_counts() -> None:
    assert measured("a b . cc dd . a b . cc dd")[1].tolist() == [4 / 12]


def test_texts_that_are_not_wanted_have_no_values() -> None:
    at = (*text_bytes(pa.array(["a a a", "b b b"], pa.large_string())), np.array([False, True]))
    for found in (word_counts(*at), top_grams(*at)[0], duplicate_lines(*at)):
        assert np.isnan(found).tolist() == [True, False]
