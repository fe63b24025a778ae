"""What the Ray runner promises beyond the results: bounded in flight, refusals by name, lost nodes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopdata.engine import lock
from loopdata.engine import ray_runner as module
from loopdata.engine.ray_runner import RayRunner
from loopdata.engine.unit import Unit
from loopdata.errors import RunError
from loopdata.storage import Folder
from tests.engine import toys

ROOT = Path(__file__).parents[2]


def test_only_so_many_units_are_in_flight(folder: Folder, ray_runner: Any) -> None:
    drawn: list[Unit] = []

    def drawing() -> Iterator[Unit]:
        for unit in toys.ingest_units([f"r{n:02d}: a" for n in range(20)], ()):
            drawn.append(unit)
            yield unit

    results = ray_runner.run(folder, drawing())
    next(results)
    assert len(drawn) == 2 * module.IN_FLIGHT_PER_WORKER
    assert len(list(results)) == 19
    assert len(drawn) == 20


def test_leaving_early_leaves_the_runner_usable(folder: Folder, ray_runner: Any) -> None:
    results = ray_runner.run(folder, toys.ingest_units([f"r{n:02d}: SLOW" for n in range(20)], (toys.Shorter(),)))
    next(results)
    results.close()
    assert len(list(ray_runner.run(folder, toys.ingest_units(["s: a"], ())))) == 1


def test_an_interruption_that_a_callback_swallowed_is_raised_again(folder: Folder, ray_runner: Any) -> None:
    results = ray_runner.run(folder, toys.ingest_units([f"r{n:02d}: a" for n in range(20)], ()))
    next(results)
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        list(results)
    assert len(list(ray_runner.run(folder, toys.ingest_units(["s: a"], ())))) == 1


def test_an_interruption_answered_before_a_run_does_not_end_it(folder: Folder, ray_runner: Any) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert len(list(ray_runner.run(folder, toys.ingest_units(["s: a"], ())))) == 1


def test_an_interruption_that_was_swallowed_behind_the_last_unit_is_raised_again(
    folder: Folder, ray_runner: Any
) -> None:
    results = ray_runner.run(folder, toys.ingest_units(["s: a"], ()))
    next(results)
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        list(results)


def test_a_signal_that_is_ignored_while_a_lease_is_held_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "SETTLE_SECONDS", 0.01)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with lock.locked(Folder("memory://ignored")):
            signals = module._Signals()
            signal.raise_signal(signal.SIGINT)
            assert not signals._seen
            signals.check()
            signals.restore()
    except KeyboardInterrupt:  # which would end pytest
        pytest.fail("it was raised")
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_unit_that_hangs_for_ever_is_cancelled_and_fails_by_name(
    folder: Folder, ray_runner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_runner, "_unit_seconds", 1.0)
    monkeypatch.setattr(module, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(module, "DEATHS_BEFORE_FAILURE", 2)
    with pytest.raises(RunError, match="unit 'toy/r' of phase 'ingest' failed: its worker died 2 times"):
        toys.driver(folder, ray_runner).phase("ingest", toys.ingest_units(["r: HANG"], (toys.Shorter(),)))


def test_workers_see_one_thread_and_the_code_of_the_driver(ray_runner: Any) -> None:
    import ray

    seen = ray.get(ray.remote(_surroundings).remote())
    assert seen == {"omp": "1", "rayon": "1", "arrow": 1, "code": str(ROOT / "loopdata" / "errors.py")}


def _surroundings() -> dict[str, Any]:
    import pyarrow as pa

    import loopdata.errors
    from loopdata.engine.threads import pin_threads

    pin_threads()
    names = {"omp": "OMP_NUM_THREADS", "rayon": "RAYON_NUM_THREADS"}
    found: dict[str, Any] = {short: os.environ.get(name) for short, name in names.items()}
    return found | {"arrow": pa.cpu_count(), "code": loopdata.errors.__file__}


def test_an_address_where_nothing_listens_is_a_named_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunError, match=r"no Ray cluster answers at 127\.0\.0\.1:1: Connection refused; start it with"):
        RayRunner(2, "127.0.0.1:1", 60, 600)
    os.write(1, b"stdout is back")
    assert capfd.readouterr().out == "stdout is back"


NODES = """
import json, sys, threading, time
from ray.cluster_utils import Cluster
from loopdata.engine.ray_runner import RayRunner
from loopdata.storage import Folder
from tests.engine import toys

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
node = cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
runner = RayRunner(1, cluster.address, 120, 600)
folder = Folder(sys.argv[1])
lines = [f"r{n}: " + " ".join(f"SLOW{word}" for word in range(30)) for n in range(8)]
threading.Timer(1.0, lambda: cluster.remove_node(node, allow_graceful=False)).start()
driver = toys.driver(folder, runner)
driver.phase("ingest", toys.ingest_units(lines, (toys.Shorter(),)))
slots = runner._slots
runner.close()
cluster.shutdown()
print(json.dumps({"slots": slots, "words": len(toys.words(folder))}))
"""


STDOUT = """
import os, sys
from loopdata.engine.ray_runner import _StdoutAside

aside = _StdoutAside()
print("to stderr")
os.system("echo of a child, to stderr")
if sys.argv[1] != "left alone":
    sys.stdout = sys.__stdout__
if sys.argv[1] == "replaced":
    os.dup2(int(sys.argv[2]), 1)
aside.restore()
print("to stdout")
"""


def test_stdout_is_back_unless_somebody_replaced_it(tmp_path: Path) -> None:
    for what in ("left alone", "replaced in Python only"):
        assert _python(STDOUT, what).stdout == "to stdout\n"
    with (tmp_path / "theirs").open("w") as theirs:
        command = [sys.executable, "-c", STDOUT, "replaced", str(theirs.fileno())]
        subprocess.run(command, cwd=ROOT, pass_fds=[theirs.fileno()], capture_output=True, timeout=240, check=True)
        assert (tmp_path / "theirs").read_text() == "to stdout\n"


@pytest.mark.slow
def test_the_units_of_a_lost_node_run_again(tmp_path: Path) -> None:
    done = _python(NODES, str(tmp_path))
    assert done.returncode == 0, done.stderr[-2_000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {"slots": 2, "words": 240}


def _python(script: str, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", script, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
