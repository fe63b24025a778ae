"""What a file is made of, found in its tree: functions, classes, comments, imports, strings, calls and more by role.

Enters: the root of a tree, and its language. Leaves: the nodes of each role, and a `Survey` that counts them. One query
finds all roles at once, in tree-sitter's own code: a step a node in Python took half as long again. Which node types
count is in the tables of `node_kinds`; counting from the tree and not from substrings, a `print` in a comment is no
print. Limit: a query loses what lies deeper than 65,535 nodes; the limits of `parse` stay below.
"""

from operator import attrgetter
from typing import NamedTuple

from tree_sitter import Node, QueryCursor

from loopdata.syntax.node_kinds import BODY_FIELD, body_of, query_of

Nodes = dict[str, list[Node]]  # by role, each in the order of the text


class Survey(NamedTuple):
    """Counts of nodes, sizes in bytes."""

    functions: int
    function_depth: int  # functions within functions: 1 where none contains another
    classes: int
    class_depth: int
    comments: int
    comment_bytes: int
    imports: int


def nodes_by_role(root: Node, language: str, wanted: tuple[str, ...]) -> Nodes:
    """The nodes of OUTLINE or of DETAILS; a role that a language lacks has none."""
    query = query_of(language, wanted)
    found = {} if query is None else QueryCursor(query).captures(root)
    nodes = {role: _in_order(found.get(role, [])) for role in wanted}
    if language in BODY_FIELD and "function" in nodes:
        nodes["function"] = [node for node in nodes["function"] if body_of(node, language) is not None]
    return nodes


def _in_order(nodes: list[Node]) -> list[Node]:
    """By start, the longer first; a query's captures come in the order of a hash table."""
    nodes.sort(key=attrgetter("end_byte"), reverse=True)
    nodes.sort(key=attrgetter("start_byte"))
    return nodes


def survey(nodes: Nodes) -> Survey:
    """Count what was found."""
    return Survey(
        len(nodes["function"]),
        nesting(nodes["function"]),
        len(nodes["class"]),
        nesting(nodes["class"]),
        len(nodes["comment"]),
        covered(nodes["comment"]),
        len(nodes["import"]),
    )


def nesting(nodes: list[Node]) -> int:
    """How many of these nodes lie within each other at most; they come in the order of the text."""
    ends: list[int] = []
    deepest = 0
    for node in nodes:
        start = node.start_byte
        while ends and ends[-1] <= start:
            ends.pop()
        ends.append(node.end_byte)
        deepest = max(deepest, len(ends))
    return deepest


def covered(nodes: list[Node]) -> int:
    """Bytes under these nodes, those under several counted once; they come in the order of the text."""
    total = reached = 0
    for node in nodes:
        end = node.end_byte
        if end > reached:
            total += end - max(node.start_byte, reached)
            reached = end
    return total
