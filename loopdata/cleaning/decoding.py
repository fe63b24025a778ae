"""Bytes of a file to UTF-8: which encoding they are in, line ends as `\\n`, no control characters.

Enters: raw bytes. Leaves: UTF-8 bytes and what was changed. Every decoding is strict, so that no replacement character
and no lone surrogate arises. The order: a byte order mark, UTF-8, the encoding that one of the first two lines declares
(PEP 263, XML), windows-1252 where that is plausible. Limit: nothing is guessed beyond that; a file in an undeclared
multi-byte encoding has no text, and one in an undeclared single-byte alphabet that is not Latin has none either.
"""

import codecs
import re
from typing import NamedTuple

import numpy as np

# Stateful encodings of 7 bits are valid UTF-8 as well: for them the declaration speaks first.
_SEVEN_BITS = frozenset({"iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_2004", "iso2022_kr", "hz"})
# Never a codec that is not a character set (`rot13`, `zlib`, `unicode_escape`): the file says which one is called.
_CHARACTER_SETS = """
iso8859-1 iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-9 iso8859-10 iso8859-13
iso8859-14 iso8859-15 iso8859-16 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp437 cp850 cp852 cp855
cp866 koi8-r koi8-u mac-roman mac-cyrillic shift_jis cp932 euc_jp gb2312 gbk gb18030 big5 euc_kr cp949 johab tis-620
"""
_DECLARABLE = _SEVEN_BITS | frozenset(_CHARACTER_SETS.split())
_DECLARATION = re.compile(rb"\A(?:[^\n]*\n)?[^\n]*?coding[:=][ \t]*[\"']?([-\w.]+)")
_DECLARED_WITHIN = 1_024
_HIGH = bytes(range(0x80, 0x100))
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
# Tab, newline and form feed stay; carriage returns are gone before.
_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\f")) + b"\x7f"


class Decoded(NamedTuple):
    """UTF-8 bytes and the encoding that they came in; `utf-8` without a mark means that nothing was changed."""

    data: bytes
    encoding: str


def decode(data: bytes, max_legacy_share: float | None) -> Decoded | None:
    """Decode strictly, None where no encoding fits. `max_legacy_share`: see `plausible_legacy`; None: never legacy."""
    marked = _marked(data)
    if marked is not None:
        return marked
    declared = _declared(data)
    if declared not in _SEVEN_BITS and _is_utf8(data):
        return Decoded(data, "utf-8")
    if declared is not None:
        found = _as(data, declared)
        if found is not None:
            return found
    if _is_utf8(data):
        return Decoded(data, "utf-8")
    if max_legacy_share is not None and plausible_legacy(data, max_legacy_share):
        return _as(data, "cp1252")
    return None


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _as(data: bytes, encoding: str) -> Decoded | None:
    try:
        return Decoded(data.decode(encoding).encode("utf-8"), encoding)
    except UnicodeError:
        return None


def _marked(data: bytes) -> Decoded | None:
    """By byte order mark. UTF-32 first: its little-endian mark begins with that of UTF-16."""
    if data.startswith(codecs.BOM_UTF8):
        rest = data[len(codecs.BOM_UTF8) :]
        return Decoded(rest, "utf-8-sig") if _is_utf8(rest) else None
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        found = _as(data, "utf-32")
        if found is not None:
            return found
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _as(data, "utf-16")
    return None


def _declared(data: bytes) -> str | None:
    """The codec that one of the first two lines declares, if it is a character set that is known."""
    if data.find(b"coding", 0, _DECLARED_WITHIN) < 0:
        return None
    match = _DECLARATION.match(data[:_DECLARED_WITHIN])
    if match is None:
        return None
    try:
        name = codecs.lookup(match.group(1).decode("ascii")).name
    except (LookupError, UnicodeDecodeError, ValueError):
        return None
    return name if name in _DECLARABLE else None


def plausible_legacy(data: bytes, max_share: float) -> bool:
    """Whether bytes look like windows-1252: few above 0x7f, and these mostly alone, as accents in words are.

    Runs of them (a mean above 1.5) are what multi-byte encodings and other alphabets look like.
    """
    high = len(data) - len(data.translate(None, _HIGH))
    if high > max_share * len(data):
        return False
    runs = sum(1 for _ in _HIGH_RUN.finditer(data))
    return 2 * high <= 3 * runs


def newlines(data: bytes) -> tuple[bytes, int]:
    """`data` with every CRLF and lone CR as LF, and how many there were."""
    if b"\r" not in data:
        return data, 0
    joined = data.replace(b"\r\n", b"\n")
    return joined.replace(b"\r", b"\n"), len(data) - len(joined) + joined.count(b"\r")


def without_controls(data: bytes) -> tuple[bytes, int]:
    """UTF-8 without C0 (but tab, newline, form feed), DEL and C1 control characters, and how many there were."""
    rest = data.translate(None, _CONTROLS)
    removed = len(data) - len(rest)
    if b"\xc2" in rest:  # the lead byte of every C1 control, and of some signs
        whole = rest
        rest = _without_c1(whole)
        removed += (len(whole) - len(rest)) // 2
    return rest, removed


def _without_c1(data: bytes) -> bytes:
    """UTF-8 without U+0080 to U+009F, which are two bytes each; by numpy, since a file may hold nothing else."""
    found = np.frombuffer(data, np.uint8)
    leads = np.flatnonzero((found[:-1] == 0xC2) & (found[1:] < 0xA0))
    if not len(leads):
        return data
    keep = np.ones(len(found), np.bool_)
    keep[leads] = keep[leads + 1] = False
    return found[keep].tobytes()


def count_characters(data: bytes) -> int:
    """Code points of valid UTF-8."""
    return len(data) if data.isascii() else len(data.decode("utf-8"))
