"""What is measured of each loop: exact values where they are known, and agreement with the evaluation."""

import math
from pathlib import Path

import pytest
import torch

from loopdata.errors import ShardError
from loopdata.tokens.shards import Dataset
from model.data import held_out_batches
from model.diagnosis import Diagnosis, diagnose, effective_rank, linear_cka
from model.evaluation import evaluate
from model.looped import LoopedTransformer
from tests.model.dataset_folder import VOCAB, Entry, counting, write_dataset
from tests.model.test_looped import build

CPU = torch.device("cpu")


def measured(model: LoopedTransformer, folder: Path) -> tuple[Diagnosis, float | None]:
    dataset = Dataset.open(str(folder))
    found = diagnose(model, dataset, held_out_batches(dataset, None, 2), CPU)
    whole = evaluate(model, dataset, held_out_batches(dataset, None, 2), CPU)
    return found, whole.overall.bits_per_byte


def test_the_last_loop_has_the_bits_of_the_evaluation(dataset_folder: Path) -> None:
    found, bits = measured(build(vocab_size=VOCAB, loops=3), dataset_folder)
    assert found.loops[-1].bits_per_byte == pytest.approx(bits)
    assert [measures.loop for measures in found.loops] == [1, 2, 3]
    assert found.loops[0].update is None
    assert found.loops[1].update_cosine is None
    assert -1 <= (found.loops[2].update_cosine or 0) <= 1
    assert found.injection_norm == 1.0
    gates = found.loops[1].gates
    assert [len(heads) for heads in gates] == [2, 2]
    assert all(0 < low <= middle <= high < 1 for layer in gates for _, low, middle, high in layer)


def test_what_later_loops_gain_is_set_against_their_blocks_and_their_attention(dataset_folder: Path) -> None:
    model = build(vocab_size=VOCAB, loops=3)
    found, _ = measured(model, dataset_folder)
    block = sum(parameter.numel() for parameter in model.blocks.parameters())
    # Two further loops: the blocks again, and in 2 layers of 2 heads of 4 a global pass over 16 and a window of 3.
    extra = 2 * (6 * block + 6 * 16 * 16 + 12 * 16 * 3)
    bits = [measures.bits_per_byte for measures in found.loops]
    assert found.gain_per_gflop == pytest.approx((bits[0] - bits[2]) / (extra / 1e9))


def test_sampled_positions_are_spread_over_the_whole_batch(
    dataset_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batches have 26 and 14 targets; of each 20 may be kept: every second one, and all."""
    seen: list[int] = []
    monkeypatch.setattr("model.diagnosis.SAMPLED", 40)
    monkeypatch.setattr("model.diagnosis.effective_rank", lambda state_SD: float(seen.append(len(state_SD)) or 1))
    measured(build(vocab_size=VOCAB, loops=1), dataset_folder)
    assert seen == [13 + 14]


def test_a_dataset_that_holds_nothing_out_is_named(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", [Entry("file", "train", [[counting(1, 16)]])], length=16)
    with pytest.raises(ShardError, match=r"holds out no token that carries loss; hold out more by `split\.valid`"):
        measured(build(vocab_size=VOCAB, loops=2), folder)


def test_a_loop_that_changes_nothing_moves_nothing(dataset_folder: Path) -> None:
    model = build(vocab_size=VOCAB, loops=2, input_injection="replace")
    with torch.no_grad():
        for block in model.blocks:
            block.attention.out.weight.zero_()
            block.ffn.down.weight.zero_()
    found, _ = measured(model, dataset_folder)
    second = found.loops[1]
    assert (second.update, second.helped, second.hurt) == (0.0, 0.0, 0.0)
    assert second.divergence == pytest.approx(0.0, abs=1e-6)
    assert second.cka == pytest.approx(1.0)
    assert found.gain_per_gflop == pytest.approx(0.0)


def test_bits_without_the_shift_are_those_of_the_model_that_does_not_shift(dataset_folder: Path) -> None:
    shifted, plain = (build(vocab_size=VOCAB, loops=2, loop_shift=shift) for shift in (1, 0))
    plain.load_state_dict(shifted.state_dict())
    found, _ = measured(shifted, dataset_folder)
    other, bits = measured(plain, dataset_folder)
    assert found.without_shift == pytest.approx(bits)
    assert other.without_shift is None


def test_effective_rank_counts_directions() -> None:
    assert effective_rank(torch.eye(4)) == pytest.approx(4.0)
    assert effective_rank(torch.ones(5, 4)) == pytest.approx(1.0)
    assert effective_rank(torch.diag(torch.tensor([1.0, 1.0, 0.0]))) == pytest.approx(2.0)


def test_cka_sees_neither_rotation_nor_scale() -> None:
    generator = torch.Generator().manual_seed(1)
    states = torch.randn(50, 3, generator=generator)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=generator)).Q
    assert linear_cka(states, 7 * states @ turn) == pytest.approx(1.0)
    assert linear_cka(states, torch.randn(50, 3, generator=generator)) < 0.5
    assert not math.isnan(linear_cka(states, torch.zeros(50, 3)))


def test_a_model_of_one_loop_is_measured_too(dataset_folder: Path) -> None:
    found, bits = measured(build(vocab_size=VOCAB, loops=1), dataset_folder)
    assert found.loops[0].bits_per_byte == pytest.approx(bits)
    assert (found.gain_per_gflop, found.injection_norm) == (None, None)
