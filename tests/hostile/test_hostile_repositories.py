"""Repositories made to break the builder: odd paths and texts, cycles, one file, fifty thousand."""

import pyarrow as pa
import pytest

from loopdata.config import parse
from loopdata.fim.repo_level import RepoBuilder, RepoConfig
from loopdata.schema import document_schema, table_of
from loopdata.tokens.tokenizer import Tokenizer, train

TOKENIZER = Tokenizer(train(["def f(x):\n    return x\n"] * 4, 400))
FIM = {"rate": 1.0, "min_chars": 1, "max_bytes": 200}
SPECIAL = "<|fim_prefix|><|fim_suffix|><|fim_middle|><|file_sep|><|repo_name|><|endoftext|>"
BROKEN = "def f(x:\n    return (x +\nclass {\n" * 6


def documents(texts: list[tuple[str | None, str]], language: str | None = "Python", repo: str | None = "r") -> pa.Table:
    rows = [
        {"doc_id": str(at), "path": path, "text": text, "language": language, "repo": repo, "category": "code",
         "split": "train", "use": "train"}
        for at, (path, text) in enumerate(texts)
    ]  # fmt: skip
    return table_of(rows, document_schema(RepoBuilder.needs))


def check(table: pa.Table, fim: dict[str, object] = FIM) -> int:
    """Every byte is learned once and every sample decodes to itself; returns how many samples have a hole."""
    builder = RepoBuilder(parse(RepoConfig, {"fim": fim}, "samples.repo"), label="repo")
    learned = holes = 0
    for samples in builder.render_parts(table):
        encoded = TOKENIZER.encode(samples["segments"])
        tokens = [encoded.ids[a:b] for a, b in zip(encoded.offsets, encoded.offsets[1:], strict=False)]
        assert builder.check(samples, tokens, TOKENIZER.special, TOKENIZER.decode) == samples.num_rows
        segments = pa.concat_arrays([chunk.flatten() for chunk in samples["segments"].chunks]).to_pylist()
        learned += sum(len(entry["text"].encode()) for entry in segments if entry["loss"] and not entry["special"])
        holes += sum(samples["whole"].to_pylist())
    assert learned == sum(len(text.encode()) for text in table["text"].to_pylist())
    return holes


@pytest.mark.parametrize(
    "text",
    ["", "\n", "x", "x\r\ny\r\n", "if x:\n\ty = 1\n        z = 2\n", "größe = 漢字\n" * 9, SPECIAL * 3, BROKEN,
     "\ufeffx = 1\n", "\0\n", "x" * 5_000, "import a\n" * 300],
    ids=range(12),
)  # fmt: skip
@pytest.mark.parametrize("language", ["Python", "Rust", "TypeScript", "Markdown", None])
def test_odd_texts(text: str, language: str | None) -> None:
    check(documents([("a.py", text), ("b.py", text), ("c/d.py", f"import a\n{text}")], language))
    check(documents([("only.py", text)], language))


@pytest.mark.parametrize(
    "path", [None, "", "/", "..", "../../x.py", "a\nb.py", SPECIAL, "é" * 300, "a/" * 500 + "b.py"]
)
@pytest.mark.parametrize("repo", ["r", None, SPECIAL, "a\nb"])
def test_odd_places(path: str | None, repo: str | None) -> None:
    texts = [(path, "import b\nx = b.f(1)\n" * 4), ("b.py", "from . import x\ndef f(): return x\n"), (path, "y = 1\n")]
    check(documents(texts, repo=repo))


def test_everybody_imports_everybody() -> None:
    texts = [(f"m{n}.py", "".join(f"from m{other} import f{other}\n" for other in range(40))) for n in range(40)]
    assert check(documents(texts)) > 40


def test_a_syntax_error_within_the_node_is_no_hole_of_that_level() -> None:
    fim = FIM | {"kinds": {"function": 1}, "min_chars": 1}
    assert check(documents([("a.py", "def f(x):\n    return (x\n"), ("b.py", "def g(:\n    pass\n")]), fim) == 0


@pytest.mark.slow
def test_fifty_thousand_files_in_one_cycle() -> None:
    count = 50_000
    texts = [
        (f"p{n // 100}/m{n}.py", f"import p{(n + 1) % count // 100}.m{(n + 1) % count}\nx{n} = {n}\n")
        for n in range(count)
    ]
    assert check(documents(texts), FIM | {"rate": 0.1}) > 4_000
