"""Parsing within limits: each limit stops by name, on the boundary not, and trees are remembered for a batch only."""

import pytest

from loopdata.syntax import parse as module
from loopdata.syntax.depth import depth_of
from loopdata.syntax.parse import Limits, Refusal, Tree, forget, parse, parse_anew
from loopdata.syntax.survey import survey


@pytest.fixture(autouse=True)
def _nothing_remembered():
    forget()
    yield
    forget()


def test_text_and_its_bytes_give_one_tree_while_the_batch_lasts():
    first = parse("x = 'é'\n", "Python")
    assert parse("x = 'é'\n".encode(), "Python") is first
    assert parse("x = 'é'\n", "Ruby") is not first
    forget()
    assert parse("x = 'é'\n", "Python") is not first


def test_a_tree_of_other_limits_is_held_to_these_without_another_parse(monkeypatch: pytest.MonkeyPatch):
    text = "x = [1, 2, 3]\n" * 60
    wide = Limits(max_bytes=1 << 21, max_depth=6_000)
    tree = parse(text, "Python", wide)
    assert isinstance(tree, Tree)
    others = [Limits(), Limits(max_bytes=839), Limits(max_depth=4), Limits(work=tree.work - 1, work_per_byte=0)]
    expected = [parse_anew(text.encode(), "Python", limits) for limits in others[1:]]
    assert [found.reason for found in expected if isinstance(found, Refusal)] == ["bytes", "depth", "work"]
    monkeypatch.setattr(module, "parse_anew", None)
    assert [parse(text, "Python", limits) for limits in others] == [tree, *expected]
    assert parse(text, "Python", wide) is tree


def test_what_narrow_limits_refused_wider_ones_may_read():
    assert parse("x = 1", "Python", Limits(max_bytes=4)) == Refusal("bytes", 5, 4)
    tree = parse("x = 1", "Python")
    assert isinstance(tree, Tree)
    assert parse("x = 1", "Python") is tree


def test_remembered_trees_are_bounded_by_count_and_by_bytes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "REMEMBERED_TREES", 2)
    one, two = parse("1", "Python"), parse("2", "Python")
    parse("3", "Python")
    assert parse("2", "Python") is two
    assert parse("1", "Python") is not one
    monkeypatch.setattr(module, "REMEMBERED_BYTES", 10)
    long = parse("x" * 11, "Python")
    assert parse("x" * 11, "Python") is not long


def test_no_grammar_is_a_refusal_of_that_name():
    assert parse("IDENTIFICATION DIVISION.", "COBOL") == Refusal("no_grammar")


def test_bytes_on_the_limit_are_parsed_and_one_more_is_refused():
    limits = Limits(max_bytes=4)
    assert isinstance(parse("é = ", "Python", Limits(max_bytes=5)), Tree)
    assert isinstance(parse("x=12", "Python", limits), Tree)
    assert parse("x=123", "Python", limits) == Refusal("bytes", 5, 4)


def test_depth_on_the_limit_is_kept_and_one_more_is_refused():
    text = "x = " + "(" * 50 + "1" + ")" * 50
    found = parse(text, "Python")
    assert isinstance(found, Tree)
    assert depth_of(found.root) == 54
    assert isinstance(parse(text, "Python", Limits(max_depth=54)), Tree)
    assert parse(text, "Python", Limits(max_depth=53)) == Refusal("depth", 54, 53)


def test_work_is_counted_alike_each_time_and_stops_at_the_limit():
    text = "x = [1, 2, 3]\n" * 60
    work = {tree.work for tree in (parse_anew(text.encode(), "Python") for _ in range(3)) if isinstance(tree, Tree)}
    assert len(work) == 1
    (needed,) = work
    assert isinstance(parse(text, "Python", Limits(work=needed, work_per_byte=0)), Tree)
    assert parse(text, "Python", Limits(work=needed - 1, work_per_byte=0)) == Refusal("work", needed, needed - 1)


def test_time_is_guarded():
    found = parse("x = [1, 2, 3]\n" * 60, "Python", Limits(seconds=0))
    assert isinstance(found, Refusal)
    assert found.reason == "time"


def test_a_stopped_parse_leaves_nothing_for_the_next():
    parse("class A:\n  x = 1\n" * 60, "Python", Limits(work=2, work_per_byte=0))
    found = parse("x = 1\n", "Python")
    assert isinstance(found, Tree)
    assert found.root.end_byte == 6


def test_little_but_repetition_is_refused_and_a_varied_text_of_that_size_is_not():
    found = parse("x=>" * 3_000, "C")
    assert isinstance(found, Refusal)
    assert (found.reason, found.limit) == ("repetition", 100.0)
    assert isinstance(parse("".join(f"x{number};" for number in range(3_000)), "C"), Tree)


def test_angles_that_nothing_closes_are_counted_within_a_statement():
    limits = Limits(max_angles=3)
    assert parse("a < b < c < d < e", "C#", limits) == Refusal("angles", 4, 3)
    assert isinstance(parse("a < b; c < d; e < f; g < h;", "C#", limits), Tree)
    assert isinstance(parse("A<B<C<D<E>>>> x;", "C#", limits), Tree)


def test_a_character_across_two_pieces_is_read_whole():
    for shift in range(4):
        comment = "#" + "".join(map(str, range(5_000)))[: module.PIECE_BYTES - 1 - shift]
        text = comment + "😀é\nx = 'é'\n"
        found = parse(text, "Python")
        assert isinstance(found, Tree)
        assert not found.root.has_error
        assert survey(found.outline).comment_bytes == len(text.encode()) - len("\nx = 'é'\n".encode())
