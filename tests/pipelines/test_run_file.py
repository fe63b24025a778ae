"""Wrong requests: each is refused with the place and the remedy, before anything is made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from loopdata.errors import ConfigError, LoopdataError, SourceError
from loopdata.stage import unit_interval
from pipelines.corpus import list_inputs
from pipelines.plan import plan_run
from pipelines.run_file import dump, read_run_file, resolve
from tests.pipelines.corpus_case import RULES, complete, manifests_of, outputs, ran, run_data

Change = Callable[[dict[str, Any]], Any]


def put(place: str, value: Any) -> Change:
    """Set the key at a dotted place; `corpus.0` is an entry of the list."""

    def change(data: dict[str, Any]) -> None:
        at: Any = data
        *folders, last = place.split(".")
        for key in folders:
            at = at[int(key)] if isinstance(at, list) else at.setdefault(key, {})
        at[int(last) if isinstance(at, list) else last] = value

    return change


def drop(place: str) -> Change:
    return lambda data: data.pop(place)


TINY = {"dim": 16, "layers": 1, "heads": 2, "head_dim": 8, "ffn_dim": 16, "max_length": 64}

WRONG: dict[str, tuple[Change, str]] = {
    "unknown key": (put("corpuss", []), "unknown key 'corpuss'; did you mean 'corpus'?"),
    "unknown key in a section": (put("split.vald", 0.1), "unknown key 'split.vald'; did you mean 'valid'?"),
    "unknown key in a source": (
        put("sources.tree.max_byte", 5),
        "unknown key 'sources.tree.max_byte'; did you mean 'max_bytes'?",
    ),
    "unknown key in a stage": (
        put("corpus.0", {"clean": {"max_line": 5}}),
        "unknown key 'corpus.clean.max_line'; did you mean 'max_lines'?",
    ),
    "a choice of languages before licence": (
        put("corpus", [{"clean": {}}, {"language": {"keep": ["Go"]}}, {"licence": {}}]),
        "corpus: 'language' may drop files that 'licence' reads, and comes before it; put `licence` right behind",
    ),
    "dedup before licence": (
        put("corpus", [{"clean": {}}, {"exact_dedup": {}}, {"licence": {}}]),
        "corpus: 'exact_dedup' may drop files that 'licence' reads",
    ),
    "dedup before secrets": (
        put("corpus", [{"clean": {}}, {"exact_dedup": {}}, {"secrets": {}}]),
        "corpus: 'exact_dedup' writes documents down, and comes before 'secrets'; put `secrets` before every stage",
    ),
    "unknown key in tokens": (
        put("tokens.train.vocab", 500),
        "unknown key 'tokens.train.vocab'; did you mean 'vocab_size'?",
    ),
    "unknown key in all arms": (
        put("train", {"stps": 5, "arms": {"one": {"model": TINY}}}),
        "train.arms.one: unknown key 'stps'; did you mean 'steps'?",
    ),
    "unknown key in an arm": (
        put("train", {"arms": {"one": {"model": TINY, "loop": 2}}}),
        "train.arms.one: unknown key 'loop'; did you mean 'loops'?",
    ),
    "unknown key in a model": (
        put("train", {"arms": {"one": {"model": TINY | {"dimm": 2}}}}),
        "train.arms.one: unknown key 'model.dimm'; did you mean 'dim'?",
    ),
    "key beside a builder": (
        put("samples.file.builders", "file"),
        "unknown key 'samples.file.builders'",
    ),
    "unknown stage": (
        put("corpus.2", {"exact_dedupe": {}}),
        "corpus: there is no stage 'exact_dedupe'; did you mean 'exact_dedup'?",
    ),
    "two stages in an entry": (
        put("corpus.0", {"clean": {}, "language": {}}),
        "corpus: an entry must name one stage, found {'clean': {}, 'language': {}}; as in `- clean: {}`",
    ),
    "unknown kind of source": (
        put("sources.tree.kind", "file"),
        "sources.tree.kind: there is no kind of source 'file'; did you mean 'files'?",
    ),
    "no kind of source": (
        put("sources.tree", {"path": "."}),
        "sources.tree: the key 'kind' is missing; there are: files, git",
    ),
    "unknown builder": (
        put("samples.file.builder", "fill"),
        "samples.file.builder: there is no builder 'fill'; did you mean 'file'?",
    ),
    "columns that nobody provides": (
        lambda data: data["corpus"].pop(0),
        "the stage 'language' needs the column 'text', which nothing before it provides; put the stage that adds "
        "'text' before the stage 'language' (there are:",
    ),
    "exact_dedup without clean": (
        put("corpus", [{"exact_dedup": {}}]),
        "the stage 'exact_dedup' needs the column 'text_id', which nothing before it provides",
    ),
    "clean twice": (
        put("corpus", [{"clean": {}}, {"clean": {}, "as": "again"}]),
        "the stage 'again' needs the column 'content', which nothing before it provides",
    ),
    "builder without its columns": (
        put("corpus", [{"clean": {}}]),
        "the builder 'file' of samples.file needs the column 'language', which nothing before it provides",
    ),
    "two stages of one name": (
        put("corpus.1", {"clean": {}}),
        "corpus: the name 'clean' is taken already; name one of them by `as:`",
    ),
    "a stage named like reading": (
        put("corpus.1", {"language": {}, "as": "read"}),
        "corpus: the name 'read' is taken already; name one of them by `as:`",
    ),
    "weights of unknown samples": (
        put("mixture.weights", {"files": 1}),
        "mixture.weights: there is no entry under samples 'files'; did you mean 'file'?",
    ),
    "train without mixture": (
        lambda data: data.update(train={"arms": {"one": {"model": TINY}}}) or data.pop("mixture"),
        "`train` needs the section `mixture`; add it, or leave training out by --set train=null",
    ),
    "samples without tokens": (drop("tokens"), "`samples` needs the section `tokens`"),
    "mixture without samples": (
        lambda data: data.update(samples={}) or data["mixture"].update(weights={}),
        "`mixture` needs entries under `samples`",
    ),
    "no arms": (put("train", {"steps": 5}), "train: names no arms"),
    "no sources": (put("sources", {}), "the run file names no sources; add one under `sources:`"),
    "sources that are no mapping": (put("sources", ["tree"]), "sources: Input should be an object"),
    "nothing held out before training": (
        put("split.valid", 0),
        "split.valid is 0, so that nothing is held out; raise it, or leave out `tokens`",
    ),
    "a value out of range": (put("split.valid", 1.5), "split.valid: Input should be less than 1 (found 1.5)"),
    "a text for a number": (put("seed", "17"), "found '17'"),
    "no run folder": (drop("run"), "the key 'run' is missing"),
    "weights that are all zero": (
        put("mixture.weights", {"file": 0}),
        "mixture.weights: no category has a weight above 0; give at least one",
    ),
    "a weight below zero": (put("mixture.weights", {"file": -1}), "mixture.weights.file: Input should be greater"),
    "special tokens of another's tokenizer": (
        put("samples.file", {"builder": "file", "fim": {"layout": "deepseek", "spelling": "own"}}),
        "samples.file.fim: the tokenizer lacks these special tokens: <｜fim▁begin｜>, <｜fim▁hole｜>, <｜fim▁end｜>",
    ),
    "rows of samples with tokens": (
        put("rows", {"to": "out", "of": "samples"}),
        "rows.of: samples needs one entry under `samples`, and no section `tokens`",
    ),
    "a vocabulary below the bytes": (put("tokens.train.vocab_size", 290), "tokens.train.vocab_size"),
    "missing path": (put("sources.tree.path", "/nowhere/at/all"), "the path /nowhere/at/all does not exist"),
    "missing repository": (put("sources.work.path", "/nowhere"), "there is no repository at /nowhere"),
    "unknown revision": (put("sources.work.revision", "mian"), "has no commit named 'mian'; did you mean 'main'?"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_request_says_what_would_be_right_and_makes_nothing(name: str, data: dict[str, Any]) -> None:
    change, message = WRONG[name]
    change(data)
    with pytest.raises(ConfigError) as caught:
        complete(data)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    if "run" in data:
        assert not Path(data["run"]).exists()


def test_plan_refuses_what_a_run_refuses(data: dict[str, Any]) -> None:
    data["sources"]["tree"]["path"] = "/nowhere/at/all"
    with pytest.raises(ConfigError, match="the path /nowhere/at/all does not exist"):
        plan_run(resolve(data))
    assert not Path(data["run"]).exists()


def test_a_stage_used_twice_has_a_name_of_its_own(data: dict[str, Any]) -> None:
    data["corpus"].append({"language": {"drop": ["Rust"]}, "as": "no_rust"})
    summary = complete(data)
    assert [count.stage for count in summary.stages] == [
        "read",
        "clean",
        "language",
        "heuristics",
        "exact_dedup",
        "no_rust",
    ]
    assert summary.stages[-1].notes == {"dropped.language": 1}


def test_an_empty_source_is_named(data: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    data["sources"]["tree"]["path"] = str(tmp_path / "empty")
    with pytest.raises(SourceError, match=r"the source tree found no files in .*/empty; check path"):
        complete(data)
    assert not Path(data["run"]).exists()


def test_one_repository_cannot_be_split(data: dict[str, Any]) -> None:
    del data["sources"]["tree"]
    with pytest.raises(ConfigError, match="all documents belong to the repository 'project'"):
        complete(data)
    assert not Path(data["run"]).exists()


def test_families_that_make_one_group_cannot_be_split(data: dict[str, Any]) -> None:
    data["split"]["families"] = {"all": ["alpha", "beta", "gamma", "delta", "mirror", "tree", "project"]}
    with pytest.raises(ConfigError, match="so that none can be held out"):
        complete(data)


def test_a_corpus_of_which_nothing_is_left_says_so(data: dict[str, Any]) -> None:
    data["corpus"][2]["heuristics"]["rules"]["min_alphabetic"] = 1.0
    with pytest.raises(LoopdataError, match=r"no document is left to train on; `loopdata status .*/run`") as caught:
        complete(data)
    assert caught.value.exit_code == 1


def test_a_held_out_repository_of_which_nothing_is_left_says_so(data: dict[str, Any]) -> None:
    data["corpus"][1]["language"]["drop"] = ["Go"]
    with pytest.raises(LoopdataError, match="no held-out document is left"):
        complete(data)


def test_overrides_take_yaml_values_and_null_leaves_out(data: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(dump(data))
    sets = (
        "corpus.clean.max_lines=9",
        "corpus.heuristics.rules.max_mean_line=80",
        "corpus.language.drop=[Go, C]",
        "mixture=null",
        "tokens.train.vocab_size=500",
    )
    file = read_run_file(path, sets)
    assert file.corpus[0].config.max_lines == 9
    assert file.corpus[2].config.rules == RULES | {"max_mean_line": 80}
    assert file.corpus[1].config.drop == ["Go", "C"]
    assert file.mixture is None
    assert file.tokens is not None
    assert file.tokens.train.vocab_size == 500


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("corpus.cleen.max_lines=9", "--set corpus.cleen.max_lines=9: there is no 'cleen'; did you mean 'clean'?"),
        ("corpus.clean.max_lins=9", "unknown key 'corpus.clean.max_lins'; did you mean 'max_lines'?"),
        ("run", "--set run: expected key=value; as in --set split.valid=0.05"),
        ("run=[", "--set run=[: the value is not valid YAML"),
        ("seed.data.x=1", "--set seed.data.x=1: 'data' lies below a value that is not a mapping"),
    ],
)
def test_a_wrong_override_is_named(item: str, message: str, data: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(dump(data))
    with pytest.raises(ConfigError) as caught:
        read_run_file(path, (item,))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run: a\nrun: b\n", "line 2: the key 'run' stands twice"),
        ("- run\n", "must be a mapping"),
        ("run: [\n", "the config is not valid YAML"),
        ("run: ${NOT_SET_ANYWHERE}\nsources: {}\n", "the config names ${NOT_SET_ANYWHERE}, which is not set"),
        ("", "must be a mapping"),
    ],
)
def test_a_broken_file_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_run_file(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_can_be_repeated_from_its_folder_alone(finished: Path, tmp_path: Path) -> None:
    kept = yaml.safe_load((finished / "run.yaml").read_text())
    again = complete(kept | {"run": str(tmp_path / "again")})
    assert outputs(tmp_path / "again") == outputs(finished)
    assert again.documents == {"train.train": [12, 6148], "train.context": [3, 689], "valid.train": [2, 782]}


def test_a_run_file_from_the_run_folder_does_nothing_there(data: dict[str, Any]) -> None:
    complete(data)
    kept = Path(data["run"], "run.yaml").read_bytes()
    assert ran(complete(yaml.safe_load(kept))) == {}
    assert Path(data["run"], "run.yaml").read_bytes() == kept


def test_a_sample_is_cut_by_repository_and_kept_in_the_run_file(data: dict[str, Any]) -> None:
    names = ["alpha", "beta", "delta", "gamma", "mirror", "tree"]
    places = {f"tree/{name}": unit_interval(0, "sample", "tree", name) for name in names}
    places["work/project"] = unit_interval(0, "sample", "work", "project")
    data["sample"] = 0.6
    chosen = {f"{source.label}/{item.name}" for source, item in list_inputs(resolve(data)).inputs}
    assert chosen == {name for name, place in places.items() if place < 0.6}
    assert 2 < len(chosen) < 7
    data["corpus"][3] = {"exact_dedup": {}}
    complete(data)
    assert {manifest.name for manifest in manifests_of(data["run"]) if manifest.phase == "ingest"} == chosen
    assert yaml.safe_load(Path(data["run"], "run.yaml").read_text())["sample"] == 0.6


@pytest.mark.parametrize("share", [1e-9, 0.01])
def test_a_sample_never_leaves_fewer_than_two_repositories(share: float, corpus: Path, tmp_path: Path) -> None:
    file = resolve(run_data(corpus, tmp_path / "run") | {"sample": share})
    assert len(list_inputs(file).inputs) == 2
