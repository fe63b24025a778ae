"""The `file` builder: a sample of each file, page or text, some of them with a hole to fill.

Enters: documents that have their text. Leaves: one sample for each that is used for training: its text, then the end of
text, both with loss; a file may be cut where it is longer than a sequence. With `fim`, a share of the documents is laid
out as prefix, suffix and middle instead; such a sample is never cut, and its column `fim` says how it was made. Limit:
nothing is rendered of documents that only serve as context, since a file by itself has no use for them.
"""

import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopdata.config import Strict
from loopdata.fim.config import FimConfig
from loopdata.fim.draws import Draws
from loopdata.fim.layouts import Piece
from loopdata.fim.samples import Rendered, check_tokens, render_document
from loopdata.schema import DOCUMENT, FIM, SAMPLE, SEGMENTS, cast, digest
from loopdata.special_tokens import END_OF_TEXT
from loopdata.stage import Builder, Decode
from loopdata.syntax.grammars import GRAMMARS
from loopdata.syntax.parse import forget


class FileConfig(Strict):
    """`fim`: which documents get a hole, and how; left out, none does."""

    fim: FimConfig | None = None


class FileBuilder(Builder):
    """Renders each document of code, web pages and plain text as a sample of its own."""

    name = "file"
    version = 2
    categories = frozenset({"code", "web", "text"})
    needs: ClassVar[Mapping[str, pa.DataType]] = {
        column: DOCUMENT[column] for column in ("doc_id", "category", "split", "use", "text", "language")
    }
    Config = FileConfig

    def identity(self) -> dict[str, Any]:
        """All that the samples depend on besides the documents; with `fim`, the grammars too."""
        found = super().identity()
        return found | {"grammars": _grammars()} if self.config.fim else found

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
        }
        return cast(pa.table(columns | (self._with_holes(table) if self.config.fim else _plain(table["text"]))), SAMPLE)

    def check(
        self, samples: pa.Table, tokens: Sequence[Iterable[int]], special: Mapping[str, int], decode: Decode
    ) -> int:
        """Recover the parts of every sample with a hole from its tokens. StageError where they are not its text."""
        checked = 0
        for record, segments, ids in zip(samples["fim"], samples["segments"], tokens, strict=True):
            if record.is_valid and record["kind"].is_valid:
                check_tokens(self.config.fim, record.as_py(), segments.as_py(), ids, special, decode)
                checked += 1
        return checked

    def _with_holes(self, table: pa.Table) -> dict[str, pa.Array]:
        """The other columns, where a share of the documents has a hole."""
        forget()  # the trees of the batch before
        names = (table[name].to_pylist() for name in ("doc_id", "language"))
        texts = [text.as_py() for text in table["text"].cast(pa.large_binary())]
        rendered = [
            render_document(self.config.fim, text, language, Draws(self.seed, self.label, doc_id))
            for doc_id, language, text in zip(*names, texts, strict=True)
        ]
        plain = [[Piece("text", text), Piece("END", END_OF_TEXT.encode())] for text in texts]
        rows = [found.pieces or whole for found, whole in zip(rendered, plain, strict=True)]
        sizes = [sum(len(piece.data) for piece in row if not piece.special) for row in rows]
        return {
            "whole": pa.array([bool(found.pieces) for found in rendered], pa.bool_()),
            "segments": _lists(rows, self._loss(rendered, rows)),
            "num_bytes": pa.array(sizes, pa.int64()),
            "fim": pa.array([found.record for found in rendered], FIM),
        }

    def _loss(self, rendered: list[Rendered], rows: list[list[Piece]]) -> list[bool]:
        """A flag a piece: true everywhere, or of a sample with a hole for the middle and its end only."""
        learned = ("middle", "END")
        everywhere = self.config.fim.loss == "all"
        return [
            everywhere or not found.pieces or piece.role in learned
            for found, row in zip(rendered, rows, strict=True)
            for piece in row
        ]


def _grammars() -> dict[str, str]:
    modules = {"tree_sitter", *(module for module, _ in GRAMMARS.values())}
    return {name: importlib.metadata.version(name.replace("_", "-")) for name in sorted(modules)}


def _plain(texts: pa.ChunkedArray) -> dict[str, pa.Array]:
    """The other columns, where no document has a hole."""
    return {
        "whole": pa.repeat(False, len(texts)),
        "segments": _segments(texts),
        "num_bytes": pc.binary_length(texts),
    }


def _lists(rows: list[list[Piece]], loss: list[bool]) -> pa.ListArray:
    """The column `segments` of rows of pieces."""
    pieces = list(chain.from_iterable(rows))
    texts = pa.array([piece.data for piece in pieces], pa.large_binary()).cast(pa.large_string())
    special = pa.array([piece.special for piece in pieces], pa.bool_())
    fields = [texts, special, pa.array(loss, pa.bool_())]
    offsets = pa.array(np.cumsum([0, *map(len, rows)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(fields, fields=list(SEGMENTS.value_type)))


def _segments(texts: pa.ChunkedArray) -> pa.ListArray:
    """For each text: the text, then the end of text."""
    count = len(texts)
    both = pa.concat_arrays([*texts.chunks, pa.array([END_OF_TEXT], pa.large_string())])
    order = np.stack([np.arange(count), np.full(count, count)], axis=1).reshape(-1)
    special = np.tile([False, True], count)
    fields = [both.take(pa.array(order)), pa.array(special), pa.repeat(True, 2 * count)]
    offsets = pa.array(np.arange(0, 2 * count + 1, 2, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(fields, fields=list(SEGMENTS.value_type)))
