"""How deep a tree goes, in nodes from the root to the deepest leaf, both included.

Enters: the root of a tree. Leaves: whether it goes deeper than a bound, or its depth. Both are iterative, so that no
depth can hurt. Limit: the depth costs a walk over every node, some half of a parse; the bound costs next to nothing,
since a node with few below it is not entered.
"""

from tree_sitter import Node


def is_deeper(root: Node, max_depth: int) -> bool:
    """Whether a leaf lies below a depth."""
    pending = [(root, 1)] if root.descendant_count > max_depth else []
    while pending:
        node, depth = pending.pop()
        if depth > max_depth:
            return True
        pending += [(child, depth + 1) for child in node.children if child.descendant_count > max_depth - depth]
    return False


def depth_of(root: Node) -> int:
    """The depth of a tree: 1 where the root is a leaf."""
    cursor = root.walk()
    down, along, up = cursor.goto_first_child, cursor.goto_next_sibling, cursor.goto_parent
    depth = deepest = 1
    while True:
        if down():
            depth += 1
            deepest = max(deepest, depth)
            continue
        while not along():
            if not up():
                return deepest
            depth -= 1
