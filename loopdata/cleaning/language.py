"""The `language` stage: the language of every document, by its name and first line.

Enters: documents with `path` and `text`. Leaves: the same with `language`, which is never null (`Unknown` where the
name says nothing), without those that `keep` and `drop` leave out. Names are linguist's; one that the source declared
stays. Limit: content decides nothing
yet, so that `.h` is always C and a text file without an extension is Unknown.
"""

from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import field_validator

from loopdata import schema
from loopdata.config import Strict, nearest
from loopdata.stage import Fate, Outcome, Stage
from loopdata.syntax import language_names

_FIRST_CHARACTERS = 512


class LanguageConfig(Strict):
    """`keep`: only these languages; `drop`: all but these; with both, a language must be kept and not dropped."""

    keep: list[str] | None = None
    drop: list[str] | None = None

    @field_validator("keep", "drop")
    @classmethod
    def _known(cls, names: list[str] | None) -> list[str] | None:
        known = [*sorted(language_names.languages()), language_names.UNKNOWN]
        for name in names or ():
            if name not in known:
                raise ValueError(f"there is no language '{name}'{nearest(name, known)}")
        return names


class Language(Stage):
    """Names the language of documents."""

    name = "language"
    Config = LanguageConfig
    needs: ClassVar[dict[str, pa.DataType]] = {name: schema.DOCUMENT[name] for name in ("doc_id", "path", "text")}
    adds: ClassVar[dict[str, pa.DataType]] = {"language": schema.DOCUMENT["language"]}

    def apply(self, table: pa.Table) -> Outcome:
        """Name all, and drop the languages that are not wanted."""
        starts = pc.utf8_slice_codeunits(table["text"], 0, _FIRST_CHARACTERS).to_pylist()
        at = table.schema.get_field_index("language")
        declared = table["language"].to_pylist() if at >= 0 else [None] * table.num_rows
        names = [
            name or language_names.of_file(path, start or "")
            for name, path, start in zip(declared, table["path"].to_pylist(), starts, strict=True)
        ]
        wanted = [self._wants(name) for name in names]
        fates = [
            Fate(doc_id, self.label, "dropped", "language", details=name)
            for doc_id, name, keep in zip(table["doc_id"].to_pylist(), names, wanted, strict=True)
            if not keep
        ]
        column = pa.array(names, schema.DOCUMENT["language"])
        named = table.append_column("language", column) if at < 0 else table.set_column(at, "language", column)
        return Outcome(named.filter(pa.array(wanted, pa.bool_())) if fates else named, fates)

    def _wants(self, language: str) -> bool:
        keep, drop = self.config.keep, self.config.drop
        return (keep is None or language in keep) and (drop is None or language not in drop)
