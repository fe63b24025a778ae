"""The `table` source: every row of Parquet or JSON-lines files is a document.

Enters: a file, or a folder of them, local or behind any fsspec URL. Leaves: one input a file, its rows in order, with
`content` from the text column in UTF-8, and with what other columns say of repository, path, commit, URL and language.
A row is named by its path, else its id, else its file and number. Columns under `carry` travel with their documents, so
that survivors can be ranked by them; all others stay behind: who writes rows again takes them from the file. A row
without text is a document without content. Limit: rows of one repository that do not lie together are judged as if they
were of several wherever a stage looks at repositories, and a change that keeps size and mtime of a file is not seen.
"""

import contextlib
import posixpath
from collections.abc import Iterator, Mapping
from typing import IO, Annotated, Any, ClassVar, Literal, NamedTuple

import fsspec
import pyarrow as pa
from pydantic import AfterValidator, Field

from loopdata import schema
from loopdata.config import Strict, nearest
from loopdata.errors import ConfigError, SourceError
from loopdata.sources.entries import Entry, batches
from loopdata.sources.globs import Globs, checked
from loopdata.sources.row_files import ENDINGS, Chunk, RowWriter, ending_of, open_rows
from loopdata.sources.trees import token_of
from loopdata.stage import Batch, Input, Source
from loopdata.syntax import language_names

Patterns = Annotated[list[str], AfterValidator(checked)]
_KINDS = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
_SPELLINGS = {name.lower(): name for name in language_names.languages()}


class Columns(Strict):
    """What the columns of the files are called. One that is named here must be there; of the others each is taken where
    a file has it under the name that it has here. Null: there is none."""

    text: str = "text"
    id: str | None = "id"
    repo: str | None = "repo"
    path: str | None = "path"
    commit: str | None = "commit"
    url: str | None = "url"
    language: str | None = "language"


class TableConfig(Strict):
    """`include` and `exclude` choose among the files of a folder. `carry` names further columns that stages may need,
    with what they hold."""

    path: str
    columns: Columns = Columns()
    carry: dict[str, Literal["text", "integer", "number", "boolean"]] = Field(default_factory=dict)
    include: Patterns = Field(default_factory=list)
    exclude: Patterns = Field(default_factory=list)
    category: str = Field(default="code", min_length=1)

    def identity(self) -> dict[str, Any]:
        """Without `path`: data that were moved are still the same data."""
        return {"config": self.model_dump(mode="json", exclude={"path"})}


class Placed(NamedTuple):
    """A row as an entry, and its number in the file."""

    number: int
    entry: Entry


class Table(Source):
    """Rows of files."""

    name = "table"
    Config: ClassVar[type[Strict]] = TableConfig

    def __init__(self, config: TableConfig, *, label: str) -> None:
        super().__init__(config, label=label)
        taken = sorted(set(config.carry) & set(schema.DOCUMENT))
        if taken:
            raise ConfigError(f"sources.{label}.carry: '{taken[0]}' is a column of every document", "leave it out")
        self.extra = {"language": schema.DOCUMENT["language"]} if config.columns.language else {}
        self.extra |= {name: _KINDS[kind] for name, kind in config.carry.items()}
        self._named = {name for name in config.columns.model_fields_set if getattr(config.columns, name)} | {"text"}

    def inputs(self) -> list[Input]:
        """One input a file. ConfigError where there is none, or a column is missing; SourceError for a broken one."""
        fs, root = _place(self.config.path)
        fs.invalidate_cache()
        is_file = fs.isfile(root)
        found = [posixpath.basename(root)] if is_file else [path[len(root) :].lstrip("/") for path in fs.find(root)]
        globs = Globs(self.config.include, self.config.exclude)
        names = sorted(name for name in found if globs.take(name) and (is_file or ending_of(name)))
        if not names:
            kinds = ", ".join(ENDINGS)
            raise ConfigError(f"the source {self.label} found no file {kinds} at {self.config.path}", "check the path")
        has_rows = [self._check(name) for name in names]
        if not any(has_rows):
            raise SourceError(f"the source {self.label} found no rows in {self.config.path}", "check the path")
        return [self._input(name) for name in names]

    def _input(self, name: str) -> Input:
        fs, path = self._file(name)
        info = fs.info(path)
        size = int(info.get("size") or 0)
        return Input(name, schema.digest(str(size), token_of(info)), size, None)

    def _file(self, name: str) -> tuple[Any, str]:
        """File system and path of an input."""
        fs, root = _place(self.config.path)
        return fs, root if fs.isfile(root) else f"{root}/{name}"

    def _check(self, name: str) -> bool:
        """Whether a file has rows. ConfigError for a column that is not there, or that holds something else."""
        with self.open(name) as stream, open_rows(stream, name) as file:
            columns = file.head()
        if columns is None:
            return False
        for ours, theirs in self._columns().items():
            where = f"{name}: the column '{theirs}'"
            if theirs in columns:
                kind = columns[theirs]
                if kind is not None and ours not in self.config.carry and not _is_text(kind):
                    raise ConfigError(f"{where} holds {kind}, not text", f"name another by `columns: {{{ours}: …}}`")
            elif ours in self._named or ours in self.config.carry:
                raise ConfigError(f"{where} is missing{nearest(theirs, list(columns))}")
        return True

    def _columns(self) -> dict[str, str]:
        """Our name of each column that is wanted → the name that it has in the files."""
        named = {ours: theirs for ours, theirs in self.config.columns.model_dump().items() if theirs}
        return named | {name: name for name in self.config.carry}

    def open(self, name: str) -> IO[bytes]:
        """The file of an input."""
        fs, path = self._file(name)
        stream: IO[bytes] = fs.open(path, "rb")
        return stream

    def read(self, item: Input) -> Iterator[Batch]:
        """The rows of one file. SourceError where it changed since it was planned, or breaks off."""
        placed = (row.entry for _, rows in self.rows(item) for row in rows)
        yield from batches(self.label, self.config.category, placed, schema.source_schema(self.extra))

    def rows(self, item: Input, whole: bool = False) -> Iterator[tuple[Chunk, list[Placed]]]:
        """Chunks of a file, `whole` with all columns, and what becomes of each row."""
        self._check_unchanged(item)
        wanted = self._columns()
        with self.open(item.name) as stream, open_rows(stream, item.name) as file:
            for chunk in file.chunks(None if whole else list(wanted.values())):
                yield chunk, self._placed(item.name, chunk, wanted)
        self._check_unchanged(item)

    @contextlib.contextmanager
    def rewritten(self, item: Input, sink: Any) -> Iterator[RowWriter]:
        """What writes rows of an input to `sink` in its own format."""
        with self.open(item.name) as stream, open_rows(stream, item.name) as file:
            writer = file.writer(sink)
        yield writer
        writer.close()

    def _check_unchanged(self, item: Input) -> None:
        if self._input(item.name) != item:
            raise SourceError(f"{item.name} of the source {self.label} changed since it was planned", "run again")

    def _placed(self, name: str, chunk: Chunk, wanted: Mapping[str, str]) -> list[Placed]:
        values = {ours: chunk.column(theirs) for ours, theirs in wanted.items()}
        rows = zip(chunk.numbers(), *values.values(), strict=True)
        return [self._entry(name, number, dict(zip(values, row, strict=True))) for number, *row in rows]

    def _entry(self, file: str, number: int, row: dict[str, Any]) -> Placed:
        where = f"{file}, row {number}"
        text = row.pop("text")
        content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        if content is not None and not isinstance(content, bytes):
            raise SourceError(f"{where}: the column '{self.config.columns.text}' holds {_kind(text)}, not text")
        carried = {name: _as(row.pop(name), kind, name, where) for name, kind in self.config.carry.items()}
        told = {name: _as(value, "text", self._columns()[name], where) for name, value in row.items()}
        if "language" in self.extra:
            carried["language"] = _SPELLINGS.get((told["language"] or "").lower())
        entry = Entry(
            told.get("repo"),
            told.get("path") or told.get("id") or f"{file}#{number}",
            f"{file}\0{number}",
            len(content or b""),
            content,
            commit=told.get("commit"),
            url=told.get("url"),
            extra=carried,
        )
        return Placed(number, entry)


def _place(url: str) -> tuple[Any, str]:
    """File system and path. ConfigError where there is nothing."""
    try:
        fs, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"no file system for the path {url}: {error}") from error
    if not fs.exists(root):
        raise ConfigError(f"the path {url} does not exist")
    return fs, root.rstrip("/")


def _is_text(kind: pa.DataType) -> bool:
    """Whether values of this type can be read as text: text itself, bytes, and whole numbers for ids."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary)
    return any(test(kind) for test in (*tests, pa.types.is_large_binary, pa.types.is_integer))


def _as(value: Any, kind: str, name: str, where: str) -> Any:
    """`value` as what it shall be; whole numbers are text or numbers too. SourceError for anything else."""
    if value is None or (kind == "boolean" and isinstance(value, bool)):
        return value
    whole = isinstance(value, int) and not isinstance(value, bool)
    if kind == "text" and (whole or isinstance(value, str | bytes)):
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        return text.encode("utf-8", "replace").decode()
    if kind == "number" and (whole or isinstance(value, float)):
        return float(value)
    if kind == "integer" and whole and -(1 << 63) <= value < 1 << 63:
        return value
    raise SourceError(f"{where}: the column '{name}' holds {_kind(value)}, not {kind}", "correct it or leave it out")


def _kind(value: Any) -> str:
    return {"str": "text", "list": "a list", "dict": "an object"}.get(type(value).__name__, f"the value {value!r:.60}")
