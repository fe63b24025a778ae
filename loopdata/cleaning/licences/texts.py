"""What a licence text says: which licences it holds, in which part of it, and under which restrictions.

Enters: the text of a licence file or of a file's header. Leaves: a `Reading`. Texts are recognised by
`licenseclassifier`, a port of Google's licensecheck (patterns of words over the SPDX list); sentences that only name a
licence, by ours. What follows a remark on bundled or third-party software is about parts and not about the whole. Words
that restrict (`non-commercial`, `proprietary and confidential`) outside a recognised text make the whole proprietary.
Limit: 256 KiB of a text are read, and English only.
"""

import re
from typing import NamedTuple

from licenseclassifier import LicenseIdentificationResult, identify_license

from loopdata.cleaning.licences.names import (
    PROPRIETARY,
    PUBLIC_DOMAIN,
    RESTRICTED,
    all_of,
    any_of,
    expression_of,
)

MAX_CHARACTERS = 256 << 10
_SHORT = 2_000  # a text of this length may say in one sentence what a longer one spells out
_BUNDLED = re.compile(
    r"third[- ]part|\bbundl(?:e|es|ed|ing)\b|\bvendored\b|\bportions? of\b|\bparts? of (?:this|the)\b"
    r"|\bincludes? (?:\w+ )?(?:code|software|parts|files|work)|\bincorporates?\b|\bexternally maintained\b"
    r"|\bthe following (?:files?|components?|librar|packages?|software)|\bsubcomponents?\b|\bderived from\b"
    r"|\bother licen[cs]es\b|\badditional licen[cs]es\b|\bdependenc",
    re.IGNORECASE,
)
_RESTRICTING = re.compile(
    r"(?<!\bor )(?<!\band )\bnon-?commercial\b(?! (?:or|and) commercial)|\bnot (?:be used )?for (?:any )?commercial\b"
    r"|\bcommons clause\b|\bpermission from the (?:author|owner) is required\b|\bproprietary and confidential\b"
    r"|\bconfidential and proprietary\b|\bconfidential information of\b|\bmay not be (?:copied|reproduced|disclosed)\b"
    r"|\bunauthori[sz]ed (?:copying|use|reproduction|distribution)\b|\b(?:trade secrets?|evaluation purposes)\b"
    r"|\bno part of this (?:software|code|file|work|source) may\b",
    re.IGNORECASE,
)
_EITHER = re.compile(
    r"\beither\b|\bdual[- ]?licen|\btri[- ]?licen|\bat your (?:option|choice|discretion)|\b(?:your|the) choice of\b"
    r"|\b(?:one|any) of the following licen|\balternatively\b|\bmultiple licen[cs]es\b",
    re.IGNORECASE,
)
# `licensed under the terms of the GNU General Public License, version 2 or later`: the words behind it are tried as a
# name, the longest first.
_UNDER = re.compile(
    r"\b(?:licen[cs]ed|released|distributed|redistributed|available|published|offered|provided|usable|covered|free)\b"
    r"[^.;]{0,60}?\bunder\b|\b(?:governed by|subject to)\b",
    re.IGNORECASE,
)
_FORMERLY = re.compile(r"\b(?:originally|formerly|previously|initially)\s+(?:was\s+)?$", re.IGNORECASE)
_ARTICLES = re.compile(
    r"(?:\W*\b(?:both|either|one of|an?|the|terms and conditions of|terms of|conditions of|terms|following)\b)*\W*",
    re.IGNORECASE,
)
_NAME_WORDS, _NAME_CHARACTERS = 12, 120
_SURELY_A_NAME = re.compile(
    r"licen[cs]e|\b(?:MIT|[AL]?GPL|BSD|ISC|MPL|EPL|CC0|CC-BY|Apache-2|Unlicense|WTFPL)", re.IGNORECASE
)
_PUBLIC_DOMAIN = re.compile(
    r"\bthis (?:\w+ ){1,3}(?:is|has been)(?: \w+){0,3} (?:in|into|to) the public domain\b"
    r"|\b(?:place|release|dedicate|put)[sd]?(?: \w+){0,5} (?:in|into|to) the public domain\b"
    r"|\A\W*public domain\b",
    re.IGNORECASE,
)
_AS_PERL = re.compile(r"\b(?:same|under the) terms as Perl\b", re.IGNORECASE)
_LEADERS = re.compile(r"(?m)^[ \t]*(?:#+|//+!?|/\*+!?|\*+/?|--+|;+|%+|\.\\\"|dnl|rem|REM|@rem)?[ \t]*")
_ANY_GPL = re.compile(r"[AL]?GPL-[\d.]+-(?:only|or-later)")
_EXCEPTIONS = (
    (re.compile(r"unlimited permission to link", re.I), _ANY_GPL, "GCC-exception-2.0"),
    (re.compile(r"special exception.{0,200}bison", re.I | re.S), _ANY_GPL, "Bison-exception-2.2"),
    (re.compile(r"special exception.{0,200}autoconf macro", re.I | re.S), _ANY_GPL, "Autoconf-exception-macro"),
    (re.compile(r"special exception.{0,200}configur", re.I | re.S), _ANY_GPL, "Autoconf-exception-generic"),
    (re.compile(r"classpath.{0,40}exception|linking exception|linking this library statically", re.I | re.S), _ANY_GPL,
     "Classpath-exception-2.0"),
    (re.compile(r"gcc runtime library exception", re.I), _ANY_GPL, "GCC-exception-3.1"),
    (re.compile(r"llvm exception", re.I), re.compile("Apache-2.0"), "LLVM-exception"),
)  # fmt: skip
_NEAR = 500
_WORD = re.compile(r"\w")
_LICEN = re.compile("licen[cs]", re.IGNORECASE)


_LEGAL = re.compile(r"permission|warrant|liab|redistribut|licensor|licensee|copyright|conditions|rights", re.IGNORECASE)


class Reading(NamedTuple):
    """`licence` is an SPDX expression, None where nothing was recognised; `line` is where it begins, from 1; `parts`
    are licences of parts; `share` is how much of the text was recognised; `either`: it says that one may choose."""

    licence: str | None = None
    line: int = 1
    parts: tuple[str, ...] = ()
    share: float = 0.0
    either: bool = False
    legal: bool = True


def read_text(text: str) -> Reading:
    """What a licence file says."""
    text = text[:MAX_CHARACTERS]
    regions = recognised(text)
    if not regions:
        return _by_sentences(text)
    gaps = _gaps(text, regions)
    parts_from = next((start for start, gap in gaps[1:] if _BUNDLED.search(gap)), len(text))
    own = [region for region in regions if region.start < parts_from]
    gaps = [(start, gap) for start, gap in gaps if start < parts_from]
    before = " ".join(gap[-_NEAR:] for _, gap in gaps)  # what stands right before a licence
    licence = combined([region.id for region in own], says_either(before), " ".join(gap for _, gap in gaps))
    if any(_RESTRICTING.search(gap) for _, gap in gaps):
        licence = all_of([licence, RESTRICTED])
    parts = {expression_of(region.id) or region.id for region in regions if region.start >= parts_from}
    share = sum(region.end - region.start for region in regions) / len(text)
    return Reading(licence, line_at(text, own[0].start), tuple(sorted(parts)), share, says_either(before))


def recognised(text: str, links: bool = True) -> list[LicenseIdentificationResult]:
    """Licence texts in `text`; where there is none, `links` to licences behind a word about licensing."""
    found = identify_license(text, coverage_threshold=0.0)
    texts = [region for region in found if not text.startswith(("http", "HTTP"), region.start)]
    if texts or not links:
        return texts
    return [region for region in found if _LICEN.search(text, max(0, region.start - 80), region.start)]


def combined(names: list[str], either: bool, around: str) -> str:
    """The licences of one text together, with the exception that `around` grants. A notice of the GNU licences that
    admits later versions says more than the text of the licence."""
    expressions = [expression_of(name) or f"LicenseRef-{name}" for name in names]
    later = {expression for expression in expressions if expression.endswith("-or-later")}
    kept = [
        _with_exception(expression, around)
        for expression in expressions
        if not (expression.endswith("-only") and f"{expression.removesuffix('-only')}-or-later" in later)
    ]
    return any_of(kept) if either else all_of(kept)


def _with_exception(expression: str, around: str) -> str:
    for pattern, licence, exception in _EXCEPTIONS:
        if licence.fullmatch(expression) and pattern.search(around):
            return f"{expression} WITH {exception}"
    return expression


def named_in(prose: str) -> tuple[str, int] | None:
    """The licence that a sentence names, and where it does."""
    for found in _UNDER.finditer(prose):
        if _FORMERLY.search(prose, max(0, found.start() - 20), found.start()):
            continue
        articles = _ARTICLES.match(prose, found.end())
        start = articles.end() if articles else found.end()
        words = prose[start : start + _NAME_CHARACTERS].split()[:_NAME_WORDS]
        for count in range(len(words), 0, -1):
            name = " ".join(words[:count]).strip(".,;:()'\"")
            expression = expression_of(name) if _SURELY_A_NAME.search(name) else None
            if expression:
                return expression, found.start()
    if (found_perl := _AS_PERL.search(prose)) is not None:
        return "GPL-1.0-or-later OR Artistic-1.0-Perl", found_perl.start()
    public = _PUBLIC_DOMAIN.search(prose)
    return (PUBLIC_DOMAIN, public.start()) if public else None


def restricted_at(prose: str) -> int | None:
    """Where words stand that keep a text from being used freely."""
    found = _RESTRICTING.search(prose)
    return found.start() if found else None


def says_either(prose: str) -> bool:
    """Whether one may choose between licences."""
    return bool(_EITHER.search(prose))


def line_at(text: str, offset: int) -> int:
    """Line of an offset, from 1; white space and comment marks before a text do not count."""
    found = _WORD.search(text, offset, offset + 200)
    return text.count("\n", 0, found.start() if found else offset) + 1


def unwrapped(text: str) -> str:
    """Prose without comment marks and line breaks, as long as it was."""
    blanked = _LEADERS.sub(lambda found: " " * len(found[0]), text)
    return blanked.replace("\n", " ")


def _by_sentences(text: str) -> Reading:
    """A text that is no licence but may name one."""
    at = restricted_at(text)
    if len(text) <= _SHORT and at is None:
        lines = [line.strip(" #*=-.\t") for line in text.splitlines() if line.strip()]
        whole = expression_of(lines[0]) if lines else None
        if whole and len(lines) <= 4:
            return Reading(whole, 1)
        named = named_in(" ".join(text.split()))
        if named is not None:
            either = bool(_EITHER.search(text))
            return Reading(named[0].replace(" AND ", " OR ") if either else named[0], 1, either=either)
    if at is not None:
        return Reading(PROPRIETARY, line_at(text, at))
    legal = len({found.lower() for found in _LEGAL.findall(text)}) > 2
    return Reading(either=len(text) <= _SHORT and bool(_EITHER.search(text)), legal=legal)


def _gaps(text: str, regions: list[LicenseIdentificationResult]) -> list[tuple[int, str]]:
    """What lies before, between and behind the regions; the first gap is the one before."""
    ends = [0, *(region.end for region in regions)]
    starts = [*(region.start for region in regions), len(text)]
    return [(end, text[end:start]) for end, start in zip(ends, starts, strict=True)]
