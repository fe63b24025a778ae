"""The split: one rule for all categories, fixed by the group alone."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopdata.errors import ConfigError
from loopdata.sources.split import Splitter, host_of, place_of
from loopdata.stage import unit_interval


def table(*rows: dict[str, str | None]) -> pa.Table:
    names = ("doc_id", "split", "repo", "url", "parent")
    return pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names})


def test_the_group_is_family_then_repository_then_host_then_parent_then_document() -> None:
    rows = table(
        {"doc_id": "1", "repo": "fork", "url": "https://a.org/x"},
        {"doc_id": "2", "repo": "alone", "url": "https://a.org/x", "parent": "p"},
        {"doc_id": "3", "url": "https://www.A.org:80/x", "parent": "p"},
        {"doc_id": "4", "parent": "p"},
        {"doc_id": "5"},
    )
    groups = Splitter(0.5, {"family": ["origin", "fork"]}).groups_of(rows).to_pylist()
    assert groups == ["family", "alone", "a.org", "p", "5"]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://www.example.org/a", "example.org"),
        ("https://user@Example.org.:8080", "example.org"),
        ("https://sub.example.org/", "sub.example.org"),
        ("no url", "no url"),
        ("http://[broken", "http://[broken"),
    ],
)
def test_the_host_of_a_url(url: str, host: str) -> None:
    assert host_of(url) == host


def test_the_place_of_a_group_needs_no_seed() -> None:
    assert place_of("repo") == unit_interval(0, "split", "repo")


def test_a_group_below_the_fraction_is_held_out_and_one_on_it_is_not() -> None:
    place = place_of("repo")
    assert Splitter(place).split_of("repo") == "train"
    assert Splitter(place + 1e-12).split_of("repo") == "valid"


def test_assign_sets_the_split_of_every_document_and_leaves_all_else() -> None:
    rows = table(*({"doc_id": str(n), "repo": f"r{n % 3}", "split": ""} for n in range(6)))
    splitter = Splitter(0.5)
    done = splitter.assign(rows)
    assert done.column_names == rows.column_names
    assert done.drop_columns("split") == rows.drop_columns("split")
    assert done["split"].to_pylist() == ["valid" if place_of(f"r{n % 3}") < 0.5 else "train" for n in range(6)]


def test_an_empty_table_stays_empty() -> None:
    assert Splitter(0.5).assign(table()).num_rows == 0


def test_the_lowest_group_is_held_out_where_none_would_be() -> None:
    groups = ["a", "b", "c", "d"]
    lowest = min(groups, key=place_of)
    splitter = Splitter(1e-9).force(groups)
    assert [group for group in groups if splitter.split_of(group) == "valid"] == [lowest]


def test_nothing_is_forced_where_one_is_held_out_already() -> None:
    lowest = min(("a", "b", "c"), key=place_of)
    splitter = Splitter(place_of(lowest) + 1e-9)
    assert splitter.force(["a", "b", "c"]) is splitter


def test_a_forced_family_is_held_out_whole() -> None:
    families = {"f": ["a", "b"], "g": ["c"]}
    splitter = Splitter(1e-9, families).force(["a", "b", "c"])
    assert splitter.split_of("a") == splitter.split_of("b") != splitter.split_of("c")


@pytest.mark.parametrize(("groups", "can"), [((), False), (("a",), False), (("a", "b"), False), (("a", "c"), True)])
def test_a_single_group_cannot_be_split(groups: tuple[str, ...], can: bool) -> None:
    assert Splitter(0.5, {"f": ["a", "b"]}).can_split(groups) is can


def test_a_fraction_of_0_holds_out_none() -> None:
    groups = [f"r{number}" for number in range(50)]
    splitter = Splitter(0.0).force(groups)
    assert {splitter.split_of(group) for group in groups} == {"train"}


@pytest.mark.parametrize("valid", [1.0, -0.1, float("nan")])
def test_a_fraction_that_leaves_nothing_to_train_on_is_refused(valid: float) -> None:
    with pytest.raises(ConfigError, match=r"split\.valid"):
        Splitter(valid)


def test_a_repository_in_two_families_is_refused() -> None:
    with pytest.raises(ConfigError, match="'a' is in the families f, g"):
        Splitter(0.5, {"f": ["a"], "g": ["a"]})


@given(st.lists(st.sampled_from("abcdef"), min_size=1), st.floats(0.01, 0.99))
def test_a_repository_is_never_on_both_sides(repos: list[str], valid: float) -> None:
    rows = table(*({"doc_id": str(n), "repo": repo} for n, repo in enumerate(repos)))
    done = Splitter(valid).assign(rows)
    sides = set(zip(done["repo"].to_pylist(), done["split"].to_pylist(), strict=True))
    assert len(sides) == len(set(repos))
