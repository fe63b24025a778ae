"""The whole syntax stage beside a bare tree-sitter parse of the same texts, over seven languages, on one core.

Enters: source files below the folder that LOOPDATA_SOURCES names (checkouts of any projects), Python from the standard
library as well; up to 2 MB a language. Leaves: CPU seconds of both, a language and all together, and the worst single
document of the hostile set. The bare parse is the fastest there is: a new parser for each text, given as bytes, the
tree thrown away. The ratio `bare_parse` is bare over ours: the target of 1.5 times the parse is 0.67. Run by `python -m
benchmarks.syntax [--save]`. Limit: a language without files in that folder is left out, and said to be.
"""

import os
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from tree_sitter import Parser

from benchmarks.contenders import Seconds, measure, median, spread, use_one_core
from benchmarks.harness import input_hash, report
from loopdata.cleaning.syntax import Syntax, SyntaxConfig
from loopdata.syntax.damage import damage
from loopdata.syntax.grammars import grammar
from loopdata.syntax.language_names import of_path
from loopdata.syntax.parse import Refusal, forget, parse_anew
from loopdata.syntax.survey import survey
from tests.hostile.texts import CASES

LANGUAGES = ("C", "C++", "Go", "Java", "JavaScript", "Python", "Rust")
MAX_BYTES = 2_000_000
PACKAGES = ("tree-sitter", "tree-sitter-python", "tree-sitter-c", "tree-sitter-rust", "pyarrow")


def sources() -> dict[str, list[bytes]]:
    """Texts by language, each as the stage may get them: UTF-8, of 1 to 500,000 bytes."""
    roots = [Path(root) for root in (os.environ.get("LOOPDATA_SOURCES"), sysconfig.get_paths()["stdlib"]) if root]
    found: dict[str, list[bytes]] = {language: [] for language in LANGUAGES}
    for path in (path for root in roots for path in sorted(root.rglob("*"))):
        texts = found.get(of_path(path.name) or "")
        if texts is None or not path.is_file():
            continue
        data = path.read_bytes()
        if 0 < len(data) <= 500_000 and sum(map(len, texts)) + len(data) <= MAX_BYTES and is_text(data):
            texts.append(data)
    return {language: texts for language, texts in found.items() if texts}


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def table(language: str, texts: list[bytes]) -> pa.Table:
    """Documents as the stage gets them."""
    size = len(texts)
    return pa.table(
        {
            "doc_id": pa.array([f"{language}{at}" for at in range(size)]),
            "parent": pa.nulls(size, pa.string()),
            "category": pa.array(["code"] * size),
            "text": pa.array([text.decode() for text in texts], pa.large_string()),
            "language": pa.array([language] * size),
        }
    )


def bare(language: str, texts: list[bytes]) -> Callable[[], None]:
    loaded = grammar(language)
    assert loaded is not None

    def run() -> None:
        for text in texts:
            Parser(loaded).parse(text)

    return run


def ours(language: str, texts: list[bytes]) -> Callable[[], None]:
    stage, documents = Syntax(SyntaxConfig()), table(language, texts)

    def run() -> None:
        stage.apply(documents)
        forget()  # as the next batch does

    return run


def agree(language: str, texts: list[bytes]) -> None:
    """The stage's tree is the bare parser's: as many nodes, and the same errors."""
    loaded = grammar(language)
    assert loaded is not None
    for text in texts:
        root, mine = Parser(loaded).parse(text).root_node, parse_anew(text, language)
        assert not isinstance(mine, Refusal), (language, mine)
        assert mine.root.descendant_count == root.descendant_count
        assert mine.root.has_error == root.has_error


def hostile() -> dict[str, Any]:
    """The document of the hostile set that takes the stage's work longest."""
    worst: dict[str, Any] = {"name": "", "seconds": 0.0}
    for name, (language, text) in CASES.items():
        source = text.encode()
        started = time.process_time()
        tree = parse_anew(source, language)
        if not isinstance(tree, Refusal):
            _ = survey(tree.outline), damage(tree)
        spent = time.process_time() - started
        if spent > worst["seconds"]:
            outcome = tree.reason if isinstance(tree, Refusal) else "parsed"
            worst = {
                "name": name,
                "seconds": round(spent, 2),
                "bytes": len(source),
                "language": language,
                "outcome": outcome,
            }
    return worst


def main() -> None:
    use_one_core()
    texts = sources()
    runs: dict[str, Callable[[], None]] = {}
    for language, part in texts.items():
        agree(language, part)
        runs |= {f"bare {language}": bare(language, part), f"ours {language}": ours(language, part)}
    seconds = measure(runs)
    total: Seconds = {
        kind: [sum(turn) for turn in zip(*(seconds[f"{kind} {language}"] for language in texts), strict=True)]
        for kind in ("bare", "ours")
    }
    times = {
        language: round(median(seconds[f"ours {language}"]) / median(seconds[f"bare {language}"]), 2)
        for language in texts
    }
    num_bytes = {language: sum(map(len, part)) for language, part in texts.items()}
    figures = {
        "ours_over_bare": round(median(total["ours"]) / median(total["bare"]), 2),
        "ours_over_bare_of": times,
        "mb_per_s": {kind: round(sum(num_bytes.values()) / median(values) / 1e6, 2) for kind, values in total.items()},
        "bytes_of": num_bytes,
        "left_out": sorted(set(LANGUAGES) - set(texts)),
        "seconds": spread(total),
        "worst_hostile": hostile(),
    }
    inputs = input_hash(*(text.decode() for part in texts.values() for text in part))
    report("syntax", {"bare_parse": median(total["bare"]) / median(total["ours"])}, figures, inputs, PACKAGES)


if __name__ == "__main__":
    main()
