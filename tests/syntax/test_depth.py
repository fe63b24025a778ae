"""How deep a tree goes: nodes from the root to the deepest leaf."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.syntax.depth import depth_of, is_deeper
from loopdata.syntax.grammars import GRAMMARS
from loopdata.syntax.parse import Tree, parse_anew
from tests.syntax.test_grammars import tree_of
from tests.syntax.test_spans import pieces


@pytest.mark.parametrize(("text", "depth"), [("", 1), ("x\n", 3), ("x = (((1)))\n", 7), ("x = (((1)))\ny\n", 7)])
def test_the_deepest_leaf_counts(text: str, depth: int) -> None:
    root = tree_of(text, "Python").root
    assert depth_of(root) == depth
    assert is_deeper(root, depth - 1)
    assert not is_deeper(root, depth)


@settings(deadline=None)  # the first of a language loads its grammar
@given(pieces, st.sampled_from(sorted(GRAMMARS)))
def test_the_bound_agrees_with_the_depth(parts: list[str], language: str) -> None:
    tree = parse_anew("".join(parts).encode(), language)
    if isinstance(tree, Tree):
        depth = depth_of(tree.root)
        assert [is_deeper(tree.root, bound) for bound in (depth - 1, depth)] == [True, False]
