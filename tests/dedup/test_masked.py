"""Near dedup by masked identifiers: renamed copies, and what they must not be taken for."""

import re

from loopdata.dedup import masked
from loopdata.dedup.masked import MaskIdentifiers, mask
from loopdata.dedup.near import NearConfig, NearDedup
from loopdata.schema import table_of
from loopdata.stage import Fate
from tests.dedup.drive import SCHEMA, document, drive

CODE = "\n".join(
    f"def area_{n}(width, height):\n    total = width * {n}\n    return total + helper_{n}(height, 'name {n}')\n"
    for n in range(12)
)
RENAMED = re.sub(r"\b(area_|width|height|total|helper_)", r"other_\1", CODE)


def fates(*texts: str, language: str = "Python", **config: object) -> dict[str, Fate]:
    stage = NearDedup(NearConfig(**config))
    rows = [document(str(place), text, language=language) for place, text in enumerate(texts)]
    return drive(stage, {"u": rows})[1]


def test_a_copy_with_other_names_is_found_only_by_masked_identifiers() -> None:
    assert fates(CODE, RENAMED) == {}
    (fate,) = fates(CODE, RENAMED, grams="masked_identifiers").values()
    assert (fate.rule, fate.value, fate.ref) == ("near_copy", 1.0, "0")


def test_other_literals_and_other_operators_are_other_words() -> None:
    assert mask(b"a = b + 1", "Python") == b"i x3d i x2b 1"
    assert mask(b"f(x, 'text')  # why", "Python") == b"i x28 i x2c x277465787427 x29 x2320776879"
    assert mask(b"f('a longer text')", "Python") != mask(b"f('another text')", "Python")
    other = re.sub(r"\d", "7", CODE).replace("*", "-").replace("'name", "'word")
    assert fates(CODE, other, grams="masked_identifiers") == {}


def test_long_tokens_are_not_remembered() -> None:
    known = masked._short_word.cache_info().currsize
    mask(b"x = '" + b"long " * 400 + b"'", "Python")
    assert masked._short_word.cache_info().currsize <= known + 1


def test_without_a_tree_the_words_are_those_of_the_text() -> None:
    assert mask(b"some words", None) == mask(b"some words", "CMake") == b"some words"
    assert mask(b"x" * (1 << 21), "Python") == b"x" * (1 << 21)
    assert mask(None, "Python") is None
    text = " ".join(f"w{number}" for number in range(60))
    assert list(fates(text, text + " more", language="CMake", grams="masked_identifiers")) == ["1"]


def test_the_column_is_there_only_between_both() -> None:
    stage = NearDedup(NearConfig(grams="masked_identifiers"), label="near")
    assert [step.label for step in stage.before()] == ["near.masks"]
    assert (stage.removes, NearDedup().removes, NearDedup().before()) == ({"masked_text"}, frozenset(), ())
    table = MaskIdentifiers().apply(table_of([document("a", "x", language="Python")], SCHEMA)).kept
    assert table["masked_text"].to_pylist() == ["i"]
