"""The `heuristics` stage: rules on lines, characters and words, which need nothing but the bytes of a text.

Enters: documents with `text` and `language`. Leaves: the same without those that a rule hits; the first one ends a
document, and its fate names the rule, the value and the threshold. A measure takes a `Batch` and gives a number for
each document; lengths are in characters, shares between 0 and 1. To add a rule: write the measure, put it into MEASURES
at its place (cheap ones first), and give it a threshold in `presets`. Limit: shares of a short text say little, and no
rule here knows what a text means; those that ask for a tree are in `syntax_heuristics`.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loopdata import schema
from loopdata.cleaning.encoded import Encoded, encoded
from loopdata.cleaning.html_text import html_text
from loopdata.cleaning.line_statistics import Statistics, measure, text_bytes
from loopdata.cleaning.repetition import duplicate_lines as lines_with_twins
from loopdata.cleaning.repetition import top_grams, word_counts
from loopdata.cleaning.rules import RulesConfig, RuleStage
from loopdata.stage import Fate, Outcome
from loopdata.syntax.language_names import UNKNOWN

Bools = npt.NDArray[np.bool_]
Values = npt.NDArray[Any]


class Batch:
    """Documents and what is measured of them, once, when a rule first asks.

    Costly measures leave out documents that are no longer `open`, since a rule before has ended them.
    """

    def __init__(self, texts: pa.Array, languages: list[str]) -> None:
        self.texts = texts
        self.languages = languages
        self.open = np.ones(len(languages), np.bool_)

    @cached_property
    def statistics(self) -> Statistics:
        """Lines and characters."""
        return measure(self.texts)

    @cached_property
    def top_grams(self) -> Values:
        """Shares of the most frequent gram of 2, 3 and 4 words."""
        return top_grams(*text_bytes(self.texts), self.open)

    @cached_property
    def encoded(self) -> Encoded:
        """Runs of encoded data."""
        return encoded(*text_bytes(self.texts), self.open)

    @cached_property
    def html_text(self) -> Values:
        """Visible characters of HTML."""
        is_html = np.array([language == "HTML" for language in self.languages], np.bool_)
        return html_text(*text_bytes(self.texts), self.open & is_html)


def bytes_(batch: Batch) -> Values:
    """Bytes of the text in UTF-8."""
    return np.diff(text_bytes(batch.texts)[1])


def characters(batch: Batch) -> Values:
    """Characters."""
    return batch.statistics.characters


def lines(batch: Batch) -> Values:
    """Lines."""
    return batch.statistics.lines


def longest_line(batch: Batch) -> Values:
    """Characters of the longest line."""
    return batch.statistics.longest_line


def long_lines(batch: Batch) -> Values:
    """Share of the characters in lines of more than 1,000."""
    return _share(batch.statistics.in_long_lines, batch.statistics.characters)


def mean_line(batch: Batch) -> Values:
    """Characters of a line in the mean, line ends left out."""
    return batch.statistics.mean_line


def alphabetic(batch: Batch) -> Values:
    """Share of letters."""
    return _share(batch.statistics.letters, batch.statistics.characters)


def visible_alphabetic(batch: Batch) -> Values:
    """Share of letters among what is not white space."""
    return _share(batch.statistics.letters, _visible(batch))


def alphanumeric(batch: Batch) -> Values:
    """Share of letters and digits."""
    return _share(batch.statistics.alphanumeric, batch.statistics.characters)


def visible_digits(batch: Batch) -> Values:
    """Share of digits among what is not white space."""
    return _share(batch.statistics.digits, _visible(batch))


def whitespace(batch: Batch) -> Values:
    """Share of white space."""
    return _share(batch.statistics.blanks, batch.statistics.characters)


def hexadecimal(batch: Batch) -> Values:
    """Share of the characters of words such as 0x1F."""
    return _share(batch.statistics.hexadecimal, batch.statistics.characters)


def words(batch: Batch) -> Values:
    """Words."""
    return word_counts(*text_bytes(batch.texts), batch.open)


def duplicate_lines(batch: Batch) -> Values:
    """Share of lines with a twin."""
    return lines_with_twins(*text_bytes(batch.texts), batch.open)


def top_2grams(batch: Batch) -> Values:
    """Share of the most frequent pair of words."""
    return np.asarray(batch.top_grams[0])


def top_3grams(batch: Batch) -> Values:
    """Share of the most frequent three words."""
    return np.asarray(batch.top_grams[1])


def top_4grams(batch: Batch) -> Values:
    """Share of the most frequent four words."""
    return np.asarray(batch.top_grams[2])


def longest_encoded(batch: Batch) -> Values:
    """Characters of the longest run of encoded data."""
    return batch.encoded.longest


def encoded_share(batch: Batch) -> Values:
    """Share of encoded data."""
    return _share(batch.encoded.total, batch.statistics.characters)


def html_visible(batch: Batch) -> Values:
    """Characters of HTML that a reader sees; none for other languages."""
    return batch.html_text


def html_visible_share(batch: Batch) -> Values:
    """Share of HTML that a reader sees; none for other languages."""
    return _share(batch.html_text, batch.statistics.characters)


MEASURES: dict[str, Callable[[Batch], Values]] = {
    "bytes": bytes_,
    "characters": characters,
    "lines": lines,
    "longest_line": longest_line,
    "long_lines": long_lines,
    "mean_line": mean_line,
    "alphabetic": alphabetic,
    "visible_alphabetic": visible_alphabetic,
    "alphanumeric": alphanumeric,
    "visible_digits": visible_digits,
    "whitespace": whitespace,
    "hexadecimal": hexadecimal,
    "longest_encoded": longest_encoded,
    "encoded": encoded_share,
    "html_text": html_visible,
    "html_text_share": html_visible_share,
    "words": words,
    "duplicate_lines": duplicate_lines,
    "top_2grams": top_2grams,
    "top_3grams": top_3grams,
    "top_4grams": top_4grams,
}


def _visible(batch: Batch) -> Values:
    return batch.statistics.characters - batch.statistics.blanks


def _share(part: Values, whole: Values) -> Values:
    """Parts of wholes; NaN, which no rule hits, where there is nothing."""
    return part / np.where(whole == 0, np.nan, whole)


class HeuristicsConfig(RulesConfig):
    """Rules on bytes."""

    measures = tuple(MEASURES)


class Heuristics(RuleStage):
    """Drops documents by rules on their bytes."""

    name = "heuristics"
    Config = HeuristicsConfig
    needs: ClassVar[dict[str, pa.DataType]] = {
        name: schema.DOCUMENT[name] for name in ("doc_id", "category", "text", "language")
    }

    def apply(self, table: pa.Table) -> Outcome:
        """Try every rule on the documents that none before has hit."""
        languages = [language or UNKNOWN for language in table["language"].to_pylist()]
        batch = Batch(table["text"].combine_chunks(), languages)
        fates: list[Fate] = []
        for rule in self.rules:
            limits = np.array([rule.threshold(language) for language in languages])
            values = np.asarray(MEASURES[rule.measure](batch), np.float64)
            hits = rule.hits(values, limits) & batch.open
            batch.open &= ~hits
            for place in np.flatnonzero(hits):
                doc_id = table["doc_id"][int(place)].as_py()
                value, limit = float(values[place]), float(limits[place])
                fates.append(Fate(doc_id, self.label, "dropped", rule.name, value, limit, details=languages[place]))
        return Outcome(table.filter(pa.array(batch.open)) if fates else table, fates)
