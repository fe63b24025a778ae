"""Editing a text while the spans over it move along.

Enters: the bytes of a text, replacements, and the `parts` of a structured document (role and loss flag over byte
spans). Leaves: the new bytes and the moved parts. A bound that lies inside a replaced span moves to the end of what
replaces it, so that parts which met still meet, and what replaces belongs to the earlier part. Limit: a part that lies
inside a replaced span is left empty.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

Part = Mapping[str, Any]  # role, start, end, loss: an element of schema.PARTS


class Edit(NamedTuple):
    """Bytes `start` to `end` become `new`."""

    start: int
    end: int
    new: bytes


def replace(text: bytes, edits: Sequence[Edit], parts: Sequence[Part] | None) -> tuple[bytes, list[Part] | None]:
    """Apply edits, which are in order and do not overlap, and move the parts. ValueError where they do."""
    pieces, at = [], 0
    for edit in edits:
        if not at <= edit.start <= edit.end <= len(text):
            raise ValueError("edits must be in order, apart from each other, and inside the text")
        pieces += [text[at : edit.start], edit.new]
        at = edit.end
    return b"".join([*pieces, text[at:]]), None if parts is None else _moved(parts, edits)


def _moved(parts: Sequence[Part], edits: Sequence[Edit]) -> list[Part]:
    starts = [edit.start for edit in edits]
    growth = list(accumulate((len(edit.new) - (edit.end - edit.start) for edit in edits), initial=0))

    def moved(bound: int) -> int:
        before = bisect_left(starts, bound)  # edits that begin before this bound
        inside = before and bound < edits[before - 1].end
        return (edits[before - 1].end if inside else bound) + growth[before]

    return [{**part, "start": moved(part["start"]), "end": moved(part["end"])} for part in parts]
