"""The language of a text by signs in it, where its name leaves several open.

Enters: a text, and the languages that are possible. Leaves: points for those whose signs are there, and the one that
they decide for, if they do. A sign is a pattern with a weight that counts once, however often it stands there: 1
supports, 3 nearly decides, 5 and more stands in hardly another language. A language that grew out of another (C++,
Objective-C, TypeScript) has the other's signs too, and wins over it by signs of its own. The patterns of a language are
one automaton (RE2), so that time is linear in the text. The tables are ours. Limit: a text that quotes another language
may show its signs.
"""

from functools import cache

import re2

from loopdata.syntax.signs_braces import BRACES
from loopdata.syntax.signs_markup import MARKUP
from loopdata.syntax.signs_others import OTHERS

SIGNS = BRACES | MARKUP | OTHERS
HEAD_BYTES = 8_192
LEAST = 4  # points that decide
MARGIN = 3  # points before the next
OWN = 3  # points by which a language is told from the one it grew out of
GREW_FROM = {"C++": "C", "Objective-C": "C", "TypeScript": "JavaScript", "SCSS": "CSS", "Apex": "Java"}


def decided(points: dict[str, int]) -> str | None:
    """The language that its points set apart from all others, None where none is."""
    ranked = sorted(points, key=lambda language: (-points[language], language))
    if not ranked or points[ranked[0]] < LEAST:
        return None
    ahead = points[ranked[0]] - (points[ranked[1]] if len(ranked) > 1 else 0)
    return ranked[0] if ahead >= MARGIN else None


def score(text: bytes, candidates: tuple[str, ...] = ()) -> dict[str, int]:
    """Points of every language that is possible and has a sign there; of a language and its origin only one stays."""
    head = text[:HEAD_BYTES]
    points: dict[str, int] = {}
    for language in candidates or SIGNS:
        automaton, weights = _automaton(language)
        found = automaton.Match(head)
        if found:
            points[language] = sum(weights[place] for place in found)
    for language, origin in GREW_FROM.items():
        if language in points and origin in points:
            if points[language] >= OWN:
                points[language] += points.pop(origin)
            else:
                del points[language]
    return points


@cache
def _automaton(language: str) -> tuple[re2.Set, tuple[int, ...]]:
    """The patterns of a language, and their weights."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes are looked at one by one
    options.never_capture = True
    automaton = re2.Set.SearchSet(options)
    weights = []
    for line in SIGNS[language].strip("\n").replace("\n  ", "").splitlines():
        weight, _, pattern = line.partition(" ")
        automaton.Add("(?m)" + pattern)
        weights.append(int(weight))
    automaton.Compile()
    return automaton, tuple(weights)
