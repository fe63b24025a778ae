"""The `file` builder: a sample of each file, page or text.

Enters: documents that have their text. Leaves: one sample for each that is used for training: its text, then the end of
text, both with loss. A file may be cut where it is longer than a sequence. Limit: it renders whole texts in order, and
nothing of documents that only serve as context, since a file by itself has no use for them.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopdata.config import Strict
from loopdata.schema import DOCUMENT, SAMPLE, SEGMENTS, cast, digest
from loopdata.special_tokens import END_OF_TEXT
from loopdata.stage import Builder


class FileConfig(Strict):
    """No keys: a plain file has nothing to choose."""


class FileBuilder(Builder):
    """Renders each document of code, web pages and plain text as a sample of its own."""

    name = "file"
    version = 1
    categories = frozenset({"code", "web", "text"})
    needs: ClassVar[Mapping[str, pa.DataType]] = {
        column: DOCUMENT[column] for column in ("doc_id", "category", "split", "use", "text", "language")
    }
    Config = FileConfig

    def render(self, table: pa.Table) -> pa.Table:
        """Samples (schema.SAMPLE) of the documents with `use` train, in their order."""
        kinds = pa.array(sorted(self.categories), pa.string())
        table = table.filter(pc.and_(pc.equal(table["use"], "train"), pc.is_in(table["category"], value_set=kinds)))
        doc_ids = table["doc_id"].to_pylist()
        columns = {
            "sample_id": pa.array([digest("file", self.label, doc_id) for doc_id in doc_ids], pa.string()),
            "category": pa.repeat(self.label, table.num_rows),
            "split": table["split"],
            "language": table["language"],
            "parents": pa.array([[doc_id] for doc_id in doc_ids], SAMPLE.field("parents").type),
            "whole": pa.repeat(False, table.num_rows),
            "segments": _segments(table["text"]),
            "num_bytes": pc.binary_length(table["text"]),
        }
        return cast(pa.table(columns), SAMPLE)


def _segments(texts: pa.ChunkedArray) -> pa.ListArray:
    """For each text: the text, then the end of text."""
    count = len(texts)
    both = pa.concat_arrays([*texts.chunks, pa.array([END_OF_TEXT], pa.large_string())])
    order = np.stack([np.arange(count), np.full(count, count)], axis=1).reshape(-1)
    special = np.tile([False, True], count)
    fields = [both.take(pa.array(order)), pa.array(special), pa.repeat(True, 2 * count)]
    offsets = pa.array(np.arange(0, 2 * count + 1, 2, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(fields, fields=list(SEGMENTS.value_type)))
