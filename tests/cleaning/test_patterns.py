"""Patterns over bytes behind their literals."""

import pytest
import re2

from loopdata.cleaning.patterns import Sought, compiled


def test_a_literal_changes_no_match() -> None:
    pattern = compiled(rb"[a-z]+@[a-z]+")
    for text in (b"a@b and c@d", b"none", b""):
        found = [match.span() for match in Sought(b"@", pattern).finditer(text)]
        assert found == [match.span() for match in pattern.finditer(text)]


def test_a_byte_is_a_character_and_offsets_are_bytes() -> None:
    (match,) = compiled(rb"b.").finditer("äbé".encode())
    assert match.span() == (2, 4)


def test_a_wrong_pattern_raises() -> None:
    with pytest.raises(re2.error):
        compiled(rb"(")
