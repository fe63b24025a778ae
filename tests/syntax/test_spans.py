"""Spans by level: exact ones of small texts, Python's against `ast`, and what must hold for any text."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopdata.syntax.grammars import GRAMMARS
from loopdata.syntax.parse import Tree, parse_anew
from loopdata.syntax.spans import BODY, CLASS, EXPRESSION, FUNCTION, STATEMENT, spans
from tests.syntax.snippets import SNIPPETS
from tests.syntax.test_grammars import tree_of

BODIES = {
    "C": "{ return x; }",
    "C#": "{ return x; }",
    "C++": "{ return x; }",
    "Go": "{ return x }",
    "Haskell": "= x + 1",
    "Java": "{ return x; }",
    "JavaScript": "{ return x; }",
    "Kotlin": "{\n    return x\n  }",
    "Lua": "return x",
    "PHP": "{ return $x; }",
    "Python": "pass",
    "Ruby": "x",
    "Rust": "{ x }",
    "Scala": "x",
    "Shell": "{ echo $1; }",
    "Swift": "{ return x }",
    "TSX": "{ return <p>{x}</p>; }",
    "TypeScript": "{ return x; }",
}


def texts(tree: Tree, level: int) -> list[str]:
    return [tree.source[start:end].decode() for start, end in spans(tree).on(level)]


@pytest.mark.parametrize("language", BODIES)
def test_the_body_of_a_function_is_found(language: str):
    assert texts(tree_of(SNIPPETS[language][0], language), BODY) == [BODIES[language]]


def test_every_level_of_a_python_text():
    tree = tree_of("class A:\n    def é(self):\n        return g(1) + 2\n", "Python")
    assert texts(tree, CLASS) == [tree.source.decode().strip()]
    assert texts(tree, FUNCTION) == ["def é(self):\n        return g(1) + 2"]
    assert texts(tree, BODY) == ["return g(1) + 2"]
    assert texts(tree, STATEMENT) == ["return g(1) + 2"]
    assert texts(tree, EXPRESSION) == ["g(1) + 2", "g(1)"]


def test_what_holds_an_error_gives_no_span():
    tree = tree_of("def f():\n    return 1\n\ndef g(:\n    pass\n", "Python")
    assert texts(tree, FUNCTION) == ["def f():\n    return 1"]


@pytest.mark.parametrize("module", [ast, pytest, st])
def test_functions_and_classes_of_python_lie_where_ast_sees_them(module: object):
    source = Path(module.__file__).read_bytes()  # type: ignore[attr-defined]
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    expected: dict[int, list[tuple[int, int]]] = {FUNCTION: [], CLASS: []}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            level = CLASS if isinstance(node, ast.ClassDef) else FUNCTION
            place = (starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset)
            expected[level].append(place)
    found = spans(tree_of(source.decode(), "Python"))
    assert found.on(FUNCTION) == sorted(expected[FUNCTION])
    assert found.on(CLASS) == sorted(expected[CLASS])


pieces = st.lists(
    st.sampled_from(
        ["é", "😀", "x", "1", " ", "\n", "(", ")", "{", "}", "'", '"', "#", "//", "def ", "class ", ";", "="]
    )
    | st.sampled_from([text for text, *_ in SNIPPETS.values()]),
    max_size=30,
)


@given(pieces, st.sampled_from(sorted(GRAMMARS)))
def test_spans_are_nested_or_disjoint_and_cut_no_character(parts: list[str], language: str):
    source = "".join(parts).encode()
    tree = parse_anew(source, language)
    if not isinstance(tree, Tree):
        return
    found = spans(tree)
    open_ends: list[int] = []
    for start, end in zip(found.starts.tolist(), found.ends.tolist(), strict=True):
        while open_ends and open_ends[-1] <= start:
            open_ends.pop()
        assert not open_ends or end <= open_ends[-1]
        open_ends.append(end)
        assert 0 <= start < end <= len(source)
        source[start:end].decode()


@pytest.mark.parametrize("within", [(0, 0), (0, 1), (9, 20), (30, 31), (40, 200)])
def test_within_a_part_of_a_text_the_spans_are_those_that_share_a_byte_with_it(within: tuple[int, int]) -> None:
    source = "def f(a, b):\n    if a:\n        return g(a + b)\n    return [b]\n\nclass C:\n    x = f(1, 2)\n"
    tree = tree_of(source, "Python")
    every, found = spans(tree), spans(tree, within)
    wanted = (every.starts < within[1]) & (every.ends > within[0])
    assert [part.tolist() for part in found] == [part[wanted].tolist() for part in every]
