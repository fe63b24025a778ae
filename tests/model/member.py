"""One process of a group that trains: `python -m tests.model.member KEYS.json [RANK STEP]`, as torchrun would start it.

With a rank and a step it is struck there: one bit of a weight flips after that step.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch

from loopdata.errors import LoopdataError
from model.group import Group
from model.integrity import Integrity
from model.train_config import load_train_config
from model.trainer import train


def strike(rank: int, step: int) -> None:
    """Flip a bit of a weight of `rank` once the integrity of `step` was looked at, as a fault of memory would."""
    real = Integrity.after_update
    updates = iter(range(1, 1_000))

    def struck(self: Integrity) -> None:
        number, group = next(updates), self._group
        assert isinstance(group, Group)
        if number == step and group.rank == rank:
            weight = dict(self._model.named_parameters())["blocks.0.attention.key.weight"]
            weight.detach().view(-1).view(torch.int32)[3] ^= 1 << 5
        real(self)  # the fault came before, so that only the replicas can tell

    Integrity.after_update = struck  # type: ignore[method-assign]


def main() -> int:
    keys: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(1)
    if len(sys.argv) > 2:
        strike(int(sys.argv[2]), int(sys.argv[3]))
    try:
        train(load_train_config(keys))
    except LoopdataError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
