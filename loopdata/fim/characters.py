"""The characters of a text that is kept as bytes: where they start, and how many lie in a span.

Enters: a text in UTF-8. Leaves: offsets in bytes for numbers of characters and the other way about, so that a hole can
be drawn over characters, measured in characters, and cut out of bytes. Limit: a character is a code point; a hole may
part an accent from its letter, as in every tokenizer.
"""

import numpy as np
from numpy.typing import NDArray


class Text:
    """A text: `data` in UTF-8, `num_chars` code points."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._starts: NDArray[np.int64] | None = None
        self.num_chars = len(data)
        if not data.isascii():
            self._starts = np.flatnonzero((np.frombuffer(data, np.uint8) & 0xC0) != 0x80)
            self.num_chars = len(self._starts)

    def offset(self, char: int) -> int:
        """The byte at which a character starts; the end of the text for the number behind the last."""
        if self._starts is None:
            return char
        return int(self._starts[char]) if char < self.num_chars else len(self.data)

    def char(self, offset: int) -> int:
        """How many characters start before a byte."""
        return offset if self._starts is None else int(np.searchsorted(self._starts, offset))

    def size(self, start: int, end: int) -> int:
        """Characters of a span in bytes."""
        return self.char(end) - self.char(start)

    def floor(self, offset: int) -> int:
        """The last start of a character at or before a byte."""
        while 0 < offset < len(self.data) and self.data[offset] & 0xC0 == 0x80:
            offset -= 1
        return offset

    def ceil(self, offset: int) -> int:
        """The first start of a character at or behind a byte."""
        while offset < len(self.data) and self.data[offset] & 0xC0 == 0x80:
            offset += 1
        return offset
