"""What a run file may ask of fill-in-the-middle.

Enters: the mapping under `fim:`. Leaves: a frozen `FimConfig`, whose layout is known to have the orders that are asked
of it, before any work starts. Limit: whether a tokenizer has the special tokens is not asked here: text needs none.
"""

from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, model_validator

from loopdata.config import Strict, nearest
from loopdata.errors import ConfigError
from loopdata.fim.context import Room, Rule
from loopdata.fim.holes import KINDS, Sizes
from loopdata.fim.layouts import OWN, SPM_SHARE, Layout, Mode, preset

# A tenth of random characters and the rest by syntax is AST-FIM's share; a fifth goes to whole lines here, since people
# complete lines more often than anything else.
WEIGHTS = {
    "char": 0.1,
    "line": 0.2,
    "expression": 0.1,
    "statement": 0.15,
    "block": 0.1,
    "function": 0.05,
    "function_body": 0.1,
    "ast_span": 0.2,
}


class FimConfig(Strict):
    """Which documents get a hole, which hole, and how it is laid out.

    rate        share of documents; of a long one, of its contexts
    held_out    whether held-out documents get holes too, drawn by `rate` but alike in every run; else they stay plain,
                so that their bits per byte are those of runs without holes
    layout      a preset, or `own` with the mapping under `own`
    spelling    special tokens by role (`ours`), or as the preset's model spells them (`own`)
    spm_share   share of suffix-prefix-middle among samples with a hole; left out, that of the preset
    loss        on all tokens, or on the middle and its end only
    kinds       weights of the kinds of holes; those left out are not drawn
    min_chars … max_chars   of the middle; of `char`, half of the smaller will do
    max_span_chars   of the middle of `char` and `ast_span`
    max_bytes   of a sample's text; `long` is the rule for longer documents
    max_prefix_bytes, max_suffix_bytes   what may stand before and behind a middle; the rest trains as plain text
    """

    rate: float = Field(default=0.5, ge=0, le=1)
    held_out: bool = False
    layout: str = "qwen2.5"
    own: Layout | None = None
    spelling: Literal["ours", "own"] = "ours"
    spm_share: float | None = Field(default=None, ge=0, le=1)
    loss: Literal["all", "middle"] = "all"
    kinds: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=WEIGHTS.copy)
    min_chars: int = Field(default=8, ge=1)
    max_chars: int = Field(default=1_024, ge=1)
    max_span_chars: int = Field(default=256, ge=1)
    max_bytes: int = Field(default=2_560, ge=16)
    long: Rule = "contexts"
    max_prefix_bytes: int | None = Field(default=None, ge=0)
    max_suffix_bytes: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> "FimConfig":
        names = [*OWN, "own"]
        if self.layout not in names:
            raise ValueError(f"there is no layout '{self.layout}'{nearest(self.layout, names)}")
        if (self.layout == "own") != (self.own is not None):
            raise ValueError("`layout: own` and the mapping `own` belong together")
        for kind in self.kinds:
            if kind not in KINDS:
                raise ValueError(f"there is no kind '{kind}'{nearest(kind, list(KINDS))}")
        if not any(self.kinds.values()):
            raise ValueError("no kind has a weight above 0")
        if self.min_chars > self.max_chars:
            raise ValueError(f"min_chars {self.min_chars} is above max_chars {self.max_chars}")
        self._check_layout()
        return self

    def _check_layout(self) -> None:
        """ValueError, which pydantic gives a place, for an order that is not there."""
        try:
            found = self.chosen
            wanted: dict[Mode, bool] = {"psm": self.share < 1, "spm": self.share > 0}
            for mode in (mode for mode, is_wanted in wanted.items() if is_wanted):
                found.order(mode)
        except ConfigError as error:
            raise ValueError(f"layout '{self.layout}': {error}") from None

    @cached_property
    def chosen(self) -> Layout:
        """The layout."""
        return preset(self.layout, self.spelling) if self.own is None else self.own

    @property
    def share(self) -> float:
        """The share of SPM that is meant."""
        if self.spm_share is not None:
            return self.spm_share
        if self.own is None:
            return SPM_SHARE[self.layout]
        return 0.0 if self.own.spm is None else 1.0 if self.own.psm is None else 0.5

    @property
    def room(self) -> Room:
        """Bytes of a sample."""
        return Room(self.max_bytes, self.max_prefix_bytes, self.max_suffix_bytes, self.long)

    @property
    def sizes(self) -> Sizes:
        """Characters of a middle."""
        return Sizes(self.min_chars, self.max_chars, self.max_span_chars)
