"""Secrets that are known by the name they are given: assignments in code, data and prose, and passwords in URLs.

Enters: the bytes of a text. Leaves: findings. One pass looks for names (`password`, `api_key`, `client-secret`, …);
what follows a name must lead to a value, as `=`, `=>`, `: str = "`, `("`, `>`, or `is` in a sentence do; and the value
must look drawn at random (`gibberish.evidence`), the more so the less its place says that it is a literal. Lines that
speak of hashes, tables of them, and UUIDs are left alone. Limit: a password of plain words is not found.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import re2

from loopdata.cleaning.gibberish import evidence
from loopdata.cleaning.patterns import Sought, compiled
from loopdata.cleaning.placeholders import Family, Finding, pretends

_NAME = compiled(
    rb"(?i)(?:api|access|account|auth|client|consumer|encryption|license|master|private|secret|service|session|shared"
    rb"|signing|storage)[_. -]?key|passw(?:or)?d|passphrase|passcode|pwd|\bpass\b|_pass\b|\bpw\b|secret|token"
    rb"|credential|bearer|authorization|_auth\b"
)
_REST = rb"([a-z0-9_.-]*)"  # of the name
_OPERATOR = (
    rb"[\\\"'`\])]{0,4}[ \t]*(?:(?::[ \t]*[&*]?[a-z][a-z0-9_.<>\[\]| ?]{0,24}?)?(?:=|:=|=>|[=!]==?|:|\(|,)[ \t]*)"
)
_BESIDE = rb"[\"']?,?\s{1,24}[\"']?(?:value|content|default)[\"']?[ \t]*[:=][ \t]*"  # name: X, value: Y
_WORDS = rb"[ \t]+(?:(?:[a-z]+[ \t]+){0,6}(?:is|was|are|be|to|with|as|[a-z]+:)[ \t:]+)?\(?"
_FREE = rb"[^\s\"'`,;&=<>(){}\[\]|\\]"  # of a value without quotes
# From a name to where its value begins: in quotes, by an operator, a call or an attribute (2) or by words (3); between
# tags (4); free, in a shell, YAML or a table (5), or by words (6). Short: captured bytes cost more than bytes read.
_GIVEN = compiled(
    rb"(?i)" + _REST + rb"(?:(?:" + _BESIDE + rb"|" + _OPERATOR + rb")(?:[brufl@$]{1,2})?(\\?[\"'`])|"
    + _WORDS + rb"([\"'`])|(>)[^<>\s]|(?:" + _BESIDE + rb"|[\"'`\]]{0,2}[ \t]*(?::=|=>|==?|:\*{0,2}|\|)[ \t]*"
    rb"(?:(?:bearer|basic|token)[ \t]+)?)(" + _FREE + rb")|" + _WORDS + rb"(" + _FREE + rb"))"
)  # fmt: skip
# What follows is asked of few bytes, where a call of `re` costs less than one of RE2, and has little to backtrack over.
_IN_TAGS, _FREE_RUN = re.compile(rb"[^<>\s]+"), re.compile(_FREE + rb"+")  # both match where they are asked
_SAYS_NO_VALUE = re.compile(
    rb"(?i)^i[sz]|(?:hash(?:ed)?|digest|checksum|type|names?|ur[il]s?|endpoint|path|file|fields?|label|regexp?|pattern|format"
    rb"|algorithm|length|size|count|ids?|index|class|prefix|suffix|sha[0-9]*|md5|fingerprint|hint|help|text)\Z"
)
_TURNS_PAGES = re.compile(
    rb"(?i)(?:next|page|continuation|sync|cursor|start|csrf)[_-]?\Z"
)  # a token that opens nothing
_HASHES = compiled(
    rb"(?i)sha-?(?:1|2|3|224|256|384|512)\b|\bmd5|integrity|checksum|digest|blake2|fingerprint|hash|commit"
    rb"|\brev(?:ision)?\b|\betag|\bcrc"
)
_HEX_IN_QUOTES = compiled(rb"[\"'][0-9a-f]{8,128}[\"']")
_TABLE, _MIN_TABLE = 400, 5  # bytes to either side in which so many values make a table
_UUID = re.compile(rb"(?i)\{?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?\Z")
# Variables, templates, formats, URLs, escapes, classes of characters, options, numbers, constants, addresses.
_NO_LITERAL = re.compile(
    rb"^[$<{]|^%\w+%\Z|[$#]\{|\{\{|%[(s]|<%|\$\(|://|\s|\\[a-z]|\[\^?\w-\w|\(\?|\(\)|^--|^0x|\.\.\.|^[0-9.,:+/xX_-]+\Z|^[A-Z_]+\Z"
    rb"|^[\w.+-]+@[\w-]+(?:\.[\w-]+)+\Z"
)
_URL_PASSWORD = Sought(
    b"://", compiled(rb"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://([^\s:/@\"'<>`]{0,64}):([^\s/@\"'<>`]{3,128})@[A-Za-z0-9\[$]")
)
_USER_OPTION = Sought(b"-u", compiled(rb"\s(?:-u|--user)[ =][\"']?([\w.@-]{1,64}):([^\s\"'`@]{8,256})"))
_LOOK, _MAX_VALUE = 120, 256  # bytes after a name in which its value begins, bytes by which a value is judged
_MAX_QUOTED = 4_096  # bytes in which a quote is closed
_LINE = 200  # bytes to either side that are asked whether the line speaks of hashes
_MIN_VALUE, _MIN_CLASSES = 8, 3

QUOTED, FREE = 5.0, 8.0  # bits of evidence that a value needs
_THRESHOLDS = {2: QUOTED, 3: FREE, 4: QUOTED, 5: FREE, 6: FREE}  # by group of _GIVEN


class _Value(NamedTuple):
    start: int
    end: int  # -1 where nothing closes it
    threshold: float


def find_assigned(text: bytes) -> Iterator[Finding]:
    """Passwords, and other secrets, by their names."""
    behind = 0
    for name in _NAME.finditer(text):
        if name.start() < behind:
            continue
        value = _value(text, name)
        if value is None or value.end - value.start < _MIN_VALUE:
            continue
        word = name.group().lower()
        is_password = b"pass" in word or word in (b"pw", b"pwd")
        if not _is_secret(text, value, is_password):
            continue
        if not (_speaks_of_hashes(text, name.start()) or _in_table_of_hashes(text, value)):
            behind = _whole(text, value)
            rule, family = ("password", Family.PASSWORD) if is_password else ("secret", Family.KEY)
            yield Finding(value.start, behind, rule, family)


def find_url_passwords(text: bytes) -> Iterator[Finding]:
    """The password of `scheme://user:password@host`, and of a command's option `-u user:password`."""
    for pattern in (_URL_PASSWORD, _USER_OPTION):
        for match in pattern.finditer(text):
            value = _Value(match.start(2), match.end(2), QUOTED)
            if match.group(1) != match.group(2) and _is_secret(text, value, True):
                yield Finding(value.start, _whole(text, value), "url_password", Family.PASSWORD)


def _value(text: bytes, name: "re2._Match") -> _Value | None:
    """The value that a name is given, if it is given one."""
    begin, behind = name.span()
    match = _GIVEN.match(text, behind, behind + _LOOK)
    if match is None or _SAYS_NO_VALUE.search(match.group(1)) is not None:
        return None
    if _TURNS_PAGES.search(text[max(0, begin - 16) : begin]) is not None:
        return None
    group = match.lastindex
    start, end = match.span(group)
    if group >= 5:
        bounds = _free(text, start)
    elif group == 4:
        bounds = _in_tags(text, end)
    else:
        bounds = end, text.find(text[start:end], end, end + _MAX_QUOTED)
    return _Value(*bounds, _THRESHOLDS[group])


def _free(text: bytes, start: int) -> tuple[int, int]:
    """The bounds of a value without quotes: no call, and without the full stop of a sentence."""
    end = int(_FREE_RUN.match(text, start, start + _MAX_VALUE).end())  # type: ignore[union-attr]
    if end < start + _MAX_VALUE:
        end = start + len(text[start:end].rstrip(b".:!?"))
    return start, -1 if text[end : end + 1] in (b"(", b"[", b"{") else end


def _whole(text: bytes, value: _Value) -> int:
    """Where a secret ends that may be longer than what it was judged by: nothing of it stays, not half a character."""
    rest = _FREE_RUN.match(text, value.end) if value.end - value.start == _MAX_VALUE else None
    return int(rest.end()) if rest else value.end


def _in_tags(text: bytes, start: int) -> tuple[int, int]:
    """The bounds of what an element holds."""
    end = int(_IN_TAGS.match(text, start, start + _MAX_VALUE).end())  # type: ignore[union-attr]
    return start, end if text.startswith(b"</", end) else -1


def _is_secret(text: bytes, value: _Value, is_password: bool) -> bool:
    found = text[value.start : value.end]
    if value.end - value.start < _MIN_VALUE or _NO_LITERAL.search(found) or _UUID.match(found) or pretends(found):
        return False
    if evidence(found) >= value.threshold:
        return value.threshold == QUOTED or any(byte in b"0123456789" for byte in found)
    return is_password and value.threshold == QUOTED and _is_composed(found)


def _is_composed(value: bytes) -> bool:
    """Whether a password is made as rules for passwords ask: of three kinds of character, a digit among them."""
    kinds = (bytes.islower, bytes.isupper, bytes.isdigit, lambda byte: byte in b"!#$%&*+,;=?@^|")
    present = [any(is_kind(value[at : at + 1]) for at in range(len(value))) for is_kind in kinds]
    return present[2] and sum(present) >= _MIN_CLASSES


def _speaks_of_hashes(text: bytes, at: int) -> bool:
    start = text.rfind(b"\n", max(0, at - _LINE), at) + 1 or max(0, at - _LINE)
    end = text.find(b"\n", at, at + _LINE)
    return _HASHES.search(text, start, end if end >= 0 else at + _LINE) is not None


def _in_table_of_hashes(text: bytes, value: _Value) -> bool:
    """Whether hexadecimal values of one length stand all around: then they are no secrets, whatever their names."""
    size = value.end - value.start
    if not _HEX_IN_QUOTES.fullmatch(text[value.start - 1 : value.end + 1]):
        return False
    around = _HEX_IN_QUOTES.finditer(text, max(0, value.start - _TABLE), value.end + _TABLE)
    return sum(len(match.group()) == size + 2 for match in around) >= _MIN_TABLE
