"""The same bytes whatever runs the units, and in whatever order files are made, named and listed."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopdata.tokens.shards import Dataset
from pipelines.run import Choice
from tests.pipelines.corpus_case import FILES, attempts, complete, outputs, run_data, write_repository, write_tree


@pytest.mark.slow
def test_two_ray_workers_give_the_bytes_of_one_process(data: dict[str, Any], finished: Path) -> None:
    complete(data, Choice("ray", workers=2))  # with one worker: see test_cli
    assert outputs(data["run"]) == outputs(finished)


def test_sources_listed_in_another_order_give_the_same(data: dict[str, Any], finished: Path) -> None:
    data["sources"] = dict(reversed(data["sources"].items()))
    complete(data)
    assert outputs(data["run"]) == outputs(finished)


class Backwards:
    """A listing of `os.scandir` from its end."""

    def __init__(self, listing: Any) -> None:
        with listing:
            self._entries = sorted(listing, key=lambda entry: os.fsencode(entry.name), reverse=True)

    def __enter__(self) -> Iterator[Any]:
        return iter(self._entries)

    def __exit__(self, *error: object) -> None: ...


def test_files_made_and_listed_in_another_order_give_the_same(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tree(tmp_path / "tree", sorted(FILES, reverse=True))
    write_repository(tmp_path / "repository")
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path=".": Backwards(scandir(path)))
    complete(run_data(tmp_path, tmp_path / "run"))
    monkeypatch.undo()
    assert outputs(tmp_path / "run") == outputs(finished)


def test_running_again_does_nothing(data: dict[str, Any]) -> None:
    complete(data)
    before, dataset = attempts(data["run"]), Path(data["run"], "dataset.json").read_bytes()
    again = complete(data)
    assert set(again.ran.values()) == {0}
    assert attempts(data["run"]) == before
    assert Path(data["run"], "dataset.json").read_bytes() == dataset


def test_every_file_of_the_dataset_is_one_that_a_manifest_names(finished: Path) -> None:
    dataset = Dataset.open(finished)
    dataset.verify()
    hashes = set(outputs(finished).values())
    assert {entry["sha256"] for entry in dataset.manifest["files"].values()} <= hashes
    assert json.loads((finished / "ledger.json").read_text())["complete"] is True


def test_another_seed_gives_another_order_of_the_same_shards(data: dict[str, Any], finished: Path) -> None:
    data["seed"] = {"data": 17, "init": 17, "order": 18}
    complete(data)
    before, after = outputs(finished), outputs(data["run"])
    assert {place for place in before if before[place] != after[place]} == {("mixture", "mixture", "order")}
