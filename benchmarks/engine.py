"""Overhead of a unit on Ray: our runner beside datatrove's Ray executor, two workers, the same trivial work.

Enters: nothing. Leaves: milliseconds a unit. The work is one small file a unit; `tables` is what a real unit of ours
writes at least, three Parquet files. Both publish in their way: we a manifest, datatrove a completion marker and
statistics. datatrove runs with one task a job and with all tasks of a worker in one job; the better one counts. Limit:
on a laptop's disk; an object store adds its own latency to both.
"""

import hashlib
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.harness import input_hash, quantiles, report
from loopdata.engine.attempt import Attempt
from loopdata.engine.driver import Driver, Failures
from loopdata.engine.progress import Progress
from loopdata.engine.ray_runner import RayRunner
from loopdata.engine.unit import Manifest, Unit
from loopdata.schema import FATE, LOCATION, source_schema, table_of
from loopdata.storage import Folder

WORKERS = 2
UNITS = 2_000
TASKS = 24
REPEATS = 3


def content(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).hexdigest().encode()


class WriteFile:
    """One small file."""

    def __init__(self, number: int) -> None:
        self.number = number

    def identity(self) -> Mapping[str, Any]:
        return {"number": self.number}

    def run(self, attempt: Attempt) -> None:
        with attempt.file("file", ".txt") as stream:
            stream.write(content(self.number))


class WriteTables(WriteFile):
    """The three tables of a unit that reads one document."""

    def run(self, attempt: Attempt) -> None:
        row = {"doc_id": content(self.number).decode(), "content": content(self.number), "num_bytes": 64}
        with (
            attempt.table("documents", source_schema()) as documents,
            attempt.table("fates", FATE),
            attempt.table("locations", LOCATION) as locations,
        ):
            documents.write(table_of([row], source_schema()))
            locations.write(table_of([{"doc_id": row["doc_id"]}], LOCATION))


class PeerStep:
    """The same small file, as a step of datatrove."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
        (Path(self.folder) / f"{rank:05d}.txt").write_bytes(content(rank))
        yield from ()


def ours(runner: RayRunner, task: type[WriteFile], size: int) -> tuple[float, list[bytes]]:
    """Milliseconds a unit, and what the units wrote."""
    with tempfile.TemporaryDirectory(prefix="engine-benchmark-") as place:
        folder = Folder(place)
        units = [Unit("phase", f"{number:05d}", task(number)) for number in range(size)]
        driver = Driver(folder, runner, Progress(Console(stderr=True, quiet=True)), Failures())
        start = time.perf_counter()
        found: list[Manifest] = driver.phase("phase", units)
        spent = time.perf_counter() - start
        written = [folder.read(entry.outputs["file"].name) for entry in found if "file" in entry.outputs]
    return 1_000 * spent / size, written


def theirs(tasks_per_job: int) -> tuple[float, list[bytes]]:
    """The same of datatrove."""
    from datatrove.executor.ray import RayPipelineExecutor

    with tempfile.TemporaryDirectory(prefix="engine-benchmark-") as place:
        executor = RayPipelineExecutor(
            pipeline=[PeerStep(place)],
            tasks=TASKS,
            workers=WORKERS,
            tasks_per_job=tasks_per_job,
            mem_per_cpu_gb=0.5,
            logging_dir=f"{place}/logs",
        )
        start = time.perf_counter()
        executor.run()
        spent = time.perf_counter() - start
        written = [path.read_bytes() for path in sorted(Path(place).glob("*.txt"))]
    return 1_000 * spent / TASKS, written


def main() -> None:
    runner = RayRunner(WORKERS, None, stall_seconds=600, unit_seconds=3_600)
    try:
        ours(runner, WriteFile, 20)  # workers start and import
        [files, tables] = [[ours(runner, task, UNITS) for _ in range(REPEATS)] for task in (WriteFile, WriteTables)]
        peers = {f"tasks_per_job_{size}": [theirs(size) for _ in range(2)] for size in (1, TASKS // WORKERS)}
    finally:
        runner.close()
    wanted = [content(number) for number in range(UNITS)]
    if any(written != wanted for _, written in files):
        sys.exit("our units wrote something else than was asked")
    if any(written != wanted[:TASKS] for runs in peers.values() for _, written in runs):
        sys.exit("datatrove's tasks wrote something else than was asked")
    ms = {name: quantiles([spent for spent, _ in runs]) for name, runs in peers.items()}
    best = min(found["p50"] for found in ms.values())
    mine = quantiles([spent for spent, _ in files])
    figures = {
        "ms_per_unit": mine,
        "ms_per_unit_three_tables": quantiles([spent for spent, _ in tables]),
        "datatrove_ms_per_task": ms,
        "units": UNITS,
        "datatrove_tasks": TASKS,
        "workers": WORKERS,
    }
    packages = ("loopdata", "ray", "pyarrow", "datatrove", "fsspec")
    report("engine", {"datatrove_ray": best / mine["p50"]}, figures, input_hash(str(UNITS), str(TASKS)), packages)


if __name__ == "__main__":
    main()
