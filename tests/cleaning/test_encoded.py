"""Runs of encoded data, and what the published pattern takes for them."""

import base64
import random
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.cleaning.encoded import encoded
from loopdata.cleaning.line_statistics import text_bytes
from tests.cleaning.rule_case import documents, heuristics, hit

DATA = base64.b64encode(random.Random(3).randbytes(3_000)).decode()
PUBLISHED_BASE64 = re.compile(r"[a-zA-Z0-9+/\n=]{64,}")


def measured(text: str) -> tuple[float, float]:
    found = encoded(*text_bytes(pa.array([text], pa.large_string())), np.ones(1, np.bool_))
    return float(found.longest[0]), float(found.total[0])


@pytest.mark.parametrize(
    ("text", "run"),
    [
        (f"x = '{DATA[:64]}'\n", 64),
        (f"x = '{DATA[:63]}'\n", 0),
        (f"{DATA[:48]}\n{DATA[48:63]}", 64),  # over a line end, which is part of it
        (f"{DATA[:47]}\n{DATA[47:95]}", 0),
        ("0x1f, 0x2e, 0xAB, 0x00,\n\t0x01, 0x02, 0x03, 0x04\n", 47),
        ("0x1f, 0x2e, 0xAB, 0x00,\n\t0x01, 0x02, 0x03\n", 0),
        ("1f 2e ab 00 01 02 03 04", 23),
        (r"'\x1f\x2e\xab\x00\x01\x02\x03\x04'", 32),
        ("0x1ff 0x2e1 0xAB1 0x001 0x011 0x021 0x031 0x041", 0),  # words, not bytes
        (r"\u00e9" * 8, 48),
        (r"\u00e9" * 7, 0),
        (r"\u00eg" * 8, 0),
        ("", 0),
    ],
)
def test_a_run_has_a_least_length(text: str, run: int) -> None:
    assert measured(text) == (run, run)


def test_runs_add_up_and_the_longest_is_named() -> None:
    assert measured(f"{DATA[:70]} {DATA[70:170]} " + "1f " * 8) == (100, 193)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 2_000,
        "\n" * 2_000,
        "\n".join(["end"] * 500),
        "Lopadotemachoselachogaleokranioleipsanodrimhypotrimmatosilphiokarabomelitokatakechymenokichl" * 12,
        "com/google/android/gms/internal/measurement/v2/analytics/ApplicationExceptionHandlerFactory" * 12,
        "=" * 2_000,
        "\n".join(str(number) for number in range(100, 1_000)),
    ],
    ids=["letters", "line ends", "short lines", "a word", "a path", "a ruler", "numbers"],
)
def test_what_only_has_the_alphabet_of_base64_is_no_data(text: str) -> None:
    """The published pattern matches all of these, and would drop a file that holds one."""
    assert PUBLISHED_BASE64.search(text) is not None
    assert measured(text) == (0, 0)
    assert hit(heuristics(documents(text), max_longest_encoded=1_024, max_encoded=0.5)) is None


def test_data_is_found_as_it_was_published() -> None:
    wrapped = "\n".join(DATA[start : start + 76] for start in range(0, len(DATA), 76))
    kept = heuristics(documents("name = value\n" * 999 + wrapped[:1_024]), max_longest_encoded=1_024)
    dropped = heuristics(documents("name = value\n" * 999 + wrapped[:1_025]), max_longest_encoded=1_024)
    assert hit(kept) is None
    assert hit(dropped) == ("max_longest_encoded", 1_025, 1_024)


@settings(deadline=None)
@given(st.text(st.sampled_from("aA1+\n -"), max_size=300), st.integers(64, 400), st.integers(0, 2_000))
def test_data_between_other_text_is_always_found(before: str, size: int, start: int) -> None:
    data = DATA[start : start + size]
    longest, _ = measured(f"{before}-{data}-{before}")
    assert longest >= size
