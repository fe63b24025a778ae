"""The proof: the arms that a run file names, each a model trained on the run's dataset.

Enters: the settings of each arm and the dataset. Leaves: an arm's folder with config, checkpoints, metrics, result. An
arm's folder is named after everything that its result depends on, so that a finished arm is not trained again and a
changed one starts afresh. Limit: arms differ by what the run file says of each; one seed of each proves nothing.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from loopdata.schema import digest
from loopdata.storage import Folder
from model.parsing import parse
from model.threads import wait_politely
from model.train_config import TrainConfig
from pipelines.dataset import Built

if TYPE_CHECKING:
    from model.result import Result


@dataclass(frozen=True)
class Arm:
    """A trained arm: its name, the config that trains it again, its folder, and what came out."""

    name: str
    config: str
    out: str
    result: "Result"


def train_arms(arms: Mapping[str, dict[str, Any]], folder: Folder, built: Built, console: Console) -> list[Arm]:
    """Train every arm that is not trained yet. Errors are those of `model.trainer.train`."""
    if not arms:
        return []
    wait_politely()
    from model.trainer import train

    content = dataset_digest(built)
    trained = []
    for name, settings in arms.items():
        place = folder.local(f"train/{name}-{digest(content, json.dumps(settings, sort_keys=True))[:8]}")
        config = {"threads": len(os.sched_getaffinity(0))} | settings
        config |= {"data": str(folder.local().resolve()), "out": str(place.resolve())}
        path = f"train/{name}.yaml"
        folder.write_atomic(path, yaml.safe_dump(config, sort_keys=False).encode())
        with _Shown(name, console) as shown:
            result = train(parse(TrainConfig, config), shown)
        trained.append(Arm(name, str(folder.local(path)), str(place), result))
    return trained


def dataset_digest(built: Built) -> str:
    """A digest of what a training reads, whatever the files are called."""
    parts = [built.tokenizer, *built.packings, *(entry for found in built.samples.values() for entry in found)]
    found = [entry.outputs[label].sha256 for entry in parts if entry for label in sorted(entry.outputs)]
    order = [built.mixture.outputs["order"].sha256] if built.mixture else []
    return digest(*found, *order)


class _Shown:
    """Shows the events of a training: a moving line on a terminal, elsewhere one line at its end."""

    def __init__(self, name: str, console: Console) -> None:
        columns = [
            TextColumn("{task.description:>24}"),
            BarColumn(bar_width=28),
            TextColumn("step {task.completed:.0f}/{task.total:.0f}  {task.fields[state]}"),
            TimeRemainingColumn(compact=True),
        ]
        self._name, self._console = name, console
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._line = ""

    def __enter__(self) -> "_Shown":
        self._bar.start()
        self._task = self._bar.add_task(f"train {self._name}", total=None, state="")
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()
        if self._line and error[0] is None:
            self._console.print(f"train {self._name}: {self._line}", style="dim", highlight=False)

    def __call__(self, event: dict[str, Any]) -> None:
        if event["event"] == "step":
            speed = f"{event['tokens_per_second']:,.0f} tokens/s"
            self._line = f"{event['step']} of {event['steps']} steps, loss {event['loss']:.3f}, {speed}"
            state = f"loss {event['loss']:.3f}  {speed}"
            self._bar.update(self._task, completed=event["step"], total=event["steps"], state=state)
        elif event["event"] == "passed_over":
            said = f"train {self._name}: a checkpoint is passed over, since {event['problem']}"
            self._console.print(said, style="yellow", highlight=False, markup=False, soft_wrap=True)
        elif event["event"] == "finished" and event.get("recorded"):
            self._line = "trained before"
