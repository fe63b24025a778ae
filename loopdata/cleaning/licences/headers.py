"""The licence that a file names in its own header.

Enters: the start of a text. Leaves: the licence with its line and what said so: an SPDX tag, a licence text or notice,
a tag such as `@license MIT`, or a sentence. Only comments at the top of the file are read, and SPDX tags anywhere in
the first 4 KiB that stand behind nothing but comment marks. A link to a licence is none: it often is about an article
or a data set. Many files of a repository share one header, so that what a header says is remembered. Limit: a header
behind more than 4 KiB, or behind code, is not seen.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from loopdata.cleaning.licences.names import PROPRIETARY, all_of, expression_of
from loopdata.cleaning.licences.texts import (
    combined,
    line_at,
    named_in,
    recognised,
    restricted_at,
    says_either,
    unwrapped,
)

HEAD_CHARACTERS = 4_096
# Without one of these a header says nothing; without one of the others it has no text or notice of a licence.
_WORDS = ("licen", "spdx", "public domain", "redistribut", "permission", "proprietary", "confidential", "unauthori")
_WORDS_OF_TEXTS = (
    "redistribut", "permission", "warrant", "licensed under", "subject to the", "public licen", "http", "free software",
)  # fmt: skip
_SPDX = re.compile(
    r"(?m)^[^\w\"'`\n]{0,12}(?:dnl |rem |REM |@rem |\.\\\" )?SPDX-License-Identifier:[ \t]*([^\n]{1,200})"
)
_CLOSERS = re.compile(r"\s*(?:\*/|-->|\*\)|#\}|%>|\"\"\"|'''|\|#|--\]\]|=#|-\}).*$")
_TAG = re.compile(
    r"(?im)^[^\w\n]{0,12}(?:@licen[cs]e|\\licen[cs]e|:licen[cs]e:|licen[cs]e[ \t]*[:=]|__licen[cs]e__[ \t]*=)"
    r"[ \t]*([^\n]{2,90})"
)
_OPENERS = {
    "/*": "*/", "<!--": "-->", "(*": "*)", '"""': '"""', "'''": "'''", 'r"""': '"""', "{-": "-}", "#=": "=#",
    "#|": "|#", "--[[": "]]", "=begin": "=end", "=pod": "=cut", "<#": "#>", "{#": "#}", "<%#": "%>",
}  # fmt: skip
_LINE_MARKS = ("#", "//", "--", ";", "%", "*", '"', "'", "!", '.\\"', "dnl ", "rem ", "REM ", "@rem ", "::", "C ")
# What may stand before or between comments.
_PREAMBLE = re.compile(
    r"\s*(?:$|<\?php|<\?xml|<!DOCTYPE|['\"]use strict['\"]|@echo off|@charset|package\b|<script|<style)", re.I
)


class Header(NamedTuple):
    """`kind` is spdx_tag, header_text, header_tag or header_sentence; `line` begins at 1."""

    kind: str
    licence: str | None
    written: str
    line: int


def header_of(start: str) -> Header | None:
    """What the start of a file says about its licence, if anything."""
    head = start[:HEAD_CHARACTERS]
    if not _holds(head, _WORDS):
        return None
    tags = list(_SPDX.finditer(head))
    if tags:
        return _tagged(head, tags)
    return _read(top_comments(head))


def _holds(text: str, words: tuple[str, ...]) -> bool:
    text = text.lower()
    return any(word in text for word in words)


def _tagged(head: str, tags: list[re.Match[str]]) -> Header:
    """Several SPDX tags in one file hold together."""
    written = [_CLOSERS.sub("", tag[1]).strip() for tag in tags[:8]]
    known = [expression for name in written if (expression := expression_of(name))]
    licence = all_of(known) if len(known) == len(written) else None
    return Header("spdx_tag", licence, "; ".join(written)[:80], head.count("\n", 0, tags[0].start(1)) + 1)


@lru_cache(maxsize=2_048)
def _read(comments: str) -> Header | None:
    if not _holds(comments, _WORDS):
        return None
    plain = unwrapped(comments)
    regions = recognised(comments, links=False) if _holds(plain, _WORDS_OF_TEXTS) else []
    if regions:
        outside = _outside(plain, [(region.start, region.end) for region in regions])
        licence = combined([region.id for region in regions], says_either(outside), outside)
        return Header("header_text", licence, "", line_at(comments, regions[0].start))
    for tag in _TAG.finditer(comments):
        name = _CLOSERS.sub("", tag[1]).strip(" \t\"'.,;()*#")
        expression = expression_of(name)
        if expression:
            return Header("header_tag", expression, name[:80], line_at(comments, tag.start()))
    named = named_in(plain)
    if named:
        return Header("header_sentence", named[0], "", line_at(comments, named[1]))
    at = restricted_at(plain)
    return None if at is None else Header("header_sentence", PROPRIETARY, "", line_at(comments, at))


def _outside(plain: str, spans: list[tuple[int, int]]) -> str:
    for start, end in spans:
        plain = plain[:start] + " " * (end - start) + plain[end:]
    return plain


def top_comments(head: str) -> str:
    """The comments at the top of a file, and what may stand before and between them, as whole lines."""
    lines = head.split("\n")
    closer = ""
    for count, line in enumerate(lines):
        text = line.strip()
        if closer:
            closer = "" if closer in text else closer
            continue
        opener = next((mark for mark in _OPENERS if text.startswith(mark)), "")
        if opener:
            end = _OPENERS[opener]
            closer = "" if end in text[len(opener) :] else end
        elif not text.startswith(_LINE_MARKS) and not _PREAMBLE.match(line) and "__licen" not in text:
            return "\n".join(lines[:count])
    return head
