"""Content that is text already: it becomes text as it is, or names why it is none."""

from loopdata import schema
from loopdata.cleaning.as_text import AsText, AsTextConfig
from loopdata.stage import Fate


def test_text_is_taken_byte_for_byte() -> None:
    contents = [b"a\r\n\x00", "\ufeffé".encode(), b"", None]
    rows = [{"doc_id": str(place), "content": content} for place, content in enumerate(contents)]
    outcome = AsText().apply(schema.table_of(rows, schema.source_schema()))
    assert outcome.fates == [Fate("3", "as_text", "marked", "no_text")]
    assert outcome.kept["text"].to_pylist() == ["a\r\n\x00", "\ufeffé", "", None]
    assert outcome.kept["text_id"].to_pylist() == [*map(schema.text_id, ("a\r\n\x00", "\ufeffé", "")), None]
    assert outcome.kept["num_bytes"].to_pylist() == [4, 5, 0, 0]
    assert "content" not in outcome.kept.column_names


def test_what_is_not_utf_8_is_dropped() -> None:
    rows = [{"doc_id": "a", "content": b"\xed\xa0\x80"}, {"doc_id": "b", "content": b"ok"}]
    outcome = AsText().apply(schema.table_of(rows, schema.source_schema()))
    assert outcome.kept["doc_id"].to_pylist() == ["b"]
    (fate,) = outcome.fates
    assert (fate.subject, fate.fate, fate.rule) == ("a", "dropped", "undecodable")
    assert fate.details == "'utf-8' codec can't decode byte 0xed in position 0: invalid continuation byte"


def test_what_has_no_text_may_be_dropped() -> None:
    rows = [{"doc_id": str(place), "content": content} for place, content in enumerate([None, b"", b" "])]
    outcome = AsText(AsTextConfig(empty="drop")).apply(schema.table_of(rows, schema.source_schema()))
    assert outcome.kept["doc_id"].to_pylist() == ["2"]
    assert outcome.fates == [Fate(doc_id, "as_text", "dropped", "no_text") for doc_id in ("0", "1")]
