"""The lexer tokens of a file, from its tree: what a reader of that language sees as one word.

Enters: a `Tree`. Leaves: `Tokens`, arrays of byte offsets and kinds, in the order of the text, without overlap, over
every byte that is not blank. A comment, a string without interpolation and any other literal is one token. Text that
the grammar reads but shows no node for becomes a token of the kind OTHER. One iterative walk with a cursor. Limit:
whether a bare word is a keyword or an operator is not told apart: both are symbols that stand for themselves.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from loopdata.syntax.node_kinds import LEXEMES, roles
from loopdata.syntax.parse import Tree

_, COMMENT, STRING, _INTERPOLATION, LITERAL, IDENTIFIER, _STRING_PART = range(len(LEXEMES) + 1)  # roles, and kinds
SYMBOL, OTHER = 0, 7
_WHOLE = frozenset({COMMENT, STRING, LITERAL})
_KIND_OF_LEAF = (SYMBOL, COMMENT, STRING, IDENTIFIER, LITERAL, IDENTIFIER, STRING)
_BLANK = np.zeros(256, np.bool_)
_BLANK[list(b" \t\n\r\v\f")] = True


class Tokens(NamedTuple):
    """Token i is `source[starts[i]:ends[i]]` of kind `kinds[i]`: SYMBOL, COMMENT, STRING, LITERAL, …"""

    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    kinds: npt.NDArray[np.uint8]


def tokens(tree: Tree) -> Tokens:
    """Cut a text into lexer tokens."""
    found = np.array(_leaves(tree), np.int32).reshape(-1, 3)
    starts, ends, kinds = found[:, 0], found[:, 1], found[:, 2]
    # A leaf may begin before the one before it ends where a grammar reads a text twice (heredocs).
    starts = np.maximum(starts, np.concatenate([[0], np.maximum.accumulate(ends)[:-1]])) if len(ends) else starts
    seen = _seen_before(tree.source)
    real = (starts < ends) & (seen[np.maximum(starts, ends)] > seen[starts])
    starts, ends, kinds = starts[real], ends[real], kinds[real]
    gap_starts, gap_ends = np.append(0, ends), np.append(starts, len(tree.source))
    gaps = seen[gap_ends] > seen[gap_starts]
    return _with_gaps((starts, ends, kinds), _trimmed(gap_starts[gaps], gap_ends[gaps], seen))


def _with_gaps(
    found: tuple[npt.NDArray[np.int32], ...], gaps: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
) -> Tokens:
    """The tokens and the gaps between them in order."""
    starts, ends = (np.concatenate([found[side], gaps[side]]) for side in (0, 1))
    kinds = np.concatenate([found[2], np.full(len(gaps[0]), OTHER)])
    order = np.argsort(starts, kind="stable")
    return Tokens(starts[order].astype(np.int32), ends[order].astype(np.int32), kinds[order].astype(np.uint8))


def _seen_before(source: bytes) -> npt.NDArray[np.int64]:
    """How many bytes that are not blank lie before each offset."""
    solid = ~_BLANK[np.frombuffer(source, np.uint8)]
    return np.concatenate([[0], np.cumsum(solid)])


def _trimmed(
    starts: npt.NDArray[np.intp], ends: npt.NDArray[np.intp], seen: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Gaps without the blanks at both ends."""
    first = np.searchsorted(seen, seen[starts], side="right") - 1
    last = np.searchsorted(seen, seen[ends], side="left")
    return np.maximum(first, starts), np.minimum(last, ends)


def _leaves(tree: Tree) -> list[tuple[int, int, int]]:
    """Start, end and kind of every leaf, and of every node that is one token whatever lies in it."""
    role_of = roles(tree.language, LEXEMES)
    cursor = tree.root.walk()
    down, along, up = cursor.goto_first_child, cursor.goto_next_sibling, cursor.goto_parent
    found: list[tuple[int, int, int]] = []
    while True:
        node = cursor.node
        assert node is not None  # a cursor always stands somewhere
        role = role_of[node.kind_id]
        if role == STRING and any(role_of[child.kind_id] == _INTERPOLATION for child in node.children):
            role = _STRING_PART
        if role in _WHOLE or not down():
            found.append((node.start_byte, node.end_byte, OTHER if node.is_error else _KIND_OF_LEAF[role]))
            while not along():
                if not up():
                    return found
