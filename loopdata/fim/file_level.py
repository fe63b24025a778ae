"""The `file` builder: a sample of each file, page or text, some of them with a hole to fill.

Enters: documents that have their text. Leaves: one sample for each that is used for training: its text, then the end of
text, both with loss; a file may be cut where it is longer than a sequence. With `fim`, a share of the documents (of
long ones, of their contexts) is laid out as prefix, suffix and middle instead; such a sample is never cut, its column
`fim` says how it was made, and what is left of its document makes plain samples. Limit: nothing is rendered of
documents that only serve as context, since a file by itself has no use for them.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopdata.config import Strict
from loopdata.fim.config import FimConfig
from loopdata.fim.samples import Rendered, check_tokens, draws_of, learned, plain, render_document, segments
from loopdata.schema import DOCUMENT, FIM, SAMPLE, SEGMENTS, cast, digest
from loopdata.special_tokens import END_OF_TEXT
from loopdata.stage import Builder, Decode
from loopdata.syntax.grammars import grammar_versions
from loopdata.syntax.parse import forget


class FileConfig(Strict):
    """`fim`: which documents get a hole, and how; left out, none does."""

    fim: FimConfig | None = None


class FileBuilder(Builder):
    """Renders each document of code, web pages and plain text as a sample of its own."""

    name = "file"
    version = 5
    categories = frozenset({"code", "web", "text"})
    needs: ClassVar[Mapping[str, pa.DataType]] = {
        column: DOCUMENT[column] for column in ("doc_id", "category", "split", "use", "text", "language")
    }
    Config = FileConfig

    def identity(self) -> dict[str, Any]:
        """All that the samples depend on besides the documents; with `fim`, the grammars too."""
        found = super().identity()
        return found | {"grammars": grammar_versions()} if self.config.fim else found

    def special_tokens(self) -> tuple[str, ...]:
        """Those of the layout, of which a file needs none for repositories."""
        return self.config.fim.chosen.special_tokens() if self.config.fim else (END_OF_TEXT,)

    def render(self, table: pa.Table) -> pa.Table:
        """Samples (schema.SAMPLE) of the documents with `use` train, in their order."""
        kinds = pa.array(sorted(self.categories), pa.string())
        table = table.filter(pc.and_(pc.equal(table["use"], "train"), pc.is_in(table["category"], value_set=kinds)))
        if not self.config.fim:
            return self._samples(table, [0] * table.num_rows, _plain(table["text"]))
        forget()  # the trees of the batch before
        texts = [text.as_py() for text in table["text"].cast(pa.large_binary())]
        found = self._drawn(table, texts)
        rows = [row for row, samples in enumerate(found) for _ in samples]
        rendered = [sample for samples in found for sample in samples]
        starts = [sample.span[0] for sample in rendered]
        columns = self._with_holes([texts[row] for row in rows], rendered)
        return self._samples(table.take(pa.array(rows, pa.int64())), starts, columns)

    def _samples(self, table: pa.Table, starts: list[int], columns: dict[str, pa.Array]) -> pa.Table:
        """A row a sample: what it has from its document, and `columns`. The first of a document needs no number."""
        doc_ids = table["doc_id"].to_pylist()
        names = [(doc_id, str(start)) if start else (doc_id,) for doc_id, start in zip(doc_ids, starts, strict=True)]
        inherited = {
            "sample_id": pa.array([digest("file", self.label, *name) for name in names], pa.string()),
            "category": pa.repeat(self.label, table.num_rows),
            "split": table["split"],
            "language": table["language"],
            "parents": pa.array([[doc_id] for doc_id in doc_ids], SAMPLE.field("parents").type),
        }
        return cast(pa.table(inherited | columns), SAMPLE)

    def check(
        self, samples: pa.Table, tokens: Sequence[Iterable[int]], special: Mapping[str, int], decode: Decode
    ) -> int:
        """Recover the parts of every sample with a hole from its tokens. StageError where they are not its text."""
        checked = 0
        for record, entries, ids in zip(samples["fim"], samples["segments"], tokens, strict=True):
            if record.is_valid and record["kind"].is_valid:
                check_tokens(self.config.fim, record.as_py(), entries.as_py(), ids, special, decode)
                checked += 1
        return checked

    def _drawn(self, table: pa.Table, texts: list[bytes]) -> list[list[Rendered]]:
        """The samples of each document."""
        columns = (table[name].to_pylist() for name in ("doc_id", "language", "split"))
        return [
            self._document(doc_id, language, split, text)
            for doc_id, language, split, text in zip(*columns, texts, strict=True)
        ]

    def _document(self, doc_id: str, language: str | None, split: str, text: bytes) -> list[Rendered]:
        draws = draws_of(self.config.fim, self.seed, self.label, doc_id, split)
        if draws is None:
            return [Rendered((0, len(text)), [], None)]
        return render_document(self.config.fim, text, language, draws)

    def _with_holes(self, texts: list[bytes], rendered: list[Rendered]) -> dict[str, pa.Array]:
        """The other columns, where some samples have a hole; `texts` are those of their documents."""
        rows = [
            sample.pieces or plain(self.config.fim, text, sample.span)
            for text, sample in zip(texts, rendered, strict=True)
        ]
        sizes = [sum(len(piece.data) for piece in row if not piece.special) for row in rows]
        loss = [learned(self.config.fim, sample.pieces) or [True] * len(row)
                for sample, row in zip(rendered, rows, strict=True)]  # fmt: skip
        return {
            "whole": pa.array([bool(sample.pieces) for sample in rendered], pa.bool_()),
            "segments": segments(rows, list(chain.from_iterable(loss))),
            "num_bytes": pa.array(sizes, pa.int64()),
            "fim": pa.array([sample.record for sample in rendered], FIM),
        }


def _plain(texts: pa.ChunkedArray) -> dict[str, pa.Array]:
    """The other columns, where no document has a hole."""
    return {
        "whole": pa.repeat(False, len(texts)),
        "segments": _segments(texts),
        "num_bytes": pc.binary_length(texts),
    }


def _segments(texts: pa.ChunkedArray) -> pa.ListArray:
    """For each text: the text, then the end of text."""
    count = len(texts)
    both = pa.concat_arrays([*texts.chunks, pa.array([END_OF_TEXT], pa.large_string())])
    order = np.stack([np.arange(count), np.full(count, count)], axis=1).reshape(-1)
    special = np.tile([False, True], count)
    fields = [both.take(pa.array(order)), pa.array(special), pa.repeat(True, 2 * count)]
    offsets = pa.array(np.arange(0, 2 * count + 1, 2, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(fields, fields=list(SEGMENTS.value_type)))
