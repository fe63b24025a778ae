"""What a device can do, and what to do when its memory does not suffice."""

import pytest
import torch

from loopdata.errors import ConfigError, RunError
from model.device import choose_device, enough_memory, utilisation
from model.train_config import TrainConfig


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.set_device", lambda _: None)
    assert choose_device("auto", 1) == torch.device("cuda", 1)
    with pytest.raises(ConfigError, match="process 3 of this machine finds 2 GPUs; start one process a GPU"):
        choose_device("auto", 2)
    assert choose_device("cpu", 2) == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA GH200 480GB", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H100 NVL", 835e12),
        ("NVIDIA H200 NVL", 835e12),
        ("NVIDIA GeForce RTX 4090", None),
    ],
)
def test_utilisation_is_a_share_of_what_that_very_card_can_do(
    name: str, peak: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.get_device_name", lambda _: name)
    assert utilisation(1e14, torch.device("cuda")) == (None if peak is None else 1e14 / peak)
    assert utilisation(1e14, torch.device("cpu")) is None


def remedy(bf16: bool = False, **keys: int) -> list[str]:
    """What is said, from the problem on."""
    config = TrainConfig("data", "out", {}, **keys)  # type: ignore[arg-type]
    with pytest.raises(RunError) as raised, enough_memory(config, bf16):
        raise torch.OutOfMemoryError("CUDA out of memory")
    return str(raised.value).split("; ")


@pytest.mark.parametrize(
    ("sequences", "accumulation", "first"),
    [
        (8, 1, "--set batch_sequences=4 --set accumulation=2"),
        (9, 2, "--set batch_sequences=3 --set accumulation=6"),
        (7, 1, "--set batch_sequences=1 --set accumulation=7"),
        (2, 3, "--set batch_sequences=1 --set accumulation=6"),
    ],
)
def test_the_first_remedy_keeps_the_sequences_of_a_step(sequences: int, accumulation: int, first: str) -> None:
    found = remedy(batch_sequences=sequences, accumulation=accumulation)
    assert found[:2] == [f"out of memory with {sequences} sequences at once", f"{first} takes less and trains alike"]


def test_remedies_stand_in_the_order_of_what_they_cost() -> None:
    shared = "and twice the processes of torchrun, each on a device of its own, share each sequence and train alike"
    last = "as the last way, pack shorter sequences or take a smaller model"
    bf16 = "--set dtype=bf16 takes less, from the start in another `out`"
    begin = "out of memory with 1 sequence at once"
    assert remedy() == [begin, f"--set context_parallel=2 {shared}", bf16, last]
    assert remedy(bf16=True, context_parallel=2) == [begin, f"--set context_parallel=4 {shared}", last]


def test_a_cpu_without_memory_is_told_the_same_and_other_errors_pass() -> None:
    config = TrainConfig("data", "out", {})
    with pytest.raises(RunError, match="out of memory with 1 sequence at once"), enough_memory(config, False):
        torch.empty(1 << 60, dtype=torch.uint8)
    with pytest.raises(RuntimeError, match="mat1 and mat2"), enough_memory(config, False):
        torch.ones(2, 3) @ torch.ones(2, 3)
