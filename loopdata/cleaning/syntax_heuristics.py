"""The `syntax_heuristics` stage: rules that count statements, comments and strings in the parse tree.

Enters: documents behind `syntax`, whose tree of the batch is parsed once for both. Leaves: the same without those that
a rule hits, as in `heuristics`. Published counts are of lines that hold a substring (a `print` in a comment, an
`import` in a string, `password` for `pass`); here a line counts where such a node lies. Lines of code are those with
something other than white space and comments; docstrings are comments. A document without a tree (no grammar, or a
refusal) has no values and is kept. To add a rule: write a measure of `Facts`, put it into MEASURES, give it a threshold
in `presets`. Limit: what has no role in a language's table (imports of Ruby, prints of all but Python) counts as none.
"""

import re
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from tree_sitter import Node

from loopdata import schema
from loopdata.cleaning.rules import RulesConfig, RuleStage
from loopdata.cleaning.syntax import ParseConfig
from loopdata.compiled import compiled
from loopdata.config import Strict
from loopdata.stage import Fate, Outcome
from loopdata.syntax.grammars import grammar_versions
from loopdata.syntax.node_kinds import body_of
from loopdata.syntax.parse import Tree, parse
from loopdata.syntax.survey import Nodes

_ASSERTS = re.compile(rb"(?:\w+\.)*assert\w*\(", re.IGNORECASE)
_PRINTS = re.compile(rb"print\b")
_TODO = re.compile(rb"\b(?:todo|fixme|your code here)\b", re.IGNORECASE)
_IS_BLANK = np.array([byte in b" \t\n\r\v\f" for byte in range(256)], np.bool_)


class Facts:
    """What is measured of one tree."""

    def __init__(self, tree: Tree, error_share: float | None) -> None:
        self.tree = tree
        self.error_share = error_share
        self.outline = tree.outline

    @property
    def details(self) -> Nodes:
        """Strings, calls and such; only some rules ask for them."""
        return self.tree.details

    @cached_property
    def docstrings(self) -> list[Node]:
        """Strings that are the first statement of a Python module, class or function."""
        if self.tree.language != "Python":
            return []
        bodies = [body_of(node, "Python") for role in ("class", "function") for node in self.outline[role]]
        firsts = (_first_statement(body) for body in [self.tree.root, *bodies] if body is not None)
        found = [node.child(0) for node in firsts if node is not None and node.type == "expression_statement"]
        return [node for node in found if node is not None and node.type == "string"]

    @cached_property
    def comments(self) -> list[tuple[int, int]]:
        """Spans of comments and docstrings, in order and apart from each other."""
        return _merged([*self.outline["comment"], *self.docstrings])

    @cached_property
    def characters(self) -> int:
        """Characters of the text."""
        return self.size([(0, len(self.tree.source))])

    @cached_property
    def comment_characters(self) -> int:
        """Characters of comments."""
        return self.size(self.comments)

    @cached_property
    def code_lines(self) -> int:
        """Lines with something other than white space and comments."""
        is_code = np.ones(len(self.tree.source), np.bool_)
        for start, end in self.comments:
            is_code[start:end] = False
        return int(_count_lines(np.frombuffer(self.tree.source, np.uint8), is_code))

    def size(self, spans: Iterable[tuple[int, int]]) -> int:
        """Characters of spans that are apart from each other."""
        source = self.tree.source
        if source.isascii():
            return sum(end - start for start, end in spans)
        return sum(len(source[start:end].decode("utf-8", "replace")) for start, end in spans)

    def share_of_lines(self, nodes: Iterable[Node]) -> float:
        """Share of the lines of code on which one of these nodes, which come in order, lies."""
        lines = reached = 0
        for node in nodes:
            first, last = node.start_point.row, node.end_point.row
            last -= node.end_point.column == 0 and last > first  # some grammars take the line end in
            lines += max(0, last + 1 - max(first, reached))
            reached = max(reached, last + 1)
        return _share(lines, self.code_lines)


def error_share(facts: Facts) -> float:
    """Share of bytes that the grammar lost, as `syntax` found it."""
    return np.nan if facts.error_share is None else facts.error_share


def comments(facts: Facts) -> float:
    """Share of characters in comments."""
    return _share(facts.comment_characters, facts.characters)


def plain_comments(facts: Facts) -> float:
    """Share of characters in comments, docstrings left out: a file of nothing but documentation is no empty file."""
    return _share(facts.size(_merged(facts.outline["comment"])), facts.characters)


def strings(facts: Facts) -> float:
    """Share of characters in strings, of those outside comments."""
    docstrings = {node.id for node in facts.docstrings}
    found = _merged(node for node in facts.details["string"] if node.id not in docstrings)
    return _share(facts.size(found), facts.characters - facts.comment_characters)


def asserts(facts: Facts) -> float:
    """Share of lines with an assertion, or a call of something named like one."""
    source = facts.tree.source
    calls = [node for node in facts.details["call"] if _ASSERTS.match(source, node.start_byte)]
    return facts.share_of_lines(sorted([*facts.details["assertion"], *calls], key=lambda node: node.start_byte))


def todos(facts: Facts) -> float:
    """Share of all lines whose comment says that something is to do."""
    source = facts.tree.source
    texts = [source[start:end] for start, end in facts.comments if _TODO.search(source, start, end)]
    found = sum(_TODO.search(line) is not None for text in texts for line in text.split(b"\n"))
    return _share(found, source.count(b"\n") + (not source.endswith(b"\n")))


def imports(facts: Facts) -> float:
    """Share of lines of imports."""
    return facts.share_of_lines(facts.outline["import"])


def import_text(facts: Facts) -> float:
    """Share of characters in imports, of all: a file that imports and documents is no empty file either."""
    return _share(facts.size(_merged(facts.outline["import"])), facts.characters)


def passes(facts: Facts) -> float:
    """Share of lines with a `pass`."""
    return facts.share_of_lines(facts.details["placeholder"])


def prints(facts: Facts) -> float:
    """Share of lines of calls of `print`."""
    source = facts.tree.source
    return facts.share_of_lines(node for node in facts.details["call"] if _PRINTS.match(source, node.start_byte))


def trivial_functions(facts: Facts) -> float:
    """Functions that only return something, to a line of code."""
    bodies = (body_of(node, facts.tree.language) for node in facts.outline["function"])
    return _share(sum(body is not None and _only_returns(body) for body in bodies), facts.code_lines)


def no_logic(facts: Facts) -> float:
    """Imports, functions, classes, returns and variables of classes, to a line of code."""
    lines_of_imports = facts.share_of_lines(facts.outline["import"])
    others = len(facts.outline["function"]) + len(facts.outline["class"]) + len(facts.details["return"])
    bodies = (body_of(node, facts.tree.language) for node in facts.outline["class"])
    variables = sum(_is_variable(child) for body in bodies if body is not None for child in body.named_children)
    return lines_of_imports + _share(others + variables, facts.code_lines)


MEASURES: dict[str, Callable[[Facts], float]] = {
    measure.__name__: measure
    for measure in (
        error_share,
        comments,
        plain_comments,
        strings,
        asserts,
        todos,
        imports,
        import_text,
        passes,
        prints,
        trivial_functions,
        no_logic,
    )
}


@compiled
def _count_lines(source: Any, is_code: Any) -> Any:
    """Lines with a byte of code that is not blank."""
    lines, has_code = 0, False
    for at in range(len(source)):
        if source[at] == 10:
            lines += has_code
            has_code = False
        elif is_code[at] and not _IS_BLANK[source[at]]:
            has_code = True
    return lines + has_code


def _share(part: int, whole: int) -> float:
    """A part of a whole; NaN, which no rule hits, of nothing."""
    return part / whole if whole else np.nan


def _merged(nodes: Iterable[Node]) -> list[tuple[int, int]]:
    """Byte spans of nodes, in order, those that touch or overlap made one."""
    spans: list[tuple[int, int]] = []
    for start, end in sorted((node.start_byte, node.end_byte) for node in nodes):
        if spans and start <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(end, spans[-1][1])
        else:
            spans.append((start, end))
    return spans


def _first_statement(body: Node) -> Node | None:
    return next((child for child in body.named_children if child.type != "comment"), None)


def _only_returns(body: Node) -> bool:
    """Whether a body is one statement, a return."""
    statements = [child for child in body.named_children if not child.is_extra]
    return len(statements) == 1 and statements[0].type.startswith("return")


def _is_variable(statement: Node) -> bool:
    """Whether a statement of Python gives one name a value, or a type."""
    assignment = statement.child(0) if statement.type == "expression_statement" else None
    if assignment is None or assignment.type != "assignment":
        return False
    left = assignment.child_by_field_name("left")
    return left is not None and left.type == "identifier"


class SyntaxHeuristicsConfig(RulesConfig, ParseConfig):
    """Rules on trees. What may be parsed is as in `syntax`: where its limits are raised, so should these be."""

    measures = tuple(MEASURES)


class SyntaxHeuristics(RuleStage):
    """Drops documents by rules on their trees."""

    name = "syntax_heuristics"
    Config = SyntaxHeuristicsConfig
    needs: ClassVar[dict[str, pa.DataType]] = {
        **{name: schema.DOCUMENT[name] for name in ("doc_id", "category", "text", "language")},
        "ast_error_share": pa.float64(),  # null where there is no tree
    }

    def __init__(self, config: Strict | None = None, *, label: str = "", seed: int = 0) -> None:
        super().__init__(config, label=label, seed=seed)
        self.limits = self.config.limits()

    def identity(self) -> dict[str, Any]:
        """With the versions of the grammars."""
        return super().identity() | {"grammars": grammar_versions()}

    def apply(self, table: pa.Table) -> Outcome:
        """Try the rules on each document until one hits."""
        columns = [table[name].to_pylist() for name in ("doc_id", "language", "ast_error_share")]
        texts = table["text"].cast(pa.large_binary())
        found = [
            None if share is None else self._end(doc_id, text.as_py(), language, share)
            for doc_id, language, share, text in zip(*columns, texts, strict=True)
        ]
        fates = [fate for fate in found if fate is not None]
        kept = pa.array([fate is None for fate in found], pa.bool_())
        return Outcome(table.filter(kept) if fates else table, fates)

    def _end(self, doc_id: str, text: bytes, language: str, share: float) -> Fate | None:
        """What ends a document, None where it is kept."""
        tree = parse(text, language, self.limits)
        if not isinstance(tree, Tree):
            return None
        facts = Facts(tree, share)
        for rule in self.rules:
            threshold = rule.threshold(language)
            if np.isnan(threshold):
                continue
            value = MEASURES[rule.measure](facts)
            if rule.hits(value, threshold):
                return Fate(doc_id, self.label, "dropped", rule.name, value, threshold, details=language)
        return None
