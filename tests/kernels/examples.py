"""Inputs of attention that many tests share, and the oracle: the plain reference in fp64 with all six gradients."""

import torch
from torch import Tensor

from kernels.documents import Documents
from kernels.gated_attention import gated_attention
from kernels.reference import gated_reference

NAMES = ("q", "k1", "v1", "k2", "v2", "gate")


def inputs(T: int, G: int = 1, gate_width: int = 1, rows: int = 2, H: int = 2, d: int = 4) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(T)
    shapes = {"q": (H, d), "k1": (G, d), "v1": (G, d), "k2": (G, d), "v2": (G, d), "gate": (H, gate_width)}
    return {n: torch.randn(rows, T, *s, generator=generator, dtype=torch.float64) for n, s in shapes.items()}


def ids_of(*rows: list[int]) -> Tensor:
    """Document ids from the lengths of documents: [2, 1] → 0 0 1."""
    return torch.stack([torch.repeat_interleave(torch.arange(len(row)), torch.tensor(row)) for row in rows])


def ragged(T: int) -> Tensor:
    """Row 0 is one document; row 1 holds one-token documents at both ends and one in between where T allows it."""
    return ids_of([T], [T] if T < 3 else [1, T - 2, 1])


def upstream(x: dict[str, Tensor]) -> Tensor:
    return torch.randn(x["q"].shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def expected(x: dict[str, Tensor], ids: Tensor, window: int, window_self: bool) -> dict[str, Tensor]:
    """The output under "out", and the gradient of each input for `upstream`."""
    leaves = [x[name].double().requires_grad_() for name in NAMES]
    out = gated_reference(*leaves, Documents.of(ids), window, window_self)
    return {"out": out.detach(), **dict(zip(NAMES, torch.autograd.grad(out, leaves, upstream(x)), strict=True))}


def found(x: dict[str, Tensor], ids: Tensor, implementation: str, **window: int | bool) -> dict[str, Tensor]:
    """The same by an implementation, in the type and on the device of `x`."""
    leaves = [x[name].detach().requires_grad_() for name in NAMES]
    documents = Documents.of(ids.to(x["q"].device))
    out = gated_attention(*leaves, documents, implementation=implementation, **window)
    grads = torch.autograd.grad(out, leaves, upstream(x).to(out))
    return {"out": out.detach(), **dict(zip(NAMES, grads, strict=True))}


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], atol: float) -> None:
    for name, value in expected.items():
        torch.testing.assert_close(
            found[name].double().cpu(), value, rtol=0, atol=atol, msg=lambda text, name=name: f"{name}: {text}"
        )
