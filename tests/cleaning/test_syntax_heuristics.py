"""Rules on trees: each with a hit, a near miss and its boundary; nothing is counted from substrings."""

import pytest

from loopdata.cleaning.syntax import Syntax, SyntaxConfig
from loopdata.cleaning.syntax_heuristics import MEASURES, SyntaxHeuristics, SyntaxHeuristicsConfig
from loopdata.stage import Fate
from loopdata.syntax import parse
from tests.cleaning.rule_case import documents, hit, syntax_heuristics

# rule, threshold: a text beyond it and its value, then texts that are kept: on the threshold, and what only looks alike
PYTHON: list[tuple[str, float, str, float, list[str]]] = [
    ("max_error_share", 0.1, "x = = 1\n", 1 / 8, ["x = 1\n", "x = = 123\n"]),
    ("max_comments", 0.5, "# abcd\nx\n", 2 / 3, ["# ab\nx=1", "x = '# abcdefgh'\n", ""]),
    ("min_comments", 0.5, "#\nx=1\n", 1 / 6, ["# a\nxy"]),
    ("max_plain_comments", 0.5, "# abcd\nx\n", 2 / 3, ["# ab\nx=1", "'abcdefgh'\nx\n"]),
    ("max_strings", 0.5, "x = 'abcd'", 6 / 10, ["x = 'ab'", "# 'abcdefgh'\nx = 1"]),
    ("max_asserts", 0.5, "assert a\nself.assertEqual(a, b)\nx\n", 2 / 3, ["assert a\nx\n", "# assert\nx = 'assert'\n"]),
    ("max_todos", 0.5, "# TODO: a\n# fixme\nx\n", 2 / 3, ["# todo\nx\n", "todo = 1\nfixme = 'TODO'\n", "# todos\n"]),
    (
        "max_imports",
        0.5,
        "import a\nimport b\nx\n",
        2 / 3,
        ["import a\nx\n", "important = 1\n# import a\n'import b'\n"],
    ),
    ("max_import_text", 0.5, "import a\nx\n", 8 / 11, ["import a\nx = 12\n", "'docs'\nimport a\nx\n"]),
    ("max_passes", 0.5, "pass\npass\nx\n", 2 / 3, ["pass\nx\n", "password = 1\nbypass(passes)\n# pass\n"]),
    ("max_prints", 0.5, "print(1)\nprint(2)\nx\n", 2 / 3, ["print(1)\nx\n", "# print\nblueprint(1)\nprinter(2)\n"]),
    (
        "max_trivial_functions",
        0.5,
        "def f(): return 1\ndef g(x): return x\nx\n",
        2 / 3,
        ["def f():\n    return 1\n", "def f():\n    x = 1\n    return x\n", "def f(): pass\ndef g(): return_(1)\n"],
    ),
    (
        "max_no_logic",
        1.0,
        "import a\nclass A:\n    b = 1\n    c: int\n    def f(self): return a\n",
        1.2,
        ["import a\nclass A:\n    b = 1\n", "if a:\n    b = 1\n    f(b)\n"],
    ),
]


@pytest.mark.parametrize(("rule", "threshold", "text", "value", "kept"), PYTHON, ids=[rule[0] for rule in PYTHON])
def test_a_rule_hits_beyond_its_threshold(
    rule: str, threshold: float, text: str, value: float, kept: list[str]
) -> None:
    found = hit(syntax_heuristics(documents(text), **{rule: threshold}))
    assert found == (rule, pytest.approx(value), threshold)
    for near in kept:
        assert hit(syntax_heuristics(documents(near), **{rule: threshold})) is None, near


def test_every_measure_has_a_test() -> None:
    assert {rule[0][4:] for rule in PYTHON} == set(MEASURES)


def measured(rule: str, text: str, language: str = "Python") -> float:
    """What the measure of a rule says of a text."""
    found = hit(syntax_heuristics(documents(text, language=language), **{f"max_{rule}": -1}))
    assert found is not None and found[1] is not None
    return found[1]


def test_a_statement_of_several_lines_is_several_lines() -> None:
    assert measured("imports", "from a import (\n    b,\n    c,\n)\nx = 1\n") == 4 / 5
    assert measured("imports", "import a; import b\nx = 1\n") == 1 / 2


def test_lines_of_code_are_those_without_blanks_comments_and_docstrings() -> None:
    text = '"""Says\n\nmuch."""\n\nimport a  # why\n# more\n\nx = """\n# no comment\n"""\n'
    assert measured("imports", text) == 1 / 4


def test_docstrings_are_comments_and_no_strings() -> None:
    text = "'''of a module'''\nclass A:\n    'of a class'\n    def f(self):\n        # why\n        'of a function'\n"
    texts = ("'''of a module'''", "'of a class'", "# why", "'of a function'")
    assert measured("comments", text) == sum(map(len, texts)) / len(text)
    assert measured("strings", text) == 0
    assert measured("comments", "x = 1\n'no docstring'\n") == 0


def test_shares_are_of_characters_and_not_of_bytes() -> None:
    assert measured("comments", "# éé中\nxy\n") == 5 / 9
    assert measured("strings", "x = 'é中'\n") == 4 / 9


@pytest.mark.parametrize(
    ("language", "text", "share"),
    [
        ("C", '#include <a.h>\n#include "b.h"\nint x;\nint y;\n', 1 / 2),
        ("Java", "import a.b;\nclass A { String s = \"import c;\"; }\n", 1 / 2),
        ("TypeScript", "import {\n  a,\n} from 'b';\nlet x = 1;\n", 3 / 4),
        ("Go", 'package p\nimport (\n\t"fmt"\n\t"os"\n)\n', 2 / 5),
        ("Rust", "use a::b;\nfn f() {}\n", 1 / 2),
    ],
)  # fmt: skip
def test_imports_of_other_languages(language: str, text: str, share: float) -> None:
    assert measured("imports", text, language) == share


def test_a_language_without_a_grammar_has_no_values() -> None:
    assert hit(syntax_heuristics(documents("x\n", language="COBOL"), max_comments=-1)) is None
    assert hit(syntax_heuristics(documents("x\n", language=None), max_comments=-1)) is None


def test_a_refused_text_has_no_values() -> None:
    assert hit(syntax_heuristics(documents("x = 1\n" * 10_000), max_comments=-1)) is None


def test_the_first_rule_that_hits_ends_a_document_and_thresholds_differ_by_language() -> None:
    outcome = syntax_heuristics(documents("# a\npass\n", "x = 1\n"), max_passes=0, max_comments={"Python": 0.2})
    assert outcome.fates == [
        Fate("0", "syntax_heuristics", "dropped", "max_comments", 3 / 9, 0.2, details="Python"),
    ]
    assert outcome.kept["doc_id"].to_pylist() == ["1"]
    assert hit(syntax_heuristics(documents("# a\npass\n"), max_comments={"else": 0.2, "Python": None})) is None


def test_an_empty_table_stays_empty() -> None:
    assert syntax_heuristics(documents(), preset="opencoder").kept.num_rows == 0


def test_it_stands_behind_syntax_and_parses_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ast_error_share" in SyntaxHeuristics.needs
    parsed: list[bytes] = []
    anew = parse.parse_anew

    def counted(source: bytes, language: str, limits: parse.Limits) -> object:
        parsed.append(source)
        return anew(source, language, limits)

    monkeypatch.setattr(parse, "parse_anew", counted)
    syntax_heuristics(documents("x = 1\n", "y = 2\n"), preset="opencoder")
    assert parsed == [b"x = 1\n", b"y = 2\n"]
    parsed.clear()
    table = Syntax(SyntaxConfig(max_bytes=7)).apply(documents("x = 1\n", "y = 234\n")).kept
    config = SyntaxHeuristicsConfig(preset="none", rules={"max_comments": -1})
    assert [fate.subject for fate in SyntaxHeuristics(config).apply(table).fates] == ["0"]
    assert parsed == [b"x = 1\n", b"y = 234\n"]


@pytest.mark.parametrize(
    ("limits", "ended"), [({"max_bytes": 6}, ["0"]), ({"max_bytes": 5}, []), ({"max_depth": 3}, [])]
)
def test_what_may_be_parsed_is_configured_as_in_syntax(limits: dict[str, int], ended: list[str]) -> None:
    table = Syntax(SyntaxConfig()).apply(documents("x = 1\n")).kept
    config = SyntaxHeuristicsConfig(preset="none", rules={"max_comments": -1}, **limits)
    assert [fate.subject for fate in SyntaxHeuristics(config).apply(table).fates] == ended
