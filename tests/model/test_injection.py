"""What enters the next loop: exact values."""

import math

import pytest
import torch

from kernels.documents import Documents
from model.config import ModelConfig
from model.injection import Injection, shift

E = torch.tensor([[[1.0], [2.0], [3.0]]])
H = torch.tensor([[[10.0], [20.0], [30.0]]])
ONE = Documents.whole(1, 3)


def injection(law: str) -> Injection:
    config = ModelConfig(
        vocab_size=2, dim=1, layers=1, heads=1, head_dim=2, ffn_dim=1, max_length=3,
        input_injection=law, embedding_scale=0.5, state_scale=0.1,  # type: ignore[arg-type]
    )  # fmt: skip
    return Injection(config)


def inject(law: str) -> list[float]:
    return injection(law)(E, H).flatten().tolist()  # type: ignore[no-any-return]


def test_add_is_equation_1() -> None:
    assert inject("add") == [11, 22, 33]


def test_replace_forgets_the_embedding() -> None:
    assert inject("replace") == [10, 20, 30]


def test_scaled_weighs_both() -> None:
    assert inject("scaled") == pytest.approx([1.5, 3.0, 4.5])


def test_parcae_begins_with_half_of_the_state_and_ln_2_of_the_embedding() -> None:
    expected = [5 + math.log(2), 10 + 2 * math.log(2), 15 + 3 * math.log(2)]
    assert inject("parcae") == pytest.approx(expected)


def test_a_shift_moves_the_state_by_one_position() -> None:
    assert shift(H, ONE, 1).flatten().tolist() == [0, 10, 20]
    assert shift(H, ONE, 0) is H


@pytest.mark.parametrize(("law", "norm"), [("add", 1.0), ("replace", 1.0), ("scaled", 0.1), ("parcae", 0.5)])
def test_the_spectral_norm_is_how_far_a_state_is_stretched(law: str, norm: float) -> None:
    assert injection(law).spectral_norm() == pytest.approx(norm)


def test_a_shift_stays_inside_its_document() -> None:
    documents = Documents.of(torch.tensor([[0, 1, 1]]))
    assert shift(H, documents, 1).flatten().tolist() == [0, 0, 20]
