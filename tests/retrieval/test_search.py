"""Chunks hold every byte once; BM25 and overlap rank as their formulas say; copies are found under any white space."""

import math
import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.retrieval.chunks import cut
from loopdata.retrieval.copies import MIN_BYTES, RUN, Guard
from loopdata.retrieval.search import MAX_HOLDERS, Index, Measure


def bytes_of(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    data = [text.encode() for text in texts]
    return np.frombuffer(b"".join(data), np.uint8), np.cumsum([0, *map(len, data)]).astype(np.int64)


def chunks_of(texts: list[str], lines: int) -> list[tuple[int, str]]:
    data, offsets = bytes_of(texts)
    found = cut(data, offsets, lines)
    spans = zip(found.texts.tolist(), found.starts.tolist(), found.ends.tolist(), strict=True)
    return [(text, data[start:end].tobytes().decode()) for text, start, end in spans]


def test_a_chunk_has_so_many_lines_and_the_last_the_rest() -> None:
    assert chunks_of(["a\nb\nc\n", "", "d\ne\n", "f"], 2) == [(0, "a\nb\n"), (0, "c\n"), (2, "d\ne\n"), (3, "f")]
    assert chunks_of([], 2) == []


@given(texts=st.lists(st.text("a\né", max_size=20), max_size=5), lines=st.integers(1, 4))
def test_chunks_hold_every_byte_once(texts: list[str], lines: int) -> None:
    found = chunks_of(texts, lines)
    assert ["".join(chunk for at, chunk in found if at == n) for n in range(len(texts))] == texts


def ranked(texts: list[str], query: str, measure: Measure, count: int = 10) -> list[tuple[int, float]]:
    """Each text is one chunk."""
    data, offsets = bytes_of(texts)
    index = Index(data, cut(data, offsets, 1_000))
    found, scores = index.search(query.encode(), np.ones(len(texts), np.bool_), count, measure)
    again, _ = index.search(query.encode(), np.ones(len(texts), np.bool_), count, measure)
    assert found.tolist() == again.tolist()  # nothing of a query stays behind
    return list(zip(found.tolist(), scores.tolist(), strict=True))


def words(text: str) -> list[str]:
    return [word for word in re.findall(r"\w+", text) if len(word.encode()) > 1]


def oracle(texts: list[str], query: str, measure: Measure) -> list[tuple[int, float]]:
    counts = [Counter(words(text)) for text in texts]
    mean = max(sum(sum(count.values()) for count in counts) / len(texts), 1)
    scores = []
    for count in counts:
        shared = set(words(query)) & set(count)
        if measure == "overlap":
            known = {word for word in words(query) if any(word in other for other in counts)}
            scores.append(len(shared) / max(len(known | set(count)), 1))
            continue
        score = 0.0
        for word in shared:
            held = sum(word in other for other in counts)
            idf = math.log(1 + (len(texts) - held + 0.5) / (held + 0.5))
            size = sum(count.values())
            score += idf * 2.2 * count[word] / (count[word] + 1.2 * (0.25 + 0.75 * size / mean))
        scores.append(score)
    order = sorted(range(len(texts)), key=lambda at: (-round(scores[at], 9), at))
    return [(at, scores[at]) for at in order if scores[at] > 0]


WORDS = ["alpha", "beta", "gamma", "größe", "x_1", "d", "漢", "(", ",", "\n"]
LINES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)
TEXTS = st.lists(LINES, min_size=1, max_size=6)


@settings(deadline=None)
@given(texts=TEXTS, query=TEXTS.map(" ".join), measure=st.sampled_from(["bm25", "overlap"]))
def test_chunks_rank_as_the_formulas_say(texts: list[str], query: str, measure: Measure) -> None:
    found, wanted = ranked(texts, query, measure), oracle(texts, query, measure)
    assert [score for _, score in found] == pytest.approx([score for _, score in wanted])
    assert sorted(at for at, _ in found) == sorted(at for at, _ in wanted)
    assert all(a[1] > b[1] or a[0] < b[0] for a, b in pairwise(found))


def test_ties_are_in_the_order_of_the_chunks_and_only_the_best_are_given() -> None:
    assert [at for at, _ in ranked(["word"] * 5, "word", "overlap", 3)] == [0, 1, 2]
    assert [at for at, _ in ranked(["one two", "one", "one two"], "one two", "overlap", 2)] == [0, 2]
    assert ranked(["word"], "other", "bm25") == []
    assert ranked([""], "", "bm25") == []


def test_texts_that_are_not_allowed_are_not_found() -> None:
    data, offsets = bytes_of(["word", "word", "other"])
    index = Index(data, cut(data, offsets, 10))
    assert index.search(b"word", np.array([False, True, True]), 5)[0].tolist() == [1]


def test_a_word_that_too_many_chunks_hold_counts_for_nothing() -> None:
    texts = ["common rare"] + ["common"] * (MAX_HOLDERS - 1)
    assert len(ranked(texts, "common", "overlap", 5_000)) == MAX_HOLDERS
    assert ranked([*texts, "common"], "common", "overlap") == []
    assert [at for at, _ in ranked([*texts, "common"], "common rare", "overlap")] == [0]


LINE = "def find(needle, haystack):\n    return needle in haystack\n"


@pytest.mark.parametrize(
    ("secret", "candidate", "leaks"),
    [
        (LINE, f"x = 1\n{LINE}y = 2\n", True),
        (LINE, LINE.replace("    ", "\t\t"), True),
        (LINE, LINE.replace(", ", ",\r\n"), True),
        (LINE, LINE.replace("needle", "pin"), False),
        ("a" * MIN_BYTES, "a" * MIN_BYTES, True),
        ("a" * (MIN_BYTES - 1), "a" * MIN_BYTES, False),  # too short to say where it comes from
        ("a" * MIN_BYTES, "a" * (MIN_BYTES - 1), False),
        ("", LINE, False),
        (LINE, "", False),
    ],
)
def test_a_candidate_leaks_where_it_holds_the_secret(secret: str, candidate: str, leaks: bool) -> None:
    assert Guard(secret.encode()).leaks(candidate.encode()) is leaks


def test_a_long_run_of_a_secret_is_enough() -> None:
    secret = "".join(f"{n:03d}" for n in range(100))
    guard = Guard(secret.encode())
    assert guard.leaks(secret[17 : 17 + RUN].encode())
    assert not guard.leaks(secret[17 : 17 + RUN - 1].encode())


@settings(deadline=None)
@given(
    before=st.text(max_size=30),
    secret=st.text(max_size=90),
    behind=st.text(max_size=30),
    blank=st.sampled_from(" \t\n"),
)
def test_no_copy_that_is_long_enough_gets_through(before: str, secret: str, behind: str, blank: str) -> None:
    solid = "".join(secret.split(" ")).encode().translate(None, b" \t\n\r\v\f")
    moved = before + blank.join(secret) + behind
    assert Guard(secret.encode()).leaks(moved.encode()) or len(solid) < MIN_BYTES
