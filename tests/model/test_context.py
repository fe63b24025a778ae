"""How gradients reach earlier loops: the numbers stay, the gradient is cut or shrunk."""

import pytest
import torch
from torch import Tensor

from model.context import LoopGradient
from model.looped import LoopedTransformer
from tests.model.test_looped import DOCUMENTS, TOKENS, build


def gradients(model: LoopedTransformer, gradient: LoopGradient) -> tuple[Tensor, list[Tensor | None]]:
    """The output, and the gradient that reaches the state of each loop."""
    model.loop_gradient = gradient
    states = model.states(TOKENS, DOCUMENTS)
    for state in states:
        state.retain_grad()
    model.read(states[-1]).pow(2).sum().backward()
    return states[-1].detach(), [state.grad for state in states]


def test_the_output_is_the_same_whatever_the_gradient_is() -> None:
    model = build(loops=3)
    outputs = [gradients(model, found)[0] for found in (LoopGradient(), LoopGradient(1), LoopGradient(scale=0.3))]
    torch.testing.assert_close(outputs[1], outputs[0], rtol=0, atol=0)
    torch.testing.assert_close(outputs[2], outputs[0], rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_scale_changes_no_bit_of_what_passes(dtype: torch.dtype) -> None:
    numbers = torch.randn(4096, generator=torch.Generator().manual_seed(1)).to(dtype).requires_grad_()
    passed = LoopGradient(scale=0.3).reaching(numbers, 0, 2)
    assert torch.equal(passed, numbers)
    (grad,) = torch.autograd.grad(passed.sum(), numbers)
    assert torch.equal(grad, torch.full_like(grad, 0.3))


@pytest.mark.parametrize(("loops", "reached"), [(1, [False, False, True]), (2, [False, True, True]), (3, [True] * 3)])
def test_truncation_reaches_the_last_loops_only(loops: int, reached: list[bool]) -> None:
    _, found = gradients(build(loops=3), LoopGradient(loops))
    assert [grad is not None for grad in found] == reached


def test_truncation_cuts_the_first_loops_keys_and_values_too() -> None:
    model = build(loops=2, input_injection="replace")
    gradients(model, LoopGradient(1))
    assert model.embedding.weight.grad is None
    gradients(model, LoopGradient())
    assert model.embedding.weight.grad is not None


def test_a_scale_shrinks_what_passes_from_a_loop_to_the_one_before() -> None:
    # With a window that sees nothing of the first loop but its state, that state's gradient is scaled once.
    _, full = gradients(build(loops=2), LoopGradient())
    _, half = gradients(build(loops=2), LoopGradient(scale=0.5))
    assert full[0] is not None and half[0] is not None and full[1] is not None and half[1] is not None
    torch.testing.assert_close(half[1], full[1])
    torch.testing.assert_close(half[0], 0.5 * full[0])
