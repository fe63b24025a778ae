"""What cleaning does to every byte: patterns, statistics of lines and characters, and the whole `secrets` stage.

Enters: some megabytes of Python sources of this machine. Leaves: CPU seconds of ten patterns in a row, each over every
text, by RE2 behind their literals, by RE2 alone and by `re` over the same bytes; of `line_statistics.measure` and of
plain Python that says the same; and the throughput of the stage `secrets`, by what it does. All outputs are compared
first. The targets are 8 times `re` and 10 times plain Python. Run by `python -m benchmarks.clean [--save]`. Limit:
texts of one language.
"""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from benchmarks.contenders import measure, median, source_files, spread, use_one_core
from benchmarks.harness import input_hash, report
from loopdata import schema
from loopdata.cleaning import secrets
from loopdata.cleaning.line_statistics import measure as statistics_of
from loopdata.cleaning.patterns import Sought, compiled
from tests.cleaning.test_line_statistics import expected as plain_statistics
from tests.cleaning.test_line_statistics import rows

MAX_BYTES = 8_000_000
PACKAGES = ("google-re2", "numpy", "pyarrow", "tree-sitter")
# Each with the literal that all its matches hold, where there is one.
PATTERNS = (
    (b"@", rb"[A-Za-z0-9][A-Za-z0-9._%+'-]*@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)+"),
    (b"", rb"[0-9]{1,3}(?:\.[0-9]{1,3}){3,}"),
    (b"://", rb"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://([^\s:/@\"'<>`]{0,64}):([^\s/@\"'<>`]{3,128})@"),
    (b"", rb"(?i)passw(?:or)?d|passphrase|pwd|secret|token|credential|(?:api|access|auth|private)[_. -]?key"),
    (b"", rb"\bA(?:KIA|SIA)[A-Z0-9]{16}\b"),
    (b"", rb"\bgh[oprsu]_[A-Za-z0-9]{36,}\b"),
    (b"xox", rb"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    (b"AIza", rb"\bAIza[A-Za-z0-9_-]{35}"),
    (b".eyJ", rb"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}"),
    (b"PRIVATE KEY", rb"-----BEGIN (?:[A-Z0-9]{2,10} ){0,3}PRIVATE KEY(?: BLOCK)?-----"),
)
Spans = Iterator[list[tuple[int, int]]]


def spans(patterns: list[Any], texts: list[bytes]) -> Spans:
    """Where each pattern matches in each text; both engines have the same methods."""
    for text in texts:
        for pattern in patterns:
            yield [match.span() for match in pattern.finditer(text)]


def documents(texts: list[str]) -> pa.Table:
    """As the stage gets them."""
    rows = [
        {"doc_id": str(at), "path": "a.py", "language": "Python", "text": text, "num_bytes": len(text.encode())}
        for at, text in enumerate(texts)
    ]
    return schema.table_of(
        rows, schema.document_schema({name: schema.DOCUMENT[name] for name in secrets.Secrets.needs})
    )


def shares(stage: secrets.Secrets, table: pa.Table) -> dict[str, float]:
    """Seconds of each finder, and of the parse that checks the placeholders, within one call of the stage."""
    spent: dict[str, float] = {}

    def timed(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            started = time.process_time()
            result = original(*arguments)
            result = result if isinstance(result, bool) else list(result)
            spent[name] = spent.get(name, 0.0) + time.process_time() - started
            return result

        return run

    names = [name for name in vars(secrets) if name.startswith("find_")] + ["_breaks"]
    originals = {name: getattr(secrets, name) for name in names}
    for name, original in originals.items():
        setattr(secrets, name, timed(name, original))
    started = time.process_time()
    stage.apply(table)
    whole = time.process_time() - started
    for name, original in originals.items():
        setattr(secrets, name, original)
    return {name: round(seconds / whole, 3) for name, seconds in sorted(spent.items())}


def main() -> None:
    use_one_core()
    strings = source_files(MAX_BYTES, step=13)
    texts = [text.encode() for text in strings]
    column, table, stage = pa.array(strings, pa.large_string()), documents(strings), secrets.Secrets()
    ours = [Sought(literal, compiled(pattern)) for literal, pattern in PATTERNS]
    bare, theirs = [sought.pattern for sought in ours], [re.compile(pattern) for _, pattern in PATTERNS]
    assert list(spans(ours, texts)) == list(spans(bare, texts)) == list(spans(theirs, texts))
    assert rows(statistics_of(column)) == [plain_statistics(text) for text in strings]
    seconds = measure(
        {
            "patterns": lambda: list(spans(ours, texts)),
            "patterns without literals": lambda: list(spans(bare, texts)),
            "patterns re": lambda: list(spans(theirs, texts)),
            "statistics": lambda: statistics_of(column),
            "statistics python": lambda: [plain_statistics(text) for text in strings],
            "secrets": lambda: stage.apply(table),
        }
    )
    size = sum(map(len, texts))
    outcome = stage.apply(table)
    figures = {
        "bytes": size,
        "documents": len(texts),
        "mb_per_s": {name: round(size / median(values) / 1e6, 1) for name, values in seconds.items()},
        "documents_edited": len({fate.subject for fate in outcome.fates}),
        "shares_of_secrets": shares(stage, table),
        "seconds": spread(seconds),
    }
    ratios = {
        "re": median(seconds["patterns re"]) / median(seconds["patterns"]),
        "python_statistics": median(seconds["statistics python"]) / median(seconds["statistics"]),
    }
    report("clean", ratios, figures, input_hash(*strings), PACKAGES)


if __name__ == "__main__":
    main()
