"""Exact dedup by tokens: copies but for white space and comments, and what has no tokens."""

from typing import Any

import pyarrow as pa
import pytest

from loopdata.cleaning.syntax import Syntax
from loopdata.dedup.exact import ExactConfig, ExactDedup
from loopdata.dedup.masked import MaskIdentifiers
from loopdata.dedup.semantic import SemanticDedup
from loopdata.dedup.token_ids import TokenIds, token_id
from loopdata.schema import table_of
from loopdata.stage import Fate, Step
from loopdata.syntax import grammars, parse
from tests.dedup.drive import SCHEMA, document, drive


def copies(*rows: dict[str, Any], **config: Any) -> dict[str, Fate]:
    stage = ExactDedup(ExactConfig(by="tokens", **config), label="again")
    return drive(stage, {"u": rows})[1]


def python(doc_id: str, text: str, **other: Any) -> dict[str, Any]:
    return document(doc_id, text, language="Python", **other)


def test_a_copy_but_for_white_space_and_comments_has_a_rule_of_its_own() -> None:
    fates = copies(
        python("a", "x = 1\n"), python("bb", "# note\nx  = 1\n"), python("cc", "x = 2\n"), python("dd", "x = 1\n")
    )
    assert {name: (fate.stage, fate.fate, fate.rule, fate.ref, fate.value) for name, fate in fates.items()} == {
        "bb": ("again", "dropped", "token_copy", "a", 3.0),
        "dd": ("again", "dropped", "token_copy", "a", 3.0),
    }


def test_a_copy_of_a_held_out_document_leaves_the_training_split() -> None:
    rows = [python("held", "x = 1\n", split="valid"), python("a", "x=1 #\n", repo="r"), python("b", "y\n", repo="r")]
    fates = copies(*rows)
    assert (fates["a"].fate, fates["a"].rule, fates["a"].ref) == ("dropped", "token_copy_of_held_out", "held")


def test_without_a_grammar_only_blank_lines_and_trailing_white_space_are_nothing() -> None:
    rows = [document(name, text, language="CMake") for name, text in (
        ("a", "k:\n  v: 1\n"), ("bb", "k:  \n\n  v: 1"), ("cc", "k:\nv: 1\n"), ("dd", "k:\n  v: 1 # c\n")
    )]  # fmt: skip
    assert {name: fate.ref for name, fate in copies(*rows).items()} == {"bb": "a"}


def test_files_of_comments_alone_are_told_apart() -> None:
    assert copies(python("a", "# one\n"), python("bb", "# two\n")) == {}
    assert list(copies(python("a", "# one\n"), python("bb", "# one\n\n"))) == ["bb"]


def test_no_language_and_no_text_pass() -> None:
    assert token_id(None, "Python") is None
    assert token_id(b"x", None) == token_id(b"x\n", "Unknown") != token_id(b"x", "Python")
    assert copies(python("a", "x") | {"text": None}, python("bb", "x") | {"text": None}) == {}


def test_a_refused_parse_falls_to_the_lines() -> None:
    text = b"x = 1  \n" * 200_000
    assert token_id(text, "Python") == token_id(text.replace(b"  ", b""), "Markdown")


def test_the_column_is_gone_behind_it_and_labels_can_be_told_apart() -> None:
    stage = ExactDedup(ExactConfig(by="tokens"), label="again")
    assert stage.removes == {"token_id"}
    assert [step.label for step in stage.before()] == ["again.ids"]
    assert ExactDedup().before() == ()


def test_behind_syntax_nothing_is_parsed_twice(monkeypatch: Any) -> None:
    table = table_of([python("a", "def f():\n    return 1\n")], SCHEMA).append_column(
        "parent", pa.nulls(1, pa.string())
    )
    table = Syntax().apply(table).kept

    def fail(*_: object) -> None:
        raise AssertionError("parsed again")

    monkeypatch.setattr(parse, "parse_anew", fail)
    (found,) = TokenIds().apply(table).kept["token_id"].to_pylist()
    assert len(found) == 32


@pytest.mark.parametrize("stage", [TokenIds(), MaskIdentifiers(), SemanticDedup()])
def test_another_grammar_makes_another_stage(stage: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stage.identity()
    monkeypatch.setattr(grammars, "versions", lambda: {"tree_sitter_python": "0"})
    assert stage.identity() != before
