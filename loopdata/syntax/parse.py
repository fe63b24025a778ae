"""Parsing a text into a syntax tree within a budget of work, once for all who need the tree of a document.

Enters: a text and its language. Leaves: a `Tree`, or a `Refusal` that names what stopped it. Work is counted in calls
of tree-sitter's progress callback (one for each hundred steps of its parser) and of our reader, so that the same text
is refused on every machine; the wall clock lies far above and only guards against hanging. The text is read in small
pieces, since tree-sitter asks for progress only then, and by a new parser each time, since one that was stopped goes
on with the old text. Trees of the current small batch are remembered by content, bounded by count and bytes; nothing
stores them. Some texts are refused unread. One step of the parser, which nothing can stop, went quadratic on two kinds:
6 kB of `x=>` as C took 1.4 GB, 32 kB of `a<` as C# 2.2 GB; one is little but repetition, the other has thousands of `<`
that nothing closes. The third is YAML with deep indents, which crashes its grammar. Limit: a text made to evade these
can still take all memory; then the engine's isolation of killers costs that document.
"""

import re
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import pyarrow
import tree_sitter

from loopdata.syntax.depth import depth_of, is_deeper
from loopdata.syntax.grammars import grammar
from loopdata.syntax.node_kinds import DETAILS, OUTLINE
from loopdata.syntax.survey import Nodes, nodes_by_role
from loopdata.syntax.yaml_indents import longest_chain

PIECE_BYTES = 4 << 10  # small, since only at their ends a grammar's own scanner can be counted and stopped
REMEMBERED_TREES = 1_024
REMEMBERED_BYTES = 8 << 20  # of source; a tree takes some forty times as much

Reason = Literal["no_grammar", "bytes", "repetition", "angles", "indents", "work", "depth", "time"]
_CALLS_A_LOOK = 32  # at the clock
_REPETITION_BYTES = 1_000
_LZ4 = pyarrow.Codec("lz4_raw")
_STATEMENT_END = re.compile(rb"[;{}]")


@dataclass(frozen=True)
class Limits:
    """What one parse may cost. Ordinary source takes 0.005 to 0.03 calls of work a byte."""

    max_bytes: int = 1 << 20
    work: int = 10_000
    work_per_byte: float = 0.04
    max_repetition: float = 100.0  # bytes to a byte of LZ4; source has 1 to 70. Texts below 1 kB are not asked
    max_angles: int = 2_000  # `<` within one statement that no `>` closes
    max_indents: int = 120  # of a YAML text; its grammar crashes from 254 up, and counts up to two for one of ours
    max_depth: int = 5_000  # nodes from the root to the deepest leaf
    seconds: float = 60.0  # a guard, never a budget

    def max_work(self, num_bytes: int) -> int:
        """Calls of work that a text of this size may take."""
        return self.work + int(self.work_per_byte * num_bytes)


DEFAULT = Limits()


class Refusal(NamedTuple):
    """Why there is no tree: the measure that passed its limit."""

    reason: Reason
    value: float = 0.0
    limit: float = 0.0


@dataclass(frozen=True, eq=False)
class Tree:
    """The syntax tree of one text. Byte offsets are those of `source`, the text in UTF-8."""

    source: bytes
    language: str
    root: tree_sitter.Node
    work: int = field(default=0)

    @cached_property
    def outline(self) -> Nodes:
        """The nodes of the roles in OUTLINE, by one query, made when first asked for."""
        return nodes_by_role(self.root, self.language, OUTLINE)

    @cached_property
    def details(self) -> Nodes:
        """Likewise those in DETAILS, which are many and which few ask for."""
        return nodes_by_role(self.root, self.language, DETAILS)


class _Budget:
    """Counts the work of one parse, and stops it."""

    def __init__(self, source: bytes, limits: Limits) -> None:
        self.source = source
        self.limits = limits
        self.max_work = limits.max_work(len(source))
        self.work = 0
        self.next_look = min(_CALLS_A_LOOK - 1, self.max_work)  # calls that need no more than counting
        self.refusal: Refusal | None = None
        self.start = time.monotonic()

    def read(self, offset: int, _point: object) -> bytes:
        """The piece at `offset`; none once the budget is spent, which ends a step that would not end by itself."""
        return b"" if self.progress(offset, False) else self.source[offset : offset + PIECE_BYTES]

    def progress(self, _offset: int, _has_error: bool) -> bool:
        """Count one call; True stops the parse."""
        self.work += 1
        return self.work > self.next_look and self._is_spent()

    def _is_spent(self) -> bool:
        if self.refusal is not None:
            return True
        if self.work > self.max_work:
            self.refusal = Refusal("work", self.work, self.max_work)
            return True
        self.next_look = min(self.work + _CALLS_A_LOOK - 1, self.max_work)
        spent = time.monotonic() - self.start
        if spent > self.limits.seconds:
            self.refusal = Refusal("time", spent, self.limits.seconds)
            self.next_look = 0
        return self.refusal is not None


def parse(text: str | bytes, language: str, limits: Limits = DEFAULT) -> Tree | Refusal:
    """The tree of a text (bytes must be UTF-8), or why there is none. Asked again in the same batch, the same tree.

    A tree that was made within other limits is held to these, as if it were parsed again.
    """
    source = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    known = _remembered.get((language, source))
    if known is None or (known.limits != limits and isinstance(known.found, Refusal)):
        known = _Known(limits, parse_anew(source, language, limits))
        _remembered.add((language, source), known)
    if known.limits != limits and isinstance(known.found, Tree):
        return _refused_unread(source, language, limits) or _within(known.found, limits)
    return known.found


def forget() -> None:
    """Forget the trees: another batch begins."""
    _remembered.clear()


def parse_anew(source: bytes, language: str, limits: Limits = DEFAULT) -> Tree | Refusal:
    """As `parse`, without remembering."""
    loaded = grammar(language)
    if loaded is None:
        return Refusal("no_grammar")
    hostile = _refused_unread(source, language, limits)
    if hostile is not None:
        return hostile
    budget = _Budget(source, limits)
    try:
        found = tree_sitter.Parser(loaded).parse(budget.read, progress_callback=budget.progress)
    except ValueError:  # 'Parsing failed': it was stopped
        if budget.refusal is None:
            raise
    if budget.refusal is not None:
        return budget.refusal
    return _within(Tree(source, language, found.root_node, budget.work), limits)


def _refused_unread(source: bytes, language: str, limits: Limits) -> Refusal | None:
    """What can be told of a text without a parser, at a hundredth of its cost."""
    if len(source) > limits.max_bytes:
        return Refusal("bytes", len(source), limits.max_bytes)
    if len(source) >= _REPETITION_BYTES:
        repetition = len(source) / len(_LZ4.compress(source))
        if repetition > limits.max_repetition:
            return Refusal("repetition", repetition, limits.max_repetition)
    if source.count(b"<") > limits.max_angles:
        angles = max(part.count(b"<") - part.count(b">") for part in _STATEMENT_END.split(source))
        if angles > limits.max_angles:
            return Refusal("angles", angles, limits.max_angles)
    if language == "YAML":
        indents = longest_chain(source, limits.max_indents)
        if indents > limits.max_indents:
            return Refusal("indents", indents, limits.max_indents)
    return None


def _within(tree: Tree, limits: Limits) -> Tree | Refusal:
    """Refuse a tree that took too much work, or is too deep."""
    max_work = limits.max_work(len(tree.source))
    if tree.work > max_work:
        return Refusal("work", max_work + 1, max_work)  # where the parse would have stopped
    return Refusal("depth", depth_of(tree.root), limits.max_depth) if is_deeper(tree.root, limits.max_depth) else tree


class _Known(NamedTuple):
    """What became of a text, and within which limits."""

    limits: Limits
    found: Tree | Refusal


class _Remembered:
    """The latest trees by language and content, the oldest forgotten first."""

    def __init__(self) -> None:
        self.trees: OrderedDict[tuple[str, bytes], _Known] = OrderedDict()
        self.num_bytes = 0

    def get(self, key: tuple[str, bytes]) -> _Known | None:
        """What was remembered under this key."""
        return self.trees.get(key)

    def add(self, key: tuple[str, bytes], known: _Known) -> None:
        """Remember one, and forget as many of the oldest as the bounds ask for."""
        self.num_bytes += 0 if key in self.trees else len(key[1])
        self.trees[key] = known
        while len(self.trees) > REMEMBERED_TREES or (self.num_bytes > REMEMBERED_BYTES and self.trees):
            (_, oldest), _ = self.trees.popitem(last=False)
            self.num_bytes -= len(oldest)

    def clear(self) -> None:
        """Forget all."""
        self.trees.clear()
        self.num_bytes = 0


_remembered = _Remembered()
