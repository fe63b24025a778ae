"""The lines of a notebook's Python that are IPython's and not Python's.

Enters: the source of one code cell. Leaves: the same with magics (`%time`), shell lines (`!ls`) and questions (`x?`) as
comments, so that the cell parses if it did for IPython, and their number. A line is one of these only where a statement
begins: a scan follows strings, brackets and continued lines, so that `% x` inside brackets stays. A cell magic whose
body is Python (`%%time`) loses its first line, any other (`%%bash`) becomes a comment as a whole. Limit: quotes inside
the braces of f-strings of Python 3.12 may lead the scan astray, until the next line that is not inside a string.
"""

import re

_OF_PYTHON = re.compile(r"%%(?:capture|debug|[lm]?prun|memit|mypy|px|python[23]?|pypy3?|snakeviz|time(?:it)?)\b")
_MAGIC_CHARACTERS = 500  # how far an open bracket of a magic is followed
_QUESTION = re.compile(r"[ \t]*(?:\?{1,2}[\w.*%]+|[\w.*%\[\]]+\?{1,2})[ \t;]*(?:#.*)?")
_ASSIGNED = re.compile(r"[ \t]*[A-Za-z_][\w., \t\[\]'\"]*=[ \t]*[!%](?!=)")
_TOKEN = re.compile(r"#.*|[rRbBuUfF]{0,2}(?:\"\"\"|'''|\"|')|[\[({]|[\])}]|\\$", re.MULTILINE)
_ENDS = {quote: re.compile(rf"(?s:(?:\\.|(?!{quote}).)*?){quote}", re.DOTALL) for quote in ('"""', "'''")}
_ENDS |= {quote: re.compile(rf"(?:\\.|[^{quote}\\\n])*{quote}", re.DOTALL) for quote in ('"', "'")}


def without_magics(source: str) -> tuple[str, int]:
    """The cell as Python, and how many of its lines were not."""
    lines = source.split("\n")
    first = next((number for number, line in enumerate(lines) if not _OF_PYTHON.match(line)), len(lines))
    head, rest = [f"# {line}" for line in lines[:first]], lines[first:]
    if rest and rest[0].startswith("%%"):
        return "\n".join([*head, *(f"# {line}".rstrip() for line in rest)]), len(lines)
    body = "\n".join(rest)
    ours = _magic_lines(body) if any(mark in body for mark in "%!?") else {}
    script = [*head, *(_commented(line, ours.get(number)) for number, line in enumerate(rest))]
    return "\n".join(script), first + len(ours)


def is_magic(line: str) -> bool:
    """Whether a line at which a statement begins is one of IPython's."""
    text = line.lstrip()
    return text.startswith(("%", "!")) or bool(_QUESTION.fullmatch(line) or _ASSIGNED.match(line))


def _commented(line: str, indent: str | None) -> str:
    """A line as a comment, where it has an indent to be put behind; one in a block may be all that the block holds, and
    leaves a statement there."""
    if indent is None:
        return line
    return f"{indent}pass  # {line.strip()}" if indent else f"# {line}".rstrip()


def _magic_lines(source: str) -> dict[int, str]:
    """Numbers of IPython's lines, with the indent of the statement that each belongs to.

    What IPython reads goes to the end of its line, past backslashes; that of a `%` line, which is often Python, past
    open brackets too.
    """
    found: dict[int, str] = {}
    at = number = 0
    while at <= len(source):
        stop = _line_end(source, at)
        line = source[at:stop]
        ours = is_magic(line)
        end = _end_of_magic(source, at, stop) if ours else _end_of_statement(source, at, stop)[0]
        count = source.count("\n", at, end) + 1
        if ours:
            indent = line[: len(line) - len(line.lstrip())]
            found |= dict.fromkeys(range(number, number + count), indent)
        at, number = end + 1, number + count
    return found


def _end_of_magic(source: str, at: int, stop: int) -> int:
    if source[at:stop].lstrip().startswith("%"):
        end, closed = _end_of_statement(source[at : at + _MAGIC_CHARACTERS], 0, min(stop - at, _MAGIC_CHARACTERS))
        if closed and at + end >= stop:
            return at + end
    while source.endswith("\\", at, stop) and stop < len(source):
        stop = _line_end(source, stop + 1)
    return stop


def _end_of_statement(source: str, at: int, stop: int) -> tuple[int, bool]:
    """Where the last line of the statement ends that begins at `at`, and whether all its brackets are closed."""
    depth = 0
    while True:
        stop, depth = _end_of_line(source, at, stop, depth)
        if depth == 0 or stop >= len(source):
            return stop, depth == 0
        at, stop = stop + 1, _line_end(source, stop + 1)


def _end_of_line(source: str, at: int, stop: int, depth: int) -> tuple[int, int]:
    """Where a line ends, past strings over several lines and continuations, and the depth of brackets there."""
    while True:
        found = _TOKEN.search(source, at, stop)
        if found is None or found[0][0] == "#":
            return stop, depth
        token, at = found[0], found.end()
        if token == "\\":
            stop = _line_end(source, stop + 1)
        elif token in "([{":
            depth += 1
        elif token in ")]}":
            depth = max(depth - 1, 0)
        else:
            quote = token.lstrip("rRbBuUfF")
            end = _ENDS[quote].match(source, at)
            if end is None:  # never closed: of three quotes it goes to the end, of one to the end of the line
                return (len(source), depth + 1) if len(quote) == 3 else (stop, depth)
            at = end.end()
            stop = _line_end(source, at) if at > stop else stop


def _line_end(source: str, at: int) -> int:
    stop = source.find("\n", at)
    return len(source) if stop < 0 else stop
