"""Which repositories go whole: forks and copies, by whom, and what is no fork."""

import time
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata import schema
from loopdata.config import parse
from loopdata.dedup.repositories import TEXT, RepoConfig, RepoDedup, _pairs
from loopdata.errors import ConfigError
from loopdata.stage import Fate
from tests.dedup.drive import document, drive

Units = dict[str, list[dict[str, Any]]]


def file(repo: str | None, name: str, text: str, **other: Any) -> dict[str, Any]:
    where = {"repo": repo, "path": name, "text_id": schema.text_id(text)}
    return document(f"{repo}/{name}", text, **where, **other)


def repository(repo: str, texts: str, **other: Any) -> list[dict[str, Any]]:
    """A file of ten bytes a letter."""
    return [file(repo, f"{place}.py", letter * 10, **other) for place, letter in enumerate(texts)]


def dropped(units: Units, **config: Any) -> dict[str, Fate]:
    """The fate of the first file of each repository that is gone, whole."""
    kept, fates = drive(RepoDedup(parse(RepoConfig, config, "repo_dedup")), units)
    gone = {subject.partition("/")[0]: fates[subject] for subject in sorted(fates, reverse=True)}
    assert not {doc_id.partition("/")[0] for doc_id in kept} & gone.keys()
    return gone


def test_a_fork_goes_whole_and_says_where_it_lives() -> None:
    units = {"u": repository("origin", "abcdefghij"), "v": repository("fork", "abcdefghX")}
    (fate,) = dropped(units).values()
    assert (fate.subject, fate.fate, fate.rule) == ("fork/0.py", "dropped", "repo_copy")
    assert (fate.value, fate.threshold, fate.details) == (8 / 9, 0.8, "repo=origin")


@pytest.mark.parametrize(("texts", "gone"), [("abcdX", False), ("abcdeX", True)])
def test_a_share_on_the_threshold_stays(texts: str, gone: bool) -> None:
    units = {"u": [*repository("origin", "abcdefghij"), *repository("fork", texts)]}
    assert ("fork" in dropped(units)) is gone


def test_one_large_shared_file_makes_no_fork_nor_do_many_small_ones() -> None:
    licences = [file(repo, "LICENSE", "l" * 900) for repo in ("origin", "other")]
    assert dropped({"u": [*repository("origin", "abc"), *repository("other", "xy"), *licences]}) == {}
    small = [file("other", f"{letter}.py", letter * 10) for letter in "abc"]
    own = file("other", "own.py", "o" * 900)
    assert dropped({"u": [*repository("origin", "abcdefgh"), *small, own]}, max_share=0.7) == {}


def test_files_that_lie_in_several_repositories_make_no_fork_of_any() -> None:
    units = {"u": [*repository("one", "abcdeXYZ"), *repository("two", "fghijUVW"), *repository("mix", "abcfgh")]}
    assert dropped(units) == {}
    assert "mix" in dropped(units, max_share=0.4)


def test_a_fork_of_a_held_out_repository_does_not_train() -> None:
    units = {"u": repository("held", "abcde", split="valid"), "v": repository("larger", "abcdeXabcdeabcde")}
    (fate,) = dropped(units).values()
    assert (fate.subject, fate.rule, fate.details) == ("larger/0.py", "repo_copy_of_held_out", "repo=held")


def test_of_forks_the_best_by_priority_stays_then_the_larger_then_the_first_name() -> None:
    pair = {"u": [*repository("b", "abcdeX"), *repository("a", "abcde")]}
    assert list(dropped(pair)) == ["a"]
    assert list(dropped({"u": [*repository("b", "abcde"), *repository("a", "abcde")]})) == ["b"]
    dated = {"u": [*repository("b", "abcdeX", use="train"), *repository("a", "abcdef", use="context")]}
    assert list(dropped(dated, priority=["doc_id"])) == ["a"]  # context comes last


def test_a_chain_keeps_what_lives_in_nothing_that_stays() -> None:
    """two lives in one, three in two alone: three stays."""
    units = {"u": [*repository("one", "abcdefghijkl"), *repository("two", "abcdefghX"), *repository("three", "efghX")]}
    fates = dropped(units, max_share=0.85)
    assert list(fates) == ["two"]


def test_documents_without_repository_or_text_pass() -> None:
    rows = [file(None, "a", "text"), file(None, "b", "text"), *repository("r", "a")]
    rows.append(document("none", "x", repo="r") | {"text": None, "text_id": None})
    assert dropped({"u": rows}) == {}


def test_a_repository_in_several_units_goes_from_all() -> None:
    fork = repository("fork", "abcdefghX")
    units = {"u": repository("origin", "abcdefghij"), "v": fork[:4], "w": fork[4:8], "x": fork[8:]}
    _, fates = drive(RepoDedup(), units)
    assert sorted(fates) == sorted(row["doc_id"] for row in fork)


def test_empty_files_make_no_division_by_nothing() -> None:
    units = {"u": [*(file("a", str(n), "") for n in range(3)), *(file("b", str(n), "") for n in range(2))]}
    assert list(dropped(units)) == ["b"]


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(st.sampled_from("pqrstv"), st.text("abcdefgh", min_size=1, max_size=10), min_size=2),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_what_goes_depends_on_no_units_and_no_order(texts: dict[str, str], groups: int, random: Any) -> None:
    rows = [
        row for name, of in texts.items() for row in repository(name, of, split="valid" if name == "v" else "train")
    ]
    expected = drive(RepoDedup(), {"u": rows})[1]
    for subject, fate in expected.items():
        mine, kept = texts[subject[0]], texts[str(fate.details)[-1]]
        assert sum(letter in kept for letter in mine) / len(mine) == fate.value > 0.8
        assert f"{str(fate.details)[-1]}/0.py" not in expected
    assert not any(subject.startswith("v") for subject in expected)
    random.shuffle(rows)
    units: Units = {}
    for row in rows:
        units.setdefault(f"u{random.randrange(groups)}", []).append(row)
    assert drive(RepoDedup(RepoConfig(partitions=2)), units)[1] == expected


def test_a_file_in_a_hundred_thousand_repositories_takes_no_quadratic_step() -> None:
    count = 100_000
    names = [f"r{number:06d}" for number in range(count)]
    columns = {"id": [schema.text_id("x")] * count, "key": [7] * count, "repo": names, "trains": [True] * count}
    columns |= {"rank": [name.encode() for name in names], "places": ["u"] * count, "unit": ["u"] * count}
    columns |= {name: [10] * count for name in ("all_bytes", "all_files", "bytes", "files")}
    started = time.monotonic()
    pairs = _pairs(pa.table([pa.array(columns[field.name], field.type) for field in TEXT], schema=TEXT))
    assert pairs.num_rows == 8 * count - 36
    assert time.monotonic() - started < 30


def test_a_wrong_config_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="give a power of two"):
        parse(RepoConfig, {"partitions": 3}, "repo_dedup")
    with pytest.raises(ConfigError, match=r"unknown key 'repo_dedup.max_shares'; did you mean 'max_share'\?"):
        parse(RepoConfig, {"max_shares": 0.5}, "repo_dedup")
