"""Lexer tokens: their kinds in small texts, and that they cover any text without overlap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopdata.syntax.grammars import GRAMMARS
from loopdata.syntax.lexer import COMMENT, IDENTIFIER, LITERAL, OTHER, STRING, SYMBOL, tokens
from loopdata.syntax.parse import Tree, parse_anew
from tests.syntax.snippets import SNIPPETS
from tests.syntax.test_grammars import tree_of
from tests.syntax.test_spans import pieces


def cut(text: str, language: str) -> list[tuple[str, int]]:
    tree = tree_of(text, language)
    return [(tree.source[start:end].decode(), kind) for start, end, kind in zip(*tokens(tree), strict=True)]


def test_a_line_of_python():
    assert cut('return f(é, 1) # "a"\n', "Python") == [
        ("return", SYMBOL),
        ("f", IDENTIFIER),
        ("(", SYMBOL),
        ("é", IDENTIFIER),
        (",", SYMBOL),
        ("1", LITERAL),
        (")", SYMBOL),
        ('# "a"', COMMENT),
    ]


def test_a_string_is_one_token_and_one_with_code_in_it_is_cut():
    assert cut("x = `a b`;", "JavaScript")[2] == ("`a b`", STRING)
    assert cut('f"a{x}b"', "Python") == [
        ('f"', STRING),
        ("a", STRING),
        ("{", SYMBOL),
        ("x", IDENTIFIER),
        ("}", SYMBOL),
        ("b", STRING),
        ('"', STRING),
    ]


def test_what_no_node_shows_is_a_token_of_its_own():
    assert (";", OTHER) in cut("func f() { let y = 1; return y }", "Swift")


def test_an_empty_and_a_blank_text_have_no_tokens():
    assert cut("", "Python") == cut(" \n\t\n", "Python") == []


def check(source: bytes, language: str) -> None:
    tree = parse_anew(source, language)
    if not isinstance(tree, Tree):
        return
    found = tokens(tree)
    covered = bytearray(source)
    reached = 0
    for start, end in zip(found.starts.tolist(), found.ends.tolist(), strict=True):
        assert reached <= start < end
        covered[start:end] = b" " * (end - start)
        reached = end
    assert not covered.strip()


@pytest.mark.parametrize("language", GRAMMARS)
def test_the_tokens_of_a_snippet_cover_it(language: str):
    check(SNIPPETS[language][0].encode(), language)


@given(pieces, st.sampled_from(sorted(GRAMMARS)))
def test_tokens_are_in_order_do_not_overlap_and_cover_all_that_is_not_blank(parts: list[str], language: str):
    check("".join(parts).encode(), language)
