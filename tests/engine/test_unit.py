"""Keys of units and their manifests."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from loopdata.engine import unit as module
from loopdata.engine.attempt import Attempt, perform
from loopdata.engine.ledger import manifest_of
from loopdata.engine.unit import UNKNOWN, Count, Manifest, Output, Unit, unit_number
from loopdata.stage import Resource
from loopdata.storage import Folder
from tests.engine import toys


@dataclass(frozen=True)
class Says:
    what: str = "x"

    def identity(self) -> dict[str, Any]:
        return {"what": self.what}

    def run(self, attempt: Attempt) -> None:
        with attempt.file("said", ".txt") as stream:
            stream.write(self.what.encode())
        attempt.figures["numbers"] = {10: (1, 2), 2: (3,)}


UNIT = Unit("phase", "name", Says(), ("r1", "r2"), 5)


@pytest.mark.parametrize(
    "other",
    [
        replace(UNIT, phase="other"),
        replace(UNIT, name="other"),
        replace(UNIT, task=Says("y")),
        replace(UNIT, reads=("r1", "r3")),
        replace(UNIT, reads=("r1r2",)),
        replace(UNIT, reads=("r2", "r1")),
        replace(UNIT, reads=()),
    ],
)
def test_whatever_the_output_depends_on_changes_the_key(other: Unit) -> None:
    assert other.key != UNIT.key


def test_the_amount_of_work_and_a_new_object_leave_the_key_alone() -> None:
    assert replace(UNIT, task=Says(), num_bytes=9).key == UNIT.key


def test_the_key_depends_on_the_writer_of_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    before = UNIT.key
    monkeypatch.setitem(module.ENVIRONMENT, "pyarrow", "0.0")
    assert UNIT.key != before


class Versioned(toys.Shorter):
    name = "shorter"
    version = 2


class WithResource(toys.Shorter):
    name = "shorter"

    def __init__(self, sha256: str) -> None:
        super().__init__()
        self._sha256 = sha256

    def resources(self) -> dict[str, Resource]:
        return {"list": Resource(Folder("/nowhere"), "list.txt", self._sha256)}


def key(stage: toys.Shorter, line: str = "r: a b") -> str | None:
    return toys.ingest_units([line], (stage,))[0].key


def test_config_version_seed_label_resource_and_input_change_the_key_of_a_stage() -> None:
    keys = [
        key(toys.Shorter()),
        key(toys.Shorter(toys.Shorter.Config(most=21))),
        key(Versioned()),
        key(toys.Shorter(seed=1)),
        key(toys.Shorter(label="again")),
        key(WithResource("aa")),
        key(WithResource("ab")),
        key(toys.Shorter(), "r: a c"),
    ]
    assert len(set(keys)) == len(keys)
    assert key(toys.Shorter(toys.Shorter.Config(most=20))) == keys[0]


def test_unknown_inputs_make_an_unknown_key() -> None:
    assert replace(UNIT, reads=("r1", UNKNOWN)).key is None


def test_ids_are_fit_for_file_names_and_differ_where_names_do() -> None:
    ids = [replace(UNIT, name=name).id for name in ("a/b c", "a-b-c", "ä", "../..", "x" * 300)]
    assert [unit_number(name) for name in ids] == [int(name.rpartition("-")[2], 16) for name in ids]
    assert [name.rpartition("-")[0] for name in ids] == ["a-b-c", "a-b-c", "unit", "unit", "x" * 40]
    assert len(set(ids)) == 5
    assert all(len(name.rpartition("-")[2]) == 16 for name in ids)


MANIFEST = Manifest(
    "p", "u-1", "u", "key", "nonce", {"o": Output("f", 3, "s", 1)}, [Count("st", 1, 0, 1)], {"n": 1.5}, 0.1, 7
)


def test_a_manifest_reads_back_as_it_was_written() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST


def test_a_manifest_that_is_not_whole_is_none() -> None:
    raw = MANIFEST.to_json()
    for stop in range(len(raw)):
        assert Manifest.from_json(raw[:stop]) is None
    assert Manifest.from_json(raw.replace(b'"key"', b'"kez"', 1)) is None
    for other in (b"[]", b"1", b"null", b"\xff", json.dumps({"sum": "", "body": []}).encode()):
        assert Manifest.from_json(other) is None


def test_figures_are_the_same_now_and_when_read_back(folder: Folder) -> None:
    manifest = perform(Attempt(folder, UNIT))
    assert manifest.figures == {"numbers": {"10": [1, 2], "2": [3]}}
    assert manifest_of(folder, UNIT) == manifest


def test_an_unknown_key_is_never_committed(folder: Folder) -> None:
    with pytest.raises(ValueError, match="inputs that are not known"):
        perform(Attempt(folder, replace(UNIT, reads=(UNKNOWN,))))


def test_the_manifest_is_published_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, order = Folder(tmp_path), []

    def write_atomic(self: Folder, name: str, data: bytes) -> None:
        order.extend(sorted(file.name.rpartition(".")[2] for file in self.files()))
        order.append(name)

    monkeypatch.setattr(Folder, "write_atomic", write_atomic)
    [unit] = toys.ingest_units(["r: a"], (toys.Shorter(),))
    perform(Attempt(folder, unit))
    assert order == ["parquet", "parquet", "parquet", unit.manifest_name]


def test_two_attempts_of_a_unit_never_share_a_file(folder: Folder) -> None:
    one, two = perform(Attempt(folder, UNIT)), perform(Attempt(folder, UNIT))
    assert one.outputs["said"].name != two.outputs["said"].name
    assert one.outputs["said"].sha256 == two.outputs["said"].sha256
    assert folder.read(two.outputs["said"].name) == b"x"
