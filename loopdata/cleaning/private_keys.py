"""Private keys between the marks of PEM, OpenSSH and PGP, and those of PuTTY and age.

Enters: the bytes of a text. Leaves: findings, each from the first mark to the last. What lies between must be what such
a block holds: headers and lines of base64, perhaps as the lines of a string or a comment of some language. So marks
alone, as in code that looks for them, are no finding. Limit: a block that was cut off before its last mark is found as
far as its lines of base64 reach.
"""

from collections.abc import Iterator

from loopdata.cleaning.patterns import Sought, compiled
from loopdata.cleaning.placeholders import Family, Finding

_BEGINS = (
    Sought(b"PRIVATE KEY", compiled(rb"-----BEGIN (?:[A-Z0-9]{2,10} ){0,3}PRIVATE KEY(?: BLOCK)?-----")),
    Sought(b"Private-Lines: ", compiled(rb"Private-Lines: [0-9]{1,3}")),
)
_END = compiled(rb"-----END (?:[A-Z0-9]{2,10} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
# A header, or base64 of some length with what a string or a comment of a language puts around its lines.
_BODY = compiled(
    rb"(?:[\s\"'`+,;#*/|>.()&-]|\\[nrt\\]|(?:Proc-Type|DEK-Info|Version|Comment|Charset|Hash): ?[^\n\\]{0,100}"
    rb"|[A-Za-z0-9+/=]{8,}|=[A-Za-z0-9+/]{4})*"
)
_MAX_BODY, _MAX_MARK = 16_384, 64  # bytes by which a block is judged, bytes of its last mark
_MIN_BASE64 = 40
_BASE64_RUN = compiled(rb"[A-Za-z0-9+/]{16,}={0,2}")


def find_private_keys(text: bytes) -> Iterator[Finding]:
    """Blocks in order; a mark inside one is part of it."""
    behind = 0
    for begin in sorted(begin.span() for pattern in _BEGINS for begin in pattern.finditer(text)):
        if begin[0] >= behind:
            end = _end(text, begin[1])
            if end:
                behind = end
                yield Finding(begin[0], end, "private_key", Family.KEY)


def _end(text: bytes, start: int) -> int:
    """Where the block ends whose first mark ends at `start`; 0 where what follows is no key."""
    limit = start + _MAX_BODY
    last = _END.search(text, start, limit)
    body = _BODY.match(text, start, last.start() if last else limit)
    runs = list(_BASE64_RUN.finditer(text, start, body.end()))
    if sum(run.end() - run.start() for run in runs) < _MIN_BASE64 or b"EXAMPLE" in text[start : body.end()]:
        return 0
    if last is None:  # cut off, or longer than what it was judged by, as keys of PGP with many signatures
        body = _BODY.match(text, start)
        runs = list(_BASE64_RUN.finditer(text, start, body.end()))
        last = _END.search(text, max(start, body.end() - _MAX_MARK), body.end() + _MAX_MARK)
        body = _BODY.match(text, start, last.start()) if last else body
    whole = last is not None and body.end() == last.start()
    return int(last.end() if whole else runs[-1].end())
