"""`licence` in a whole run, and the attribution table that is made of what was recorded."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from loopdata.errors import RunError
from pipelines.attribution import write_attribution
from pipelines.explain import explain_document
from tests.cleaning.licences.installed import gpl, mit
from tests.pipelines.corpus_case import complete, functions, write_files

SHARED = functions("shared", 5)
FILES: dict[str, str | bytes] = {
    "free/LICENSE": mit(),
    "free/a.py": functions("a", 5),
    "free/shared.py": SHARED,
    "mirror/LICENSE": mit(),
    "mirror/deep/shared.py": SHARED,
    "gnu/COPYING": gpl(),
    "gnu/b.py": functions("b", 5),
    "gnu/c.py": "# SPDX-License-Identifier: MIT\n" + functions("c", 5),
    "plain/d.py": functions("d", 5),
    "gamma/e.py": functions("e", 5),  # the repository that is held out
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("licensed")
    write_files(root / "tree", FILES)
    data: dict[str, Any] = {
        "run": str(root / "run"),
        "sources": {"tree": {"kind": "files", "path": str(root / "tree"), "repo_per": "top_folder"}},
        "split": {"valid": 0.02},
        "corpus": [{"clean": {}}, {"licence": {}}, {"language": {"keep": ["Python"]}}, {"exact_dedup": {}}],
    }
    complete(data)
    return str(root / "run")


def test_what_is_wrongly_licensed_is_dropped_with_its_evidence(run: str) -> None:
    (found,) = explain_document(run, "gnu/b.py")
    assert found.ended_by is not None
    assert (found.ended_by["stage"], found.ended_by["rule"]) == ("licence", "weak_copyleft")
    assert found.ended_by["details"] == "GPL-2.0-only WITH GCC-exception-2.0 by COPYING:23 (licence_file)"


def test_every_place_of_what_is_kept_is_listed(run: str, tmp_path: Path) -> None:
    written = write_attribution(run, str(tmp_path / "out.parquet"))
    rows = pq.read_table(written.table).to_pylist()
    found = {(row["repo"], row["path"]): row for row in rows}
    assert (written.documents, written.copies) == (5, 1)
    # A copy is dropped in favour of another one; the place is listed all the same, with the licence found there.
    assert {key: (row["relation"], row["licence"], row["licence_class"]) for key, row in found.items()} == {
        ("free", "a.py"): ("itself", "MIT", "permissive"),
        ("free", "shared.py"): ("itself", "MIT", "permissive"),
        ("mirror", "deep/shared.py"): ("exact_copy", "MIT", "permissive"),
        ("gnu", "c.py"): ("itself", "MIT", "permissive"),
        ("plain", "d.py"): ("itself", None, "none"),
        ("gamma", "e.py"): ("itself", None, "none"),
    }
    assert {row["repo"] for row in rows if row["split"] == "valid"} == {"gamma"}
    copy, kept = found["mirror", "deep/shared.py"], found["free", "shared.py"]
    assert copy["kept_as"] == kept["doc_id"] == kept["kept_as"] != copy["doc_id"]
    assert copy["licence_evidence"][0] == {"kind": "licence_file", "path": "LICENSE", "line": 3, "licence": "MIT"}


def test_people_read_it_by_repository(run: str, tmp_path: Path) -> None:
    written = write_attribution(run, str(tmp_path / "out.parquet"))
    text = Path(written.text).read_text()
    assert "tree/free: MIT, by LICENSE:3 (licence_file)\n  a.py\n  shared.py\n" in text
    assert "  deep/shared.py  (exact_copy of " in text
    assert "tree/gnu: MIT\n  c.py  [spdx_tag in line 1]\n" in text
    assert "tree/plain: no licence found\n  d.py\n" in text


def test_it_lies_in_the_run_folder_by_default(run: str) -> None:
    written = write_attribution(run)
    assert (written.table, written.text) == (f"{run}/attribution.parquet", f"{run}/attribution.txt")


def test_a_run_that_is_not_there_has_no_table(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no run"):
        write_attribution(str(tmp_path))
    assert list(tmp_path.iterdir()) == []
