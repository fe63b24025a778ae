"""What was drawn at random gives evidence of it, what was written does not."""

import random

import pytest

from loopdata.cleaning.gibberish import MAX_BYTES, evidence
from tests.cleaning.made_keys import draw


@pytest.mark.parametrize(("alphabet", "length"), [("h", 32), ("a", 20), ("b", 40), ("l", 24), ("u", 24)])
def test_drawn_values_are_told_by_their_evidence(alphabet: str, length: int) -> None:
    rng = random.Random(1)
    found = [evidence(draw(alphabet, length, rng).encode()) for _ in range(500)]
    assert sum(bits > 8 for bits in found) >= 495


@pytest.mark.parametrize(
    "value",
    [
        "authentication_token",
        "getAccessTokenFromHeader",
        "SOME_CONSTANT_NAME",
        "https://kernel.org/doc/html",
        "application/json",
        "correct-horse-battery-staple",
        "path/to/the/file.tar.gz",
        "x86_64-linux-gnu",
        "version2",
        "",
    ],
)
def test_written_values_have_none(value: str) -> None:
    assert evidence(value.encode()) <= 0


def test_more_of_the_same_is_more_evidence_up_to_a_bound() -> None:
    value = draw("a", 400, random.Random(2)).encode()
    assert evidence(value[:10]) < evidence(value[:20]) < evidence(value[:MAX_BYTES]) == evidence(value)


def test_bytes_that_are_no_ascii_count_as_signs() -> None:
    assert evidence("пароль".encode()) == evidence(b"!" * 12)
