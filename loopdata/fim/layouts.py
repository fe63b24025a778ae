"""Layouts: in which order prefix, suffix and middle of a text stand, and which special tokens stand between them.

Enters: a `Layout` and the three parts of a text. Leaves: the pieces of a sample, each text or special token; and the
way back, from pieces or from token ids to the three parts. Orders are words: a role in capitals is a special token, one
in small letters is text. The presets are those of the models that they are named after; PSM and SPM are Bavarian et
al. 2022 (arXiv 2207.14255), SPM in their second variant, `PREFIX SUFFIX suffix MIDDLE prefix middle`, where a preset
does not order it otherwise. A preset keeps its order and takes our special tokens by role, since a tokenizer of ours
knows no others; `spelling: own` is for text that others tokenize. Limit: in the second variant nothing stands between
prefix and middle, so that ids alone give them joined; the size of the middle then parts them.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from pydantic import field_validator, model_validator

from loopdata.config import Strict
from loopdata.errors import ConfigError, StageError
from loopdata.special_tokens import (
    END_OF_TEXT,
    FILE_SEP,
    FIM_MIDDLE,
    FIM_PREFIX,
    FIM_SUFFIX,
    IM_END,
    REPO_NAME,
)
from loopdata.stage import Decode

Mode = Literal["psm", "spm"]
TEXTS = ("prefix", "suffix", "middle")
TOKENS = ("PREFIX", "SUFFIX", "MIDDLE", "END")

PSM = "PREFIX prefix SUFFIX suffix MIDDLE middle END"
SPM = "PREFIX SUFFIX suffix MIDDLE prefix middle END"


class Parts(NamedTuple):
    """A text cut in three; in bytes."""

    prefix: bytes
    middle: bytes
    suffix: bytes


class Piece(NamedTuple):
    """A piece of a sample: the bytes of a text, or the spelling of a special token."""

    role: str
    data: bytes

    @property
    def special(self) -> bool:
        """Whether it is a special token: its role is in capitals."""
        return self.role.isupper()


class Layout(Strict):
    """Spelling of the special tokens by role, and the orders that there are. `end` closes the middle, `text_end` a text
    without a hole; `repo` and `file` are null where the model has none."""

    prefix: str = FIM_PREFIX
    suffix: str = FIM_SUFFIX
    middle: str = FIM_MIDDLE
    end: str = END_OF_TEXT
    text_end: str = END_OF_TEXT
    repo: str | None = REPO_NAME
    file: str | None = FILE_SEP
    psm: str | None = None
    spm: str | None = None

    @field_validator("psm", "spm")
    @classmethod
    def _complete(cls, order: str | None) -> str | None:
        """Each text once, MIDDLE and END as they must be for a model to know when to begin and to stop."""
        if order is None:
            return None
        words = order.split()
        wrong = [word for word in words if word not in TEXTS + TOKENS]
        if wrong:
            raise ValueError(f"'{wrong[0]}' is no part of an order; there are: {' '.join(TOKENS + TEXTS)}")
        if sorted(word for word in words if word in TEXTS) != sorted(TEXTS) or len(set(words)) < len(words):
            raise ValueError("an order holds each of prefix, suffix and middle once, and no token twice")
        if words[-2:] != ["middle", "END"]:
            raise ValueError("an order ends with `middle END`: a model must see all else before it, and where it stops")
        return order

    @model_validator(mode="after")
    def _parted(self) -> "Layout":
        if self.psm is None and self.spm is None:
            raise ValueError("a layout needs an order: psm, spm or both")
        spellings = [self.prefix, self.suffix, self.middle, self.end]
        if len(set(spellings)) < len(spellings):
            raise ValueError("a layout needs four different special tokens")
        of_repositories = [token for token in (self.repo, self.file) if token is not None]
        if len({*spellings, *of_repositories}) < 4 + len(of_repositories):
            raise ValueError("`repo` and `file` must be other special tokens")
        if self.text_end in {self.prefix, self.suffix, self.middle, *of_repositories}:
            raise ValueError("`text_end` must be another special token, or that of `end`")
        for order in (self.psm, self.spm):
            if order and {"prefix suffix", "suffix prefix", "suffix middle"} & set(_pairs(order)):
                raise ValueError("a special token must stand between the suffix and its neighbours")
        return self

    def order(self, mode: Mode) -> tuple[str, ...]:
        """The words of an order. ConfigError where the layout has none for this mode."""
        order = self.psm if mode == "psm" else self.spm
        if order is None:
            raise ConfigError(f"this layout has no order '{mode}'")
        return tuple(order.split())

    def spelling(self, role: str) -> str:
        """The special token of a role in capitals."""
        return str(getattr(self, role.lower()))

    def special_tokens(self) -> tuple[str, ...]:
        """All that it may write, each once."""
        named = (*map(self.spelling, TOKENS), self.text_end, self.repo, self.file)
        return tuple(dict.fromkeys(token for token in named if token is not None))


def _pairs(order: str) -> list[str]:
    words = order.split()
    return [f"{a} {b}" for a, b in pairwise(words)]


# Presets with their own spellings. IM_END and <EOT> end a middle only, the others end the text as well.
OWN: dict[str, Layout] = {
    "iquest": Layout(end=IM_END, psm=PSM),
    "qwen2.5": Layout(psm=PSM),
    "starcoder2": Layout(
        prefix="<fim_prefix>",
        suffix="<fim_suffix>",
        middle="<fim_middle>",
        repo="<repo_name>",
        file="<file_sep>",
        psm=PSM,
        spm=SPM,
    ),
    "deepseek": Layout(
        prefix="<｜fim▁begin｜>",
        suffix="<｜fim▁hole｜>",
        middle="<｜fim▁end｜>",
        end="<｜end▁of▁sentence｜>",
        text_end="<｜end▁of▁sentence｜>",
        repo=None,
        file=None,
        psm=PSM,
    ),
    "codellama": Layout(
        prefix="▁<PRE>",
        suffix="▁<SUF>",
        middle="▁<MID>",
        end="▁<EOT>",
        text_end="</s>",
        repo=None,
        file=None,
        psm=PSM,
        spm=SPM,
    ),
    "seed-coder": Layout(
        prefix="<[fim-prefix]>",
        suffix="<[fim-suffix]>",
        middle="<[fim-middle]>",
        end="<[end▁of▁sentence]>",
        text_end="<[end▁of▁sentence]>",
        repo=None,
        file=None,
        spm="SUFFIX suffix PREFIX prefix MIDDLE middle END",
    ),
}
ENDS_MIDDLE_ONLY = ("iquest", "codellama")
# Share of SPM among the samples, as the preset's model was trained.
SPM_SHARE = {name: 0.0 if own.spm is None else 1.0 if own.psm is None else 0.5 for name, own in OWN.items()}


def preset(name: str, spelling: Literal["ours", "own"] = "ours") -> Layout:
    """A preset in our special tokens, or in its own."""
    own = OWN[name]
    if spelling == "own":
        return own
    return Layout(end=IM_END if name in ENDS_MIDDLE_ONLY else END_OF_TEXT, psm=own.psm, spm=own.spm)


def render(layout: Layout, mode: Mode, parts: Parts) -> list[Piece]:
    """The pieces of a sample in their order; empty texts stay, so that the order can be read back."""
    texts = parts._asdict()
    return [
        Piece(role, texts[role] if role in TEXTS else layout.spelling(role).encode()) for role in layout.order(mode)
    ]


def parts_of(layout: Layout, mode: Mode, segments: Sequence[tuple[bytes, bool]]) -> Parts:
    """The three parts, from segments (data, special) of a sample. StageError where they are not as the layout says."""
    order = layout.order(mode)
    if len(segments) != len(order):
        raise StageError(f"a sample has {len(segments)} segments, its layout {len(order)}")
    found: dict[str, bytes] = {}
    for role, (data, special) in zip(order, segments, strict=True):
        if special != (role in TOKENS) or (special and data != layout.spelling(role).encode()):
            raise StageError(f"where the layout has {role}, the sample has {data[:40]!r}")
        if not special:
            found[role] = data
    return Parts(**found)


def recover(
    ids: Iterable[int],
    layout: Layout,
    mode: Mode,
    special: Mapping[str, int],
    decode: Decode,
    middle_bytes: int | None = None,
) -> Parts:
    """The three parts, from the token ids of a sample.

    `special` maps spellings to ids, `decode` gives the bytes of ids. `middle_bytes` is needed where no special token
    stands between prefix and middle. StageError for ids that are not as the layout says.
    """
    tokens = list(map(int, ids))
    order = layout.order(mode)
    wanted = [special[layout.spelling(role)] for role in order if role in TOKENS]
    at = [place for place, token in enumerate(tokens) if token in wanted]
    if [tokens[place] for place in at] != wanted or at[-1] != len(tokens) - 1:
        raise StageError(f"the special tokens of the layout are not where it has them: {' '.join(order)}")
    found: dict[str, bytes] = {}
    for roles, start, end in zip(_gaps(order), [-1, *at], at, strict=False):
        data = decode(tokens[start + 1 : end])
        if roles == ["prefix", "middle"]:
            found |= _parted(data, middle_bytes)
        elif roles or data:
            found["".join(roles)] = data
    if set(found) != set(TEXTS):
        raise StageError(f"text stands where the layout has none: {' '.join(order)}")
    return Parts(**found)


def _gaps(order: Sequence[str]) -> list[list[str]]:
    """The texts before each special token, and behind the one before it."""
    gaps: list[list[str]] = [[]]
    for role in order:
        if role in TOKENS:
            gaps.append([])
        else:
            gaps[-1].append(role)
    return gaps


def _parted(data: bytes, middle_bytes: int | None) -> dict[str, bytes]:
    if middle_bytes is None or not 0 <= middle_bytes <= len(data):
        raise StageError(f"the size of the middle is needed to part it from the prefix, not {middle_bytes}")
    at = len(data) - middle_bytes
    return {"prefix": data[:at], "middle": data[at:]}
