"""Which paths a source takes, by include and exclude patterns.

Enters: patterns and paths with `/`. Leaves: yes or no, and for a folder whether it can be skipped whole. `*` and `?`
stop at `/`, `**` does not, `[abc]` and `[!abc]` are sets; a pattern without `/` is compared with the last part of the
path, one that ends with `/` means all below. Exclude wins over include. Limit: no negation with `!` and no braces.
"""

import re


def translate(pattern: str) -> str:
    """The pattern as a regular expression for a whole path."""
    pattern = pattern.removeprefix("./").removeprefix("/")
    if pattern.endswith("/"):
        pattern += "**"
    elif "/" not in pattern and pattern != "**":
        pattern = f"**/{pattern}"
    return "".join(_token(token) for token in _TOKENS.findall(pattern))


_TOKENS = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]/]*\]|.", re.DOTALL)
_FIXED = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def _token(token: str) -> str:
    if token in _FIXED:
        return _FIXED[token]
    if len(token) == 1:
        return re.escape(token)
    negated = token[1] == "!"
    members = token[2 if negated else 1 : -1].replace("\\", r"\\").replace("[", r"\[").replace("^", r"\^")
    members = members.replace("]", r"\]")
    return f"(?!/)[^{members}]" if negated else f"[{members}]"


def _any_of(patterns: list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(f"(?:{translate(p)})" for p in patterns), re.DOTALL) if patterns else None


class Globs:
    """Patterns ready to be asked."""

    def __init__(self, include: list[str], exclude: list[str]) -> None:
        """An empty `include` takes all. `re.error` for a set like `[z-a]`."""
        self._include = _any_of(include)
        self._exclude = _any_of(exclude)
        # `x/**` leaves nothing of the folder x, so that it need not be listed.
        self._whole = _any_of([p.removesuffix("**").rstrip("/") for p in exclude if p.endswith(("/**", "/"))])

    def take(self, path: str) -> bool:
        if self._exclude is not None and self._exclude.fullmatch(path):
            return False
        return self._include is None or self._include.fullmatch(path) is not None

    def skip(self, folder: str) -> bool:
        """Whether nothing below this folder can be taken."""
        return self._whole is not None and self._whole.fullmatch(folder) is not None


def checked(patterns: list[str]) -> list[str]:
    """The patterns, if all of them can be compiled and none is empty; ValueError names the one that cannot."""
    for pattern in patterns:
        if not pattern:
            raise ValueError("a pattern is empty")
        try:
            re.compile(translate(pattern))
        except re.error as error:
            raise ValueError(f"the pattern {pattern!r} is wrong: {error}") from error
    return patterns
