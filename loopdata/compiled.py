"""Functions compiled by numba, whose machine code is kept where this user may write.

Enters: a function over arrays. Leaves: the same, compiled at its first call and later read from a cache folder. numba
itself keeps code beside the module and raises at import where it cannot; this looks for a folder of its own:
`NUMBA_CACHE_DIR`, the user's cache folder, a private one among the temporary files, a new one. Code in it is run as it
is found, so a folder that belongs to somebody else, or that others may write to, is not used. numba sees a change of
the function's own file only, not of the functions it calls, so the folder is named after the sources of them all.
Limit: a damaged cache file makes numba raise; delete the folder.
"""

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """`function` in machine code: types by its arguments, one thread, integers that wrap."""
    numba.config.CACHE_DIR = str(cache_folder())
    result: F = numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    return result


@cache
def cache_folder() -> Path:
    """The first folder that is ours alone and can be written; below it, one for these sources."""
    for candidate in _candidates():
        with contextlib.suppress(OSError):
            folder = candidate / sources_digest(Path(__file__).parent)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _is_private(candidate) and _is_private(folder):
                return folder
    return Path(tempfile.mkdtemp(prefix="loopdata-numba-"))


def sources_digest(package: Path) -> str:
    """Of all files of a package that hold compiled functions."""
    state = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        source = path.read_bytes()
        if b"compiled" in source:
            state.update(hashlib.sha256(source).digest())
    return state.hexdigest()[:16]


def _candidates() -> list[Path]:
    given, home = os.environ.get("NUMBA_CACHE_DIR"), os.environ.get("HOME")
    user = os.environ.get("XDG_CACHE_HOME") or (f"{home}/.cache" if home else None)
    found = [Path(given)] if given else []
    found += [Path(user) / "loopdata" / "numba"] if user else []
    return [*found, Path(tempfile.gettempdir()) / f"loopdata-numba-{os.getuid()}"]


def _is_private(folder: Path) -> bool:
    about = folder.lstat()
    open_to_others = about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    ours = stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid() and not open_to_others
    return ours and os.access(folder, os.W_OK | os.X_OK)
