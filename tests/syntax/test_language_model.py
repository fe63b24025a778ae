"""The network: our way of running it gives what its own package gives, and always the same."""

from pathlib import Path

import pytest
from magika import Magika

from loopdata.syntax import language_model
from loopdata.syntax.language_names import languages

ROOT = Path(__file__).parents[2]
TEXTS = [
    *((ROOT / name).read_bytes() for name in ("README.md", "Makefile", "pyproject.toml", "loopdata/stage.py")),
    b" \n" * 3000 + b"select a from b where c = 1;\n",
    b"x = 1  # short enough\n",
    "ü".encode() * 9_000,
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_likeliest_label_is_that_of_the_package(text: bytes) -> None:
    found = Magika().identify_bytes(text).prediction
    probabilities = language_model.probabilities(text[:8_192], text[-4_096:])
    name = language_model.NAMES.get(str(found.dl.label))
    if name is not None:
        assert probabilities[name] >= found.score - 1e-3


def test_figures_are_the_same_to_the_last_bit_whatever_was_asked_before() -> None:
    def ask(text: bytes) -> dict[str, float]:
        return language_model.probabilities(text, text)

    alone = [ask(text) for text in TEXTS]
    assert [ask(text) for text in reversed(TEXTS)] == alone[::-1]


def test_every_label_is_a_language_that_the_table_of_names_knows() -> None:
    assert set(language_model.NAMES.values()) <= languages()


def test_versions_are_those_of_the_network_and_of_what_runs_it() -> None:
    assert set(language_model.versions()) == {"magika", "onnxruntime"}
