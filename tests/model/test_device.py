"""What to do when memory does not suffice."""

import pytest
import torch

from loopdata.errors import RunError
from model.device import enough_memory


@pytest.mark.parametrize(
    ("sequences", "accumulation", "remedy"),
    [
        (8, 1, "--set batch_sequences=4 --set accumulation=2"),
        (9, 2, "--set batch_sequences=3 --set accumulation=6"),
        (7, 1, "--set batch_sequences=1 --set accumulation=7"),
        (2, 3, "--set batch_sequences=1 --set accumulation=6"),
        (1, 3, "take a smaller model"),
    ],
)
def test_the_remedy_keeps_the_sequences_of_a_step(sequences: int, accumulation: int, remedy: str) -> None:
    with pytest.raises(RunError) as raised, enough_memory(sequences, accumulation):
        raise torch.OutOfMemoryError("CUDA out of memory")
    assert remedy in str(raised.value)
