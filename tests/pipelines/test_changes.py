"""A changed run file in the same folder: `plan` says what is redone, the run does that or less, nothing else moves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loopdata.tokens.shards import Dataset
from pipelines.plan import plan_run
from pipelines.run_file import resolve
from tests.pipelines.corpus_case import attempts, complete, functions, outputs, ran, run_data, write_corpus, write_files

CORPUS = {"exact_dedup.exact.map", "exact_dedup.exact.reduce", "exact_dedup.apply", "clusters"}
TOKENS = {"tokenizer.texts", "tokenizer", "samples.file", "packing", "mixture"}
Edit = Callable[[dict[str, Any]], Any]


def rules(**keys: Any) -> Edit:
    return lambda data: data["corpus"][2]["heuristics"]["rules"].update(keys)


# For each change: the phases in which plan names units to run or to wait, and those in which units then ran.
CHANGES: dict[str, tuple[Edit, set[str], dict[str, int]]] = {
    # alpha/digits.py has 0 letters and stays out: every unit of the source is read again, and comes out as before
    "a threshold that decides nothing otherwise": (
        rules(min_alphabetic=0.2),
        {"ingest"} | CORPUS | TOKENS,
        {"ingest": 7},
    ),
    # alpha/mean.py comes in: alpha's documents, and what depends on them
    "a threshold that lets one file in": (
        rules(max_mean_line=140.0),
        {"ingest"} | CORPUS | TOKENS,
        {
            "ingest": 7,
            "exact_dedup.exact.map": 1,
            "exact_dedup.exact.reduce": 1,
            "exact_dedup.apply": 1,
            "clusters": 1,
            "tokenizer.texts": 1,
            "tokenizer": 1,
            "samples.file": 7,
            "packing": 2,
            "mixture": 1,
        },
    ),
    # beta has two copies and project one; no duplicate trains either way, so that nothing behind changes
    "duplicates inside a kept repository": (
        lambda data: data["corpus"][3].update(exact_dedup={"inside_kept_repo": "drop"}),
        CORPUS | TOKENS,
        {
            "exact_dedup.exact.map": 7,
            "exact_dedup.exact.reduce": 16,
            "exact_dedup.apply": 7,
            "clusters": 1,
            "tokenizer.texts": 2,
            "samples.file": 2,
            "packing": 1,
            "mixture": 1,
        },
    ),
    "the vocabulary": (
        lambda data: data["tokens"]["train"].update(vocab_size=420),
        TOKENS - {"tokenizer.texts"},
        {"tokenizer": 1, "samples.file": 7, "packing": 2, "mixture": 1},
    ),
    "the length of a sequence": (
        lambda data: data["mixture"].update(sequence=32),
        {"packing", "mixture"},
        {"packing": 2, "mixture": 1},
    ),
    "the tokens of the mixture": (lambda data: data["mixture"].update(tokens=3000), {"mixture"}, {"mixture": 1}),
    "the weights": (lambda data: data["mixture"].update(weights={"file": 2.0}), {"mixture"}, {"mixture": 1}),
    "the failures that are borne": (lambda data: data.update(failures={"max_documents": 3}), set(), {}),
    "another entry under samples": (
        lambda data: data["samples"].update(again={"builder": "file"}),
        {"samples.again", "packing", "mixture"},
        {"samples.again": 7, "packing": 2, "mixture": 1},
    ),
    "a mixture left out": (lambda data: data.pop("mixture"), set(), {}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_redoes_what_depends_on_it(name: str, corpus: Path, tmp_path: Path) -> None:
    edit, planned, expected = CHANGES[name]
    run = tmp_path / "run"
    complete(run_data(corpus, run))
    changed = run_data(corpus, run)
    edit(changed)
    plan = {row.phase: row.to_run + row.waiting for row in plan_run(resolve(changed)) if row.to_run + row.waiting}
    found = ran(complete(changed))
    assert set(plan) == planned
    assert found == expected
    assert all(number <= plan[phase] for phase, number in found.items())
    complete(changed | {"run": str(tmp_path / "fresh")})
    assert outputs(run) == outputs(tmp_path / "fresh")
    if "mixture" in changed:
        Dataset.open(run).verify()


def test_plan_names_the_units_that_will_surely_run_and_writes_nothing(data: dict[str, Any]) -> None:
    complete(data)
    before = {path: path.stat().st_mtime_ns for path in Path(data["run"]).rglob("*")}
    data["mixture"]["sequence"] = 32
    rows = {row.phase: row for row in plan_run(resolve(data))}
    assert (rows["packing"].done, rows["packing"].first_to_run) == (0, ["file.train", "file.valid"])
    assert (rows["mixture"].to_run, rows["mixture"].waiting) == (0, 1)
    assert (rows["ingest"].units, rows["ingest"].done) == (7, 7)
    assert {path: path.stat().st_mtime_ns for path in Path(data["run"]).rglob("*")} == before


def test_going_back_to_what_was_redoes_it_and_nothing_stays_behind(data: dict[str, Any], finished: Path) -> None:
    complete(data)
    data["corpus"][2]["heuristics"]["rules"]["max_mean_line"] = 140.0
    complete(data)
    data["corpus"][2]["heuristics"]["rules"]["max_mean_line"] = 100.0
    complete(data)
    assert outputs(data["run"]) == outputs(finished)


def test_a_source_that_comes_and_goes_leaves_the_others_alone(
    data: dict[str, Any], finished: Path, tmp_path: Path
) -> None:
    complete(data)
    before = attempts(data["run"])
    write_files(tmp_path / "more", {"heron.py": functions("heron", 10)})
    more = data | {
        "sources": data["sources"] | {"more": {"kind": "files", "path": str(tmp_path / "more"), "repo": "heron"}}
    }
    plan = {row.phase: row for row in plan_run(resolve(more))}
    assert (plan["ingest"].done, plan["ingest"].first_to_run) == (7, ["more/heron"])
    assert ran(complete(more))["ingest"] == 1
    ingested = {place: attempt for place, attempt in attempts(data["run"]).items() if place[0] == "ingest"}
    assert {place for place in ingested if place not in before} == {("ingest", "more/heron")}
    assert all(before[place] == attempt for place, attempt in ingested.items() if place in before)
    Dataset.open(data["run"]).verify()
    complete(more | {"run": str(tmp_path / "fresh")})
    assert outputs(data["run"]) == outputs(tmp_path / "fresh")

    assert ran(complete(data)).get("ingest", 0) == 0
    assert outputs(data["run"]) == outputs(finished)
    Dataset.open(data["run"]).verify()


def test_a_changed_file_redoes_its_repository_alone(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    data = run_data(tmp_path, tmp_path / "run")
    complete(data)
    before = attempts(data["run"])
    (tmp_path / "tree/delta/main.rs").write_text("fn changed(value: u32) -> u32 {\n    value\n}\n")
    plan = {row.phase: row for row in plan_run(resolve(data))}
    assert plan["ingest"].first_to_run == ["tree/delta"]
    summary = complete(data)
    assert (summary.ran["ingest"], summary.ran["exact_dedup.exact.map"], summary.ran["exact_dedup.apply"]) == (1, 1, 1)
    after = attempts(data["run"])
    changed = {name for phase, name in after if phase == "ingest" and after[phase, name] != before[phase, name]}
    assert changed == {"tree/delta"}
    complete(data | {"run": str(tmp_path / "fresh")})
    assert outputs(data["run"]) == outputs(tmp_path / "fresh")


def test_a_corpus_stage_that_decided_nothing_may_be_left_out(tmp_path: Path) -> None:
    main = functions("one", 20)
    near_copy = main + "last = 'line'\n"
    write_files(tmp_path / "tree", {"one/main.py": main, "two/main.py": near_copy, "three/a.py": "a = 1\n"})
    near = {"near_dedup": {"inside_kept_repo": "drop"}}
    data: dict[str, Any] = {
        "run": str(tmp_path / "run"),
        "sources": {"tree": {"kind": "files", "path": str(tmp_path / "tree"), "repo_per": "top_folder"}},
        "corpus": [{"clean": {}}, {"exact_dedup": {}}, near],
    }
    complete(data)  # no two texts are the same
    data["corpus"] = [{"clean": {}}, near]
    complete(data)
    complete(data | {"run": str(tmp_path / "fresh")})
    assert outputs(data["run"]) == outputs(tmp_path / "fresh")


def test_data_that_were_moved_are_not_read_again(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    data = run_data(tmp_path, tmp_path / "run")
    complete(data)
    (tmp_path / "tree").rename(tmp_path / "elsewhere")
    data["sources"]["tree"]["path"] = str(tmp_path / "elsewhere")
    assert ran(complete(data)) == {}
