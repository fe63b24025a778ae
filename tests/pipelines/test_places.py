"""How places and fates are shown: in one line, whatever they hold."""

import pytest

from pipelines.places import fate_line

FATE = {"stage": "s", "rule": "r", "value": 1.5, "threshold": 1.0, "details": None}


@pytest.mark.parametrize(
    ("details", "line"),
    [
        (None, "'s' by rule 'r', value 1.5, threshold 1"),
        ("", "'s' by rule 'r', value 1.5, threshold 1"),
        (" \n", "'s' by rule 'r', value 1.5, threshold 1"),
        ("first\nlast\x1b[0m\n", "'s' by rule 'r', value 1.5, threshold 1: last\\x1b[0m"),
    ],
)
def test_a_fate_is_one_line(details: str | None, line: str) -> None:
    assert fate_line(FATE | {"details": details}) == line
