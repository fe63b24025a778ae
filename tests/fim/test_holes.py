"""Holes lie where their kind says, within their sizes, never inside a character, and depend on the document alone."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.fim.characters import Text
from loopdata.fim.draws import Draws
from loopdata.fim.holes import KINDS, Hole, Sizes, draw_hole
from loopdata.fim.layouts import OWN
from loopdata.fim.nodes import node_on
from loopdata.syntax.grammars import GRAMMARS
from loopdata.syntax.parse import parse
from loopdata.syntax.spans import LEVELS, spans

ANY = Sizes(1, 10_000)
PYTHON = """import os


def größe(x, y):
\tif x:
\t    return [x, "漢字", y]\r
    return os.path.join(x, y)


class A:
    def f(self): return größe(1, 2)
"""
SPELLINGS = [token for own in OWN.values() for token in (own.prefix, own.suffix, own.middle, own.end)]
WORDS = ["def f(x):\n", "    return x\n", "\tif x: y = (1\n", "\r\n", "größe", "漢", "🙂", "{", "}", ";\n", *SPELLINGS]


def holes(source: str, kind: str, count: int = 200, language: str | None = "Python", sizes: Sizes = ANY) -> list[str]:
    data = source.encode()
    drawn = [draw_hole(Text(data), language, {kind: 1}, sizes, Draws(0, "s", str(n))) for n in range(count)]
    return [data[hole.start : hole.end].decode() for hole in drawn if isinstance(hole, Hole)]


def test_characters_are_cut_at_every_place_and_nowhere_else() -> None:
    assert set(holes("aé漢", "char")) == {"a", "é", "漢", "aé", "é漢", "aé漢"}


def test_every_doubling_of_a_size_is_as_likely_and_every_place_of_it() -> None:
    found = holes("abc", "char", 9_000)
    sizes = Counter(map(len, found))
    assert [round(sizes[size] / 9_000, 1) for size in (1, 2, 3)] == [0.5, 0.3, 0.2]  # log2 of 2, 3/2 and 4/3 over 2
    assert [round(Counter(found)[text] / sizes[1], 1) for text in "abc"] == [0.3, 0.3, 0.3]
    lines = Counter(text.count("x") for text in holes("x\n" * 2_000, "line", 9_000))
    assert set(lines) == set(range(1, 13))
    assert [round(sum(lines[n] for n in range(first, 2 * first)) / 9_000, 1) for first in (1, 2, 4)] == [0.3, 0.3, 0.3]


def test_char_holds_to_the_largest_sizes_and_to_half_of_the_smallest() -> None:
    assert {len(text) for text in holes("x" * 50, "char", sizes=Sizes(6, 10))} == set(range(3, 11))
    assert {len(text) for text in holes("x" * 50, "char", sizes=Sizes(6, 10, 7))} == set(range(3, 8))
    assert set(holes("ab", "char", sizes=Sizes(6, 10))) == {"ab"}


def test_a_run_of_siblings_is_half_of_its_context_at_most_and_no_longer_than_a_span_may_be() -> None:
    source = "".join(f"f({n})\n" for n in range(10))  # 50 characters
    assert max(map(len, holes(source, "ast_span", 400))) == 24  # five calls, without the last line end
    assert max(map(len, holes(source, "ast_span", 400, sizes=Sizes(1, 10_000, 13)))) == 9
    assert holes("a(1)\n" + "b(2)", "ast_span", sizes=Sizes(5, 10_000)) == []  # of nine characters, four


def test_lines_are_whole_with_their_ends_and_begin_with_one_that_is_not_blank() -> None:
    assert set(holes("a\n\n  b\r\nc", "line")) == {
        "a\n", "a\n\n", "a\n\n  b\r\n", "a\n\n  b\r\nc", "  b\r\n", "  b\r\nc", "c"
    }  # fmt: skip


def test_lines_hold_to_their_sizes() -> None:
    text = "".join(f"{'x' * n}\n" for n in range(1, 30))
    found = {len(hole) for hole in holes(text, "line", sizes=Sizes(10, 20))}
    assert min(found) == 10
    assert max(found) == 20
    assert holes("short\n", "line", sizes=Sizes(7, 20)) == []
    assert holes("short\n", "line", 1, sizes=Sizes(6, 20)) == ["short\n"]


LEVELS_OF_PYTHON = {
    "function": {PYTHON[PYTHON.index("def gr") : PYTHON.index("\n\n\nclass")], "def f(self): return größe(1, 2)"},
    "function_body": {PYTHON[PYTHON.index("if x") : PYTHON.index("\n\n\nclass")], "return größe(1, 2)"},
    "block": {'return [x, "漢字", y]\r\n    return os.path.join(x, y)', "def f(self): return größe(1, 2)"},
}


@pytest.mark.parametrize("kind", ["expression", "statement", "block", "function", "function_body"])
def test_nodes_are_those_of_the_level(kind: str) -> None:
    level = {"function_body": "body"}.get(kind, kind)
    data = PYTHON.encode()
    wanted = {data[start:end].decode() for start, end in spans(parse(data, "Python")).on(LEVELS[level])}
    assert wanted
    assert set(holes(PYTHON, kind, 600)) == wanted


def test_a_node_on_a_level_that_bytes_seldom_hit_is_found_all_the_same() -> None:
    source = "".join(f"# {n * n} words, no call among them\n" for n in range(2_000)) + "f(1)\n"
    assert holes(source, "expression", 5) == ["f(1)"] * 5


def test_runs_of_siblings_are_neighbours_of_one_node() -> None:
    source = "a(1)\nb(2)\nc(3)\nd(4)\n"
    found = set(holes(source, "ast_span", 400))
    lines = source.splitlines()
    runs = {"\n".join(lines[first : last + 1]) for first in range(4) for last in (first, first + 1)}  # up to a half
    assert runs <= found
    assert found - runs <= {*"abcd1234", "(1)", "(2)", "(3)", "(4)", "(", ")"} | {
        text for line in lines for text in (line[1:3], line[2:4])
    }


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("char", "line")])
@pytest.mark.parametrize("language", [None, "Klingon", "Markdown"])
def test_without_a_grammar_or_a_node_there_is_no_hole(kind: str, language: str | None) -> None:
    text = Text(b" \n")
    assert draw_hole(text, language, {kind: 1}, ANY, Draws(0, "s", "d")) == (kind,)


def test_a_kind_that_is_not_there_is_noted_and_another_drawn() -> None:
    drawn = [
        draw_hole(Text(b"words\n"), None, {"function": 1, "block": 1, "line": 1, "char": 0}, ANY, Draws(0, "s", str(n)))
        for n in range(100)
    ]
    assert {(hole.kind, hole.missed) for hole in drawn if isinstance(hole, Hole)} == {
        ("line", ()),
        ("line", ("function",)),
        ("line", ("block",)),
        ("line", ("function", "block")),
        ("line", ("block", "function")),
    }


def test_kinds_are_drawn_by_weight() -> None:
    weights = {"char": 1, "line": 3, "statement": 0}
    drawn = [draw_hole(Text(b"a\nb\n"), "Python", weights, ANY, Draws(0, "s", str(n))) for n in range(4_000)]
    counts = Counter(hole.kind for hole in drawn if isinstance(hole, Hole))
    assert counts.keys() == {"char", "line"}
    assert abs(counts["line"] / 4_000 - 0.75) < 0.02


def test_an_empty_text_has_no_hole() -> None:
    assert draw_hole(Text(b""), "Python", {"char": 1}, ANY, Draws(0, "s", "d")) == ("char",)


def test_nothing_under_an_error_is_chosen_nor_what_holds_one() -> None:
    source = "x = f(1)\ndef g(:\n    return ((\ny = h(2)\n"
    tree = parse(source, "Python")
    assert tree.root.has_error
    every = set(spans(tree).on(LEVELS["expression"]))
    found = {
        node_on("expression", tree, (0, len(source)), Draws(0, "s", str(n)), lambda *span: True) for n in range(200)
    } - {None}
    assert found <= every
    assert (4, 8) in found
    for hole in holes(source, "ast_span", 100):
        assert "return" not in hole


def test_the_same_document_draws_the_same_hole_and_seeds_and_labels_others() -> None:
    def drawn(seed: int, label: str, doc_id: str) -> Hole:
        return draw_hole(Text(b"x" * 10_000), None, {"char": 1}, ANY, Draws(seed, label, doc_id))

    assert drawn(1, "a", "d") == drawn(1, "a", "d")
    assert len({drawn(1, "a", "d"), drawn(2, "a", "d"), drawn(1, "b", "d"), drawn(1, "a", "e")}) == 4


@settings(max_examples=150, deadline=None)
@given(
    words=st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=5)), max_size=20),
    language=st.sampled_from([*GRAMMARS, None]),
    low=st.integers(1, 6),
    doc_id=st.text(max_size=3),
)
def test_holes_of_any_text_have_their_size_and_cut_no_character(
    words: list[str], language: str | None, low: int, doc_id: str
) -> None:
    data = "".join(words).encode()
    for kind in KINDS:
        hole = draw_hole(Text(data), language, {kind: 1}, Sizes(low, 30), Draws(0, "s", doc_id))
        if isinstance(hole, Hole):
            middle = data[hole.start : hole.end].decode()
            assert (data[: hole.start].decode() + middle + data[hole.end :].decode()).encode() == data
            assert (0 if kind == "char" else low) <= len(middle) <= 30
