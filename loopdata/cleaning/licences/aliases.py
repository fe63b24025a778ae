"""The ways in which people write the names of licences.

Enters: a name as it is written (`The MIT License (MIT)`, `GPLv3+`). Leaves: the SPDX name that it stands for, if any.
The table is ours, after what package indexes and repositories hold. Limit: English names; of other licences than these
only the SPDX name itself is known (`names`).
"""

import re
from functools import cache

# Written name, without `the`, `license`, `version` and punctuation → SPDX. Versions are caught by `_VERSIONED` first.
_ALIASES = """
mit: MIT | expat: MIT | mit expat: MIT | mit x11: MIT | mit mit: MIT | mit no attribution: MIT-0
apache: Apache-2.0 | asl: Apache-2.0 | apache software: Apache-2.0 | apache2: Apache-2.0
bsd: LicenseRef-BSD | bsd style: LicenseRef-BSD | bsd like: LicenseRef-BSD
new bsd: BSD-3-Clause | modified bsd: BSD-3-Clause | revised bsd: BSD-3-Clause | bsd new: BSD-3-Clause
bsd3: BSD-3-Clause | bsd2: BSD-2-Clause | simplified bsd: BSD-2-Clause | freebsd: BSD-2-Clause
bsd simplified: BSD-2-Clause
3 clause bsd: BSD-3-Clause | bsd 3 clause: BSD-3-Clause | bsd 3: BSD-3-Clause | 3 bsd: BSD-3-Clause
bsd 3 clause new or revised: BSD-3-Clause | bsd 3 clause clear: BSD-3-Clause-Clear | bsd three clause: BSD-3-Clause
2 clause bsd: BSD-2-Clause | bsd 2 clause: BSD-2-Clause | bsd 2: BSD-2-Clause | bsd two clause: BSD-2-Clause
bsd 2 clause simplified: BSD-2-Clause | bsd 4 clause: BSD-4-Clause | bsd 0 clause: 0BSD | zero clause bsd: 0BSD
isc: ISC | isc iscl: ISC | iscl: ISC | zlib: Zlib | zlib libpng: Zlib | libpng: Libpng
zope public: ZPL-2.1 | zpl: ZPL-2.1
boost software: BSL-1.0 | boost: BSL-1.0 | university of illinois ncsa open source: NCSA | ncsa: NCSA
python software foundation: PSF-2.0 | psf: PSF-2.0 | psfl: PSF-2.0 | python: Python-2.0 | python psf: PSF-2.0
public domain: LicenseRef-Public-Domain | unlicense: Unlicense | unlicense unlicense: Unlicense | wtfpl: WTFPL
cc0: CC0-1.0 | creative commons zero: CC0-1.0 | cc0 1.0 universal: CC0-1.0
cc0 1.0 universal cc0 1.0 public domain dedication: CC0-1.0
academic free: AFL-3.0 | attribution assurance: AAL | artistic: Artistic-1.0-Perl | ruby: Ruby | php: PHP-3.01
perl: GPL-1.0-or-later OR Artistic-1.0-Perl | perl 5: GPL-1.0-or-later OR Artistic-1.0-Perl
gnu general public: GPL-1.0-or-later | gpl: GPL-1.0-or-later | gnu gpl: GPL-1.0-or-later
gnu general public gpl: GPL-1.0-or-later | gnu: GPL-1.0-or-later
gnu lesser general public: LGPL-2.0-or-later | lgpl: LGPL-2.0-or-later | gnu lgpl: LGPL-2.0-or-later
gnu library or lesser general public lgpl: LGPL-2.0-or-later | gnu library or lesser general public: LGPL-2.0-or-later
gnu library general public: LGPL-2.0-or-later
gnu affero general public: AGPL-3.0-or-later | agpl: AGPL-3.0-or-later | gnu agpl: AGPL-3.0-or-later
affero general public: AGPL-3.0-or-later | gnu free documentation fdl: GFDL-1.1-or-later
mozilla public: MPL-2.0 | mpl: MPL-2.0 | eclipse public: EPL-1.0 | eclipse: EPL-1.0 | epl: EPL-1.0
proprietary: LicenseRef-Proprietary | other proprietary: LicenseRef-Proprietary | commercial: LicenseRef-Proprietary
unlicensed: LicenseRef-Proprietary | all rights reserved: LicenseRef-Proprietary | closed source: LicenseRef-Proprietary
free for non commercial use: LicenseRef-Proprietary | free for educational use: LicenseRef-Proprietary
free for home use: LicenseRef-Proprietary | free to use but restricted: LicenseRef-Proprietary
"""
_VERSIONED = re.compile(
    r"(?:(?P<gnu>gnu )?(?P<kind>affero general public|lesser general public|library general public|library or lesser"
    r" general public|general public|agpl|lgpl|gpl|apache software|apache|asl|mozilla public|mpl|eclipse public|epl"
    r"|european union public|eupl|boost software|boost|bsl|cc by(?: nc)?(?: sa| nd)?|artistic|cddl"
    r"|common development and distribution|zope public|zpl"
    r"|academic free|afl|open software|osl|sil open font|ofl|microsoft public|universal permissive|upl))"
    r"(?: (?:agpl|lgpl|gpl|gnu|mpl|epl|eupl|bsl|cddl|zpl|afl|osl|ofl|upl|asl))?"
    r" ?v?(?P<version>\d(?:\.\d)*)(?P<later> ?\+| or later| or newer| or greater| or any later| or above| plus)?"
    r"(?P<only> only)?"
    r"(?: (?:agpl|lgpl|gpl|mpl|epl|eupl|cddl|zpl|afl|osl|ofl|upl)?v?\d?(?:\.\d)*\+?| international)*"
)
_KINDS = {
    "affero general public": "AGPL", "agpl": "AGPL", "lesser general public": "LGPL", "library general public": "LGPL",
    "library or lesser general public": "LGPL", "lgpl": "LGPL", "general public": "GPL", "gpl": "GPL",
    "apache software": "Apache", "apache": "Apache", "asl": "Apache", "mozilla public": "MPL", "mpl": "MPL",
    "eclipse public": "EPL", "epl": "EPL", "european union public": "EUPL", "eupl": "EUPL", "boost software": "BSL",
    "boost": "BSL", "bsl": "BSL", "artistic": "Artistic", "cddl": "CDDL",
    "common development and distribution": "CDDL", "zope public": "ZPL", "zpl": "ZPL", "academic free": "AFL",
    "afl": "AFL", "open software": "OSL", "osl": "OSL", "sil open font": "OFL", "ofl": "OFL",
    "microsoft public": "MS-PL", "universal permissive": "UPL", "upl": "UPL",
}  # fmt: skip
_GNU = frozenset({"GPL", "LGPL", "AGPL"})
_FILLERS = re.compile(r"\b(?:the|licen[cs]ed?|licen[cs]ing|version|under|terms|of use|and/or)\b|[^a-z0-9.+ ]")
_BRACKETS = re.compile(r"\([^)]*\)")
_EXCEPTION = re.compile(r"\bwith\b.*\bexceptions?\b", re.IGNORECASE)
_CC_WORDS = (
    (re.compile(r"creative commons"), "cc"), (re.compile(r"attribution"), "by"), (re.compile(r"share ?alike"), "sa"),
    (re.compile(r"non ?commercial"), "nc"), (re.compile(r"no ?deriv\w*"), "nd"),
)  # fmt: skip


def alias_of(name: str) -> str | None:
    """A licence by the way people write it; what stands in brackets, and an exception, are tried with and without."""
    for written in (name, _BRACKETS.sub(" ", name), _EXCEPTION.sub(" ", name)):
        plain = _plain(written)
        if plain in _aliases():
            return _aliases()[plain]
        found = _VERSIONED.fullmatch(plain)
        if found:
            return _versioned(found)
    return None


def _plain(name: str) -> str:
    """Lower case without punctuation and the words that say nothing; names of Creative Commons by their letters."""
    plain = " ".join(_FILLERS.sub(" ", name.lower().replace("-v", " ")).split())
    if "creative commons" in plain or plain.startswith("cc "):
        for pattern, letters in _CC_WORDS:
            plain = pattern.sub(letters, plain)
    return plain


def _versioned(found: re.Match[str]) -> str:
    kind, version = _KINDS.get(found["kind"]) or found["kind"].upper().replace(" ", "-"), found["version"]
    if kind == "MS-PL":
        return "MS-PL"
    if kind == "LGPL" and version == "2":
        version = "2.0"
    version = version if "." in version else f"{version}.0"
    name = f"{kind}-{version}"
    if kind in _GNU:
        name += "-or-later" if found["later"] else "-only"
    return name


@cache
def _aliases() -> dict[str, str]:
    pairs = (pair.split(":") for line in _ALIASES.strip().splitlines() for pair in line.split("|"))
    return {written.strip(): name.strip() for written, name in pairs}
