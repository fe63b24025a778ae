"""What stands in place of a secret, and which values only pretend to be one.

Enters: what was found, the language of its file. Leaves: the placeholder as that language spells it. A `Finding` says
where, never what: its bytes are in no record. Limit: whether a value only pretends is judged by words that people put
into examples, which a real secret may hold by chance (one of some thousands does).
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from loopdata.cleaning.patterns import compiled


class Family(StrEnum):
    """Kinds of secret as the placeholders tell them apart."""

    KEY = "key"
    PASSWORD = "password"
    EMAIL = "email"
    IP_ADDRESS = "ip_address"


class Finding(NamedTuple):
    """Bytes `start` to `end` of a text, by the rule that found them."""

    start: int
    end: int
    rule: str
    family: Family


# Where `<` opens an element, the placeholder would be one that nothing closes.
MARKUP = frozenset({"HTML", "HTML+ERB", "HTML+Django", "SVG", "Svelte", "Vue", "XML", "XSLT"})
_MIN_DISTINCT = 5


def placeholder(family: Family, language: str | None) -> bytes:
    """`<KEY>`, `<PASSWORD>`, `<EMAIL>` or `<IP_ADDRESS>` as a file of this language spells it."""
    name = bare_word(family)
    return b"&lt;%b&gt;" % name if language in MARKUP else b"<%b>" % name


def bare_word(family: Family) -> bytes:
    """The placeholder without brackets: for places where only a word or a name can stand."""
    return family.value.upper().encode()


_EXAMPLE = compiled(
    rb"(?i)example|sample|dummy|placeholder|redacted|insert|replace|change[-_]?(?:me|this|it)|your|x{6}|\*{3}|\.{3}|0{8}"
    rb"|1234567|abcdef|qwerty|asdfgh|deadbeef|cafebabe"
)
_TRIAL = compiled(
    rb"(?i)fake|here|todo|x{4}|1234|abcde|asdf|secret|passw|p@ssw|hunter2|letmein|undefined|abc123|123abc"
    rb"|(?:^|[^a-z])(?:test|foo|bar|baz|null|none|demo)(?:[^a-z]|$)|^test|test(?:ing)?[0-9]*$"
)


def is_example(value: bytes) -> bool:
    """Whether a value of a known shape was made up: a word that says so, a row of the keyboard, one thing repeated."""
    return len(set(value)) < _MIN_DISTINCT or _EXAMPLE.search(value) is not None


def pretends(value: bytes) -> bool:
    """As `is_example`, for a value that only its name says to be a secret: words of tests make it none as well."""
    return is_example(value) or _TRIAL.search(value) is not None


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """In order and apart: what overlaps becomes one, by the rule that comes first in `findings`."""
    ranked = sorted(enumerate(findings), key=lambda item: (item[1].start, item[0]))
    result: list[tuple[int, Finding]] = []
    for rank, finding in ranked:
        if result and finding.start < result[-1][1].end:
            best, last = result[-1]
            end = max(last.end, finding.end)
            first = finding if rank < best else last
            result[-1] = min(rank, best), first._replace(start=last.start, end=end)
        else:
            result.append((rank, finding))
    return [finding for _, finding in result]
