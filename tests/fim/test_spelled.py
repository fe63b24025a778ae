"""A sample is read back from its text, unless a document spells a special token itself."""

from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.fim.layouts import OWN, Parts, parts_of, render
from loopdata.fim.spelled import SpelledReader

MODES = [(own, mode) for own in OWN.values() for mode in ("psm", "spm") if getattr(own, mode)]
TOKENS = [token for own in OWN.values() for token in own.special_tokens()]
TEXTS = st.lists(st.one_of(st.text(max_size=8), st.sampled_from([*TOKENS, "<|", "|>", "\r\n"])), max_size=4)


def test_special_tokens_and_what_lies_between_have_ids() -> None:
    reader = SpelledReader(["<a>", "<ab>"])
    ids = reader.read("x<ab>yz<a><a>")
    assert ids == [2, 1, 3, 0, 0]
    assert [reader.decode([ids[0]]), reader.decode([ids[2]])] == [b"x", b"yz"]
    assert reader.read("") == []
    assert reader.read("<abc>") == [4]


def test_a_longer_spelling_goes_before_the_shorter_that_begins_it() -> None:
    reader = SpelledReader(["<a", "<a>"])
    assert reader.read("<a><a") == [1, 0]


def test_a_text_that_spells_a_token_does_not_read_back() -> None:
    reader = SpelledReader(["<a>"])
    segments = [{"text": "x<a>", "special": False}, {"text": "<a>", "special": True}]
    assert not reader.reads_back(reader.read("x<a><a>"), segments)
    assert reader.reads_back(reader.read("x<a>"), [segments[1]])
    assert reader.spelled_in(segments) == ["<a>"]


@settings(max_examples=200, deadline=None)
@given(order=st.sampled_from(MODES), texts=st.tuples(TEXTS, TEXTS, TEXTS))
def test_what_reads_back_gives_its_parts(order: tuple[object, str], texts: tuple[list[str], ...]) -> None:
    layout, mode = order
    parts = Parts(*("".join(text).encode() for text in texts))
    pieces = render(layout, mode, parts)
    reader = SpelledReader(layout.special_tokens())
    ids = reader.read(b"".join(piece.data for piece in pieces).decode())
    if not reader.reads_back(ids, [{"text": piece.data.decode(), "special": piece.special} for piece in pieces]):
        assert any(token.encode() in b"".join(parts) for token in layout.special_tokens())
        return
    between = [(reader.decode([number]), number) for number in ids if number >= len(reader.special)]
    assert b"".join(data for data, _ in between) == b"".join(piece.data for piece in pieces if not piece.special)
    assert parts_of(layout, mode, [(piece.data, piece.special) for piece in pieces]) == parts
