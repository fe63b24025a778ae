"""Layouts of documents: exact values for small batches."""

import pytest
import torch

from kernels.documents import Documents


def test_positions_restart_at_each_document() -> None:
    documents = Documents.of(torch.tensor([[7, 7, 3, 3, 3], [0, 1, 2, 2, 2]]))
    assert documents.positions_BT.tolist() == [[0, 1, 0, 1, 2], [0, 0, 0, 1, 2]]


def test_every_position_knows_where_its_document_begins_and_ends() -> None:
    documents = Documents.of(torch.tensor([[7, 7, 3, 3, 3], [0, 1, 2, 2, 2]]))
    assert documents.begins_BT.tolist() == [[0, 0, 2, 2, 2], [0, 1, 2, 2, 2]]
    assert documents.ends_BT.tolist() == [[2, 2, 5, 5, 5], [1, 2, 5, 5, 5]]


def test_an_id_that_returns_is_another_document() -> None:
    documents = Documents.of(torch.tensor([[5, 6, 5]]))
    assert documents.ids_BT.tolist() == [[1, 2, 3]]


def test_rows_of_one_document_need_no_lanes() -> None:
    assert Documents.whole(3, 8).lanes is None


def test_lanes_hold_every_token_once_beside_documents_of_like_length() -> None:
    ids = torch.tensor([[0] * 40 + [1] * 10, [2] * 5 + [3] * 45])
    lanes = Documents.of(ids).lanes
    assert lanes is not None
    assert lanes.shapes == ((2, 32), (2, 48))
    assert lanes.take_M[lanes.slot_N].tolist() == list(range(100))
    assert lanes.take_M[:12].tolist() == [*range(40, 50), 49, 49]


def test_a_lane_is_never_longer_than_the_row() -> None:
    lanes = Documents.of(torch.tensor([[0, 0, 0, 1]])).lanes
    assert lanes is not None
    assert lanes.shapes == ((2, 4),)


def test_a_band_lets_see_what_the_window_holds() -> None:
    documents = Documents.of(torch.tensor([[0, 0, 0, 1, 1]]))
    strict = documents.band(2, False, torch.float32)
    assert strict.seen_BT.tolist() == [[0, 1, 1, 0, 1]]
    allowed = (strict.bias_nCK[0, 0, :5, :5] == 0).int().tolist()
    assert allowed == [[1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 1, 0]]
    own = documents.band(2, True, torch.float32)
    assert own.seen_BT.tolist() == [[1, 1, 1, 1, 1]]
    allowed = (own.bias_nCK[0, 0, :5, :5] == 0).int().tolist()
    assert allowed == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 1, 1]]


def test_a_band_is_computed_once_for_each_window() -> None:
    documents = Documents.whole(1, 4)
    assert documents.band(2, False, torch.float32) is documents.band(2, False, torch.float32)
    assert documents.band(2, False, torch.float32) is not documents.band(2, True, torch.float32)


def test_ids_that_are_no_integers_or_not_two_dimensional_are_refused() -> None:
    with pytest.raises(ValueError, match="integers"):
        Documents.of(torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"\(3,\)"):
        Documents.of(torch.zeros(3, dtype=torch.int64))
