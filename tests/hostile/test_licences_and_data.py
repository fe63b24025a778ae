"""Hostile licence files, package metadata, notebooks and data files: each has an answer, and none is expanded."""

import json

import pytest

from loopdata import schema
from loopdata.cleaning.data_files import DataFiles
from loopdata.cleaning.data_kinds import is_data, shape
from loopdata.cleaning.licences.headers import header_of
from loopdata.cleaning.licences.metadata import declared
from loopdata.cleaning.licences.names import expression_of
from loopdata.cleaning.licences.texts import read_text
from loopdata.cleaning.notebook_script import NotebookError, script_of
from loopdata.cleaning.python_magics import without_magics
from tests.cleaning.licences.installed import gpl, mit

GRANT = "Permission is hereby granted, free of charge, to any person obtaining a copy "

TEXTS = {
    "20 MB": (mit() + "word " * 4_000_000, "MIT"),
    "one word": ("x" * 1_000_000, None),
    "one opening": (GRANT * 20_000, None),
    "thousands of licences": (mit() * 2_000, "MIT"),
    "mixed up": (" ".join(sorted(set(gpl().split()))) * 50, "LicenseRef-Proprietary"),  # `noncommercial` is left of it
    "brackets": ("(" * 300_000, None),
    "tags": ("<a " * 100_000, None),
    "copyright": ("copyright " * 100_000, None),
    "spaces": (" " * 1_000_000, None),
    "lines": ("\n" * 1_000_000, None),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_licence_has_an_answer(name: str) -> None:
    text, licence = TEXTS[name]
    assert read_text(text).licence == licence


METADATA = {
    "deep JSON": ("package.json", '{"license":' * 50_000),
    "wide JSON": ("package.json", json.dumps({"licenses": [{"type": "MIT"}] * 30_000})),
    "digits": ("package.json", '{"license": ' + "9" * 100_000 + "}"),
    "deep TOML": ("pyproject.toml", "license = " + "[" * 300_000),
    "deep tables": ("Cargo.toml", "[" + "a." * 100_000 + "a]\nlicense = 'MIT'\n"),
    "open licences": ("pom.xml", "<licenses>" * 100_000),
    "open names": ("pom.xml", "<licenses>" + "<license><name>" * 60_000 + "</licenses>"),
    "classifiers": ("setup.cfg", "License :: " * 80_000),
    "assignments": ("setup.py", "license = " * 100_000),
    "gem": ("x.gemspec", "s.licenses = [" * 70_000),
    "continued": ("DESCRIPTION", "Package: x\nLicense: GPL" + "\n  |" * 200_000),
    "half a surrogate pair": ("package.json", '{"license": "\\ud800"}'),
    "header": ("METADATA", "License:\n" * 100_000),
}


@pytest.mark.parametrize("name", METADATA)
def test_hostile_metadata_have_an_answer(name: str) -> None:
    found = declared(*METADATA[name])
    assert found is None or len(found.written.encode()) <= 80


def test_an_entity_bomb_is_not_expanded() -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 30))
    bomb = f'<!DOCTYPE p [<!ENTITY e0 "MIT">{entities}]><licenses><license><name>&e29;</name></license></licenses>'
    found = declared("pom.xml", bomb)
    assert found is not None and (found.licence, found.written) == (None, "&e29;")
    assert is_data("feed.xml", "XML", bomb) and shape("XML", bomb)


@pytest.mark.parametrize(
    "name", ["(" * 499, "MITRE OR " * 55, "( MITRE ) AND " * 35, "with " * 99, "v1." * 160, "/" * 500]
)
def test_a_hostile_name_has_an_answer(name: str) -> None:
    assert expression_of(name) is None


@pytest.mark.parametrize(
    "start",
    [
        "# licensed under " * 300,
        "# permission " + "=" * 4_000,
        "/* license " * 400,
        "# SPDX-License-Identifier: " + "(" * 4_000,
        "SPDX-License-Identifier:" * 200,
        "# " + "license: " * 450,
        '"""' * 1_300 + "license",
    ],
)
def test_a_hostile_header_has_an_answer(start: str) -> None:
    found = header_of(start)
    assert found is None or len(found.written) <= 80


def test_a_notebook_of_many_cells_is_a_script() -> None:
    cells = [{"cell_type": "code", "source": f"%time x = {n}\ny = {n}"} for n in range(100_000)]
    script = script_of(json.dumps({"cells": cells}).encode())
    assert (script.code, script.magics) == (100_000, 100_000)


@pytest.mark.parametrize("content", [b"[" * 1_000_000, b'{"cells":' * 100_000, b'{"cells": [' + b"9" * 100_000 + b"]}"])
def test_a_deep_notebook_is_broken(content: bytes) -> None:
    with pytest.raises(NotebookError) as caught:
        script_of(content)
    assert caught.value.rule == "notebook_broken"


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("%time (", 20_001),
        ("%x '''", 20_001),
        ("!ls \\", 20_001),
        ("x = (", 0),
        ("x = '''", 1),
        ("?" * 20, 1),
        ("x?", 20_001),
        ("%%time", 20_001),
    ],
)
def test_hostile_cells_are_read_line_by_line(line: str, count: int) -> None:
    assert without_magics("\n".join([line] * 20_000 + ["%time"]))[1] == count


DATA = {
    "deep.json": ("JSON", "[" * 500_000),
    "deep_objects.json": ("JSON", '{"a":' * 100_000 + "1" + "}" * 100_000),
    "keys.json": ("JSON", json.dumps({f"key {n}": n for n in range(50_000)})),
    "quotes.csv": ("CSV", '"' * 1_000_001),
    "open.csv": ("CSV", '"a\n' * 300_001),
    "lines.csv": ("CSV", "\n" * 1_000_000),
    "tags.xml": ("XML", "<a" * 300_000),
    "open.xml": ("XML", "<" * 1_000_000),
    "keys.yaml": ("YAML", "a" * 60 + " " * 500_000),
    "dashes.yaml": ("YAML", "- " * 500_000),
    "rows.sql": ("SQL", "(" * 1_000_000),
    "module" + "_a" * 1_000 + ".yaml": ("YAML", "a: 1\n"),
    "blank.sql": ("SQL", " \n" * 500_000),
    "tabs.sql": ("SQL", "\t" * 1_000_000),
}


def test_hostile_data_files_stay_or_have_a_fate() -> None:
    rows = [
        {"doc_id": name, "category": "code", "text": text, "repo": "r", "path": name, "language": language,
         "num_bytes": len(text)}
        for name, (language, text) in DATA.items()
    ]  # fmt: skip
    names = ("doc_id", "text_id", "category", "text", "repo", "path", "language", "num_bytes")
    table = schema.table_of(rows, schema.document_schema({name: schema.DOCUMENT[name] for name in names}))
    outcome = DataFiles().apply(table)
    ended = {fate.subject for fate in outcome.fates if fate.fate == "dropped"}
    assert ended | set(outcome.kept["doc_id"].to_pylist()) == DATA.keys()
    assert outcome.kept.num_rows + len(ended) == len(DATA)
    for name, (language, text) in DATA.items():
        assert shape(language, text), name
