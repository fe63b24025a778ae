"""Speed of fill-in-the-middle: files whose trees are there already, and whole repositories.

Enters: Python files of this machine, and checkouts named in LOOPDATA_REPOSITORIES. Leaves: MB/s a core of text, beside
plain Python that cuts the same contexts at two random characters, which is what trainers do; every sample of both gives
its text back. Of repositories, the share of the time that the bare parse of their files would take. Run by `python -m
benchmarks.fim [--save]`. Limit: half of a file's contexts get a hole, as in a run; the peer knows no tree, no sizes and
no proof, so that its ratio says what those cost.
"""

import random
from collections.abc import Callable

import pyarrow as pa

from benchmarks.contenders import measure, median, source_files, spread, use_one_core
from benchmarks.harness import input_hash, report
from benchmarks.repositories import checkouts
from loopdata.config import parse as parse_config
from loopdata.fim.config import FimConfig
from loopdata.fim.draws import Draws
from loopdata.fim.repo_level import RepoBuilder, RepoConfig
from loopdata.fim.samples import Rendered, render_document
from loopdata.retrieval.references import LANGUAGES
from loopdata.syntax.parse import forget, parse, parse_anew

FILE_BYTES = 4_000_000  # below what `syntax.parse` remembers
MAX_BYTES = 2_560
PACKAGES = ("tree-sitter", "tree-sitter-python", "numba", "pyarrow")
FIM = FimConfig(max_bytes=MAX_BYTES)
CHARACTERS = FimConfig(max_bytes=MAX_BYTES, kinds={"char": 1.0})


def ours(texts: list[bytes], config: FimConfig) -> Callable[[], list[list[Rendered]]]:
    def run() -> list[list[Rendered]]:
        return [render_document(config, text, "Python", Draws(0, "s", str(at))) for at, text in enumerate(texts)]

    return run


def plain_python(texts: list[str]) -> Callable[[], list[str]]:
    """Two cuts at random characters of each context that is drawn, joined with special tokens."""

    def run() -> list[str]:
        source = random.Random(0)
        samples = []
        for text in texts:
            for start in range(0, len(text), MAX_BYTES):
                context = text[start : start + MAX_BYTES]
                if source.random() < FIM.rate:
                    first, last = sorted(source.randint(0, len(context)) for _ in range(2))
                    prefix, middle, suffix = context[:first], context[first:last], context[last:]
                    context = f"<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>{middle}"
                samples.append(context)
        return samples

    return run


def agree(texts: list[bytes]) -> None:
    """Both give every text back."""
    for text, found in zip(texts, ours(texts, FIM)(), strict=True):
        assert b"".join(text[sample.span[0] : sample.span[1]] for sample in found) == text
    marks = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
    for sample in plain_python([text.decode() for text in texts[:20]])():
        assert all(mark in sample for mark in marks) or not sample.startswith(marks[0])


def repositories(builder: RepoBuilder, table: pa.Table) -> Callable[[], int]:
    return lambda: sum(part.num_rows for part in builder.render_parts(table))


def bare_parse(table: pa.Table) -> Callable[[], None]:
    pairs = list(zip(table["text"].to_pylist(), table["language"].to_pylist(), strict=True))
    sources = [(text.encode(), language) for text, language in pairs if language in LANGUAGES]

    def run() -> None:
        for text, language in sources:
            parse_anew(text, language)

    return run


def main() -> None:
    use_one_core()
    texts = [text.encode() for text in source_files(FILE_BYTES, step=7) if len(text) < 200_000]
    forget()
    for text in texts:
        parse(text, "Python")
    agree(texts)
    builder = RepoBuilder(parse_config(RepoConfig, {"fim": {"rate": 0.5}}, "samples.repo"), label="repo")
    tables = checkouts()
    runs: dict[str, Callable[[], object]] = {
        "ours": ours(texts, FIM),
        "ours_characters": ours(texts, CHARACTERS),
        "plain_python_characters": plain_python([text.decode() for text in texts]),
    }
    files = measure(runs)
    whole: dict[str, Callable[[], object]] = {}
    for name, table in tables.items():
        repositories(builder, table)()  # compiles
        whole |= {name: repositories(builder, table), f"{name} bare parse": bare_parse(table)}
    seconds = measure(whole, rounds=3)
    size = sum(map(len, texts))
    sizes = {name: sum(len(text.encode()) for text in table["text"].to_pylist()) for name, table in tables.items()}
    total = sum(median(seconds[name]) for name in tables)
    figures = {
        "file_mb_per_s": {name: round(size / median(values) / 1e6, 1) for name, values in files.items()},
        "file_bytes": size,
        "repository_mb_per_s": {name: round(sizes[name] / median(seconds[name]) / 1e6, 2) for name in tables},
        "repository_mb_per_s_of_all": round(sum(sizes.values()) / total / 1e6, 2) if total else None,
        "bare_parse_share": {
            name: round(median(seconds[f"{name} bare parse"]) / median(seconds[name]), 2) for name in tables
        },
        "repository_bytes": sizes,
        "seconds": spread(files | seconds),
    }
    peer = median(files["plain_python_characters"])
    ratios = {"plain_python_characters": peer / median(files["ours_characters"]),
              "plain_python_characters_for_all_kinds": peer / median(files["ours"])}  # fmt: skip
    report("fim", ratios, figures, input_hash(*(text.decode() for text in texts), *sorted(tables)), PACKAGES)


if __name__ == "__main__":
    main()
