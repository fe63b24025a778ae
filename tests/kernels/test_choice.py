"""The choice of an implementation: by device, by support, by time; once a class of shapes; also while compiling."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

import kernels.choice
from kernels.choice import Shape, choose, fastest, training_step
from kernels.gated_attention import gated_attention
from tests.kernels.examples import found, ids_of, inputs

GPU = Shape(torch.device("cuda"), torch.bfloat16, 2, 100, 4, 2, 64, 1, 64, False, True, False)


def chosen(shape: Shape) -> str:
    return choose(*vars(shape).values())


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Shape]:
    """A GPU on which the hybrid is always the fastest; the shapes that were measured."""
    shapes: list[Shape] = []
    monkeypatch.setattr("kernels.choice.fastest", lambda shape, _: shapes.append(shape) or "hybrid")
    monkeypatch.setattr("kernels.choice._chosen", {})
    monkeypatch.setattr("kernels.choice.has_triton", lambda: True)
    return shapes


def test_a_cpu_takes_the_library_and_measures_nothing(measured: list[Shape]) -> None:
    assert chosen(replace(GPU, device=torch.device("cpu"))) == "sdpa"
    assert measured == []


def test_a_gpu_measures_each_class_of_shapes_once(measured: list[Shape]) -> None:
    assert [chosen(GPU), chosen(GPU), chosen(replace(GPU, T=128))] == ["hybrid"] * 3
    assert measured == [GPU]
    chosen(replace(GPU, T=129))
    chosen(replace(GPU, whole=False))
    assert len(measured) == 3


def test_what_the_kernels_do_not_compute_is_left_to_the_library(measured: list[Shape]) -> None:
    assert chosen(replace(GPU, dtype=torch.float64)) == "sdpa"
    assert chosen(replace(GPU, d=129)) == "sdpa"
    assert chosen(replace(GPU, d=128)) == "hybrid"


def test_without_triton_the_library_serves(measured: list[Shape], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernels.choice.has_triton", lambda: False)
    assert chosen(GPU) == "sdpa"


def test_deterministic_algorithms_take_the_fused_kernels_unmeasured(measured: list[Shape]) -> None:
    torch.use_deterministic_algorithms(True)
    try:
        assert chosen(GPU) == "fused"
    finally:
        torch.use_deterministic_algorithms(False)
    assert measured == []


def test_documents_under_a_compiler_take_the_kernels_that_know_no_lanes(measured: list[Shape]) -> None:
    assert chosen(replace(GPU, whole=False, compiled=True)) == "fused"
    assert chosen(replace(GPU, compiled=True)) == "hybrid"


def test_causal_attention_is_measured_without_gate_and_window() -> None:
    shape = replace(GPU, device=torch.device("cpu"), dtype=torch.float32, T=5, d=16, x=0, window=0)
    times = iter([1.0, 2.0])
    assert fastest(shape, lambda run: run() and next(times)) == "fused"
    assert [tuple(grad.shape) for grad in training_step(shape, "sdpa")()] == [(2, 5, 4, 16), *[(2, 5, 2, 16)] * 2]


def test_the_fastest_wins_and_one_without_memory_loses() -> None:
    times = {"fused": 3.0, "hybrid": 2.0, "sdpa": 1.0}
    small = replace(GPU, device=torch.device("cpu"), dtype=torch.float32, T=5, d=16, window=2)

    def milliseconds(run: Callable[[], object]) -> float:
        run()
        name = order.pop(0)
        if name == "sdpa":
            raise torch.OutOfMemoryError
        return times[name]

    order = list(kernels.choice.GATED)
    assert fastest(small, milliseconds) == "hybrid"


def test_a_step_is_forward_and_backward_over_documents_of_the_shape() -> None:
    shape = Shape(torch.device("cpu"), torch.float32, 2, 7, 4, 2, 8, 8, 3, True, False, False)
    grads = training_step(shape, "sdpa")()
    assert [tuple(grad.shape) for grad in grads] == [(2, 7, 4, 8), *[(2, 7, 2, 8)] * 4, (2, 7, 4, 8)]


def test_a_compiled_function_makes_the_choice_while_it_is_traced(
    measured: list[Shape], monkeypatch: pytest.MonkeyPatch
) -> None:
    from kernels.documents import Documents

    x = {name: value.float() for name, value in inputs(6, d=16).items()}
    documents = Documents.whole(2, 6)
    monkeypatch.setattr("kernels.choice._serves", lambda shape: True)
    run = torch.compile(lambda *leaves: gated_attention(*leaves, documents, window=2), fullgraph=True, backend="eager")
    out = run(*x.values())
    assert [shape.T for shape in measured] == [6]
    torch.testing.assert_close(out, found(x, ids_of([6], [6]), "hybrid", window=2)["out"])


def test_an_implementation_that_needs_triton_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernels.implementations.has_triton", lambda: False)
    with pytest.raises(ImportError, match="'hybrid' needs triton, which is not installed"):
        found(inputs(3), ids_of([3], [3]), "hybrid", window=1)
