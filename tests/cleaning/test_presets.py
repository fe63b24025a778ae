"""The presets decide as published, over literal files; where the published way of counting is wrong, ours is right."""

import re

import pytest

from tests.cleaning.rule_case import Hit, documents, heuristics, hit, syntax_heuristics

NAMES = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "theta", "iota", "kappa", "upsilon", "sigma", "omega"]
# Eleven lines of which no rule has anything to say.
GOOD = "".join(f"def {name}({name}_one, {name}_two):\n    {name}s = {name}_one * {name}_two\n" for name in NAMES[:6])


def decided(preset: str, text: str, language: str) -> Hit:
    """What ends a file under a preset: the bytes first, then the tree."""
    table = documents(text, language=language)
    return hit(heuristics(table, preset=preset)) or hit(syntax_heuristics(table, preset=preset))


def lines(count: int) -> str:
    """Python of so many lines, none like another."""
    return "".join(f"{NAMES[n % 12]}_{n:x} = {NAMES[n % 7]}({NAMES[n % 5]}_{n:x})\n" for n in range(count))


def wide(size: int) -> str:
    """A line of so many characters."""
    return ("text = '" + "some words, ".ljust(13, "x") * 10_000)[: size - 1] + "'\n"


def numbered(line: str) -> str:
    """Thirty lines of two names and a number."""
    return "".join(line.format(NAMES[n % 12], NAMES[n % 7], n) for n in range(1_000, 1_030))


STACK_V2: list[tuple[str, str, str, str | None]] = [
    ("good", "Python", GOOD, None),
    ("100,000 lines", "Python", "xy\n" * 100_000, None),
    ("more", "Python", "xy\n" * 100_001, "max_lines"),
    ("512 lines of data", "YAML", "ab: ab\n" * 512, None),
    ("more", "YAML", "ab: ab\n" * 513, "max_lines"),
    ("513 lines of code", "Python", lines(513), None),
    ("a line of 1,000", "Python", wide(1_000) + lines(20), None),
    ("longer", "Python", wide(1_001) + lines(20), "max_longest_line"),
    ("longer in Markdown", "Markdown", wide(1_001), None),
    ("100,000 in Markdown", "Markdown", wide(100_000), None),
    ("longer", "Markdown", wide(100_001), "max_longest_line"),
    ("a mean line of 100", "Python", wide(100) * 3, None),
    ("longer", "Python", wide(100) * 2 + wide(101), "max_mean_line"),
    ("a quarter of letters", "Python", "abcd12345678", None),
    ("fewer", "Python", "abc123456789", None),
    ("fewer still", "Python", "abc1234567890", "min_alphabetic"),
    ("hexadecimal bytes, 1,024 characters", "C", GOOD * 9 + "0x1f,\n" * 171, None),
    ("more", "C", GOOD * 9 + "0x1f,\n" * 172, "max_longest_encoded"),
    ("half is escapes", "Python", "a" * 48 + r"\u00e9" * 8, None),
    ("more is", "Python", "a" * 47 + r"\u00e9" * 8, "max_encoded"),
    ("a page", "HTML", "<p>" + "words " * 17 + "</p>", None),
    ("less of it", "HTML", "<p>" + "words " * 16 + "</p>", "min_html_text"),
    ("a page of tags", "HTML", "<br/>" * 99 + "words " * 20, "min_html_text_share"),
]


@pytest.mark.parametrize(("name", "language", "text", "rule"), STACK_V2, ids=[f"{c[0]}, {c[1]}" for c in STACK_V2])
def test_the_stack_v2_decides_as_published(name: str, language: str, text: str, rule: str | None) -> None:
    found = decided("stack-v2", text, language)
    assert (found[0] if found else None) == rule, found


OPENCODER: list[tuple[str, str, str, str | None]] = [
    ("good", "Python", GOOD, None),
    ("few characters", "Python", "a b\n" * 12, "min_characters"),
    ("nine lines", "Python", lines(9), "min_lines"),
    ("ten lines", "Python", lines(10), None),
    ("few words", "Python", "".join(f"{name * 2}\n" for name in NAMES), "min_words"),
    ("short lines", "Python", "".join(f"a{n:x}\n" for n in range(99)), "min_mean_line"),
    ("a line of 1,000", "Python", wide(1_000) + GOOD * 20, "max_duplicate_lines"),
    ("a line of 1,001", "Python", wide(1_001) + lines(20), "max_longest_line"),
    ("more signs than letters", "Python", lines(12) + "# " + "-=" * 300 + "\n", "min_visible_alphabetic"),
    ("digits", "Python", numbered("{0}_{1} = {2}\n"), "max_visible_digits"),
    ("digits in SQL", "SQL", numbered("SELECT {0}_of{2} FROM by{2};\n"), None),
    ("white space", "Python", lines(12) + " " * 900 + "\n", "max_whitespace"),
    ("the same pair", "Python", lines(10) + "some words\n" * 7, "max_top_2grams"),
    ("twins", "Python", "".join(f"{name}_of = {name}_by({name})\n" * 2 for name in NAMES), "max_duplicate_lines"),
    ("comments", "Python", lines(10) + "".join(f"# {line}" for line in lines(90).splitlines(True)), "max_comments"),
    ("strings", "Python", "".join(f"{name} = 'it is {name} or {name}s'\n" for name in NAMES), "max_strings"),
    ("asserts", "Python", lines(10) + "".join(f"assert {name}s({n})\n" for n, name in enumerate(NAMES)), "max_asserts"),
    ("a todo in 99 lines", "Python", lines(98) + "# TODO: more\n", "max_todos"),
    ("a todo in 100 lines", "Python", lines(99) + "# TODO: more\n", None),
    ("does not parse", "Python", GOOD + "def def\n", "max_error_share"),
    ("imports", "Python", lines(10) + "".join(f"from {name} import {name}s\n" for name in NAMES), "max_imports"),
    ("passes", "Python", GOOD + "if alpha:\n    pass\n", "max_passes"),
    ("prints", "Python", lines(10) + "".join(f"print({name}, {n})\n" for n, name in enumerate(NAMES)), "max_prints"),
    (
        "trivial functions",
        "Python",
        lines(10) + "".join(f"def {name}({name}_one):\n    return {name}_two\n" for name in NAMES),
        "max_trivial_functions",
    ),
    (
        "no logic",
        "Python",
        "".join(f"class {name}:\n    {name}_one = any_{name}\n    {name}_two: {name}s\n" for name in NAMES),
        "max_no_logic",
    ),
]


@pytest.mark.parametrize(("name", "language", "text", "rule"), OPENCODER, ids=[c[0] for c in OPENCODER])
def test_opencoder_decides_as_published(name: str, language: str, text: str, rule: str | None) -> None:
    found = decided("opencoder", text, language)
    assert (found[0] if found else None) == rule, found


# For each: what a line must hold to be counted by the published code, and a file that is innocent of it.
SUBSTRINGS = {
    "max_imports": ("import", "important_{0} = 'import {0}'  # reimport\n"),
    "max_passes": ("pass", "password_{0} = bypass(compass_{0})\n"),
    "max_prints": ("print", "blueprint_{0} = fingerprint(footprint_{0})\n"),
    "max_asserts": ("assert", "{0} = reassert({0}_asserted)\n"),
}


@pytest.mark.parametrize("rule", SUBSTRINGS)
def test_a_substring_is_no_statement(rule: str) -> None:
    substring, line = SUBSTRINGS[rule]
    text = "".join(line.format(name) for name in NAMES)
    published = sum(substring in one for one in text.splitlines()) / len(text.splitlines())
    threshold = {"max_imports": 0.3, "max_passes": 0.05, "max_prints": 0.4, "max_asserts": 0.4}[rule]
    assert published == 1.0 > threshold
    assert hit(syntax_heuristics(documents(text), **{rule: threshold})) is None


def test_a_string_that_holds_code_is_a_string() -> None:
    text = 'page = """\nimport a\nprint(a)\npass\nassert a\n# TODO: a\n"""\n'
    strict = {f"max_{name}": 0 for name in ("imports", "prints", "passes", "asserts", "todos", "comments")}
    assert hit(syntax_heuristics(documents(text), **strict)) is None


def test_two_hexadecimal_digits_of_a_word_are_no_byte() -> None:
    assert re.search(r"[a-zA-Z0-9+/\n=]{64,}", "deadline\n" * 8) is not None
    assert hit(heuristics(documents("deadline\n" * 8), max_encoded=0)) is None
