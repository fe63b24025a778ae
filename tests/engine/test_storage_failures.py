"""A storage that refuses a write, at any write, fails the run by name and leaves nothing half written; memory://."""

import errno
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileOpener, LocalFileSystem

from loopdata.engine.ledger import Ledger, manifests
from loopdata.errors import RunError
from loopdata.storage import Folder
from tests.engine import toys

LINES = ["r: a b a RAISE", "s: a"]


class FullOpener(LocalFileOpener):
    def write(self, data: Any) -> int:
        self.fs.spend()
        return int(self.f.write(data))

    def close(self) -> None:
        if self.f is not None and not self.f.closed:
            super().close()
            self.fs.spend()


class FullFileSystem(LocalFileSystem):
    """A local disk on which from the n-th write, open or close on nothing more fits."""

    protocol = "full"
    left = 1_000_000

    def spend(self) -> None:
        type(self).left -= 1
        if type(self).left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **kwargs: Any) -> Any:
        if mode == "rb":
            return super()._open(path, mode, block_size, **kwargs)
        self.spend()
        return FullOpener(path, mode, fs=self, **kwargs)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return LocalFileSystem._strip_protocol(str(path).replace("full://", "file://", 1))


def written_in_part(path: Path, data: bytes) -> int:
    with path.open("wb") as stream:
        stream.write(data[:1])
        FullFileSystem().spend()
        return 1 + stream.write(data[1:])


fsspec.register_implementation("full", FullFileSystem, clobber=True)


def run(folder: Folder) -> dict[str, int]:
    driver = toys.driver(folder)
    toys.compose(driver, LINES, (toys.Shorter(),), toys.Unique())
    return driver.ran


def whole(folder: Folder) -> int:
    """How many outputs the manifests name; each must read."""
    found = [(m, label) for m in manifests(folder, Ledger.read(folder)) for label in m.outputs]
    for manifest, label in found:
        output = manifest.outputs[label]
        assert toys.rows_of(folder, manifest, label) == output.rows
        assert len(folder.read(output.name)) == output.num_bytes
    return len(found)


def test_a_full_disk_at_any_write_is_one_named_error_and_the_next_call_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = Folder(tmp_path / "reference")
    run(reference)
    wanted, refused, step = toys.hashes(reference), 0, 0
    monkeypatch.setattr(Path, "write_bytes", written_in_part)
    while True:
        # every write of a fresh run in turn: thinned where the same kinds of file come again
        step += 1 if step < 40 else 7
        folder = Folder(f"full://{tmp_path}/{step}")
        monkeypatch.setattr(FullFileSystem, "left", step - 1)
        try:
            run(folder)
            break
        except RunError as error:
            refused += 1
            assert f"the storage refused to write {folder.url}/" in str(error)
            assert "No space left on device" in str(error)
        monkeypatch.setattr(FullFileSystem, "left", 1_000_000)
        if folder.exists("ledger.json") and folder.read("ledger.json"):
            whole(folder)
        if step % 10 == 1:
            run(folder)
            assert toys.hashes(folder) == wanted
            assert whole(folder) == len(wanted)
    assert refused > 30


def test_a_run_in_memory_is_the_same_as_on_disk(folder: Folder) -> None:
    memory = Folder("memory://engine-toy-run")
    assert run(memory) == run(folder)
    assert toys.hashes(memory) == toys.hashes(folder)
    assert run(memory) == {"ingest": 0, "map": 0, "reduce": 0, "apply": 0}
    assert whole(memory) == len(toys.hashes(folder))
