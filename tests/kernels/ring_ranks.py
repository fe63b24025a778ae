"""Ranks of a ring as processes of this machine, each of which leaves a file with what it found."""

import time
import weakref
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import Tensor

from kernels import ring_layout
from kernels.pieces import Fused, Plain
from kernels.ring import ring_causal_attention, ring_gated_attention, ring_shift
from kernels.ring_layout import Ring
from tests.kernels.examples import NAMES, upstream

SECONDS = 120


def run(ranks: int, cases: list[dict[str, Any]], folder: Path) -> list[list[dict[str, Any]]]:
    """For each case what each rank found; fails where a rank fails or takes more than SECONDS."""
    context = torch.multiprocessing.start_processes(
        run_rank, (ranks, cases, str(folder)), nprocs=ranks, join=False, start_method="spawn"
    )
    end = time.monotonic() + SECONDS
    try:
        while not context.join(timeout=max(0.0, end - time.monotonic()), grace_period=5):
            if time.monotonic() > end:
                raise TimeoutError(f"{ranks} ranks did not end within {SECONDS} s")
    finally:
        for process in context.processes:
            process.kill()
    found = [torch.load(folder / f"rank{rank}.pt") for rank in range(ranks)]
    return [[each[n] for each in found] for n in range(len(cases))]


def run_rank(rank: int, ranks: int, cases: list[dict[str, Any]], folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=ranks)
    try:
        torch.save(
            [run_shift(**case) if "distance" in case else run_case(**case) for case in cases], f"{folder}/rank{rank}.pt"
        )
        dist.barrier()
    finally:
        dist.destroy_process_group()


def run_shift(x: dict[str, Tensor], ids: Tensor, distance: int) -> dict[str, Any]:
    """This rank's share of the moved queries, and of their gradient for an upstream one of the queries themselves."""
    ring = Ring.of(ids)
    own = ring.share(x["q"].flatten(2))
    leaf = own.clone().requires_grad_()
    out = ring_shift(leaf, ring, distance)
    return {"out": out.detach(), "q": torch.autograd.grad(out, leaf, own)[0], "spans": ring.spans(ring.rank)}


def run_case(x: dict[str, Tensor], ids: Tensor, window: int | None, window_self: bool, by: str) -> dict[str, Any]:
    """Output and gradients of this rank's share, the positions of K1 that it held at most, and the order of events."""
    pieces = Fused() if by == "fused" else Plain()
    ring = Ring.of(ids, pieces_by=pieces)
    names = NAMES if window is not None else NAMES[:3]
    leaves = [ring.share(x[name]).clone().requires_grad_() for name in names]
    events = Events(ring.positions, pieces)
    with events:
        if window is None:
            out = ring_causal_attention(*leaves, ring)
        else:
            out = ring_gated_attention(*leaves, ring, window=window, window_self=window_self)
        grads = torch.autograd.grad(out, leaves, ring.share(upstream(x)).to(out))
    found = {"out": out.detach(), **dict(zip(names, grads, strict=True)), "spans": ring.spans(ring.rank)}
    return {**found, "own": ring.positions, "held": events.most, "log": events.log}


class Events:
    """Listens to messages and computations: their order, and how much of others' K1 is alive at one time."""

    def __init__(self, own: int, pieces: Any) -> None:
        self.own, self.pieces, self.most = own, pieces, own
        self.log: list[str] = []
        self.arrived: list[Any] = []

    def __enter__(self) -> None:
        self.before = (dist.batch_isend_irecv, ring_layout.Posted.wait, self.pieces.attend, self.pieces.attend_backward)
        post, wait, attend, attend_backward = self.before

        def posting(operations: list[Any]) -> Any:
            self.arrived += [weakref.ref(op.tensor) for op in operations if op.op is dist.irecv and op.tag == 0]
            alive = [tensor() for tensor in self.arrived]
            # In the forward pass only pairs of K1 and V1 arrive with this tag; their third dimension is positions.
            if "backward" not in self.log:
                held = sum(tensor.shape[2] for tensor in alive if tensor is not None)
                self.most = max(self.most, self.own + held)
            self.log.append("post")
            return post(operations)

        def waiting(posted: Any) -> None:
            if posted.works:
                self.log.append("wait")
            wait(posted)

        def attending(*arguments: Any) -> Any:
            self.log.append("forward")
            return attend(*arguments)

        def going_back(*arguments: Any) -> Any:
            self.log.append("backward")
            return attend_backward(*arguments)

        dist.batch_isend_irecv, ring_layout.Posted.wait = posting, waiting
        self.pieces.attend, self.pieces.attend_backward = attending, going_back

    def __exit__(self, *_: object) -> None:
        dist.batch_isend_irecv, ring_layout.Posted.wait = self.before[:2]
