"""The `syntax` stage: columns, thresholds by language, refusals, fragments."""

from typing import Any

import pyarrow as pa
import pytest

from loopdata.cleaning.syntax import DEFAULT_SHARES, Syntax, SyntaxConfig
from loopdata.config import parse
from loopdata.errors import ConfigError
from loopdata.stage import Outcome
from loopdata.syntax.fragments import best_reading, dedented, without_output
from loopdata.syntax.parse import Limits

SCHEMA = pa.schema(
    [
        ("doc_id", pa.string()),
        ("parent", pa.string()),
        ("category", pa.string()),
        ("text", pa.large_string()),
        ("language", pa.string()),
    ]
)
NOTHING = (None,) * 7


def applied(*documents: tuple[str, str], parent: str | None = None, **config: Any) -> Outcome:
    """The stage over (language, text) documents with the ids 0, 1, …"""
    rows = [
        {"doc_id": str(at), "parent": parent, "category": "code", "text": text, "language": language}
        for at, (language, text) in enumerate(documents)
    ]
    return Syntax(parse(SyntaxConfig, config, "syntax")).apply(pa.Table.from_pylist(rows, schema=SCHEMA))


def found(outcome: Outcome) -> list[tuple[Any, ...]]:
    """The columns of the stage."""
    return [tuple(row.values())[len(SCHEMA) :] for row in outcome.kept.to_pylist()]


def test_the_columns_of_a_document():
    text = "import a\n# ab\nclass A:\n    def f(self):\n        pass\n"
    outcome = applied(("Python", text))
    assert found(outcome) == [(0.0, 1, 1, 4 / len(text), 1, 1, 1)]
    assert outcome.kept.column_names == [*SCHEMA.names, *Syntax.adds]
    assert outcome.fates == []


def test_without_a_grammar_every_column_is_null():
    assert found(applied(("COBOL", "x"), ("Unknown", "y"))) == [NOTHING, NOTHING]


def test_a_table_without_rows_gets_the_columns():
    assert applied().kept.column_names == [*SCHEMA.names, *Syntax.adds]


def test_a_share_on_the_threshold_is_kept_and_above_it_dropped():
    broken = ("JavaScript", "let = = 1;\n")  # one byte of eleven
    assert applied(broken, max_error_share=1 / 11).fates == []
    outcome = applied(broken, ("JavaScript", "let a = 1;\n"), max_error_share=1 / 12)
    (fate,) = outcome.fates
    assert fate._asdict() == {
        "subject": "0",
        "stage": "syntax",
        "fate": "dropped",
        "rule": "error_share",
        "value": 1 / 11,
        "threshold": 1 / 12,
        "ref": None,
        "details": "JavaScript",
    }
    assert outcome.kept["doc_id"].to_pylist() == ["1"]


def test_a_language_has_its_own_threshold_and_null_is_none():
    broken = "let = = 1;\n"
    both = (("JavaScript", broken), ("TypeScript", broken))
    assert [
        fate.subject for fate in applied(*both, max_error_share=0, max_error_share_of={"TypeScript": 0.5}).fates
    ] == ["0"]
    assert applied(both[0], max_error_share=None).fates == []
    assert applied(both[0], max_error_share=0, max_error_share_of={"JavaScript": None}).fates == []


def test_thresholds_of_a_run_file_lie_over_ours():
    shares = parse(SyntaxConfig, {"max_error_share_of": {"Python": 0.1, "C": 0.2}}, "syntax").max_error_share_of
    assert shares == DEFAULT_SHARES | {"Python": 0.1, "C": 0.2}


def test_a_language_without_a_grammar_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match="no grammar of 'Pyton'; did you mean 'Python'"):
        parse(SyntaxConfig, {"max_error_share_of": {"Pyton": 0.1}}, "syntax")


def test_a_refused_text_is_marked_with_null_columns_or_dropped_on_demand():
    outcome = applied(("Python", "x = 1\n"), max_bytes=5)
    assert found(outcome) == [NOTHING]
    assert [(fate.fate, fate.rule, fate.value, fate.threshold, fate.details) for fate in outcome.fates] == [
        ("marked", "parse_refused", 6, 5, "bytes")
    ]
    assert [fate.fate for fate in applied(("Python", "x = 1\n"), max_bytes=5, refused="drop").fates] == ["dropped"]


FRAGMENTS = {
    "Go": "x := 1\nfmt.Println(x)\n",
    "PHP": "$x = f($y);\nreturn $x;\n",
    "Java": "public int f() { return 1; }\n",
    "Python": "    x = 1\n    y = 2\n",
    "Rust": "fn f(&self) -> u8 { 1 }\n",
    "CSS": "color: red;\nmargin: 0;\n",
    "JSON": '"a": 1,\n"b": 2\n',
}


@pytest.mark.parametrize("language", FRAGMENTS)
def test_a_fragment_is_read_as_the_inside_of_something(language: str):
    assert best_reading(FRAGMENTS[language].encode(), language, Limits()) == 0.0


def test_only_what_was_born_from_another_is_a_fragment_by_default():
    pairs = ("JSON", FRAGMENTS["JSON"])
    assert [fate.rule for fate in applied(pairs, max_error_share=0.1).fates] == ["error_share"]
    assert applied(pairs, parent="page", max_error_share=0.1).fates == []
    assert applied(pairs, fragments="all", max_error_share=0.1).fates == []
    outcome = applied(pairs, parent="page", fragments="none", max_error_share=0.1)
    assert [fate.rule for fate in outcome.fates] == ["error_share"]


def test_a_broken_fragment_is_dropped_by_its_own_rule():
    (fate,) = applied(("Python", ") ] : this, that ( : and so on ) ]\n"), parent="page").fates
    assert (fate.rule, fate.threshold) == ("fragment_error_share", 0.3)


def test_prompts_and_common_indents_are_taken_away():
    assert without_output(b">>> x = 1\n>>> x\n1\n") == b"x = 1\nx\n"
    assert without_output(b"x = 1\n") == b"x = 1\n"
    assert dedented(b"    a\n\n      b\n") == b"a\n\n  b\n"
    assert dedented(b"a\n  b\n") == b"a\n  b\n"
    assert dedented(b"\n") == b"\n"


def test_the_same_table_gives_the_same_twice():
    documents = (("Python", "def f(:\n"), ("Rust", "fn f() {}\n"), ("COBOL", "x"))
    first, second = applied(*documents), applied(*documents)
    assert first.kept.equals(second.kept)
    assert first.fates == second.fates
