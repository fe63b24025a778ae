"""Reading a sample back from its text, in which special tokens are only spelled.

Enters: the special tokens that a sample may hold, and texts. Leaves: ids, one for each special token and one for each
stretch between two, so that what builders prove of tokens is proved of texts too. Limit: a document may spell a special
token itself; its sample reads back otherwise than it was made, and `reads_back` says so.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class SpelledReader:
    """Reads texts as a tokenizer would that knows these special tokens."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.special = {token: number for number, token in enumerate(tokens)}
        self._pattern = re.compile("|".join(sorted(map(re.escape, tokens), key=len, reverse=True)))
        self._texts: list[bytes] = []

    def read(self, text: str) -> list[int]:
        """The ids of a text."""
        ids: list[int] = []
        end = 0
        for found in self._pattern.finditer(text):
            ids += [*self._ids_between(text[end : found.start()]), self.special[found.group()]]
            end = found.end()
        return [*ids, *self._ids_between(text[end:])]

    def _ids_between(self, text: str) -> list[int]:
        if text:
            self._texts.append(text.encode())
        return [len(self.special) + len(self._texts) - 1] if text else []

    def decode(self, ids: Iterable[int]) -> bytes:
        """What lies between special tokens."""
        return b"".join(self._texts[number - len(self.special)] for number in ids)

    def reads_back(self, ids: Sequence[int], segments: Iterable[Mapping[str, Any]]) -> bool:
        """Whether the special tokens of a text are those of its segments, in their order."""
        wanted = [self.special[entry["text"]] for entry in segments if entry["special"]]
        return [number for number in ids if number < len(self.special)] == wanted

    def spelled_in(self, segments: Iterable[Mapping[str, Any]]) -> list[str]:
        """The special tokens that the texts among the segments spell, each once."""
        texts = (entry["text"] for entry in segments if not entry["special"])
        return sorted({found for text in texts for found in self._pattern.findall(text)})

    def forget(self) -> None:
        """Let go of the texts that were read; their ids mean nothing any more."""
        self._texts.clear()
