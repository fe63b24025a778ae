"""A mixture gives each category its share of tokens, in an order that depends on the seed and on nothing else."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.errors import ConfigError
from loopdata.mixture.draw import Share, Stock, draw

FILE = Stock(0, "file", np.array([10, 10, 10, 4]))
REPO = Stock(1, "repo", np.array([10, 10]))


def used(drawn, packing: int) -> list[int]:
    return [sequence for number, sequence in drawn.order.tolist() if number == packing]


def test_the_order_of_a_small_mixture_is_fixed_for_ever():
    drawn = draw([FILE, REPO], {"file": 2, "repo": 1}, tokens=60, seed=17)
    # 40 tokens of file: an epoch of 34, then one more sequence; 20 of repo: both sequences.
    assert drawn.order.tolist() == [(0, 2), (1, 0), (0, 0), (0, 1), (0, 3), (1, 1), (0, 1)]
    other = draw([FILE, REPO], {"file": 2, "repo": 1}, tokens=60, seed=18)
    assert other.order.tolist() == [(0, 3), (1, 0), (0, 0), (0, 2), (0, 1), (1, 1), (0, 2)]


def test_figures_say_what_became_of_each_category():
    drawn = draw([FILE, REPO], {"file": 2, "repo": 1}, tokens=60, seed=17)
    assert drawn.shares == [Share("file", 2, 40, 44, 5, 1.25, 0), Share("repo", 1, 20, 20, 2, 1.0, 0)]


def test_a_category_that_is_too_small_falls_short_and_the_others_do_not_make_up_for_it():
    drawn = draw([FILE, REPO], {"file": 1, "repo": 3}, tokens=80, seed=1, max_epochs=2)
    assert drawn.shares[1] == Share("repo", 3, 60, 40, 4, 2.0, 20)
    assert drawn.shares[0].wanted_tokens == 20
    assert drawn.shares[0].tokens <= 29
    assert Counter(used(drawn, 1)) == {0: 2, 1: 2}


def test_a_share_that_fits_the_last_epoch_exactly_is_no_shortfall():
    assert draw([REPO], {"repo": 1}, tokens=80, seed=1).shares[0].shortfall == 0
    assert draw([REPO], {"repo": 1}, tokens=81, seed=1).shares == [Share("repo", 1, 81, 80, 8, 4.0, 1)]


def test_a_category_is_spread_evenly():
    many, few = Stock(0, "many", np.full(6, 10)), Stock(1, "few", np.full(2, 10))
    drawn = draw([many, few], {"many": 3, "few": 1}, tokens=80, seed=5)
    # shares of the training: many at 1/12, 3/12, …, few at 1/4 and 3/4; at 1/4 and 3/4 they meet, few by its name first
    assert drawn.order["packing"].tolist() == [0, 1, 0, 0, 0, 1, 0, 0]


def test_each_epoch_has_an_order_of_its_own():
    stock = Stock(0, "file", np.full(20, 10))
    sequences = used(draw([stock], {"file": 1}, tokens=600, seed=3), 0)
    epochs = [sequences[n : n + 20] for n in (0, 20, 40)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(20))] * 3
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert epochs[0] != list(range(20))


def test_a_category_without_weight_or_sequences_is_not_drawn():
    empty = Stock(2, "empty", np.empty(0, np.int64))
    drawn = draw([FILE, REPO, empty], {"file": 1, "repo": 0, "empty": 1}, tokens=20, seed=1)
    assert set(drawn.order["packing"].tolist()) == {0}
    assert drawn.shares[0] == Share("empty", 1, 10, 0, 0, 0.0, 10)
    assert drawn.shares[2] == Share("repo", 0, 0, 0, 0, 0.0, 0)


def test_adding_a_category_leaves_the_choice_in_the_others_alone():
    alone = used(draw([FILE], {"file": 1}, tokens=40, seed=9), 0)
    assert used(draw([FILE, REPO], {"file": 2, "repo": 1}, tokens=60, seed=9), 0) == alone


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"file": 1, "rpo": 1}, "weights.rpo: no such category; did you mean 'repo'"),
        ({"file": -1}, "weights.file: -1 is no weight"),
        ({"file": float("nan")}, "nan is no weight"),
        ({"file": float("inf")}, "inf is no weight"),
        ({"file": 0}, "no category has a weight"),
        ({}, "no category has a weight"),
    ],
)
def test_weights_that_make_no_sense_are_refused(weights: dict[str, float], message: str):
    with pytest.raises(ConfigError, match=message):
        draw([FILE, REPO], weights, tokens=10, seed=1)


def test_two_packings_of_one_category_are_refused():
    with pytest.raises(ConfigError, match="more than one packing"):
        draw([FILE, FILE], {"file": 1}, tokens=10, seed=1)


STOCKS = st.lists(st.lists(st.integers(1, 20), max_size=12), min_size=1, max_size=4)


@settings(deadline=None)
@given(st.data(), STOCKS, st.integers(0, 400), st.integers(1, 5), st.integers(0, 3))
def test_what_holds_for_every_mixture(data, sizes: list[list[int]], tokens: int, max_epochs: int, seed: int):
    stocks = [Stock(n, f"c{n}", np.array(size, np.int64)) for n, size in enumerate(sizes)]
    weights = {stock.category: data.draw(st.integers(1, 5)) for stock in stocks}
    drawn = draw(stocks, weights, tokens=tokens, seed=seed, max_epochs=max_epochs)
    for stock, share in zip(stocks, drawn.shares, strict=True):
        sequences = used(drawn, stock.packing)
        counts = np.bincount(np.array(sequences, np.int64), minlength=len(stock.tokens))
        given_tokens = int(stock.tokens[sequences].sum()) if sequences else 0
        assert counts.max(initial=0) <= max_epochs
        assert counts.max(initial=0) - counts.min(initial=max_epochs) <= 1
        assert (share.sequences, share.tokens) == (len(sequences), given_tokens)
        assert share.wanted_tokens == round(tokens * weights[stock.category] / sum(weights.values()))
        assert given_tokens + share.shortfall >= share.wanted_tokens
        assert share.shortfall == 0 or given_tokens == max_epochs * int(stock.tokens.sum())
        if sequences:  # one sequence less would not reach the share
            assert given_tokens - int(stock.tokens[sequences[-1]]) < share.wanted_tokens
    shuffled = data.draw(st.permutations(stocks))
    assert (
        draw(shuffled, weights, tokens=tokens, seed=seed, max_epochs=max_epochs).order.tolist() == drawn.order.tolist()
    )
