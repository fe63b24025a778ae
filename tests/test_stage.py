"""What stages state about themselves: identity, randomness, resources."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopdata.config import Strict
from loopdata.errors import StageError
from loopdata.stage import Outcome, Resource, Stage, UnitIntervals, unit_interval
from loopdata.storage import Folder


class Thin(Stage):
    name = "thin"
    version = 3

    class Config(Strict):
        rate: float = 0.5

    def apply(self, table: pa.Table) -> Outcome:
        return Outcome(table)


class Listed(Thin):
    def __init__(self, resource: Resource) -> None:
        super().__init__(label="listed")
        self._resource = resource

    def resources(self) -> Mapping[str, Resource]:
        return {"list": self._resource}


def test_a_stage_states_all_that_its_output_depends_on() -> None:
    assert Thin().identity() == {
        "stage": "thin",
        "label": "thin",
        "version": 3,
        "seed": 0,
        "config": {"rate": 0.5},
        "resources": {},
    }
    other = Thin(Thin.Config(rate=0.1), label="again", seed=7).identity()
    assert (other["label"], other["seed"], other["config"]) == ("again", 7, {"rate": 0.1})


def test_a_resource_counts_by_its_digest_and_is_loaded_once(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"abc")
    sha256 = hashlib.sha256(b"abc").hexdigest()
    resource = Resource(Folder(tmp_path), "list.txt", sha256)
    assert Listed(resource).identity()["resources"] == {"list": sha256}
    first = resource.load(bytearray)
    (tmp_path / "list.txt").unlink()
    assert first == b"abc"
    assert Resource(Folder(tmp_path), "list.txt", sha256).load(bytearray) is first


def test_a_resource_that_is_gone_or_not_what_was_written_is_named(tmp_path: Path) -> None:
    resource = Resource(Folder(tmp_path), "words.txt", hashlib.sha256(b"abd").hexdigest())
    with pytest.raises(StageError, match=r"words\.txt is gone"):
        resource.load(bytearray)
    (tmp_path / "words.txt").write_bytes(b"abc")
    with pytest.raises(StageError, match=r"words\.txt is broken: it is not what was written"):
        resource.load(bytearray)


def test_random_numbers_are_fixed_by_seed_stage_and_document() -> None:
    numbers = [
        Thin().random("d"),
        Thin().random("e"),
        Thin(seed=1).random("d"),
        Thin(label="again").random("d"),
    ]
    assert len(set(numbers)) == 4
    assert numbers[0] == Thin().random("d") == unit_interval(0, "thin", "d") == 0.34172361734695345


def test_random_numbers_fill_the_unit_interval() -> None:
    numbers = sorted(unit_interval(5, str(n)) for n in range(2_000))
    assert 0 <= numbers[0] < 0.01
    assert 0.99 < numbers[-1] < 1
    assert abs(sum(numbers) / 2_000 - 0.5) < 0.02


@given(st.integers(), st.lists(st.text(), max_size=3), st.text())
def test_numbers_behind_the_same_first_names_are_the_same(seed: int, first: list[str], last: str) -> None:
    assert UnitIntervals(seed, *first).of(last) == unit_interval(seed, *first, last)


def test_parts_of_a_random_number_are_kept_apart() -> None:
    assert unit_interval(0, "ab", "c") != unit_interval(0, "a", "bc")
