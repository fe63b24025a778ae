"""One capability by itself on a table: the run file behind a command such as `loopdata dedup`.

Enters: what the command line says. Leaves: a run file over one table, whose run folder lies in the output folder, so
that all that holds for a run holds here: resumption, the account, fates, any number of workers; and its errors, in the
words of the command line. Limit: the run folder holds a copy of the texts while it is kept; nothing but the rows and
`fates.parquet` is needed afterwards.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from loopdata.config import override
from loopdata.errors import ConfigError, LoopdataError
from pipelines.run_file import RunFile, resolve

# What a run file calls it → what the command line calls it.
_WORDS = {
    r"\bunit '[^']*' of phase '[^']*' failed: ": "",
    r"\bcorpus\.near_dedup\.threshold\b": "--threshold",
    r"\brows\.to\b": "--out",
    r"\brows: ": "INPUT: ",
    r"\bthe source table\b": "INPUT",
    r"^(?=the path )": "INPUT: ",
    r"`columns: \{(text|id|repo|path|language): …\}`": r"--\1",
}


@contextlib.contextmanager
def words_of_the_command() -> Iterator[None]:
    """Errors that speak of keys of the run file, which nobody wrote, speak of arguments and options instead."""
    try:
        yield
    except LoopdataError as error:
        for written, said in _WORDS.items():
            error.message, error.remedy = (re.sub(written, said, part) for part in (error.message, error.remedy))
        raise


def dedup_file(
    data: str, out: str, kind: str, threshold: float | None, columns: Mapping[str, str | None], sets: tuple[str, ...]
) -> RunFile:
    """The run file of `loopdata dedup`. ConfigError for a wrong value."""
    stages: list[dict[str, Any]] = [{"exact_dedup": {"inside_kept_repo": "drop"}}]
    if kind == "near":
        given = {} if threshold is None else {"threshold": threshold}
        stages.append({"near_dedup": {"inside_kept_repo": "drop"} | given})
    elif threshold is not None:
        raise ConfigError(f"--threshold has no meaning for --kind {kind}", "leave it out, or take --kind near")
    if kind == "tokens":
        stages += [{"language": {}}, {"exact_dedup": {"by": "tokens", "inside_kept_repo": "drop"}, "as": "token_dedup"}]
    return _table_file(data, out, columns, [{"as_text": {}}, *stages], sets)


def _table_file(
    data: str, out: str, columns: Mapping[str, str | None], corpus: list[dict[str, Any]], sets: tuple[str, ...]
) -> RunFile:
    """A run over one table, nothing of which is held out, that ends with its rows in `out`."""
    if not data:
        raise ConfigError("INPUT is empty", "give a .parquet or .jsonl file, or a folder of them")
    if not out.strip("/"):
        raise ConfigError(f"--out '{out}' is no folder for rows", "give one that is empty or not there yet")
    named = {name: column for name, column in columns.items() if column is not None}
    file: dict[str, Any] = {
        "run": f"{out.rstrip('/')}/run",
        "sources": {"table": {"kind": "table", "path": data, "columns": named}},
        "split": {"valid": 0},
        "corpus": corpus,
        "rows": {"to": out},
    }
    for item in sets:
        override(file, item)
    return resolve(file)
