"""Hostile texts cost the rules no more than ordinary ones, and never break them.

The sizes are such that work that grew with the square of a text would not end within the limit of a test.
"""

import pytest

from tests.cleaning.rule_case import documents, heuristics, hit, syntax_heuristics

BIG = 10_000_000
EVERY_BYTE_RULE = ("default", "stack-v2", "opencoder")
# Without the rules that end most of these at once, so that the costly measures see them.
ONLY_COSTLY = {
    "max_encoded": 2,
    "max_duplicate_lines": 2,
    "max_top_4grams": 1e9,
    "max_words": 1e9,
    "min_html_text": {"HTML": 0},
}

BYTES = {
    "one line": "word " * (BIG // 5),
    "one word": "a" * BIG,
    "letters beyond ASCII": "é" * (BIG // 2),
    "one comment": "# " + "x" * BIG,
    "lines of one letter": "a\n" * (BIG // 2),
    "line ends": "\n" * BIG,
    "white space": " \t" * (BIG // 2),
    "nearly base64": ("A1b2" * 15 + "-") * (BIG // 61),
    "nearly bytes": "1f 2e ab 00 01 02 03 x" * (BIG // 22),
    "nearly escapes": "\\u00e" * (BIG // 6),
    "hexadecimal openers": "0x" * (BIG // 2),
    "tags that open": "<a" * (BIG // 2),
    "scripts that open": "<script>" * (BIG // 8),
    "comments that open": "<!--" * (BIG // 4),
    "quotes in a tag": "<a '" * (BIG // 4),
}


@pytest.mark.parametrize("name", BYTES)
def test_ten_megabytes_are_measured(name: str) -> None:
    table = documents(BYTES[name], language="HTML")
    for preset in EVERY_BYTE_RULE:
        heuristics(table, preset=preset)
    assert hit(heuristics(table, **ONLY_COSTLY)) is None


@pytest.mark.parametrize("text", ["", "\n", " \n\t\n", "\f"])
def test_nothing_but_white_space_is_no_accident(text: str) -> None:
    for preset in EVERY_BYTE_RULE:
        heuristics(documents(text), preset=preset)
        syntax_heuristics(documents(text), preset=preset)
    assert hit(heuristics(documents(text), min_visible_alphabetic=0.1, max_whitespace=1, max_encoded=0)) is None


# name: language, text, measure, what it says of the text (None: the tree is refused)
TREES: dict[str, tuple[str, str, str, float | None]] = {
    "10,000 functions": (
        "Python", "".join(f"def f{n}(x):\n    'doc'\n    return x\n" for n in range(10_000)), "no_logic", 1.0,
    ),
    "10,000 classes": ("Python", "".join(f"class C{n}:\n    a = {n}\n" for n in range(10_000)), "no_logic", 1.0),
    "functions in functions": (
        "Python", "".join(" " * n + f"def f{n}():\n" for n in range(400)) + " " * 400 + "pass\n", "passes", 1 / 401,
    ),
    "one huge comment": ("C", "/*" + "".join(f" todo {n}\n" for n in range(80_000)) + "*/\n", "todos", 80_000 / 80_001),
    "a class of 40,000 variables": (
        "Python", "class C:\n" + "".join(f"    a{n} = {n}\n" for n in range(40_000)), "no_logic", 1.0,
    ),
    "imports on one line": ("Python", "; ".join(f"import a{n}" for n in range(20_000)) + "\n", "imports", 1.0),
    "calls in calls": ("Python", "print(" * 300 + ")" * 300 + "\n", "prints", 1.0),
    "asserts by name": ("Python", "".join(f"a{n}.b.c.assert_{n}(x)\n" for n in range(20_000)), "asserts", 1.0),
    "dots before no assert": ("Python", "x = " + ".".join(f"a{n}" for n in range(4_000)) + "()\n", "asserts", 0.0),
    "too many dots": ("Python", "x = " + ".".join(f"a{n}" for n in range(5_000)) + "()\n", "asserts", None),
}  # fmt: skip


@pytest.mark.parametrize("name", TREES)
def test_large_trees_are_measured(name: str) -> None:
    language, text, measure, value = TREES[name]
    for preset in EVERY_BYTE_RULE:
        syntax_heuristics(documents(text, language=language), preset=preset)
    found = hit(syntax_heuristics(documents(text, language=language), **{f"max_{measure}": -1}))
    assert found == (None if value is None else (f"max_{measure}", value, -1))
