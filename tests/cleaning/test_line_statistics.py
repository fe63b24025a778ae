"""Statistics of lines agree with what Python's own strings say."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from loopdata.cleaning.line_statistics import measure

TEXT = st.text(st.sampled_from("ab1 \né中\U0001f600"), max_size=40)


def expected(text: str) -> tuple[int, int, int, float, int]:
    lines = text.split("\n")
    lines = lines[:-1] if lines[-1] == "" else lines
    lengths = [len(line) for line in lines]
    letters = sum(map(str.isalpha, text))
    return len(text), len(lines), max(lengths, default=0), sum(lengths) / max(1, len(lines)), letters


@given(st.lists(TEXT, max_size=8))
def test_statistics_are_those_of_pythons_strings(texts: list[str]) -> None:
    found = measure(pa.array(texts, pa.large_string()))
    assert list(zip(*(values.tolist() for values in found), strict=True)) == [expected(text) for text in texts]


def test_a_slice_of_a_column_is_measured_alone() -> None:
    found = measure(pa.array(["aaaa", "b\n", "", "cc"], pa.large_string()).slice(1, 2))
    assert (found.characters.tolist(), found.lines.tolist()) == ([2, 0], [1, 0])
