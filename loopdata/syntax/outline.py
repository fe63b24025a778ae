"""What a text says in its language, whatever its white space and comments: the words of its tree and how they hang.

Enters: a `Tree`. Leaves: a digest that two texts share when their words are the same, comments apart, and their trees
have the same shape. The shape is needed: in Python the depth of a line, in a shell the end of one decides what the same
words mean. It is written as two numbers a word: how far up the walk went since the word before, and how deep the word
lies. A string is one word with all that is in it. One iterative walk. Limit: the kinds of nodes are not part of it.
"""

import hashlib

from loopdata.syntax.node_kinds import roles
from loopdata.syntax.parse import Tree

_ORDER = ("comment", "string")
_COMMENT, _STRING = 1, 2


def outline(tree: Tree) -> str | None:
    """32 hexadecimal characters (128 bits of a SHA-256); None for a text without a word."""
    words = _words(tree)
    return hashlib.sha256(b"".join(words)).hexdigest()[:32] if words else None


def _words(tree: Tree) -> list[bytes]:
    """Each word behind the least depth since the word before, its own depth, and its length."""
    source, role_of = tree.source, roles(tree.language, _ORDER)
    cursor = tree.root.walk()
    down, along, up = cursor.goto_first_child, cursor.goto_next_sibling, cursor.goto_parent
    found: list[bytes] = []
    depth = low = seen = 0
    while True:
        node = cursor.node
        assert node is not None  # a cursor always stands somewhere
        role = role_of[node.kind_id]
        if not role and down():
            depth += 1
            continue
        start, end = max(node.start_byte, seen), node.end_byte
        unnamed = source[seen:start].strip()  # what the grammar reads but has no node for
        word = b"" if role == _COMMENT else source[start:end] if role == _STRING else source[start:end].strip()
        for text in (unnamed, word):
            if text:
                found.append(b"%d %d %d " % (low, depth, len(text)) + text)
                low = depth
        seen = max(seen, end)
        while not along():
            if not up():
                rest = source[seen:].strip()
                return [*found, b"0 0 %d " % len(rest) + rest] if rest else found
            depth -= 1
        low = min(low, depth)
