"""Drawing a node of a syntax tree, or a run of sibling nodes, without walking the whole tree.

Enters: a `Tree`, random numbers, the sizes that are allowed. Leaves: the span of a node on a level (`node_on`), or of
neighbouring children of one node (`run_of_siblings`). A node is drawn by its size, as in AST-FIM (arXiv 2506.00204):
a byte is drawn, and one of the allowed nodes over it, so that it costs the depth of the tree and not its width; only
where sixteen bytes have found none are all nodes looked at, each as likely then. A run is drawn as there: a span of
random characters, snapped to the run of children of the node around it that overlaps it best (intersection over union);
of its size every doubling is as likely. Levels are those of `syntax.spans`, and no span lies under an error or holds
one. Limit: a byte between two nodes of a level, such as a blank line, draws a node around it or none.
"""

from collections.abc import Callable, Iterator
from functools import cache

from tree_sitter import Node, TreeCursor

from loopdata.fim.characters import Text
from loopdata.fim.draws import Draws
from loopdata.syntax.node_kinds import BODY_FIELD, SPANS, body_of, roles
from loopdata.syntax.parse import Tree
from loopdata.syntax.spans import BODY, FUNCTION, LEVELS, spans

TRIES = 16
Span = tuple[int, int]
Allowed = Callable[[int, int], bool]


def node_on(level: str, tree: Tree, within: Span, draws: Draws, allowed: Allowed) -> Span | None:
    """The span of a node on a level of `syntax.spans`, one that is `allowed`; None where there is none.

    Bytes are drawn `within` a span; that a node ends there too is for `allowed` to say.
    """
    wanted = LEVELS[level]
    for _ in range(TRIES if within[0] < within[1] else 0):
        offset = draws.between(within[0], within[1] - 1)
        found = [span for span, at in _over(tree, offset) if at == wanted and allowed(*span)]
        if found:
            return found[draws.below(len(found))]
    if wanted not in _levels(tree.language):
        return None
    every = [span for span in spans(tree, within).on(wanted) if allowed(*span)]
    return every[draws.below(len(every))] if every else None


@cache
def _levels(language: str) -> set[int]:
    """Levels that the tables of a language name; a body needs no entry of its own."""
    named = set(roles(language, SPANS))
    return named | {BODY} if FUNCTION in named else named


def _over(tree: Tree, offset: int) -> Iterator[tuple[Span, int]]:
    """Spans and levels of the nodes over a byte, from the root down, as `syntax.spans` gives them."""
    level_of = roles(tree.language, SPANS)
    body: int | None = None
    for node in _path(tree.root.walk(), offset):
        level = level_of[node.kind_id]
        if node.id == body:
            level = BODY
        elif level == FUNCTION:
            found = body_of(node, tree.language)
            if found is None and tree.language in BODY_FIELD:
                level = 0
            body = body if found is None else found.id
        if level and not node.has_error:
            yield (node.start_byte, node.end_byte), level


def _path(cursor: TreeCursor, offset: int) -> Iterator[Node]:
    """The nodes over a byte, from the root down to an error or a leaf."""
    while True:
        node = cursor.node
        assert node is not None  # a cursor always stands somewhere
        if node.is_error or not node.start_byte <= offset < node.end_byte:
            return
        yield node
        if cursor.goto_first_child_for_byte(offset) is None:
            return


def run_of_siblings(tree: Tree, text: Text, within: Span, draws: Draws, sizes: Span, allowed: Allowed) -> Span | None:
    """The span of a run of neighbouring children of one node; None where sixteen draws have given none. `sizes` are
    characters of what is drawn before it is snapped, at most as many as `within` has."""
    begin, end = map(text.char, within)
    low, high = max(sizes[0], 1), sizes[1]
    for _ in range(TRIES if low <= high else 0):
        size = draws.scaled_between(low, high)
        first = begin + draws.below(end - begin - size + 1)
        found = _snapped(tree, text.offset(first), text.offset(first + size))
        if found is not None and allowed(*found):
            return found
    return None


def _snapped(tree: Tree, start: int, end: int) -> Span | None:
    """The run of children of the smallest node around a span that overlaps it best, the node itself for a leaf."""
    around = [node for node in _path(tree.root.walk(), start) if node.end_byte >= end]
    if not around:
        return None
    node = around[-1]
    if node.child_count == 0:
        return None if node.has_error or node.is_error else (node.start_byte, node.end_byte)
    children = _children(node.walk(), start, end)
    firsts, lasts = children[:2], children[-2:]
    runs = [(a.start_byte, b.end_byte) for a in firsts for b in lasts if a.start_byte < b.end_byte]
    if not runs:
        return None
    best = max(runs, key=lambda run: (_overlap(run, (start, end)), run))
    damaged = any(child.has_error for child in children if best[0] <= child.start_byte < best[1])
    return None if damaged else best


def _children(cursor: TreeCursor, start: int, end: int) -> list[Node]:
    """The children of a node that share a byte with a span."""
    found: list[Node] = []
    inside = cursor.goto_first_child_for_byte(start) is not None
    while inside:
        node = cursor.node
        assert node is not None
        if node.start_byte >= end:
            break
        found.append(node)
        inside = cursor.goto_next_sibling()
    return found


def _overlap(run: Span, span: Span) -> float:
    """Intersection over union."""
    shared = min(run[1], span[1]) - max(run[0], span[0])
    return max(shared, 0) / (max(run[1], span[1]) - min(run[0], span[0]))
