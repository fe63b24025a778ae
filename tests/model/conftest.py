"""What tests of the model train on: a small dataset folder, and the keys of a training on it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.model.dataset_folder import Entry, counting, write_dataset


@pytest.fixture
def dataset_folder(tmp_path: Path) -> Path:
    """Twelve training sequences of one or two pieces, three held-out ones of two categories and languages."""
    train = [[counting(3 * n + 1, 16)] if n % 2 else [counting(n + 1, 5), counting(5 * n + 2, 9)] for n in range(12)]
    entries = [
        Entry("file", "train", train),
        Entry("file", "valid", [[counting(4, 16)], [counting(9, 6), counting(20, 10, "go")]]),
        Entry("repo", "valid", [[counting(11, 12, "go")]]),
    ]
    return write_dataset(tmp_path / "data", entries, length=16)


@pytest.fixture
def training(dataset_folder: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Keys of a small training on `dataset_folder`; keyword arguments replace them."""

    def keys(**changes: Any) -> dict[str, Any]:
        model = {
            "dim": 16, "layers": 1, "heads": 2, "kv_heads": 1, "head_dim": 8, "ffn_dim": 24, "max_length": 16,
            "window": 4,
        }  # fmt: skip
        base = {"data": str(dataset_folder), "out": str(tmp_path / "out"), "model": model, "steps": 6}
        return {**base, "batch_sequences": 2, "checkpoint_every": 2, "lr": 1e-2, "device": "cpu", **changes}

    return keys
