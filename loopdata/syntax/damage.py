"""How much of a text its grammar could not read.

Enters: a `Tree`. Leaves: bytes under ERROR nodes, MISSING nodes, and the share of the text that is lost. Where a
grammar loses its way near the top of a file (a macro that opens a brace), one ERROR holds all that follows, most of it
read well; so a whole comment, statement, block or definition inside an ERROR counts as read, and only what lies between
counts as lost. Descends only into children that tree-sitter marks with `has_error`, so that a text without errors costs
one look. Limit: a text in another language may hold pieces that happen to be statements of this one.
"""

from typing import NamedTuple

from tree_sitter import Node

from loopdata.syntax.node_kinds import UNITS, roles
from loopdata.syntax.parse import Tree


class Damage(NamedTuple):
    """`error_bytes` lie under ERROR nodes, `lost_bytes` in no whole statement there; `missing` tokens were invented."""

    error_bytes: int
    lost_bytes: int
    errors: int
    missing: int
    share: float  # of the text's bytes that is lost; an invented token, and an empty ERROR, count as one byte


def damage(tree: Tree) -> Damage:
    """Measure the damage of a tree."""
    root = tree.root
    if not root.has_error:
        return Damage(0, 0, 0, 0, 0.0)
    is_unit = roles(tree.language, UNITS)
    error_bytes = lost = empty = errors = missing = reached = 0
    pending: list[Node] = [root]
    while pending:
        node = pending.pop()
        if node.is_missing:
            missing += 1
            continue
        if node.is_error:
            size = node.end_byte - node.start_byte
            errors, lost = errors + 1, lost + size
            empty += size == 0
            if node.end_byte > reached:  # ERROR nodes may lie in each other
                error_bytes += node.end_byte - max(node.start_byte, reached)
                reached = node.end_byte
            read = [child for child in node.children if is_unit[child.kind_id]]
            lost -= sum([child.end_byte - child.start_byte for child in read])
        else:
            read = node.children
        pending += [child for child in read if child.has_error][::-1]  # one that is missing has an error too
    return Damage(error_bytes, lost, errors, missing, min(1.0, (lost + empty + missing) / max(len(tree.source), 1)))
