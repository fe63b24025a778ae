"""Drawing the hole of a document: which part of its text is the middle that a model learns to fill.

Enters: a text, its language, weights by kind, sizes. Leaves: a `Hole`, or none. A kind is drawn by weight; a document
without it (no grammar, no such node, none of an allowed size) draws again among the others, and what was missed is
recorded. Kinds: `char` cuts between characters wherever it falls, so that prefix or suffix may be empty; `line` takes
one to twelve whole lines; `expression`, `statement`, `block`, `function` (whole) and `function_body` a node of the
syntax tree, `ast_span` a run of siblings (see `nodes`). How many characters or lines is drawn with every doubling as
likely: two uniform cuts (Bavarian et al., arXiv 2207.14255) make middles of a third of a text, and people fill in less.
Offsets are bytes and never cut a character. Limit: a line ends at a line feed; a text with bare carriage returns is one
line.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from loopdata.fim.characters import Text
from loopdata.fim.draws import Draws
from loopdata.fim.nodes import Span, node_on, run_of_siblings
from loopdata.syntax.parse import Tree, parse

# By kind: its level in `syntax.spans`.
LEVEL_OF = {
    "expression": "expression",
    "statement": "statement",
    "block": "block",
    "function": "function",
    "function_body": "body",
}
KINDS = ("char", "line", *LEVEL_OF, "ast_span")
SYNTAX = frozenset(KINDS) - {"char", "line"}  # those that need a tree
MAX_LINES = 12


@dataclass(frozen=True)
class Sizes:
    """Characters of a middle, both included; of `char`, half of the smaller will do. `max_span_chars` are those of
    `char` and of `ast_span`, which takes half of its context at most, too."""

    min_chars: int
    max_chars: int
    max_span_chars: int = 256

    @property
    def of_spans(self) -> "Sizes":
        """The same for spans."""
        return replace(self, max_chars=min(self.max_chars, self.max_span_chars))


@dataclass(frozen=True)
class Hole:
    """The middle is `text[start:end]`, in bytes. `missed` are the kinds that were drawn before and not there."""

    kind: str
    start: int
    end: int
    missed: tuple[str, ...] = ()


def draw_hole(
    text: Text,
    language: str | None,
    weights: Mapping[str, float],
    sizes: Sizes,
    draws: Draws,
    within: Span | None = None,
) -> Hole | tuple[str, ...]:
    """A hole, or the kinds that were tried in vain. `within` is the part of the text that it must lie in."""
    within = within or (0, len(text.data))
    missed: list[str] = []
    left = {kind: weight for kind, weight in weights.items() if weight > 0}
    while left:
        kind = draws.weighted(left)
        del left[kind]
        span = _span(kind, text, language, sizes, draws, within) if within[0] < within[1] else None
        if span is not None:
            return Hole(kind, *span, tuple(missed))
        missed.append(kind)
    return tuple(missed)


def _span(kind: str, text: Text, language: str | None, sizes: Sizes, draws: Draws, within: Span) -> Span | None:
    if kind == "char":
        return _characters(text, sizes.of_spans, draws, within)
    if kind == "line":
        return _lines(text, sizes, draws, within)
    tree = parse(text.data, language) if language else None
    if not isinstance(tree, Tree):
        return None
    if kind == "ast_span":
        spans = sizes.of_spans
        high = min(spans.max_chars, text.size(*within) // 2)
        allowed = partial(_allowed, text, replace(spans, max_chars=high), within)
        return run_of_siblings(tree, text, within, draws, (spans.min_chars, high), allowed)
    return node_on(LEVEL_OF[kind], tree, within, draws, partial(_allowed, text, sizes, within))


def _allowed(text: Text, sizes: Sizes, within: Span, start: int, end: int) -> bool:
    """Whether a span lies where it must, has an allowed size and more than blanks."""
    if not within[0] <= start <= end <= within[1] or end - start < sizes.min_chars:
        return False
    if not sizes.min_chars <= text.size(start, end) <= sizes.max_chars:
        return False
    return not text.data[start:end].isspace()


def _characters(text: Text, sizes: Sizes, draws: Draws, within: Span) -> Span:
    """A span of a drawn size, anywhere; of a short text, of whatever size it has."""
    begin, end = map(text.char, within)
    high = min(sizes.max_chars, end - begin)
    size = draws.scaled_between(min(max(sizes.min_chars // 2, 1), high), high)
    first = begin + draws.below(end - begin - size + 1)
    return text.offset(first), text.offset(first + size)


def _lines(text: Text, sizes: Sizes, draws: Draws, within: Span) -> Span | None:
    """One to twelve lines with their ends, the first of them not blank."""
    starts = _line_starts(text.data, *within)
    bounds = [*starts, within[1]]
    first, count = draws.below(len(starts)), draws.scaled_between(1, MAX_LINES)
    for step in range(len(starts)):  # the drawn line, or the next one that will do, from the top again at the end
        at = (first + step) % len(starts)
        if not text.data[bounds[at] : bounds[at + 1]].isspace():
            for last in range(min(at + count, len(starts)), at, -1):
                if _allowed(text, sizes, within, bounds[at], bounds[last]):
                    return bounds[at], bounds[last]
    return None


def _line_starts(data: bytes, start: int, end: int) -> list[int]:
    """Where each line of `data[start:end]` starts; a text is not followed by an empty line."""
    starts, at = [start], data.find(b"\n", start, end) + 1
    while 0 < at < end:
        starts.append(at)
        at = data.find(b"\n", at, end) + 1
    return starts
