"""Secrets that are known by the name they are given: assignments in code, data and prose, and passwords in URLs.

Enters: the bytes of a text. Leaves: findings. One pass looks for names (`password`, `api_key`, `client-secret`, …);
what follows a name must lead to a value, as `=`, `=>`, `: str = "`, `("`, `>`, or `is` in a sentence do; and the value
must look drawn at random (`gibberish.evidence`), the more so the less its place says that it is a literal. Lines that
speak of hashes, and UUIDs, are left alone. Limit: a password of plain words is not found.
"""

from collections.abc import Iterator
from typing import NamedTuple

import re2

from loopdata.cleaning.gibberish import evidence
from loopdata.cleaning.placeholders import Family, Finding, compiled, pretends

_NAME = compiled(
    rb"(?i)passw(?:or)?d|passphrase|passcode|pwd|\bpass\b|_pass\b|secret|token|credential|bearer|authorization|_auth\b"
    rb"|(?:api|access|account|auth|client|consumer|encryption|license|master|private|service|session|shared|signing"
    rb"|storage)[_. -]?key"
)
_REST = rb"([a-z0-9_.-]{0,40})"  # of the name
_OPERATOR = (
    rb"[\\\"'`\])]{0,4}[ \t]*(?:(?::[ \t]*[&*]?[a-z][a-z0-9_.<>\[\]| ?]{0,24}?)?(?:=|:=|=>|[=!]==?|:|\()[ \t]*"
    rb"|,[ \t]*(?:[\"'](?:value|default)[\"'][ \t]*:[ \t]*)?|(?:value|content|default)=)(?:[brufl@$]{1,2})?"
)
_WORDS = rb"[ \t]+(?:(?:[a-z]+[ \t]+){0,6}(?:is|was|are|be|to|with|as)[ \t:]+)?"
_FREE = rb"[^\s\"'`,;<>(){}\[\]|\\]{8,256}"  # a value without quotes
# From a name to its value: in quotes, by an operator, a call or an attribute (2) or by words (3); between tags (4);
# free, in a shell or in YAML (5), or by words (6).
_GIVEN = compiled(
    rb"(?i)" + _REST + rb"(?:" + _OPERATOR + rb"(\\?[\"'`])|" + _WORDS + rb"([\"'`])|>([^<>\s]{6,200})</|"
    rb"[\"'`\]]{0,2}[ \t]*(?::=|=>|==?|:)[ \t]*(?:(?:bearer|basic|token)[ \t]+)?(" + _FREE + rb")|"
    + _WORDS + rb"(" + _FREE + rb"))"
)  # fmt: skip
_SAYS_NO_VALUE = compiled(
    rb"(?i)(?:hash(?:ed)?|digest|checksum|type|names?|ur[il]s?|endpoint|path|file|fields?|label|regexp?|pattern|format"
    rb"|algorithm|length|size|count|ids?|index|class|prefix|suffix|sha[0-9]*|md5|fingerprint|hint|help|text)$"
)
_TURNS_PAGES = compiled(rb"(?i)(?:next|page|continuation|sync|cursor|start|csrf)[_-]?$")  # a token that opens nothing
_HASHES = compiled(
    rb"(?i)sha-?(?:1|2|3|224|256|384|512)\b|\bmd5|integrity|checksum|digest|blake2|fingerprint|hash|commit"
    rb"|\brev(?:ision)?\b|\betag|\bcrc"
)
_UUID = compiled(rb"(?i)^\{?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?$")
_NO_LITERAL = compiled(
    rb"^[$<{]|^%\w+%$|[$#]\{|\{\{|%[(s]|<%|\$\(|://|\s|\\[a-z]|\[\^?\w-\w|\(\?|\(\)|^--|^0x|\.\.\.|^[0-9.,:+/xX_-]+$"
    rb"|^[\w.+-]+@[\w-]+(?:\.[\w-]+)+$"
)
_URL_PASSWORD = compiled(
    rb"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://([^\s:/@\"'<>`]{0,64}):([^\s/@\"'<>`]{3,128})@[A-Za-z0-9\[$]"
)
_LOOK, _MAX_VALUE = 456, 256  # bytes after a name in which its value lies, bytes of a value
_LINE = 200  # bytes to either side that are asked whether the line speaks of hashes
_MIN_VALUE, _MIN_CLASSES = 8, 3

QUOTED, FREE = 5.0, 8.0  # bits of evidence that a value needs
_THRESHOLDS = {2: QUOTED, 3: FREE, 4: QUOTED, 5: FREE, 6: FREE}  # by group of _GIVEN


class _Value(NamedTuple):
    start: int
    end: int
    threshold: float


def find_assigned(text: bytes) -> Iterator[Finding]:
    """Passwords, and other secrets, by their names."""
    behind = 0
    for name in _NAME.finditer(text):
        if name.start() < behind:
            continue
        value = _value(text, name)
        is_password = b"pass" in name.group().lower() or name.group().lower() == b"pwd"
        if value is not None and _is_secret(text, value, is_password) and not _speaks_of_hashes(text, name.start()):
            behind = value.end
            rule, family = ("password", Family.PASSWORD) if is_password else ("secret", Family.KEY)
            yield Finding(value.start, value.end, rule, family)


def find_url_passwords(text: bytes) -> Iterator[Finding]:
    """The password of `scheme://user:password@host`."""
    if b"://" not in text or b"@" not in text:
        return
    for match in _URL_PASSWORD.finditer(text):
        value = _Value(match.start(2), match.end(2), QUOTED)
        if match.group(1) != match.group(2) and _is_secret(text, value, True):
            yield Finding(value.start, value.end, "url_password", Family.PASSWORD)


def _value(text: bytes, name: "re2._Match") -> _Value | None:
    """The value that a name is given, if it is given one."""
    match = _GIVEN.match(text, name.end(), name.end() + _LOOK)
    if match is None or _SAYS_NO_VALUE.search(match.group(1)) is not None:
        return None
    if _TURNS_PAGES.search(text[max(0, name.start() - 16) : name.start()]) is not None:
        return None
    group = next(group for group in _THRESHOLDS if match.start(group) >= 0)
    start, end = match.span(group)
    if group <= 3:
        quote, start = match.group(group), end
        end = text.find(quote, start, start + _MAX_VALUE + len(quote))
    else:
        end = start + len(match.group(group).rstrip(b".:!?"))
        if text[end : end + 1] in (b"(", b"[", b"{"):  # a call
            return None
    return _Value(start, end, _THRESHOLDS[group]) if end >= 0 else None


def _is_secret(text: bytes, value: _Value, is_password: bool) -> bool:
    found = text[value.start : value.end]
    if len(found) < _MIN_VALUE or _NO_LITERAL.search(found) or _UUID.search(found) or pretends(found):
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
