"""A file among others of its repository: laid out as asked, every byte trained once, nothing given away."""

from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.config import parse
from loopdata.errors import ConfigError, StageError
from loopdata.fim.layouts import OWN
from loopdata.fim.repo_level import RepoBuilder, RepoConfig
from loopdata.schema import SAMPLE, document_schema, table_of
from loopdata.syntax.language_names import of_path
from loopdata.tokens.tokenizer import Tokenizer, train

TOKENIZER = Tokenizer(train(["def f(x):\n    return x\n", "from a import größe\r\n"] * 4, 400))
SPECIAL = {"<|repo_name|>": "REPO ", "<|file_sep|>": "FILE ", "<|fim_prefix|>": "PRE ", "<|fim_suffix|>": "SUF ",
           "<|fim_middle|>": "MID ", "<|endoftext|>": "END", "<|im_end|>": "STOP"}  # fmt: skip


def documents(texts: dict[str, str], **columns: object) -> pa.Table:
    base = {"category": "code", "split": "train", "use": "train", "repo": "r"}
    rows = [
        base | {"doc_id": path, "path": path, "text": text, "language": of_path(path)} | columns
        for path, text in texts.items()
    ]
    return table_of(rows, document_schema(RepoBuilder.needs))


def used_as(table: pa.Table, use: str, *doc_ids: str) -> pa.Table:
    """The table with another use of some documents."""
    pairs = zip(table["doc_id"].to_pylist(), table["use"].to_pylist(), strict=True)
    uses = [use if doc_id in doc_ids else old for doc_id, old in pairs]
    return table.set_column(table.schema.get_field_index("use"), "use", pa.array(uses, pa.string()))


def builder(seed: int = 0, **config: object) -> RepoBuilder:
    return RepoBuilder(parse(RepoConfig, config, "samples.repo"), label="repo", seed=seed)


HOLES = {"rate": 1.0, "kinds": {"line": 1}, "min_chars": 1}
ONE_LINE = HOLES | {"max_chars": 9}  # of those that are so short


def shown(row: dict[str, object], learned: bool = False) -> str:
    """A sample in one line: special tokens by their names; or only what is learned of it."""
    return "".join(
        SPECIAL[entry["text"]] if entry["special"] else entry["text"].replace("\n", "|")
        for entry in row["segments"]
        if entry["loss"] or not learned
    )


def rows(table: pa.Table, seed: int = 0, **config: object) -> list[dict[str, object]]:
    found = builder(seed, **config)
    samples = found.render(table)
    assert samples.schema == SAMPLE
    assert found.check(samples, tokens_of(samples), TOKENIZER.special, TOKENIZER.decode) == samples.num_rows
    return samples.to_pylist()


def tokens_of(samples: pa.Table) -> list[list[int]]:
    encoded = TOKENIZER.encode(samples["segments"])
    bounds = encoded.offsets.tolist()
    return [encoded.ids[start:end].tolist() for start, end in pairwise(bounds)]


TWO = {"a.py": "from b import find\nfind(1)\n", "b.py": "def find(x):\n    return x\n"}


def test_without_holes_files_follow_each_other_behind_what_they_import() -> None:
    [row] = rows(documents(TWO))
    text = "REPO r|FILE b.py|def find(x):|    return x||FILE a.py|from b import find|find(1)|END"
    assert (shown(row), row["whole"], row["parents"], row["fim"]) == (text, False, ["b.py", "a.py"], None)
    assert shown(row, learned=True) == "def find(x):|    return x|FILE from b import find|find(1)|END"
    assert (row["category"], row["split"], row["language"]) == ("repo", "train", "Python")


def test_a_file_with_a_hole_stands_behind_what_it_imports() -> None:
    table = used_as(documents(TWO), "context", "b.py")
    [row] = rows(table, fim=ONE_LINE | {"layout": "iquest"})
    head = "REPO r|FILE b.py|def find(x):|    return x||FILE a.py|"
    assert shown(row) == f"{head}PRE from b import find|SUF MID find(1)|STOP"
    assert shown(row, learned=True) == shown(row).removeprefix(head)
    assert (row["whole"], row["parents"], row["fim"]["kind"]) == (True, ["b.py", "a.py"], "line")


def test_loss_on_the_middle_leaves_the_file_around_it_out() -> None:
    [row] = rows(used_as(documents(TWO), "context", "b.py"), fim=HOLES | {"loss": "middle"})
    assert shown(row, learned=True) == row["segments"][-2]["text"].replace("\n", "|") + "END"


def test_starcoder_has_the_path_within_the_prefix_and_names_in_half_of_the_samples() -> None:
    texts = {f"{n:03}.py": f"x{n} = {n}\n" for n in range(400)}
    found = rows(documents(texts), fim=HOLES | {"layout": "starcoder2", "spm_share": 0})
    named = [row for row in found if shown(row).startswith("REPO r|FILE ")]
    assert all(f"FILE PRE {row['parents'][-1]}|" in shown(row) for row in named)
    assert all(shown(row).startswith("FILE ") and ".py" not in shown(row) for row in found if row not in named)
    assert abs(len(named) / 400 - 0.5) < 0.1


def test_context_has_no_loss_and_no_use_behind_the_last_file_that_trains() -> None:
    table = used_as(documents(TWO | {"c.py": "c = 1\n"}), "context", "b.py", "c.py")
    [row] = rows(table)
    assert shown(row) == "REPO r|FILE b.py|def find(x):|    return x||FILE a.py|from b import find|find(1)|END"
    assert shown(row, learned=True) == "from b import find|find(1)|END"
    assert rows(used_as(table, "context", "a.py")) == []


def test_no_file_ends_where_a_hole_was_cut_out_of_it() -> None:
    text = "".join(f"x{n:03} = {n:03}\n" for n in range(40))
    fim = ONE_LINE | {"max_chars": 11, "long": "window", "max_bytes": 64}
    hole, plain = rows(documents({"a.py": text}), fim=fim)
    before, behind = text[: hole["fim"]["start"]], text[hole["fim"]["end"] :]
    assert before
    assert behind
    shown_whole = f"REPO r|FILE a.py|{before}|FILE a.py|{behind}END".replace("\n", "|")
    assert shown(plain) == shown_whole
    assert shown(plain, learned=True) == f"{before}{behind}END".replace("\n", "|")


def test_plain_samples_hold_so_many_bytes_and_a_longer_file_is_one_by_itself() -> None:
    texts = {"a.py": "a" * 12, "b.py": "b" * 12, "c.py": "c" * 40, "d.py": "d" * 11}
    found = rows(documents(texts), max_bytes=32)
    assert [row["parents"] for row in found] == [["a.py", "b.py"], ["c.py"], ["d.py"]]
    found = rows(documents(texts), max_bytes=31)
    assert [row["parents"] for row in found] == [["a.py"], ["b.py"], ["c.py"], ["d.py"]]


def test_repositories_and_splits_do_not_mix_and_a_loose_document_stands_alone() -> None:
    tables = [documents({f"{n}.py": "x\n"}, repo=repo, split=split) for n, (repo, split) in enumerate(
        [("r", "train"), ("s", "train"), ("s", "valid"), (None, "train"), (None, "train")])]  # fmt: skip
    found = rows(pa.concat_tables(tables))
    assert [(row["parents"], row["split"]) for row in found] == [
        (["0.py"], "train"), (["1.py"], "train"), (["2.py"], "valid"), (["3.py"], "train"), (["4.py"], "train")
    ]  # fmt: skip
    assert [shown(row) for row in found[2:4]] == ["REPO s|FILE 2.py|x|END", "FILE 3.py|x|END"]


def test_held_out_files_have_no_holes_unless_asked_for_and_then_the_same_in_every_run() -> None:
    table = documents(TWO, split="valid")
    assert rows(table, fim=HOLES) == rows(table)
    found = [rows(table, seed, fim=HOLES | {"held_out": True}) for seed in (1, 2)]
    assert found[0] == found[1]
    assert [row["whole"] for row in found[0]] == [True, True]


def test_held_out_files_stand_in_an_order_of_their_own_whatever_the_seed() -> None:
    texts = {f"{number}.py": f"x = {number}\n" for number in range(8)}
    found = [
        [rows(documents(texts, split=split), seed, order="random")[0]["parents"] for seed in (1, 2)]
        for split in ("train", "valid")
    ]
    assert found[0][0] != found[0][1]
    assert found[1][0] == found[1][1] != sorted(texts)


def test_other_categories_give_no_sample() -> None:
    assert rows(documents(TWO, category="web")) == []
    assert rows(documents({})) == []


@pytest.mark.parametrize(
    ("order", "wanted"),
    [("topological", ["one.py", "two.py"]), ("relevance", ["two.py", "one.py"])],
)
def test_snippets_stand_in_the_order_that_is_asked_for(order: str, wanted: list[str]) -> None:
    texts = {
        "a.py": "alpha(beta, gamma)\n()\n" * 2,
        "two.py": "import one\nalpha = 1\n",
        "one.py": "alpha = beta = gamma\n",
    }
    table = used_as(documents(texts), "context", "one.py", "two.py")
    [row] = rows(table, fim=ONE_LINE, context={"order": order, "definitions": False})
    assert row["parents"] == [*wanted, "a.py"]


def test_a_random_order_is_that_of_the_seed() -> None:
    texts = {"a.py": "alpha(1)\n" * 3, **{f"{n}.py": f"alpha = {n}\n" for n in range(6)}}
    table = used_as(documents(texts), "context", *(f"{n}.py" for n in range(6)))
    found = [rows(table, seed, fim=ONE_LINE, context={"order": "random"})[0]["parents"] for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    assert sorted(found[0]) == sorted(found[2]) == sorted(texts)


def test_what_is_imported_comes_before_what_shares_more_words() -> None:
    call = "import used\nalpha(beta, gamma)\n()\n"
    texts = {"a.py": call, "near.py": "alpha = beta = gamma\n", "used.py": "alpha = 1\n"}
    table = used_as(documents(texts), "context", "near.py", "used.py")
    assert rows(table, fim=ONE_LINE, context={"max_bytes": 40})[0]["parents"] == ["used.py", "a.py"]
    alone = rows(table, fim=ONE_LINE, context={"max_bytes": 40, "imports": False})
    assert alone[0]["parents"] == ["near.py", "a.py"]


def test_snippets_fit_the_budget_with_their_paths() -> None:
    texts = {"a.py": "alpha(1)\n" * 3, "b.py": "alpha = 2\n"}
    table = used_as(documents(texts), "context", "b.py")
    size = len("b.py") + len("alpha = 2\n") + 2
    assert rows(table, fim=ONE_LINE, context={"max_bytes": size})[0]["parents"] == ["b.py", "a.py"]
    assert rows(table, fim=ONE_LINE, context={"max_bytes": size - 1})[0]["parents"] == ["a.py"]
    assert rows(table, fim=ONE_LINE, context={"max_bytes": 0})[0]["parents"] == ["a.py"]


def test_whole_files_or_chunks() -> None:
    long = "".join(f"line_{n} = {n}\n" for n in range(30)) + "alpha = 1\n"
    table = used_as(documents({"a.py": "alpha(1)\n" * 3, "b.py": long}), "context", "b.py")
    [whole] = rows(table, fim=ONE_LINE, context={"unit": "files"})
    [chunk] = rows(table, fim=ONE_LINE, context={"unit": "chunks"})
    [small] = rows(table, fim=ONE_LINE, context={"unit": "files", "max_bytes": 200})  # the file does not fit
    assert [row["segments"][4]["text"] for row in (whole, chunk, small)] == [long, "alpha = 1\n", "alpha = 1\n"]


def test_definitions_of_names_around_the_hole_come_before_what_shares_more_words() -> None:
    noise = "".join(f"alpha(beta, gamma, {n})\n" for n in range(8))
    texts = {"a.py": "alpha(beta, gamma)\nx.find()\n" * 2, "b.py": "class B:\n    def find(self):\n        pass\n",
             "noise.py": noise}  # fmt: skip
    table = used_as(documents(texts), "context", "b.py", "noise.py")
    budget = {"max_bytes": len(noise) + len("noise.py") + 2}
    assert rows(table, fim=ONE_LINE, context=budget)[0]["parents"] == ["b.py", "a.py"]
    assert rows(table, fim=ONE_LINE, context=budget | {"definitions": False})[0]["parents"] == ["noise.py", "a.py"]


@pytest.mark.parametrize(("definers", "says"), [(3, True), (4, False)])
def test_a_name_with_many_definitions_says_nothing(definers: int, says: bool) -> None:
    texts = {f"{n}.py": "def find(): pass\n" for n in range(definers)}
    texts |= {"a.py": "x.find(alpha, beta)\n()\n" * 2, "noise.py": "alpha, beta\n"}
    table = used_as(documents(texts), "context", *(path for path in texts if path != "a.py"))
    [row] = rows(table, fim=ONE_LINE, context={"max_bytes": 30})
    assert row["parents"] == ["0.py" if says else "noise.py", "a.py"]


def test_a_definition_that_begins_late_in_its_chunk_brings_the_next_one() -> None:
    lines = ["# some words\n"] * 20
    for place, size in [(2, 10), (8, 20)]:
        here = [*lines[:place], "def find(x):\n", *lines[place:]]
        table = used_as(documents({"a.py": "find()\n" * 2, "b.py": "".join(here)}), "context", "b.py")
        [row] = rows(table, fim=ONE_LINE)
        assert row["segments"][4]["text"] == "".join(here[:size])


COPIED = "def copied(first, second):\n    total = first * second\n    return total - first\n"


@pytest.mark.parametrize("unit", ["chunks", "files"])
@pytest.mark.parametrize("moved", [COPIED, COPIED.replace("    ", "\t"), "class A:\n" + COPIED.replace("def", "  def")])
def test_a_copy_of_the_middle_is_not_in_the_context(unit: str, moved: str) -> None:
    texts = {
        "a.py": f"first = second = 1\n\n{COPIED}\ncopied(first, second)\n",
        "b.py": "first = second\n" * 10 + moved,
    }
    table = used_as(documents(texts), "context", "b.py")
    fim = {"rate": 1.0, "kinds": {"function": 1, "function_body": 1}}
    for seed in range(20):
        [row] = rows(table, seed, fim=fim, context={"unit": unit})
        assert "total" not in "".join(entry["text"] for entry in row["segments"][:-7])
    [row] = rows(used_as(documents(texts | {"b.py": "first = second\n"}), "context", "b.py"), fim=fim)
    assert row["parents"] == ["b.py", "a.py"]  # the guard refuses nothing else


def test_a_copy_that_is_cut_between_two_chunks_is_not_put_together_again() -> None:
    middle = "".join(f"v{n} = compute_{n}(v)\n" for n in range(3))  # no chunk holds a run that is long enough
    texts = {"a.py": f"compute = 1\n{middle}compute_0, compute_1, compute_2\n", "b.py": "v = 0\n" * 8 + middle + "v\n"}
    table = used_as(documents(texts), "context", "b.py")
    for seed in range(30):
        [row] = rows(table, seed, fim=HOLES | {"min_chars": 50})
        hole = row["segments"][-2]["text"]
        assert hole not in "".join(entry["text"] for entry in row["segments"][:-7])


def test_of_what_gives_the_middle_away_together_the_best_stays() -> None:
    middle = "".join(f"v{n} = compute_{n}(v)\n" for n in range(3))
    texts = {"a.py": f"compute = 1\n{middle}compute_0, compute_1, useful\n",
             "b.py": "v = 0\n" * 8 + middle + "useful = 1\n" * 9}  # fmt: skip
    table = used_as(documents(texts), "context", "b.py")
    fim = HOLES | {"min_chars": len(middle), "max_chars": len(middle)}
    found = [rows(table, seed, fim=fim)[0] for seed in range(9)]
    [row] = [row for row in found if row["segments"][-2]["text"] == middle][:1]
    context = "".join(entry["text"] for entry in row["segments"][:-7])
    assert "useful = 1" in context
    assert "v0 =" not in context


def test_of_a_file_that_may_not_be_shown_whole_the_best_chunks_are() -> None:
    line = "compute(alpha, beta, gamma, delta)\n"
    texts = {
        "a.py": f"alpha, beta, useful\n{line}alpha, beta\n",
        "copy.py": f"alpha\n{line}" + "# words\n" * 8 + "useful = alpha\n",  # the copy lies in the first ten lines
    }
    table = used_as(documents(texts), "context", "copy.py")
    fim = HOLES | {"min_chars": len(line), "max_chars": len(line)}
    [row] = rows(table, fim=fim, context={"unit": "files"})
    assert row["segments"][4]["text"] == "useful = alpha\n"


def test_a_context_file_that_is_too_long_does_not_end_a_plain_sample() -> None:
    texts = {"a.py": "a = 1\n", "b.py": "b = 22222\n" * 9, "c.py": "c = 3\n"}
    for max_bytes, wanted in [(93, [["a.py", "c.py"]]), (114, [["a.py", "b.py", "c.py"]])]:
        found = rows(used_as(documents(texts), "context", "b.py"), max_bytes=max_bytes, names=0)
        assert [row["parents"] for row in found] == wanted


def test_what_is_refused_leaves_its_room_to_others() -> None:
    line = "compute(alpha, beta, gamma, delta)\n"
    texts = {
        "a.py": f"alpha, beta\n{line}alpha, beta\n",
        "copy.py": f"alpha, beta\n{line}",
        "other.py": "alpha, 1\n" * 4,
    }
    table = used_as(documents(texts), "context", "copy.py", "other.py")
    fim = HOLES | {"min_chars": len(line), "max_chars": len(line)}
    found = [
        rows(table, fim=fim, context={"max_bytes": 56, "order": order})[0] for order in ("relevance", "topological")
    ]
    assert [row["parents"] for row in found] == [["other.py", "a.py"]] * 2


NAMES = ["a.py", "b.py", "p/__init__.py", "p/c.py", "d.ts", "README.md", "e.rs", "größe.c"]
PARTS = [
    "import a\n", "from p import c\n", "from b import x\n", "def f(x):\n    return x\n", "x = 1\r\n", "\n", "größe",
    "import './d'\n", "mod a;\n", '#include "a.h"\n', "<|file_sep|>", "<|endoftext|>", "<|fim_prefix|>", "}{", "🙂",
]  # fmt: skip
REPOSITORIES = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.sampled_from(PARTS), max_size=12).map("".join), max_size=6
)


@settings(max_examples=150, deadline=None)
@given(
    texts=REPOSITORIES,
    context=st.sets(st.sampled_from(NAMES)),
    layout=st.sampled_from(sorted(OWN)),
    rate=st.sampled_from([0, 0.5, 1]),
    unit=st.sampled_from(["chunks", "files"]),
    orders=st.tuples(
        st.sampled_from(["topological", "relevance", "random"]), st.sampled_from(["topological", "random"])
    ),
    long=st.sampled_from(["contexts", "window", "cut_suffix"]),
)
def test_every_byte_of_every_file_for_training_is_learned_once(
    texts: dict[str, str], context: set[str], layout: str, rate: float, unit: str, orders: tuple[str, str], long: str
) -> None:
    fim = {"rate": rate, "layout": layout, "min_chars": 1, "max_bytes": 24, "long": long}
    config = {"context": {"unit": unit, "order": orders[0], "max_bytes": 80}, "order": orders[1], "max_bytes": 64}
    table = used_as(documents(texts), "context", *context)
    found = rows(table, fim=fim, **config)  # every sample decodes to itself: see `rows`
    trained = {path: text.encode() for path, text in texts.items() if path not in context}
    holes = {path: [row["fim"] for row in found if row["fim"] and row["parents"][-1] == path] for path in trained}
    texts_with_loss = [entry for row in found for entry in row["segments"] if entry["loss"] and not entry["special"]]
    pieces = [entry["text"].encode() for entry in texts_with_loss]
    assert sum(map(len, pieces)) == sum(map(len, trained.values()))
    for path, data in trained.items():
        spans = sorted((fim["start"], fim["end"]) for fim in holes[path])
        assert all(a[1] <= b[0] for a, b in pairwise(spans))
        rest = [data[end:start] for (_, end), (start, _) in pairwise([(0, 0), *spans, (len(data), 0)])]
        assert all(part in pieces for part in rest if part)
    assert len({row["sample_id"] for row in found}) == len(found)


def test_tokens_that_lost_something_are_refused() -> None:
    found = builder(fim=HOLES)
    samples = found.render(documents(TWO))
    for at, right in enumerate(tokens_of(samples)):
        for wrong in (right[:-1], right[1:], right[::-1], right[:3] + right[4:]):
            with pytest.raises(StageError):
                found.check(samples.slice(at, 1), [wrong], TOKENIZER.special, TOKENIZER.decode)


def test_parts_are_the_whole_whatever_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    table = documents({f"{n}.py": f"x = {n}\n" for n in range(20)})
    whole = builder(fim=HOLES).render(table)
    monkeypatch.setattr("loopdata.fim.repo_level.PART_BYTES", 1)
    parts = list(builder(fim=HOLES).render_parts(table))
    assert len(parts) == 20
    assert pa.concat_tables(parts).equals(whole)


def test_a_wrong_request_fails_with_the_run_file() -> None:
    for wrong, why in [
        ({"max_tokens": 1}, r"unknown key 'samples\.repo\.max_tokens'; did you mean 'max_bytes'"),
        ({"context": {"unit": "lines"}}, r"samples\.repo\.context\.unit"),
        ({"fim": {"layout": "deepseek", "spelling": "own"}}, "no special tokens of its own for repository and file"),
    ]:
        with pytest.raises(ConfigError, match=why):
            builder(**wrong)
