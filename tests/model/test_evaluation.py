"""Bits per byte: a model that knows nothing needs log2(V) bits a target."""

import math
from pathlib import Path

import pytest
import torch

from loopdata.tokens.shards import Dataset
from model.config import ModelConfig
from model.data import held_out_batches
from model.evaluation import Evaluation, Tally, evaluate
from model.looped import LoopedTransformer
from tests.model.dataset_folder import Entry, Piece, write_dataset


def ignorant() -> LoopedTransformer:
    """All logits are 0: 5 bits a target with 32 tokens."""
    config = ModelConfig(vocab_size=32, dim=4, layers=1, heads=1, head_dim=4, ffn_dim=4, max_length=8)
    model = LoopedTransformer(config)
    torch.nn.init.zeros_(model.embedding.weight)
    return model


def measure(folder: Path) -> Evaluation:
    dataset = Dataset.open(folder)
    return evaluate(ignorant(), dataset, held_out_batches(dataset, None, 2), torch.device("cpu"))


def test_bits_are_divided_by_the_bytes_of_targets_by_category_and_language(tmp_path: Path) -> None:
    # Token n has n bytes. Targets: 3 and 4 of the first piece, 10 of the second, 0 and 6 of the third.
    entries = [
        Entry("file", "train", [[Piece([31] * 8)]]),
        Entry("file", "valid", [[Piece([2, 3, 4]), Piece([9, 10], "go")]]),
        Entry("repo", "valid", [[Piece([5, 0, 6, 7], loss=[(0, 3)])]]),
    ]
    found = measure(write_dataset(tmp_path / "d", entries, length=8)).to_dict()
    assert found["tokens"] == 5
    assert found["bytes"] == 3 + 4 + 10 + 0 + 6
    assert found["bits_per_byte"] == pytest.approx(25 / 23)
    assert found["by_category"] == {"file": pytest.approx(15 / 17), "repo": pytest.approx(10 / 6)}
    assert found["by_language"] == {"go": pytest.approx(5 / 10), "python": pytest.approx(20 / 13)}


def test_without_held_out_sequences_there_is_no_number(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "d", [Entry("file", "train", [[Piece([1, 2])]])], length=8)
    assert measure(folder).to_dict() == {
        "bits_per_byte": None,
        "bytes": 0,
        "tokens": 0,
        "by_category": {},
        "by_language": {},
    }


def test_a_tally_of_special_tokens_alone_has_no_bits_per_byte() -> None:
    assert Tally(nats=3.0, bytes=0, tokens=1).bits_per_byte is None
    assert Tally(nats=math.log(2), bytes=2, tokens=1).bits_per_byte == 0.5
