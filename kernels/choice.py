"""Which implementation of causal or gated attention is the fastest here, measured once a class of shapes.

Enters: a shape, type and device. Leaves: the name of an implementation. On a CPU, without Triton, or for what its
kernels do not compute, the library's. On a GPU forward and backward of each candidate are timed on random numbers;
under deterministic algorithms nothing is timed and the fused kernels serve: no clock decides a result's bits then.
Limit: candidates are timed one by one outside of `torch.compile`, which would fuse the gate of `sdpa`; ranks measure
apart, and may choose differently.

Legend: B batch, T positions, H query heads, G key heads, d head dimension, x gate width (1 or d).
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from kernels.documents import Documents
from kernels.implementations import (
    CAUSAL,
    IMPLEMENTATIONS,
    LARGEST_HEAD,
    CausalImplementation,
    Implementation,
    has_triton,
)

GATED: tuple[Implementation, ...] = ("fused", "hybrid", "sdpa")
WITHOUT_GATE: tuple[CausalImplementation, ...] = ("fused", "sdpa")
_TYPES = (torch.bfloat16, torch.float16, torch.float32)
_ROUNDS, _CALLS = 5, 5


@dataclass(frozen=True)
class Shape:
    """All that the choice may depend on; x = 0 is causal attention, without gate and window.

    `whole`: every row is one document. `compiled`: a compiler traces the call, to which lanes of documents, of other
    shapes in every batch, are one program each; the fused kernels know no lanes.
    """

    device: torch.device
    dtype: torch.dtype
    B: int
    T: int
    H: int
    G: int
    d: int
    x: int
    window: int
    window_self: bool
    whole: bool
    compiled: bool

    @property
    def kind(self) -> "Shape":
        """The class of shapes that shares a measurement: lengths up to the next power of two are alike."""
        return replace(self, T=1 << max(self.T - 1, 0).bit_length())


_chosen: dict[Shape, Implementation] = {}


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def choose(*shape_fields: Any) -> Implementation:
    """The implementation for a Shape; the first call for a class of shapes on a GPU takes the time to measure.

    It takes the fields one by one because a compiler that traces the caller hands over constants, not records.
    """
    shape = Shape(*shape_fields)
    if not _serves(shape):
        return "sdpa"
    if torch.are_deterministic_algorithms_enabled() or (shape.compiled and not shape.whole):
        return "fused"
    if shape.kind not in _chosen:
        _chosen[shape.kind] = fastest(shape, milliseconds_on_gpu)
    return _chosen[shape.kind]


def _serves(shape: Shape) -> bool:
    """Whether the Triton kernels compute such a shape here."""
    able = shape.dtype in _TYPES and shape.d <= LARGEST_HEAD
    return able and shape.device.type == "cuda" and has_triton()


def fastest(shape: Shape, milliseconds: Callable[[Callable[[], object]], float]) -> Implementation:
    """The candidate with the fewest milliseconds; one that needs more memory than there is loses."""
    times: dict[Implementation, float] = {}
    for name in GATED if shape.x else WITHOUT_GATE:
        try:
            times[name] = milliseconds(training_step(shape, name))
        except torch.OutOfMemoryError:
            times[name] = float("inf")
    return min(times, key=lambda name: times[name])


def training_step(shape: Shape, implementation: Implementation) -> Callable[[], object]:
    """Forward and backward of one implementation on random numbers; documents are rows or quarters of rows."""
    B, T, H, G, d = shape.B, shape.T, shape.H, shape.G, shape.d
    ids_T = torch.arange(T, device=shape.device) // (T if shape.whole else max(1, T // 4))
    documents = Documents.of(ids_T.expand(B, T))
    sizes = [(H, d), (G, d), (G, d), (G, d), (G, d), (H, shape.x)][: 6 if shape.x else 3]
    tensors = [
        torch.randn(B, T, *size, device=shape.device, dtype=shape.dtype).requires_grad_() for size in sizes
    ]  # fmt: skip
    upstream = torch.randn(B, T, H, d, device=shape.device, dtype=shape.dtype)

    def step() -> object:
        if shape.x:
            out = IMPLEMENTATIONS[implementation](*tensors, documents, shape.window, shape.window_self)
        else:
            out = CAUSAL[implementation](*tensors, documents)
        return torch.autograd.grad(out, tensors, upstream)

    return step


def milliseconds_on_gpu(run: Callable[[], object]) -> float:
    """Of one call among several in flight, as in a training, where launching costs nothing unless it is what limits."""
    times = []
    for _ in range(1 + _ROUNDS):
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(_CALLS):
            run()
        torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - began) / _CALLS)
    return statistics.median(times[1:])
