"""The `clean` stage: text from bytes, and each rule with a hit, a near miss and its boundary."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopdata import schema
from loopdata.cleaning.clean import Clean, CleanConfig
from loopdata.config import parse
from loopdata.stage import ENDS, Fate, Outcome

OFF = dict.fromkeys(CleanConfig.model_fields)


def documents(*contents: bytes, path: str = "a.py", category: str = "code") -> pa.Table:
    rows = [
        {"doc_id": str(n), "category": category, "content": content, "path": path, "num_bytes": len(content)}
        for n, content in enumerate(contents)
    ]
    return schema.table_of(rows, schema.source_schema())


def clean(*contents: bytes, path: str = "a.py", category: str = "code", **config: object) -> Outcome:
    return Clean(parse(CleanConfig, config, "clean")).apply(documents(*contents, path=path, category=category))


def only(rule: str, value: object) -> dict[str, object]:
    """Every rule off but one."""
    return {**OFF, rule: value}


def end(outcome: Outcome) -> tuple[str, float | None, float | None] | None:
    found = [(f.rule, f.value, f.threshold) for f in outcome.fates if f.fate in ENDS]
    assert len(found) + outcome.kept.num_rows == 1
    return found[0] if found else None


def text_of(outcome: Outcome) -> str:
    (text,) = outcome.kept["text"].to_pylist()
    return str(text)


def test_content_becomes_text_with_its_identity_and_size() -> None:
    outcome = clean("näme = 1\n".encode())
    assert outcome.fates == []
    row = outcome.kept.to_pylist()[0]
    assert (row["text"], row["num_bytes"], row["text_id"]) == ("näme = 1\n", 10, schema.text_id("näme = 1\n"))
    assert "content" not in row
    assert outcome.kept.schema.field("text").type == pa.large_string()


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"\xef\xbb\xbf" + "é = 'x'\n".encode(), "utf-8-sig"),
        ("é = 'x'\n".encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + "é = 'x'\n".encode("utf-16-be"), "utf-16"),
        ("é = 'x'\n".encode("utf-32"), "utf-32"),
        (b"\0\0\xfe\xff" + "é = 'x'\n".encode("utf-32-be"), "utf-32"),
    ],
)
def test_a_byte_order_mark_names_the_encoding(content: bytes, encoding: str) -> None:
    outcome = clean(content)
    assert text_of(outcome) == "é = 'x'\n"
    assert outcome.fates == [Fate("0", "clean", "edited", "encoding", details=encoding)]


@pytest.mark.parametrize(
    ("content", "text", "encoding"),
    [
        ("# coding: koi8-r\ns = 'привет'\n".encode("koi8-r"), "# coding: koi8-r\ns = 'привет'\n", "koi8-r"),
        ("\n# -*- coding: shift_jis -*-\nあ = 1\n".encode("shift_jis"), None, "shift_jis"),
        ("<?xml version='1.0' encoding='iso-8859-5'?>\nпривет\n".encode("iso-8859-5"), None, "iso8859-5"),
        ("# coding: iso-2022-jp\nあ = 'text'\n".encode("iso-2022-jp"), None, "iso2022_jp"),
        ("naming = 'a long café'\n".encode("cp1252"), "naming = 'a long café'\n", "cp1252"),
    ],
)
def test_a_declared_or_plausible_encoding_is_decoded(content: bytes, text: str | None, encoding: str) -> None:
    outcome = clean(content)
    assert text_of(outcome) == (text or content.decode(encoding))
    assert [f.details for f in outcome.fates] == [encoding]


@pytest.mark.parametrize(
    "content",
    [
        b"# coding: rot13\nprint(1) # \xe9\xe9\xe9\n",  # no character set
        b"# coding: unicode_escape\n\\x41 \xe9\xe9\xe9\n",
        b"x" * 100 + b"\x81",  # no character of windows-1252
        "中文的注释 comment and some more text in the line".encode("gbk"),  # runs of high bytes
        b"\xff\xfea",  # half a character of UTF-16
        b"\xff\xfe\x00\xd8",  # a lone surrogate in UTF-16
        b"\xff\xfe\x00\x00\x00\xd8\x00\x00",  # a lone surrogate in UTF-32
        b"\xef\xbb\xbf\xff",
    ],
)
def test_what_no_encoding_fits_is_dropped(content: bytes) -> None:
    assert end(clean(content)) == ("undecodable", None, None)


def test_utf8_wins_over_a_wrong_declaration() -> None:
    assert text_of(clean("# coding: latin-1\né = 1\n".encode())) == "# coding: latin-1\né = 1\n"


@pytest.mark.parametrize(("letters", "kept"), [(9, True), (8, False)])
def test_legacy_text_has_few_high_bytes(letters: int, kept: bool) -> None:
    assert (end(clean(b"\xe9" + b"a" * letters)) is None) is kept


@pytest.mark.parametrize(("content", "kept"), [(b"\xe9a\xe9\xe9" + b"b" * 50, True), (b"\xe9\xe9" + b"b" * 50, False)])
def test_legacy_text_has_its_high_bytes_alone(content: bytes, kept: bool) -> None:
    assert (end(clean(content)) is None) is kept


def test_legacy_decoding_can_be_switched_off() -> None:
    assert end(clean(b"caf\xe9 and more of it", max_legacy_share=None)) == ("undecodable", None, None)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_fate_or_text_that_encodes(content: bytes) -> None:
    outcome = clean(content, **OFF)
    if end(outcome) is None:
        text = text_of(outcome)
        assert text.encode("utf-8").decode("utf-8") == text
        assert not any(c < " " and c not in "\t\n\f" for c in text) and "\x7f" not in text


def test_line_ends_become_newlines_and_are_counted() -> None:
    outcome = clean(b"aa = 1\r\nbb = 2\rcc = 3\nd\r\r\n")
    assert text_of(outcome) == "aa = 1\nbb = 2\ncc = 3\nd\n\n"
    assert outcome.fates == [Fate("0", "clean", "edited", "line_endings", 4)]


def test_control_characters_are_removed_and_counted() -> None:
    outcome = clean(("a\tb\f\n" + "c" * 95 + "\x00\x1b\x7f\x85").encode())
    assert text_of(outcome) == "a\tb\f\n" + "c" * 95
    assert outcome.fates == [Fate("0", "clean", "edited", "control_characters", 4)]


@pytest.mark.parametrize(("controls", "kept"), [(5, True), (6, False)])
def test_too_many_control_characters_end_a_document(controls: int, kept: bool) -> None:
    outcome = clean(b"\x01" * controls + b"a" * (100 - controls), **only("max_control_share", 0.05))
    assert end(outcome) == (None if kept else ("control_characters", 0.06, 0.05))


@pytest.mark.parametrize("content", [b"", b" \n\t\n", b"\xef\xbb\xbf", b"\x01"])
def test_nothing_but_white_space_is_empty(content: bytes) -> None:
    found = end(clean(content, **only("drop_empty", True)))
    assert found is not None and found[0] == "empty"
    assert end(clean(content, **OFF)) is None


def test_one_letter_is_not_empty() -> None:
    assert end(clean(b" x ", **only("drop_empty", True))) is None


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4" * 64 + b"\nsize 12345\n"


@pytest.mark.parametrize(
    ("content", "kept"), [(POINTER, False), (b"# " + POINTER, True), (POINTER + b"x" * 1_024, True)]
)
def test_a_pointer_of_git_lfs_is_no_file(content: bytes, kept: bool) -> None:
    assert end(clean(content, **only("drop_lfs_pointers", True))) == (None if kept else ("lfs_pointer", None, None))


@pytest.mark.parametrize(("content", "value"), [(b"a\n" * 3, None), (b"a\n" * 2 + b"b", None), (b"a\n" * 3 + b"b", 4)])
def test_the_number_of_lines(content: bytes, value: int | None) -> None:
    assert end(clean(content, **only("max_lines", 3))) == (value and ("num_lines", value, 3))


def test_the_number_of_lines_is_a_rule_of_code() -> None:
    assert end(clean(b"a\n" * 4, category="text", max_lines=3)) is None


def test_documents_keep_their_order_and_each_dropped_one_has_one_end() -> None:
    outcome = clean(b"aa = 1\n", b"", b"bb = 2", b"c", b"\xff\xff")
    assert outcome.kept["text"].to_pylist() == ["aa = 1\n", "bb = 2", "c"]
    ends = sorted((f.subject, f.rule) for f in outcome.fates if f.fate in ENDS)
    assert ends == [("1", "empty"), ("4", "undecodable")]


def test_an_empty_table_stays_empty() -> None:
    outcome = clean()
    assert outcome.kept.num_rows == 0 and "text" in outcome.kept.column_names


def test_fates_carry_the_name_that_the_run_gives_the_stage() -> None:
    assert [f.stage for f in Clean(label="again").apply(documents(b"")).fates] == ["again"]


def test_spans_of_a_structured_document_still_fit() -> None:
    part = [{"role": "user", "start": 0, "end": 3, "loss": True}]
    row = {"doc_id": "0", "category": "qa", "content": b"a\r\nb", "parts": part}
    outcome = Clean().apply(schema.table_of([row], schema.source_schema()))
    assert outcome.kept["text"].to_pylist() == ["a\r\nb"] and outcome.fates == []


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"\r" * 20_000_000, "empty"),
        (b"a\n" * 10_000_000, "num_lines"),
        ("\x85a".encode() * 5_000_000, "control_characters"),
        (np.random.default_rng(7).bytes(20_000_000), "undecodable"),
    ],
    # pytest would write the contents into the names.
    ids=["carriage returns", "lines", "C1 controls", "random bytes"],
)
def test_hostile_files_have_an_end(content: bytes, rule: str) -> None:
    found = end(clean(content))
    assert found is not None and found[0] == rule
