"""Byte spans of a file's nodes by level: expression, statement, block, class, function body, function.

Enters: a `Tree`. Leaves: `Spans`, arrays of offsets and levels in the order of the text, outer before inner. Which node
types stand on which level is in the tables of `node_kinds`; a function's body is its field `body` where the grammar has
one. Spans are those of nodes, so that any two are nested or disjoint, and none cuts a character. A node under an ERROR
gives no span, nor does one that holds an error. One iterative walk. Limit: a language without a table, or without
functions in it, has none on that level.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from loopdata.syntax.node_kinds import BODY_FIELD, SPANS, body_of, roles
from loopdata.syntax.parse import Tree

NONE, FUNCTION, BODY, CLASS, BLOCK, STATEMENT, EXPRESSION = range(len(SPANS) + 1)
LEVELS = {name: level for level, name in enumerate(SPANS, start=1)}


class Spans(NamedTuple):
    """Span i is `source[starts[i]:ends[i]]` on the level `levels[i]` (FUNCTION, BODY, CLASS, BLOCK, …)."""

    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    levels: npt.NDArray[np.uint8]

    def on(self, level: int) -> list[tuple[int, int]]:
        """The spans of one level."""
        chosen = self.levels == level
        return list(zip(self.starts[chosen].tolist(), self.ends[chosen].tolist(), strict=True))


def spans(tree: Tree, within: tuple[int, int] | None = None) -> Spans:
    """Every span of a tree that is longer than nothing; of those that share a byte with `within`, where it is given."""
    found = np.array(_walk(tree, *(within or (0, len(tree.source)))), np.int32).reshape(-1, 3)
    found = found[found[:, 1] > found[:, 0]]
    return Spans(found[:, 0], found[:, 1], found[:, 2].astype(np.uint8))


def _walk(tree: Tree, start: int, end: int) -> list[tuple[int, int, int]]:
    level_of = roles(tree.language, SPANS)
    cursor = tree.root.walk()
    down, along, up = cursor.goto_first_child, cursor.goto_next_sibling, cursor.goto_parent
    found: list[tuple[int, int, int]] = []
    bodies: set[int] = set()  # ids of nodes that are the body of a function
    while True:
        node = cursor.node
        assert node is not None  # a cursor always stands somewhere
        level = level_of[node.kind_id]
        if node.id in bodies:
            level = BODY
        elif level == FUNCTION:
            body = body_of(node, tree.language)
            if body is not None:
                bodies.add(body.id)
            elif tree.language in BODY_FIELD:
                level = NONE
        first, last = node.start_byte, node.end_byte
        if level and not node.has_error and last > start and first < end:
            found.append((first, last, level))
        if last > start and first < end and not node.is_error and down():
            continue
        while not along():
            if not up():
                return found
