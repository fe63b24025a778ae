"""The `language` stage: the language of every document, by its name, and by its content where the name does not decide.

Enters: documents with `path` and `text`. Leaves: the same with `language`, which is never null (`Unknown` where nothing
speaks), without those that `keep` and `drop` leave out. Names are linguist's; how one is found is in
`loopdata.syntax.file_language`; one that the source declared stays. A language that content gave, other than the name
alone would have, is marked with what decided. Limit: the content of a file whose name one language has is not looked
at.
"""

from typing import Any, ClassVar

import pyarrow as pa
from pydantic import field_validator

from loopdata import schema
from loopdata.config import Strict, nearest
from loopdata.stage import Fate, Outcome, Stage
from loopdata.syntax import language_model, language_names
from loopdata.syntax.file_language import Named, of_file


class LanguageConfig(Strict):
    """`keep`: only these languages; `drop`: all but these; with both, a language must be kept and not dropped.
    `network`: where signs in the text do not decide, ask a small network (10 ms a document of such a name)."""

    keep: list[str] | None = None
    drop: list[str] | None = None
    network: bool = True

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
    version = 2
    Config = LanguageConfig
    needs: ClassVar[dict[str, pa.DataType]] = {name: schema.DOCUMENT[name] for name in ("doc_id", "path", "text")}
    adds: ClassVar[dict[str, pa.DataType]] = {"language": schema.DOCUMENT["language"]}

    def identity(self) -> dict[str, Any]:
        """With the versions of the network, which is no file of ours."""
        network = language_model.versions() if self.config.network else None
        return super().identity() | {"network": network}

    def apply(self, table: pa.Table) -> Outcome:
        """Name all, and drop the languages that are not wanted."""
        doc_ids, paths = table["doc_id"].to_pylist(), table["path"].to_pylist()
        texts = table["text"].cast(pa.large_binary())
        at = table.schema.get_field_index("language")
        declared = table["language"].to_pylist() if at >= 0 else [None] * table.num_rows
        named = [
            Named(name, "source") if name else of_file(path, memoryview(text.as_buffer() or b""), self.config.network)
            for name, path, text in zip(declared, paths, texts, strict=True)
        ]
        wanted = [self._wants(name.language) for name in named]
        fates = [
            fate
            for doc_id, path, name, keep in zip(doc_ids, paths, named, wanted, strict=True)
            if (fate := self._fate(doc_id, path, name, keep)) is not None
        ]
        column = pa.array([name.language for name in named], schema.DOCUMENT["language"])
        table = table.append_column("language", column) if at < 0 else table.set_column(at, "language", column)
        return Outcome(table if all(wanted) else table.filter(pa.array(wanted, pa.bool_())), fates)

    def _fate(self, doc_id: str, path: str | None, named: Named, wanted: bool) -> Fate | None:
        if not wanted:
            return Fate(doc_id, self.label, "dropped", "language", details=named.language)
        if named.by in ("source", "name", "usual") or named.language == language_names.of_path(path or ""):
            return None
        return Fate(doc_id, self.label, "marked", "by_content", details=f"{named.language} by {named.by}")

    def _wants(self, language: str) -> bool:
        keep, drop = self.config.keep, self.config.drop
        return (keep is None or language in keep) and (drop is None or language not in drop)
