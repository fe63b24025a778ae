"""What fill-in-the-middle makes: how long middles are, whether they are what they say, what contexts hold and hide.

Enters: HumanEval with its three infilling sets (LOOPDATA_INFILLING, a folder), the standard library, checkouts
(LOOPDATA_REPOSITORIES). Leaves four groups of figures: lengths and levels of our middles beside those sets, both on the
same 164 programs; the share of our Python middles whose level Python's own parser confirms; copies of middles that were
planted in other files and came into a context, of how many; and of calls to functions that another file defines, the
share whose definition is in the context, by language and way of choosing it. Run by `python -m benchmarks.fim_quality
[--save]`. Limit: a folder that is not named leaves its group empty.
"""

import gzip
import json
import os
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa

from benchmarks.fim_retrieval import shares
from benchmarks.harness import input_hash, quantiles, report
from benchmarks.repositories import checkouts
from loopdata.config import parse as parse_config
from loopdata.fim.characters import Text
from loopdata.fim.config import FimConfig
from loopdata.fim.draws import Draws
from loopdata.fim.holes import LEVEL_OF, Hole, Sizes, draw_hole
from loopdata.fim.repo_level import RepoBuilder, RepoConfig
from loopdata.retrieval.copies import MIN_BYTES, RUN, Guard
from loopdata.syntax.parse import forget
from tests.fim.test_python_levels import Oracle

SETS = {"single_line": "SingleLine", "multi_line": "MultiLine", "span": "RandomSpan"}
KINDS = {"single_line": ("line",), "multi_line": ("line",), "span": ("char", "ast_span")}
DRAWS = 12  # of each kind in each program
FILES, FILE_DRAWS = 120, 10
LEAK_FILES = 300  # of each repository are copied
HOLES = 60  # files of each repository whose contexts are looked at
LANGUAGES = {"express": "JavaScript", "fmt": "C++", "gin": "Go", "gson": "Java", "jq": "C", "ripgrep": "Rust",
             "zod": "TypeScript"}  # by checkout; of others Python  # fmt: skip
PACKAGES = ("tree-sitter", "tree-sitter-python", "numba", "pyarrow")


def infilling() -> dict[str, Any]:
    """Middles of the three sets, and ours on the same programs."""
    folder = os.environ.get("LOOPDATA_INFILLING")
    if not folder:
        return {}
    tasks = list(_lines(Path(folder, "HumanEval.jsonl.gz")))
    programs = [(task["prompt"] + task["canonical_solution"]).encode() for task in tasks]
    oracles = {program: Oracle(program) for program in programs}
    found: dict[str, Any] = {}
    for name, spelling in SETS.items():
        theirs = []
        for task in _lines(Path(folder, f"HumanEval-{spelling}Infilling.jsonl.gz")):
            before, middle = task["prompt"].encode(), task["canonical_solution"].encode()
            text = before + middle + task["suffix"].encode()
            oracles.setdefault(text, Oracle(text))
            theirs.append((text, len(before), len(before) + len(middle)))
        found[name] = {"theirs": _described(theirs, oracles), "ours": _described(_ours(name, programs), oracles)}
    return found


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        yield from map(json.loads, stream)


def _ours(name: str, programs: list[bytes]) -> list[tuple[bytes, int, int]]:
    """Our middles of one set: of lines, those of one or of several."""
    found = []
    for at, program in enumerate(programs):
        for kind in KINDS[name]:
            for turn in range(DRAWS):
                hole = draw_hole(Text(program), "Python", {kind: 1}, FimConfig().sizes, Draws(0, kind, f"{at} {turn}"))
                if isinstance(hole, Hole):
                    lines = program[hole.start : hole.end].rstrip().count(b"\n") + 1
                    if kind != "line" or (lines == 1) == (name == "single_line"):
                        found.append((program, hole.start, hole.end))
    return found


def _described(middles: list[tuple[bytes, int, int]], oracles: dict[bytes, Oracle]) -> dict[str, Any]:
    """Number, quantiles of characters and lines, shares of levels."""
    texts = [text[start:end] for text, start, end in middles]
    levels = Counter(_level(oracles[text], start, end) for text, start, end in middles)
    return {
        "middles": len(middles),
        "characters": quantiles([len(text.decode()) for text in texts]),
        "lines": quantiles([text.rstrip().count(b"\n") + 1 for text in texts]),
        "levels": {name: round(count / len(middles), 3) for name, count in sorted(levels.items())},
    }


def _level(oracle: Oracle, start: int, end: int) -> str:
    """The largest level that a middle is, without blanks around it; else whether it is whole lines."""
    middle = oracle.source[start:end]
    bare = start + len(middle) - len(middle.lstrip()), end - (len(middle) - len(middle.rstrip()))
    if bare[0] < bare[1]:
        for kind in ("function", "function_body", "block", "statement", "expression"):
            if oracle.agrees(Hole(kind, *bare)):
                return kind
    starts_line = not oracle.source[:start].rpartition(b"\n")[2].strip()
    ends_line = end == len(oracle.source) or not oracle.source[end:].partition(b"\n")[0].strip()
    return "lines" if starts_line and (ends_line or middle.endswith(b"\n")) else "part"


def confirmed() -> dict[str, Any]:
    """Of our middles in files of the standard library, the share that `ast` confirms, by level."""
    root = Path(sysconfig.get_paths()["stdlib"])
    paths = [path for path in sorted(root.rglob("*.py")) if 2_000 < path.stat().st_size < 60_000]
    drawn, agreed = Counter[str](), Counter[str]()
    for path in paths[:: max(len(paths) // FILES, 1)]:
        source = path.read_bytes()
        try:
            oracle = Oracle(source)
            source.decode()
        except (SyntaxError, UnicodeDecodeError, ValueError):
            continue
        forget()
        for kind in LEVEL_OF:
            for turn in range(FILE_DRAWS):
                draws = Draws(0, kind, f"{path.name} {turn}")
                hole = draw_hole(Text(source), "Python", {kind: 1}, Sizes(3, 4_000), draws)
                if isinstance(hole, Hole):
                    drawn[kind] += 1
                    agreed[kind] += oracle.agrees(hole)
    return {kind: {"middles": drawn[kind], "confirmed": round(agreed[kind] / drawn[kind], 4)} for kind in LEVEL_OF}


def leaks(tables: dict[str, pa.Table]) -> dict[str, Any]:
    """Every file is copied to another folder; no context may hold a long run of a function that is to be filled in.

    `unguarded` is the same without the guard: how often the copy would have been there.
    """
    fim = {"rate": 1.0, "kinds": {"function": 1, "function_body": 1}, "max_bytes": 8_192}
    builder = RepoBuilder(parse_config(RepoConfig, {"fim": fim}, "samples.repo"), label="repo")
    found: dict[str, Any] = {}
    for name, table in tables.items():
        copied = with_copies(table.slice(0, LEAK_FILES))
        holes, leaked = _leaked(builder, copied)
        with mock.patch.object(Guard, "leaks", return_value=False):
            _, unguarded = _leaked(builder, copied)
        found[name] = {"middles": holes, "leaked": leaked, "unguarded": unguarded}
    return found


def _leaked(builder: RepoBuilder, table: pa.Table) -> tuple[int, int]:
    """Middles of the originals that are long enough to be guarded, and how many of them are in their context."""
    holes = leaked = 0
    for part in builder.render_parts(table):
        for row in part.filter(part["whole"]).to_pylist():
            if not row["parents"][-1].startswith("copies/"):
                middle, context = _middle_and_context(row)
                if len(middle) >= MIN_BYTES:
                    holes += 1
                    leaked += any(run in context for run in _runs(middle))
    return holes, leaked


def with_copies(table: pa.Table) -> pa.Table:
    """The table with each file again in another folder, indented, so that every function has a moved copy."""
    rows = table.to_pylist()
    copies = [
        row | {"doc_id": f"copies/{row['doc_id']}", "path": f"copies/{row['path']}",
               "text": "".join(f"    {line}" for line in row["text"].splitlines(keepends=True))}
        for row in rows
    ]  # fmt: skip
    return pa.Table.from_pylist(rows + copies, schema=table.schema)


def _middle_and_context(row: dict[str, Any]) -> tuple[str, str]:
    """Without white space; found again by the special tokens, as a reader of the sample would."""
    texts = [entry["text"] for entry in row["segments"]]
    marks = [at for at, entry in enumerate(row["segments"]) if entry["special"]]
    last_file = max(at for at in marks if texts[at] == "<|file_sep|>")
    middle = texts[texts.index("<|fim_middle|>", last_file) + 1]
    return "".join(middle.split()), "".join("".join(texts[:last_file]).split())


def _runs(middle: str) -> Iterable[str]:
    """All that may not be in a context: the whole, or any RUN bytes in a row."""
    data = middle.encode()
    size = min(len(data), RUN)
    return (data[at : at + size].decode("utf-8", "ignore") for at in range(len(data) - size + 1))


def retrieval(tables: dict[str, pa.Table]) -> dict[str, Any]:
    return {
        f"{LANGUAGES.get(name, 'Python')}: {name}": shares(table, LANGUAGES.get(name, "Python"), HOLES)
        for name, table in tables.items()
    }


def main() -> None:
    tables = checkouts()
    found = retrieval(tables)
    ways = sorted({way for entry in found.values() for way in entry})
    mean = {
        way: {place: round(float(np.mean([entry[way][place] for entry in found.values()])), 3)
              for place in ("anywhere", "in_middle")}
        for way in ways
    }  # fmt: skip
    figures = {
        "infilling": infilling(),
        "confirmed_by_ast": confirmed(),
        "leaks": leaks(tables),
        "retrieval_mean": mean,
        "retrieval": found,
    }
    # Files in random order hold none of the definitions, so that there is no ratio to them.
    ratios = {"words_only": mean["ours"]["anywhere"] / mean["without_definitions"]["anywhere"]} if mean else {}
    report(
        "fim_quality",
        ratios,
        figures,
        input_hash(*(str(table["text"].nbytes) for table in tables.values()), *tables),
        PACKAGES,
    )


if __name__ == "__main__":
    main()
