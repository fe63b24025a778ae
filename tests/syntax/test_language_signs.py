"""Signs: points, what decides, and that a language is told from the one it grew out of."""

from loopdata.syntax.language_names import SHARED, languages
from loopdata.syntax.language_signs import GREW_FROM, LEAST, MARGIN, SIGNS, decided, score


def test_points_decide_from_the_least_up_and_by_the_margin() -> None:
    assert decided({"C": LEAST}) == "C"
    assert decided({"C": LEAST - 1}) is None
    assert decided({"C": LEAST + MARGIN, "D": LEAST}) == "C"
    assert decided({"C": LEAST + MARGIN - 1, "D": LEAST}) is None
    assert decided({}) is None


def test_a_sign_counts_once() -> None:
    assert score(b"std::a; std::b; std::c;\n", ("C++",)) == score(b"std::a;\n", ("C++",)) == {"C++": 3}


def test_a_language_has_the_points_of_the_one_it_grew_out_of_if_it_has_signs_of_its_own() -> None:
    c = b"#include <stdio.h>\n"
    assert score(c, ("C", "C++")) == {"C": 3}
    assert score(c + b"std::a;\n", ("C", "C++")) == {"C++": 6}
    assert score(c + b"// one point is not enough\n", ("C", "C++")) == {"C": 3}


def test_only_the_start_of_a_text_is_looked_at() -> None:
    assert score(b"\n" * 8_192 + b"std::a;\n", ("C++",)) == {}


def test_bytes_that_are_no_text_have_points_or_none() -> None:
    assert score(bytes(range(256)) * 40) == score(bytes(range(256)) * 40)


def test_every_language_with_signs_is_known_and_every_shared_extension_can_be_decided() -> None:
    assert set(SIGNS) <= languages()
    assert {name for names in SHARED.values() for name in names} <= set(SIGNS)
    assert GREW_FROM.keys() | set(GREW_FROM.values()) <= set(SIGNS)
