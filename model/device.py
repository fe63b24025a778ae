"""Where a training runs and in which precision; threads, memory, and what to do when there is too little.

Enters: the names of a TrainConfig. Leaves: a device, whether autocast is on, the most memory that was used, and named
errors. Limit: peak rates are known for the few GPUs below; MFU is not reported on others.
"""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from loopdata.errors import ConfigError, RunError
from model.train_config import TrainConfig

# Below this size a CPU gains nothing from bf16, whatever instructions it has.
_BF16_CPU_PARAMETERS = 1_500_000
# Dense bf16 operations a second, from the makers' data sheets; the first name that is part of the device's counts, so
# that cards for a slot, which are slower, stand before the others.
_PEAK_FLOPS = {
    "H200 NVL": 835e12, "H100 NVL": 835e12, "H100 PCIe": 756e12, "H200": 989e12, "H100": 989e12, "A100": 312e12,
    "L40S": 362e12,
}  # fmt: skip


def choose_device(name: str, local: int = 0) -> torch.device:
    """`auto`, `cpu` or `cuda`; `local` is the number of the GPU. ConfigError where there is none of that number."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("'train.device' is 'cuda', and this machine has none", "give auto or cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if local >= torch.cuda.device_count():
        raise ConfigError(
            f"process {local + 1} of this machine finds {torch.cuda.device_count()} GPUs", "start one process a GPU"
        )
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


def uses_bf16(name: str, device: torch.device, parameters: int) -> bool:
    """Whether `dtype: auto | fp32 | bf16` means autocast to bf16 here."""
    if name != "auto" or device.type == "cuda":
        return name != "fp32"
    # Without these instructions bf16 is emulated: products took more than twice as long as in fp32.
    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return parameters >= _BF16_CPU_PARAMETERS and bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def utilisation(flops_per_second: float, device: torch.device) -> float | None:
    """Model FLOPs utilisation, 0 to 1: the share of the device's dense bf16 peak. None where that is not known."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    peak = next((value for key, value in _PEAK_FLOPS.items() if key in name), None)
    return None if peak is None else flops_per_second / peak


def peak_megabytes(device: torch.device) -> float:
    """The most memory so far: of the device, or of this process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


@contextmanager
def enough_memory(config: TrainConfig, bf16: bool) -> Iterator[None]:
    """Turn running out of memory into a RunError that says what to lower; `bf16` is whether autocast is on already."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory(config, bf16) from error
    except RuntimeError as error:
        if "DefaultCPUAllocator" not in str(error):  # torch has no type of its own for a CPU's memory
            raise
        raise _out_of_memory(config, bf16) from error


def _out_of_memory(config: TrainConfig, bf16: bool) -> RunError:
    """The remedies stand in the order of what they cost: the same training, more devices, another training."""
    size, remedies = config.batch_sequences, []
    if size > 1:
        # A divisor, so that a step has as many sequences as before and its checkpoints still fit.
        fewer = max(n for n in range(1, size) if size % n == 0)
        more = config.accumulation * (size // fewer)
        remedies.append(f"--set batch_sequences={fewer} --set accumulation={more} takes less and trains alike")
    remedies.append(
        f"--set context_parallel={2 * config.context_parallel} and twice the processes of torchrun, each on a device "
        "of its own, share each sequence and train alike"
    )
    if not bf16:
        remedies.append("--set dtype=bf16 takes less, from the start in another `out`")
    remedies.append("as the last way, pack shorter sequences or take a smaller model")
    return RunError(f"out of memory with {size} sequence{'s' * (size > 1)} at once", "; ".join(remedies))


@contextmanager
def threads(number: int | None) -> Iterator[None]:
    """Threads of torch for the time of a training; the number is the process's own, so it is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
