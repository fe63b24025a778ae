"""Texts that say the same share an outline, whatever their white space and comments; others do not."""

import pytest

from loopdata.syntax.outline import outline
from loopdata.syntax.parse import Tree, parse_anew
from tests.syntax.snippets import SNIPPETS


def of(text: str, language: str) -> str | None:
    tree = parse_anew(text.encode(), language)
    assert isinstance(tree, Tree)
    return outline(tree)


SAME = [
    ("Python", "x = 1\n", "# why\n\nx  =  1   # because"),
    ("Python", "def f(a):\n  return a\n", "def f(a):\n        # note\n\n        return a"),
    ("Python", "f(a, b)\n", "f(\n    a,  # first\n    b\n)\n"),
    ("C", "int f(void) { return 1; }", "/* c */ int f ( void )\n{\n\treturn 1; // d\n}\n"),
    ("JavaScript", "f(a)\n", "f (\n a )\n"),
    ("Go", "package a\nfunc f() {}\n", "// c\npackage a\n\nfunc f() {\n}\n"),
    ("Shell", "echo a b\n", "# c\necho   a\tb  # d\n"),
]
OTHER = [
    ("Python", "if a:\n  b\n  c\n", "if a:\n  b\nc\n"),
    ("Python", "x = 'a b'\n", "x = 'a  b'\n"),
    ("Python", "x = f'{a} b'\n", "x = f'{a}  b'\n"),
    ("Python", '"""Words."""\n', '"""Other  words."""\n'),
    ("JavaScript", "function f() { return x }\n", "function f() { return\nx }\n"),
    ("JavaScript", "f(`${a} b`)\n", "f(`${a}b`)\n"),
    ("Shell", "echo a\nb\n", "echo a b\n"),
    ("Shell", 'echo "$a $b"\n', 'echo "$a$b"\n'),
    ("C", "int ab;", "int a b;"),
    ("C", "x = a - -b;", "x = a --b;"),
    ("C", "#define A 1\nint b;\n", "#define A 1 int b;\n"),
]


@pytest.mark.parametrize(("language", "left", "right"), SAME)
def test_white_space_and_comments_change_nothing(language: str, left: str, right: str) -> None:
    assert of(left, language) == of(right, language) is not None


@pytest.mark.parametrize(("language", "left", "right"), OTHER)
def test_what_means_something_else_is_something_else(language: str, left: str, right: str) -> None:
    assert of(left, language) != of(right, language)


@pytest.mark.parametrize("language", SNIPPETS)
def test_every_language_has_outlines_that_a_word_changes(language: str) -> None:
    text = SNIPPETS[language][0]
    at = max(place for place, letter in enumerate(text) if letter in "Aaxf1")
    assert of(text, language) == of(text + "\n\n", language) is not None
    assert of(text[:at] + "9" + text[at + 1 :], language) != of(text, language)


@pytest.mark.parametrize("text", ["", "\n \n", "# only\n# this\n"])
def test_a_text_without_words_has_none(text: str) -> None:
    assert of(text, "Python") is None
