"""Running a run file: lock, sweep, phases, training, summary.

Enters: a run file and the choice of a runner. Leaves: the run folder, and a summary of it. The resolved config and the
versions of everything are written first, so that a run can be repeated from its folder alone. Limit: training runs in
the driver, one arm after the other, after the workers are gone.
"""

import importlib.metadata
import json
import os
import platform
import sys
from dataclasses import dataclass

from rich.console import Console

from loopdata.engine.driver import Driver, Runner
from loopdata.engine.inline_runner import InlineRunner
from loopdata.engine.ledger import Ledger, sweep
from loopdata.engine.lock import locked
from loopdata.engine.progress import Progress
from loopdata.engine.threads import pin_threads
from loopdata.errors import ConfigError
from loopdata.storage import Folder
from pipelines.alarms import Watch
from pipelines.corpus import list_inputs
from pipelines.dataset import build_dataset
from pipelines.proof import train_arms
from pipelines.rows import check_rows, check_same_kind, publish_rows
from pipelines.run_file import RunFile, dump
from pipelines.sample_rows import described
from pipelines.summary import Summary, summarise


@dataclass(frozen=True)
class Choice:
    """How units are run: `inline`, or `ray` with local workers (None: one a core) or the address of a cluster."""

    runner: str = "ray"
    address: str | None = None
    workers: int | None = None


def run_file(file: RunFile, choice: Choice, console: Console) -> Summary:
    """Do everything that the run file names and that is not done yet."""
    if choice.runner == "inline" and (choice.address or choice.workers):
        raise ConfigError("--runner inline is one process", "leave out --workers and --address")
    pin_threads()
    if file.rows_to is not None:
        check_rows(file.rows_to, file.sources)
        check_same_kind(file)
    listing = list_inputs(file)  # a source that is not there is a wrong request: it makes no run folder
    folder = Folder(file.run)
    with locked(folder):
        _describe(folder, file, choice)
        sweep(folder, Ledger())
        runner = _runner(file, choice)
        watch = Watch(file.alarms, file.corpus, folder, console)
        driver = Driver(folder, runner, Progress(console), file.failures, watch)
        try:
            dataset = build_dataset(file, listing, driver)
        finally:
            runner.close()
        made = described(list(dataset.rows.files.values())) if dataset.rows and file.rows_of == "samples" else {}
        rows = publish_rows(driver, dataset.rows, file.rows_to, made) if dataset.rows and file.rows_to else {}
        arms = train_arms(file.arms, folder, dataset, console)
        driver.finish()
        sweep(folder, driver.ledger)
        return summarise(file, driver, dataset, arms, watch.alarms, rows, made)


def _runner(file: RunFile, choice: Choice) -> Runner:
    limits = file.limits
    if choice.runner == "inline":
        return InlineRunner(limits.stall_seconds)
    from loopdata.engine.ray_runner import RayRunner

    workers = choice.workers or len(os.sched_getaffinity(0))
    return RayRunner(workers, choice.address, limits.stall_seconds, limits.unit_seconds)


def _describe(folder: Folder, file: RunFile, choice: Choice) -> None:
    """Write down what this run is made of."""
    names = ("loopdata", "pyarrow", "numpy", "ray", "tokenizers", "fastokens", "pygit2", "torch", "safetensors")
    versions = {name: _version(name) for name in names}
    machine = {"python": platform.python_version(), "platform": platform.platform(), "cores": os.cpu_count()}
    about = {"versions": versions, "machine": machine, "runner": choice.runner, "command": sys.argv}
    folder.write_atomic("run.yaml", dump(file.data))
    folder.write_atomic("versions.json", json.dumps(about, indent=2).encode())


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
