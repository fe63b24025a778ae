"""A document with a hole as a sample, with the proof that nothing was lost.

Enters: a document's text and its random numbers. Leaves: its samples, which together hold every byte once: pieces in
the order of the layout, or plain text, with what is recorded of them (schema.FIM). Every sample with a hole is read
back from its pieces before it leaves, and must give the text that it was cut from, byte for byte. Several trainers
corrupted theirs silently; here a wrong sample ends the run. `check_tokens` says the same of token ids. Limit: both
prove that the text is whole, not that the hole is well chosen.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from loopdata.errors import StageError
from loopdata.fim.characters import Text
from loopdata.fim.config import FimConfig
from loopdata.fim.context import contexts, fit
from loopdata.fim.draws import Draws
from loopdata.fim.holes import Hole, draw_hole
from loopdata.fim.layouts import Mode, Parts, Piece, parts_of, recover, render
from loopdata.fim.nodes import Span
from loopdata.schema import SEGMENTS
from loopdata.stage import Decode

NO_HOLE, TOO_LONG, REST = "no_hole", "too_long", "rest"


@dataclass(frozen=True)
class Rendered:
    """A sample of one document: `pieces` where it has a hole, none where it is plain text.

    It holds the bytes of `span`. `record` is a row of schema.FIM, None where a whole document was not drawn.
    """

    span: Span
    pieces: list[Piece]
    record: dict[str, Any] | None


def render_document(config: FimConfig, data: bytes, language: str | None, draws: Draws) -> list[Rendered]:
    """Draw which parts of a document get a hole, and which, and render them, in the order of the text.

    Together the samples hold every byte once. StageError where one does not read back.
    """
    text, found = Text(data), list[Rendered]()
    for within in contexts(text, config.room):
        found += _render_context(config, text, within, language, draws)
    found = _joined(found)
    starts, ends = zip(*(sample.span for sample in found), strict=True)
    if (*starts, len(data)) != (0, *ends):
        raise StageError(f"the samples of a text do not hold each byte once; it begins {data[:40]!r}")
    return found


def _render_context(config: FimConfig, text: Text, within: Span, language: str | None, draws: Draws) -> list[Rendered]:
    """The sample with a hole, and what of the context lies before and behind it."""
    if draws.unit() >= config.rate:
        return [Rendered(within, [], None)]
    mode: Mode = "spm" if draws.unit() < config.share else "psm"
    hole = draw_hole(text, language, config.kinds, config.sizes, draws, within)
    if not isinstance(hole, Hole):
        return [_plain(within, NO_HOLE, hole)]
    span = fit(text, within, (hole.start, hole.end), config.room)
    if span is None:
        return [_plain(within, TOO_LONG, hole.missed)]
    around = [Rendered(rest, [], None) for rest in ((within[0], span[0]), (span[1], within[1]))]
    before, behind = ([rest] if rest.span[0] < rest.span[1] else [] for rest in around)
    return [*before, _holed(config, text, span, hole, mode), *behind]


def _plain(span: Span, left: str, missed: Iterable[str] = ()) -> Rendered:
    return Rendered(span, [], {"left": left, "missed": list(missed), "start": span[0], "end": span[1]})


def _holed(config: FimConfig, text: Text, span: Span, hole: Hole, mode: Mode) -> Rendered:
    data = text.data
    parts = Parts(data[span[0] : hole.start], data[hole.start : hole.end], data[hole.end : span[1]])
    pieces = render(config.chosen, mode, parts)
    prove(config, mode, pieces, data[span[0] : span[1]])
    record = {"kind": hole.kind, "mode": mode, "missed": list(hole.missed), "start": span[0], "end": span[1]}
    return Rendered(span, pieces, record | {"middle_start": hole.start, "middle_end": hole.end})


def _joined(samples: list[Rendered]) -> list[Rendered]:
    """Neighbours that were not drawn as one; where they are not the whole document, that is recorded."""
    found: list[Rendered] = []
    for sample in samples:
        if found and found[-1].record is None and sample.record is None:
            found[-1] = Rendered((found[-1].span[0], sample.span[1]), [], None)
        else:
            found.append(sample)
    if len(found) == 1:
        return found
    return [_plain(sample.span, REST) if sample.record is None else sample for sample in found]


def draws_of(config: FimConfig, seed: int, label: str, doc_id: str, split: str) -> Draws | None:
    """The random numbers of a document; None where it is held out and shall stay plain."""
    if split == "train":
        return Draws(seed, label, doc_id)
    return Draws(0, "held out", doc_id) if config.held_out else None  # the same in every run


def plain(config: FimConfig, text: bytes, span: Span) -> list[Piece]:
    """A part of a text; the end of text stands where the text ends."""
    end = [Piece("END", config.chosen.text_end.encode())] if span[1] == len(text) else []
    return [Piece("text", text[span[0] : span[1]]), *end]


def learned(config: FimConfig, pieces: Sequence[Piece]) -> list[bool]:
    """Which pieces of a sample with a hole carry loss."""
    return [config.loss == "all" or piece.role in ("middle", "END") for piece in pieces]


def segments(rows: Sequence[Sequence[Piece]], loss: Sequence[bool]) -> pa.ListArray:
    """The column `segments`; `loss` is a flag a piece of all rows."""
    pieces = list(chain.from_iterable(rows))
    texts = pa.array([piece.data for piece in pieces], pa.large_binary()).cast(pa.large_string())
    special = pa.array([piece.special for piece in pieces], pa.bool_())
    fields = [texts, special, pa.array(loss, pa.bool_())]
    offsets = pa.array(np.cumsum([0, *map(len, rows)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(fields, fields=list(SEGMENTS.value_type)))


def prove(config: FimConfig, mode: Mode, pieces: list[Piece], text: bytes) -> None:
    """StageError where the parts, read back from the pieces, are not the text."""
    parts = parts_of(config.chosen, mode, [(piece.data, piece.special) for piece in pieces])
    if parts.prefix + parts.middle + parts.suffix != text:
        raise StageError(f"prefix, middle and suffix do not give the text back that begins {text[:40]!r}")


def check_tokens(
    config: FimConfig,
    record: Mapping[str, Any],
    segments: Sequence[Mapping[str, Any]],
    ids: Iterable[int],
    special: Mapping[str, int],
    decode: Decode,
) -> None:
    """StageError where the parts, recovered from the token ids of a sample, are not those of its segments."""
    layout, mode = config.chosen, record["mode"]
    wanted = parts_of(layout, mode, [(entry["text"].encode(), entry["special"]) for entry in segments])
    found = recover(ids, layout, mode, special, decode, record["middle_end"] - record["middle_start"])
    if found != wanted:
        raise StageError(f"the tokens of a sample do not decode to its text, which begins {wanted.prefix[:40]!r}")
