"""From entries of a tree to batches: identities, the rules of reading, and where a batch ends.

Enters: entries in order, each with content or with the reason why it has none. Leaves: batches whose documents, fates
and locations account for every entry once. Batches are cut by content only (8,000,000 bytes or 1,000 entries), so that
they are the same in every run. What is binary follows git: a NUL in the first 8,000 bytes, UTF-16 and UTF-32 with a
byte order mark excepted. Limit: one file larger than a batch makes a batch by itself.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa

from loopdata import schema
from loopdata.stage import Batch, Fate

STAGE = "read"  # the stage of a source's own fates
BATCH_BYTES = 8_000_000
BATCH_ENTRIES = 1_000
SNIFFED_BYTES = 8_000
SOURCE_SCHEMA = schema.source_schema()
WIDE_MARKS = (
    b"\xff\xfe",
    b"\xfe\xff",
    b"\x00\x00\xfe\xff",
)  # UTF-16, and UTF-32 (whose little-endian mark starts alike)


class Refusal(NamedTuple):
    """Why an entry becomes no document."""

    fate: str
    rule: str
    value: float | None = None
    threshold: float | None = None
    details: str | None = None


@dataclass(frozen=True)
class Entry:
    """One file, link, row, or folder that could not be opened. `content` is None where there is none, or was not read.

    `path` is text below the repository; `locator` tells entries apart whose paths are equal as text.
    """

    repo: str | None
    path: str
    locator: str
    num_bytes: int
    content: bytes | None = None
    refusal: Refusal | None = None
    blob_id: str | None = None
    commit: str | None = None
    date: datetime | None = None
    url: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)  # columns besides those of every source


def dropped(rule: str, details: str | None = None) -> Refusal:
    return Refusal("dropped", rule, details=details)


def oversized(num_bytes: int, max_bytes: int) -> Refusal | None:
    """Refuse what is above `max_bytes`."""
    return Refusal("dropped", "oversized", num_bytes, max_bytes) if num_bytes > max_bytes else None


def binary(content: bytes) -> Refusal | None:
    """Refuse content with a NUL near its start; `value` is the place of it."""
    at = content.find(b"\0", 0, SNIFFED_BYTES)
    return Refusal("dropped", "binary", at) if at >= 0 and not content.startswith(WIDE_MARKS) else None


def batches(
    source: str, category: str, entries: Iterable[Entry], columns: pa.Schema = SOURCE_SCHEMA
) -> Iterator[Batch]:
    """Cut entries into batches, in order; the documents have `columns`."""
    draft = _Draft(source, category, columns)
    for entry in entries:
        size = len(entry.content or b"") if entry.refusal is None else 0
        if draft.places and (len(draft.places) >= BATCH_ENTRIES or draft.num_bytes + size > BATCH_BYTES):
            yield draft.batch()
            draft = _Draft(source, category, columns)
        draft.add(entry, size)
    if draft.places:
        yield draft.batch()


class _Draft:
    """A batch as it grows. It holds the content of documents only: a thousand refused binaries would not fit."""

    def __init__(self, source: str, category: str, columns: pa.Schema) -> None:
        self._source, self._category, self._columns = source, category, columns
        self._documents: list[dict[str, Any]] = []
        self._fates: list[Fate] = []
        self.places: list[dict[str, Any]] = []
        self.num_bytes = 0

    def add(self, entry: Entry, num_bytes: int) -> None:
        place = _place(self._source, entry)
        self.places.append(place)
        self.num_bytes += num_bytes
        if entry.refusal is None:
            self._documents.append(_document(place, self._category, entry))
            return
        fate, rule, value, threshold, details = entry.refusal
        self._fates.append(Fate(place["doc_id"], STAGE, fate, rule, value, threshold, details=details))

    def batch(self) -> Batch:
        return Batch(
            schema.table_of(self._documents, self._columns),
            self._fates,
            schema.table_of(self.places, schema.LOCATION),
        )


def _place(source: str, entry: Entry) -> dict[str, Any]:
    return {
        "doc_id": entry_id(source, entry),
        "blob_id": entry.blob_id or (None if entry.content is None else schema.blob_id(entry.content)),
        "source": source,
        "repo": entry.repo,
        "commit": entry.commit,
        "path": entry.path,
        "url": entry.url,
        "num_bytes": entry.num_bytes,
    }


def entry_id(source: str, entry: Entry) -> str:
    """The doc_id of an entry."""
    if entry.content is None:
        return unread_id(source, entry)
    return schema.doc_id(source, entry.locator, entry.content)


def unread_id(source: str, entry: Entry) -> str:
    """Identity of an entry whose content was not read, from its locator and size; never that of a document."""
    return schema.digest(source, entry.locator, "unread", str(entry.num_bytes))


def _document(place: dict[str, Any], category: str, entry: Entry) -> dict[str, Any]:
    return {
        **place,
        **entry.extra,
        "category": category,
        "split": "",  # the engine assigns it right after reading
        "use": "train",
        "content": entry.content,
        "date": entry.date,
    }
