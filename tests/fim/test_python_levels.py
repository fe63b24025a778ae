"""Holes in Python lie on the level that they name, as Python's own parser sees it."""

import ast
import sysconfig
from collections import Counter
from itertools import accumulate, combinations
from pathlib import Path

import pytest

from loopdata.fim.characters import Text
from loopdata.fim.draws import Draws
from loopdata.fim.holes import LEVEL_OF, Hole, Sizes, draw_hole

STDLIB = Path(sysconfig.get_paths()["stdlib"])
FILES = ["ast.py", "argparse.py", "contextlib.py", "dataclasses.py", "json/decoder.py", "tokenize.py", "typing.py"]
SIZES = Sizes(3, 4_000)
DRAWS = 25
Located = ast.expr | ast.stmt | ast.pattern


class Oracle:
    """Where Python's parser sees expressions, statements, functions and lists of statements, in bytes."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.lines = [0, *accumulate(len(line) for line in source.splitlines(keepends=True))]
        self.spans: dict[str, set[tuple[int, int]]] = {name: set() for name in (*LEVEL_OF, "literal")}
        for node in ast.walk(ast.parse(source)):
            self.add(node)

    def add(self, node: ast.AST) -> None:
        if isinstance(node, ast.expr):
            self.spans["expression"].add(self.bare(node))
        if isinstance(node, ast.BoolOp):  # `a or b or c` is one node with three values
            pairs = combinations(map(self.bare, node.values), 2)
            self.spans["expression"] |= {(first[0], last[1]) for first, last in pairs}
        if isinstance(node, ast.JoinedStr):  # Python 3.11 does not know where the parts of an f-string are
            self.spans["literal"].add(self.bare(node))
        if isinstance(node, ast.stmt):
            self.spans["statement"].add(self.decorated(node))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self.spans["function"].add(self.bare(node))
            self.spans["function_body"].add(self.joined(node.body))
        if isinstance(node, ast.Match):
            case = self.source.rindex(b"case", 0, self.bare(node.cases[0].pattern)[0])
            self.spans["block"].add((case, self.bare(node)[1]))
        for name in ("body", "orelse", "finalbody"):
            found = getattr(node, name, None)
            if isinstance(found, list) and found:
                self.spans["block"].add(self.joined(found))

    def bare(self, node: Located) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.lines[node.lineno - 1] + node.col_offset, self.lines[node.end_lineno - 1] + node.end_col_offset

    def decorated(self, node: Located) -> tuple[int, int]:
        """The span of a node, with its decorators."""
        start, end = self.bare(node)
        decorators = getattr(node, "decorator_list", [])
        return (self.source.rindex(b"@", 0, self.bare(decorators[0])[0]) if decorators else start), end

    def joined(self, nodes: list[ast.stmt]) -> tuple[int, int]:
        return self.decorated(nodes[0])[0], self.bare(nodes[-1])[1]

    def agrees(self, hole: Hole) -> bool:
        """Whether a hole is such a node, up to comments behind it and blanks before it."""
        start, end = hole.start, hole.end
        start += len(self.source[start:end]) - len(self.source[start:end].lstrip())
        places = (close for close in range(end, start, -1) if self.only_comments(close, end))
        if any((start, close) in self.spans[hole.kind] for close in places):
            return True
        return hole.kind == "expression" and self.is_part_of_one(start, end)

    def is_part_of_one(self, start: int, end: int) -> bool:
        """What Python's parser joins to something larger: in parentheses, a piece of a string, within an f-string."""
        text = self.source[start:end].decode()
        if any(a < start and end < b for a, b in self.spans["literal"]):
            return True
        return (text[0] == "(" or text[-1] in "\"'") and is_expression(text)

    def only_comments(self, start: int, end: int) -> bool:
        lines = [line.strip() for line in self.source[start:end].split(b"\n")]
        return all(not line or line.startswith(b"#") for line in lines)


def is_expression(text: str) -> bool:
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        return False
    return True


def holes_of(kind: str, source: bytes) -> list[Hole]:
    found = [draw_hole(Text(source), "Python", {kind: 1}, SIZES, Draws(0, kind, str(n))) for n in range(DRAWS)]
    return [hole for hole in found if isinstance(hole, Hole)]


@pytest.mark.parametrize("kind", LEVEL_OF)
def test_a_hole_is_on_the_level_that_it_names(kind: str) -> None:
    counts: Counter[bool] = Counter()
    for name in FILES:
        source = (STDLIB / name).read_bytes()
        oracle = Oracle(source)
        found = holes_of(kind, source)
        assert [source[hole.start : hole.end] for hole in found if not oracle.agrees(hole)] == []
        counts[True] += len(found)
    assert counts[True] == len(FILES) * DRAWS


def test_the_oracle_tells_levels_apart() -> None:
    source = b"def f(x):\n    y = (x + 1)\n    return y\n"
    oracle = Oracle(source)
    spans = [
        span for span in combinations(range(len(source)), 2) if source[slice(*span)].strip() == source[slice(*span)]
    ]
    places = {kind: [source[slice(*span)] for span in spans if oracle.agrees(Hole(kind, *span))] for kind in LEVEL_OF}
    body = b"y = (x + 1)\n    return y"
    assert places == {
        "function": [source[:-1]],
        "function_body": [body],
        "block": [source[:-1], body],
        "statement": [source[:-1], b"y = (x + 1)", b"return y"],
        "expression": [b"(x)", b"y", b"(x + 1)", b"x", b"x + 1", b"1", b"y"],  # the parameters read as one
    }
