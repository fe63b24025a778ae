"""Patterns over bytes, in linear time whatever the text.

Enters: a pattern in the syntax of RE2, and a literal that each of its matches holds, where there is one. Leaves:
matches. Looking for the literal first is some times faster than any pattern, and most texts do not hold it. Limit: RE2
knows no look-around, so what stands around a match is asked of the bytes there.
"""

from collections.abc import Iterator
from typing import NamedTuple

import re2


def compiled(pattern: bytes) -> "re2._Regexp":
    """A pattern over bytes. A pattern that is wrong raises."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # a byte is a character
    options.log_errors = False  # it would write texts to stderr
    return re2.compile(pattern, options)


class Sought(NamedTuple):
    """A pattern all of whose matches hold `literal`."""

    literal: bytes
    pattern: "re2._Regexp"

    def finditer(self, text: bytes) -> Iterator["re2._Match"]:
        """Matches in order."""
        return self.pattern.finditer(text) if self.literal in text else iter(())
