"""What a run says of the copies that it found: numbers, and diffs that a reader can judge."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.clusters import MAX_DIFF_LINES, MAX_LINE, MAX_LINES, diff, spread
from tests.pipelines.corpus_case import complete, functions, ran, write_files


def rows(values: list[float]) -> pa.Table:
    return pa.table({"value": values, "subject": [f"s{place}" for place in range(len(values))]})


def test_copies_are_chosen_at_even_distances_of_likeness() -> None:
    chosen = spread(rows([1.0] * 50 + [0.7, 0.85, 0.8, 0.9]), 4)
    assert [row["value"] for row in chosen] == [0.7, 0.8, 0.9, 1.0]
    assert [row["subject"] for row in spread(rows([0.9, 0.9, 0.9]), 2)] == ["s0", "s1"]
    assert len(spread(rows([0.8, 0.9]), 10)) == 2
    assert spread(rows([]), 10) == []


def test_a_diff_is_cut_to_what_can_be_read() -> None:
    assert list(diff("a\nb\n", "a\nc\n"))[2:] == ["@@ -1,3 +1,3 @@", " a", "-b", "+c", " "]
    assert list(diff("a", "a")) == ["the same, as far as they are shown"]
    assert list(diff("x" * 999, ""))[3] == "-" + "x" * (MAX_LINE - 1) + " …"
    assert list(diff("\x1b[31m\tred", ""))[3] == "-\\x1b[31m    red"
    numbers = [str(number) for number in range(MAX_LINES + 5)]
    long = list(diff("\n".join(numbers), ""))
    assert (len(long), long[-1]) == (MAX_DIFF_LINES + 1, "…")
    same = "\n".join(numbers[:MAX_LINES])
    assert list(diff(f"{same}\na", f"{same}\nb")) == ["the same, as far as they are shown"]


def test_ten_megabytes_of_one_line_take_no_time() -> None:
    assert list(diff("a line\n" * 1_500_000, "a line\n" * 1_400_000)) == ["the same, as far as they are shown"]


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Any]:
    text = functions("one", 12)
    files = {"a/a.py": text, "b/one.py": text + "````\n", "b/two.py": text + "b = 2\n", "c/deep/c.py": text + "c = 3\n"}
    write_files(tmp_path / "tree", {**files, "d/other.py": functions("two", 12), "e/a.py": text})
    return {
        "run": str(tmp_path / "run"),
        "sources": {"tree": {"kind": "files", "path": str(tmp_path / "tree"), "repo_per": "top_folder"}},
        "split": {"valid": 0},
        "corpus": [{"clean": {}}, {"exact_dedup": {}}, {"near_dedup": {"inside_kept_repo": "drop"}}],
    }


def test_a_run_leaves_numbers_and_diffs_of_each_dedup_stage(data: dict[str, Any]) -> None:
    assert ran(complete(data))["clusters"] == 2
    report = Path(data["run"]) / "report"
    exact = json.loads((report / "exact_dedup.json").read_text())
    assert (exact["copies"], exact["clusters"], exact["sizes"]) == (1, 1, {"2": 1})
    near = json.loads((report / "near_dedup.json").read_text())
    assert (near["copies"], near["rules"], near["fates"]) == (3, {"near_copy": 3}, {"dropped": 3})
    (largest,) = near["largest"]
    assert (largest["documents"], near["sizes"]) == (4, {"4": 1})
    assert largest["place"] in ("tree/a/a.py", "tree/e/a.py")
    assert sum(near["similarity"].values()) == 3
    page = (report / "near_dedup.md").read_text()
    assert page.count(f"- stays: {largest['place']} (") == 3
    assert re.findall(r"- copy: (\S+) ", page) == sorted(re.findall(r"- copy: (\S+) ", page), key=page.index)
    assert "\n+b = 2\n" in page and "\n+c = 3\n" in page
    assert "\n`````diff\n" in page  # a fence that the text cannot close
    assert complete(data).ran["clusters"] == 0


def test_no_copies_are_a_page_too(data: dict[str, Any], tmp_path: Path) -> None:
    data["sources"]["tree"]["include"] = ["d/**", "b/two.py"]
    complete(data)
    near = json.loads((tmp_path / "run/report/near_dedup.json").read_text())
    assert (near["copies"], near["clusters"], near["largest"]) == (0, 0, [])
    assert (tmp_path / "run/report/near_dedup.md").read_text() == "# Copies that `near_dedup` found, 0 of 0\n"
