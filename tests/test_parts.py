"""Edits of a text move the spans over it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopdata.parts import Edit, Part, replace


def part(start: int, end: int) -> Part:
    return {"role": "user", "start": start, "end": end, "loss": True}


def spans(parts: list[Part] | None) -> list[tuple[int, int]]:
    assert parts is not None
    return [(entry["start"], entry["end"]) for entry in parts]


def test_spans_behind_an_edit_move_by_what_it_adds() -> None:
    text, parts = replace(b"aa bb cc", [Edit(3, 5, b"XXXX")], [part(0, 2), part(3, 5), part(6, 8)])
    assert text == b"aa XXXX cc"
    assert spans(parts) == [(0, 2), (3, 7), (8, 10)]


def test_what_replaces_the_end_of_one_part_and_the_start_of_the_next_belongs_to_the_first() -> None:
    text, parts = replace(b"abcdef", [Edit(2, 4, b"X")], [part(0, 3), part(3, 6)])
    assert text == b"abXef"
    assert spans(parts) == [(0, 3), (3, 5)]


def test_bounds_on_the_ends_of_an_edit_stay_on_them() -> None:
    _, parts = replace(b"abcdef", [Edit(2, 4, b"")], [part(0, 2), part(2, 4), part(4, 6)])
    assert spans(parts) == [(0, 2), (2, 2), (2, 4)]


def test_a_part_inside_an_edit_is_left_empty() -> None:
    _, parts = replace(b"abcdef", [Edit(0, 6, b"XY")], [part(2, 4)])
    assert spans(parts) == [(2, 2)]


def test_role_and_loss_stay_and_no_parts_stay_none() -> None:
    assert replace(b"ab", [Edit(0, 1, b"")], [part(1, 2)])[1] == [{"role": "user", "start": 0, "end": 1, "loss": True}]
    assert replace(b"ab", [Edit(0, 1, b"")], None) == (b"b", None)


@pytest.mark.parametrize("edits", [[Edit(2, 3, b""), Edit(1, 2, b"")], [Edit(0, 2, b""), Edit(1, 3, b"")], [Edit(0, 9, b"")]])  # fmt: skip # noqa: E501
def test_edits_out_of_order_overlapping_or_outside_are_refused(edits: list[Edit]) -> None:
    with pytest.raises(ValueError, match="in order"):
        replace(b"abcd", edits, None)


@given(st.binary(max_size=40), st.data())
def test_a_part_without_edits_inside_keeps_its_text_and_parts_that_met_still_meet(
    text: bytes, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    edits = [Edit(a, b, data.draw(st.binary(max_size=5))) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]
    bounds = sorted(data.draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=6)))
    parts = [part(a, b) for a, b in pairwise(bounds)]
    new, moved = replace(text, edits, parts)
    found = spans(moved)
    assert all(0 <= a <= b <= len(new) for a, b in found)
    assert all(before[1] == after[0] for before, after in pairwise(found))
    for old, (start, end) in zip(parts, found, strict=True):
        if all(edit.end <= old["start"] or edit.start >= old["end"] for edit in edits if edit.start != edit.end):
            kept = new[start:end]
            assert text[old["start"] : old["end"]] in kept
