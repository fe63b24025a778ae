"""Identities of documents, and tables cast to declared schemas."""

import hashlib
import subprocess

import pyarrow as pa
import pytest

from loopdata import schema
from loopdata.errors import ConfigError


def test_a_digest_is_of_parts_with_their_lengths() -> None:
    assert schema.digest("ab", b"c") == hashlib.sha256(b"2:ab1:c").hexdigest()[:32]
    assert len({schema.digest("ab", "c"), schema.digest("a", "bc"), schema.digest("abc"), schema.digest()}) == 4
    assert schema.digest("\ud800") != schema.digest("?")  # a lone surrogate is a part like any other


def test_a_blob_id_is_what_git_says() -> None:
    for content in (b"", b"hello\n", b"\x00\xff" * 10):
        done = subprocess.run(["git", "hash-object", "--stdin"], input=content, capture_output=True, check=True)
        assert schema.blob_id(content) == done.stdout.decode().strip()


def test_a_document_is_its_source_place_and_content() -> None:
    ids = {schema.doc_id("s", "p", b"c"), schema.doc_id("t", "p", b"c"), schema.doc_id("s", "q", b"c")}
    assert len(ids | {schema.doc_id("s", "p", b"d")}) == 4
    assert schema.doc_id("s", "p", b"c") == schema.digest("s", "p", b"c")
    assert schema.text_id("c") == schema.digest("c")


def test_base_columns_keep_their_order_and_added_ones_follow() -> None:
    columns = {"z": pa.int8(), "text": pa.large_string(), "a": pa.int8(), "doc_id": pa.string()}
    assert schema.document_schema(columns).names == ["doc_id", "text", "z", "a"]


def test_sources_give_neither_text_nor_what_stages_find() -> None:
    names = schema.source_schema().names
    assert not {"text", "text_id", "language", "licence"} & set(names)
    assert names[0] == "doc_id"
    assert schema.source_schema().field("content").type == pa.large_binary()


def test_a_cast_orders_types_and_fills() -> None:
    wanted = pa.schema([("a", pa.int64()), ("b", pa.string()), ("c", pa.large_string())])
    table = schema.cast(pa.table({"c": ["x"], "a": pa.array([1], pa.int8()), "more": [1]}), wanted)
    assert table.schema == wanted
    assert table.to_pylist() == [{"a": 1, "b": None, "c": "x"}]


def test_a_column_becomes_one_array_and_is_copied_only_where_it_must() -> None:
    one = pa.chunked_array([["a", "bc"]], pa.large_string())
    assert schema.one_array(one).buffers()[2].address == one.chunk(0).buffers()[2].address
    assert schema.one_array(pa.chunked_array([["a"], ["bc"]], pa.large_string())).to_pylist() == ["a", "bc"]
    assert schema.one_array(pa.chunked_array([], pa.large_string())).to_pylist() == []


def test_rows_become_a_table_with_nulls_for_what_is_absent() -> None:
    table = schema.table_of([{"subject": "d", "value": 1.5}], schema.FATE)
    assert table.schema == schema.FATE
    assert (table["subject"][0].as_py(), table["value"][0].as_py(), table["rule"][0].as_py()) == ("d", 1.5, None)


def test_a_column_that_is_needed_must_be_there_with_its_type() -> None:
    schema.require({"a": pa.string()}, {"a": pa.string()}, "x")
    schema.require({"a": pa.string()}, {}, "x")
    with pytest.raises(ConfigError, match=r"needs the column 'b', .* put the stage that adds 'b' before x \(there are"):
        schema.require({"a": pa.string()}, {"b": pa.string()}, "x")
    with pytest.raises(ConfigError, match="x needs the column 'a' as large_string, but it comes as string"):
        schema.require({"a": pa.string()}, {"a": pa.large_string()}, "x")
