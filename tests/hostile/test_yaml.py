"""YAML whose indents crash its grammar: it really crashes, and what we let through to it does not."""

import random
import signal
import subprocess
import sys

import pytest

from loopdata.syntax.parse import Limits, Refusal, Tree, parse_anew
from loopdata.syntax.yaml_indents import longest_chain


def keys(levels: int) -> str:
    """Mappings in mappings: an indent a level."""
    return "".join(" " * level + "a:\n" for level in range(levels))


def dashes(levels: int) -> str:
    """Lists in lists on one line."""
    return "- " * levels + "a\n"


def lists_of_keys(levels: int) -> str:
    """A list in the column of its key: two indents a level."""
    return "a:\n" + "".join("  " * level + "- a:\n" for level in range(levels))


SHAPES = {"keys": (keys, 254), "dashes": (dashes, 254), "lists_of_keys": (lists_of_keys, 127)}
TOKENS = ["- ", "? ", ": ", ":\n", "  ", " ", "\n", "|\n", ">-\n", '"', "'", "[", "]", "{", "}", "&a ", "*a ", "!!str ",
          "%YAML 1.2\n", "---\n", "...\n", "#c\n", "a: ", "- a: ", "\t", "é", "\\", "1.5", "~", "<<: "]  # fmt: skip
PARSE = "import sys; from loopdata.syntax.parse import *\nfor text in eval(sys.stdin.read()): "


def in_a_child(texts: list[str], limits: str) -> int:
    """The exit status of a process that parses them."""
    code = PARSE + f"parse_anew(text.encode(), 'YAML', Limits({limits}))"
    return subprocess.run([sys.executable, "-c", code], input=repr(texts).encode(), check=False).returncode


@pytest.mark.parametrize("shape", SHAPES)
def test_the_grammar_crashes_at_the_level_that_was_counted_and_not_before(shape: str) -> None:
    make, level = SHAPES[shape]
    assert in_a_child([make(level - 1)], "max_indents=10**9") == 0
    assert in_a_child([make(level)], "max_indents=10**9") == -signal.SIGSEGV


@pytest.mark.parametrize("shape", SHAPES)
def test_a_text_is_refused_above_the_limit_long_before_a_crash_and_read_on_it(shape: str) -> None:
    make, crash = SHAPES[shape]
    levels = next(n for n in range(1, 300) if longest_chain(make(n).encode(), 0) == Limits().max_indents)
    assert levels < crash
    assert isinstance(parse_anew(make(levels).encode(), "YAML"), Tree)
    found = parse_anew(make(levels + 1).encode(), "YAML")
    assert isinstance(found, Refusal)
    assert (found.reason, found.limit) == ("indents", 120)
    assert isinstance(parse_anew(make(20_000).encode() if shape == "dashes" else make(700).encode(), "YAML"), Refusal)


@pytest.mark.parametrize("line_end", ["\r", "\r\n"])
def test_any_line_end_is_counted_as_one(line_end: str) -> None:
    for make, _ in SHAPES.values():
        text = make(300)
        assert longest_chain(text.replace("\n", line_end).encode(), 0) == longest_chain(text.encode(), 0)
    assert in_a_child([keys(254).replace("\n", line_end)], "max_indents=10**9") == -signal.SIGSEGV


def test_a_wide_text_is_not_deep() -> None:
    flow = "a: {" + ", ".join(f"b{n}: c - d ? e" for n in range(30)) + "}\n"
    found = parse_anew((flow * 50).encode(), "YAML")
    assert isinstance(found, Tree)
    assert not found.root.has_error


def test_chains_are_counted_in_the_order_of_the_text() -> None:
    assert longest_chain(b"a:\n  b:\n    c\n", 0) == 5  # 0, 1 of its colon, 2, 3, 4
    assert longest_chain(b"      c\n   b\na\n", 0) == 1
    assert longest_chain(b"      c\n   b\na\n", 9) == 3  # so few columns need no chain
    assert longest_chain(b"", 0) == longest_chain(b"\n \n", 0) == 0


def test_two_thousand_random_texts_near_the_limit_kill_nobody() -> None:
    draw = random.Random(7)
    texts = []
    for _ in range(2_000):
        make = draw.choice([shape for shape, _ in SHAPES.values()])
        text = make(draw.randrange(1, 130))
        for _ in range(draw.choice((0, 1, 3, 20))):
            at = draw.randrange(len(text))
            text = text[:at] + draw.choice(TOKENS) * draw.choice((1, 2, 30)) + text[at:]
        texts.append(text)
    assert in_a_child(texts, "") == 0
