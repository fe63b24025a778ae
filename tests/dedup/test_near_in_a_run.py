"""near_dedup in whole runs: the same bytes from one process and from Ray, and fates that `explain` reads."""

import copy
from pathlib import Path
from typing import Any

import pytest

from loopdata.dedup import near
from pipelines.explain import explain_document
from pipelines.run import Choice
from tests.pipelines.corpus_case import complete, functions, outputs, run_data, write_corpus, write_files

EDITED = functions("alpha", 20).replace("alpha_3(", "renamed(")
HELD_OUT = "package gamma\n" + "".join(f"\nfunc Of{n}(v int) int {{\n\treturn v\n}}\n" for n in range(20))
EXTRA: dict[str, str | bytes] = {
    "alpha/deep/edited.py": EDITED,
    "lonely/deep/down/edited.py": EDITED + "# the end\n",
    "delta/held.go": HELD_OUT + "// and a remark at the end\n",
    "clone/deep/main.py": functions("alpha", 20),
    "alpha/spaced.py": "# the same but for its looks\n\nloose  =  'beside the folders'\n",
}


@pytest.fixture(scope="module")
def near_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("corpus")
    write_corpus(root)
    write_files(root / "tree", EXTRA)
    data = run_data(root, root / "run")
    data["corpus"] = [
        *data["corpus"][:-1],
        {"repo_dedup": {}},
        data["corpus"][-1],
        {"near_dedup": {"threshold": 0.7}},
        {"syntax": {}},
        {"exact_dedup": {"by": "tokens"}, "as": "token_dedup"},
    ]
    return {key: value for key, value in data.items() if key not in ("tokens", "samples", "mixture")}


@pytest.fixture(scope="module")
def inline_run(near_data: dict[str, Any]) -> str:
    complete(copy.deepcopy(near_data))
    return str(near_data["run"])


def fate_of(run: str, path: str) -> tuple[str, str, str | None]:
    found = explain_document(run, path)[0]
    fate = found.ended_by or found.notes[-1]
    return fate["fate"], fate["rule"], found.survivor["path"] if found.survivor else None


def test_copies_are_noted_with_their_survivors(inline_run: str) -> None:
    assert fate_of(inline_run, "alpha/deep/edited.py") == ("context", "near_copy", "main.py")
    assert fate_of(inline_run, "lonely/deep/down/edited.py") == ("dropped", "near_copy", "main.py")
    assert fate_of(inline_run, "delta/held.go") == ("dropped", "near_copy_of_held_out", "main.go")
    assert fate_of(inline_run, "clone/deep/main.py") == ("dropped", "repo_copy", None)
    assert fate_of(inline_run, "alpha/spaced.py") == ("context", "token_copy", "loose.py")


def test_edges_that_fit_in_no_one_table_give_the_same_documents(
    near_data: dict[str, Any], inline_run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near, "ROWS_EACH", 1)
    complete(near_data | {"run": str(tmp_path / "run")})
    phases = {phase for phase, _, _ in outputs(tmp_path / "run")}
    assert {"near_dedup.contract.reduce", "near_dedup.spread-2.map", "near_dedup.contract-2.reduce"} <= phases
    assert applied(tmp_path / "run") == applied(inline_run)


def test_edges_that_fit_in_one_table_after_a_turn_are_connected_there(
    near_data: dict[str, Any], inline_run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near, "ROWS_EACH", 12)
    complete(near_data | {"run": str(tmp_path / "run")})
    phases = {phase for phase, _, _ in outputs(tmp_path / "run")}
    assert "near_dedup.contract-2.reduce" in phases
    assert not {"near_dedup.spread-2.map", "near_dedup.contract-3.map"} & phases
    assert applied(tmp_path / "run") == applied(inline_run)


def applied(run: str | Path) -> dict[tuple[str, str, str], str]:
    return {name: digest for name, digest in outputs(run).items() if name[0] == "near_dedup.apply"}


@pytest.mark.slow
def test_ray_gives_the_bytes_of_one_process(near_data: dict[str, Any], inline_run: str, tmp_path: Path) -> None:
    data = near_data | {"run": str(tmp_path / "ray")}
    complete(data, Choice("ray", workers=2))
    assert outputs(tmp_path / "ray") == outputs(inline_run)
