"""Silent errors: a flipped bit is found, and step, rank and tensor are named."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from model.group import Group
from model.integrity import Integrity, SilentError, fingerprint
from tests.model.test_trainer import Keys, run


def flip(tensor: Tensor, element: int, bit: int) -> None:
    """Flip one bit of one element in place."""
    whole = {2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    view = tensor.detach().view(-1).view(whole)
    mask = 1 << bit if bit < 8 * tensor.element_size() - 1 else -(1 << bit)
    view[element] ^= mask


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_every_flipped_bit_changes_the_fingerprint(dtype: torch.dtype) -> None:
    tensor = torch.tensor([[1.5, -2.0, 0.0], [3e-3, 7.0, -0.0]], dtype=dtype)
    before = int(fingerprint(tensor))
    for bit in range(8 * tensor.element_size()):
        flip(tensor, 4, bit)
        assert int(fingerprint(tensor)) != before
        flip(tensor, 4, bit)
    assert int(fingerprint(tensor)) == before


def test_a_weight_that_changes_between_steps_is_named() -> None:
    module = nn.Linear(3, 2)
    integrity = Integrity(module, Group(), every=100)
    integrity.after_update()
    integrity.before_forward(7)
    flip(module.weight, 5, 3)
    with pytest.raises(SilentError, match="tensors on rank 0 changed in memory between step 7 and step 8: weight;"):
        integrity.before_forward(8)


def test_a_gradient_that_comes_out_otherwise_is_named_and_one_that_does_not_is_kept() -> None:
    module = nn.Linear(3, 2)
    integrity = Integrity(module, Group(), every=2)

    def compute() -> None:
        module(torch.ones(1, 3)).sum().backward()

    def struck() -> None:
        compute()
        assert module.bias.grad is not None
        flip(module.bias.grad, 1, 0)

    compute()
    first = [parameter.grad.clone() for parameter in module.parameters() if parameter.grad is not None]
    integrity.recompute(4, compute)
    assert all(torch.equal(p.grad, g) for p, g in zip(module.parameters(), first, strict=True))
    with pytest.raises(
        SilentError, match="tensors on rank 0 of the gradient differ when step 4 is computed again: bias;"
    ):
        integrity.recompute(4, struck)


def test_a_flip_while_training_is_found_within_the_steps_that_were_asked_for(
    training: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first pass of step 6 is struck in its gradient; every third step is computed twice."""
    from model import objective

    real, calls = objective.sum_of_nats, iter(range(1, 1_000))

    def loss(states: Tensor, readout: Tensor, targets: Tensor) -> Any:
        total, each = real(states, readout, targets)
        # Two passes in step 3, so that the first of step 6 is the seventh.
        return (total * (1 + 2**-20) if next(calls) == 7 else total), each

    monkeypatch.setattr(objective, "sum_of_nats", loss)
    with pytest.raises(SilentError, match=r"when step 6 is computed again: embedding\.weight, blocks\.0"):
        run(training(verify_every=3))


def test_checks_change_nothing(training: Keys, tmp_path: Any) -> None:
    from tests.model.test_trainer import journal, saved_bytes

    run(training(out=str(tmp_path / "plain")))
    run(training(out=str(tmp_path / "checked"), verify_every=1))
    assert saved_bytes(tmp_path / "checked") == saved_bytes(tmp_path / "plain")
    assert journal(tmp_path / "checked") == journal(tmp_path / "plain")
