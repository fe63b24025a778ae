"""Batches: targets, document ids, padding and order, exact values."""

from pathlib import Path

import numpy as np
import pytest

from loopdata.errors import ShardError
from loopdata.tokens.shards import Dataset, Sequence
from model.data import IGNORED, TrainingOrder, collate, held_out, held_out_batches
from tests.model.dataset_folder import Entry, Piece, write_dataset


def sequence(tokens: list[int], bounds: list[int], loss: list[int] | None = None) -> Sequence:
    flags = np.array(loss if loss is not None else [1] * len(tokens), bool)
    ids = np.array([f"s{n}" for n in range(len(bounds) - 1)], "S")
    languages = np.arange(len(bounds) - 1, dtype=np.int32)
    return Sequence(np.array(tokens, np.int32), np.array(bounds, np.int32), flags, languages, "file", ids)


def test_the_first_token_of_a_piece_and_padding_are_no_targets() -> None:
    batch = collate([sequence([5, 6, 7, 8, 9], [0, 2, 5])], 7, padding=0)
    assert batch.tokens_BT.tolist() == [[5, 6, 7, 8, 9, 0, 0]]
    assert batch.targets_BT.tolist() == [[6, IGNORED, 8, 9, IGNORED, IGNORED, IGNORED]]
    assert batch.ids_BT.tolist() == [[0, 0, 1, 1, 1, 2, 2]]
    assert batch.languages_BT.tolist() == [[0, 0, 1, 1, 1, -1, -1]]
    assert (batch.num_tokens, batch.num_targets, batch.samples) == (5, 3, ["s0", "s1"])


def test_a_token_without_loss_is_no_target_but_is_seen() -> None:
    batch = collate([sequence([5, 6, 7, 8], [0, 4], loss=[1, 0, 1, 1])], 4, padding=0)
    assert batch.tokens_BT.tolist() == [[5, 6, 7, 8]]
    assert batch.targets_BT.tolist() == [[IGNORED, 7, 8, IGNORED]]


def test_one_token_documents_carry_no_targets() -> None:
    batch = collate([sequence([5, 6], [0, 1, 2]), sequence([4], [0, 1])], 3, padding=0)
    assert batch.num_targets == 0
    assert batch.ids_BT.tolist() == [[0, 1, 2], [0, 1, 1]]


def test_a_sequence_longer_than_the_datasets_is_refused() -> None:
    with pytest.raises(ShardError, match="a sequence has 4 tokens in pieces of 4, the dataset's length 3"):
        collate([sequence([1, 2, 3, 4], [0, 4])], 3, padding=0)


def samples(order: TrainingOrder, position: int, count: int) -> list[list[str]]:
    return [s.samples for s in order.batch(position, count).sequences]


def test_the_datasets_order_is_followed_pass_after_pass(dataset_folder: Path) -> None:
    order = TrainingOrder(Dataset.open(dataset_folder), None)
    assert samples(order, 0, 2) == [["p0-0-0", "p0-0-1"], ["p0-1-2"]]
    assert samples(order, 11, 2) == [["p0-11-17"], ["p0-0-0", "p0-0-1"]]


def test_a_seed_shuffles_each_pass_by_itself(dataset_folder: Path) -> None:
    dataset = Dataset.open(dataset_folder)
    order = TrainingOrder(dataset, 3)
    first, second = samples(order, 0, 12), samples(order, 12, 12)
    plain = samples(TrainingOrder(dataset, None), 0, 12)
    assert sorted(first) == sorted(second) == sorted(plain)
    assert first != second != plain != first
    # A place in the order does not depend on how it was come to.
    assert samples(TrainingOrder(dataset, 3), 10, 4) == [*first[10:], *second[:2]]
    assert samples(TrainingOrder(dataset, 4), 0, 12) != first


def test_held_out_packings_take_turns(dataset_folder: Path) -> None:
    dataset = Dataset.open(dataset_folder)
    assert held_out(dataset, None) == [(1, 0), (2, 0), (1, 1)]
    assert held_out(dataset, 2) == [(1, 0), (2, 0)]
    assert [len(batch.sequences) for batch in held_out_batches(dataset, None, 2)] == [2, 1]


def test_an_empty_order_is_refused(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "d", [Entry("file", "train", [[Piece([1, 2])]])], length=4, order=[])
    with pytest.raises(ShardError, match=r"dataset\.json has an empty training order"):
        TrainingOrder(Dataset.open(folder), None)
