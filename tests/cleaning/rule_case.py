"""What tests of rules ask: what a stage says of one text."""

from typing import Any

import pyarrow as pa

from loopdata import schema
from loopdata.cleaning.heuristics import Heuristics
from loopdata.cleaning.syntax import Syntax
from loopdata.cleaning.syntax_heuristics import SyntaxHeuristics
from loopdata.config import parse
from loopdata.stage import ENDS, Fate, Outcome

Hit = tuple[str, float | None, float | None] | None
KEEP_ALL = {"max_error_share": None, "max_error_share_of": {"C++": None, "Haskell": None}}


def documents(*texts: str, language: str | None = "Python", category: str = "code") -> pa.Table:
    columns = {
        "doc_id": [str(place) for place in range(len(texts))],
        "parent": [None] * len(texts),
        "category": [category] * len(texts),
        "text": list(texts),
        "language": [language] * len(texts),
    }
    return pa.table({name: pa.array(values, schema.DOCUMENT[name]) for name, values in columns.items()})


def heuristics(table: pa.Table, preset: str = "none", **rules: Any) -> Outcome:
    return Heuristics(parse(Heuristics.Config, {"preset": preset, "rules": rules}, "heuristics")).apply(table)


def syntax_heuristics(table: pa.Table, preset: str = "none", **rules: Any) -> Outcome:
    """Behind `syntax`, which drops nothing."""
    parsed = Syntax(parse(Syntax.Config, KEEP_ALL, "syntax")).apply(table).kept
    config = parse(SyntaxHeuristics.Config, {"preset": preset, "rules": rules}, "syntax_heuristics")
    return SyntaxHeuristics(config).apply(parsed)


def hit(outcome: Outcome) -> Hit:
    """What ended the only document, None where it is kept."""
    ends: list[Fate] = [fate for fate in outcome.fates if fate.fate in ENDS]
    assert len(ends) + outcome.kept.num_rows == 1
    return (ends[0].rule, ends[0].value, ends[0].threshold) if ends else None
