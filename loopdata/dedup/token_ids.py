"""Runs before exact dedup by tokens: the identity of a document but for white space and comments.

Enters: documents with `text` and `language`. Leaves: the same with `token_id`, null for those without text. It runs in
the batches of the stages before it, so that a tree which `syntax` made is not made again. A document without a grammar,
without a tree or without a word has its lines for identity, trailing white space and blank lines apart: there,
indentation may mean something. Limit: a Type-1 clone in the sense of Roy and Cordy (2007), nothing looser.
"""

from typing import Any, ClassVar

import pyarrow as pa

from loopdata import schema
from loopdata.stage import Outcome, Stage
from loopdata.syntax import grammars
from loopdata.syntax.grammars import GRAMMARS
from loopdata.syntax.outline import outline
from loopdata.syntax.parse import Tree, parse


class TokenIds(Stage):
    """Adds `token_id`."""

    name = "token_ids"
    needs: ClassVar[dict[str, pa.DataType]] = {name: schema.DOCUMENT[name] for name in ("text", "language")}
    adds: ClassVar[dict[str, pa.DataType]] = {"token_id": pa.string()}

    def identity(self) -> dict[str, Any]:
        """All that the column depends on besides the documents."""
        return super().identity() | {"grammars": grammars.versions()}

    def apply(self, table: pa.Table) -> Outcome:
        """Every document stays."""
        texts, languages = table["text"].cast(pa.large_binary()), table["language"].to_pylist()
        ids = [token_id(text.as_py(), language) for text, language in zip(texts, languages, strict=True)]
        return Outcome(table.append_column("token_id", pa.array(ids, pa.string())))


def token_id(text: bytes | None, language: str | None) -> str | None:
    """By the tree where there is one, else by the lines; None for no text."""
    if text is None:
        return None
    tree = parse(text, language) if language in GRAMMARS else None
    found = outline(tree) if isinstance(tree, Tree) else None
    return found or schema.digest("lines", *filter(None, (line.rstrip() for line in text.split(b"\n"))))
