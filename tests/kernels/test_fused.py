"""The Triton kernels against the plain reference in fp64, with all gradients; in the interpreter where no GPU is."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernels.documents import Documents
from kernels.gated_attention import causal_attention, gated_attention
from model.config import ModelConfig
from model.looped import LoopedTransformer
from tests.kernels.examples import NAMES, assert_close, expected, found, ids_of, inputs, ragged, upstream

fused = pytest.importorskip("kernels.fused", reason="triton is not installed")

KERNELS = ("fused", "hybrid")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# In fp32, inputs from a normal law; 1e-6 was seen.
FP32 = 5e-6


def on_device(x: dict[str, Tensor], dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    return {name: value.to(DEVICE, dtype) for name, value in x.items()}


def check(x: dict[str, Tensor], ids: Tensor, implementation: str, window: int, window_self: bool) -> None:
    # The oracle gets what the kernel gets: numbers that fp32 can hold.
    x = {name: value.float().double() for name, value in x.items()}
    result = found(on_device(x), ids, implementation, window=window, window_self=window_self)
    assert_close(result, expected(x, ids, window, window_self), FP32)


@pytest.mark.parametrize("implementation", KERNELS)
@pytest.mark.parametrize(
    ("T", "window", "window_self"),
    [(1, 1, False), (1, 1, True), (2, 1, False), (63, 16, True), (64, 64, False), (65, 1, False), (127, 33, True)],
)
def test_outputs_and_all_gradients_are_those_of_the_reference(
    T: int, window: int, window_self: bool, implementation: str
) -> None:
    check(inputs(T, d=32), ragged(T), implementation, window, window_self)


@pytest.mark.slow
@pytest.mark.parametrize("implementation", KERNELS)
def test_a_thousand_positions_in_many_documents(implementation: str) -> None:
    ids = ids_of([1, 400, 1, 1, 63, 64, 65, 405])
    check(inputs(1000, d=16, H=1, rows=1), ids, implementation, 64, False)


@pytest.mark.parametrize("T", [1, 33, 65])
def test_causal_attention_and_its_gradients_are_those_of_the_reference(T: int) -> None:
    x = {name: value.float().double() for name, value in inputs(T, G=2, H=4, d=24).items()}
    leaves = [x[name].requires_grad_() for name in NAMES[:3]]
    single = [leaf.detach().to(DEVICE, torch.float32).requires_grad_() for leaf in leaves]
    documents, there = Documents.of(ragged(T)), Documents.of(ragged(T).to(DEVICE))
    results = []
    for tensors, each, name in ((leaves, documents, "reference"), (single, there, "fused")):
        out = causal_attention(*tensors, each, implementation=name)
        grads = torch.autograd.grad(out, tensors, upstream(x).to(out))
        results.append(dict(zip(("out", *NAMES), (out.detach(), *grads), strict=False)))
    assert_close(results[1], results[0], FP32)


@pytest.mark.parametrize("implementation", KERNELS)
@pytest.mark.parametrize("window_self", [False, True])
@pytest.mark.parametrize("window", [0, 200])
def test_windows_of_nothing_and_of_more_than_there_is(window: int, window_self: bool, implementation: str) -> None:
    check(inputs(34, d=32, rows=1), ids_of([20, 14]), implementation, window, window_self)


@pytest.mark.parametrize("implementation", KERNELS)
@pytest.mark.parametrize("d", [4, 32, 48, 80, 96, 128])
def test_head_sizes_that_are_powers_of_two_and_others(d: int, implementation: str) -> None:
    check(inputs(33, d=d, rows=1), ids_of([13, 20]), implementation, 5, False)


@pytest.mark.parametrize("implementation", KERNELS)
@pytest.mark.parametrize(("H", "G", "gate_width"), [(4, 2, 1), (3, 1, 32), (2, 2, 32)])
def test_grouped_heads_and_a_gate_for_each_channel(H: int, G: int, gate_width: int, implementation: str) -> None:
    check(inputs(40, G, gate_width, H=H, d=32), ids_of([40], [7, 33]), implementation, 9, True)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    documents=st.lists(st.integers(1, 50), min_size=1, max_size=4),
    group=st.integers(1, 2),
    window=st.integers(0, 70),
    window_self=st.booleans(),
    implementation=st.sampled_from(KERNELS),
)
def test_whatever_the_documents_and_the_window(
    documents: list[int], group: int, window: int, window_self: bool, implementation: str
) -> None:
    check(inputs(sum(documents), d=16, H=group, rows=1), ids_of(documents), implementation, window, window_self)


@pytest.mark.parametrize("implementation", KERNELS)
def test_half_precision_stays_near_the_reference(implementation: str) -> None:
    x, ids = inputs(66, d=32, rows=1), ids_of([6, 60])
    result = found(on_device(x, torch.float16), ids, implementation, window=16)
    assert result["k1"].dtype == torch.float16
    assert_close(result, expected(x, ids, 16, False), 1e-2)


@pytest.mark.parametrize("implementation", KERNELS)
def test_nothing_behind_the_used_part_of_a_buffer_is_read_and_nothing_is_left_unwritten(implementation: str) -> None:
    x, T = inputs(80, d=24, rows=1), 65
    cut = {name: value[:, :T].clone() for name, value in x.items()}
    buffers = on_device(x)
    for name in NAMES:
        buffers[name][:, T:] = float("nan")
    views = {name: buffers[name][:, :T] for name in NAMES}
    assert all(view.is_contiguous() for view in views.values())
    torch.use_deterministic_algorithms(True)  # fills what `empty` gives with NaN
    try:
        result = found(views, ids_of([T]), implementation, window=16)
    finally:
        torch.use_deterministic_algorithms(False)
    assert_close(result, expected(cut, ids_of([T]), 16, False), FP32)


@pytest.mark.parametrize("implementation", KERNELS)
def test_tensors_in_another_order_of_strides_are_taken(implementation: str) -> None:
    x, ids = inputs(20, d=32), ids_of([20], [3, 17])
    turned = {name: value.transpose(1, 2).contiguous().transpose(1, 2) for name, value in on_device(x).items()}
    assert_close(found(turned, ids, implementation, window=4), expected(x, ids, 4, False), FP32)


def test_two_backward_passes_give_the_same_bits() -> None:
    x, ids = on_device(inputs(70, d=16, H=4, rows=1)), ids_of([30, 40])
    first, second = (found(x, ids, "fused", window=20) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("implementation", KERNELS)
def test_other_documents_and_later_positions_change_nothing(implementation: str) -> None:
    x, ids = on_device(inputs(7, d=16, rows=1)), ids_of([3, 4])
    before = found(x, ids, implementation, window=4)["out"]
    for name in ("k1", "v1", "k2", "v2"):
        x[name][:, [0, 1, 2, 5, 6]] = 1e3
    after = found(x, ids, implementation, window=4)["out"]
    assert torch.equal(before[:, 3:5], after[:, 3:5])
    assert not torch.equal(before[:, 5:], after[:, 5:])


def test_what_the_kernels_do_not_compute_is_refused_by_name() -> None:
    ids = ids_of([5], [5])
    with pytest.raises(ValueError, match=r"torch\.float16.*, not torch\.float64"):
        found(inputs(5, d=32), ids, "fused", window=2)
    with pytest.raises(ValueError, match="160 channels, the kernels take at most 128"):
        found(on_device(inputs(5, d=160)), ids, "fused", window=2)
    with pytest.raises(ValueError, match=r"v1 is torch\.float16, the queries are torch\.float32"):
        x = on_device(inputs(5, d=32))
        found({**x, "v1": x["v1"].half()}, ids, "fused", window=2)


@pytest.mark.skipif(DEVICE == "cuda", reason="a GPU computes bf16 rightly")
def test_the_interpreter_is_given_no_bf16() -> None:
    with pytest.raises(ValueError, match=r"interpreter computes .*, not torch\.bfloat16"):
        found(on_device(inputs(5, d=32), torch.bfloat16), ids_of([5], [5]), "hybrid", window=2)


def arguments(implementation: str) -> tuple[object, ...]:
    x, documents = on_device(inputs(9, d=16, rows=1)), Documents.of(ids_of([4, 5]).to(DEVICE))
    tensors = [value.requires_grad_() for value in x.values()]
    if implementation == "hybrid":
        tensors = [tensors[0], *tensors[3:], torch.randn_like(tensors[0]).requires_grad_()]
    if implementation == "causal":
        return *tensors[:3], documents.begins_BT, documents.ends_BT
    return *tensors, documents.begins_BT, documents.ends_BT, 3, False


@pytest.mark.parametrize(
    ("operator", "implementation"),
    [("fused_attention", "fused"), ("local_attention", "hybrid"), ("fused_causal_attention", "causal")],
)
def test_the_operators_keep_what_the_library_asks_of_operators(operator: str, implementation: str) -> None:
    torch.library.opcheck(getattr(fused, operator), arguments(implementation))


@pytest.mark.parametrize(
    ("implementation", "backend"),
    [("fused", "aot_eager"), ("hybrid", "aot_eager"), pytest.param("fused", "inductor", marks=pytest.mark.slow)],
)
def test_a_compiled_function_passes_through_without_a_break(implementation: str, backend: str) -> None:
    x, ids = on_device(inputs(9, d=16)), ids_of([9], [4, 5])
    plain = found(x, ids, implementation, window=3)
    compiled = torch.compile(found_with(ids, implementation), fullgraph=True, backend=backend)
    leaves = [x[name].detach().requires_grad_() for name in NAMES]
    out = compiled(*leaves)
    torch.testing.assert_close(out, plain["out"] * 2)
    grads = torch.autograd.grad(out.sum(), leaves)
    expected_grads = torch.autograd.grad(found_with(ids, implementation)(*leaves).sum(), leaves)
    torch.testing.assert_close(grads, expected_grads)


@pytest.mark.skipif(DEVICE == "cuda", reason="stands in for the GPU's clock")
def test_a_tuner_tries_each_tile_once_a_class_of_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []

    def clock(run: Callable[[], object], **_: object) -> tuple[float, ...]:
        run()
        runs.append(1)
        return (float(len(runs)),) * 3

    monkeypatch.setattr(fused.triton, "autotune", partial(fused.triton.autotune, do_bench=clock))
    monkeypatch.setattr(fused, "tiles_for", lambda *_: (fused.Tile(32, 16, 4, 1), fused.Tile(16, 32, 4, 1)))
    fused._tuned.cache_clear()
    try:
        for T in (18, 18, 30):
            check(inputs(T, d=16, rows=1), ids_of([7, T - 7]), "fused", 3, False)
        # Two tiles for the forward kernel, for that by queries, and for that by keys of either part.
        assert len(runs) == 8
        check(inputs(9, d=16, rows=1), ids_of([9]), "fused", 3, False)
        assert len(runs) == 16
    finally:
        fused._tuned.cache_clear()


def test_a_compiled_model_takes_other_documents_without_another_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernels.choice._serves", lambda shape: True)
    monkeypatch.setattr("kernels.choice.fastest", lambda *_: "fused")
    monkeypatch.setattr(torch._dynamo.config, "error_on_recompile", True)
    sizes = {"vocab_size": 11, "dim": 32, "layers": 1, "heads": 2, "kv_heads": 1, "head_dim": 16, "ffn_dim": 8}
    model = LoopedTransformer(ModelConfig(**sizes, max_length=8, window=3)).to(DEVICE)
    tokens = torch.arange(8, device=DEVICE).expand(2, 8)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    for rows in (([3, 5], [8]), ([3, 2, 3], [7, 1])):
        documents = Documents.of(ids_of(*rows).to(DEVICE))
        torch.testing.assert_close(compiled(tokens, documents), model(tokens, documents))


def found_with(ids: Tensor, implementation: str) -> object:
    documents = Documents.of(ids.to(DEVICE))
    return lambda *leaves: 2 * gated_attention(*leaves, documents, window=3, implementation=implementation)


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="no CUDA device")
@pytest.mark.parametrize("implementation", (*KERNELS, "sdpa"))
@pytest.mark.parametrize("d", [64, 96, 128])
def test_bf16_on_a_gpu_stays_near_the_reference(d: int, implementation: str) -> None:
    x = {name: value.bfloat16().double() for name, value in inputs(300, G=2, d=d, H=4).items()}
    ids = ids_of([130, 1, 169], [300])
    result = found(on_device(x, torch.bfloat16), ids, implementation, window=64)
    assert_close(result, expected(x, ids, 64, False), 5e-2)
