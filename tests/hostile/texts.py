"""Texts that hurt parsers, each made by a few bytes of recipe: deep, unterminated, random, endless, ambiguous.

Enters: nothing. Leaves: CASES, name → (language, text). Collected by trying repeated openers, operators and quotes on
every grammar and keeping those that took longest or most memory. Limit: those were found with the pinned grammars.
"""

import random


def _random(num_bytes: int, seed: int) -> str:
    return random.Random(seed).randbytes(num_bytes).decode("latin-1")


def _varied(pattern: str, times: int) -> str:
    """`pattern` with another number for each `#`, so that it is not plain repetition."""
    return "".join(pattern.replace("#", str(number * 7919 % 99991)) for number in range(times))


CASES: dict[str, tuple[str, str]] = {
    "deep_parentheses": ("Python", "x = " + "(" * 100_000 + ")" * 100_000),
    "deep_calls": ("Python", "x = " + _varied("f#(", 20_000) + ")" * 20_000),
    "deep_json": ("JSON", _varied('{"#":', 20_000) + "1" + "}" * 20_000),
    "deep_blocks": ("JavaScript", _varied("if(a#){", 20_000) + "}" * 20_000),
    "deep_elements": ("HTML", "<div>" * 100_000),
    "deep_varied_elements": ("HTML", _varied("<a#>", 10_000)),
    "deep_indents": ("Python", "".join(" " * depth + "if a:\n" for depth in range(600))),
    "deep_quotes_of_markdown": ("Markdown", _varied("> #", 5_000)),
    "long_sum": ("Python", "x = " + _varied("#+", 30_000) + "1"),
    "long_members": ("Java", "class A { int x = a" + _varied(".b#", 20_000) + "; }"),
    "unary_chain": ("C", "int x = " + "-" * 100_000 + "1;"),
    "open_calls": ("C", _varied("f#(", 10_000)),
    "open_generics": ("C#", _varied("a#<", 100_000)),
    "arrow_assignments": ("C", "x=>" * 3_000),
    "arrows_of_java": ("Java", "x=>" * 3_000),
    "open_interpolations": ("C", _varied("${#", 10_000)),
    "unterminated_string": ("JavaScript", "x = '" + _varied("a #\n", 10_000)),
    "unterminated_comment": ("C", "/* " + _varied("comment #\n", 10_000)),
    "unterminated_literal": ("Ruby", "%q(" + _varied("a # ", 8_000)),
    "unterminated_literals": ("Ruby", _varied("%q(#", 10_000)),
    "heredocs": ("Shell", _varied("cat <<A#\n", 900)),
    "one_comment": ("Python", "# " + _varied("a # ", 100_000) + "\n"),
    "functions": ("Python", _varied("def f#(x):\n    return x\n", 10_000)),
    "random_bytes": ("C++", _random(20_000, 1)),
    "random_bytes_as_haskell": ("Haskell", _random(20_000, 2)),
    "openers_10_mb": ("Go", "{" * 10_000_000),
    "quotes_1_mb": ("C", '"' * 1_000_000),
    "arrows": ("TypeScript", _varied(" -> #", 5_000)),
    "ternaries": ("Scala", _varied("a#?b:", 3_000)),
    "nested_comments": ("Swift", _varied("/* #", 3_000)),
    "percent_calls": ("Lua", _varied("%(#", 5_000)),
    "deep_indents_of_yaml": ("YAML", "".join(" " * depth + "a:\n" for depth in range(600))),
    "dashes_of_yaml": ("YAML", _varied("- ", 300)),
    "open_flows_of_yaml": ("YAML", _varied("{a#: [", 5_000)),
    "open_quotes_of_yaml": ("YAML", _varied('a: "#\n', 5_000)),
    "anchors_of_yaml": ("YAML", _varied("a#: &a# [*a#, *a#]\n", 5_000)),
    "random_bytes_as_yaml": ("YAML", _random(20_000, 3)),
    "empty": ("Python", ""),
    "blank": ("Python", " \n\n\t\n"),
}
