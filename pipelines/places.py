"""How a place where a document was seen, and a fate, are shown: one line, whatever its name holds.

Enters: a row of LOCATION or FATE, or any text. Leaves: text without control characters. Limit: what is shown can not
always be typed; ids can.
"""

from collections.abc import Mapping
from typing import Any


def place_name(place: Mapping[str, Any]) -> str:
    """`source/repository/path at commit …`, or the doc_id where nothing else is known."""
    name = "/".join(str(place[key]) for key in ("source", "repo", "path") if place.get(key))
    shown = one_line(name) or str(place["doc_id"])
    return f"{shown} at commit {place['commit'][:12]}" if place.get("commit") else shown


def one_line(text: str) -> str:
    """`text` with every character that is not printable as an escape, so that no name breaks a line or a terminal."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def fate_line(fate: Mapping[str, Any]) -> str:
    """`'stage' by rule '…', value …, threshold …: …`, as far as they are recorded."""
    text = f"'{fate['stage']}' by rule '{fate['rule']}'"
    if fate["value"] is not None:
        text += f", value {fate['value']:,.6g}"
    if fate["threshold"] is not None:
        text += f", threshold {fate['threshold']:,.6g}"
    lines = (fate["details"] or "").strip().splitlines()
    return f"{text}: {one_line(lines[-1])}" if lines else text
