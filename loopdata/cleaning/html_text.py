"""How much of an HTML file a reader would see.

Enters: the UTF-8 bytes of texts as they lie in Arrow. Leaves: for each text the characters outside tags, comments,
scripts and styles, a run of white space as one. One pass that never goes back. Limit: what a style hides is counted,
and an entity counts as the characters that it is written with.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from loopdata.cleaning.line_statistics import IN_WORD, Bytes, Ints
from loopdata.compiled import compiled

_LESS, _GREATER, _SLASH, _BANG, _DASH = b"<>/!-"
_OPENS = np.array([chr(byte).isalpha() or byte in b"/!?" for byte in range(128)] + [False] * 128, np.bool_)
_SCRIPT, _STYLE = (np.frombuffer(name, np.uint8) for name in (b"script", b"style"))


def html_text(data: Bytes, offsets: Ints, wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Visible characters of the texts that are wanted, NaN for the others."""
    found = np.full(len(wanted), np.nan)
    _measure(data, offsets, wanted, found)
    return found


@compiled
def _measure(data: Any, offsets: Any, wanted: Any, found: Any) -> None:
    for text in range(len(wanted)):
        if wanted[text]:
            found[text] = _visible(data[offsets[text] : offsets[text + 1]])


@compiled
def _visible(source: Any) -> Any:
    characters, at, after_blank = 0, 0, True
    while at < len(source):
        byte = source[at]
        if byte == _LESS and _opens_tag(source, at):
            at = _behind(source, at)
            continue
        is_blank = byte == 32 or 9 <= byte <= 13
        characters += (byte & 0xC0) != 0x80 and not (is_blank and after_blank)
        after_blank = is_blank
        at += 1
    return characters


@compiled
def _opens_tag(source: Any, at: Any) -> Any:
    """Whether the `<` at a place begins a tag, a comment or a declaration."""
    if at + 1 == len(source):
        return False
    return _OPENS[source[at + 1]]


@compiled
def _behind(source: Any, at: Any) -> Any:
    """The place behind the tag or comment at a place, behind all of it where the tag opens a script or style."""
    if source[at + 1] == _BANG and at + 3 < len(source) and source[at + 2] == _DASH and source[at + 3] == _DASH:
        end = at + 4
        while end < len(source) and not (
            source[end] == _GREATER and source[end - 1] == _DASH and source[end - 2] == _DASH
        ):
            end += 1
        return end + 1
    for name in (_SCRIPT, _STYLE):
        if _is_name(source, at + 1, name):
            end = at + 2
            while end < len(source) and not (
                source[end] == _SLASH and source[end - 1] == _LESS and _is_name(source, end + 1, name)
            ):
                end += 1
            at = end
    while at < len(source) and source[at] != _GREATER:
        if source[at] == 34 or source[at] == 39:
            at = _behind_quote(source, at)
        at += 1
    return at + 1


@compiled
def _is_name(source: Any, at: Any, name: Any) -> Any:
    """Whether this name, in any case, stands at a place."""
    end = at + len(name)
    if end > len(source) or (end < len(source) and IN_WORD[source[end]]):
        return False
    same = 0
    for place in range(len(name)):
        same += source[at + place] | 0x20 == name[place]
    return same == len(name)


@compiled
def _behind_quote(source: Any, at: Any) -> Any:
    """The place of the quote that closes the one at a place, or the end."""
    end = at + 1
    while end < len(source) and source[end] != source[at]:
        end += 1
    return end
