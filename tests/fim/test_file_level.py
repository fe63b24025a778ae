"""The file builder renders one sample a document, and nothing of documents that it is not for."""

import pyarrow as pa
import pytest

from loopdata.config import parse
from loopdata.errors import ConfigError
from loopdata.fim.file_level import FileBuilder, FileConfig
from loopdata.schema import DOCUMENT, SAMPLE, digest, document_schema, table_of
from loopdata.stage import Builder


def documents(*rows: dict[str, object]) -> pa.Table:
    base = {"category": "code", "split": "train", "use": "train", "language": "python"}
    return table_of([{**base, **row} for row in rows], document_schema(FileBuilder.needs))


def test_a_document_becomes_its_text_and_an_end_of_text_with_loss():
    samples = FileBuilder(label="plain").render(documents({"doc_id": "d1", "text": "x = 'é'\n"}))
    assert samples.schema == SAMPLE
    assert samples.to_pylist() == [
        {
            "sample_id": digest("file", "plain", "d1"),
            "category": "plain",
            "split": "train",
            "language": "python",
            "parents": ["d1"],
            "whole": False,
            "segments": [
                {"text": "x = 'é'\n", "special": False, "loss": True},
                {"text": "<|endoftext|>", "special": True, "loss": True},
            ],
            "num_bytes": 9,
            "fim": None,
        }
    ]


def test_text_that_spells_a_special_token_stays_text():
    samples = FileBuilder().render(documents({"doc_id": "d1", "text": "<|endoftext|>"}))
    assert [segment["special"] for segment in samples["segments"][0].as_py()] == [False, True]


def test_context_documents_and_other_categories_give_no_sample():
    table = documents(
        {"doc_id": "a", "text": "a", "use": "context"},
        {"doc_id": "b", "text": "b", "category": "transition"},
        {"doc_id": "c", "text": "c", "category": "web"},
        {"doc_id": "d", "text": "d", "category": "qa"},
        {"doc_id": "e", "text": "e", "category": "text"},
    )
    assert [row["parents"] for row in FileBuilder().render(table).to_pylist()] == [["c"], ["e"]]


def test_documents_keep_their_order_split_and_language():
    rows = [
        {"doc_id": str(n), "text": "t" * n, "split": "valid" if n == 1 else "train", "language": None} for n in range(3)
    ]
    table = pa.concat_tables([documents(*rows[:2]), documents(*rows[2:])])  # two chunks
    samples = FileBuilder().render(table)
    assert samples["num_bytes"].to_pylist() == [0, 1, 2]
    assert samples["split"].to_pylist() == ["train", "valid", "train"]
    assert samples["language"].to_pylist() == [None, None, None]
    assert [segments[0]["text"] for segments in samples["segments"].to_pylist()] == ["", "t", "tt"]


@pytest.mark.parametrize("rows", [[], [{"doc_id": "a", "text": "a", "use": "context"}]])
def test_nothing_to_render_is_an_empty_table_of_samples(rows: list[dict[str, object]]):
    samples = FileBuilder().render(documents(*rows))
    assert (samples.num_rows, samples.schema) == (0, SAMPLE)


def test_more_columns_than_needed_do_no_harm():
    row = {"doc_id": "a", "text": "a", "category": "code", "split": "train", "use": "train", "path": "a.py"}
    assert FileBuilder().render(table_of([row], document_schema(DOCUMENT))).num_rows == 1


def test_identity_holds_all_that_samples_depend_on():
    assert FileBuilder(label="plain", seed=3).identity() == {
        "builder": "file",
        "label": "plain",
        "version": 5,
        "seed": 3,
        "config": {"fim": None},
    }
    assert FileBuilder().label == "file"
    assert isinstance(FileBuilder(), Builder)


def test_the_same_document_under_two_labels_is_two_samples():
    table = documents({"doc_id": "d1", "text": "x"})
    assert FileBuilder(label="a").render(table)["sample_id"] != FileBuilder(label="b").render(table)["sample_id"]


def test_an_unknown_key_is_refused():
    with pytest.raises(ConfigError, match=r"unknown key 'samples\.file\.rate'"):
        parse(FileConfig, {"rate": 0}, "samples.file")


def builder(label: str = "file", seed: int = 0, **fim: object) -> FileBuilder:
    return FileBuilder(parse(FileConfig, {"fim": fim}, "samples.file"), label=label, seed=seed)


def test_without_a_rate_above_nothing_every_sample_is_plain():
    table = documents({"doc_id": "a", "text": "x = 1\n"}, {"doc_id": "b", "text": ""})
    assert builder(rate=0.0).render(table).equals(FileBuilder().render(table))


LINES = {"rate": 1.0, "kinds": {"line": 1}, "min_chars": 1}


def test_a_document_with_a_hole_is_laid_out_and_never_cut():
    [row] = builder(layout="iquest", **LINES).render(documents({"doc_id": "d1", "text": "é = 1\n"})).to_pylist()
    assert [(segment["text"], segment["special"], segment["loss"]) for segment in row["segments"]] == [
        ("<|fim_prefix|>", True, True),
        ("", False, True),
        ("<|fim_suffix|>", True, True),
        ("", False, True),
        ("<|fim_middle|>", True, True),
        ("é = 1\n", False, True),
        ("<|im_end|>", True, True),
    ]
    assert (row["whole"], row["num_bytes"], row["parents"]) == (True, 7, ["d1"])
    assert row["fim"] == {
        "kind": "line", "mode": "psm", "start": 0, "middle_start": 0, "middle_end": 7, "end": 7, "missed": [],
        "left": None,
    }  # fmt: skip


def test_loss_on_the_middle_is_on_it_and_its_end_only():
    table = documents({"doc_id": "d", "text": "aa\nbb\ncc\n"})
    for layout in ("qwen2.5", "seed-coder"):
        [row] = builder(layout=layout, loss="middle", **LINES).render(table).to_pylist()
        fim = row["fim"]
        learned = [segment["text"] for segment in row["segments"] if segment["loss"]]
        assert learned == ["aa\nbb\ncc\n"[fim["middle_start"] : fim["middle_end"]], "<|endoftext|>"]
    [plain] = builder(loss="middle", rate=0.0).render(table).to_pylist()
    assert [segment["loss"] for segment in plain["segments"]] == [True, True]


def test_rate_and_share_of_spm_are_what_is_asked():
    table = documents(*({"doc_id": str(n), "text": "a\nb\nc\n"} for n in range(4_000)))
    found = builder(rate=0.25, layout="codellama", kinds={"line": 1}, min_chars=1).render(table)["fim"].to_pylist()
    modes = [record["mode"] for record in found if record]
    assert abs(len(modes) / 4_000 - 0.25) < 0.02
    assert abs(modes.count("spm") / len(modes) - 0.5) < 0.05
    only = builder(rate=0.25, layout="codellama", kinds={"line": 1}, min_chars=1, spm_share=1.0).render(table)
    assert {record["mode"] for record in only["fim"].to_pylist() if record} == {"spm"}


def test_why_a_document_stayed_plain_is_recorded():
    table = documents({"doc_id": "a", "text": ""}, {"doc_id": "b", "text": "x" * 3_000})
    config = {"kinds": {"line": 1, "block": 1}, "max_chars": 4_000, "long": "window"}
    rows = builder(rate=1.0, **config).render(table).to_pylist()
    assert [(row["fim"]["kind"], row["fim"]["left"], row["whole"]) for row in rows] == [
        (None, "no_hole", False),
        (None, "too_long", False),
    ]
    assert sorted(rows[0]["fim"]["missed"]) == ["block", "line"]
    assert [segment["text"] for segment in rows[1]["segments"]] == ["x" * 3_000, "<|endoftext|>"]


TEXTS_OF = {"psm": (1, 5, 3), "spm": (4, 5, 2)}  # where prefix, middle and suffix stand among the segments


def text_of(row: dict[str, object]) -> str:
    places = TEXTS_OF[row["fim"]["mode"]] if row["whole"] else (0,)
    return "".join(row["segments"][place]["text"] for place in places)


@pytest.mark.parametrize("rule", ["contexts", "window", "cut_suffix"])
@pytest.mark.parametrize("sides", [{}, {"max_prefix_bytes": 30, "max_suffix_bytes": 0}])
def test_a_long_document_gives_every_byte_once_in_samples_of_at_most_so_many(rule: str, sides: dict[str, int]):
    text = "".join(f"line {n} é\n" for n in range(200))
    table = documents(*({"doc_id": str(n), "text": text} for n in range(50)))
    config = {"kinds": {"line": 1}, "max_bytes": 100, "max_chars": 90, "layout": "codellama", "rate": 0.8}
    rows = builder(**config, long=rule, **sides).render(table).to_pylist()
    for doc_id in table["doc_id"].to_pylist():
        mine = [row for row in rows if row["parents"] == [doc_id]]
        assert "".join(map(text_of, mine)) == text
        assert sum(row["num_bytes"] for row in mine) == len(text.encode())
        ends = [row["segments"][-1]["text"] == "<|endoftext|>" for row in mine if not row["whole"]]
        assert ends[:-1] == [False] * (len(ends) - 1)  # only the last can end with the document
    assert len({row["sample_id"] for row in rows}) == len(rows)
    holed = [row for row in rows if row["whole"]]
    assert {"contexts": len(holed) > 900, "window": len(holed) > 30, "cut_suffix": 0 < len(holed) < 30}[rule]
    assert max(row["num_bytes"] for row in holed) <= 100
    assert {row["fim"]["left"] for row in rows if row["fim"]} >= {None, "rest"}


def test_of_a_long_document_the_rate_is_the_share_of_its_contexts():
    text = "".join(f"{n:07d}\n" for n in range(4_000))
    rows = builder(kinds={"line": 1}, rate=0.25, max_bytes=32).render(documents({"doc_id": "d", "text": text}))
    holed = rows.filter(rows["whole"])
    assert abs(sum(holed["num_bytes"].to_pylist()) / len(text) - 0.25) < 0.05


def test_held_out_documents_stay_plain_unless_asked_for_and_are_the_same_for_any_seed():
    table = documents(*({"doc_id": str(n), "text": "a = 1\nb = 2\n", "split": "valid"} for n in range(20)))
    assert builder(**LINES).render(table).equals(FileBuilder().render(table))
    found = [builder(label, seed, held_out=True, **LINES).render(table) for label, seed in (("a", 1), ("b", 2))]
    assert found[0]["whole"].to_pylist() == [True] * 20
    assert found[0]["segments"] == found[1]["segments"]


def test_samples_depend_on_the_document_alone():
    rows = [{"doc_id": str(n), "text": f"def f{n}(x):\n    return x + {n}\n"} for n in range(40)]
    whole = builder(rate=0.5).render(documents(*rows))
    apart = [builder(rate=0.5).render(documents(row)) for row in reversed(rows)]
    assert pa.concat_tables(reversed(apart)).combine_chunks().equals(whole.combine_chunks())
    assert not builder(rate=0.5, seed=1).render(documents(*rows)).equals(whole)


def test_the_grammars_are_part_of_the_identity_where_there_are_holes():
    assert "tree_sitter_python" in builder().identity()["grammars"]
    assert "grammars" not in FileBuilder().identity()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"rat": 1}, r"unknown key 'samples\.file\.fim\.rat'; did you mean 'rate'"),
        ({"rate": 1.5}, r"samples\.file\.fim\.rate: Input should be less than or equal to 1"),
        ({"layout": "qwen"}, r"samples\.file\.fim: there is no layout 'qwen'; .*qwen2\.5"),
        ({"spm_share": 0.5}, r"layout 'qwen2\.5': this layout has no order 'spm'"),
        ({"layout": "seed-coder", "spm_share": 0.5}, r"layout 'seed-coder': this layout has no order 'psm'"),
        ({"kinds": {"lines": 1}}, r"there is no kind 'lines'; did you mean 'line'"),
        ({"kinds": {"line": 0}}, "no kind has a weight above 0"),
        ({"min_chars": 20, "max_chars": 10}, "min_chars 20 is above max_chars 10"),
        ({"layout": "own"}, "`layout: own` and the mapping `own` belong together"),
        ({"own": {"psm": "PREFIX prefix SUFFIX suffix MIDDLE middle END"}}, "belong together"),
    ],
)
def test_a_wrong_request_fails_with_the_run_file(wrong: dict[str, object], why: str):
    with pytest.raises(ConfigError, match=why):
        builder(**wrong)


def test_an_own_layout_orders_as_it_says():
    own = {"psm": "prefix SUFFIX suffix MIDDLE middle END", "suffix": "<|reserved_0|>"}
    [row] = builder(layout="own", own=own, **LINES).render(documents({"doc_id": "d", "text": "x\n"})).to_pylist()
    assert [segment["text"] for segment in row["segments"]] == [
        "", "<|reserved_0|>", "", "<|fim_middle|>", "x\n", "<|endoftext|>"
    ]  # fmt: skip
