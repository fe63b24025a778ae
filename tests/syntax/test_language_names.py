"""Names to languages."""

import pytest

from loopdata.syntax import language_names


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a.py", "Python"), ("d/A.PY", "Python"), ("a.cpp", "C++"), ("a.h", "C"), ("a.js", "JavaScript"),
        ("a.ts", "TypeScript"), ("a.test.js", "JavaScript"), ("a.rs", "Rust"), ("a.go", "Go"), ("a.cs", "C#"),
        ("a.hpp", "C++"), ("Makefile", "Makefile"), ("d/Dockerfile", "Dockerfile"), ("Dockerfile.dev", "Dockerfile"),
        ("CMakeLists.txt", "CMake"), ("notes.txt", "Text"), ("a.unknown", None), ("python", None), (".py", None),
        ("py", None), ("a.py/b", None), ("", None), ("go.mod", "Go Module"), ("a.tar.gz", None), (".bashrc", "Shell"),
    ],
)  # fmt: skip
def test_a_path_names_its_language(path: str, language: str | None) -> None:
    assert language_names.of_path(path) == language


@pytest.mark.parametrize(
    ("line", "language"),
    [
        ("#!/usr/bin/python3.11", "Python"), ("#!/usr/bin/env python", "Python"), ("#! /bin/sh -e\n", "Shell"),
        ("#!/usr/bin/env -S A=b node --x", "JavaScript"), ("#!/usr/bin/env", None), ("#!", None), (" #!/bin/sh", None),
        ("#!/bin/unknown", None), ("#!\n/bin/sh", None), ("", None),
    ],
)  # fmt: skip
def test_a_first_line_names_its_language(line: str, language: str | None) -> None:
    assert language_names.of_shebang(line) == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("// -*- C++ -*-\n", "C++"), ("/* -*- mode: objc; tab-width: 4 -*- */", "Objective-C"),
        ("% -*- coding: utf-8; mode: prolog -*-", "Prolog"), ("# vim: set ts=4 ft=perl :", "Perl"),
        ("x\n" * 99 + "# vim: syntax=python\n\n", "Python"), ("# vim: ft=klingon", None), ("vim ft=perl", None),
        ("x\n" * 5 + "// -*- C++ -*-\n" + "x\n" * 5, None), ("", None),
    ],
)  # fmt: skip
def test_what_an_editor_is_told_names_the_language(text: str, language: str | None) -> None:
    assert language_names.of_modeline(text) == language


def test_a_shared_extension_leaves_several_languages_and_the_most_common_is_first() -> None:
    assert language_names.languages_of("d/A.H") == ("C", "C++", "Objective-C")
    assert language_names.languages_of("a.cpp") == ("C++",)
    assert language_names.languages_of("a.d.ts") == ("TypeScript",)
    assert language_names.languages_of("a") == ()


def test_every_language_that_shares_an_extension_is_one_that_the_table_knows() -> None:
    assert {name for names in language_names.SHARED.values() for name in names} <= language_names.languages()


def test_at_least_sixty_languages_are_known() -> None:
    assert len(language_names.languages()) >= 60
