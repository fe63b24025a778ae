"""The choice of bands and rows, with datasketch as the oracle for its own question."""

import pytest

from loopdata.dedup.bands import Bands, balanced, choose, false_positives
from loopdata.errors import ConfigError


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.1, 0.9), (0.9, 0.1)])
@pytest.mark.parametrize(("threshold", "permutations"), [(0.3, 64), (0.7, 112), (0.8, 128), (0.95, 16)])
def test_balanced_bands_are_those_of_datasketch(
    threshold: float, permutations: int, weights: tuple[float, float]
) -> None:
    lsh = pytest.importorskip("datasketch.lsh")
    assert tuple(balanced(threshold, permutations, *weights)) == lsh._optimal_param(threshold, permutations, *weights)


def test_the_default_at_0_7() -> None:
    assert choose(0.7, 112) == Bands(22, 5)
    assert Bands(22, 5).detection(0.7) == pytest.approx(1 - (1 - 0.7**5) ** 22)
    assert Bands(21, 5).detection(0.7) < 0.98 < Bands(22, 5).detection(0.7)


def test_no_other_bands_that_detect_enough_have_fewer_false_positives() -> None:
    best = false_positives(choose(0.8, 64), 0.8)
    for bands in range(1, 65):
        for rows in range(1, 64 // bands + 1):
            found = Bands(bands, rows)
            assert found.detection(0.8) < 0.98 or false_positives(found, 0.8) >= best


def test_a_detection_out_of_reach_says_what_can_be_reached() -> None:
    with pytest.raises(ConfigError, match=r"detect 0\.98 of the pairs at 0\.05; raise `permutations`, or ask .* 0\.18"):
        choose(0.05, 4)


def test_without_a_wanted_detection_both_errors_weigh_the_same() -> None:
    assert choose(0.7, 112, None) == balanced(0.7, 112, 0.5, 0.5)
