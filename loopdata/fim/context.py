"""How much of a long document stands around its hole, and what becomes of the rest of it.

Enters: a text, the bytes that a sample may have. Leaves: spans of the text. Three rules: `contexts`, in which a long
text is cut into contexts of about equal size before holes are drawn, each for itself (Bavarian et al., arXiv
2207.14255, found that better than one hole a document); `cut_suffix`, the published one (Qwen2.5-Coder's data: what is
too much is cut from the end of the suffix; where the suffix is shorter than that, there is no hole); and `window`,
which keeps as much before the middle as behind it, each side taking what the other leaves. Cuts lie at line starts
where they can. What a sample does not hold trains as plain text. Sizes are in bytes, since whoever renders knows no
tokenizer: a byte-level one never makes more tokens than bytes, and about a third of that on code of the kind that it
was trained on. Limit: a definition that lies across the cut of two contexts is in no hole.
"""

from typing import Literal, NamedTuple

from loopdata.fim.characters import Text
from loopdata.fim.nodes import Span

Rule = Literal["contexts", "window", "cut_suffix"]


class Room(NamedTuple):
    """Bytes that a sample with a hole may have, in all and on either side of its middle."""

    max_bytes: int
    prefix: int | None = None
    suffix: int | None = None
    rule: Rule = "contexts"


def contexts(text: Text, room: Room) -> list[Span]:
    """The spans in which holes are drawn; together they are the text."""
    spans, start, size = [], 0, len(text.data)
    while room.rule == "contexts" and size - start > room.max_bytes:
        parts = -((start - size) // room.max_bytes)
        end = _line_before(text, start, start - (start - size) // parts)
        spans.append((start, end))
        start = end
    return [*spans, (start, size)]


def fit(text: Text, within: Span, middle: Span, room: Room) -> Span | None:
    """The span that a sample holds: the middle is in it, and it lies within the context; None where it cannot."""
    span: Span | None = within
    if within[1] - within[0] > room.max_bytes:
        if middle[1] - middle[0] > room.max_bytes:
            return None
        span = (_cut_suffix if room.rule == "cut_suffix" else _window)(text, within, middle, room.max_bytes)
    return span and _narrowed(text, span, middle, room)


def _cut_suffix(text: Text, within: Span, middle: Span, max_bytes: int) -> Span | None:
    end = text.floor(within[0] + max_bytes)
    return (within[0], end) if end >= middle[1] else None


def _window(text: Text, within: Span, middle: Span, max_bytes: int) -> Span:
    start, end = middle
    room = max_bytes - (end - start)
    before = min(start - within[0], max(room // 2, room - (within[1] - end)))
    behind = min(within[1] - end, room - before)
    return _cut(text, within, middle, before, behind)


def _narrowed(text: Text, span: Span, middle: Span, room: Room) -> Span:
    """The span without what is too much on one side of the middle."""
    before, behind = middle[0] - span[0], span[1] - middle[1]
    before = before if room.prefix is None else min(before, room.prefix)
    behind = behind if room.suffix is None else min(behind, room.suffix)
    return _cut(text, span, middle, before, behind)


def _cut(text: Text, span: Span, middle: Span, before: int, behind: int) -> Span:
    """At most so many bytes on the sides of the middle; a side that is kept whole is not cut at a line."""
    first, last = middle[0] - before, middle[1] + behind
    start = first if first == span[0] else _line_after(text, first, middle[0])
    return start, last if last == span[1] else _line_before(text, middle[1], last)


def _line_after(text: Text, first: int, start: int) -> int:
    """Where a cut begins: at the first line that starts in it before the middle, else at a character."""
    line = text.data.find(b"\n", first - 1, start)
    return text.ceil(first) if line < 0 else line + 1


def _line_before(text: Text, end: int, last: int) -> int:
    """Where a cut ends: behind the last line that ends in it, else at a character."""
    line = text.data.rfind(b"\n", end, last)
    return text.floor(last) if line < 0 else line + 1
