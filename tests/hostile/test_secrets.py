"""Texts that are nothing but the beginnings of secrets: the work grows as the text does.

Work is counted in calls of patterns, of which RE2 makes each linear in the bytes that it may read.
"""

from collections.abc import Iterator

import pytest
import re2

from loopdata.cleaning.secrets import Secrets

PIECES = {
    "addresses without a domain": b"a@",
    "addresses that run into each other": b"a@bc.de",
    "names without a value": b"password=",
    "quotes that nothing closes": b'token="',
    "marks of keys": b"-----BEGIN RSA PRIVATE KEY-----",
    "half marks": b"-----BEGIN",
    "hexadecimal digits": b"0f1e2d3c4b5a6978",
    "dots and digits": b"1.2.",
    "versions": b"1.22.3.44 ",
    "colons": b"2a00:",
    "URLs with a user": b"http://a:",
    "JSON web tokens": b"eyJhbGciOi.",
    "beginnings of keys": b"AKIA ghp_ sk- xoxb- AIza ",
    "bot tokens": b"12345678:",
    "words before a value": b"password to with as is ",
    "brackets": b"token" + b"])" * 4,
    "heroku": b"heroku ''''''",
    "one letter": b"x",
}


def searches(text: bytes, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often patterns were run over `text`."""
    calls = 0
    original = re2._Regexp._match

    def counted(*arguments: object) -> Iterator[object]:
        nonlocal calls
        for found in original(*arguments):
            calls += 1
            yield found
        calls += 1

    with monkeypatch.context() as patch:
        patch.setattr(re2._Regexp, "_match", counted)
        Secrets().find(text)
    return calls


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES)
def test_work_grows_as_the_text_does(piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    half, whole = (searches(piece * (size // len(piece)), monkeypatch) for size in (20_000, 40_000))
    assert whole <= 2.1 * half + 200 and whole <= 40_000


@pytest.mark.slow
@pytest.mark.parametrize("piece", [b"a@", b"password=", b"-----BEGIN", b"0f1e2d3c4b5a6978", b"1.22.3."])
def test_ten_megabytes_have_an_end(piece: bytes) -> None:
    assert Secrets().find(piece * (10_000_000 // len(piece))) == []
