"""The `clean` stage: raw bytes to text.

Enters: documents with `content`. Leaves: documents with `text` in UTF-8 with `\\n` line ends and without control
characters, and its `text_id`, without those that are no text, are empty, or have so many lines that whatever keeps
something a line would not fit into memory. Rules on what a text is like are in `heuristics`. Limit: a document with
`parts` is decoded but not edited, since its spans would no longer fit.
"""

import re
from collections.abc import Sequence
from typing import ClassVar

import pyarrow as pa
from pydantic import Field

from loopdata import schema
from loopdata.cleaning.decoding import count_characters, decode, newlines, without_controls
from loopdata.config import Strict
from loopdata.stage import Fate, Outcome, Stage

_LFS_POINTER = re.compile(rb"version https://(?:git-lfs\.github|hawser\.github)\.com/spec/v\d+\r?\n")
_LFS_POINTER_BYTES = 1_024  # what the specification allows


class CleanConfig(Strict):
    """Null switches a rule off. Shares are of characters, 0 to 1; a value on the threshold is kept."""

    max_legacy_share: float | None = Field(default=0.1, ge=0, le=1)  # of bytes; null: nothing is windows-1252
    max_control_share: float | None = Field(default=0.05, ge=0, le=1)
    drop_empty: bool | None = True  # nothing but white space
    drop_lfs_pointers: bool | None = True
    max_lines: int | None = Field(default=1_000_000, ge=1)  # of code; a guard on memory


class Clean(Stage):
    """Makes text of bytes."""

    name = "clean"
    version = 2
    Config = CleanConfig
    needs: ClassVar[dict[str, pa.DataType]] = {
        name: schema.DOCUMENT[name] for name in ("doc_id", "category", "content", "parts", "num_bytes")
    }
    adds: ClassVar[dict[str, pa.DataType]] = {name: schema.DOCUMENT[name] for name in ("text", "text_id")}
    removes = frozenset({"content"})

    def apply(self, table: pa.Table) -> Outcome:
        """Decode and edit every document."""
        columns = [table[name].to_pylist() for name in ("doc_id", "category", "content")]
        has_parts = table["parts"].is_valid().to_pylist()
        fates: list[Fate] = []
        texts = [
            self._text(doc_id, category, content, parts, fates)
            for doc_id, category, content, parts in zip(*columns, has_parts, strict=True)
        ]
        kept = table.filter(pa.array([text is not None for text in texts], pa.bool_()))
        return Outcome(with_text(kept, [text for text in texts if text is not None]), fates)

    def _fate(self, doc_id: str, rule: str, value: float | None = None, threshold: float | None = None) -> Fate:
        return Fate(doc_id, self.label, "dropped", rule, value, threshold)

    def _text(
        self, doc_id: str, category: str, content: bytes | None, has_parts: bool, fates: list[Fate]
    ) -> bytes | None:
        """The text of one document as UTF-8, or None with the fate that ends it."""
        content = content or b""
        code = category == "code"
        if code and self.config.drop_lfs_pointers and is_lfs_pointer(content):
            fates.append(self._fate(doc_id, "lfs_pointer"))
            return None
        decoded = decode(content, self.config.max_legacy_share)
        if decoded is None or (has_parts and decoded.encoding != "utf-8"):
            fates.append(self._fate(doc_id, "undecodable"))
            return None
        if decoded.encoding != "utf-8":
            fates.append(Fate(doc_id, self.label, "edited", "encoding", details=decoded.encoding))
        text = decoded.data if has_parts else self._edited(doc_id, decoded.data, fates)
        if text is None:
            return None
        end = self._ended(doc_id, code, text)
        fates.extend(end)
        return None if end else text

    def _edited(self, doc_id: str, data: bytes, fates: list[Fate]) -> bytes | None:
        """Line ends and control characters; None where there are too many of the latter."""
        data, converted = newlines(data)
        if converted:
            fates.append(Fate(doc_id, self.label, "edited", "line_endings", converted))
        rest, removed = without_controls(data)
        if removed:
            share, limit = removed / count_characters(data), self.config.max_control_share
            if limit is not None and share > limit:
                fates.append(self._fate(doc_id, "control_characters", share, limit))
                return None
            fates.append(Fate(doc_id, self.label, "edited", "control_characters", removed))
        return rest

    def _ended(self, doc_id: str, code: bool, text: bytes) -> list[Fate]:
        """The rules that hold before a text goes on."""
        if self.config.drop_empty and (not text or text.isspace()):
            return [self._fate(doc_id, "empty", len(text), 0)]
        limit = self.config.max_lines
        if code and limit is not None and len(text) > limit:
            lines = text.count(b"\n") + (not text.endswith(b"\n"))
            if lines > limit:
                return [self._fate(doc_id, "num_lines", lines, limit)]
        return []


def with_text(table: pa.Table, texts: Sequence[bytes | None]) -> pa.Table:
    """`table` with text in UTF-8, its identity and its size, without content."""
    # Each text was decoded strictly, so that the bytes need no second check.
    column = pa.array(texts, pa.large_binary()).view(pa.large_string())
    new = {
        "text": column,
        "text_id": pa.array([None if text is None else schema.digest(text) for text in texts], pa.string()),
        "num_bytes": pa.array([len(text or b"") for text in texts], pa.int64()),
    }
    columns = {name: table[name] for name in table.column_names if name != "content"} | new
    order = schema.document_schema({name: values.type for name, values in columns.items()}).names
    return pa.table({name: columns[name] for name in order})


def is_lfs_pointer(content: bytes) -> bool:
    """Whether a file only says where git-lfs keeps the real one."""
    return len(content) < _LFS_POINTER_BYTES and bool(_LFS_POINTER.match(content)) and b"\noid " in content
