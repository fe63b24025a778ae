"""A run that is killed goes on to the same bytes; inline and Ray write the same for any number of workers."""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loopdata.engine import ray_runner as ray_module
from loopdata.engine.ledger import Ledger, manifests, read_manifest
from loopdata.storage import Folder
from tests.engine import toys
from tests.engine.conftest import GUARD_SECONDS

LINES = [f"repo{n}: {' '.join(f'SLOW{n * word % 17}' for word in range(12))} TWIN RAISE" for n in range(6)]
Start = Callable[..., Any]


def run(folder: Folder, runner: Any = None, lines: list[str] = LINES) -> dict[str, int]:
    driver = toys.driver(folder, runner)
    toys.compose(driver, lines, (toys.Shorter(),), toys.Unique(), (toys.Whole(),))
    driver.finish()
    return driver.ran


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What comes out of an uninterrupted run in one process."""
    folder = Folder(tmp_path_factory.mktemp("reference"))
    run(folder)
    return toys.hashes(folder)


def published(folder: Folder) -> dict[str, str]:
    """Unit → attempt, of every manifest that is there."""
    names = [file.name for file in folder.files() if file.name.startswith("manifests/")]
    found = [entry for name in names if (entry := read_manifest(folder, name)) is not None]
    return {f"{entry.phase}/{entry.name}": entry.attempt for entry in found}


def assert_whole(folder: Folder) -> None:
    for entry in manifests(folder, Ledger.read(folder)):
        for label, output in entry.outputs.items():
            assert toys.rows_of(folder, entry, label) == output.rows


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + GUARD_SECONDS
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    assert condition()


@pytest.mark.parametrize("workers", [1, 2])
def test_ray_writes_what_one_process_writes(
    folder: Folder, ray_runner: Any, workers: int, wanted: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_runner, "_slots", workers)
    monkeypatch.setattr(ray_module, "IN_FLIGHT_PER_WORKER", 1)
    assert run(folder, ray_runner) == {"ingest": 6, "map": 6, "reduce": 4, "apply": 6}
    assert toys.hashes(folder) == wanted
    assert len(wanted) == 6 * 3 + 6 * 2 + 4 + 6 * 2


@pytest.mark.slow
def test_a_run_killed_at_ten_moments_ends_with_the_same_bytes(
    tmp_path: Path, start_toy_run: Start, wanted: dict[str, str]
) -> None:
    folder, moments = Folder(tmp_path / "run"), random.Random(20)
    for _ in range(10):
        before = published(folder)
        process = start_toy_run(folder=folder.url, lines=LINES)
        lock = folder.local("lock")
        wait_until(
            lambda p=process, at=lock: p.poll() is not None or (at.exists() and f'"pid": {p.pid}' in at.read_text())
        )
        time.sleep(moments.random() * 0.5)
        process.kill()
        process.communicate()
        assert before.items() <= published(folder).items()
    before = published(folder)
    run(folder)
    assert toys.hashes(folder) == wanted
    assert before.items() <= published(folder).items()


@pytest.mark.slow
def test_workers_killed_at_random_change_nothing(folder: Folder, ray_runner: Any, wanted: dict[str, str]) -> None:
    stop, killed = threading.Event(), []

    def kill() -> None:
        moments = random.Random(3)
        while not stop.wait(0.3 + moments.random()) and len(killed) < 4:
            for pid in ray_workers(os.getpid()):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                break

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        run(folder, ray_runner)
    finally:
        stop.set()
        killer.join()
    assert toys.hashes(folder) == wanted
    assert killed


def ray_workers(ancestor: int) -> Iterator[int]:
    """Processes below `ancestor` that run a unit just now."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            busy = (path / "cmdline").read_bytes().startswith(b"ray::attempt_unit")
            if busy and ancestor in ancestors(int(path.name)):
                yield int(path.name)
        except (OSError, IndexError):
            continue


def ancestors(pid: int) -> list[int]:
    found = []
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(pid)
    return found


@pytest.mark.slow
def test_a_killed_ray_driver_leaves_no_half_published_unit(
    tmp_path: Path, start_toy_run: Start, wanted: dict[str, str]
) -> None:
    folder = Folder(tmp_path / "run")
    process = start_toy_run(folder=folder.url, lines=LINES, runner="ray")
    wait_until(lambda: process.poll() is not None or len(published(folder)) >= 2)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert_whole(folder)
    before = published(folder)
    assert 2 <= len(before) < 22
    run(folder)
    assert toys.hashes(folder) == wanted
    assert_whole(folder)


@pytest.mark.slow
def test_an_interruption_ends_a_ray_run_at_once(tmp_path: Path, start_toy_run: Start) -> None:
    folder = Folder(tmp_path / "run")
    process = start_toy_run(folder=folder.url, lines=[f"r{n}: HANG" for n in range(8)], runner="ray", group=True)
    busy = lambda: any((tmp_path / "run/data/ingest").glob("*"))  # noqa: E731
    wait_until(lambda: process.poll() is not None or busy())
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=GUARD_SECONDS / 2) == 130
    assert process.stdout.read() == ""
    assert published(folder) == {}


@pytest.mark.slow
def test_a_local_run_joins_no_cluster_and_keeps_stdout_clean_when_workers_die(
    tmp_path: Path, toy_run: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")
    done = toy_run(folder=str(tmp_path / "run"), lines=["r: a KILL PRINT", "s: b"], runner="ray")
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    assert json.loads(line)["ran"] == {"ingest": 2, "map": 2, "reduce": 4, "apply": 2}
    assert toys.words(Folder(tmp_path / "run"), "apply") == [b"a", b"PRINT", b"b"]
