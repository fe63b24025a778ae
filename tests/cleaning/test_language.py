"""The `language` stage."""

import pyarrow as pa
import pytest

from loopdata.cleaning.language import Language, LanguageConfig
from loopdata.config import parse
from loopdata.errors import ConfigError
from loopdata.stage import Outcome


def name(*files: tuple[str | None, str], **config: object) -> Outcome:
    table = pa.table(
        {
            "doc_id": [str(n) for n in range(len(files))],
            "path": pa.array([path for path, _ in files], pa.string()),
            "text": pa.array([text for _, text in files], pa.large_string()),
        }
    )
    return Language(parse(LanguageConfig, config, "language")).apply(table)


def test_language_comes_from_the_name_then_the_first_line_and_is_never_null() -> None:
    outcome = name(("a.py", "#!/bin/sh\n"), ("run", "#!/bin/sh\n"), ("run", "\n"), (None, ""))
    assert outcome.kept["language"].to_pylist() == ["Python", "Shell", "Unknown", "Unknown"]
    assert [(f.subject, f.fate, f.rule, f.details) for f in outcome.fates] == [
        ("1", "marked", "by_content", "Shell by shebang")
    ]


def test_a_mark_says_what_decided_where_content_gave_another_language_than_the_name() -> None:
    c, plus = "#include <stdio.h>\nint f(void);\n", "#include <vector>\nnamespace a {\n}\n"
    outcome = name(("a.h", c), ("b.h", plus), ("b.hpp", plus))
    assert outcome.kept["language"].to_pylist() == ["C", "C++", "C++"]
    assert [(f.subject, f.details) for f in outcome.fates] == [("1", "C++ by signs")]


def test_the_versions_of_the_network_are_part_of_the_key_only_where_it_is_asked() -> None:
    assert set(Language().identity()["network"]) == {"magika", "onnxruntime"}
    assert Language(LanguageConfig(network=False)).identity()["network"] is None


def test_a_language_that_the_source_declares_stays() -> None:
    columns = {"doc_id": ["0", "1"], "path": ["a.py", "a.py"], "text": pa.array(["", ""], pa.large_string())}
    table = pa.table(columns | {"language": pa.array(["Ruby", None], pa.string())})
    assert Language().apply(table).kept["language"].to_pylist() == ["Ruby", "Python"]


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        ({"keep": ["Python", "C"]}, ["a.py", "a.c"]),
        ({"drop": ["Python"]}, ["a.c", "x"]),
        ({"keep": ["Python", "C"], "drop": ["C"]}, ["a.py"]),
        ({"drop": ["Unknown"]}, ["a.py", "a.c"]),
    ],
)
def test_languages_that_are_not_wanted_are_dropped(config: dict[str, list[str]], kept: list[str]) -> None:
    outcome = name(("a.py", ""), ("a.c", ""), ("x", ""), **config)
    assert outcome.kept["path"].to_pylist() == kept
    assert {(f.fate, f.rule) for f in outcome.fates} == {("dropped", "language")}
    assert len(outcome.fates) + len(kept) == 3


def test_a_language_that_does_not_exist_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="there is no language 'Pyton'; did you mean 'Python'"):
        parse(LanguageConfig, {"keep": ["Pyton"]}, "language")
