"""The `syntax` stage: whether a file is whole in its language, and what it is made of.

Enters: documents with `text` and `language`. Leaves: the same with the columns `ast_*`, without those that the grammar
of their language could not read. A column is null where there is no grammar, or no tree because the parse was refused
(size, work, depth, time, hostile shapes), which is a mark and not a drop unless asked for. The error share is that of
`loopdata.syntax.damage`; how much of it is too much differs by language, since some grammars fail on valid files. A
document born from another (a code block of a page) is judged as a fragment: as the inside of a function, class or file,
where it reads better so. Limit: a file without errors may still be nonsense.
"""

from typing import Any, ClassVar, Literal, NamedTuple

import pyarrow as pa
from pydantic import Field, field_validator

from loopdata import schema
from loopdata.config import Strict, nearest
from loopdata.stage import Fate, Outcome, Stage
from loopdata.syntax.damage import damage
from loopdata.syntax.fragments import best_reading
from loopdata.syntax.grammars import GRAMMARS, grammar_versions
from loopdata.syntax.parse import Limits, Refusal, Tree, forget, parse
from loopdata.syntax.survey import survey

COLUMNS = {
    "ast_error_share": pa.float64(),
    "ast_functions": pa.int64(),
    "ast_classes": pa.int64(),
    "ast_comment_share": pa.float64(),  # of bytes
    "ast_imports": pa.int64(),
    "ast_function_depth": pa.int64(),  # functions within functions: 1 where none contains another
    "ast_class_depth": pa.int64(),
}
# Set by reading what would be dropped of real files, and by texts of other languages (docs/log.md). Null: the errors of
# this grammar say little: macros of C, templates in HTML, dialects of SQL, gaps of Kotlin, zsh; Markdown has none.
DEFAULT_SHARES: dict[str, float | None] = {
    "C": None,
    "C++": 0.6,
    "HTML": None,
    "Haskell": 0.5,
    "Kotlin": None,
    "Markdown": None,
    "SQL": None,
    "Shell": None,
}


class ParseConfig(Strict):
    """What may be parsed: bytes of a text, nodes from the root to the deepest leaf (a query sees no deeper)."""

    max_bytes: int = Field(default=Limits().max_bytes, ge=0)
    max_depth: int = Field(default=Limits().max_depth, ge=1, le=60_000)

    def limits(self) -> Limits:
        """The same for `parse`."""
        return Limits(max_bytes=self.max_bytes, max_depth=self.max_depth)


class SyntaxConfig(ParseConfig):
    """Shares are of bytes, 0 to 1; a value on the threshold is kept. Null switches a rule off."""

    max_error_share: float | None = Field(default=0.3, ge=0, le=1)
    max_error_share_of: dict[str, float | None] = Field(default_factory=DEFAULT_SHARES.copy)  # by language, over ours
    max_error_share_of_fragments: float | None = Field(default=0.3, ge=0, le=1)
    fragments: Literal["born", "all", "none"] = "born"  # which documents are fragments: those with a parent
    refused: Literal["mark", "drop"] = "mark"

    @field_validator("max_error_share_of")
    @classmethod
    def _known(cls, shares: dict[str, float | None]) -> dict[str, float | None]:
        for name, share in shares.items():
            if name not in GRAMMARS:
                raise ValueError(f"there is no grammar of '{name}'{nearest(name, list(GRAMMARS))}")
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"a share lies between 0 and 1, not {share}")
        return DEFAULT_SHARES | shares


class Found(NamedTuple):
    """One row of the columns, in their order."""

    error_share: float | None = None
    functions: int | None = None
    classes: int | None = None
    comment_share: float | None = None
    imports: int | None = None
    function_depth: int | None = None
    class_depth: int | None = None


class Syntax(Stage):
    """Parses documents and drops what is broken."""

    name = "syntax"
    version = 3
    Config = SyntaxConfig
    categories = frozenset({"code"})
    needs: ClassVar[dict[str, pa.DataType]] = {
        name: schema.DOCUMENT[name] for name in ("doc_id", "parent", "category", "text", "language")
    }
    adds: ClassVar[dict[str, pa.DataType]] = COLUMNS

    def __init__(self, config: Strict | None = None, *, label: str = "", seed: int = 0) -> None:
        super().__init__(config, label=label, seed=seed)
        self.limits = self.config.limits()

    def identity(self) -> dict[str, Any]:
        """With the versions of the grammars."""
        return super().identity() | {"grammars": grammar_versions()}

    def apply(self, table: pa.Table) -> Outcome:
        """Parse every document of a language with a grammar, and judge it."""
        forget()  # the trees of the batch before
        columns = [table[name].to_pylist() for name in ("doc_id", "language", "parent")]
        texts = table["text"].cast(pa.large_binary())
        fates: list[Fate] = []
        found = [
            self._found(doc_id, text.as_py(), language, parent is not None, fates)
            for doc_id, language, parent, text in zip(*columns, texts, strict=True)
        ]
        dropped = {fate.subject for fate in fates if fate.fate == "dropped"}
        for name, values in zip(COLUMNS, zip(*found, strict=True) if found else ((),) * len(COLUMNS), strict=True):
            table = table.append_column(name, pa.array(values, COLUMNS[name]))
        kept = pa.array([doc_id not in dropped for doc_id in columns[0]], pa.bool_())
        return Outcome(table.filter(kept) if dropped else table, fates)

    def _found(
        self, doc_id: str, text: bytes | None, language: str | None, has_parent: bool, fates: list[Fate]
    ) -> Found:
        """The columns of one document; what ends or marks it goes to `fates`."""
        if text is None or language not in GRAMMARS:
            return Found()
        tree = parse(text, language, self.limits)
        if isinstance(tree, Refusal):
            fate = "dropped" if self.config.refused == "drop" else "marked"
            fates.append(Fate(doc_id, self.label, fate, "parse_refused", tree.value, tree.limit, details=tree.reason))
            return Found()
        return self._judged(doc_id, tree, self._is_fragment(has_parent), fates)

    def _is_fragment(self, has_parent: bool) -> bool:
        return self.config.fragments == "all" or (self.config.fragments == "born" and has_parent)

    def _judged(self, doc_id: str, tree: Tree, fragment: bool, fates: list[Fate]) -> Found:
        share = damage(tree).share
        if fragment and share > 0:
            share = min(share, best_reading(tree.source, tree.language, self.limits))
        limit = self._limit(tree.language, fragment)
        if limit is not None and share > limit:
            rule = "fragment_error_share" if fragment else "error_share"
            fates.append(Fate(doc_id, self.label, "dropped", rule, share, limit, details=tree.language))
        counts = survey(tree.outline)
        comments = counts.comment_bytes / max(len(tree.source), 1)
        return Found(
            share, counts.functions, counts.classes, comments, counts.imports, counts.function_depth, counts.class_depth
        )

    def _limit(self, language: str, fragment: bool) -> float | None:
        config: SyntaxConfig = self.config
        general = config.max_error_share_of_fragments if fragment else config.max_error_share
        return config.max_error_share_of.get(language, general)
