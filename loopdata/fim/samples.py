"""A document with a hole as a sample, with the proof that nothing was lost.

Enters: a document's text and its random numbers. Leaves: its pieces in the order of the layout and what is recorded of
them (schema.FIM), or the record of why it stays plain. Every sample is read back from its pieces before it leaves, and
must give the text that it was cut from, byte for byte. Several trainers corrupted theirs silently; here a wrong sample
ends the run. `check_tokens` says the same of token ids. Limit: both prove that the text is whole, not that the hole is
well chosen.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from loopdata.errors import StageError
from loopdata.fim.characters import Text
from loopdata.fim.config import FimConfig
from loopdata.fim.context import fit
from loopdata.fim.draws import Draws
from loopdata.fim.holes import Hole, draw_hole
from loopdata.fim.layouts import Mode, Parts, Piece, parts_of, recover, render
from loopdata.stage import Decode

NO_HOLE, TOO_LONG = "no_hole", "too_long"


class Rendered(NamedTuple):
    """`pieces` is empty where the document stays plain. `record` is a row of schema.FIM, None where none was drawn."""

    pieces: list[Piece]
    record: dict[str, Any] | None


def render_document(config: FimConfig, data: bytes, language: str | None, draws: Draws) -> Rendered:
    """Draw whether a document gets a hole, and which, and render it. StageError where it does not read back."""
    if draws.unit() >= config.rate:
        return Rendered([], None)
    mode: Mode = "spm" if draws.unit() < config.share else "psm"
    text = Text(data)
    hole = draw_hole(text, language, config.kinds, config.sizes, draws)
    if not isinstance(hole, Hole):
        return Rendered([], {"left": NO_HOLE, "missed": list(hole)})
    span = fit(text, (hole.start, hole.end), config.max_bytes, config.long)
    if span is None:
        return Rendered([], {"left": TOO_LONG, "missed": list(hole.missed)})
    parts = Parts(data[span[0] : hole.start], data[hole.start : hole.end], data[hole.end : span[1]])
    pieces = render(config.chosen, mode, parts)
    prove(config, mode, pieces, data[span[0] : span[1]])
    record = {"kind": hole.kind, "mode": mode, "missed": list(hole.missed), "start": span[0], "end": span[1]}
    return Rendered(pieces, record | {"middle_start": hole.start, "middle_end": hole.end})


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
