"""What a reader sees of HTML."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.cleaning.html_text import html_text
from loopdata.cleaning.line_statistics import text_bytes


def visible(text: str) -> float:
    return float(html_text(*text_bytes(pa.array([text], pa.large_string())), np.ones(1, np.bool_))[0])


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("<p>é中</p>", 2),
        ("<p title='a > b'>ab</p>", 2),
        ('<a href=">">ab</a>', 2),
        ("<p>\n\n   a \n  b</p>", 3),
        ("a <b> c < d", 7),
        ("<!-- <p>no</p> -->ab<!---->", 2),
        ("<!DOCTYPE html><?xml no?>ab", 2),
        ("<script>if (a<b) {'</p>'}</script>ab", 2),
        ("<SCRIPT src=x></SCRIPT >ab", 2),
        ("<style>p > a {}</style>ab", 2),
        ("<scripted>ab</scripted>", 2),
        ("<script>never ends", 0),
        ("<p never ends", 0),
        ("<!-- never ends", 0),
        ("<p title='never ends>ab</p>", 0),
        ("<", 1),
        ("", 0),
    ],
)
def test_tags_comments_scripts_and_styles_are_not_seen(text: str, characters: int) -> None:
    assert visible(text) == characters


@settings(deadline=None)
@given(st.text(st.sampled_from("<>/!-'\"sa cript"), max_size=80))
def test_nobody_sees_more_than_there_is(text: str) -> None:
    assert 0 <= visible(text) <= len(text)
