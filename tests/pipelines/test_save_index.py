"""What one run kept is dropped from the next, and named there."""

from pathlib import Path
from typing import Any

import pytest

from loopdata.dedup.near import NearConfig, NearDedup
from loopdata.errors import ConfigError, RunError
from pipelines.explain import explain_document
from pipelines.run_file import resolve
from pipelines.save_index import save_index
from tests.pipelines.corpus_case import complete, functions, write_files


def corpus(root: Path, files: dict[str, str], **near: Any) -> dict[str, Any]:
    write_files(root / "tree", files)
    source = {"kind": "files", "path": str(root / "tree"), "repo_per": "top_folder"}
    return {
        "run": str(root / "run"),
        "sources": {"tree": source},
        "split": {"valid": 0.3},
        "corpus": [{"clean": {}}, {"language": {}}, {"near_dedup": near}],
    }


def lines(form: str, name: str, count: int = 60) -> str:
    """A text of its own form, so that it differs from others by more than names."""
    return "".join(form.format(name=name, n=n) for n in range(count))


TABLE, BRANCH, CALL, LOOP, CLASS = (
    "{name}_{n} = [{n}, '{n}', {{}}]\n",
    "if {name}({n}):\n    del {name}\n",
    "{name}(*{name}_{n}, key={n}).run()\n",
    "for {name} in range({n}):\n    pass\n",
    "class {name}_{n}:\n    x = -{n}\n",
)
FIRST = {"alpha/main.py": lines(TABLE, "a"), "beta/main.py": lines(BRANCH, "b"), "gamma/main.py": lines(CALL, "c")}
OWN = {"delta/own.py": lines(LOOP, "d"), "epsilon/main.py": lines(CLASS, "e"), "zeta/main.py": functions("f", 20)}


@pytest.mark.parametrize(("grams", "name"), [("words", "b"), ("masked_identifiers", "renamed")])
def test_near_copies_of_an_earlier_run_are_dropped_and_named(tmp_path: Path, grams: str, name: str) -> None:
    first = corpus(tmp_path / "first", FIRST, grams=grams)
    complete(first)
    assert save_index(first["run"], str(tmp_path / "index")) == 3
    copy = {"delta/copy.py": lines(BRANCH, name, 55)}
    second = corpus(tmp_path / "second", OWN | copy, grams=grams, index=str(tmp_path / "index"))
    complete(second)
    [found] = explain_document(second["run"], "copy.py")
    assert found.ended_by is not None
    assert (found.ended_by["stage"], found.ended_by["rule"]) == ("near_dedup.index", "near_copy_of_indexed")
    assert found.ended_by["details"].endswith("index=index")
    [old] = explain_document(first["run"], found.ended_by["ref"])
    assert old.place["repo"] == "beta"


def test_a_survivor_in_an_index_is_not_taken_for_a_document_of_the_run(tmp_path: Path) -> None:
    first = corpus(tmp_path, FIRST)
    complete(first)
    save_index(first["run"], str(tmp_path / "index"))
    again = corpus(tmp_path, OWN, index=str(tmp_path / "index"))
    again |= {"run": str(tmp_path / "again"), "split": {"valid": 0}}
    complete(again)
    [found] = explain_document(again["run"], "beta/main.py")
    assert found.ended_by is not None
    assert found.ended_by["ref"] == found.doc_id  # the same place, text and source: the same id
    assert found.survivor == {"doc_id": found.doc_id}


def test_the_kept_run_file_finds_its_index_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = corpus(tmp_path, FIRST)
    complete(first)
    save_index(first["run"], str(tmp_path / "index"))
    monkeypatch.chdir(tmp_path)
    kept = resolve(corpus(tmp_path / "second", OWN, index="index")).data["corpus"]
    assert kept == [{"clean": {}}, {"language": {}}, {"near_dedup": {"index": str(tmp_path / "index")}}]


def test_a_run_is_saved_without_the_index_that_it_was_compared_with(tmp_path: Path) -> None:
    first = corpus(tmp_path / "first", FIRST)
    complete(first)
    save_index(first["run"], str(tmp_path / "index"))
    second = corpus(tmp_path / "second", OWN, permutations=112, index=str(tmp_path / "index"))
    complete(second)
    (tmp_path / "index").rename(tmp_path / "elsewhere")
    assert save_index(second["run"], str(tmp_path / "again")) == 3


def test_only_a_complete_run_is_saved_and_never_over_another_index(tmp_path: Path) -> None:
    first = corpus(tmp_path, FIRST)
    with pytest.raises(RunError, match="holds no run"):
        save_index(first["run"], str(tmp_path / "index"))
    complete(first)
    save_index(first["run"], str(tmp_path / "index"))
    with pytest.raises(ConfigError, match="index holds an index already; give another folder"):
        save_index(first["run"], str(tmp_path / "index"))
    with pytest.raises(ConfigError, match=r"tree is no index: it holds alpha/main\.py; give a folder that is empty"):
        save_index(first["run"], str(tmp_path / "tree"))


def test_an_index_may_be_saved_for_a_lower_threshold_than_the_run_had(tmp_path: Path) -> None:
    first = corpus(tmp_path, FIRST, threshold=0.8)
    complete(first)
    save_index(first["run"], str(tmp_path / "high"))
    save_index(first["run"], str(tmp_path / "low"), 0.6)
    with pytest.raises(ConfigError, match=r"of the pairs at 0\.6, not 0\.98; raise `threshold`, or save it again"):
        NearDedup(NearConfig(threshold=0.6, index=str(tmp_path / "high"))).before()
    assert NearDedup(NearConfig(threshold=0.6, index=str(tmp_path / "low"))).before()
