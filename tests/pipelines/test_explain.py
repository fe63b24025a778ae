"""`explain` answers for every input of a run, `inspect` for every token, and the two agree."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from loopdata.engine.tables import read_table
from loopdata.errors import ConfigError, RunError, ShardError
from loopdata.storage import Folder
from loopdata.tokens.shards import Shard
from loopdata.tokens.tokenizer import Tokenizer
from pipelines.explain import MAX_STRETCHES, Explanation, explain_document, print_explanations
from pipelines.inspect_shard import Inspection, Shards, inspect, inspect_shard, list_shards
from tests.pipelines.corpus_case import FILES, GIT_FILES, git, manifests_of


def one(run: Path, what: str) -> Explanation:
    found = explain_document(str(run), what)
    assert len(found) == 1
    return found[0]


def end(found: Explanation) -> tuple[Any, ...]:
    assert found.ended_by is not None
    return tuple(found.ended_by[name] for name in ("stage", "fate", "rule", "value", "threshold"))


ENDED: dict[str, tuple[str, str, float | None, float | None]] = {
    "tree/alpha/binary.dat": ("read", "binary", 4, None),
    "tree/alpha/oversized.py": ("read", "oversized", 34_000, 20_000),
    "tree/delta/link.rs": ("read", "symlink", None, None),
    "tree/delta/pipe": ("read", "special_file", None, None),
    "work/project/vendored": ("read", "submodule", None, None),
    "tree/alpha/pointer.py": ("clean", "lfs_pointer", None, None),
    "tree/alpha/undecodable.py": ("clean", "undecodable", None, None),
    "tree/alpha/empty.py": ("clean", "empty", 0, 0),
    "tree/alpha/lines.py": ("clean", "num_lines", 300, 250),
    "tree/alpha/longest.py": ("heuristics", "max_longest_line", 309, 200),
    "tree/alpha/mean.py": ("heuristics", "max_mean_line", 134, 100),
    "tree/alpha/digits.py": ("heuristics", "min_alphabetic", 0, 0.25),
    "tree/alpha/README.md": ("language", "language", None, None),
    "tree/mirror/a/very/deep/copy.py": ("exact_dedup", "exact_copy", 3, None),
    "tree/alpha/held.go": ("exact_dedup", "copy_of_held_out", 2, None),
}


@pytest.mark.parametrize("path", ENDED)
def test_what_dropped_a_file_is_said_with_rule_value_and_threshold(path: str, finished: Path) -> None:
    found = one(finished, path)
    stage, *rest = ENDED[path]
    stages = ["read", "clean", "language", "heuristics", "exact_dedup"]
    assert end(found) == (stage, "dropped", *rest)
    assert found.passed == stages[: stages.index(stage)]
    assert found.not_reached == stages[stages.index(stage) + 1 :]
    assert found.tokens == []


def test_a_copy_names_its_survivor(finished: Path) -> None:
    copy, survivor = one(finished, "tree/mirror/a/very/deep/copy.py"), one(finished, "tree/alpha/shared.py")
    assert copy.survivor is not None
    assert (copy.survivor["doc_id"], copy.survivor["path"]) == (survivor.doc_id, "shared.py")
    held = one(finished, "tree/alpha/held.go")
    assert held.survivor is not None
    assert (held.survivor["repo"], held.survivor["path"]) == ("gamma", "held.go")


def test_a_duplicate_inside_a_kept_repository_stays_as_context(finished: Path) -> None:
    found = one(finished, "beta/lib/again/twice.js")
    assert [(note["fate"], note["rule"]) for note in found.notes] == [("context", "exact_copy")]
    assert found.ended_by is None
    assert found.passed == ["read", "clean", "language", "heuristics", "exact_dedup"]
    assert found.survivor is not None
    assert found.survivor["path"] == "lib/twice.js"
    assert found.tokens == []


def test_edits_are_noted(finished: Path) -> None:
    notes = {
        name: [(note["rule"], note["value"], note["details"]) for note in one(finished, f"alpha/{name}").notes]
        for name in ("latin.py", "windows.py", "escape.py")
    }
    assert notes == {
        "latin.py": [("encoding", None, "cp1252")],
        "windows.py": [("line_endings", 2, None)],
        "escape.py": [("control_characters", 1, None)],
    }


def test_every_input_of_the_run_is_answered_for(finished: Path) -> None:
    folder = Folder(str(finished))
    places = [
        row
        for manifest in manifests_of(finished)
        if "locations" in manifest.outputs
        for row in read_table(folder, manifest.output("locations")).to_pylist()
    ]
    assert len(places) == 35
    for place in places:
        found = one(finished, place["doc_id"])
        assert found.place == place
        assert one(finished, f"{place['source']}/{place['repo']}/{place['path']}").doc_id == place["doc_id"]
        assert (found.ended_by is None) == (found.passed[-1:] == ["exact_dedup"])
        assert bool(found.tokens) == (found.ended_by is None and not any(n["fate"] == "context" for n in found.notes))


def test_blob_ids_are_those_of_git(finished: Path, corpus: Path) -> None:
    listed = git(corpus / "repository", "ls-tree", "-r", "-z", "HEAD").rstrip("\0").split("\0")
    blobs = {line.split("\t")[1]: line.split()[2] for line in listed if line.split()[1] == "blob"}
    assert set(blobs) == {*GIT_FILES, "link.c"}
    commit = git(corpus / "repository", "rev-parse", "HEAD").strip()
    found = {item.place["path"]: item.place["blob_id"] for item in explain_document(str(finished), commit)}
    assert found == blobs | {"vendored": None}
    assert {item.place["path"] for item in explain_document(str(finished), blobs["tool.py"])} == {
        "tool.py",
        "copy/of/tool.py",
    }
    hashed = git(corpus / "tree", "hash-object", "alpha/shared.py").strip()
    assert {item.place["blob_id"] for item in explain_document(str(finished), "shared.py")} == {hashed}


def test_an_id_may_be_shortened_and_a_path_cut_from_the_left(finished: Path, corpus: Path) -> None:
    commit = git(corpus / "repository", "rev-parse", "HEAD").strip()
    assert len(explain_document(str(finished), commit[:12])) == len(GIT_FILES) + 2
    document = one(finished, "deep/shared.py")
    assert one(finished, document.doc_id[:12]).doc_id == document.doc_id
    assert len(explain_document(str(finished), "shared.py")) == 2
    assert one(finished, "./beta/shared/deep/shared.py").doc_id == document.doc_id


@pytest.mark.parametrize("what", ["hared.py", "nothing.py", "0" * 40, "", "tree/alpha", "*.py"])
def test_what_names_nothing_is_a_wrong_request(what: str, finished: Path) -> None:
    with pytest.raises(ConfigError, match="has the path, doc_id, blob id or commit"):
        explain_document(str(finished), what)


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    for answer in (lambda: explain_document(str(tmp_path), "x"), lambda: inspect(str(tmp_path), None)):
        with pytest.raises(RunError, match="holds no run; give the folder that a run file names"):
            answer()


def tokenizer_of(run: Path) -> Tokenizer:
    output = next(m for m in manifests_of(run) if m.phase == "tokenizer").output("tokenizer")
    return Tokenizer((run / output.name).read_bytes())


def final_texts(run: Path) -> dict[str, str]:
    tables = [
        read_table(Folder(str(run)), m.output("documents")) for m in manifests_of(run) if m.phase == "exact_dedup.apply"
    ]
    return {row["doc_id"]: row["text"] for table in tables for row in table.to_pylist()}


def test_the_first_and_last_token_of_every_sample_lead_back_to_its_document(finished: Path) -> None:
    tokenizer, texts = tokenizer_of(finished), final_texts(finished)
    seen = []
    for listed in list_shards(str(finished)).shards:
        shard = Shard.open(listed.shard.removesuffix(".bin"))
        assert (len(shard), int(shard.offsets[-1])) == (listed.samples, listed.tokens)
        for number in range(len(shard)):
            first, last = int(shard.offsets[number]), int(shard.offsets[number + 1]) - 1
            ends = [inspect_shard(listed.shard, offset) for offset in (first, last)]
            assert [len(found.places) for found in ends] == [1, 1]
            document = ends[0].places[0]["doc_id"]
            assert ends[1].places[0]["doc_id"] == document
            assert ends[1].at == "<|endoftext|>"
            tokens = shard.tokens(number)
            assert tokenizer.decode(tokens) == texts[document].encode() + b"<|endoftext|>"
            assert [at["shard"] for at in one(finished, document).tokens] == [listed.shard]
            at = one(finished, document).tokens[0]
            assert (at["offset"], at["length"], at["split"]) == (first, last + 1 - first, listed.split)
            seen.append(document)
    assert len(seen) == len(set(seen)) == 14


def test_inspect_shows_the_text_around_a_token(finished: Path) -> None:
    at = one(finished, "alpha/main.py").tokens[0]
    found = inspect_shard(at["shard"], at["offset"] + 5)
    text = FILES["alpha/main.py"]
    assert isinstance(text, str)
    assert text.startswith(found.before + found.at + found.after)
    assert found.at
    assert found.places[0]["path"] == "main.py"


def test_a_run_folder_lists_its_shards_and_a_shard_its_samples(finished: Path) -> None:
    listed = inspect(str(finished), None)
    assert isinstance(listed, Shards)
    assert [(at.category, at.split, at.samples) for at in listed.shards] == [
        ("file", "train", 5),
        ("file", "train", 2),
        ("file", "train", 2),
        ("file", "valid", 2),
        ("file", "train", 1),
        ("file", "train", 2),
    ]
    for suffix in (".bin", ".idx", ".samples.parquet", ""):
        found = inspect(listed.shards[0].shard.removesuffix(".bin") + suffix, None)
        assert isinstance(found, Inspection)
        assert (found.num_samples, len(found.samples), found.dtype) == (5, 5, "uint16")


def test_an_offset_without_a_shard_or_beyond_its_end_is_a_wrong_request(finished: Path) -> None:
    listed = list_shards(str(finished)).shards[0]
    with pytest.raises(ConfigError, match=rf"--offset {listed.tokens}: the shard .* has {listed.tokens} tokens"):
        inspect(listed.shard, listed.tokens)
    with pytest.raises(ConfigError, match="is a folder; name a shard"):
        inspect(str(finished), 0)


@pytest.mark.parametrize("suffix", [".bin", ".idx", ".samples.parquet"])
@pytest.mark.parametrize("damage", ["gone", "cut", "other"])
def test_a_broken_shard_is_one_line(suffix: str, damage: str, finished: Path, tmp_path: Path) -> None:
    stem = Path(list_shards(str(finished)).shards[0].shard.removesuffix(".bin"))
    for each in (".bin", ".idx", ".samples.parquet"):
        (tmp_path / f"shard{each}").write_bytes(Path(f"{stem}{each}").read_bytes())
    broken = tmp_path / f"shard{suffix}"
    content = broken.read_bytes()
    broken.unlink()
    if damage != "gone":
        broken.write_bytes(content[:-2] if damage == "cut" else b"something else")
    with pytest.raises(ShardError) as caught:
        inspect(str(tmp_path / "shard.bin"), None)
    assert "shard" in str(caught.value)
    assert "\n" not in str(caught.value)


def sample_at(offset: int, length: int, shard: str = "a.bin") -> dict[str, Any]:
    return {"shard": shard, "offset": offset, "length": length, "category": "file", "split": "train"}


def shown(tokens: list[dict[str, Any]], **more: Any) -> list[str]:
    item = Explanation("1" * 32, {"source": "tree", "path": "a.py", "doc_id": "1" * 32}, "unit", tokens=tokens, **more)
    out = io.StringIO()
    print_explanations([item], Console(file=out))
    return [line.strip() for line in out.getvalue().splitlines()[2:] if line]


def test_samples_side_by_side_in_a_shard_are_one_line() -> None:
    tokens = [sample_at(0, 5), sample_at(5, 2), sample_at(8, 2), sample_at(10, 1, "b.bin")]
    assert shown(tokens) == [
        "tokens     0 to 7 of a.bin (file, train), 2 samples",
        "tokens     8 to 10 of a.bin (file, train)",
        "tokens     10 to 11 of b.bin (file, train)",
    ]


def test_a_document_in_many_places_is_cut_with_a_count() -> None:
    lines = shown([sample_at(10 * at, 5) for at in range(MAX_STRETCHES)])
    assert len(lines) == MAX_STRETCHES
    lines = shown([sample_at(10 * at, 5) for at in range(MAX_STRETCHES)] + [sample_at(500, 1), sample_at(501, 1)])
    assert lines[MAX_STRETCHES:] == ["tokens     and 2 more samples; --json lists all"]


def test_without_tokens_an_unfinished_run_says_so() -> None:
    assert shown([]) == ["tokens     none: no sample was made of it"]
    assert shown([], complete=False) == ["tokens     none yet: the run is not complete"]


def test_a_survivor_outside_the_run_is_its_id_once() -> None:
    assert shown([sample_at(0, 1)], survivor={"doc_id": "2" * 32})[0] == f"instead    {'2' * 32}, outside this run"
