"""Signatures: the same as from the sets of grams, and as good an estimate as theory allows."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.dedup import minhash
from loopdata.dedup.bands import choose
from loopdata.dedup.grams import gram_sets, jaccard

PERMUTATIONS = 112


def texts(*values: str) -> pa.Array:
    return pa.array(values, pa.large_string())


def overlapping(size: int, similarity: float, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    """Two sets of random grams, and their exact similarity."""
    both = round(2 * size * similarity / (1 + similarity))
    drawn = random.integers(0, 2**64, 2 * size - both, dtype=np.uint64)
    left, right = np.sort(drawn[:size]), np.sort(drawn[size - both :])
    return left, right, jaccard(left, right)


def test_the_error_of_the_estimate_is_that_of_theory() -> None:
    """Root of the mean square error within 5 % of sqrt(J(1-J)/permutations), over 4,000 pairs a similarity."""
    random = np.random.default_rng(4)
    for similarity in (0.2, 0.5, 0.7, 0.9):
        pairs = [overlapping(120, similarity, random) for _ in range(4_000)]
        sets = [part for left, right, _ in pairs for part in (left, right)]
        offsets = np.concatenate([[0], np.cumsum([len(part) for part in sets])]).astype(np.int64)
        signatures = minhash.sign_sets(np.concatenate(sets), offsets, PERMUTATIONS)
        estimates = np.mean(signatures[0::2] == signatures[1::2], axis=1)
        exact = np.array([value for _, _, value in pairs])
        error = math.sqrt(float(np.mean((estimates - exact) ** 2)))
        theory = math.sqrt(float(np.mean(exact * (1 - exact))) / PERMUTATIONS)
        assert error <= 1.05 * theory, similarity
        assert abs(float(np.mean(estimates - exact))) < 0.004, similarity


def test_minima_are_spread_over_32_bits() -> None:
    """A product taken in 64 bits, or a place never lowered, would show here."""
    words = " ".join(f"w{number}" for number in range(1_004))
    signature = minhash.sign(texts(words), PERMUTATIONS, 5)[0][0]
    # The least of 1,000 values has a mean of 2^32 / 1,001; that of 112 such, a standard error of a tenth of it.
    assert 0.6 < float(np.mean(signature)) / (2**32 / 1_001) < 1.4
    assert len(set(signature.tolist())) == PERMUTATIONS


def test_signatures_of_texts_are_those_of_their_sets() -> None:
    column = texts("a b c d e f a b c d e f g", "", "one two", "x " * 5_000, " ".join(map(str, range(9_000))))
    sets = gram_sets(column, 5)
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in sets])]).astype(np.int64)
    of_sets = minhash.sign_sets(np.concatenate(sets), offsets, 7)
    of_texts, grams = minhash.sign(column, 7, 5)
    assert of_texts.tolist() == of_sets.tolist()
    assert grams.tolist() == [9, 0, 1, 4_996, 8_996]
    assert of_texts[1].tolist() == [0xFFFFFFFF] * 7


def test_more_permutations_begin_with_the_same() -> None:
    column = texts("to be or not to be that is the question")
    assert minhash.sign(column, 112, 5)[0][0, :10].tolist() == minhash.sign(column, 10, 5)[0][0].tolist()


def test_signatures_stay_what_they_are() -> None:
    """Signatures are kept and compared across runs and machines."""
    found = minhash.sign(texts("to be or not to be that is the question"), 4, 5)[0]
    assert found.tolist() == [[31518916, 362155881, 442126050, 770690239]]


def test_a_slice_of_a_column_gives_its_own_signatures() -> None:
    column = texts("first second third fourth fifth", "a b c d e f", "another text of a few words here")
    assert minhash.sign(column.slice(1), 8, 5)[0].tolist() == minhash.sign(column, 8, 5)[0][1:].tolist()
    assert minhash.sign(column.slice(1, 0), 8, 5)[0].shape == (0, 8)


def test_bands_meet_where_their_rows_are_equal() -> None:
    left = np.arange(12, dtype=np.uint32).reshape(1, 12)
    right = left.copy()
    right[0, 5] = 99
    found = minhash.band_hashes(np.concatenate([left, right, left]), 4, 3)
    assert (found[0] == found[1]).tolist() == [True, False, True, True]
    assert found[0].tolist() == found[2].tolist()
    assert len(set(found[0].tolist())) == 4


def test_equal_rows_in_different_bands_do_not_meet() -> None:
    found = minhash.band_hashes(np.full((1, 12), 7, np.uint32), 4, 3)
    assert len(set(found[0].tolist())) == 4


@pytest.mark.parametrize(("threshold", "permutations"), [(0.5, 112), (0.7, 112), (0.8, 128), (0.95, 64)])
def test_chosen_bands_detect_what_is_wanted(threshold: float, permutations: int) -> None:
    found = choose(threshold, permutations)
    assert found.bands * found.rows <= permutations
    assert found.detection(threshold) >= 0.98


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(alphabet="ab_9 .\n\u00e9\u4e2d", max_size=80), max_size=8))
def test_any_texts_sign_like_their_sets(values: list[str]) -> None:
    column = texts(*values)
    sets = gram_sets(column, 5)
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in sets])]).astype(np.int64)
    grams = np.concatenate([*sets, np.zeros(0, np.uint64)])
    assert minhash.sign(column, 5, 5)[0].tolist() == minhash.sign_sets(grams, offsets, 5).tolist()
