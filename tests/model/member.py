"""One process of a group that trains: `python -m tests.model.member KEYS.json [DEED RANK STEP]`, as torchrun starts it.

`strike` flips one bit of a weight of that rank after the step. `stop` sends SIGTERM to that rank alone while it
evaluates its STEP-th batch, `stop_saving` while it writes its STEP-th checkpoint. `die` ends that rank after the step.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from loopdata.errors import LoopdataError
from model import evaluation, trainer
from model.group import Group
from model.integrity import Integrity
from model.train_config import load_train_config


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


def stop(rank: int, batch: int) -> None:
    """Ask `rank` to leave while it evaluates its batch of that number."""
    if int(os.environ["RANK"]) != rank:
        return
    real, numbers = evaluation.nats_each, iter(range(1, 1_000))

    def stopped(*arguments: Any) -> Any:
        if next(numbers) == batch:
            signal.raise_signal(signal.SIGTERM)
        return real(*arguments)

    evaluation.nats_each = stopped


def stop_saving(rank: int, number: int) -> None:
    """Ask `rank` to leave while it writes its checkpoint of that number, when the group has agreed to go on."""
    if int(os.environ["RANK"]) != rank:
        return
    real, numbers = trainer.save_checkpoint, iter(range(1, 1_000))

    def stopped(*arguments: Any) -> Any:
        if next(numbers) == number:
            signal.raise_signal(signal.SIGTERM)
        return real(*arguments)

    trainer.save_checkpoint = stopped


def die(rank: int, step: int) -> None:
    """End `rank` without a word after a step, as the system does where memory is short."""
    real, updates = Integrity.after_update, iter(range(1, 1_000))

    def dying(self: Integrity) -> None:
        if next(updates) == step and self._group.rank == rank:
            os._exit(9)
        real(self)

    Integrity.after_update = dying  # type: ignore[method-assign]


def main() -> int:
    keys: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(1)
    if len(sys.argv) > 2:
        deeds = {"strike": strike, "stop": stop, "stop_saving": stop_saving, "die": die}
        deeds[sys.argv[2]](int(sys.argv[3]), int(sys.argv[4]))
    try:
        trainer.train(load_train_config(keys))
    except LoopdataError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    except KeyboardInterrupt as stopped:
        sys.stderr.write(f"{stopped}\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
