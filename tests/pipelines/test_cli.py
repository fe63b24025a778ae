"""The command line: exit codes, one line of error, JSON alone on stdout, help whose examples run."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from rich.console import Console

from loopdata.engine.lock import locked
from loopdata.storage import Folder
from pipelines import cli
from pipelines.explain import explain_document, print_explanations
from pipelines.inspect_shard import inspect, list_shards, print_found
from pipelines.plan import plan_run, print_plan
from pipelines.run_file import resolve
from pipelines.status import print_status, read_status
from pipelines.summary import print_summary
from tests.pipelines.command import ROOT, call, end, start, write_run_file
from tests.pipelines.corpus_case import complete, git, outputs, run_data, write_files

COMMANDS = [
    "run", "plan", "status", "explain", "attribution", "index", "inspect", "train", "diagnose", "generate", "dedup",
    "fim",
]  # fmt: skip
Capsys = pytest.CaptureFixture[str]


def example(name: str) -> list[str]:
    """The words behind `Example: loopdata`."""
    found = re.search(r"Example: loopdata (.*)", getattr(cli, name).__doc__)
    assert found is not None
    return found.group(1).split()


def test_these_are_all_commands() -> None:
    assert list(typer.main.get_command(cli.app).commands) == COMMANDS  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str, capsys: Capsys) -> None:
    said = call(capsys, name, "--help")
    assert (said.code, said.err) == (0, "")
    assert f"Example: loopdata {name} " in said.out
    assert example(name)[0] == name


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the examples find what they name: the quickstart, but of few and small sources."""
    root = tmp_path_factory.mktemp("checkout")
    data = resolve_quickstart()
    decoder = "def decode(text):\n    return text\n" * 20
    write_files(root, {"lib/json/decoder.py": decoder, "lib/other/a.py": "a = 'a'\n", "loopdata/stage.py": decoder})
    (root / "data.jsonl").write_text('{"text": "a = 1"}\n{"text": "a = 1"}\n')
    data["sources"] = {"stdlib": {"kind": "files", "path": str(root / "lib"), "repo_per": "top_folder"}}
    data["sources"]["more"] = {"kind": "files", "path": str(ROOT / "loopdata"), "repo_per": "top_folder"}
    data["tokens"] = {"train": {"vocab_size": 400}}
    data["mixture"] |= {"tokens": 2000, "sequence": 64}
    tiny = {"dim": 16, "layers": 1, "heads": 2, "head_dim": 8, "ffn_dim": 16, "max_length": 64}
    data["train"] = {"steps": 1, "batch_sequences": 2, "eval_sequences": 2, "device": "cpu"}
    data["train"]["arms"] = {"two_loops": {"model": tiny, "loops": 2}, "one_loop": {"model": tiny, "loops": 1}}
    (root / "configs").mkdir()
    write_run_file(root, data)
    (root / "given.yaml").rename(root / "configs/quickstart.yaml")
    return root


def resolve_quickstart() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((ROOT / "configs/quickstart.yaml").read_text())
    return data


def test_the_examples_of_all_commands_run_one_after_the_other(
    quickstart: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(quickstart)
    run = ["run", "configs/quickstart.yaml", "--runner", "inline", "--json"]
    said = call(capsys, *run)
    assert said.code == 0, said.err
    for name in (
        "plan",
        "status",
        "explain",
        "attribution",
        "index",
        "inspect",
        "train",
        "diagnose",
        "generate",
        "fim",
    ):
        said = call(capsys, *example(name))
        assert said.code == 0, said.err
        assert said.out
    for name in ("run", "dedup"):
        said = call(capsys, *example(name), "--runner", "inline")
        assert said.code == 0, said.err


def test_what_a_run_proposes_to_try_next_works(
    quickstart: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(quickstart)
    said = call(capsys, "run", "configs/quickstart.yaml", "--runner", "inline", "--json")
    commands = [command.split() for command in json.loads(said.out)["commands"]]
    names = ("status", "explain", "attribution", "inspect", "plan", "train")
    assert [words[:2] for words in commands] == [["loopdata", name] for name in names]
    for words in commands:
        said = call(capsys, *words[1:])
        assert said.code == 0, said.err


def json_of(text: str) -> Any:
    """The one JSON value that a text is."""
    return json.loads(text)


def test_json_is_one_value_for_every_command_that_reports(
    data: dict[str, Any], finished: Path, tmp_path: Path, capsys: Capsys
) -> None:
    config, run = write_run_file(tmp_path, data), str(finished)
    shard = list_shards(run).shards[0].shard
    assert json_of(call(capsys, "plan", config, "--json").out)[0]["phase"] == "ingest"
    assert json_of(call(capsys, "run", config, "--runner", "inline", "--json").out)["ran"]["ingest"] == 7
    assert json_of(call(capsys, "status", run, "--json").out)["complete"] is True
    explained = json_of(call(capsys, "explain", run, "alpha/mean.py", "--json").out)[0]
    assert explained["ended_by"]["rule"] == "max_mean_line"
    table = str(tmp_path / "places.parquet")
    assert json_of(call(capsys, "attribution", run, "--out", table, "--json").out)["table"] == table
    saved = json_of(call(capsys, "index", run, "--out", str(tmp_path / "index"), "--json").out)
    assert saved["documents"] > 0
    assert len(json_of(call(capsys, "inspect", run, "--json").out)["shards"]) == 6
    assert json_of(call(capsys, "inspect", shard, "--json").out)["num_samples"] == 5
    assert json_of(call(capsys, "inspect", shard, "--offset", "3", "--json").out)["places"][0]["repo"] == "alpha"


@pytest.mark.slow
def test_json_is_all_that_a_ray_run_prints_on_stdout_and_its_bytes_are_those_of_one_process(
    data: dict[str, Any], tmp_path: Path, finished: Path
) -> None:
    said = end(start("run", write_run_file(tmp_path, data), "--runner", "ray", "--workers", "1", "--json"))
    assert said.code == 0, said.err
    assert json_of(said.out)["ran"]["samples.file"] == 7
    assert "ingest: 7 of 7 units" in said.err
    assert outputs(data["run"]) == outputs(finished)


WRONG: dict[str, tuple[list[str], int, str]] = {
    "no config": (["run", "nowhere.yaml"], 2, "error: cannot read the config nowhere.yaml: No such file"),
    "unknown key": (
        ["run", "CONFIG", "--set", "splitt.valid=0.1"],
        2,
        "error: unknown key 'splitt'; did you mean 'split'",
    ),
    "sample above all": (
        ["run", "CONFIG", "--sample", "200%"],
        2,
        "error: --sample 200%: expected a share of the sources",
    ),
    "sample of nothing": (["plan", "CONFIG", "--sample", "0"], 2, "error: --sample 0: expected a share"),
    "sample that is no number": (["plan", "CONFIG", "--sample", "few"], 2, "error: --sample few: expected a share"),
    "workers of one process": (
        ["run", "CONFIG", "--runner", "inline", "--workers", "2"],
        2,
        "error: --runner inline is one process; leave out --workers and --address",
    ),
    "no run": (["status", "EMPTY"], 1, "holds no run; give the folder that a run file names under `run:`"),
    "no document": (["explain", "FINISHED", "nothing.py"], 2, "has the path, doc_id, blob id or commit 'nothing.py'"),
    "a name of two lines": (["explain", "FINISHED", "a\nb\x1b[31m.py"], 2, r"'a\nb\x1b[31m.py'"),
    "no shard": (["inspect", "nowhere.bin"], 1, "nowhere.idx cannot be read: No such file"),
    "missing source": (["run", "CONFIG", "--set", "sources.tree.path=/nowhere"], 2, "the path /nowhere does not exist"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_error_is_one_line_on_stderr(
    name: str, data: dict[str, Any], finished: Path, tmp_path: Path, capsys: Capsys
) -> None:
    words, code, message = WRONG[name]
    (tmp_path / "empty").mkdir()
    places = {"CONFIG": write_run_file(tmp_path, data), "FINISHED": str(finished), "EMPTY": str(tmp_path / "empty")}
    said = call(capsys, *(places.get(word, word) for word in words))
    assert (said.code, said.out) == (code, "")
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.err.endswith("\n")
    assert not Path(data["run"]).exists()


@pytest.mark.parametrize(
    "words", [["nonsense"], ["run"], ["run", "a", "b"], ["status", "--jsn", "x"], ["run", "x", "--runner", "dask"]]
)
def test_wrong_words_exit_2_without_a_traceback(words: list[str], capsys: Capsys) -> None:
    said = call(capsys, *words)
    assert said.code == 2
    assert "Error" in said.err
    assert "Traceback" not in said.err


def test_a_mistyped_command_gets_one_suggestion(capsys: Capsys) -> None:
    assert call(capsys, "rn").err.count("Did you mean 'run'?") == 1


def test_debug_shows_the_traceback_wherever_it_stands(capsys: Capsys) -> None:
    for words in (["run", "nowhere.yaml", "--debug"], ["--debug", "run", "nowhere.yaml"]):
        said = call(capsys, *words)
        assert said.code == 2
        assert "Traceback (most recent call last)" in said.err
        assert said.err.splitlines()[-1].startswith("error: cannot read the config nowhere.yaml")


def test_a_fault_of_ours_is_one_line_that_says_so(
    finished: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(url: str) -> None:
        raise ZeroDivisionError("of\ntwo lines")

    monkeypatch.setattr("pipelines.status.read_status", fail)
    said = call(capsys, "status", str(finished))
    assert said.code == 1
    assert said.err == (
        "error: a fault of loopdata, please report it with the output of --debug: ZeroDivisionError: of two lines\n"
    )


def test_a_second_driver_is_refused(data: dict[str, Any], tmp_path: Path, capsys: Capsys) -> None:
    config = write_run_file(tmp_path, data)
    with locked(Folder(data["run"])):
        said = call(capsys, "run", config, "--runner", "inline")
    assert (said.code, said.out) == (1, "")
    assert re.fullmatch(
        r"error: another driver works in \S+ \(process \d+ on \S+, since [-: \d]+\); wait for it or stop it, or choose "
        r"another run folder\n",
        said.err,
    )
    assert {path.name for path in Path(data["run"]).iterdir()} == {"lock"}
    assert call(capsys, "run", config, "--runner", "inline").code == 0


def test_too_many_unreadable_files_fail_the_run_and_say_what_to_do(
    tmp_path: Path, corpus: Path, capsys: Capsys
) -> None:
    write_files(tmp_path / "broken", {f"file_{n}.py": f"value_{n} = 'value {n}'\n" for n in range(12)})
    git(tmp_path / "broken", "init", "-q")
    git(tmp_path / "broken", "add", "-A")
    git(tmp_path / "broken", "commit", "-q", "-m", "to be broken")
    for line in git(tmp_path / "broken", "ls-tree", "-r", "HEAD").splitlines()[:11]:
        blob = line.split()[2]
        loose = tmp_path / "broken/.git/objects" / blob[:2] / blob[2:]
        loose.chmod(0o644)
        loose.write_bytes(b"no object")
    data = run_data(corpus, tmp_path / "run")
    data["sources"]["work"]["path"] = str(tmp_path / "broken")
    config = write_run_file(tmp_path, data)
    said = call(capsys, "run", config, "--runner", "inline")
    assert said.code == 1
    assert said.err.splitlines()[-1] == (
        f"error: too many documents failed: 11 in 'read', more than the 10 allowed of {26 + 3 + 12}; `loopdata status "
        f"{tmp_path}/run` shows them; raise `failures` in the run file to bear them"
    )
    shown = call(capsys, "status", str(tmp_path / "run"))
    assert sum(line.startswith("quarantined ") for line in shown.out.splitlines()) == 10  # the first ones
    assert "not complete" in shown.out
    assert call(capsys, "run", config, "--runner", "inline", "--set", "failures.max_documents=11").code == 0


def lines(show: Callable[[Console], None]) -> list[str]:
    """What is shown on a terminal of 80 columns."""
    console = Console(record=True, width=80, force_terminal=True, file=io.StringIO())
    show(console)
    return console.export_text().splitlines()


def test_no_line_of_a_report_is_wider_than_a_terminal_but_for_a_path(data: dict[str, Any], finished: Path) -> None:
    summary = complete(data)
    run = str(finished)
    shard = list_shards(run).shards[0].shard
    changed = data | {"corpus": [{"clean": {"max_lines": 9}}, *data["corpus"][1:]]}
    shown = [
        *lines(lambda console: print_summary(summary, console)),
        *lines(lambda console: print_status(read_status(run), console)),
        *lines(lambda console: print_plan(plan_run(resolve(data)), console)),
        *lines(lambda console: print_plan(plan_run(resolve(changed)), console)),
        *lines(lambda console: print_found(inspect(run, None), console)),
        *lines(lambda console: print_found(inspect(shard, None), console)),
        *lines(lambda console: print_found(inspect(shard, 3), console)),
        *lines(lambda console: print_explanations(explain_document(run, "shared.py"), console)),
    ]
    assert ["ingest", "7", "7", "0", "0"] in [line.split() for line in shown]
    wide = [line for line in shown if len(line.rstrip()) > 100]
    assert all(run in line or data["run"] in line for line in wide), wide
    assert not any("…" in line for line in shown)
    assert any(line.startswith("  ingest would run tree/alpha, tree/beta, tree/delta, 4 more") for line in shown)
    assert any("heuristics: dropped.max_longest_line 1" in line for line in shown)
