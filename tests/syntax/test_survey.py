"""What is counted in a file, and what is not; the query finds what a walk over every node finds."""

from pathlib import Path

import pytest
import tree_sitter
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.syntax.grammars import GRAMMARS
from loopdata.syntax.language_names import of_path
from loopdata.syntax.node_kinds import DETAILS, OUTLINE, roles
from loopdata.syntax.parse import Limits, Tree, parse_anew
from loopdata.syntax.survey import Survey, survey
from tests.syntax.snippets import BROKEN, NESTED, SNIPPETS
from tests.syntax.test_grammars import tree_of
from tests.syntax.test_spans import pieces

ROLES = (*OUTLINE, *DETAILS)
TEXT = """\
# print(1)
import a, b
from c import d
class A:
    class B:
        def f(self):
            def g():
                pass
            assert g, "print(2)"
            print("x")
            printer("y")
            return f"a{'b'}"
"""


def test_a_python_file_is_counted_from_its_tree():
    tree = tree_of(TEXT, "Python")
    assert survey(tree.outline) == Survey(
        functions=2, function_depth=2, classes=2, class_depth=2, comments=1, comment_bytes=10, imports=2
    )
    texts = {role: [node.text.decode() for node in nodes if node.text] for role, nodes in tree.details.items()}
    assert texts == {
        "string": ['"print(2)"', '"x"', '"y"', "f\"a{'b'}\"", "'b'"],
        "assertion": ['assert g, "print(2)"'],
        "placeholder": ["pass"],
        "call": ['print("x")', 'printer("y")'],
        "return": ["return f\"a{'b'}\""],
    }


def test_a_type_of_haskell_is_no_function():
    assert survey(tree_of("f :: Int -> Int -> Int\n", "Haskell").outline).functions == 0


@pytest.mark.parametrize("language", NESTED)
def test_functions_and_classes_within_each_other(language: str):
    text, *counts = NESTED[language]
    found = survey(tree_of(text, language).outline)
    assert [found.functions, found.function_depth, found.classes, found.class_depth] == counts


def test_what_begins_together_nests_by_length():
    found = survey(tree_of("x => y => z;\na => b;\nc => d;\n", "JavaScript").outline)
    assert (found.functions, found.function_depth) == (4, 2)
    found = survey(tree_of("(() => {})(() => {}); () => {}", "JavaScript").outline)
    assert (found.functions, found.function_depth) == (3, 1)


def of_a_walk(tree: Tree) -> dict[str, list[tuple[int, int]]]:
    """The spans of every role, by looking at each node."""
    role_of = roles(tree.language, ROLES)
    found: dict[str, list[tuple[int, int]]] = {role: [] for role in ROLES}
    pending: list[tree_sitter.Node] = [tree.root]
    while pending:
        node = pending.pop()
        role = ROLES[role_of[node.kind_id] - 1] if role_of[node.kind_id] else None
        if role and (role != "function" or tree.language != "Haskell" or node.child_by_field_name("match")):
            found[role].append((node.start_byte, node.end_byte))
        pending += node.children
    return {role: sorted(spans, key=lambda span: (span[0], -span[1])) for role, spans in found.items()}


def of_a_query(tree: Tree) -> dict[str, list[tuple[int, int]]]:
    both = tree.outline | tree.details
    return {role: [(node.start_byte, node.end_byte) for node in nodes] for role, nodes in both.items()}


@settings(deadline=None)  # the first of a language loads its grammar
@given(pieces, st.sampled_from(sorted(GRAMMARS)))
def test_a_query_finds_what_a_walk_finds(parts: list[str], language: str):
    tree = parse_anew("".join(parts).encode(), language)
    if isinstance(tree, Tree):
        assert of_a_query(tree) == of_a_walk(tree)


@pytest.mark.parametrize("language", GRAMMARS)
def test_a_query_finds_what_a_walk_finds_in_every_language(language: str):
    for text in (SNIPPETS[language][0], BROKEN.get(language, ("", 0))[0]):
        tree = tree_of(text, language)
        assert of_a_query(tree) == of_a_walk(tree)


def test_a_query_finds_what_a_walk_finds_in_real_files():
    seen = set()
    for path in sorted(Path(pytest.__file__).parents[1].glob("*/*"))[::10]:
        language = of_path(path.name)
        if language in GRAMMARS and path.is_file() and path.stat().st_size < 50_000:
            tree = parse_anew(path.read_bytes().decode("utf-8", "ignore").encode(), language)
            if isinstance(tree, Tree):
                assert of_a_query(tree) == of_a_walk(tree), path
                seen.add(language)
    assert "Python" in seen


def test_a_query_loses_nothing_at_the_deepest_that_may_be_parsed():
    depth = 20_000
    source = ("x = " + "".join(f"f{number}(" for number in range(depth)) + "'end'" + ")" * depth).encode()
    tree = parse_anew(source, "Python", Limits(max_depth=60_000))
    assert isinstance(tree, Tree)
    assert len(tree.details["call"]) == depth
    assert [node.start_byte for node in tree.details["string"]] == [source.index(b"'")]
