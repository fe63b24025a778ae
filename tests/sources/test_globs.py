"""Patterns: each token, hit and near miss."""

import pytest

from loopdata.sources.globs import Globs, checked


@pytest.mark.parametrize(
    ("pattern", "path", "hit"),
    [
        ("*.py", "a.py", True),
        ("*.py", "d/e/a.py", True),
        ("*.py", "a.pyc", False),
        ("d/*.py", "d/a.py", True),
        ("d/*.py", "d/e/a.py", False),
        ("d/*.py", "x/d/a.py", False),
        ("/a.py", "a.py", True),
        ("d/**", "d/e/a.py", True),
        ("d/**", "dd/a.py", False),
        ("d/", "d/a", True),
        ("**/t/**", "t/a", True),
        ("**/t/**", "x/t/y/a", True),
        ("**/t/**", "x/tt/a", False),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "ab", False),
        ("?.c", "a.c", True),
        ("?.c", "ab.c", False),
        ("d/?", "d//", False),
        ("[ab].c", "b.c", True),
        ("[ab].c", "c.c", False),
        ("[!ab].c", "c.c", True),
        ("[!ab].c", "a.c", False),
        ("a+b.c", "a+b.c", True),
        ("a+b.c", "aab.c", False),
        ("[", "[", True),
        ("**", "a/b", True),
    ],
)
def test_a_pattern_hits_or_misses(pattern: str, path: str, hit: bool) -> None:
    assert Globs([pattern], []).take(path) is hit
    assert Globs([], [pattern]).take(path) is not hit


def test_exclude_wins_over_include() -> None:
    globs = Globs(["*.py"], ["test_*"])
    assert [name for name in ("a.py", "test_a.py", "a.c") if globs.take(name)] == ["a.py"]


@pytest.mark.parametrize(("pattern", "folder", "skipped"), [
    ("**/t/**", "x/t", True),
    ("t/", "t", True),
    ("**/t/**", "x/tt", False),
    ("t/*", "t", False),
    ("*.py", "a.py", False),
])  # fmt: skip
def test_a_folder_is_skipped_only_where_nothing_below_can_be_taken(pattern: str, folder: str, skipped: bool) -> None:
    assert Globs([], [pattern]).skip(folder) is skipped


@pytest.mark.parametrize("pattern", ["", "[z-a]"])
def test_a_pattern_that_cannot_be_meant_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        checked([pattern])
