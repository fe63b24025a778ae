"""One capability by itself on a table: the run file behind `loopdata dedup` or `loopdata fim`.

Enters: what the command line says. Leaves: a run file over one table, whose run folder lies in the output folder, so
that all that holds for a run holds here: resumption, the account, fates, any number of workers; and its errors, in the
words of the command line. Limit: the run folder holds a copy of the texts while it is kept; only what lies beside it is
needed afterwards.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from loopdata.config import override
from loopdata.errors import ConfigError, LoopdataError
from loopdata.storage import Folder
from pipelines.run_file import KEYS, RunFile, resolve

# What a run file calls it → what the command line calls it.
_WORDS = {
    r"\bunit '[^']*' of phase '[^']*' failed: ": "",
    r"\bcorpus\.near_dedup\.threshold\b": "--threshold",
    r"\brows\.to\b": "--out",
    r"\brows: ": "INPUT: ",
    r"\bthe source table\b": "INPUT",
    r"^(?=the path )": "INPUT: ",
    r"\bsamples\.fim\.fim\.rate\b": "--rate",
    r"\bsamples\.fim\.fim\.kinds\b": "--levels",
    r"\bsamples\.fim\.context\.max_bytes\b": "--context",
    r"\bsamples\.fim(\.|: )": "",  # the keys that --set takes
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
    file = _table_file(data, out, columns, [{"as_text": {}}, *stages])
    for item in sets:
        override(file, item)
    return _of_one_input(resolve(file))


def fim_file(
    data: str, out: str, settings: dict[str, Any], columns: Mapping[str, str | None], seed: int, sets: tuple[str, ...]
) -> RunFile:
    """The run file of `loopdata fim --out`: of whole repositories where a column names them.

    `settings` and `sets` are those of an entry under `samples`; `sets` may name keys of the run file too.
    """
    builder, named = "file", dict(columns)
    if columns.get("repo"):
        builder, named["path"] = "repo", columns.get("path") or "path"  # who imports whom is said in paths
    stages: list[dict[str, Any]] = [{"as_text": {"empty": "drop"}}, {"language": {}}]
    file = _table_file(data, out, named, stages) | {"seed": seed, "samples": {"fim": {"builder": builder, **settings}}}
    file["rows"]["of"] = "samples"
    for item in sets:
        override(file if item.partition("=")[0].partition(".")[0] in KEYS else file["samples"]["fim"], item)
    return _of_one_input(resolve(file))


def fim_settings(
    layout: str | None, rate: float | None, levels: str | None, context: int | None, together: bool
) -> dict[str, Any]:
    """An entry under `samples` without its builder. ConfigError for levels that are no `name=weight,…`."""
    given = {"layout": layout, "rate": rate, "kinds": levels and _weights(levels)}
    entry: dict[str, Any] = {
        "fim": {"spelling": "own"} | {key: value for key, value in given.items() if value is not None}
    }
    if context is not None and not together:
        raise ConfigError("--context has no meaning for files by themselves", "name repositories, or leave it out")
    return entry if context is None else entry | {"context": {"max_bytes": context}}


def _weights(levels: str) -> dict[str, float]:
    try:
        pairs = [entry.split("=") for entry in levels.split(",")]
        return {name.strip(): float(weight) for name, weight in pairs}
    except ValueError:
        raise ConfigError(f"--levels {levels}: expected name=weight,…", "as in --levels line=2,function=1") from None


def _of_one_input(file: RunFile) -> RunFile:
    """The run, unless its folder holds what came of another INPUT, which would be removed. ConfigError then."""
    folder, wanted = Folder(file.run), file.data["sources"]["table"]["path"]
    kept = yaml.safe_load(folder.read("run.yaml")) if folder.exists("run.yaml") else {}
    before = kept.get("sources", {}).get("table", {}).get("path", wanted)
    if before != wanted:
        raise ConfigError(f"--out holds what came of another INPUT, {before}", "write somewhere else, or remove it")
    return file


def _table_file(data: str, out: str, columns: Mapping[str, str | None], corpus: list[dict[str, Any]]) -> dict[str, Any]:
    """A run over one table, nothing of which is held out, that ends with rows in `out`."""
    if not data:
        raise ConfigError("INPUT is empty", "give a .parquet or .jsonl file, or a folder of them")
    if not out.strip("/"):
        raise ConfigError(f"--out '{out}' is no folder for rows", "give one that is empty or not there yet")
    named = {name: column for name, column in columns.items() if column is not None}
    return {
        "run": f"{out.rstrip('/')}/run",
        "sources": {"table": {"kind": "table", "path": data, "columns": named}},
        "split": {"valid": 0},
        "corpus": corpus,
        "rows": {"to": out},
    }
