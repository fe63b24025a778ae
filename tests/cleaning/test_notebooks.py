"""Notebooks as scripts: cells, magics, languages, and what has no script."""

import ast
import json
import sysconfig
from pathlib import Path
from typing import Any

import jupytext
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata import schema
from loopdata.cleaning.clean import Clean
from loopdata.cleaning.language import Language
from loopdata.cleaning.notebook_script import NotebookError, Script, script_of
from loopdata.cleaning.notebooks import Notebooks
from loopdata.cleaning.python_magics import is_magic, without_magics
from loopdata.stage import Fate


def cell(source: str | list[str], kind: str = "code", **other: Any) -> dict[str, Any]:
    return {"cell_type": kind, "source": source, "metadata": {}, **other}


def notebook(*cells: dict[str, Any], language: str | None = "python", **other: Any) -> bytes:
    metadata = {"kernelspec": {"language": language}} if language else {}
    return json.dumps({"cells": list(cells), "metadata": metadata, "nbformat": 4, **other}).encode()


def test_cells_become_a_script() -> None:
    prose, code = cell(["# Title\n", "\n", "words"], "markdown"), cell("x = 1\ny = 2", outputs=[{"data": "long"}])
    script = script_of(notebook(prose, code, cell("print(x)\n"), cell("left as it is", "raw")))
    assert script.text == (
        "# %% [markdown]\n# # Title\n#\n# words\n"
        "\n# %%\nx = 1\ny = 2\n"
        "\n# %%\nprint(x)\n"
        "\n# %% [raw]\n# left as it is\n"
    )
    assert script == Script(script.text, "Python", code=2, prose=2, outputs=1, magics=0)


def test_the_third_format_has_worksheets() -> None:
    sheet = {"cells": [{"cell_type": "heading", "source": "A"}, {"cell_type": "code", "input": ["x\n", "y"]}]}
    old = json.dumps({"worksheets": [sheet], "nbformat": 3}).encode()
    assert script_of(old).text == "# %% [markdown]\n# A\n\n# %%\nx\ny\n"


def test_empty_cells_and_carriage_returns_go() -> None:
    assert script_of(notebook(cell(""), cell("a\r\nb\rc"), cell(" \n"))).text == "# %%\na\nb\nc\n"


@pytest.mark.parametrize(
    ("metadata", "language"),
    [
        ({"kernelspec": {"language": "R"}, "language_info": {"name": "R"}}, "R"),
        ({"kernelspec": {"name": "ir"}}, "R"),
        ({"language_info": {"name": "julia"}}, "Julia"),
        ({"kernelspec": {"language": "C++14"}}, "C++"),
        ({"kernelspec": {"language": "sage"}, "language_info": {"name": "python"}}, "Python"),
        ({"kernelspec": {"language": "F#"}, "language_info": {"name": "C#"}}, "F#"),  # what .NET's kernel writes
        ({}, "Python"),
        ({"kernelspec": None, "language_info": [1]}, "Python"),
    ],
)
def test_the_kernel_gives_the_language(metadata: dict[str, Any], language: str) -> None:
    assert script_of(json.dumps({"cells": [cell("x")], "metadata": metadata}).encode()).language == language


@pytest.mark.parametrize(
    ("language", "start"),
    [
        ("scala", "// %% [markdown]\n// a (* b\n"),
        ("haskell", "-- %% [markdown]\n-- a (* b\n"),
        ("scheme", "; %% [markdown]\n; a (* b\n"),
        ("octave", "% %% [markdown]\n% a (* b\n"),
        ("ocaml", "(* %% [markdown] *)\n(* a ( * b *)\n"),
    ],
)
def test_prose_is_a_comment_of_the_language(language: str, start: str) -> None:
    assert script_of(notebook(cell("a (* b", "markdown"), cell("x"), language=language)).text.startswith(start)


@pytest.mark.parametrize(
    ("source", "script"),
    [
        ("%matplotlib inline\nx = 1", "# %matplotlib inline\nx = 1"),
        ("!ls -l\n?len\nlen?\nx.y??", "# !ls -l\n# ?len\n# len?\n# x.y??"),
        ("files = !ls\nt = %time f()", "# files = !ls\n# t = %time f()"),
        ("for x in y:\n    !echo {x}\n", "for x in y:\n    pass  # !echo {x}\n"),
        ("!a \\\n b\nc", "# !a \\\n#  b\nc"),
        ("%timeit f((1,\n   2))\nx", "# %timeit f((1,\n#    2))\nx"),
        ("%cd it's here\nx", "# %cd it's here\nx"),
        ("%cd (here\nx", "# %cd (here\nx"),  # a bracket that is never closed
        ("%%time\n%cd x\ny = 1", "# %%time\n# %cd x\ny = 1"),
        ("%%bash\nls\n  cd", "# %%bash\n# ls\n#   cd"),
        ("%%timeits\nls", "# %%timeits\n# ls"),
        ("# a\n%%bash\nls", "# a\n# %%bash\nls"),  # no cell magic: it is not in the first line
    ],
)
def test_what_is_ipythons_becomes_a_comment(source: str, script: str) -> None:
    assert without_magics(source)[0] == script


@pytest.mark.parametrize(
    "source",
    [
        "print('a'\n  % x)",
        "x = '''\n%matplotlib\n!ls\n'''",
        "x = y \\\n  % z",
        "x = [1,\n!= 2]",
        "x = 'is it?'\ny = a % b",
        "# is it?\nx",
        "f(r'\\' % x)\ny",
        "f'{x!r:>{y}}' % z",
        "x = '\\\n%'",
    ],
)
def test_what_is_pythons_stays(source: str) -> None:
    assert without_magics(source) == (source, 0)


def test_magics_are_counted_by_line() -> None:
    assert without_magics("%%bash\nls\ncd")[1] == 3
    assert without_magics("!ls \\\n -l\nx\n%time y")[1] == 3


def test_real_python_has_no_magics() -> None:
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        source = path.read_text("utf-8", "replace")
        assert without_magics(source) == (source, 0), path


lines = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=12), max_size=4)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["code", "markdown"]), lines), max_size=5))
def test_jupytext_reads_the_same_prose_back(drawn: list[tuple[str, list[str]]]) -> None:
    """Code that is a number and a comment, so that no line of it can be a magic or a cell mark."""
    cells = [("code", ["0"])] + [
        (kind, [f"#{number}" for number, _ in enumerate(text)] if kind == "code" else [f"w{line}w" for line in text])
        for kind, text in drawn
    ]
    script = script_of(notebook(*(cell("\n".join(text), kind) for kind, text in cells)))
    read = jupytext.reads(script.text, fmt="py:percent").cells
    wanted = [(kind, "\n".join(text)) for kind, text in cells if text]
    assert [(found.cell_type, found.source) for found in read] == wanted


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "notebook_broken"),
        (b"{", "notebook_broken"),
        (b"[]", "notebook_broken"),
        (b"{}", "notebook_broken"),
        (b'{"cells": 5}', "notebook_broken"),
        (b'{"cells": [5]}', "notebook_broken"),
        (b'{"worksheets": {}}', "notebook_broken"),
        (b'{"cells": [{"cell_type": "code", "source": 5}]}', "notebook_broken"),
        (b'{"cells": [{"cell_type": "code", "source": "\\ud800"}]}', "notebook_broken"),
        (b"\xff\xfe", "notebook_broken"),
        (b'{"cells": []}', "notebook_without_code"),
        (notebook(cell("words", "markdown")), "notebook_without_code"),
        (notebook(cell("x"), language="wolfram language"), "notebook_language"),
        (notebook(cell("x"), language="\ud800"), "notebook_language"),
    ],
)
def test_what_has_no_script_has_a_rule(content: bytes, rule: str) -> None:
    with pytest.raises(NotebookError) as caught:
        script_of(content)
    assert caught.value.rule == rule
    assert pa.scalar(caught.value.details, pa.string()).as_py()  # fates are written whatever was declared


@settings(deadline=None)
@given(st.binary(max_size=60) | st.recursive(st.none() | st.text(max_size=5), st.lists).map(json.dumps).map(str.encode))
def test_any_bytes_have_a_script_or_a_rule(content: bytes) -> None:
    with pytest.raises(NotebookError):
        script_of(content)


def documents(files: dict[str, bytes]) -> pa.Table:
    rows = [
        {"doc_id": path, "category": "code", "content": content, "path": path, "num_bytes": len(content)}
        for path, content in files.items()
    ]
    return schema.table_of(rows, schema.source_schema())


def test_the_stage_replaces_notebooks_and_names_their_language() -> None:
    first = notebook(cell("%ls\nx = 1", outputs=[{}, {}]))
    outcome = Notebooks().apply(documents({"a.ipynb": first, "b.IPYNB": b"{", "c.py": b"%ls"}))
    kept = {row["path"]: row for row in outcome.kept.to_pylist()}
    assert (kept["a.ipynb"]["content"], kept["a.ipynb"]["language"]) == (b"# %%\n# %ls\nx = 1\n", "Python")
    assert kept["a.ipynb"]["num_bytes"] == 17
    assert (kept["c.py"]["content"], kept["c.py"]["language"]) == (b"%ls", None)
    said = "Python: 1 cells of code, 0 of prose; 2 outputs dropped, 1 lines of magic commented"
    assert outcome.fates[0] == Fate("a.ipynb", "notebooks", "edited", "notebook", 1.0, details=said)
    assert outcome.fates[1][:4] == ("b.IPYNB", "notebooks", "dropped", "notebook_broken")


def test_a_script_goes_through_clean_and_keeps_its_language() -> None:
    table = (
        Notebooks()
        .apply(
            documents(
                {"a.ipynb": notebook(cell("name <- 'some words of it \x07é'"), language="R"), "b.py": b"name = other\n"}
            )
        )
        .kept
    )
    kept = Language().apply(Clean().apply(table).kept).kept
    assert kept["language"].to_pylist() == ["R", "Python"]
    assert kept["text"][0].as_py() == "# %%\nname <- 'some words of it é'\n"
    assert kept["text_id"][0].as_py() == schema.text_id("# %%\nname <- 'some words of it é'\n")


def test_documents_without_notebooks_only_get_the_column() -> None:
    outcome = Notebooks().apply(documents({"c.py": b"x"}))
    assert (outcome.kept["language"].to_pylist(), outcome.fates) == ([None], [])


def test_a_script_of_cells_that_parse_parses() -> None:
    code = ["%matplotlib inline\nimport x", "def f():\n    !ls\n\nf?", "for a in b:\n\t%time c"]
    ast.parse(script_of(notebook(*map(cell, code))).text)
    assert is_magic("\t%time c")
