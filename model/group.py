"""A group of processes that train one model together, each on its share of every step.

Enters: the environment that `torchrun` sets (RANK, WORLD_SIZE, LOCAL_RANK). Leaves: a Group; without that environment
it is one process that waits for nobody. Neighbours, `context` at a time, share sequences (context parallel); the teams
of them have sequences of their own (data parallel). NCCL on GPUs, gloo on CPUs; every wait ends after TIMEOUT. Limit:
each process holds the whole model and optimiser.
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

from loopdata.errors import ConfigError, RunError

TIMEOUT = timedelta(minutes=10)


@dataclass(frozen=True)
class Group:
    """`rank` of `size` processes; `local` is the rank on this machine, and the number of its GPU.

    `context` processes share a sequence, and talk in `context_group` about it.
    """

    rank: int = 0
    size: int = 1
    local: int = 0
    context: int = 1
    context_group: dist.ProcessGroup | None = None

    @property
    def context_rank(self) -> int:
        """Which of those that share a sequence."""
        return self.rank % self.context

    @property
    def team(self) -> int:
        """Which of the `teams` that have different sequences."""
        return self.rank // self.context

    @property
    def teams(self) -> int:
        return self.size // self.context

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
def joined(device: torch.device, context: int = 1) -> Iterator[Group]:
    """The group of this process; it is left at the end, if it was not joined before.

    ConfigError where the processes are not a multiple of the `context` that share a sequence; RunError where one of
    them is not there, or no longer.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    _check_context(size, context)
    if size == 1:
        yield Group()
        return
    mine = not dist.is_initialized()
    if mine:
        _meet("nccl" if device.type == "cuda" else "gloo", size)
    try:
        rank, local = dist.get_rank(), int(os.environ.get("LOCAL_RANK", "0"))
        yield Group(rank, size, local, context, _context_group(rank, size, context))
    except BaseException as error:
        _let_go(error)
        if isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error)):
            raise RunError(
                f"another process of the {size} has ended, or does not answer", "look for what that one says"
            ) from error
        raise
    finally:
        if mine:
            dist.destroy_process_group()


def _meet(backend: str, size: int) -> None:
    try:
        dist.init_process_group(backend, timeout=TIMEOUT)
    except ValueError as error:
        raise ConfigError(f"WORLD_SIZE is {size}, and {error}", "start processes by torchrun") from error
    except dist.DistError as error:
        raise RunError(f"the {size} processes did not meet: {error}", "start all of them by torchrun") from error


def _check_context(size: int, context: int) -> None:
    if size % context:
        raise ConfigError(
            f"'train.context_parallel' is {context}, the number of processes {size}",
            f"start a multiple of {context}, as in `torchrun --nproc-per-node {context} -m model.train CONFIG`",
        )


def _context_group(rank: int, size: int, context: int) -> dist.ProcessGroup | None:
    """The processes that share sequences with `rank`: every process must make all such groups, in one order."""
    if context == 1:
        return None
    groups = [dist.new_group(list(range(first, first + context))) for first in range(0, size, context)]
    mine: dist.ProcessGroup = groups[rank // context]
    return mine


def _let_go(error: BaseException | None) -> None:
    """Free what an error's frames hold, shared modules above all.

    A module that outlives its group ends the group's threads when it is freed itself; it waits for them while it keeps
    the interpreter, and they may wait for that.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    gc.collect()


def share(module: nn.Module, group: Group, device: torch.device, partial: bool = False) -> Callable[..., Any]:
    """`module`, of which the group averages the gradients while they are made; those of shared sequences later.

    `partial`: the backward pass may leave parameters without a gradient.
    """
    if group.size == 1 or group.context > 1:
        return module
    devices = [device.index] if device.type == "cuda" else None
    return DistributedDataParallel(module, device_ids=devices, find_unused_parameters=partial)


def together(shared: Callable[..., Any], last: bool) -> AbstractContextManager[Any]:
    """Gradients are exchanged in the last batch of a step only."""
    if isinstance(shared, DistributedDataParallel) and not last:
        return shared.no_sync()
    return nullcontext()


def exchange(module: nn.Module, group: Group) -> None:
    """Average the gradients of processes that share sequences, in one message after the backward pass.

    That pass sends keys and values on a communicator of its own, and NCCL may hang where two are in use at once.
    """
    if group.context == 1:
        return
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients]).div_(group.size)
    dist.all_reduce(flat)
    means = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view_as(gradient))
