"""What kinds of nodes mean: the tables of all languages compiled to one byte a kind, or to a query.

Enters: the tables of `kinds_*`, which name node types by role, `*` standing for any letters. Leaves: `roles(language)`,
65,536 bytes in which the kind id of a node finds its role, for a walk; `query_of(language)`, for who wants the nodes of
some roles only. The first role of ORDER that names a kind wins. Limit: a role says what a node is, never what it holds:
whether a call prints is read from its text.
"""

import fnmatch
from collections.abc import Mapping
from functools import cache

from tree_sitter import Node, Query

from loopdata.syntax import kinds_braces, kinds_data, kinds_functional, kinds_scripts
from loopdata.syntax.grammars import grammar, kinds, named

# What strings with interpolation are made of, in all grammars.
STRING_PARTS = (
    "*string_content *_fragment *_str_text *str_part string_start string_end escape_sequence str_escaped_char"
    " content heredoc_content heredoc_start heredoc_end interpolation_start interpolation_quote *_literal_content"
)
TABLES: dict[str, Mapping[str, str]] = {
    **kinds_braces.TABLES,
    **kinds_scripts.TABLES,
    **kinds_functional.TABLES,
    **kinds_data.TABLES,
}
# The field that holds a function's body, where it is not `body`. Haskell's grammar gives the type `a -> b` the node
# type of a function as well: there, only what has the field is one.
BODY_FIELD = {"Haskell": "match"}
OUTLINE = ("comment", "function", "class", "import")
DETAILS = ("string", "assertion", "placeholder", "call", "return")
SPANS = ("function", "body", "class", "block", "statement", "expression")
UNITS = ("comment", "function", "body", "class", "block", "statement")  # read well even inside an ERROR
LEXEMES = ("comment", "string", "interpolation", "literal", "identifier", "string_part")
NUM_KINDS = 1 << 16


@cache
def roles(language: str, order: tuple[str, ...]) -> bytes:
    """Role of every kind id: 1 + its place in `order`, or 0."""
    table = {"string_part": STRING_PARTS} | dict(TABLES.get(language, {}))
    result = bytearray(NUM_KINDS)
    for kind, (name, is_named) in enumerate(zip(kinds(language), named(language), strict=True)):
        if name and is_named:
            result[kind] = _role(name, table, order)
    return bytes(result)


@cache
def query_of(language: str, wanted: tuple[str, ...]) -> Query | None:
    """A query that captures the nodes of each role under its name; None where the language has none of them."""
    loaded, order = grammar(language), ("", *OUTLINE, *DETAILS)
    named_roles = zip(kinds(language), roles(language, order[1:]), strict=False)
    patterns = dict.fromkeys(f"({name}) @{order[role]}" for name, role in named_roles if order[role] in wanted)
    return Query(loaded, "\n".join(patterns)) if loaded is not None and patterns else None


def _role(name: str, table: Mapping[str, str], order: tuple[str, ...]) -> int:
    for place, role in enumerate(order):
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in table.get(role, "").split()):
            return place + 1
    return 0


def body_of(node: Node, language: str) -> Node | None:
    """The body of a function, None where it has none."""
    return node.child_by_field_name(BODY_FIELD.get(language, "body"))


def unknown(language: str) -> list[str]:
    """Patterns of the table that no kind of the grammar matches: the grammar changed, or the table is wrong."""
    known = {name for name, is_named in zip(kinds(language), named(language), strict=True) if is_named}
    patterns = {pattern for entry in TABLES[language].values() for pattern in entry.split()}
    return sorted(pattern for pattern in patterns if not fnmatch.filter(known, pattern))
