"""One driver a run folder; a dead driver keeps no lock."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from loopdata.engine import lock
from loopdata.engine.lock import NAME, locked
from loopdata.errors import RunError
from loopdata.storage import Folder

HOLD = """
import sys, time
from loopdata.engine.lock import locked
from loopdata.storage import Folder
with locked(Folder(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_driver_is_refused_with_the_name_of_the_first_until_that_is_killed(folder: Folder) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", HOLD, folder.url], cwd=root, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(RunError) as caught, locked(folder):
            pass
        assert f"process {holder.pid} on {socket.gethostname()}, since 2" in str(caught.value)
        assert caught.value.exit_code == 1
        holder.send_signal(signal.SIGKILL)
    with locked(folder):
        assert json.loads(folder.read(NAME))["pid"] == os.getpid()


def test_a_lock_is_free_after_its_holder_went_on(folder: Folder) -> None:
    for _ in range(2):
        with locked(folder):
            assert json.loads(folder.read(NAME))["pid"] == os.getpid()


def test_two_folders_do_not_disturb_each_other(tmp_path: Path) -> None:
    folders = [Folder(tmp_path / name) for name in "ab"]
    with locked(folders[0]), locked(folders[1]):
        assert [json.loads(folder.read(NAME))["pid"] for folder in folders] == [os.getpid()] * 2


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setattr(lock, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(lock, "RENEW_SECONDS", 0.02)
    folder = Folder(f"memory://lock-{time.monotonic_ns()}")
    assert not folder.is_local
    return folder


def test_a_live_lease_is_refused_by_name_and_given_back(remote: Folder) -> None:
    with locked(remote), pytest.raises(RunError, match=rf"process {os.getpid()} on "), locked(remote):
        pass
    assert not remote.exists(NAME)


def lease(renewed: float) -> bytes:
    return json.dumps({"pid": 1, "host": "elsewhere", "since": 0, "id": "other", "renewed": renewed}).encode()


def test_a_lease_that_ran_out_is_taken_over(remote: Folder) -> None:
    remote.write_atomic(NAME, lease(time.time() - lock.LEASE_SECONDS + 30))
    with pytest.raises(RunError, match="process 1 on elsewhere"), locked(remote):
        pass
    remote.write_atomic(NAME, lease(time.time() - lock.LEASE_SECONDS - 1))
    with locked(remote):
        assert json.loads(remote.read(NAME))["pid"] == os.getpid()


def test_a_lease_is_renewed_while_it_is_held(remote: Folder) -> None:
    with locked(remote):
        first = json.loads(remote.read(NAME))["renewed"]
        end = time.monotonic() + 30
        while json.loads(remote.read(NAME))["renewed"] == first and time.monotonic() < end:
            time.sleep(0.01)
        assert json.loads(remote.read(NAME))["renewed"] > first


def test_of_two_that_claim_at_once_the_later_wins(remote: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock.time, "sleep", lambda _: remote.write_atomic(NAME, lease(time.time())))
    with pytest.raises(RunError, match="process 1 on elsewhere"), locked(remote):
        pass
    assert json.loads(remote.read(NAME))["host"] == "elsewhere"


def test_a_driver_whose_lease_is_in_other_hands_stops_and_leaves_it_there(remote: Folder) -> None:
    with pytest.raises(RunError, match="another driver took it over"), locked(remote):
        for _ in range(600):  # again, since a renewal that has just looked may write over the first one
            remote.write_atomic(NAME, lease(time.time()))
            time.sleep(0.1)
    assert json.loads(remote.read(NAME))["host"] == "elsewhere"


def test_a_lost_lease_stops_a_driver_that_ignores_interruptions(remote: Folder) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(RunError, match="another driver took it over"), locked(remote):
            signal.raise_signal(signal.SIGINT)
            for _ in range(600):
                remote.write_atomic(NAME, lease(time.time()))
                time.sleep(0.1)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_lease_is_held_in_any_thread(remote: Folder) -> None:
    """Where SIGINT is ignored, too: only the main thread may give it a handler."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    held: list[bytes] = []

    def hold() -> None:
        with locked(remote):
            held.append(remote.read(NAME))

    try:
        thread = threading.Thread(target=hold)
        thread.start()
        thread.join()
        assert len(held) == 1
    finally:
        signal.signal(signal.SIGINT, before)
