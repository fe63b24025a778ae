"""The `as_text` stage: content that is text already becomes `text` as it is, byte for byte.

Enters: documents with `content` in UTF-8. Leaves: the same with `text` and its `text_id`, without those that are not
UTF-8. A document without content has no text, and a note that says so; with `empty: drop` it goes, and so does one with
nothing in it. It is for tables that come as text; a corpus for training wants `clean` instead. Limit: nothing else is
judged, so that control characters stay.
"""

from typing import ClassVar, Literal

import pyarrow as pa

from loopdata import schema
from loopdata.cleaning.clean import with_text
from loopdata.config import Strict
from loopdata.stage import ENDS, Fate, Outcome, Stage

NO_TEXT = "no_text"


class AsTextConfig(Strict):
    """`empty`: what becomes of a document with nothing in it, or with no content at all."""

    empty: Literal["keep", "drop"] = "keep"


class AsText(Stage):
    """Takes bytes for text."""

    name = "as_text"
    version = 2
    needs: ClassVar[dict[str, pa.DataType]] = {name: schema.DOCUMENT[name] for name in ("doc_id", "content")}
    adds: ClassVar[dict[str, pa.DataType]] = {name: schema.DOCUMENT[name] for name in ("text", "text_id")}
    removes = frozenset({"content"})
    Config = AsTextConfig

    def apply(self, table: pa.Table) -> Outcome:
        """Check every document, and change none."""
        ids: list[str] = table["doc_id"].to_pylist()
        texts: list[bytes | None] = table["content"].to_pylist()
        fates = [fate for doc_id, text in zip(ids, texts, strict=True) if (fate := self._fate(doc_id, text))]
        if bad := {fate.subject for fate in fates if fate.fate in ENDS}:
            keep = [doc_id not in bad for doc_id in ids]
            texts = [text for text, stays in zip(texts, keep, strict=True) if stays]
            table = table.filter(pa.array(keep, pa.bool_()))
        return Outcome(with_text(table, texts), fates)

    def _fate(self, doc_id: str, text: bytes | None) -> Fate | None:
        if not text and self.config.empty == "drop":
            return Fate(doc_id, self.label, "dropped", NO_TEXT)
        if text is None:
            return Fate(doc_id, self.label, "marked", NO_TEXT)
        fault = _fault(text)
        return Fate(doc_id, self.label, "dropped", "undecodable", details=fault) if fault else None


def _fault(text: bytes) -> str:
    """Why these bytes are not UTF-8; empty where they are."""
    try:
        if not text.isascii():
            text.decode("utf-8")
    except UnicodeDecodeError as error:
        return str(error)
    return ""
