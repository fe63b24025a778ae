"""Folders behind URLs: names, streams, atomic writes, refusals, ages."""

import errno
import hashlib
import os
import pickle
import time
from pathlib import Path
from typing import Any

import fsspec
import pytest

from loopdata import storage
from loopdata.errors import ConfigError, RunError
from loopdata.storage import File, Folder, Range, Written, refused_writes


@pytest.fixture(params=["local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    return Folder(tmp_path / "a folder") if request.param == "local" else Folder(f"memory://s-{time.monotonic_ns()}")


def test_what_is_written_reads_back_with_its_hash(folder: Folder) -> None:
    data = b"abc" * 1_000
    assert folder.write_atomic("x/y.bin", data) == Written("x/y.bin", 3_000, hashlib.sha256(data).hexdigest())
    with folder.create("z.bin") as stream:
        assert [stream.write(data), stream.tell(), stream.write(b"d"), stream.tell()] == [3_000, 3_000, 1, 3_001]
        assert (stream.readable(), stream.seekable(), stream.writable()) == (False, False, True)
    assert stream.hexdigest() == hashlib.sha256(data + b"d").hexdigest()
    assert folder.read("z.bin") == data + b"d"
    with folder.open("x/y.bin") as reader:
        reader.seek(2_999)
        assert reader.read() == b"c"
    assert [(file.name, file.num_bytes) for file in folder.files()] == [("x/y.bin", 3_000), ("z.bin", 3_001)]
    assert all(0 <= file.age_seconds < 600 for file in folder.files())


def test_a_second_write_replaces_the_first(folder: Folder) -> None:
    folder.write_atomic("x", b"long before")
    folder.write_atomic("x", b"now")
    assert folder.read("x") == b"now"


def test_removing_is_no_error_for_what_is_gone(folder: Folder) -> None:
    folder.write_atomic("x", b"")
    folder.remove("x")
    folder.remove("x")
    assert not folder.exists("x")


def test_a_folder_that_is_not_there_has_no_files(folder: Folder) -> None:
    assert folder.child("nowhere").files() == []


def test_a_child_lies_below(folder: Folder) -> None:
    folder.child("a").write_atomic("b", b"x")
    assert folder.read("a/b") == b"x"


def test_a_folder_travels_by_its_url(folder: Folder) -> None:
    folder.write_atomic("x", b"there")
    assert pickle.loads(pickle.dumps(folder)).read("x") == b"there"


def test_a_relative_folder_travels_to_a_process_that_stands_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps(Folder("run"))
    monkeypatch.chdir("/")
    assert pickle.loads(data).path() == str(tmp_path / "run")


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("/a/b/", "/a/b"),
        ("/", "/"),
        ("memory://", "memory://"),
        ("memory://a/", "memory://a"),
        ("s3://b/p//", "s3://b/p"),
    ],
)
def test_a_url_loses_only_trailing_slashes(url: str, kept: str) -> None:
    assert Folder(url).url == kept


def test_a_remote_folder_has_no_local_path(tmp_path: Path) -> None:
    assert Folder(tmp_path).local("x") == tmp_path / "x"
    with pytest.raises(RunError, match="memory://x is not on a local disk; copy it to one first"):
        Folder("memory://x").local()


def test_an_atomic_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path)
    folder.write_atomic("x", b"old")

    def half(self: Path, data: bytes) -> int:
        with self.open("wb") as stream:
            stream.write(data[:1])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(RunError, match=rf"the storage refused to write {tmp_path}/x: No space left on device"):
        folder.write_atomic("x", b"new")
    assert folder.read("x") == b"old"
    assert os.listdir(tmp_path) == ["x"]  # noqa: PTH208


def test_an_interrupted_atomic_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Path, target: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Folder(tmp_path).write_atomic("x", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    folder = Folder(tmp_path / "file" / "below")
    for write in (lambda: folder.write_atomic("x", b""), lambda: folder.create("x").__enter__()):
        with pytest.raises(RunError, match=rf"the storage refused to write {tmp_path}/file/below/x: "):
            write()


def test_what_fails_inside_a_stream_is_not_blamed_on_the_storage(folder: Folder) -> None:
    with pytest.raises(OSError, match="somewhere else"), folder.create("x") as stream:
        stream.write(b"part")
        raise OSError("somewhere else")
    assert stream.write(b"after") == 5  # dropped


def test_only_errors_of_the_storage_are_refusals() -> None:
    with pytest.raises(RunError, match="the storage refused to write f: TimeoutError"), refused_writes("f"):
        raise TimeoutError
    with pytest.raises(ValueError, match="other"), refused_writes("f"):
        raise ValueError("other")


def test_the_age_of_a_file_is_in_seconds(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"ab")
    os.utime(tmp_path / "x", (time.time() - 100, time.time() - 100))
    [file] = Folder(tmp_path).files()
    assert file == File("x", 2, file.age_seconds)
    assert 99 < file.age_seconds < 700


@pytest.mark.parametrize("info", [{}, {"mtime": None}, {"LastModified": None, "size": 2}])
def test_a_file_of_unknown_age_counts_as_fresh(info: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fsspec.filesystem("memory")
    monkeypatch.setattr(type(memory), "find", lambda *a, **k: {"/unknown/x": {"size": 2} | info})
    [file] = Folder("memory://unknown").files()
    assert (file.name, file.num_bytes) == ("x", 2)
    assert file.age_seconds < 60


def test_times_come_as_numbers_dates_and_text(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fsspec.filesystem("memory")
    monkeypatch.setattr(
        type(memory), "find", lambda *a, **k: {"/u/x": {"size": 0, "updated": "2020-01-01T00:00:00.000+00:00"}}
    )
    assert Folder("memory://u").files()[0].age_seconds > 1e8


def test_ranges_come_in_order_whatever_is_fetched_together(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write_atomic("a", b"0123456789")
    folder.write_atomic("b", b"abc")
    wanted = [Range("a", 3, 5), Range("b", 0, 3), Range("a", 9, 10), Range("a", 0, 10), Range("b", 1, 1)]
    for most in (1, 5, 6, 100):
        monkeypatch.setattr(storage, "_FETCH_BYTES", most)
        assert list(folder.read_ranges(wanted)) == [b"34", b"abc", b"9", b"0123456789", b""]
    assert list(folder.read_ranges([])) == []
    with pytest.raises(FileNotFoundError):
        list(folder.read_ranges([Range("none", 0, 1)]))


def test_an_error_that_comes_in_place_of_a_range_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder("memory://refusing")
    folder.write_atomic("a", b"0123456789")
    kind = type(fsspec.filesystem("memory"))
    monkeypatch.setattr(kind, "cat_ranges", lambda *_, **__: [b"01", FileNotFoundError("b")])  # whatever `on_error`
    with pytest.raises(FileNotFoundError, match="b"):
        list(folder.read_ranges([Range("a", 0, 2), Range("b", 0, 2)]))


def test_ranges_are_fetched_together_up_to_a_number_of_bytes() -> None:
    ranges = [Range("a", 0, size) for size in (3, 3, 4, 11, 1)]
    assert list(storage._by_size(ranges, 10)) == [ranges[:3], ranges[3:4], ranges[4:]]
    assert list(storage._by_size(ranges, 9)) == [ranges[:2], ranges[2:3], ranges[3:4], ranges[4:]]


def test_a_scheme_that_nothing_here_can_read_is_a_wrong_request() -> None:
    with pytest.raises(ConfigError, match="no file system for nosuch://a/b: Protocol not known: nosuch"):
        Folder("nosuch://a/b").exists("c")
