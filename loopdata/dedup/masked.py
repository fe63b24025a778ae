"""Runs before near dedup by masked identifiers: the text of a document with one word a token, and one name for all.

Enters: documents with `text` and `language`. Leaves: the same with `masked_text`, null for those without text. Every
identifier is the word `i`, so that a copy whose names were changed has the same words; every other token is a word of
its own, punctuation too, since names would else be all there is between grams. A document without a grammar or a tree
keeps its own words. It runs in the batches of the stages before it, so that nothing `syntax` parsed is parsed again.
Limit: types and called names are masked like all others, so that short files of one pattern become alike.
"""

import hashlib
from functools import lru_cache
from typing import Any, ClassVar

import pyarrow as pa

from loopdata import schema
from loopdata.stage import Outcome, Stage
from loopdata.syntax.grammars import GRAMMARS, grammar_versions
from loopdata.syntax.lexer import IDENTIFIER, tokens
from loopdata.syntax.parse import Tree, parse

MASKED = "masked_text"
_SHORT = 8  # bytes of a token that is spelled out


class MaskIdentifiers(Stage):
    """Adds `masked_text`."""

    name = "mask_identifiers"
    needs: ClassVar[dict[str, pa.DataType]] = {name: schema.DOCUMENT[name] for name in ("text", "language")}
    adds: ClassVar[dict[str, pa.DataType]] = {MASKED: pa.large_string()}

    def identity(self) -> dict[str, Any]:
        """With the versions of the grammars."""
        return super().identity() | {"grammars": grammar_versions()}

    def apply(self, table: pa.Table) -> Outcome:
        """Every document stays."""
        texts, languages = table["text"].cast(pa.large_binary()), table["language"].to_pylist()
        masked = [mask(text.as_py(), language) for text, language in zip(texts, languages, strict=True)]
        column = pa.array(masked, pa.large_binary()).view(pa.large_string())
        return Outcome(table.append_column(MASKED, column))


def mask(text: bytes | None, language: str | None) -> bytes | None:
    """Words with spaces between them; the text itself where there is no tree of it."""
    tree = parse(text, language) if text is not None and language in GRAMMARS else None
    if not isinstance(tree, Tree):
        return text
    found = tokens(tree)
    places = zip(found.starts.tolist(), found.ends.tolist(), found.kinds.tolist(), strict=True)
    return b" ".join(b"i" if kind == IDENTIFIER else _word(tree.source[start:end]) for start, end, kind in places)


@lru_cache(maxsize=1 << 16)
def _short_word(token: bytes) -> bytes:
    return token if token.isalnum() else b"x" + token.hex().encode()


def _word(token: bytes) -> bytes:
    """One word for a token that is no identifier; of long ones, of which few return, none is remembered."""
    if len(token) <= _SHORT:
        return _short_word(token)
    return b"h" + hashlib.blake2b(token, digest_size=8).hexdigest().encode()
