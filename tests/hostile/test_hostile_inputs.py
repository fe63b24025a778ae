"""Hostile files through a whole run: each has a fate or a right result, and no neighbour is lost."""

import io
import os
import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from loopdata.engine.tables import read_table
from loopdata.special_tokens import SPECIAL_TOKENS
from loopdata.storage import Folder
from loopdata.tokens.shards import Dataset, Shard
from loopdata.tokens.tokenizer import Tokenizer
from pipelines.explain import Explanation, explain_document, print_explanations
from pipelines.inspect_shard import list_shards
from tests.pipelines.corpus_case import RULES, complete, functions, manifests_of

DICE = random.Random(5)
SPECIAL = "".join(f"{token} and words {token}\n" for token in SPECIAL_TOKENS)
NEIGHBOURS = [f"neighbour_{n:02d}.py" for n in range(20)]

# What happens to each file: its end as (stage, rule), or None where it becomes a sample.
ENDS: dict[str, tuple[str | bytes, tuple[str, str] | None]] = {
    "special.py": (SPECIAL, None),
    "random.py": (DICE.randbytes(200_000), ("read", "binary")),
    "random_without_nul.py": (DICE.randbytes(20_000).replace(b"\0", b""), ("clean", "undecodable")),
    "one_line.py": (b"word " * 10_000_000, ("heuristics", "max_longest_line")),
    "brackets.py": ("[" * 100_000 + "]" * 100_000, ("heuristics", "max_longest_line")),
    "brackets_in_lines.py": (("[(name" * 10 + "\n") * 10_000, None),
    "cut.py": (("name = '" + "Ж" * 8).encode()[:-1] + b"\n", ("clean", "undecodable")),
    "surrogate.py": (b"name = '\xed\xa0\x80\xed\xb0\x80'\n" * 5, ("clean", "undecodable")),
    "overlong.py": (b"name = '\xc0\xaf\xc0\xaf\xc0\xaf'\n", ("clean", "undecodable")),
    "half_utf16.py": (b"\xff\xfen\x00a\x00m", ("clean", "undecodable")),
    "utf16.py": ("name = 'Größe und mehr'\n".encode("utf-16"), None),
    "nul_late.py": ("name = 'value'\n" * 1000 + "\0\0\0\n" + "last = 'last'\n", None),
    "nul_first.py": (b"\0name = 'value'\n", ("read", "binary")),
    "empty.py": (b"", ("clean", "empty")),
    "newlines.py": (b"\n" * 5000, ("clean", "empty")),
    "spaces.py": (b" " * 300_000, ("clean", "empty")),
    "repeated.py": ("value = call(value)\n" * 100_000, None),
    "controls.py": (bytes(range(1, 32)) * 30, ("clean", "control_characters")),
    "escapes.py": ("name = '\x1b[31mred\x1b[0m'  # as terminals have it, in many more words\n", None),
    "combining.py": ("name = 'a" + "\u0301" * 300 + "'\n", ("heuristics", "min_alphabetic")),
    "letters.py": ("a" * 100_000, ("heuristics", "max_longest_line")),
    "name with spaces.py": ("name = 'with spaces'\n", None),
    "name\nof\ntwo lines.py": ("name = 'of lines'\n", None),
    "-rf --all;$(x)'\".py": ("name = 'that shells love'\n", None),
    "<|endoftext|>.py": ("name = 'special'\n", None),
    "[bold]markup[/bold].py": ("name = 'markup'\n", None),
    "ünïcödé/\u202egpj.py": ("name = 'turned around'\n", None),
    "d/" * 100 + "deep.py": ("name = 'deep below'\n", None),
}  # fmt: skip
BYTES_NAME = b"not\xff\xfeutf8.py"


def write(root: Path, name: str, content: str | bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def hostile_data(root: Path, run: Path) -> dict[str, Any]:
    return {
        "run": str(run),
        "sources": {"all": {"kind": "files", "path": str(root), "repo_per": "top_folder", "max_bytes": 60_000_000}},
        "corpus": [
            {"clean": {}},
            {"language": {}},
            {"heuristics": {"preset": "none", "rules": RULES | {"max_longest_line": 1000, "max_mean_line": 320}}},
            {"exact_dedup": {}},
        ],
        "tokens": {"train": {"vocab_size": 320, "sample_mb": 0.2}},
        "samples": {"file": {"builder": "file"}},
        "mixture": {"tokens": 10_000, "sequence": 128, "weights": {"file": 1}},
        "failures": {"max_documents": 0, "max_share": 0.0},
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run over the hostile files, which lie between neighbours, and a repository of good ones."""
    root = tmp_path_factory.mktemp("hostile")
    for name, (content, _) in ENDS.items():
        write(root / "tree/hostile", name, content)
    (root / "tree/hostile" / os.fsdecode(BYTES_NAME)).write_text("name = 'of bytes'\n")
    for number, name in enumerate(NEIGHBOURS):
        for repo in ("hostile", "good"):
            write(root / "tree" / repo, name, functions(f"{repo}_{number}", 3))
    complete(hostile_data(root / "tree", root / "run"))
    return root / "run"


def explained(run: Path, name: str) -> Explanation:
    wanted = f"all/hostile/{name}"
    found = [item for item in explain_document(str(run), wanted) if item.place["repo"] == "hostile"]
    assert len(found) == 1
    return found[0]


@cache
def tokenizer_of(run: Path) -> Tokenizer:
    output = next(m for m in manifests_of(run) if m.phase == "tokenizer").output("tokenizer")
    return Tokenizer((run / output.name).read_bytes())


def tokens_of(run: Path, found: Explanation) -> Any:
    at = found.tokens[0]
    shard = Shard.open(at["shard"].removesuffix(".bin"))
    return shard.tokens(shard.offsets.tolist().index(at["offset"]))


def decoded(run: Path, found: Explanation) -> bytes:
    return tokenizer_of(run).decode(tokens_of(run, found))


@pytest.mark.parametrize("name", ENDS)
def test_a_hostile_file_has_its_fate(name: str, run: Path) -> None:
    _, end = ENDS[name]
    found = explained(run, name)
    if end is not None:
        assert found.ended_by is not None
        assert (found.ended_by["stage"], found.ended_by["fate"], found.ended_by["rule"]) == (end[0], "dropped", end[1])
        assert found.tokens == []
        return
    assert found.ended_by is None
    assert len(found.tokens) == 1


def test_texts_that_stay_come_back_from_their_tokens(run: Path) -> None:
    changed = {
        "utf16.py": "name = 'Größe und mehr'\n",
        "nul_late.py": "name = 'value'\n" * 1000 + "\nlast = 'last'\n",
        "escapes.py": "name = '[31mred[0m'  # as terminals have it, in many more words\n",
    }
    for name, (content, end) in ENDS.items():
        if end is None:
            text = changed.get(name, content)
            assert isinstance(text, str)
            assert decoded(run, explained(run, name)) == text.encode() + b"<|endoftext|>", name


def test_a_text_full_of_special_tokens_makes_none_but_the_last(run: Path) -> None:
    tokenizer = tokenizer_of(run)
    tokens = tokens_of(run, explained(run, "special.py")).tolist()
    special = set(tokenizer.special.values())
    assert [token for token in tokens if token in special] == [tokenizer.end_of_text]
    assert tokens[-1] == tokenizer.end_of_text
    for listed in list_shards(str(run)).shards:
        shard = Shard.open(listed.shard.removesuffix(".bin"))
        for number in range(len(shard)):
            assert [token for token in shard.tokens(number).tolist() if token in special] == [tokenizer.end_of_text]


@pytest.mark.parametrize("repo", ["hostile", "good"])
def test_no_neighbour_is_lost(repo: str, run: Path) -> None:
    for number, name in enumerate(NEIGHBOURS):
        found = explain_document(str(run), f"all/{repo}/{name}")[0]
        assert decoded(run, found) == functions(f"{repo}_{number}", 3).encode() + b"<|endoftext|>"


def test_the_run_accounts_for_every_file_and_quarantined_none(run: Path) -> None:
    folder = Folder(str(run))
    places = [
        place
        for manifest in manifests_of(run)
        if "locations" in manifest.outputs
        for place in read_table(folder, manifest.output("locations"))["doc_id"].to_pylist()
    ]
    assert len(places) == len(set(places)) == len(ENDS) + 1 + 2 * len(NEIGHBOURS)
    assert sum(count.quarantined for manifest in manifests_of(run) for count in manifest.counts) == 0
    Dataset.open(run).verify()


def test_a_name_that_is_not_utf8_is_found_by_its_escapes(run: Path) -> None:
    found = explained(run, r"not\xff\xfeutf8.py")
    assert found.place["path"] == r"not\xff\xfeutf8.py"
    assert decoded(run, found) == b"name = 'of bytes'\n<|endoftext|>"


def test_names_break_no_line_of_an_answer(run: Path) -> None:
    for name in ("name\nof\ntwo lines.py", "[bold]markup[/bold].py", "ünïcödé/\u202egpj.py"):
        console = Console(file=io.StringIO(), width=80, force_terminal=False)
        print_explanations([explained(run, name)], console)
        shown = console.file.getvalue()  # type: ignore[attr-defined]
        wanted = {"name\nof\ntwo lines.py": r"name\nof\ntwo lines.py", "ünïcödé/\u202egpj.py": r"ünïcödé/\u202egpj.py"}
        assert shown.splitlines()[0] == f"all/hostile/{wanted.get(name, name)}"
