"""Gated attention by the Triton kernels, as operators of `torch.library` that autograd and `torch.compile` pass.

Enters: tensors as in `kernels.gated_attention`, copied where they are not contiguous, and the bounds of documents.
Leaves: outputs, with gradients. `fused_attention` computes both parts in one kernel and keeps O and two log-sum-exps;
`local_attention` takes the global output from a library, adds local part and gate, and keeps that global output and one
log-sum-exp; `fused_causal_attention` is the global part alone. None of them asks how many documents there are, so that
a compiler sees the same shapes in every batch. `forward` and `backward` launch the kernels in any of their modes. Needs
a CUDA device, or TRITON_INTERPRET=1 set before the first import of Triton (fp32 and fp16 only: the interpreter computes
bf16 wrongly).
Limit: nothing here was run on a GPU yet. The tiles were chosen by what ptxas says of registers, not by time.

Legend: B batch, T queries, S keys, H query heads, G key heads, d head dimension, x gate width (1 or d).
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import triton
from torch import Tensor

from kernels import triton_kernels
from kernels.implementations import LARGEST_HEAD

_INTERPRETED = not isinstance(triton_kernels.forward, triton.JITFunction)
_DTYPES = (torch.float32, torch.float16) if _INTERPRETED else (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Tile:
    """Queries and keys of a block; how many warps share it and how many loads are under way."""

    queries: int
    keys: int
    warps: int
    stages: int

    @property
    def blocks(self) -> dict[str, int]:
        return {"BLOCK_M": self.queries, "BLOCK_N": self.keys}

    @property
    def options(self) -> dict[str, int]:
        return {"num_warps": self.warps, "num_stages": self.stages}


@dataclass(frozen=True)
class Parts:
    """What one launch computes on: `k1, v1` the global part, `k2, v2, gate` the local one, `given` a global output.

    Key 0 stands `shift` positions before query 0. `begins_BT` counts in keys: the first key that a query may see.
    `ends_BS`: the first position, counted in keys, that is no longer in the key's document.
    """

    q: Tensor
    begins_BT: Tensor
    ends_BS: Tensor
    k1: Tensor | None = None
    v1: Tensor | None = None
    k2: Tensor | None = None
    v2: Tensor | None = None
    gate: Tensor | None = None
    given: Tensor | None = None
    window: int = 0
    window_self: bool = False
    shift: int = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                object.__setattr__(self, name, value.contiguous())

    @property
    def differentiable(self) -> dict[str, Tensor]:
        named = {name: getattr(self, name) for name in ("q", "k1", "v1", "k2", "v2", "gate", "given")}
        return {name: x for name, x in named.items() if x is not None}

    @property
    def sizes(self) -> tuple[int, int, int, int, int, int]:
        """B, T, S, H, G, d."""
        keys = self.k1 if self.k1 is not None else self.k2
        assert keys is not None
        B, T, H, d = self.q.shape
        return B, T, keys.shape[1], H, keys.shape[2], d

    @property
    def numbers(self) -> tuple[int, int, int, int, float]:
        _, T, S, _, _, d = self.sizes
        return T, S, triton.next_power_of_2(max(T, S)), self.shift, d**-0.5

    @property
    def constants(self) -> dict[str, Any]:
        _, _, _, H, G, d = self.sizes
        nearest = 0 if self.window_self else 1
        gate = 0 if self.gate is None else 1 if self.gate.shape[3] == 1 else 2
        exact = torch.get_float32_matmul_precision() == "highest"
        return {
            "GATE": gate, "NEAREST": nearest, "FARTHEST": nearest + self.window - 1, "H": H, "G": G, "D": d,
            "P": max(16, triton.next_power_of_2(d)), "PRECISION": "ieee" if exact else "tf32",
        }  # fmt: skip


def _check(parts: Parts) -> None:
    """ValueError, by name, for what the kernels do not compute."""
    q = parts.q
    if q.dtype not in _DTYPES:
        where = "Triton's interpreter computes" if _INTERPRETED else "the kernels compute"
        raise ValueError(f"{where} {', '.join(map(str, _DTYPES))}, not {q.dtype}")
    if q.shape[3] > LARGEST_HEAD:
        raise ValueError(f"heads have {q.shape[3]} channels, the kernels take at most {LARGEST_HEAD}")
    if q.device.type != ("cpu" if _INTERPRETED else "cuda"):
        need = "CPU tensors, since TRITON_INTERPRET is set" if _INTERPRETED else "a CUDA device or TRITON_INTERPRET=1"
        raise ValueError(f"the kernels need {need}, not tensors on {q.device}")
    for name in ("k1", "v1", "k2", "v2", "given"):
        other = getattr(parts, name)
        if other is not None and other.dtype != q.dtype:
            raise ValueError(f"{name} is {other.dtype}, the queries are {q.dtype}")


def forward(parts: Parts) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Output [B, T, H, d] and, in fp32 [B, H, T], the log-sum-exps of the global and of the local part."""
    _check(parts)
    B, T, _, H, _, _ = parts.sizes
    out = torch.empty_like(parts.q)
    lse1 = None if parts.k1 is None else parts.q.new_empty((B, H, T), dtype=torch.float32)
    lse2 = None if parts.k2 is None else parts.q.new_empty((B, H, T), dtype=torch.float32)
    pointers = (parts.k1, parts.v1, parts.k2, parts.v2, parts.gate, parts.given, parts.begins_BT, out, lse1, lse2)
    modes = {"GLOBAL": parts.k1 is not None, "LOCAL": parts.k2 is not None}
    _launch(triton_kernels.forward, parts, pointers, modes)
    return out, lse1, lse2


def backward(
    parts: Parts, out: Tensor, lse1: Tensor | None, lse2: Tensor | None, d_out: Tensor
) -> dict[str, Tensor]:  # fmt: skip
    """The gradient of each tensor of `parts`, by its name; `out` is the output, or `given` where there is one."""
    _check(parts)
    d_out = d_out.contiguous()
    grads = {name: torch.empty_like(x) for name, x in parts.differentiable.items()}
    rho1, rho2 = (None if lse is None else torch.empty_like(lse) for lse in (lse1, lse2))
    reads = (parts.k1, parts.v1, parts.k2, parts.v2, parts.gate, out.contiguous(), parts.begins_BT, lse1, lse2, d_out)
    writes = (grads["q"], grads.get("gate"), grads.get("given"), rho1, rho2)
    modes = {"GLOBAL": parts.k1 is not None, "LOCAL": parts.k2 is not None}
    _launch(triton_kernels.backward_queries, parts, (*reads, *writes), modes)
    for k, v, lse, rho in (("k1", "v1", lse1, rho1), ("k2", "v2", lse2, rho2)):
        if k in grads:
            pointers = (parts.gate, parts.ends_BS, lse, rho, d_out, grads[k], grads[v])
            pair = (getattr(parts, k), getattr(parts, v))
            _launch(triton_kernels.backward_keys, parts, (*pair, *pointers), {"LOCAL": k == "k2"})
    return grads


def _launch(kernel: Any, parts: Parts, pointers: tuple[Tensor | None, ...], modes: dict[str, bool]) -> None:
    B, T, S, H, G, _ = parts.sizes

    def grid(blocks: dict[str, Any]) -> tuple[int, int, int]:
        if kernel is triton_kernels.backward_keys:
            return triton.cdiv(S, blocks["BLOCK_N"]), G, B
        return triton.cdiv(T, blocks["BLOCK_M"]), H, B

    # A pointer that this mode does not follow may be any.
    arguments = [parts.q, *(parts.q if pointer is None else pointer for pointer in pointers), *parts.numbers]
    constants = {**modes, **parts.constants}
    tiles = tiles_for(kernel, parts.q.dtype, constants["P"])
    # Tuning would let a clock decide the order of a sum.
    fixed = len(tiles) == 1 or torch.are_deterministic_algorithms_enabled()
    with torch.cuda.device_of(parts.q):  # type: ignore[no-untyped-call]
        if fixed:
            kernel[grid](*arguments, **constants, **tiles[0].blocks, **tiles[0].options)
        else:
            _tuned(kernel, tiles)[grid](*arguments, **constants)


def tiles_for(kernel: Any, dtype: torch.dtype, P: int) -> tuple[Tile, ...]:
    """What to try; first the one that ptxas for sm_90 gives registers enough, or to within 8 bytes."""
    by_keys = kernel is triton_kernels.backward_keys
    if _INTERPRETED:
        return (Tile(32, 64, 4, 1) if by_keys else Tile(64, 32, 4, 1),)
    if dtype == torch.float32:
        return (Tile(32, 32, 8, 2),)
    if by_keys:
        return Tile(64, 64, 8, 2), Tile(64, 128, 8, 2), Tile(32, 128, 8, 3), Tile(32, 64, 4, 3)
    if kernel is triton_kernels.backward_queries:
        wide, narrow = Tile(128, 64, 8, 3), Tile(64, 64, 8, 2)
        return (wide, narrow) if P <= 64 else (narrow, wide)
    return Tile(128, 64, 8, 3), Tile(128, 128, 8, 2), Tile(64, 64, 4, 3)


@cache
def _tuned(kernel: Any, tiles: tuple[Tile, ...]) -> Any:
    configs = [triton.Config(tile.blocks, **tile.options) for tile in tiles]
    return triton.autotune(configs, key=["length_class", "H", "G", "D", "GATE", "FARTHEST", "GLOBAL", "LOCAL"])(kernel)


@torch.library.custom_op("loopdata::gated_attention", mutates_args=())
def fused_attention(
    q: Tensor, k1: Tensor, v1: Tensor, k2: Tensor, v2: Tensor, gate: Tensor, begins_BT: Tensor, ends_BT: Tensor,
    window: int, window_self: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """O, and the log-sum-exps of the global and the local part, through which no gradient flows."""
    parts = Parts(q, begins_BT, ends_BT, k1, v1, k2, v2, gate, window=window, window_self=window_self)
    out, lse1, lse2 = forward(parts)
    assert lse1 is not None
    assert lse2 is not None
    return out, lse1, lse2


@torch.library.custom_op("loopdata::gated_attention_backward", mutates_args=())
def _fused_backward(
    q: Tensor, k1: Tensor, v1: Tensor, k2: Tensor, v2: Tensor, gate: Tensor, begins_BT: Tensor, ends_BT: Tensor,
    out: Tensor, lse1: Tensor, lse2: Tensor, d_out: Tensor, window: int, window_self: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    parts = Parts(q, begins_BT, ends_BT, k1, v1, k2, v2, gate, window=window, window_self=window_self)
    grads = backward(parts, out, lse1, lse2, d_out)
    return grads["q"], grads["k1"], grads["v1"], grads["k2"], grads["v2"], grads["gate"]


@torch.library.custom_op("loopdata::local_attention", mutates_args=())
def local_attention(
    q: Tensor, k2: Tensor, v2: Tensor, gate: Tensor, given: Tensor, begins_BT: Tensor, ends_BT: Tensor,
    window: int, window_self: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """σ(gate) ⊙ given + (1 − σ(gate)) ⊙ local attention, and the local log-sum-exp, through which no gradient flows."""
    parts = Parts(
        q, begins_BT, ends_BT, k2=k2, v2=v2, gate=gate, given=given, window=window, window_self=window_self
    )  # fmt: skip
    out, _, lse2 = forward(parts)
    assert lse2 is not None
    return out, lse2


@torch.library.custom_op("loopdata::local_attention_backward", mutates_args=())
def _local_backward(
    q: Tensor, k2: Tensor, v2: Tensor, gate: Tensor, given: Tensor, begins_BT: Tensor, ends_BT: Tensor,
    lse2: Tensor, d_out: Tensor, window: int, window_self: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    parts = Parts(
        q, begins_BT, ends_BT, k2=k2, v2=v2, gate=gate, given=given, window=window, window_self=window_self
    )  # fmt: skip
    grads = backward(parts, given, None, lse2, d_out)
    return grads["q"], grads["k2"], grads["v2"], grads["gate"], grads["given"]


@torch.library.custom_op("loopdata::causal_attention", mutates_args=())
def fused_causal_attention(
    q: Tensor, k: Tensor, v: Tensor, begins_BT: Tensor, ends_BT: Tensor
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Causal attention inside of documents, and its log-sum-exp, through which no gradient flows."""
    out, lse1, _ = forward(Parts(q, begins_BT, ends_BT, k, v))
    assert lse1 is not None
    return out, lse1


@torch.library.custom_op("loopdata::causal_attention_backward", mutates_args=())
def _causal_backward(
    q: Tensor, k: Tensor, v: Tensor, begins_BT: Tensor, ends_BT: Tensor, out: Tensor, lse1: Tensor, d_out: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    grads = backward(Parts(q, begins_BT, ends_BT, k, v), out, lse1, None, d_out)
    return grads["q"], grads["k1"], grads["v1"]


def _register(operator: Any, gradient: Any, statistics: int, tensors: int) -> None:
    """Shapes without data, and autograd, for an operator that gives an output and `statistics` log-sum-exps.

    Of its arguments the first `tensors` have gradients; then come begins, ends, and what says which window.
    """

    @operator.register_fake  # type: ignore[untyped-decorator]
    def _(q: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        B, T, H, _ = q.shape
        lse = [q.new_empty((B, H, T), dtype=torch.float32) for _ in range(statistics)]
        return q.new_empty(q.shape), *lse

    @gradient.register_fake  # type: ignore[untyped-decorator]
    def _(*arguments: Any) -> tuple[Tensor, ...]:
        return tuple(x.new_empty(x.shape) for x in arguments[:tensors])

    def remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        given = output[1:] if operator is local_attention else output
        ctx.save_for_backward(*inputs[: tensors + 2], *given)
        ctx.window = inputs[tensors + 2 :]
        ctx.mark_non_differentiable(*output[1:])

    def differentiate(ctx: Any, d_out: Tensor, *_: Any) -> tuple[Any, ...]:
        return *gradient(*ctx.saved_tensors, d_out, *ctx.window), None, None, *(None for _ in ctx.window)

    operator.register_autograd(differentiate, setup_context=remember)


_register(fused_attention, _fused_backward, statistics=2, tensors=6)
_register(local_attention, _local_backward, statistics=1, tensors=5)
_register(fused_causal_attention, _causal_backward, statistics=1, tensors=3)
