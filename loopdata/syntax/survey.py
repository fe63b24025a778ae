"""What a file is made of, counted from its tree: functions, classes, comments, imports, strings, and how deep it goes.

Enters: the root of a tree. Leaves: a `Survey`. One iterative walk with a cursor sees every node once, so that neither
depth nor width can hurt; which node types count is in the tables of `node_kinds`. Counting from the tree and not from
substrings, a `print` in a comment is no print. Limit: a call prints where its text begins with `print`, whatever that
name is bound to.
"""

import re
from typing import NamedTuple

from tree_sitter import Node

from loopdata.syntax.node_kinds import BODY_FIELD, FEATURES, body_of, roles

COMMENT, FUNCTION, CLASS, IMPORT, STRING, ASSERTION, PLACEHOLDER, CALL, RETURN = range(1, len(FEATURES) + 1)
PRINTS = re.compile(rb"print\b")


class Survey(NamedTuple):
    """Counts of nodes, sizes in bytes. `depth` counts nodes from the root to the deepest leaf, both included."""

    depth: int
    nodes: int
    functions: int
    function_depth: int  # functions within functions: 1 where none contains another
    classes: int
    class_depth: int
    comments: int
    comment_bytes: int
    imports: int
    strings: int
    string_bytes: int
    assertions: int
    placeholders: int  # `pass`
    calls: int
    prints: int


class Features(NamedTuple):
    """What one walk over all nodes finds: depth, and the nodes of each role in the order of the text."""

    depth: int
    nodes: tuple[list[Node], ...]  # by role: COMMENT, FUNCTION, …


def features(root: Node, language: str) -> Features:
    """Walk a tree once."""
    depth, found = walk(root, roles(language, FEATURES))
    nodes: tuple[list[Node], ...] = tuple([] for _ in range(len(FEATURES) + 1))
    for role, node in found:
        nodes[role].append(node)
    if language in BODY_FIELD:
        nodes[FUNCTION][:] = [node for node in nodes[FUNCTION] if body_of(node, language) is not None]
    return Features(depth, nodes)


def survey(found: Features, root: Node, source: bytes) -> Survey:
    """Count what was found. `source` is the text that the tree was made from."""
    nodes = found.nodes
    return Survey(
        found.depth,
        root.descendant_count,
        len(nodes[FUNCTION]),
        nesting(nodes[FUNCTION]),
        len(nodes[CLASS]),
        nesting(nodes[CLASS]),
        len(nodes[COMMENT]),
        covered(nodes[COMMENT]),
        len(nodes[IMPORT]),
        len(nodes[STRING]),
        covered(nodes[STRING]),
        len(nodes[ASSERTION]),
        len(nodes[PLACEHOLDER]),
        len(nodes[CALL]),
        sum(bool(PRINTS.match(source, node.start_byte)) for node in nodes[CALL]),
    )


def walk(root: Node, role_of: bytes) -> tuple[int, list[tuple[int, Node]]]:
    """Depth of the tree, and the nodes that have a role, in the order of the text."""
    cursor = root.walk()
    down, along, up = cursor.goto_first_child, cursor.goto_next_sibling, cursor.goto_parent
    found: list[tuple[int, Node]] = []
    depth = deepest = 1
    while True:
        node = cursor.node
        role = role_of[node.kind_id]  # type: ignore[union-attr]
        if role:
            found.append((role, node))  # type: ignore[arg-type]
        if down():
            depth += 1
            if depth > deepest:
                deepest = depth
            continue
        while not along():
            if not up():
                return deepest, found
            depth -= 1


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
