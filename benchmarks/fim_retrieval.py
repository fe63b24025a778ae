"""How often the context of a hole holds the definition of what is called around it.

Enters: a repository. Leaves: of the calls in samples with a hole to functions that one other file of the repository
defines, the share whose definition stands in the context, for several ways of choosing it within the same budget.
Functions and calls are found by queries of their own, not by those of the import graph. Limit: names decide what a call
means; a name that several files define, or its own file, is not counted.
"""

from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from tree_sitter import Query, QueryCursor

from loopdata.fim.config import FimConfig
from loopdata.fim.draws import Draws
from loopdata.fim.related import ContextConfig, Repository, Snippet
from loopdata.fim.samples import render_document
from loopdata.syntax.grammars import grammar
from loopdata.syntax.parse import Tree, parse

_SCRIPT = (
    "[(function_declaration name: (_) @def) (method_definition name: (_) @def)"
    " (variable_declarator name: (identifier) @def value: [(arrow_function) (function_expression)])"
    " (assignment_expression left: (member_expression property: (_) @def) right: (function_expression))]"
    " (call_expression function: [(identifier) @call (member_expression property: (_) @call)])"
)
_C = (
    "(function_definition declarator: (_ declarator: [(identifier) (field_identifier)] @def))"
    " (call_expression function: [(identifier) @call (field_expression field: (_) @call)])"
)
QUERIES = {
    "C": _C,
    "C++": _C,
    "Go": "[(function_declaration name: (_) @def) (method_declaration name: (_) @def)]"
    " (call_expression function: [(identifier) @call (selector_expression field: (_) @call)])",
    "Java": "[(method_declaration name: (_) @def)] (method_invocation name: (_) @call)",
    "JavaScript": _SCRIPT,
    "Python": "(function_definition name: (_) @def)"
    " (call function: [(identifier) @call (attribute attribute: (_) @call)])",
    "Rust": "(function_item name: (_) @def)"
    " (call_expression function: [(identifier) @call (scoped_identifier name: (_) @call)"
    " (field_expression field: (_) @call)])",
    "TypeScript": _SCRIPT,
}  # fmt: skip
BUDGET = 4_096
WAYS = {
    "ours": ContextConfig(max_bytes=BUDGET),
    "without_imports": ContextConfig(max_bytes=BUDGET, imports=False),
    "overlap": ContextConfig(max_bytes=BUDGET, measure="overlap"),
    "whole_files": ContextConfig(max_bytes=BUDGET, unit="files"),
    "without_definitions": ContextConfig(max_bytes=BUDGET, definitions=False),
    "next_chunk": ContextConfig(max_bytes=BUDGET, definitions=False, next_chunk=True),
}


class Names(NamedTuple):
    """Names and where they stand, in bytes of the file."""

    defined: list[tuple[str, int]]
    called: list[tuple[str, int]]


@cache
def _query(language: str) -> Query:
    loaded = grammar(language)
    assert loaded is not None
    return Query(loaded, QUERIES[language])


def names_of(text: bytes, language: str | None) -> Names:
    tree = parse(text, language) if language in QUERIES else None
    if not isinstance(tree, Tree):
        return Names([], [])
    found = QueryCursor(_query(tree.language)).captures(tree.root)
    lists = ([(text[node.start_byte : node.end_byte].decode(), node.start_byte) for node in found.get(name, ())]
             for name in ("def", "call"))  # fmt: skip
    return Names(*lists)


def shares(table: pa.Table, language: str, holes: int) -> dict[str, dict[str, float]]:
    """By way and by place of the call (anywhere in the sample, or in the middle): the share that is in the context."""
    files = Repository(table)
    names = [names_of(files.text(at), one) for at, one in enumerate(files.languages)]
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for at, found in enumerate(names):
        for name, start in found.defined:
            places[name].append((at, start))
    single = {name: where[0] for name, where in places.items() if len({at for at, _ in where}) == 1}
    hits = {way: np.zeros((2, 2), np.int64) for way in (*WAYS, "random_files")}
    drawn = sorted((Draws(0, "sample", files.doc_ids[at]).unit(), at) for at, one in enumerate(files.languages)
                   if one == language)  # fmt: skip
    for _, at in drawn[:holes]:
        for sample in render_document(FimConfig(rate=1.0), files.text(at), language, Draws(0, "s", files.doc_ids[at])):
            if not sample.record or not sample.record.get("kind"):
                continue
            hole = sample.record["middle_start"], sample.record["middle_end"]
            wanted = [
                (single[name], hole[0] <= start < hole[1])
                for name, start in names[at].called
                if single.get(name, (at, 0))[0] != at and sample.span[0] <= start < sample.span[1]
            ]
            if not wanted:
                continue
            for way, chosen in _contexts(files, at, hole, sample.span):
                for (file, start), inside in wanted:
                    is_there = any(s.file == file and s.start <= start < s.end for s in chosen)
                    hits[way][0] += (1, is_there)
                    hits[way][1] += (inside, inside and is_there)
    return {way: {"calls": int(sums[0, 0]), "anywhere": round(float(sums[0, 1] / max(sums[0, 0], 1)), 3),
                  "calls_in_middle": int(sums[1, 0]), "in_middle": round(float(sums[1, 1] / max(sums[1, 0], 1)), 3)}
            for way, sums in hits.items()}  # fmt: skip


def _contexts(
    files: Repository, at: int, hole: tuple[int, int], span: tuple[int, int]
) -> Iterator[tuple[str, list[Snippet]]]:
    for way, config in WAYS.items():
        yield way, files.related(at, hole, span, config, Draws(0, "c", files.doc_ids[at]))
    order = sorted(
        (Draws(0, "random", f"{files.doc_ids[at]} {other}").unit(), other) for other in range(len(files.sizes))
    )
    chosen, room = [], BUDGET
    for _, other in order:
        if other != at and room > 0:
            chosen.append(Snippet(other, 0, min(files.sizes[other], room)))
            room -= files.sizes[other]
    yield "random_files", chosen
