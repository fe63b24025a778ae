"""The proof that the tokens of a repository's sample decode to what it holds.

Enters: a sample's segments and token ids. Leaves: nothing, or StageError. Special tokens must stand where segments have
them, and what lies between must decode to the same bytes; of a sample with a hole, the three parts are recovered from
the ids behind the last file token by the layout alone, and must be those of the segments. Limit: that the segments are
the text of the documents was proved when they were made.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loopdata.errors import StageError
from loopdata.fim.layouts import TOKENS, Layout, Parts, parts_of, recover
from loopdata.stage import Decode

Segments = Sequence[Mapping[str, Any]]


def check_repository_sample(
    layout: Layout,
    record: Mapping[str, Any] | None,
    entries: Segments,
    ids: Iterable[int],
    special: Mapping[str, int],
    decode: Decode,
) -> None:
    """StageError where the tokens of a sample, with a hole or without, are not those of its segments."""
    tokens = list(map(int, ids))
    check_segments(entries, tokens, special, decode)
    if record is not None:
        _check_hole(layout, record, entries, tokens, special, decode)


def check_segments(entries: Segments, tokens: list[int], special: Mapping[str, int], decode: Decode) -> None:
    """StageError where the tokens do not decode, piece by piece, to the segments."""
    known = set(special.values())
    bounds = [at for at, token in enumerate(tokens) if token in known]
    wanted: list[bytes] = [b""]
    for entry in entries:
        if entry["special"]:
            wanted.append(b"")
        else:
            wanted[-1] += entry["text"].encode()
    found = [decode(tokens[a + 1 : b]) for a, b in zip([-1, *bounds], [*bounds, len(tokens)], strict=True)]
    names = [special[entry["text"]] for entry in entries if entry["special"]]
    if found != wanted or [tokens[at] for at in bounds] != names:
        raise StageError(f"the tokens of a sample do not decode to its text, which begins {b''.join(wanted)[:40]!r}")


def _check_hole(
    layout: Layout,
    record: Mapping[str, Any],
    entries: Segments,
    tokens: list[int],
    special: Mapping[str, int],
    decode: Decode,
) -> None:
    mode = record["mode"]
    order = layout.order(mode)
    files = [at for at, entry in enumerate(entries) if entry["special"] and entry["text"] == layout.file]
    tail = [(entry["text"].encode(), bool(entry["special"])) for entry in entries[files[-1] + 1 :]]
    ids = tokens[len(tokens) - tokens[::-1].index(special[layout.file or ""]) :]
    path = b""
    if len(tail) > len(order):
        outside = order[0] in TOKENS and not tail[0][1]
        place = 0 if outside else order.index("prefix")
        path = b"" if outside else tail[place][0]
        del tail[place]
        if outside:
            ids = ids[next(at for at, token in enumerate(ids) if token in special.values()) :]
    wanted = parts_of(layout, mode, tail)
    found = recover(ids, layout, mode, special, decode, record["middle_end"] - record["middle_start"])
    if found != Parts(path + wanted.prefix, wanted.middle, wanted.suffix):
        raise StageError(f"the parts of a sample, recovered from its tokens, are not those of {wanted.prefix[:40]!r}")
