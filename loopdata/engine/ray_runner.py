"""The runner on Ray: local by default, a cluster by address. The only file that imports ray.

Enters: units. Leaves: their results, in the order in which they end. Units are plain tasks of one core, bounded in
flight. Exceptions are caught inside the task; a worker that dies is retried once, and after two deaths the unit runs in
children that find the document. Facts it builds on (Ray 2.60): a bare `init` joins a running cluster, infeasible tasks
wait silently, out-of-memory is retried for ever, and only a forced cancellation frees a hung slot. Limit:
`unit_seconds` counts from submission, so it must be far above the work of a unit.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from loopdata.engine.threads import PINNED, pin_threads
from loopdata.engine.unit import Unit
from loopdata.engine.work import Result, attempt_unit, isolated
from loopdata.errors import ConfigError, RunError
from loopdata.storage import Folder

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_task_oom_retries", "1")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray.exceptions import RayError, RayTaskError

DEATHS_BEFORE_ISOLATION = 2
DEATHS_BEFORE_FAILURE = 5
POLL_SECONDS = 1.0
CONNECT_SECONDS = 10.0
IN_FLIGHT_PER_WORKER = 3


@dataclass
class _Flight:
    unit: Unit
    submitted: float


class RayRunner:
    """Plain Ray tasks, bounded in flight."""

    name = "ray"

    def __init__(self, workers: int, address: str | None, stall_seconds: float, unit_seconds: float) -> None:
        """ConfigError where the cluster has no core to give."""
        self._stall_seconds, self._unit_seconds = stall_seconds, unit_seconds
        pin_threads()
        self._stdout, self._signals = _StdoutAside(), _Signals()
        try:
            _start(workers, address)
        except BaseException:
            self._stdout.restore()
            self._signals.restore()
            raise
        cores = int(ray.cluster_resources().get("CPU", 0))
        if cores < 1:
            self.close()
            raise ConfigError(f"the Ray cluster at {address} has no CPU", "start nodes with at least one core")
        self._slots = min(workers, cores) if address is None else cores
        self._plain = ray.remote(num_cpus=1, max_retries=0, retry_exceptions=False)(attempt_unit)
        self._isolated = ray.remote(num_cpus=1, max_retries=0, retry_exceptions=False)(isolated)

    def run(self, folder: Folder, units: Iterable[Unit]) -> Iterator[Result]:
        """Results as they come. What is in flight when the caller leaves early ends with `close`.

        It is not cancelled: Ray 2.60 aborts the driver when a task that it cancels by force answers just then (8 of 26
        interruptions). Workers end with the job of their driver anyway.
        """
        waiting = iter(units)
        deaths: Counter[str] = Counter()
        flights: dict[Any, _Flight] = {}
        self._signals.forget()
        while True:
            while len(flights) < self._slots * IN_FLIGHT_PER_WORKER and (unit := next(waiting, None)):
                self._submit(folder, unit, deaths, flights)
            if not flights:
                self._signals.check()
                return
            ready, _ = ray.wait(list(flights), num_returns=1, timeout=POLL_SECONDS)
            self._signals.check()
            for reference in ready:
                result = self._result(reference, flights.pop(reference), folder, deaths, flights)
                if result is not None:
                    yield result
            self._cancel_hung(flights)

    def _submit(self, folder: Folder, unit: Unit, deaths: Counter[str], flights: dict[Any, _Flight]) -> None:
        task = self._plain if deaths[unit.id] < DEATHS_BEFORE_ISOLATION else self._isolated
        flights[task.remote(folder, unit, self._stall_seconds)] = _Flight(unit, time.monotonic())

    def _result(
        self, reference: Any, flight: _Flight, folder: Folder, deaths: Counter[str], flights: dict[Any, _Flight]
    ) -> Result | None:
        """The result, or None where the worker died and the unit was submitted again."""
        try:
            result: Result = ray.get(reference)
            return result
        except RayTaskError as error:  # not a death: the unit could not travel, or the machinery itself failed
            lines = str(error.cause or error).strip().splitlines()
            return Result(flight.unit.id, error=lines[-1] if lines else type(error).__name__, trace=str(error))
        except RayError as error:
            deaths[flight.unit.id] += 1
            if deaths[flight.unit.id] >= DEATHS_BEFORE_FAILURE:
                cause = " ".join(str(error).split())[:300]
                return Result(flight.unit.id, error=f"its worker died {DEATHS_BEFORE_FAILURE} times: {cause}")
            self._submit(folder, flight.unit, deaths, flights)
            return None

    def _cancel_hung(self, flights: dict[Any, _Flight]) -> None:
        for reference, flight in flights.items():
            if time.monotonic() - flight.submitted > self._unit_seconds:
                flight.submitted = time.monotonic()
                ray.cancel(reference, force=True)

    def close(self) -> None:
        """Stop the local Ray, or leave the cluster."""
        ray.shutdown()
        self._stdout.restore()
        self._signals.restore()


def _start(workers: int, address: str | None) -> None:
    _check_listening(address)
    local: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False}
    joined: dict[str, Any] = {"runtime_env": {"env_vars": PINNED}}
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **(local if address is None else joined),
        )
    except (RayError, ConnectionError, ValueError, RuntimeError) as error:
        where = address or "this machine"
        raise RunError(f"Ray did not start on {where}: {' '.join(str(error).split())[:300]}") from error


def _check_listening(address: str | None) -> None:
    """RunError where nothing listens at `host:port`: Ray itself tries for minutes before it says so."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        cause = error.strerror or str(error)
        raise RunError(f"no Ray cluster answers at {address}: {cause}", "start it with `ray start --head`") from error


class _Signals:
    """What is raised by a signal's handler may end in a callback of Ray, unseen: it is noted, and raised again."""

    def __init__(self) -> None:
        self._seen: list[int] = []
        self._before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            self._before = {number: handler for number, handler in found.items() if callable(handler)}
        for number in self._before:
            signal.signal(number, self._note)

    def _note(self, number: int, frame: Any) -> None:
        try:
            self._before[number](number, frame)
        except BaseException:
            self._seen.append(number)
            raise

    def forget(self) -> None:
        """What came before now was somebody else's to answer."""
        self._seen.clear()

    def check(self) -> None:
        """KeyboardInterrupt where a signal came, once."""
        if self._seen:
            self._seen.clear()
            raise KeyboardInterrupt

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


class _StdoutAside:
    """Ray and its processes print messages to stdout, whatever they are told: send them to stderr for the while.

    Where somebody has put another stream there since (a test's capture), that one stays.
    """

    def __init__(self) -> None:
        sys.stdout.flush()
        self._stream, self._instead = sys.stdout, sys.stderr
        self._kept, self._file = os.dup(1), os.fstat(2)
        os.dup2(2, 1)
        sys.stdout = self._instead

    def restore(self) -> None:
        if sys.stdout is self._instead:
            sys.stdout = self._stream
        if os.path.samestat(os.fstat(1), self._file):
            os.dup2(self._kept, 1)
        os.close(self._kept)
