"""A run over files with secrets: none of them is in anything that it writes or prints, also where the stage fails."""

import io
import logging
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from loopdata.cleaning import secrets
from loopdata.cleaning.placeholders import Finding
from tests.cleaning.made_keys import RECIPES, make, pem
from tests.pipelines.corpus_case import complete, functions, write_files

RNG = random.Random(11)
SECRETS = [*(make(recipe, RNG) for recipe in RECIPES.values()), "jane.roe@uni-mainz.de", "52.31.118.7"]
BLOCK = pem(RNG)


def written(run: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> str:
    """All that the run wrote, tables as text, and printed."""
    tables = [str(pq.read_table(path).to_pylist()) for path in run.rglob("*.parquet")]
    others = [path.read_bytes().decode("latin-1") for path in run.rglob("*") if path.is_file()]
    return "".join([*tables, *others, *capfd.readouterr(), caplog.text])


def drive(root: Path) -> tuple[Path, str]:
    names = "\n".join(f"# {value}" for value in SECRETS)
    files = {f"{name}/main.py": functions(name, 20) for name in ("one", "two", "three")}
    write_files(root / "tree", {**files, "one/keys.py": f"{names}\nKEY = '''{BLOCK}'''\n"})
    stages = [{"clean": {}}, {"language": {}}, {"secrets": {}}]
    data = {
        "run": str(root / "run"),
        "sources": {"tree": {"kind": "files", "path": str(root / "tree"), "repo_per": "top_folder"}},
        "corpus": stages,
    }
    shown = io.StringIO()
    complete(data, console=Console(file=shown, width=200))
    return root / "run", shown.getvalue()


def test_no_output_log_or_fate_holds_what_was_found(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    run, shown = drive(tmp_path)
    everything = shown + written(run, capfd, caplog)
    assert "github_token" in everything and "<KEY>" in everything
    assert [value for value in [*SECRETS, *BLOCK.split("\n")[1:-1]] if value in everything] == []


def test_neither_does_a_run_whose_search_fails(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(text: bytes) -> list[Finding]:
        if b"PRIVATE KEY" in text:
            raise ValueError(f"cannot read {text!r}")
        return []

    monkeypatch.setattr(secrets, "find_private_keys", broken)
    run, shown = drive(tmp_path)
    everything = shown + written(run, capfd, caplog)
    assert "SearchError: ValueError in broken" in everything
    assert [value for value in [*SECRETS, *BLOCK.split("\n")[1:-1]] if value in everything] == []
