"""Which grammar reads which language, loaded once a process and only when asked for.

Enters: the name of a language as linguist spells it. Leaves: tree-sitter's `Language`, or None where there is no
grammar. Every grammar comes inside a wheel from PyPI (pins in pyproject.toml), so that nothing is downloaded at run
time. Dialects that a grammar reads as well are named beside it. Limit: YAML's grammar 0.7.2 ends the process on deep
indents; `parse` refuses these, and nothing else may call it.
"""

import importlib
import importlib.metadata
from functools import cache

from tree_sitter import Language

# language: module of the wheel, function that gives the grammar
GRAMMARS: dict[str, tuple[str, str]] = {
    "C": ("tree_sitter_c", "language"),
    "C#": ("tree_sitter_c_sharp", "language"),
    "C++": ("tree_sitter_cpp", "language"),
    "CSS": ("tree_sitter_css", "language"),
    "Go": ("tree_sitter_go", "language"),
    "HTML": ("tree_sitter_html", "language"),
    "Haskell": ("tree_sitter_haskell", "language"),
    "JSON": ("tree_sitter_json", "language"),
    "Java": ("tree_sitter_java", "language"),
    "JavaScript": ("tree_sitter_javascript", "language"),
    "Julia": ("tree_sitter_julia", "language"),
    "Kotlin": ("tree_sitter_kotlin", "language"),
    "Lua": ("tree_sitter_lua", "language"),
    "Markdown": ("tree_sitter_markdown", "language"),
    "PHP": ("tree_sitter_php", "language_php"),
    "Python": ("tree_sitter_python", "language"),
    "Ruby": ("tree_sitter_ruby", "language"),
    "Rust": ("tree_sitter_rust", "language"),
    "SQL": ("tree_sitter_sql", "language"),
    "Scala": ("tree_sitter_scala", "language"),
    "Shell": ("tree_sitter_bash", "language"),
    "Swift": ("tree_sitter_swift", "language"),
    "TOML": ("tree_sitter_toml", "language"),
    "TSX": ("tree_sitter_typescript", "language_tsx"),
    "TypeScript": ("tree_sitter_typescript", "language_typescript"),
    "YAML": ("tree_sitter_yaml", "language"),
}
ERROR_KIND = 0xFFFF  # what a node of skipped text has as its kind in every grammar


@cache
def grammar(language: str) -> Language | None:
    """The grammar of a language, None where there is none."""
    if language not in GRAMMARS:
        return None
    module, function = GRAMMARS[language]
    return Language(getattr(importlib.import_module(module), function)())


@cache
def kinds(language: str) -> tuple[str, ...]:
    """The name of every kind of node of a language, by kind id; empty for hidden ones and without a grammar."""
    loaded = grammar(language)
    if loaded is None:
        return ()
    visible = loaded.node_kind_is_visible
    names = (loaded.node_kind_for_id(kind) if visible(kind) else "" for kind in range(loaded.node_kind_count))
    return tuple(name or "" for name in names)


@cache
def named(language: str) -> tuple[bool, ...]:
    """Whether each kind is named in the grammar, and not a token such as `(` that stands for itself."""
    loaded = grammar(language)
    return () if loaded is None else tuple(map(loaded.node_kind_is_named, range(loaded.node_kind_count)))


def versions() -> dict[str, str]:
    """What a tree depends on besides the text: part of the identity of who keeps something that trees say."""
    modules = {"tree_sitter", *(module for module, _ in GRAMMARS.values())}
    return {name: importlib.metadata.version(name.replace("_", "-")) for name in sorted(modules)}
