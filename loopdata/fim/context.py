"""How much of a long document stands around its hole.

Enters: a text, the span of its middle, the bytes that a sample may have. Leaves: the span of the text that the sample
holds, or none where the document stays without a hole. Two rules: `cut_suffix`, the published one (Qwen2.5-Coder's
data: what is too much is cut from the end of the suffix; where the suffix is shorter than that, there is no hole), and
`window`, which keeps as much before the middle as behind it, each side taking what the other leaves, and cuts at line
starts where it can. Sizes are in bytes, since whoever renders knows no tokenizer: a byte-level one never makes more
tokens than bytes, and about a third of that on code of the kind that it was trained on. Limit: what is cut does not
train at all.
"""

from typing import Literal

from loopdata.fim.characters import Text
from loopdata.fim.nodes import Span

Rule = Literal["cut_suffix", "window"]


def fit(text: Text, middle: Span, max_bytes: int, rule: Rule) -> Span | None:
    """The span that a sample of at most `max_bytes` holds, with the middle in it."""
    if len(text.data) <= max_bytes:
        return 0, len(text.data)
    if middle[1] - middle[0] > max_bytes:
        return None
    return _cut_suffix(text, middle, max_bytes) if rule == "cut_suffix" else _window(text, middle, max_bytes)


def _cut_suffix(text: Text, middle: Span, max_bytes: int) -> Span | None:
    end = text.floor(max_bytes)
    return (0, end) if end >= middle[1] else None


def _window(text: Text, middle: Span, max_bytes: int) -> Span:
    start, end = middle
    room = max_bytes - (end - start)
    before = min(start, max(room // 2, room - (len(text.data) - end)))
    behind = min(len(text.data) - end, room - before)
    return _line_after(text, start - before, start), _line_before(text, end, end + behind)


def _line_after(text: Text, first: int, start: int) -> int:
    """Where the window begins: at the first line that starts in it before the middle, else at a character."""
    if first == 0:
        return 0
    line = text.data.find(b"\n", first - 1, start)
    return text.ceil(first) if line < 0 else line + 1


def _line_before(text: Text, end: int, last: int) -> int:
    """Where the window ends: behind the last line that ends in it after the middle, else at a character."""
    if last == len(text.data):
        return last
    line = text.data.rfind(b"\n", end, last)
    return text.floor(last) if line < 0 else line + 1
