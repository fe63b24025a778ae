"""Checkpoint folders: whole or not taken."""

from pathlib import Path

import pytest
import torch
from torch import nn

from loopdata.errors import RunError, ShardError
from model.checkpoint import Progress, load_model, newest_checkpoint, save_checkpoint


def stepped() -> tuple[nn.Linear, torch.optim.Optimizer]:
    torch.manual_seed(0)
    module = nn.Linear(2, 2)
    optimiser = torch.optim.AdamW(module.parameters(), fused=True)
    module(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    return module, optimiser


def test_weights_moments_and_random_state_come_back(tmp_path: Path) -> None:
    module, optimiser = stepped()
    save_checkpoint(tmp_path, module, (optimiser,), Progress(step=1, sequences=4), {"model": {}}, keep=1)
    expected = torch.rand(3)
    other = nn.Linear(2, 2)
    fresh = torch.optim.AdamW(other.parameters(), fused=True)
    found = newest_checkpoint(tmp_path)
    assert found is not None
    found.load(other, (fresh,))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(other.weight, module.weight)
    assert (found.progress.step, found.progress.sequences) == (1, 4)
    for mine, theirs in ((module.weight, other.weight), (module.bias, other.bias)):
        assert optimiser.state[mine].keys() == fresh.state[theirs].keys() == {"step", "exp_avg", "exp_avg_sq"}
        assert all(torch.equal(optimiser.state[mine][key], fresh.state[theirs][key]) for key in optimiser.state[mine])


def test_a_folder_that_was_never_renamed_is_not_taken_and_is_swept(tmp_path: Path) -> None:
    module, optimiser = stepped()
    path = save_checkpoint(tmp_path, module, (optimiser,), Progress(step=1), {}, keep=2)
    unfinished = tmp_path / ".step-00000002.77"
    unfinished.mkdir()
    (unfinished / "weights.safetensors").write_bytes(b"half")
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.path == path
    save_checkpoint(tmp_path, module, (optimiser,), Progress(step=3), {}, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000001", "step-00000003"]


def test_a_checkpoint_is_kept_where_a_later_one_is_broken(tmp_path: Path) -> None:
    module, optimiser = stepped()
    for step in (50, 100):
        save_checkpoint(tmp_path, module, (optimiser,), Progress(step=step), {}, keep=2)
    (tmp_path / "step-00000100/weights.safetensors").write_bytes(b"half")
    path = save_checkpoint(tmp_path, module, (optimiser,), Progress(step=60), {}, keep=1)
    assert sorted(tmp_path.iterdir()) == [path, tmp_path / "step-00000100"]
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert (found.path, found.progress.step) == (path, 60)


def test_an_empty_or_missing_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    assert newest_checkpoint(tmp_path / "nowhere") is None


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    module, optimiser = stepped()
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RunError, match=r"file/step-00000001 cannot be written"):
        save_checkpoint(tmp_path / "file", module, (optimiser,), Progress(step=1), {}, keep=1)


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        (None, "cannot be read: No such file or directory"),
        (b'{"format": 2', "is cut off or changed"),
        (b"[]", "is cut off or changed"),
        (b'{"format": 2, "files": []}', "is cut off or changed"),
        (b"\xff", "is cut off or changed"),
    ],
)
def test_a_model_is_not_loaded_from_half_a_checkpoint(tmp_path: Path, state: bytes | None, problem: str) -> None:
    if state is not None:
        (tmp_path / "state.json").write_bytes(state)
    with pytest.raises(ShardError) as raised:
        load_model(tmp_path)
    assert str(raised.value) == f"{tmp_path}/state.json {problem}; take the checkpoint before it"
