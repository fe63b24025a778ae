"""Tables among the sources of a run: their columns travel, and others' documents have none of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from loopdata.engine.tables import read_table
from loopdata.errors import ConfigError
from loopdata.storage import Folder
from pipelines.explain import explain_document
from pipelines.run_file import resolve
from tests.pipelines.corpus_case import complete, manifests_of, write_files

TEXT = "def shared(value):\n    return value + value\n"


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Any]:
    write_files(tmp_path / "tree", {"a/mine.py": "mine = 1\n"})
    rows = [
        {"text": TEXT, "repo": "few", "path": "a.py", "stars": 3},
        {"text": TEXT, "repo": "many", "path": "deep/down/a.py", "stars": 40},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {
        "run": str(tmp_path / "run"),
        "sources": {
            "tree": {"kind": "files", "path": str(tmp_path / "tree"), "repo_per": "top_folder"},
            "table": {"kind": "table", "path": str(tmp_path / "rows.jsonl"), "carry": {"stars": "integer"}},
        },
        "split": {"valid": 0},
        "corpus": [{"clean": {}}, {"language": {}}, {"exact_dedup": {"priority": ["-stars"]}}],
    }


def test_a_carried_column_ranks_survivors(data: dict[str, Any]) -> None:
    complete(data)
    found = [m for m in manifests_of(data["run"]) if m.phase == "exact_dedup.apply"]
    rows = [row for m in found for row in read_table(Folder(data["run"]), m.output("documents")).to_pylist()]
    assert {(row["repo"], row["language"], row["stars"]) for row in rows} == {
        ("many", "Python", 40),
        ("a", "Python", None),
    }
    (explained,) = explain_document(data["run"], "few/a.py")
    assert explained.survivor is not None
    assert explained.survivor["repo"] == "many"


def test_two_sources_that_disagree_about_a_column_are_refused(data: dict[str, Any]) -> None:
    data["sources"]["other"] = data["sources"]["table"] | {"carry": {"stars": "text"}}
    with pytest.raises(ConfigError, match=r"sources.table: 'stars' is int64 here, but string in another one"):
        resolve(data)
