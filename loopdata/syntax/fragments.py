"""How well a piece of code reads as the inside of something: a function, a class, a file.

Enters: a text that is no whole file (a code block of a page) and its language. Leaves: the smallest share of its bytes
that is lost in any of the readings that its language offers: in a frame (statements that may stand in a function only),
with the common indent taken away, without prompts (`>>> `, `$ `). Limit: a frame hides what it adds, so that an empty
text reads well in any.
"""

import re

from loopdata.syntax.damage import damage
from loopdata.syntax.parse import Limits, Refusal, parse_anew

# language: what may stand before and behind a fragment
FRAMES: dict[str, tuple[tuple[bytes, bytes], ...]] = {
    "C": ((b"void f(void) {\n", b"\n}\n"),),
    "C#": ((b"class C {\n", b"\n}\n"),),
    "C++": ((b"void f() {\n", b"\n}\n"),),
    "CSS": ((b"a {\n", b"\n}\n"),),
    "Go": ((b"package p\nfunc f() {\n", b"\n}\n"), (b"package p\n", b"\n")),
    "JSON": ((b"{\n", b"\n}\n"), (b"[\n", b"\n]\n")),
    "Java": ((b"class C {\n", b"\n}\n"), (b"class C { void f() {\n", b"\n}}\n")),
    "JavaScript": ((b"x = {\n", b"\n}\n"),),
    "Kotlin": ((b"fun f() {\n", b"\n}\n"),),
    "PHP": ((b"<?php\n", b"\n"), (b"<?php class C {\n", b"\n}\n")),
    "Rust": ((b"fn f() {\n", b"\n}\n"), (b"impl C {\n", b"\n}\n")),
    "Swift": ((b"class C {\n", b"\n}\n"),),
    "TSX": ((b"x = {\n", b"\n}\n"),),
    "TypeScript": ((b"class C {\n", b"\n}\n"), (b"x = {\n", b"\n}\n")),
}
_PROMPT = re.compile(rb"^(>>> ?|\.\.\. ?|\$ |% |> |irb.*?> |scala> |julia> |ghci> )", re.MULTILINE)
_INDENT = re.compile(rb"^([ \t]*)[^ \t\n]", re.MULTILINE)


def best_reading(source: bytes, language: str, limits: Limits) -> float:
    """The smallest error share of a fragment in any reading, 1.0 where none can be parsed."""
    share = 1.0
    for text in dict.fromkeys((dedented(source), dedented(without_output(source)))):
        for before, behind in ((b"", b""), *FRAMES.get(language, ())):
            tree = parse_anew(before + text + behind, language, limits)
            if isinstance(tree, Refusal):
                continue
            lost = damage(tree).share * len(tree.source)
            share = min(share, lost / max(len(source), 1))
            if share == 0:
                return 0.0
    return min(share, 1.0)


def dedented(source: bytes) -> bytes:
    """The text without the indent that all its lines share."""
    indents = [match.group(1) for match in _INDENT.finditer(source)]
    if not indents:
        return source
    first, last = min(indents), max(indents)
    common = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return re.sub(rb"^" + re.escape(first[:common]), b"", source, flags=re.MULTILINE) if common else source


def without_output(source: bytes) -> bytes:
    """Of a session with prompts, what was typed; any other text as it is."""
    lines = source.split(b"\n")
    typed = [_PROMPT.sub(b"", line, count=1) for line in lines if _PROMPT.match(line)]
    return b"\n".join(typed) + b"\n" if typed else source
