"""The language of a file: by its name, and by its content where the name leaves several open or says nothing.

Enters: a path and a text. Leaves: a language spelled as linguist spells it, or `Unknown`, and what decided. A name that
one language has decides. Else: what the text tells an editor or the kernel (modeline, `#!`), then its signs where they
decide, then signs and a small network together, among the languages that the name leaves possible. Only the ends of a
text are looked at, so that its size does not matter. Limit: a text of a few lines may show too little of either.
"""

import math
from typing import Literal, NamedTuple

from loopdata.syntax import language_model, language_signs
from loopdata.syntax.language_names import UNKNOWN, languages_of, of_modeline, of_shebang

END_BYTES = 4_096  # where modelines are looked for
LEAST_PROBABLE = 0.3  # for a guess where the name says nothing
POINT = 0.5  # what a point of a sign is worth: a factor of e to this power
UNHEARD = 0.05  # the probability of a language that the network does not know, or does not see


class Named(NamedTuple):
    """A language, and what decided: `source` is one that was declared, `usual` the most common one of the name, where
    nothing else decided."""

    language: str
    by: Literal["source", "name", "modeline", "shebang", "signs", "network", "usual"]


def of_file(path: str | None, text: bytes | memoryview, network: bool = True) -> Named:
    """The language of a file of UTF-8."""
    possible = languages_of(path) if path else ()
    if len(possible) == 1:
        return Named(possible[0], "name")
    return _said(text, possible) or _shown(text, possible, network)


def _said(text: bytes | memoryview, possible: tuple[str, ...]) -> Named | None:
    """What the text says of itself, unless its name contradicts."""
    start = bytes(text[:END_BYTES]).decode("utf-8", "replace")
    end = bytes(text[-END_BYTES:]).decode("utf-8", "replace")
    modeline, shebang = of_modeline(start + "\n" + end), of_shebang(start)
    if modeline is not None and (not possible or modeline in possible):
        return Named(modeline, "modeline")
    if shebang is not None and (not possible or shebang in possible):
        return Named(shebang, "shebang")
    return None


def _shown(text: bytes | memoryview, possible: tuple[str, ...], network: bool) -> Named:
    """What the text looks like."""
    usual = Named(possible[0] if possible else UNKNOWN, "usual")
    start, end = bytes(text[: language_signs.HEAD_BYTES]), bytes(text[-language_model.BLOCK_BYTES :])
    points = language_signs.score(start, possible)
    decided = language_signs.decided(points)
    if decided is not None:
        return Named(decided, "signs")
    if not network or not start.strip():
        return usual
    guess = _weighed(points, language_model.probabilities(start, end), possible)
    return Named(guess, "network") if guess is not None else usual


def _weighed(points: dict[str, int], network: dict[str, float], possible: tuple[str, ...]) -> str | None:
    """The likeliest language by signs and network together, None where neither says much."""
    candidates = possible or sorted(points.keys() | network.keys())
    weights = {
        language: (network.get(language, 0.0) + UNHEARD) * math.exp(POINT * points.get(language, 0))
        for language in candidates
    }
    best = max(candidates, key=weights.__getitem__)
    sure = points.get(best, 0) >= language_signs.LEAST or network.get(best, 0.0) >= LEAST_PROBABLE
    return best if possible or sure else None
