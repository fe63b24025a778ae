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


def test_the_name_wins_over_the_first_line() -> None:
    assert language_names.of_file("a.rb", "#!/bin/sh") == "Ruby"
    assert language_names.of_file("a", "#!/bin/sh") == "Shell"
    assert language_names.of_file(None, "x") == "Unknown"


def test_at_least_sixty_languages_are_known() -> None:
    assert len(language_names.languages()) >= 60
