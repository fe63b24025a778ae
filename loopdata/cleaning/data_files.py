"""The `data_files` stage: of files that hold data a sample stays, by repository, shape and size.

Enters: documents with `text` and `language`, repository by repository. Leaves: the same without most of the data files
(`data_kinds` tells them from configuration, which stays). Tables are cut to their first records. Then in this order:
what is too large goes; of the rest a share by language stays, drawn by document; of those of one shape in one folder,
and of one shape and name in one repository, a few; of a repository no more than a number. The lowest draws stay
everywhere, so that a larger share or number only ever adds. The shares are a choice, not a finding. Limit: a repository
that comes in several views is counted view by view.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar, NamedTuple

import pyarrow as pa
from pydantic import Field, field_validator

from loopdata import schema
from loopdata.cleaning.data_kinds import TABLES, is_data, is_lines, shape
from loopdata.config import Strict, nearest
from loopdata.stage import Between, Fate, Outcome, Stage, unit_interval

DEFAULT_SHARES = {
    "CSV": 0.2,
    "Gettext Catalog": 0.1,
    "JSON": 0.2,
    "SQL": 0.2,
    "SVG": 0.1,
    "TSV": 0.2,
    "XML": 0.2,
    "YAML": 0.5,
}


_ALMOST_ALL = 0.9999


class DataFilesConfig(Strict):
    """Null switches a rule off. `keep_share` is by language, over ours; a language with 1 is only held to the other
    rules. Bytes are those of the text in UTF-8, `max_records` are the lines of a table or of JSON lines that stay."""

    keep_share: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=DEFAULT_SHARES.copy)
    max_bytes: int | None = Field(default=100_000, ge=1)
    max_records: int | None = Field(default=200, ge=1)
    same_shape: int | None = Field(default=3, ge=1)
    max_per_repo: int | None = Field(default=100, ge=1)

    @field_validator("keep_share")
    @classmethod
    def _known(cls, shares: dict[str, float]) -> dict[str, float]:
        for name in shares:
            if name not in DEFAULT_SHARES:
                raise ValueError(f"there is no rule for data in '{name}'{nearest(name, list(DEFAULT_SHARES))}")
        return DEFAULT_SHARES | shares


class _File(NamedTuple):
    """A data file: its row, and the draw that decides about it."""

    draw: float
    doc_id: str
    row: int
    repo: str | None
    path: str
    language: str
    text: str
    num_bytes: int


class DataFiles(Stage):
    """Keeps a sample of data files."""

    name = "data_files"
    version = 2
    scope = "repo"
    categories = frozenset({"code"})
    Config = DataFilesConfig
    needs: ClassVar[dict[str, pa.DataType]] = {
        name: schema.DOCUMENT[name]
        for name in ("doc_id", "category", "repo", "path", "text", "text_id", "language", "num_bytes")
    }

    def expected_drops(self) -> dict[str, Between]:
        """A sample is meant to be small; that nothing of a language stays is not meant."""
        return {language: (0.0, _ALMOST_ALL) for language, share in self.config.keep_share.items() if share < 1}

    def apply(self, table: pa.Table) -> Outcome:
        """Cut tables, and drop what the rules leave out."""
        fates: list[Fate] = []
        files = [self._cut(file, fates) for file in self._files(table)]
        whole = table["text"].to_pylist() if any(fate.fate == "edited" for fate in fates) else None
        if whole is not None:
            for file in files:
                whole[file.row] = file.text
            table = _with_texts(table, whole, {file.row: file for file in files})
        ended = list(self._ended(sorted(files)))
        rows = {file.row for file, _ in ended}
        fates += [fate for _, fate in sorted(ended, key=lambda pair: pair[0].row)]
        return Outcome(
            table.filter(pa.array([row not in rows for row in range(table.num_rows)])) if rows else table, fates
        )

    def _files(self, table: pa.Table) -> Iterator[_File]:
        """The data files of a table."""
        columns = (table[name].to_pylist() for name in ("doc_id", "repo", "path", "language", "num_bytes"))
        for row, (doc_id, repo, path, language, num_bytes) in enumerate(zip(*columns, strict=True)):
            if language not in self.config.keep_share:
                continue
            text = table["text"][row].as_py() or ""
            if is_data(path or "", language, text):
                draw = unit_interval(self.seed, self.label, doc_id)
                yield _File(draw, doc_id, row, repo, path or "", language, text, num_bytes or 0)

    def _cut(self, file: _File, fates: list[Fate]) -> _File:
        """The head of a table that is longer than it may be."""
        limit = self.config.max_records
        if limit is None or not is_lines(file.path, file.language):
            return file
        lines = file.text.count("\n") + (not file.text.endswith("\n"))
        if lines <= limit:
            return file
        text = first_records(file.text, limit, quoted=file.language in TABLES)
        if len(text) == len(file.text):
            return file
        fates.append(Fate(file.doc_id, self.label, "edited", "table_head", lines, limit, details=file.language))
        return file._replace(text=text, num_bytes=len(text.encode()))

    def _ended(self, files: Iterable[_File]) -> Iterator[tuple[_File, Fate]]:
        """The files that go, in the order of their draws, the lowest first."""
        config: DataFilesConfig = self.config
        seen: Counter[tuple[str | None, ...]] = Counter()

        def end(file: _File, rule: str, value: float, threshold: float) -> tuple[_File, Fate]:
            return file, Fate(file.doc_id, self.label, "dropped", rule, value, threshold, details=file.language)

        for file in files:
            share = config.keep_share[file.language]
            if config.max_bytes is not None and file.num_bytes > config.max_bytes:
                yield end(file, "too_large", file.num_bytes, config.max_bytes)
                continue
            if file.draw >= share:
                yield end(file, "keep_share", file.draw, share)
                continue
            groups = self._groups(file)
            twins = max((seen[group] for group in groups), default=0)
            if config.same_shape is not None and twins >= config.same_shape:
                yield end(file, "same_shape", twins + 1, config.same_shape)
            elif config.max_per_repo is not None and file.repo and seen[file.repo,] >= config.max_per_repo:
                yield end(file, "max_per_repo", seen[file.repo,] + 1, config.max_per_repo)
            else:
                seen.update([(file.repo,), *groups])

    def _groups(self, file: _File) -> list[tuple[str, ...]]:
        """What files of one shape are counted by: their folder, and their name."""
        if self.config.same_shape is None or file.repo is None:
            return []
        folder, _, name = file.path.rpartition("/")
        kind = shape(file.language, file.text)
        return [(file.repo, "folder", folder, kind), (file.repo, "name", name, kind)]


def first_records(text: str, count: int, quoted: bool) -> str:
    """The first lines of a table, as many as there may be. Where line ends may be `quoted` (in CSV, never in JSON), a
    line inside quotes that are still open is not the last."""
    at = lines = quotes = 0
    while at < len(text):
        stop = text.find("\n", at) + 1 or len(text)
        quotes += text.count('"', at, stop) if quoted else 0
        at, lines = stop, lines + 1
        if lines >= count and (quotes % 2 == 0 or lines >= 2 * count):
            break
    return text[:at]


def _with_texts(table: pa.Table, texts: list[str], files: dict[int, _File]) -> pa.Table:
    """`table` with texts, and ids and sizes for those that were cut."""
    ids, sizes = table["text_id"].to_pylist(), table["num_bytes"].to_pylist()
    for row, file in files.items():
        if sizes[row] != file.num_bytes:
            ids[row], sizes[row] = schema.text_id(file.text), file.num_bytes
    columns = {"text": texts, "text_id": ids, "num_bytes": sizes}
    for name, values in columns.items():
        column = pa.array(values, schema.DOCUMENT[name])
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table
