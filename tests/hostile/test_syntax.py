"""Hostile texts end: a tree that everything can walk or a named refusal, the same twice, and the process lives."""

import pytest

from loopdata.syntax.damage import damage
from loopdata.syntax.lexer import tokens
from loopdata.syntax.parse import Refusal, parse_anew
from loopdata.syntax.spans import spans
from loopdata.syntax.survey import survey
from tests.hostile.texts import CASES

REFUSED = {
    "deep_parentheses": "repetition",
    "deep_calls": "depth",
    "deep_json": "depth",
    "deep_blocks": "depth",
    "deep_elements": "repetition",
    "long_sum": "depth",
    "long_members": "depth",
    "unary_chain": "repetition",
    "open_generics": "angles",
    "arrow_assignments": "repetition",
    "arrows_of_java": "repetition",
    "openers_10_mb": "bytes",
    "quotes_1_mb": "repetition",
    "arrows": "depth",
    "ternaries": "work",
    "nested_comments": "work",
    "unterminated_literal": "depth",
    "deep_indents_of_yaml": "indents",
    "dashes_of_yaml": "indents",
    "open_flows_of_yaml": "indents",
}


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_text_gives_the_same_tree_or_refusal_twice(name: str):
    language, text = CASES[name]
    source = text.encode()
    first, second = (parse_anew(source, language) for _ in range(2))
    if isinstance(first, Refusal):
        assert first == second
        assert first.reason == REFUSED.get(name)
        return
    assert name not in REFUSED
    assert not isinstance(second, Refusal)
    assert first.work == second.work
    assert survey(first.outline) == survey(second.outline)
    assert damage(first) == damage(second)
    assert len(tokens(first).starts) >= (1 if text.strip() else 0)
    assert spans(first).ends.max(initial=0) <= len(source)


def test_ten_thousand_functions_are_ten_thousand():
    language, text = CASES["functions"]
    found = parse_anew(text.encode(), language)
    assert not isinstance(found, Refusal)
    assert survey(found.outline).functions == 10_000
