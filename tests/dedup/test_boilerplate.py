"""Lines at the head of files that do not count: which ones, where a head ends, and what that saves."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.dedup.boilerplate import MAX_HEAD, head_lines, without
from loopdata.dedup.near import NearConfig, NearDedup
from loopdata.stage import Fate
from tests.dedup.drive import document, drive

LICENCE = (
    "# Licensed under a licence with many words which every one of these files repeats at its head\n"
    "# You may not use this file except in compliance with it and may read it wherever it is kept\n"
    "# It comes as it is without any warranty of any kind and without conditions that were not named\n"
)


def texts(*values: str) -> pa.Array:
    return pa.array(values, pa.large_string())


def blanked(text: str, known: str) -> str:
    """`text` without the lines that are in the head of `known`."""
    return str(without(texts(text), head_lines(texts(known))[0])[0])


def in_head(text: str) -> list[str]:
    """The lines with words of the head, read by blanking them one and all in front of a word."""
    rest = blanked(text + "\nlast", text).split("\n")
    return [line for line, left in zip(text.split("\n"), rest, strict=False) if line.strip() and not left.strip()]


HEADS = [
    ("# a\n\n  # b\nc = 1\n# d", ["# a", "  # b"]),
    ("#!/bin/sh\n#a\nb", ["#!/bin/sh"]),
    ("#include <a.h>\n// b", []),
    ("/* a\n b */\nc // d", ["/* a", " b */"]),
    ("/* a */ int b;\n// c", []),
    ("/* a\n b */ int c;", ["/* a"]),
    ("// a\npackage b\n// c", ["// a"]),
    ("<!-- a\nb -->\n<p>c</p>", ["<!-- a", "b -->"]),
    ('"""a\nb\n"""\nimport c', ['"""a', "b"]),
    ("'''a'''\nb", ["'''a'''"]),
    ("-- a\n{- b\nc -}\nmodule D", ["-- a", "{- b", "c -}"]),
    ("(* a *)\nlet b", ["(* a *)"]),
    ("--[[ a\nb ]]\nlocal c", ["--[[ a", "b ]]"]),
    ("<?php\n/**\n * a\n */\nb();", ["<?php", " * a"]),
    ("% a\n; b\nc", ["% a", "; b"]),
    ("#region Licence\n// a\n#endregion\nusing b;", ["#region Licence", "// a", "#endregion"]),
    ("a\n# b", []),
    ("", []),
]


@pytest.mark.parametrize(("text", "lines"), HEADS)
def test_a_head_ends_before_the_first_line_that_is_no_comment(text: str, lines: list[str]) -> None:
    assert in_head(text) == lines


def test_lines_are_known_by_their_words_whatever_marks_them() -> None:
    assert blanked("// a, b\nx", "#   a b!\n") == "       \nx"
    assert blanked("// a b c\nx", "# a b\n") == "// a b c\nx"


def test_each_text_counts_a_line_once() -> None:
    lines, counts = head_lines(texts("# a\n# a\n# b\n", "# a\nb", "x"))
    assert sorted(counts.tolist()) == [1, 2]
    assert lines.dtype == np.uint64 and (np.diff(lines) > 0).all()


def test_a_text_of_nothing_else_keeps_all() -> None:
    assert blanked("# a\n\n", "# a") == "# a\n\n"
    assert blanked("# a\n# b\n", "# a") == "     \n# b\n".replace("     ", "   ")


def test_a_head_beyond_the_limit_is_read_up_to_it() -> None:
    long = "# word\n" * (MAX_HEAD // 7 + 10)
    left = blanked(long + "x", long)
    assert left.count("word") == long.count("word") - MAX_HEAD // 7
    assert blanked("# " + "a" * MAX_HEAD + "\nx", "# b") == "# " + "a" * MAX_HEAD + "\nx"


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from("#/*-\"' ab\n<!>é"), max_size=40), max_size=4))
def test_only_lines_of_heads_become_spaces_and_slices_are_like_wholes(values: list[str]) -> None:
    lines, _ = head_lines(texts(*values))
    whole = texts("other", *values)
    assert without(whole.slice(1), lines).to_pylist() == without(texts(*values), lines).to_pylist()
    for before, after in zip(values, without(texts(*values), lines).to_pylist(), strict=True):
        assert len(after.encode()) == len(before.encode())
        pairs = zip(before.split("\n"), after.split("\n"), strict=True)
        assert all(left in (line, " " * len(line.encode())) for line, left in pairs)
        assert not before.strip() or after.split() or not before.split()


def tiny(number: int, licence: str = LICENCE) -> dict[str, Any]:
    return document(f"{number:03d}", f"{licence}import of_{number}\nfrom here_{number} import there_{number}\n")


def fates(rows: list[dict[str, Any]], units: int = 1, **config: Any) -> dict[str, Fate]:
    return drive(NearDedup(NearConfig(**config)), {f"u{at}": rows[at::units] for at in range(units)})[1]


@pytest.mark.parametrize(("documents", "merged"), [(20, 19), (21, 0)])
def test_tiny_files_with_one_licence_merge_until_it_is_known_for_one(documents: int, merged: int) -> None:
    rows = [tiny(number) for number in range(documents)]
    assert len(fates(rows)) == merged
    assert len(fates(rows, boilerplate=None)) == documents - 1


def test_copies_are_still_copies_without_their_licence() -> None:
    rows = [tiny(number) for number in range(60)]
    rows.append(document("copy", str(rows[7]["text"]).removeprefix(LICENCE)))
    found = fates(rows)
    assert {name: (fate.ref, fate.value) for name, fate in found.items()} == {"copy": ("007", 1.0)}


def test_code_of_many_documents_is_no_boilerplate() -> None:
    body = "".join(f"def function_{n}(value):\n    return value + {n}\n" for n in range(9))
    rows = [document(f"{n:03d}", body + f"own_{n} = {n}\n") for n in range(60)]
    assert len(fates(rows)) == 59


def test_what_is_frequent_does_not_depend_on_units() -> None:
    rows = [tiny(number) for number in range(21)]
    assert fates(rows, 1) == fates(rows, 7) == {}
    rows = [tiny(number) for number in range(20)]
    assert fates(rows, 1) == fates(rows, 7) == fates(rows, 7, partitions=2)
