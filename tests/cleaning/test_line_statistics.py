"""Statistics of lines agree with what Python's own strings say."""

import re
import sys

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.cleaning.line_statistics import Statistics, measure

# Letters, digits, numbers that are neither, white space beyond ASCII, marks, hexadecimal words, controls.
TEXT = st.text(st.sampled_from("abxXF01 9_\t\n\x1c\x85é中½²٣\u2003\u0301\U0001f600\U0001d7d8"), max_size=60)
WORDS = st.lists(st.sampled_from(["0x1F", "0X", "00x1", "x0x1", "0x1g", "é0x1", "0xff\n", " ", "-", "0x"])).map("".join)


def columns(*texts: str) -> pa.Array:
    return pa.array(texts, pa.large_string())


def expected(text: str) -> tuple[float, ...]:
    lines = text.split("\n")
    lines = lines[:-1] if lines[-1] == "" else lines
    lengths = [len(line) for line in lines]
    kinds = (sum(map(kind, text)) for kind in (str.isalpha, str.isdigit, str.isalnum, str.isspace))
    # A word is one of bytes here: all beyond ASCII belongs to it.
    words = re.findall(rb"(?<![\w\x80-\xff])0[xX][0-9a-fA-F]+(?![\w\x80-\xff])", text.encode())
    mean = sum(lengths) / max(1, len(lines))
    in_long_lines = sum(length for length in lengths if length > 1_000)
    return (len(text), len(lines), max(lengths, default=0), mean, *kinds, sum(map(len, words)), in_long_lines)


def rows(found: Statistics) -> list[tuple[float, ...]]:
    return list(zip(*(values.tolist() for values in found), strict=True))


@settings(deadline=None)
@given(st.lists(TEXT | WORDS | st.text(max_size=20), max_size=8))
def test_statistics_are_those_of_pythons_strings(texts: list[str]) -> None:
    assert rows(measure(columns(*texts))) == [expected(text) for text in texts]


def test_every_code_point_is_what_python_says_it_is() -> None:
    points = [chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000]
    found = measure(columns(*points))
    for values, kind in zip(found[4:8], (str.isalpha, str.isdigit, str.isalnum, str.isspace), strict=True):
        assert values.tolist() == [kind(point) for point in points]


@pytest.mark.parametrize("size", [32_767, 32_768, 32_769, 100_000])
def test_sums_do_not_run_into_each_other(size: int) -> None:
    texts = [
        "a" * size,
        "1" * size,
        " " * size,
        "é" * size,
        "\U0001f600" * size,
        "é\n" * size,
        "é" * 1_000 + "\n" + "é" * 1_001,
    ]
    assert rows(measure(columns(*texts))) == [expected(text) for text in texts]


def test_a_slice_of_a_column_is_measured_alone() -> None:
    found = measure(columns("aaaa", "b\n", "", "cc").slice(1, 2))
    assert (found.characters.tolist(), found.lines.tolist()) == ([2, 0], [1, 0])


def test_a_column_without_texts_has_no_values() -> None:
    assert rows(measure(columns())) == []
