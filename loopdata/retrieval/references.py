"""What a file says of others: its imports, and the names that it defines and uses at its top.

Enters: a `Tree` in one of LANGUAGES. Leaves: `Facts`. One query a file finds the nodes, in the tables below; what they
say is read from their text or fields. Nothing is resolved here: `import a.b` is the reference `a.b`, wherever that is
(see `rules_modules`, `rules_packages`). Limit: what a macro, a build file or a run-time call imports is not seen.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple

from tree_sitter import Node, Query, QueryCursor

from loopdata.syntax.grammars import grammar
from loopdata.syntax.parse import Tree

EVERYTHING = "*"


class Reference(NamedTuple):
    """`target` as the language writes it; of it `names` are taken, as pairs of their name there and here."""

    target: str
    names: tuple[tuple[str, str], ...] = ()


class Facts(NamedTuple):
    """`package` is what the file says it belongs to; `uses` are names that may lie in other files of the package.

    `defines` are names at the top of the file; `definitions` maps those of functions, methods and types, wherever they
    lie, to the byte at which the first of that name stands.
    """

    references: tuple[Reference, ...] = ()
    defines: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()
    package: str = ""
    definitions: Mapping[str, int] = MappingProxyType({})


_PYTHON = """
(import_statement) @import
(import_from_statement) @from
(class_definition body: (block [(function_definition name: (_) @inner)
  (decorated_definition definition: (_ name: (_) @inner))]))
(module [(function_definition name: (_) @define) (class_definition name: (_) @define)
  (decorated_definition definition: (_ name: (_) @define))
  (expression_statement (assignment left: (identifier) @define))])
"""
_JAVASCRIPT = """
(import_statement) @from
(export_statement source: (string)) @from
((call_expression function: (identifier) @_callee arguments: (arguments . (string) @required))
  (#eq? @_callee "require"))
(call_expression function: (import) arguments: (arguments . (string) @required))
(method_definition name: (_) @inner)
(assignment_expression left: (member_expression property: (_) @inner) right: [(function_expression) (arrow_function)])
(program [(function_declaration name: (_) @define) (class_declaration name: (_) @define)
  (lexical_declaration (variable_declarator name: (identifier) @define))
  (variable_declaration (variable_declarator name: (identifier) @define))
  (export_statement declaration: (_ name: (_) @define))
  (export_statement declaration: (_ (variable_declarator name: (identifier) @define)))])
"""
_C = """
(preproc_include path: (_) @include)
(function_definition declarator: (_ declarator: [(identifier) (field_identifier)] @inner))
(function_definition declarator: (_ declarator: (function_declarator declarator: (identifier) @inner)))
(preproc_function_def name: (_) @inner)
(type_definition declarator: (type_identifier) @inner)
(struct_specifier name: (_) @inner body: (_))
"""
_CPP = f"{_C}(class_specifier name: (_) @inner body: (_))"

QUERIES: dict[str, str] = {
    "C": _C,
    "C++": _CPP,
    "Go": """
        (package_clause (package_identifier) @package)
        (import_spec) @import
        (function_declaration name: (_) @define)
        (source_file [(type_declaration (type_spec name: (_) @define)) (var_declaration (var_spec name: (_) @define))
          (const_declaration (const_spec name: (_) @define))])
        (method_declaration name: (_) @inner)
        (call_expression function: (identifier) @use)
        (type_identifier) @use
        (selector_expression operand: (identifier)) @use
        (qualified_type) @use
        """,
    "Java": """
        (package_declaration) @package
        (import_declaration) @import
        (program (_ name: (identifier) @define))
        (method_declaration name: (_) @inner)
        (type_identifier) @use
        (method_invocation object: (identifier) @use)
        (field_access object: (identifier) @use)
        (annotation name: (identifier) @use)
        (marker_annotation name: (identifier) @use)
        """,
    "JavaScript": _JAVASCRIPT,
    "Python": _PYTHON,
    "Rust": """
        (mod_item name: (identifier) @mod !body)
        (use_declaration argument: (_) @path)
        (mod_item body: (declaration_list (use_declaration argument: (_) @nested)))
        (declaration_list (function_item name: (_) @inner))
        ((scoped_identifier) @path (#match? @path "^(crate|super)::"))
        (source_file [(function_item name: (_) @define) (struct_item name: (_) @define) (enum_item name: (_) @define)
          (union_item name: (_) @define) (trait_item name: (_) @define) (type_item name: (_) @define)
          (const_item name: (_) @define) (static_item name: (_) @define) (macro_definition name: (_) @define)])
        """,
    "TSX": _JAVASCRIPT,
    "TypeScript": _JAVASCRIPT,
}
LANGUAGES = frozenset(QUERIES)


class _Found:
    """What a query found in a tree. `Node.text` would read the whole text anew for every node."""

    def __init__(self, tree: Tree) -> None:
        self._captures = QueryCursor(_query(tree.language)).captures(tree.root)
        self._source = tree.source

    def nodes(self, name: str) -> list[Node]:
        """In the order of the text: tree-sitter gives them in the order of a hash table."""
        return sorted(self._captures.get(name, ()), key=attrgetter("start_byte", "end_byte"))

    def text(self, node: Node | None) -> str:
        return "" if node is None else self._source[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def texts(self, name: str) -> Iterator[str]:
        return map(self.text, self.nodes(name))

    def names(self, name: str) -> frozenset[str]:
        """The texts, each once and in no order."""
        return frozenset(map(self.text, self._captures.get(name, ())))

    def definitions(self) -> dict[str, int]:
        """Name → where it is first defined."""
        nodes = [*self._captures.get("define", ()), *self._captures.get("inner", ())]
        return {self.text(node): node.start_byte for node in sorted(nodes, key=lambda node: -node.start_byte)}

    def alias(self, node: Node) -> tuple[str, str]:
        """A name and what it is called here."""
        name = self.text(node.child_by_field_name("name") or node)
        return name, self.text(node.child_by_field_name("alias")) or name


@cache
def _query(language: str) -> Query:
    loaded = grammar(language)
    assert loaded is not None
    return Query(loaded, QUERIES[language])


def facts(tree: Tree) -> Facts:
    """What a file says; nothing for a language that is not among LANGUAGES."""
    if tree.language not in LANGUAGES:
        return Facts()
    found = _Found(tree)
    read = {"C": _c, "C++": _c, "Go": _go, "Java": _java, "Python": _python, "Rust": _rust}.get(tree.language, _script)
    package = " ".join(found.texts("package")).removeprefix("package").strip(" ;\n\t\r")
    references = tuple(dict.fromkeys(read(found)))
    return Facts(references, found.names("define"), found.names("use"), package, found.definitions())


def _python(found: _Found) -> Iterator[Reference]:
    for node in found.nodes("import"):
        for name in node.children_by_field_name("name"):
            yield Reference(found.text(name.child_by_field_name("name") or name))
    for node in found.nodes("from"):
        names = [found.alias(name) for name in node.children_by_field_name("name")]
        if any(child.type == "wildcard_import" for child in node.named_children):
            names = [(EVERYTHING, EVERYTHING)]
        yield Reference(found.text(node.child_by_field_name("module_name")), tuple(names))


def _script(found: _Found) -> Iterator[Reference]:
    for node in found.nodes("from"):
        target = found.text(node.child_by_field_name("source")).strip("'\"`")
        yield Reference(target, tuple(_script_names(found, node)))
    for target in found.texts("required"):
        yield Reference(target.strip("'\"`"))


def _script_names(found: _Found, node: Node) -> Iterator[tuple[str, str]]:
    """The names of `import {a as b} from` and `export {a as b} from`; a default has no name that could be followed."""
    if node.type == "export_statement" and any(child.type in ("*", "namespace_export") for child in node.children):
        yield EVERYTHING, EVERYTHING
    for clause in node.named_children:
        lists = [clause] if clause.type == "export_clause" else clause.named_children
        for names in lists if clause.type in ("export_clause", "import_clause") else ():
            if names.type in ("export_clause", "named_imports"):
                yield from (found.alias(name) for name in names.named_children if name.type.endswith("_specifier"))


def _java(found: _Found) -> Iterator[Reference]:
    for text in found.texts("import"):
        target = "".join(re.sub(r"^\s*import\s+(static\s+)?", "", text).rstrip("; \t\r\n").split())
        package, _, last = target.rpartition(".")
        yield Reference(package, ((EVERYTHING, EVERYTHING),)) if last == "*" else Reference(target)


def _go(found: _Found) -> Iterator[Reference]:
    """The names taken of a package are those that the file writes behind the package's name."""
    taken: dict[str, list[str]] = {}
    for use in sorted(found.names("use")):
        package, dot, name = use.partition(".")
        if dot:
            taken.setdefault(package, []).append(name)
    for node in found.nodes("import"):
        target = found.text(node.child_by_field_name("path")).strip('"`')
        name = found.text(node.child_by_field_name("name")) or re.sub(r"/v\d+$", "", target).rpartition("/")[2]
        names = [EVERYTHING] if name == "." else taken.get(name, [])
        yield Reference(target, tuple((entry, entry) for entry in names))


def _c(found: _Found) -> Iterator[Reference]:
    """With its quotes or angles: they say where the compiler looks first."""
    return (Reference(text) for text in found.texts("include"))


def _rust(found: _Found) -> Iterator[Reference]:
    for name in found.texts("mod"):
        yield Reference(f"self::{name}")
    inner = {node.id for node in found.nodes("nested")}
    for node in found.nodes("path"):
        text = found.text(node)
        if node.id in inner:  # the inside of a module in this very file, to which `super` is the file itself
            text = re.sub(r"^super\b", "self", text)
        yield from _use_tree(text)


_USE_WORDS = re.compile(r"[\w#]+|::|[{},*]")


def _use_tree(text: str) -> Iterator[Reference]:
    """`a::{b, c::{self, d as e}, f::*}` leaf by leaf: `a` with b, `a::c`, `a::c` with d, `a::f` with everything."""
    opened: list[list[str]] = [[]]  # the path before each brace that is open
    path: list[str] = []
    here, is_alias = "", False
    for word in [*_USE_WORDS.findall(text), ","]:
        if word == "{":
            opened.append(path)
        elif word in (",", "}"):
            if path != opened[-1]:
                yield _leaf(path, here)
            if word == "}" and len(opened) > 1:
                opened.pop()
            path, here, is_alias = opened[-1], "", False
        elif word == "as":
            is_alias = True
        elif is_alias:
            here = word
        elif word != "::":
            path = [*path, word]


def _leaf(path: list[str], here: str) -> Reference:
    if path[-1] == "self" and len(path) > 1:
        return Reference("::".join(path[:-1]))
    return Reference("::".join(path[:-1]), ((path[-1], here or path[-1]),))
