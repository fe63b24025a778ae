"""One driver a run folder, by a lock that a dead driver does not keep.

On a local disk the lock is the operating system's (flock): it ends with the process. Elsewhere it is a lease: a small
file that its holder renews, and that counts for nothing LEASE_SECONDS after the last renewal. A driver whose lease is
in other hands stops: it was away for so long that another took over. Limit: on an object store two drivers that start
within the same second may both see the lease free; the second look, a moment later, decides.
"""

import contextlib
import fcntl
import json
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from typing import IO, Any

from loopdata.errors import RunError
from loopdata.storage import Folder, refused_writes

NAME = "lock"
LEASE_SECONDS = 60.0
RENEW_SECONDS = 15.0
SETTLE_SECONDS = 1.0


@contextlib.contextmanager
def locked(run: Folder) -> Iterator[None]:
    """Hold the run folder. RunError names the driver that holds it."""
    with _flock(run) if run.is_local else _lease(run):
        yield


def _me() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time(), "id": uuid.uuid4().hex}


def _refuse(run: Folder, holder: dict[str, Any]) -> RunError:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder.get("since", 0)))
    who = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}, since {since}"
    return RunError(
        f"another driver works in {run.url} ({who})", "wait for it or stop it, or choose another run folder"
    )


@contextlib.contextmanager
def _flock(run: Folder) -> Iterator[None]:
    path = run.local(NAME)
    with refused_writes(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream: IO[str] = path.open("a+", encoding="utf-8")
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            raise _refuse(run, _holder(stream.read())) from None
        with refused_writes(str(path)):
            stream.truncate(0)
            stream.write(json.dumps(_me()))
            stream.flush()
        yield


def _holder(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@contextlib.contextmanager
def _lease(run: Folder) -> Iterator[None]:
    me = _me()
    _claim(run, me)
    time.sleep(SETTLE_SECONDS)
    holder = _current(run)
    if holder.get("id") != me["id"]:
        raise _refuse(run, holder)
    stop, lost = threading.Event(), threading.Event()
    renewing = threading.Thread(target=_renew, args=(run, me, stop, lost), daemon=True)
    renewing.start()
    try:
        with _heard(lost):
            yield
    except KeyboardInterrupt:
        if lost.is_set():
            raise RunError(f"the lease of {run.url} was lost: another driver took it over", "run again") from None
        raise
    finally:
        stop.set()
        renewing.join()
        if _current(run).get("id") == me["id"]:
            run.remove(NAME)


@contextlib.contextmanager
def _heard(lost: threading.Event) -> Iterator[None]:
    """SIGINT ends a driver whose lease is lost, also where it is ignored: in what a shell starts in the background."""

    def end(number: int, frame: object) -> None:
        if lost.is_set():
            raise KeyboardInterrupt

    mine = threading.current_thread() is threading.main_thread()  # no other may set handlers
    ignored = mine and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored:
        signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        if ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _current(run: Folder) -> dict[str, Any]:
    with contextlib.suppress(FileNotFoundError):
        return _holder(run.read(NAME).decode("utf-8", "replace"))
    return {}


def _claim(run: Folder, me: dict[str, Any]) -> None:
    holder = _current(run)
    if time.time() - holder.get("renewed", 0.0) < LEASE_SECONDS:
        raise _refuse(run, holder)
    run.write_atomic(NAME, json.dumps(me | {"renewed": time.time()}).encode())


def _renew(run: Folder, me: dict[str, Any], stop: threading.Event, lost: threading.Event) -> None:
    """Renew until told to stop; interrupt the driver once the lease is another's. A failed renewal is tried again."""
    while not stop.wait(RENEW_SECONDS):
        with contextlib.suppress(Exception):
            if _current(run).get("id") not in (None, me["id"]):
                lost.set()
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # it ends a sleep, too
                return
            run.write_atomic(NAME, json.dumps(me | {"renewed": time.time()}).encode())
