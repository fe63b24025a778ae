"""Gated attention, forward and backward, beside what the library offers for it.

On a GPU: T = 1k … 32k positions, 16,384 tokens, 16 query and 4 key heads of 128 channels, W = 64, bf16, against `sdpa`
(two library calls and the gate under torch.compile; the faster of cuDNN and flash for the global part), `flex` (two
FlexAttention calls and the gate under torch.compile) and `eager` (the library calls without a compiler); milliseconds,
bytes kept for the backward pass, and the time that the machine's peaks allow. On a CPU: the kernels' error in Triton's
interpreter, bytes kept, and a training step of the 1M model with our CPU path beside one whose attention is two plain
library calls under a T×T mask. Run by `python -m benchmarks.gated_attention [--save] [--lengths=1024,4096]`. Limit:
one shape of heads; peaks are those of the data sheets.

Legend: B batch, T positions, H query heads, G key heads, d head dimension, W window.
"""

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

from benchmarks.contenders import measure, ratios, spread
from benchmarks.harness import input_hash, report
from kernels.choice import choose, milliseconds_on_gpu
from kernels.documents import Documents
from kernels.gated_attention import gated_attention
from kernels.implementations import IMPLEMENTATIONS

TOKENS, H, G, D, W = 16_384, 16, 4, 128, 64
LENGTHS = (1_024, 2_048, 4_096, 8_192, 16_384, 32_768)
# Dense bf16 operations and bytes a second: data sheets of the SXM parts.
PEAKS = {"H100": (989e12, 3.35e12), "H200": (989e12, 4.8e12)}
MODEL = "configs/model/1m.yaml"
Inputs = tuple[Tensor, ...]
Attention = Callable[..., Tensor]


def inputs(B: int, T: int, heads: tuple[int, int, int], device: str, dtype: torch.dtype) -> Inputs:
    """q, k1, v1, k2, v2 and gate, which ask for gradients."""
    queries, groups, d = heads
    generator = torch.Generator(device).manual_seed(17)
    sizes = [(queries, d), (groups, d), (groups, d), (groups, d), (groups, d), (queries, 1)]
    made = [torch.randn(B, T, *size, generator=generator, device=device, dtype=torch.float32) for size in sizes]
    return tuple(x.to(dtype).requires_grad_() for x in made)


def step(attend: Attention, tensors: Inputs) -> tuple[Tensor, ...]:
    """Output and six gradients."""
    out = attend(*tensors)
    return out, *torch.autograd.grad(out, tensors, torch.ones_like(out))


def kept_bytes(attend: Attention, tensors: Inputs) -> int:
    """What autograd keeps for the backward pass beside the inputs."""
    known = {x.untyped_storage().data_ptr() for x in tensors}
    found: dict[int, int] = {}

    def remember(x: Tensor) -> Tensor:
        found[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(remember, lambda x: x):
        out = attend(*tensors)
    del out
    return sum(size for at, size in found.items() if at not in known)


def worst_error(attend: Attention, tensors: Inputs, documents: Documents) -> float:
    """The largest difference of output and gradients from the reference in fp64, over the largest number of each."""
    exact = tuple(x.detach().double().requires_grad_() for x in tensors)
    pairs = zip(step(attend, tensors), step(ours("reference", documents), exact), strict=True)
    return max(float(((a.double() - b).abs().max() / b.abs().max()).detach()) for a, b in pairs)


def ours(name: str, documents: Documents) -> Attention:
    return lambda *x: IMPLEMENTATIONS[name](*x, documents, W, False)


def plain(*x: Any, window: int, window_self: bool = False) -> Tensor:
    """What one writes first, for rows of one document: causal attention, attention under a T×T mask, and the gate."""
    q, k1, v1, k2, v2 = (each.transpose(1, 2) for each in x[:5])
    index_T = torch.arange(q.shape[2], device=q.device)
    distance_TT = index_T[:, None] - index_T
    nearest = 0 if window_self else 1
    near_TT = (distance_TT >= nearest) & (distance_TT < nearest + window)
    # The first position sees nothing under a strict window; it looks at itself, and is zeroed below.
    near_TT[0, 0] = True
    grouped = q.shape[1] != k1.shape[1]
    whole = F.scaled_dot_product_attention(q, k1, v1, is_causal=True, enable_gqa=grouped)
    local = F.scaled_dot_product_attention(q, k2, v2, attn_mask=near_TT, enable_gqa=grouped)
    some_T = (index_T >= nearest).to(q.dtype)[:, None]
    gate = torch.sigmoid(x[5].transpose(1, 2))
    return torch.lerp(local * some_T, whole, gate).transpose(1, 2)


def flexible() -> Attention:
    """Two FlexAttention calls and the gate, compiled; block masks are made once a length."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    masks: dict[int, Any] = {}

    def causal(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return q >= k

    def near(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return (q > k) & (q - k <= W)

    @torch.compile(dynamic=False)
    def both(tensors: Inputs, masks: Any) -> Tensor:
        q, k1, v1, k2, v2, gate = (x.transpose(1, 2) for x in tensors)
        whole: Any = flex_attention(q, k1, v1, block_mask=masks[0], enable_gqa=True)
        local: Any = flex_attention(q, k2, v2, block_mask=masks[1], enable_gqa=True)
        return torch.lerp(local, whole, torch.sigmoid(gate)).transpose(1, 2)

    def attend(*x: Tensor) -> Tensor:
        T = x[0].shape[1]
        if T not in masks:
            masks[T] = [create_block_mask(rule, None, None, T, T, device="cuda") for rule in (causal, near)]
        out: Tensor = both(x, masks[T])
        return out

    return attend


def preferring(backend: Any, attend: Attention) -> Attention:
    """The library takes this backend where it can; a bias or grouped heads may force another."""
    backends = torch.nn.attention.SDPBackend
    order = [backend, *(b for b in (backends.EFFICIENT_ATTENTION, backends.MATH) if b is not backend)]

    def run(*x: Tensor) -> Tensor:
        with torch.nn.attention.sdpa_kernel(order, set_priority=True):
            return attend(*x)

    return run


def roofline_ms(B: int, T: int, peaks: tuple[float, float]) -> float:
    """Forward and backward at the machine's peaks: 3.5 times the forward's operations, or each tensor moved once."""
    pairs = B * H * (T * (T + 1) / 2 + T * min(W, T))
    queries, keys = 2 * B * T * H * D, 2 * 4 * B * T * G * D
    moved = (2 * queries + keys) + (4 * queries + 2 * keys)  # q, O; q, O, dO, dq; keys and values in, gradients out
    return 1e3 * max(3.5 * 4 * D * pairs / peaks[0], moved / peaks[1])


def contenders_on_gpu(documents: Documents, flex: Attention) -> dict[str, Attention]:
    backends = torch.nn.attention.SDPBackend
    compiled = torch.compile(ours("sdpa", documents), dynamic=False)
    return {
        "ours": partial(gated_attention, documents=documents, window=W),
        "fused": ours("fused", documents),
        "hybrid": ours("hybrid", documents),
        "sdpa_flash": preferring(backends.FLASH_ATTENTION, compiled),
        "sdpa_cudnn": preferring(backends.CUDNN_ATTENTION, compiled),
        "flex": flex,
        "eager": ours("sdpa", documents),
    }


def on_gpu(lengths: list[int]) -> tuple[dict[str, float], dict[str, Any]]:
    """The worst ratio over all lengths, and figures by length."""
    name, flex = torch.cuda.get_device_name(), flexible()
    peaks = next((value for key, value in PEAKS.items() if key in name), None)
    small = Documents.whole(1, 512, "cuda")
    tensors = inputs(1, 512, (H, G, D), "cuda", torch.bfloat16)
    errors = {key: worst_error(run, tensors, small) for key, run in contenders_on_gpu(small, flex).items()}
    if max(errors.values()) > 0.05:
        sys.exit(f"contenders do not agree with the reference: {errors}")
    figures: dict[str, Any] = {"device": name, "error": errors}
    by_length = {T: at_length(T, flex, peaks) for T in lengths}
    figures |= {f"T{T}": found for T, found in by_length.items()}
    peers = next(iter(by_length.values()))["ratio"]
    return {peer: min(found["ratio"][peer] for found in by_length.values()) for peer in peers}, figures


def at_length(T: int, flex: Attention, peaks: tuple[float, float] | None) -> dict[str, Any]:
    B = max(1, TOKENS // T)
    contenders = contenders_on_gpu(Documents.whole(B, T, "cuda"), flex)
    tensors = inputs(B, T, (H, G, D), "cuda", torch.bfloat16)
    ms = {key: milliseconds_on_gpu(partial(step, attend, tensors)) for key, attend in contenders.items()}
    peers = {"sdpa": min(ms["sdpa_flash"], ms["sdpa_cudnn"]), "flex": ms["flex"], "eager": ms["eager"]}
    found = {
        "chosen": choose(tensors[0].device, torch.bfloat16, B, T, H, G, D, 1, W, False, True, False),
        "ms": {key: round(spent, 3) for key, spent in ms.items()},
        "roofline_ms": None if peaks is None else round(roofline_ms(B, T, peaks), 3),
        "kept_mb": {key: round(kept_bytes(attend, tensors) / 1e6, 1) for key, attend in contenders.items()},
        "ratio": {peer: round(spent / ms["ours"], 2) for peer, spent in peers.items()},
    }
    print(T, found, flush=True)
    return found


def model_step(attend: Attention | None, tokens_BT: Tensor) -> Callable[[], Tensor]:
    """Forward and backward of the 1M model with two loops; its gated attention is `attend`, or our own."""
    from model.config import load_model_config
    from model.looped import LoopedTransformer
    from model.loss import sum_of_nats

    model = LoopedTransformer(load_model_config(MODEL, 8_192))
    documents = Documents.whole(1, tokens_BT.shape[1] - 1)

    def run() -> Tensor:
        with mock.patch("model.context.gated_attention", attend or gated_attention):
            states_BTD = model(tokens_BT[:, :-1], documents)
        loss, _ = sum_of_nats(states_BTD[0], model.readout, tokens_BT[0, 1:])
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    return run


def on_cpu() -> tuple[dict[str, float], dict[str, Any]]:
    """Ratios of CPU time; the kernels' errors and what they keep, in the interpreter."""
    torch.set_num_threads(1)
    small, documents = inputs(2, 130, (4, 2, 32), "cpu", torch.float32), Documents.whole(2, 130)
    errors = {name: worst_error(ours(name, documents), small, documents) for name in ("fused", "hybrid", "sdpa")}
    errors["plain"] = worst_error(partial(plain, window=W), small, documents)
    if max(errors.values()) > 1e-5:
        sys.exit(f"contenders do not agree with the reference: {errors}")
    kept = {name: kept_bytes(ours(name, documents), small) for name in ("fused", "hybrid", "sdpa")}
    tokens_BT = torch.randint(8_192, (1, 1_025), generator=torch.Generator().manual_seed(17))
    steps = {"ours": model_step(None, tokens_BT), "plain_two_sdpa": model_step(plain, tokens_BT)}
    losses = {name: float(run()) for name, run in steps.items()}
    if abs(losses["ours"] - losses["plain_two_sdpa"]) > 1e-4 * losses["ours"]:
        sys.exit(f"the models do not agree: {losses}")
    seconds = measure(steps)
    figures = {
        "gpu": "unmeasured: this machine has none",
        "interpreter_error": {name: float(f"{error:.1e}") for name, error in errors.items()},
        "kept_bytes_over_inputs": {name: round(size / sum(x.nbytes for x in small), 3) for name, size in kept.items()},
        "model_step_seconds": spread(seconds),
    }
    return ratios(seconds), figures


def main() -> None:
    wanted = next((word.partition("=")[2] for word in sys.argv if word.startswith("--lengths=")), "")
    lengths = [int(word) for word in wanted.split(",")] if wanted else list(LENGTHS)
    use_gpu = torch.cuda.is_available()
    found, figures = on_gpu(lengths) if use_gpu else on_cpu()
    if not use_gpu:
        print("GPU figures are unmeasured: this machine has no CUDA device", flush=True)
    report("gated_attention", found, figures, input_hash(str((TOKENS, H, G, D, W, lengths))), ("torch", "triton"))


if __name__ == "__main__":
    main()
