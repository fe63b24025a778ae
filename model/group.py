"""A group of processes that train one model together, each on its share of every step (data parallel).

Enters: the environment that `torchrun` sets (RANK, WORLD_SIZE, LOCAL_RANK). Leaves: a Group; without that environment
it is one process that waits for nobody. NCCL on GPUs, gloo on CPUs; every wait ends after TIMEOUT. Limit: each process
holds the whole model and optimiser.
"""

import gc
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

TIMEOUT = timedelta(minutes=10)


@dataclass(frozen=True)
class Group:
    """`rank` of `size` processes; `local` is the rank on this machine, and the number of its GPU."""

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def sum(self, *values: float) -> list[float]:
        """Sums over the group, the same in every process."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self._device())
        dist.all_reduce(total)
        return [float(value) for value in total]

    def gather(self, values_N: Tensor) -> Tensor:
        """[size, N]: the values of every process, in the order of ranks."""
        if self.size == 1:
            return values_N[None]
        rows = [torch.empty_like(values_N) for _ in range(self.size)]
        dist.all_gather(rows, values_N)
        return torch.stack(rows)

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            dist.barrier()

    def _device(self) -> torch.device:
        return torch.device("cuda", self.local) if dist.get_backend() == "nccl" else torch.device("cpu")


@contextmanager
def joined(device: torch.device) -> Iterator[Group]:
    """The group of this process; it is left at the end, if it was not joined before."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Group()
        return
    mine = not dist.is_initialized()
    if mine:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    try:
        yield Group(dist.get_rank(), size, int(os.environ.get("LOCAL_RANK", "0")))
    except BaseException as error:
        _let_go(error)
        raise
    finally:
        if mine:
            dist.destroy_process_group()


def _let_go(error: BaseException | None) -> None:
    """Free what an error's frames hold, shared modules above all.

    A module that outlives its group ends the group's threads when it is freed itself; it waits for them while it keeps
    the interpreter, and they may wait for that.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    gc.collect()


def share(module: nn.Module, group: Group, device: torch.device) -> Callable[..., Any]:
    """`module`, of which the group averages the gradients while they are made."""
    if group.size == 1:
        return module
    return DistributedDataParallel(module, device_ids=[device.index] if device.type == "cuda" else None)


def together(shared: Callable[..., Any], last: bool) -> AbstractContextManager[Any]:
    """Gradients are exchanged in the last batch of a step only."""
    if isinstance(shared, DistributedDataParallel) and not last:
        return shared.no_sync()
    return nullcontext()
