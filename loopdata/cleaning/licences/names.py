"""Names of licences: to SPDX expressions, and to classes of what they ask for.

Enters: what somebody wrote as the name of a licence (`Apache 2.0`, `MIT/Apache-2.0`, `GPLv3+`, a classifier of PyPI).
Leaves: an SPDX expression, or nothing where it names none; and the class of an expression. Expressions are read by
`license-expression`; the class of each licence is the category that its index (from ScanCode's LicenseDB) gives it.
`OR` takes the most permissive branch, `AND` the strictest, and an exception behind `WITH` only ever permits more.
Limit: a name without a version means the version that is meant by nearly all (`Apache`: 2.0), or, of the GNU
licences, any.
"""

import re
from functools import cache, lru_cache
from typing import Any, Literal

from license_expression import ExpressionError, LicenseWithExceptionSymbol, get_license_index, get_spdx_licensing

from loopdata.cleaning.licences.aliases import alias_of

Class = Literal["permissive", "weak_copyleft", "copyleft", "proprietary", "none", "unknown"]

PROPRIETARY, RESTRICTED = "LicenseRef-Proprietary", "LicenseRef-Restricted"
BSD, PUBLIC_DOMAIN = "LicenseRef-BSD", "LicenseRef-Public-Domain"
MAX_NAME = 500  # characters; what is longer is a text and no name
_STRICTNESS: tuple[Class, ...] = ("permissive", "weak_copyleft", "copyleft", "unknown", "proprietary")
_CATEGORIES: dict[str, Class] = {
    "Permissive": "permissive",
    "Public Domain": "permissive",
    "Copyleft Limited": "weak_copyleft",
    "Copyleft": "copyleft",
    "Proprietary Free": "proprietary",
    "Commercial": "proprietary",
    "Free Restricted": "proprietary",
    "Source-available": "proprietary",
}
# Licences that the index does not have: our own names, and those by which licence texts are recognised.
_OUR_CLASSES: dict[str, Class] = {
    PROPRIETARY: "proprietary",
    RESTRICTED: "proprietary",
    BSD: "permissive",
    PUBLIC_DOMAIN: "permissive",
    "CommonsClause": "proprietary",
    "UnRAR": "proprietary",
    "Prosperity-3.0.0": "proprietary",
    "PolyForm-Shield-1.0.0": "proprietary",
    "GPL-2.0-or-3.0": "copyleft",
}
_PERMISSIVE_FAMILY = re.compile(r"(?:LicenseRef-)?(?:BSD|MIT|X11|HPND)-")

_EITHER = re.compile(r"\s*(?:/|\||\bor\b)\s*", re.IGNORECASE)
_BOTH = re.compile(r"\s*(?:,|;|&|\band\b)\s*", re.IGNORECASE)


def expression_of(name: str) -> str | None:
    """The SPDX expression that a written name stands for, None where it stands for none."""
    name = " ".join(name.split()).strip(".,; ")
    return _expression_of(name) if 0 < len(name) <= MAX_NAME else None


@lru_cache(maxsize=4_096)
def _expression_of(name: str) -> str | None:
    found = _spdx(name) or _alias(name)
    if found:
        return found
    for separator, joint in ((_EITHER, any_of), (_BOTH, all_of)):
        parts = [part for part in separator.split(name) if part]
        if 1 < len(parts) <= 16:
            known = [_spdx(part) or _alias(part) for part in parts]
            if all(known):
                return joint([part for part in known if part])
    return None


def _spdx(name: str) -> str | None:
    """`name` as an expression of known licences, with deprecated names renewed."""
    try:
        parsed = _licensing().parse(name)
    except (ExpressionError, RecursionError):
        return None
    if parsed is None or any(key not in _OUR_CLASSES for key in _licensing().unknown_license_keys(parsed)):
        return None
    return str(parsed.render())


def _alias(name: str) -> str | None:
    found = alias_of(name)
    return _spdx(found) if found else None


def any_of(expressions: list[str]) -> str:
    """Any one of them may be chosen."""
    return _joined(expressions, " OR ")


def all_of(expressions: list[str]) -> str:
    """All of them hold."""
    return _joined(expressions, " AND ")


def _joined(expressions: list[str], joint: str) -> str:
    unique = list(dict.fromkeys(expressions))
    if len(unique) == 1:
        return unique[0]
    other = " OR " if joint == " AND " else " AND "
    return joint.join(f"({part})" if other in part else part for part in unique)


@lru_cache(maxsize=4_096)
def licences_in(expression: str) -> frozenset[str]:
    """Names of the licences in an expression, those of GNU without `-only` and `-or-later`: texts do not tell them."""
    keys = {str(symbol) for symbol in _licensing().license_symbols(expression)}
    return frozenset(key.removesuffix("-only").removesuffix("-or-later") for key in keys)


@lru_cache(maxsize=4_096)
def class_of(expression: str) -> Class:
    """What an expression asks for."""
    try:
        return _class(_licensing().parse(expression))
    except (ExpressionError, RecursionError):
        return "unknown"


def _class(node: Any) -> Class:
    if isinstance(node, LicenseWithExceptionSymbol):
        exception = _class_of_licence(str(node.exception_symbol))
        licence = _class_of_licence(str(node.license_symbol))
        return licence if exception == "unknown" else _least([licence, exception])
    arguments = getattr(node, "args", ())
    if not arguments:
        return _class_of_licence(str(node))
    classes = [_class(argument) for argument in arguments]
    return _least(classes) if type(node).__name__ == "OR" else max(classes, key=_STRICTNESS.index)


def _least(classes: list[Class]) -> Class:
    return min(classes, key=_STRICTNESS.index)


def _class_of_licence(name: str) -> Class:
    if name in _OUR_CLASSES:
        return _OUR_CLASSES[name]
    if name in _index():
        return _CATEGORIES.get(_index()[name], "unknown")
    return "permissive" if _PERMISSIVE_FAMILY.match(name) else "unknown"


@cache
def _licensing() -> Any:
    return get_spdx_licensing()


@cache
def _index() -> dict[str, str]:
    """Category by SPDX name, deprecated names included."""
    return {
        key: entry["category"]
        for entry in get_license_index()
        for key in (entry.get("spdx_license_key"), *entry.get("other_spdx_license_keys", ()))
        if key
    }
