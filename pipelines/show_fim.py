"""Samples with a hole of a few files, for people: what `loopdata fim` shows.

Enters: local files and the settings of a builder. Leaves: samples with what is known of their holes, and their text in
the order of the layout: special tokens in magenta, the middle in green, what is not learned dim. Nothing is written.
Limit: files are read whole, as UTF-8.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.text import Text

from loopdata.config import override, parse
from loopdata.errors import ConfigError
from loopdata.fim.file_level import FileBuilder
from loopdata.fim.repo_level import RepoBuilder
from loopdata.schema import document_schema, table_of
from loopdata.sources.row_files import ending_of
from loopdata.stage import Builder
from loopdata.syntax.file_language import of_file


@dataclass(frozen=True)
class ShownSample:
    """`segments` are (text, is special, is learned), in their order; the middle is the last but one."""

    path: str
    language: str | None
    level: str
    mode: str
    characters: int  # of the middle
    lines: int
    num_bytes: int  # of the sample's text
    context: list[str]  # the other files that it shows
    segments: list[tuple[str, bool, bool]]


def draw_samples(
    paths: Sequence[str], settings: Mapping[str, Any], sets: Sequence[str], seed: int, together: bool
) -> list[ShownSample]:
    """Samples with a hole of these files; all have one, unless the settings name a rate.

    ConfigError for a file that cannot be read, and for wrong settings.
    """
    settings = {**settings, "fim": {"rate": 1.0, **settings.get("fim", {})}}
    for item in sets:
        override(settings, item)
    kind: type[Builder] = RepoBuilder if together else FileBuilder
    builder = kind(parse(kind.Config, settings, ""), label="fim", seed=seed)
    table = table_of([_document(path) for path in paths], document_schema(RepoBuilder.needs))
    return [_shown(row) for row in _holed(builder, table)]


def _document(path: str) -> dict[str, Any]:
    if ending_of(path):
        raise ConfigError(f"{path} is a table", "--out FOLDER writes the samples of its rows")
    try:
        data = Path(path).read_bytes()
        text = data.decode()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", "name files, or a table with --out") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8", "a run decodes other encodings by its stage `clean`") from error
    row = {"doc_id": path, "path": path, "text": text, "language": of_file(path, data).language}
    return row | {"repo": "files", "category": "code", "split": "train", "use": "train"}


def _holed(builder: Builder, table: pa.Table) -> list[dict[str, Any]]:
    rows = [row for part in builder.render_parts(table) for row in part.to_pylist()]
    return [row for row in rows if row["fim"] and row["fim"]["kind"]]


def _shown(row: dict[str, Any]) -> ShownSample:
    middle = row["segments"][-2]["text"]
    return ShownSample(
        row["parents"][-1],
        row["language"],
        row["fim"]["kind"],
        row["fim"]["mode"],
        len(middle),
        middle.rstrip("\n").count("\n") + 1,
        row["num_bytes"],
        row["parents"][:-1],
        [(entry["text"], entry["special"], entry["loss"]) for entry in row["segments"]],
    )


def print_samples(found: Sequence[ShownSample], count: int, console: Console) -> None:
    """The first samples, and how many more there are."""
    for sample in found[:count]:
        head = f"{sample.path}  {sample.language or 'no language'}  {sample.level}.{sample.mode}  "
        head += f"middle of {sample.characters:,} characters, {sample.lines:,} lines; {sample.num_bytes:,} bytes in all"
        console.print(Text(head, style="bold"), soft_wrap=True)
        console.print(_coloured(sample), soft_wrap=True, highlight=False)
        console.print()
    rest = len(found) - min(count, len(found))
    last = f"{len(found):,} in all." if found else "No file has room for a hole, or none was drawn."
    console.print(f"{rest:,} more; --count shows them." if rest else last, style="dim")


def _coloured(sample: ShownSample) -> Text:
    text = Text()
    for at, (piece, special, learned) in enumerate(sample.segments):
        style = "magenta" if special else "bold green" if at == len(sample.segments) - 2 else "" if learned else "dim"
        text.append(piece, style)
    return text
