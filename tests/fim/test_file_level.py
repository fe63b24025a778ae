"""The file builder renders one sample a document, and nothing of documents that it is not for."""

import pyarrow as pa
import pytest

from loopdata.config import parse
from loopdata.errors import ConfigError
from loopdata.fim.file_level import FileBuilder, FileConfig
from loopdata.schema import DOCUMENT, SAMPLE, digest, document_schema, table_of
from loopdata.stage import Builder


def documents(*rows: dict[str, object]) -> pa.Table:
    base = {"category": "code", "split": "train", "use": "train", "language": "python"}
    return table_of([{**base, **row} for row in rows], document_schema(FileBuilder.needs))


def test_a_document_becomes_its_text_and_an_end_of_text_with_loss():
    samples = FileBuilder(label="plain").render(documents({"doc_id": "d1", "text": "x = 'é'\n"}))
    assert samples.schema == SAMPLE
    assert samples.to_pylist() == [
        {
            "sample_id": digest("file", "plain", "d1"),
            "category": "plain",
            "split": "train",
            "language": "python",
            "parents": ["d1"],
            "whole": False,
            "segments": [
                {"text": "x = 'é'\n", "special": False, "loss": True},
                {"text": "<|endoftext|>", "special": True, "loss": True},
            ],
            "num_bytes": 9,
        }
    ]


def test_text_that_spells_a_special_token_stays_text():
    samples = FileBuilder().render(documents({"doc_id": "d1", "text": "<|endoftext|>"}))
    assert [segment["special"] for segment in samples["segments"][0].as_py()] == [False, True]


def test_context_documents_and_other_categories_give_no_sample():
    table = documents(
        {"doc_id": "a", "text": "a", "use": "context"},
        {"doc_id": "b", "text": "b", "category": "transition"},
        {"doc_id": "c", "text": "c", "category": "web"},
        {"doc_id": "d", "text": "d", "category": "qa"},
        {"doc_id": "e", "text": "e", "category": "text"},
    )
    assert [row["parents"] for row in FileBuilder().render(table).to_pylist()] == [["c"], ["e"]]


def test_documents_keep_their_order_split_and_language():
    rows = [
        {"doc_id": str(n), "text": "t" * n, "split": "valid" if n == 1 else "train", "language": None} for n in range(3)
    ]
    table = pa.concat_tables([documents(*rows[:2]), documents(*rows[2:])])  # two chunks
    samples = FileBuilder().render(table)
    assert samples["num_bytes"].to_pylist() == [0, 1, 2]
    assert samples["split"].to_pylist() == ["train", "valid", "train"]
    assert samples["language"].to_pylist() == [None, None, None]
    assert [segments[0]["text"] for segments in samples["segments"].to_pylist()] == ["", "t", "tt"]


@pytest.mark.parametrize("rows", [[], [{"doc_id": "a", "text": "a", "use": "context"}]])
def test_nothing_to_render_is_an_empty_table_of_samples(rows: list[dict[str, object]]):
    samples = FileBuilder().render(documents(*rows))
    assert (samples.num_rows, samples.schema) == (0, SAMPLE)


def test_more_columns_than_needed_do_no_harm():
    row = {"doc_id": "a", "text": "a", "category": "code", "split": "train", "use": "train", "path": "a.py"}
    assert FileBuilder().render(table_of([row], document_schema(DOCUMENT))).num_rows == 1


def test_identity_holds_all_that_samples_depend_on():
    assert FileBuilder(label="plain", seed=3).identity() == {
        "builder": "file",
        "label": "plain",
        "version": 1,
        "seed": 3,
        "config": {},
    }
    assert FileBuilder().label == "file"
    assert isinstance(FileBuilder(), Builder)


def test_the_same_document_under_two_labels_is_two_samples():
    table = documents({"doc_id": "d1", "text": "x"})
    assert FileBuilder(label="a").render(table)["sample_id"] != FileBuilder(label="b").render(table)["sample_id"]


def test_an_unknown_key_is_refused():
    with pytest.raises(ConfigError, match=r"unknown key 'samples\.file\.rate'"):
        parse(FileConfig, {"rate": 0}, "samples.file")
