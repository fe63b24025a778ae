"""Rules on bytes: each with a hit, a near miss and its boundary."""

import json

import pytest

from loopdata.cleaning.heuristics import MEASURES, Heuristics, HeuristicsConfig
from loopdata.cleaning.presets import PRESETS
from loopdata.cleaning.rules import preset_table, rule_names
from loopdata.cleaning.syntax_heuristics import MEASURES as TREE_MEASURES
from loopdata.config import parse
from loopdata.errors import ConfigError
from loopdata.stage import Fate
from tests.cleaning.rule_case import documents, heuristics, hit

# rule, threshold: a text beyond it and its value, then texts that are kept: on the threshold, and what only looks alike
RULES: list[tuple[str, float, str, float, list[str]]] = [
    ("max_bytes", 4, "éab\n", 5, ["éa\n", "abc\n"]),
    ("min_characters", 3, "éé", 2, ["ééé"]),
    ("min_lines", 2, "a", 1, ["a\nb", "a\nb\n"]),
    ("max_lines", 2, "a\nb\nc", 3, ["a\nb\n", "a\nb"]),
    ("max_longest_line", 4, "a\nbbbbb\n", 5, ["bbbb\na", "éééé", "aa\naa\n"]),
    ("max_long_lines", 0.5, "a" * 1_001 + "\n", 1_001 / 1_002, ["a" * 1_001 + "\n" + "b\n" * 500, "a" * 1_000]),
    ("min_mean_line", 2, "a\n\n", 0.5, ["aa\n\naaaa", "aaa\na"]),
    ("max_mean_line", 2, "aaaa\na", 2.5, ["aaaa\n\n", "aa\naa\n"]),
    ("min_alphabetic", 0.25, "a1234567", 0.125, ["ab123456", "éя123456", "中1", ""]),
    ("min_visible_alphabetic", 0.5, "ab1 23\n", 0.4, ["ab 12\n\n", "  \n"]),
    ("min_alphanumeric", 0.5, "a1---", 0.4, ["a½--", "a1--"]),
    ("max_visible_digits", 0.5, "123 ab", 0.6, ["12 ab", "1  a", "½½½a"]),
    ("max_whitespace", 0.5, "a \n", 2 / 3, ["a ", "ab\n\t"]),
    ("max_hexadecimal", 0.5, "0x1F--", 2 / 3, ["0x1F----", "deadbeef", "a0x1F", "0x1Fg"]),
    ("max_longest_encoded", 63, "6f" * 32, 64, ["6f" * 31, "word" * 100]),
    ("max_encoded", 0.5, "6f" * 40 + "-" * 20, 0.8, ["6f" * 40 + "-" * 80]),
    ("min_words", 3, "a-b.", 2, ["a b c", "a_b é c"]),
    ("max_duplicate_lines", 0.5, "aa\naa\nbb\n", 2 / 3, ["aa\naa\nbb\ncc\n", "}\n}\n},\n},\naa\n"]),
    ("max_top_2grams", 0.5, "a b A b c", 0.8, ["a b c a b d e f", "a b c d"]),
    ("max_top_3grams", 0.5, "a b c a b c d", 6 / 7, ["a b c d e f", "a b c d"]),
    ("max_top_4grams", 0.5, "a b c d a b c d e", 8 / 9, ["a b c d e f g h"]),
]


@pytest.mark.parametrize(("rule", "threshold", "text", "value", "kept"), RULES, ids=[rule[0] for rule in RULES])
def test_a_rule_hits_beyond_its_threshold(
    rule: str, threshold: float, text: str, value: float, kept: list[str]
) -> None:
    assert hit(heuristics(documents(text), **{rule: threshold})) == (rule, pytest.approx(value), threshold)
    for near in kept:
        assert hit(heuristics(documents(near), **{rule: threshold})) is None, near


def test_every_measure_that_a_preset_uses_has_a_test() -> None:
    used = {name for preset in PRESETS for name in preset_table(preset)} & set(rule_names(MEASURES))
    assert used - {rule[0] for rule in RULES} == {"min_html_text", "min_html_text_share"}


PAGE = "<html><style>p {color: red}</style><script>var words = 'that nobody sees';</script><p>%s</p></html>"


@pytest.mark.parametrize(("shown", "kept"), [("a" * 100, True), ("a" * 99, False), ("a " * 50, True)])
def test_html_shows_a_hundred_characters(shown: str, kept: bool) -> None:
    outcome = heuristics(documents(PAGE % shown, language="HTML"), min_html_text=100)
    assert hit(outcome) == (None if kept else ("min_html_text", 99, 100))


def test_html_shows_a_share_of_what_it_holds() -> None:
    assert hit(heuristics(documents("<p>ab</p>", language="HTML"), min_html_text_share=2 / 9)) is None
    found = hit(heuristics(documents("<p>a</p>", language="HTML"), min_html_text_share=0.2))
    assert found == ("min_html_text_share", 0.125, 0.2)
    assert hit(heuristics(documents("<p>a</p>", language="Vue"), min_html_text_share=0.2)) is None


def test_the_first_rule_that_hits_ends_a_document() -> None:
    outcome = heuristics(documents("aaaa\n", "a\nb\n", "aa\n"), max_longest_line=3, max_lines=1, min_characters=4)
    assert outcome.fates == [
        Fate("2", "heuristics", "dropped", "min_characters", 3, 4, details="Python"),
        Fate("1", "heuristics", "dropped", "max_lines", 2, 1, details="Python"),
        Fate("0", "heuristics", "dropped", "max_longest_line", 4, 3, details="Python"),
    ]


def test_documents_keep_their_order() -> None:
    outcome = heuristics(documents("a", "bb", "c", "dd", "e"), min_characters=2)
    assert outcome.kept["text"].to_pylist() == ["bb", "dd"]


def test_an_empty_table_stays_empty() -> None:
    assert heuristics(documents(), preset="opencoder").kept.num_rows == 0


def test_a_slice_of_a_table_is_judged_by_its_own_texts() -> None:
    table = documents("a", "bb", "c", "word " * 40).slice(1, 2)
    assert [fate.subject for fate in heuristics(table, min_words=1, max_top_2grams=1, min_characters=2).fates] == ["2"]


def test_fates_carry_the_name_that_the_run_gives_the_stage() -> None:
    config = parse(HeuristicsConfig, {"preset": "none", "rules": {"min_lines": 2}}, "h")
    assert [fate.stage for fate in Heuristics(config, label="again").apply(documents("a")).fates] == ["again"]


def resolved(preset: str, **rules: object) -> dict[str, dict[str, float]]:
    return parse(HeuristicsConfig, {"preset": preset, "rules": rules}, "h").resolved()


def test_a_number_is_for_all_languages_and_null_switches_a_rule_off() -> None:
    assert resolved("stack-v2", max_longest_line=200)["max_longest_line"] == {"else": 200}
    assert "max_longest_line" not in resolved("stack-v2", max_longest_line=None)


def test_a_mapping_lies_over_the_preset_language_by_language() -> None:
    rules = {"max_longest_line": {"else": 200, "JSON, C++": 300}}
    found = resolved("stack-v2", **rules)["max_longest_line"]
    others = dict.fromkeys(("HTML", "Markdown", "Roff", "SMT", "TeX", "Text", "XML"), 100_000)
    assert found == {"else": 200, "JSON": 300, "C++": 300} | others
    text = "a" * 250
    assert hit(heuristics(documents(text, language="C++"), **rules)) is None
    assert hit(heuristics(documents(text, language="C"), **rules)) == ("max_longest_line", 250, 200)
    assert hit(heuristics(documents(text, language=None), **rules)) == ("max_longest_line", 250, 200)
    exempt = {"max_longest_line": {"else": 200, "C": None}}
    assert hit(heuristics(documents(text, language="C"), **exempt)) is None


def test_rules_are_tried_in_their_own_order_and_not_in_that_of_the_run_file() -> None:
    assert list(resolved("none", max_encoded=1, max_lines=3, min_lines=2)) == ["min_lines", "max_lines", "max_encoded"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"rules": {"max_line": 5}}, "there is no rule 'max_line'; did you mean 'max_lines'?"),
        ({"rules": {"max_imports": 5}}, "there is no rule 'max_imports'"),
        ({"rules": {"max_lines": {"Pyton": 5}}}, "max_lines: there is no language 'Pyton'; did you mean 'Python'?"),
        ({"rules": {"max_lines": "many"}}, "h.rules.max_lines"),
        ({"preset": "stack"}, "h.preset"),
    ],
)
def test_a_wrong_rule_is_named(config: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(HeuristicsConfig, config, "h")
    assert message in str(caught.value)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_rule_of_a_preset_is_one_of_one_stage(preset: str) -> None:
    table = preset_table(preset)
    ours, theirs = set(rule_names(MEASURES)), set(rule_names(TREE_MEASURES))
    assert not ours & theirs
    assert set(table) <= ours | theirs
    parse(HeuristicsConfig, {"rules": {name: table[name] for name in table if name in ours}}, "h")  # names of languages


def test_a_changed_table_of_a_preset_changes_the_key() -> None:
    stage = Heuristics(parse(HeuristicsConfig, {"preset": "stack-v2", "rules": {"max_lines": 5}}, "h"))
    assert stage.identity()["rules"]["max_lines"] == {"else": 5}
    assert stage.identity()["rules"]["min_alphabetic"] == {"else": 0.25}
    assert stage.identity()["rules"]["max_mean_line"]["JSON"] is None
    json.dumps(stage.identity(), allow_nan=False)


def test_our_preset_keeps_what_published_thresholds_were_seen_to_drop_wrongly() -> None:
    one_long_line = "".join(f"value{n} = compute(n{n})\n" for n in range(200)) + f"text = {'word ' * 300!r}\n"
    assert hit(heuristics(documents(one_long_line), preset="stack-v2")) == ("max_longest_line", 1_509, 1_000)
    deep = "        " * 4 + "return value\n"
    nested = "".join(f"{deep.rstrip()}{number}\n" for number in range(20))
    assert hit(heuristics(documents(nested), preset="opencoder"))[0] == "max_whitespace"  # type: ignore[index]
    table = "const TABLE: [u8; 1024] = [\n" + ("    " + "0x1f, " * 16 + "\n") * 64 + "];\n"
    code = "".join(f"fn f{number}(value: u32) -> u32 {{ value + {number} }}\n" for number in range(300))
    assert hit(heuristics(documents(table + code), preset="stack-v2"))[0] == "max_longest_encoded"  # type: ignore[index]
    for text in (one_long_line, nested, table + code):
        assert hit(heuristics(documents(text), preset="default")) is None


def test_other_categories_pass_by() -> None:
    assert Heuristics.categories == frozenset({"code"})
