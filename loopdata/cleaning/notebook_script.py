"""A Jupyter notebook as a script in the language of its kernel.

Enters: the JSON of a notebook, format 3 or 4. Leaves: its script in the percent format: a cell begins with `# %%`,
prose is commented behind `# %% [markdown]`, outputs and metadata are gone. Lines that are the notebook's and not the
language's (magics, shell lines) become comments, so that the script parses if the cells did. Limit: a kernel whose
language has no marks for comments here has no script.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from loopdata.cleaning.python_magics import without_magics
from loopdata.syntax import language_names

PYTHON = "Python"
# What begins (and ends) a line of comment, and in which languages; a name with a space has a `_` for it.
_COMMENTS = """
#: Awk CMake CoffeeScript Crystal Elixir Julia Nim Perl PowerShell Python R Raku Ruby Shell Tcl
//: C C++ C# Cuda D Dart F# Go Groovy Java JavaScript Kotlin Objective-C PHP Rust Scala Solidity Swift TypeScript Zig
--: Ada Elm Haskell Lua PureScript SQL
;: Clojure Common_Lisp Emacs_Lisp Racket Scheme
%: Erlang MATLAB Prolog TeX
(* *): OCaml Standard_ML
"""
_MARKS = {
    language.replace("_", " "): marks.split()
    for marks, _, languages in (line.partition(":") for line in _COMMENTS.strip().splitlines())
    for language in languages.split()
}
_KERNELS = {
    "ir": "R", "octave": "MATLAB", "bash": "Shell", "sh": "Shell", "zsh": "Shell", "c++11": "C++", "c++14": "C++",
    "c++17": "C++", "c++20": "C++", "ipython": "Python", "python2": "Python", "python3": "Python", "sage": "Python",
    "node": "JavaScript", "clojurescript": "Clojure", "lisp": "Common Lisp",
}  # fmt: skip


class NotebookError(Exception):
    """Why a notebook has no script: `rule` is the name of the fate."""

    def __init__(self, rule: str, details: str) -> None:
        super().__init__(rule, details)
        self.rule, self.details = rule, details


class Script(NamedTuple):
    """The script, its language, and what was counted on the way."""

    text: str
    language: str
    code: int
    prose: int
    outputs: int
    magics: int

    def __str__(self) -> str:
        return (
            f"{self.language}: {self.code} cells of code, {self.prose} of prose; {self.outputs} outputs dropped, "
            f"{self.magics} lines of magic commented"
        )


def script_of(content: bytes) -> Script:
    """The script of a notebook. NotebookError names the rule by which it has none."""
    notebook = _notebook(content)
    language = _language(notebook.get("metadata"))
    parts: list[str] = []
    code = prose = outputs = magics = 0
    for cell in _cells(notebook):
        source, kind = _source(cell), cell.get("cell_type")
        shown = cell.get("outputs")
        outputs += len(shown) if isinstance(shown, list) else 0
        if not source.strip():
            continue
        if kind == "code":
            source, found = _code(source, language)
            code, magics = code + 1, magics + found
            parts.append(_comment("%%", language) + source)
        else:
            prose += 1
            name = "markdown" if kind in ("markdown", "heading") else "raw"
            parts.append(_comment(f"%% [{name}]", language) + _comment(source, language))
    if not code:
        raise NotebookError("notebook_without_code", f"{prose} cells of prose")
    return Script("\n".join(part.rstrip("\n") + "\n" for part in parts), language, code, prose, outputs, magics)


def _notebook(content: bytes) -> dict[str, Any]:
    try:
        notebook = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NotebookError("notebook_broken", f"{type(error).__name__}: {error}"[:200]) from None
    if not isinstance(notebook, dict):
        raise NotebookError("notebook_broken", "no notebook but other JSON")
    return notebook


def _cells(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The cells; format 3 has them in worksheets."""
    sheets = notebook.get("worksheets")
    groups = [notebook] if "cells" in notebook else sheets if isinstance(sheets, list) else None
    if groups is None:
        raise NotebookError("notebook_broken", "no cells")
    for group in groups:
        cells = group.get("cells") if isinstance(group, dict) else None
        if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
            raise NotebookError("notebook_broken", "cells that are none")
        yield from cells


def _source(cell: dict[str, Any]) -> str:
    source = cell.get("source", cell.get("input", ""))
    lines = source if isinstance(source, list) else [source]
    if not all(isinstance(line, str) for line in lines):
        raise NotebookError("notebook_broken", "a cell whose source is no text")
    text = "".join(lines)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise NotebookError("notebook_broken", "a cell with half a surrogate pair") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _language(metadata: Any) -> str:
    """The language of the kernel; Python where nothing is said, as in the first notebooks."""
    metadata = metadata if isinstance(metadata, dict) else {}
    said = [
        found
        for part, key in (("kernelspec", "language"), ("language_info", "name"), ("kernelspec", "name"))
        if isinstance(metadata.get(part), dict) and isinstance(found := metadata[part].get(key), str) and found
    ]
    named = (_named(name) for name in said)
    language = next((name for name in named if name in _MARKS), None)
    if language is None and said:
        raise NotebookError("notebook_language", said[0][:80].encode("utf-8", "replace").decode())
    return language or PYTHON


def _named(name: str) -> str | None:
    plain = name.lower()
    return _KERNELS.get(plain) or next((known for known in language_names.languages() if known.lower() == plain), None)


def _code(source: str, language: str) -> tuple[str, int]:
    """The source of a cell in its language, and how many lines of it were not."""
    if language == PYTHON:
        return without_magics(source)
    of_kernel = source.startswith("%%") or (language == "Julia" and source.startswith((";", "]", "?")))
    if of_kernel and language != "MATLAB":  # where `%%` begins a comment anyway
        return _comment(source, language), source.rstrip("\n").count("\n") + 1
    return source, 0


def _comment(text: str, language: str) -> str:
    """Every line of a text as a comment, with its end."""
    before, *behind = _MARKS[language]
    if behind:
        text = text.replace("*)", "* )").replace("(*", "( *")
    return "".join(" ".join([before, line, *behind]).rstrip() + "\n" for line in text.rstrip("\n").split("\n"))
