"""What is counted in a file, and what is not."""

from tests.syntax.test_grammars import tree_of

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
    found = tree_of(TEXT, "Python").survey
    assert found._asdict() | {"depth": 0, "nodes": 0} == {
        "depth": 0,
        "nodes": 0,
        "functions": 2,
        "function_depth": 2,
        "classes": 2,
        "class_depth": 2,
        "comments": 1,
        "comment_bytes": 10,
        "imports": 2,
        "strings": 5,
        "string_bytes": len('"print(2)"' + '"x"' + '"y"' + "f\"a{'b'}\""),
        "assertions": 1,
        "placeholders": 1,
        "calls": 2,
        "prints": 1,
    }


def test_depth_counts_nodes_from_the_root_to_the_deepest_leaf():
    assert tree_of("", "Python").survey.depth == 1  # module
    assert tree_of("x\n", "Python").survey.depth == 3  # module, expression_statement, identifier


def test_a_type_of_haskell_is_no_function():
    assert tree_of("f :: Int -> Int -> Int\n", "Haskell").survey.functions == 0
