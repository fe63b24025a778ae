"""Cross entropy in chunks against the library's, and its gradients."""

import pytest
import torch
import torch.nn.functional as F

import model.loss
from model.loss import nats_each, sum_of_nats

TARGETS = torch.tensor([0, 4, 2, 2, 1])


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows a chunk, so that five rows need three."""
    monkeypatch.setattr(model.loss, "_CHUNK_NUMBERS_CPU", 10)


def inputs(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    states, readout = (torch.randn(5, 3, generator=generator, dtype=torch.float64).to(dtype) for _ in range(2))
    return states.requires_grad_(), readout.requires_grad_()


def test_the_sum_is_that_of_the_librarys_cross_entropy() -> None:
    states, readout = inputs()
    expected = F.cross_entropy(states @ readout.T, TARGETS, reduction="sum")
    total, each = sum_of_nats(states, readout, TARGETS)
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(each, nats_each(states, readout, TARGETS))
    assert not each.requires_grad


def test_nats_of_each_position_are_those_of_the_librarys_cross_entropy() -> None:
    states, readout = inputs()
    expected = F.cross_entropy(states @ readout.T, TARGETS, reduction="none").detach()
    torch.testing.assert_close(nats_each(states, readout, TARGETS), expected)


def test_gradients_are_those_of_finite_differences() -> None:
    assert torch.autograd.gradcheck(lambda s, r: 0.3 * sum_of_nats(s, r, TARGETS)[0], inputs())


def test_no_targets_give_zero_and_zero_gradients() -> None:
    states, readout = inputs()
    total, _ = sum_of_nats(states[:0], readout, TARGETS[:0])
    total.backward()
    assert total.item() == 0
    assert readout.grad is not None
    assert readout.grad.abs().sum() == 0
    assert nats_each(states[:0], readout, TARGETS[:0]).shape == (0,)


def test_autocast_multiplies_in_bf16_and_sums_in_fp32() -> None:
    states, readout = inputs(torch.float32)
    exact, _ = sum_of_nats(states, readout, TARGETS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded, _ = sum_of_nats(states, readout, TARGETS)
    assert rounded.dtype == torch.float32
    assert rounded != exact
    torch.testing.assert_close(rounded, exact, rtol=0.02, atol=0)
