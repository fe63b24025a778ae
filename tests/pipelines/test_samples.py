"""A whole run with samples of files and of repositories: what is learned, proved and held out is in the manifests."""

from pathlib import Path
from typing import Any

import pytest

from loopdata.engine.ledger import counts_of
from loopdata.engine.tables import read_table
from loopdata.storage import Folder
from tests.pipelines.corpus_case import complete, manifests_of, run_data, write_corpus

SAMPLES: dict[str, Any] = {
    "plain": {"builder": "file"},
    "file": {"builder": "file", "fim": {"rate": 1.0, "max_bytes": 400}},
    "repo": {"builder": "repo", "fim": {"rate": 0.5, "max_bytes": 400}, "context": {"max_bytes": 400}},
    "fill": {"builder": "file", "fim": {"rate": 1.0, "max_bytes": 400, "held_out": True}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("samples")
    write_corpus(root)
    weights = {"plain": 1, "file": 1, "repo": 1, "fill": 0}
    mixture = {"tokens": 2_000, "sequence": 1024, "weights": weights}
    complete(run_data(root, root / "run") | {"samples": SAMPLES, "mixture": mixture})
    return root / "run"


def rows(run: Path, name: str, split: str) -> list[dict[str, Any]]:
    found = [manifest for manifest in manifests_of(run) if manifest.phase == f"samples.{name}"]
    tables = [read_table(Folder(str(run)), manifest.outputs[f"{split}.samples"]) for manifest in found
              if f"{split}.samples" in manifest.outputs]  # fmt: skip
    return [row for table in tables for row in table.to_pylist()]


@pytest.mark.parametrize("name", SAMPLES)
def test_each_byte_for_training_is_learned_once(run: Path, name: str) -> None:
    found = [manifest for manifest in manifests_of(run) if manifest.phase == f"samples.{name}"]
    assert len(found) > 3
    for manifest in found:
        assert manifest.figures["bytes"]["loss"] == manifest.figures["bytes"]["documents"]
    assert sum(manifest.figures["bytes"]["loss"] for manifest in found) > 5_000


def test_every_sample_that_promises_it_is_proved_from_its_tokens(run: Path) -> None:
    for name in SAMPLES:
        both = rows(run, name, "train") + rows(run, name, "valid")
        promised = [row for row in both if name == "repo" or (row["fim"] and row["fim"]["kind"])]
        proved = [m.figures["proved"] for m in manifests_of(run) if m.phase == f"samples.{name}"]
        assert sum(proved) == len(promised)
        assert (name == "plain") == (not promised)


def test_only_the_entry_that_asks_for_it_has_holes_in_held_out_files(run: Path) -> None:
    held = {name: rows(run, name, "valid") for name in SAMPLES}
    assert all(held.values())
    assert {name: any(row["fim"] for row in found) for name, found in held.items()} == {
        "plain": False, "file": False, "repo": False, "fill": True
    }  # fmt: skip
    assert [row["length"] for row in held["plain"]] == [row["length"] for row in held["file"]]


def test_levels_and_modes_are_counted(run: Path) -> None:
    manifests = [manifest for manifest in manifests_of(run) if manifest.phase == "samples.repo"]
    counted = counts_of(manifests, "fim")
    holed = [row["fim"] for row in rows(run, "repo", "train") if row["fim"]]
    assert sum(number for number, _ in counted.values()) == len(holed) > 10
    assert {name.split(".")[0] for name in counted} >= {"line", "statement", "ast_span"}
    size = sum(fim["middle_end"] - fim["middle_start"] for fim in holed)
    assert sum(middle for _, middle in counted.values()) == size
    assert [manifest.figures["repo_views"] for manifest in manifests] == [0] * len(manifests)
