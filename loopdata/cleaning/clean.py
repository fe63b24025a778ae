"""The `clean` stage: raw bytes to text, and the rules that need nothing but the text's form.

Enters: documents with `content`. Leaves: documents with `text` in UTF-8 with `\\n` line ends and without control
characters, and its `text_id`. The rules for line lengths and letters are those of The Stack v2 (StarCoder2) and hold
for the category `code` only; files that the name says are HTML, JSON, Markdown, Roff, SMT, TeX, Text or XML may have
lines up to 100,000. Lengths are in characters, never in bytes. Limit: a document with `parts` is decoded but not
edited, since its spans would no longer fit.
"""

import re
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from loopdata import schema
from loopdata.cleaning.decoding import count_characters, decode, newlines, without_controls
from loopdata.cleaning.line_statistics import Statistics, measure
from loopdata.config import Strict
from loopdata.stage import Fate, Outcome, Stage
from loopdata.syntax import language_names

Bools = npt.NDArray[np.bool_]
Numbers = npt.NDArray[Any]

LONG_LINED = ["HTML", "JSON", "Markdown", "Roff", "SMT", "TeX", "Text", "XML"]
_LFS_POINTER = re.compile(rb"version https://(?:git-lfs\.github|hawser\.github)\.com/spec/v\d+\r?\n")
_LFS_POINTER_BYTES = 1_024  # what the specification allows


class CleanConfig(Strict):
    """Null switches a rule off. Shares are of characters, 0 to 1; a value on the threshold is kept."""

    max_legacy_share: float | None = Field(default=0.1, ge=0, le=1)  # of bytes; null: nothing is windows-1252
    max_control_share: float | None = Field(default=0.05, ge=0, le=1)
    drop_empty: bool | None = True  # nothing but white space
    drop_lfs_pointers: bool | None = True
    max_lines: int | None = Field(default=100_000, ge=1)
    max_longest_line: int | None = Field(default=1_000, ge=1)
    max_longest_line_exempt: int | None = Field(default=100_000, ge=1)  # of `exempt_languages`
    max_mean_line: float | None = Field(default=100.0, gt=0)
    min_alphabetic: float | None = Field(default=0.25, ge=0, le=1)
    exempt_languages: list[str] = Field(default_factory=LONG_LINED.copy)


class Clean(Stage):
    """Makes text of bytes."""

    name = "clean"
    Config = CleanConfig
    needs: ClassVar[dict[str, pa.DataType]] = {
        name: schema.DOCUMENT[name] for name in ("doc_id", "category", "content", "parts", "path", "num_bytes")
    }
    adds: ClassVar[dict[str, pa.DataType]] = {name: schema.DOCUMENT[name] for name in ("text", "text_id")}
    removes = frozenset({"content"})

    def apply(self, table: pa.Table) -> Outcome:
        """Decode, edit and judge every document."""
        columns = [table[name].to_pylist() for name in ("doc_id", "category", "content")]
        has_parts = table["parts"].is_valid().to_pylist()
        fates: list[Fate] = []
        texts = [
            self._text(doc_id, category, content, parts, fates)
            for doc_id, category, content, parts in zip(*columns, has_parts, strict=True)
        ]
        kept = table.filter(pa.array([text is not None for text in texts], pa.bool_()))
        kept = _with_text(kept, [text for text in texts if text is not None])
        return self._judged(kept, fates)

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
        """The rules that are cheap for one text; after them no text has more lines than memory is meant for."""
        if self.config.drop_empty and (not text or text.isspace()):
            return [self._fate(doc_id, "empty", len(text), 0)]
        limit = self.config.max_lines
        if code and limit is not None and len(text) > limit:
            lines = text.count(b"\n") + (not text.endswith(b"\n"))
            if lines > limit:
                return [self._fate(doc_id, "num_lines", lines, limit)]
        return []

    def _judged(self, table: pa.Table, fates: list[Fate]) -> Outcome:
        """Apply the rules on lines and letters to the documents of code; the first that hits ends a document."""
        is_open = pc.equal(table["category"], "code").to_numpy(zero_copy_only=False).astype(np.bool_)
        ended = np.zeros(table.num_rows, np.bool_)
        statistics = measure(table["text"].combine_chunks())
        for rule, hits, values, limits in self._hits(table, statistics):
            new = hits & is_open & ~ended
            ended |= new
            for place in np.flatnonzero(new):
                doc_id = table["doc_id"][int(place)].as_py()
                fates.append(self._fate(doc_id, rule, float(values[place]), float(limits[place])))
        return Outcome(table.filter(pa.array(~ended)) if ended.any() else table, fates)

    def _hits(self, table: pa.Table, found: Statistics) -> Iterator[tuple[str, Bools, Numbers, Numbers]]:
        """For each rule: whether it hits, the value and the threshold, of every document. NaN is no threshold."""
        exempt = np.array([self._may_have_long_lines(path) for path in table["path"].to_pylist()], np.bool_)
        config = self.config
        longest = np.where(exempt, _limit(config.max_longest_line_exempt), _limit(config.max_longest_line))
        yield "longest_line", found.longest_line > longest, found.longest_line, longest
        mean = np.where(exempt, np.nan, _limit(config.max_mean_line))
        yield "mean_line", found.mean_line > mean, found.mean_line, mean
        share = found.letters / np.maximum(found.characters, 1)
        least = np.where(found.characters == 0, np.nan, _limit(config.min_alphabetic))
        yield "alphabetic", share < least, share, least

    def _may_have_long_lines(self, path: str | None) -> bool:
        return path is not None and language_names.of_path(path) in self.config.exempt_languages


def _limit(threshold: float | None) -> float:
    """A threshold that no comparison exceeds where there is none."""
    return np.nan if threshold is None else float(threshold)


def _with_text(table: pa.Table, texts: list[bytes]) -> pa.Table:
    """`table` with text, its identity and its size, without content."""
    # Each text was decoded strictly, so that the bytes need no second check.
    column = pa.array(texts, pa.large_binary()).view(pa.large_string())
    new = {
        "text": column,
        "text_id": pa.array([schema.digest(text) for text in texts], pa.string()),
        "num_bytes": pa.array([len(text) for text in texts], pa.int64()),
    }
    columns = {name: table[name] for name in table.column_names if name != "content"} | new
    order = schema.document_schema({name: values.type for name, values in columns.items()}).names
    return pa.table({name: columns[name] for name in order})


def is_lfs_pointer(content: bytes) -> bool:
    """Whether a file only says where git-lfs keeps the real one."""
    return len(content) < _LFS_POINTER_BYTES and bool(_LFS_POINTER.match(content)) and b"\noid " in content
