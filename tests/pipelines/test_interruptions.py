"""A run that is stopped at any moment, or whose storage refuses a write, goes on from what is committed."""

import errno
import io
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from loopdata import storage
from loopdata.engine.ledger import read_manifest
from loopdata.errors import RunError
from loopdata.storage import Folder
from loopdata.tokens.shards import Dataset
from tests.pipelines.command import end, start, write_run_file
from tests.pipelines.corpus_case import complete, outputs

GUARD_SECONDS = 120.0


def committed(run: Path) -> dict[str, str]:
    """The attempt of every whole manifest that lies in the folder."""
    folder = Folder(str(run))
    names = [path.relative_to(run).as_posix() for path in run.glob("manifests/*/*.json")]
    return {name: found.attempt for name in names if (found := read_manifest(folder, name)) is not None}


def wait_for_manifests(run: Path, number: int, program: Any) -> None:
    """Until so many units are committed, or the program has ended."""
    stop = time.monotonic() + GUARD_SECONDS
    while program.poll() is None and sum(1 for _ in run.glob("manifests/*/*.json")) < number:
        assert time.monotonic() < stop, "the run stands still"
        time.sleep(0.002)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "runner"), [(signal.SIGTERM, ["--runner", "inline"]), (signal.SIGINT, ["--workers", "1"])]
)
def test_an_interrupted_run_says_so_in_one_line_and_goes_on(
    number: signal.Signals, runner: list[str], data: dict[str, Any], tmp_path: Path, finished: Path
) -> None:
    config, run = write_run_file(tmp_path, data), Path(data["run"])
    program = start("run", config, *runner)
    wait_for_manifests(run, 2, program)
    program.send_signal(number)
    said = end(program)
    assert (said.code, said.out) == (130, ""), said.err
    assert "Traceback" not in said.err
    last = said.err.splitlines()[-1]
    assert last == "interrupted; what is committed is kept, the same command goes on from there"
    before = committed(run)
    assert 2 <= len(before) < 55
    complete(data)
    assert before.items() <= committed(run).items()
    assert outputs(run) == outputs(finished)


@pytest.mark.slow
def test_ten_kills_of_the_whole_run_change_no_byte_and_redo_no_unit(
    data: dict[str, Any], tmp_path: Path, finished: Path
) -> None:
    config, run = write_run_file(tmp_path, data), Path(data["run"])
    moments = random.Random(29)
    kills = 0
    before: dict[str, str] = {}
    for turn in range(10):
        runner = ["--workers", "1"] if turn == 4 else ["--runner", "inline"]
        program = start("run", config, *runner)
        wait_for_manifests(run, len(before) + moments.randint(0, 6), program)
        time.sleep(moments.random() * 0.02)
        if program.poll() is None:
            os.killpg(program.pid, signal.SIGKILL)
            kills += 1
        end(program)
        now = committed(run)
        assert before.items() <= now.items(), f"turn {turn} did a committed unit again"
        before = now
    assert kills == 10
    complete(data)
    assert before.items() <= committed(run).items()
    assert outputs(run) == outputs(finished)
    Dataset.open(run).verify()


class Refusing:
    """A storage that is full from its n-th write on: streams and whole files count alike."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, allowed: int) -> None:
        self.writes, self._allowed = 0, allowed
        write, write_bytes = storage.HashingWriter.write, Path.write_bytes

        def stream(writer: storage.HashingWriter, data: Any) -> int:
            if self._is_full():
                writer._stream = Full()  # type: ignore[assignment]
            return write(writer, data)

        def file(path: Path, data: bytes) -> int:
            if self._is_full():
                write_bytes(path, data[: len(data) // 2])
                raise no_space()
            return write_bytes(path, data)

        monkeypatch.setattr(storage.HashingWriter, "write", stream)
        monkeypatch.setattr(Path, "write_bytes", file)

    def _is_full(self) -> bool:
        self.writes += 1
        return self.writes > self._allowed


class Full(io.RawIOBase):
    """A stream that takes nothing more."""

    def write(self, data: Any) -> int:
        raise no_space()


def no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.slow
def test_a_full_storage_is_named_at_each_write_and_the_next_call_goes_on(
    data: dict[str, Any], tmp_path: Path, finished: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        counted = Refusing(patch, 1 << 30)
        complete(data | {"run": str(tmp_path / "counted")})
    assert counted.writes > 500
    for part in range(12):
        run = tmp_path / f"run{part}"
        with pytest.MonkeyPatch.context() as patch:
            Refusing(patch, counted.writes * part // 12 + part)
            with pytest.raises(RunError) as caught:
                complete(data | {"run": str(run)})
        assert f"the storage refused to write {run}/" in str(caught.value)
        assert "No space left on device; mend that and run again; what is committed is kept" in str(caught.value)
        assert "\n" not in str(caught.value)
        before = committed(run)
        complete(data | {"run": str(run)})
        assert before.items() <= committed(run).items()
        assert outputs(run) == outputs(finished)
        assert not list(run.rglob("*.tmp"))


def test_a_run_on_a_remote_storage_that_refuses_is_one_error_too(data: dict[str, Any], finished: Path) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    data["run"] = "memory://refusing/run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryFileSystem, "pipe_file", lambda *words, **named: (_ for _ in ()).throw(no_space()))
        with pytest.raises(RunError, match="the storage refused to write memory://refusing/run/"):
            complete(data)
    complete(data)
    folder = Folder(data["run"])
    hashes = {file.name.rsplit(".", 1)[1] for file in folder.files()}
    assert {"bin", "idx", "npy", "parquet", "json"} <= hashes
