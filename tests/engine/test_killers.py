"""Documents that kill, hang or leave their process, on Ray and inline, and sources that do."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loopdata.engine import work
from loopdata.engine.ledger import totals
from loopdata.engine.tables import read_table
from loopdata.engine.work import isolated
from loopdata.errors import RunError
from loopdata.storage import Folder
from tests.engine import toys

LINES = ["r: a KILL b SEGFAULT", "s: LEAVE", "t: f"]
Run = Callable[..., Any]


def causes(folder: Folder) -> list[tuple[str, str, str]]:
    return [(f["stage"], f["rule"], (f["details"] or "-").splitlines()[0]) for f in toys.fates(folder)]


@pytest.mark.slow
def test_killers_are_quarantined_on_ray_and_their_neighbours_kept(folder: Folder, ray_runner: Any) -> None:
    found = toys.driver(folder, ray_runner).phase("ingest", toys.ingest_units(LINES, (toys.Shorter(),)))
    assert toys.words(folder) == [b"a", b"b", b"f"]
    assert causes(folder) == [
        ("shorter", "worker_death", "the worker was killed by signal 9"),
        ("shorter", "worker_death", "the worker was killed by signal 11"),
        ("shorter", "worker_death", "the worker exited with status 0"),
    ]
    [_, count] = totals(found)
    assert (count.entered, count.kept, count.quarantined) == (6, 3, 3)


@pytest.mark.slow
def test_inline_and_ray_say_the_same_of_killers(
    folder: Folder, tmp_path: Path, ray_runner: Any, toy_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["r: KILL", "r2: a RAISE", "s: HANG", "t: a"]
    order = {"folder": str(tmp_path / "inline"), "lines": lines, "stall": 5}
    first = toy_run(**order)  # KILL
    assert (first.returncode, first.stdout) == (-9, "")
    second = toy_run(**order)  # KILL is found; HANG
    assert (second.returncode, second.stdout) == (1, "")
    assert "Timeout" in second.stderr
    third = toy_run(**order)
    assert third.returncode == 0, third.stderr
    monkeypatch.setattr(ray_runner, "_stall_seconds", 5)
    driver = toys.driver(folder, ray_runner)
    toys.compose(driver, lines, (toys.Shorter(),), toys.Unique(), (toys.Whole(),))
    assert toys.words(folder, "apply") == [b"a"]
    assert toys.hashes(folder) == json.loads(third.stdout)["hashes"]
    assert [rule for _, rule, _ in causes(folder)] == ["worker_death", "exception", "worker_death", "copy"]


def test_a_document_at_which_the_process_dies_once_is_not_quarantined(tmp_path: Path, ray_runner: Any) -> None:
    for runner in (ray_runner, _InChildren()):
        folder = Folder(tmp_path / runner.name)
        stage = toys.Shorter(toys.Shorter.Config(marker=str(tmp_path / f"{runner.name}.once")))
        toys.driver(folder, runner).phase("ingest", toys.ingest_units(["r: a ONCE b", "s: ONCE"], (stage,)))
        assert toys.words(folder) == [b"a", b"ONCE", b"b", b"ONCE"]
        assert toys.fates(folder) == []


class _InChildren:
    """Runs every unit as one that killed its worker before."""

    name = "children"

    def run(self, folder: Folder, units: Any) -> Any:
        yield from (isolated(folder, unit, 30) for unit in units)


def test_a_killer_inside_a_repository_is_found(folder: Folder) -> None:
    toys.driver(folder, _InChildren()).phase("ingest", toys.ingest_units(["r: a KILL b"], (toys.Whole(),)))
    assert toys.words(folder) == [b"a", b"b"]
    assert causes(folder) == [("whole", "worker_death", "the worker was killed by signal 9")]


class Crowd(toys.Whole):
    """Dies only of a whole repository."""

    name = "crowd"

    def apply(self, table: Any) -> Any:
        if table.num_rows > 1:
            toys.misbehave(b"KILL", "")
        return super().apply(table)


def test_a_repository_that_kills_only_as_a_whole_fails_the_unit_by_name(folder: Folder) -> None:
    with pytest.raises(RunError, match=r"unit 'toy/r' .* failed: it killed its worker in the stage 'crowd', outside"):
        toys.driver(folder, _InChildren()).phase("ingest", toys.ingest_units(["r: a b"], (Crowd(),)))


def test_a_source_that_dies_fails_its_unit_by_name_on_ray(folder: Folder, ray_runner: Any) -> None:
    units = toys.ingest_units(["r: a", "s: a SOURCEDIES"], (toys.Shorter(),))
    with pytest.raises(RunError, match=r"unit 'toy/s' .* killed its worker outside of any document: .* status 7"):
        toys.driver(folder, ray_runner).phase("ingest", units)


def test_a_source_that_dies_fails_its_unit_by_name_inline(tmp_path: Path, toy_run: Run) -> None:
    order = {"folder": str(tmp_path / "run"), "lines": ["r: a", "s: a SOURCEDIES"]}
    assert toy_run(**order).returncode == 7
    for _ in range(2):  # and at each later call: it is not forgotten, and it does not end the driver again
        again = toy_run(**order)
        assert again.returncode == 1
        assert "RunError: unit 'toy/s' of phase 'ingest' failed: it killed its worker outside of any" in again.stderr


def test_a_source_that_exits_is_a_failed_unit_and_not_a_silent_end(folder: Folder) -> None:
    class Leaving(toys.Words):
        def read(self, item: Any) -> Any:
            raise SystemExit(0)

    [unit] = toys.ingest_units(["r: a"], ())
    source = Leaving(Leaving.Config(lines=("r: a",)), label="toy")
    with pytest.raises(RunError, match="unit 'toy/r' of phase 'ingest' failed: SystemExit: 0"):
        toys.driver(folder).phase("ingest", [replace(unit, task=replace(unit.task, source=source))])


@pytest.mark.slow
def test_a_stopped_child_is_ended(folder: Folder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(work, "GRACE_SECONDS", 1.0)
    [unit] = toys.ingest_units(["r: STOP"], (toys.Shorter(),))
    started = time.monotonic()
    result = isolated(folder, unit, 3.0)
    assert result.manifest is not None
    assert causes_of(folder, result) == ["the worker was killed by signal 9"]
    assert time.monotonic() - started < 200


def causes_of(folder: Folder, result: work.Result) -> list[str]:
    assert result.manifest is not None
    return [row["details"].splitlines()[0] for row in read_table(folder, result.manifest.outputs["fates"]).to_pylist()]


def test_a_child_says_nothing_on_the_stdout_of_its_parent(folder: Folder, capfd: pytest.CaptureFixture[str]) -> None:
    [unit] = toys.ingest_units(["r: a PRINT"], (toys.Shorter(),))
    assert isolated(folder, unit, 30).manifest is not None
    assert capfd.readouterr().out == ""


def test_a_unit_that_cannot_travel_is_a_named_failure(folder: Folder, ray_runner: Any) -> None:
    class Closed:
        def __reduce__(self) -> Any:
            return _refuse, ()

        def identity(self) -> dict[str, Any]:
            return {}

        def run(self, attempt: Any) -> None: ...

    with pytest.raises(RunError, match=r"unit .u. of phase .p. failed: .*it does not travel"):
        toys.driver(folder, ray_runner).phase("p", [toys.Unit("p", "u", Closed())])


def _refuse() -> None:
    raise ValueError("it does not travel")


def test_a_document_that_kills_a_map_is_quarantined(folder: Folder) -> None:
    lines = ["r: a MAPKILL b", "s: c"]
    toys.compose(toys.driver(folder, _InChildren()), lines, (), toys.Unique())
    assert toys.words(folder, "apply") == [b"a", b"b", b"c"]
    assert causes(folder) == [("unique", "worker_death", "the worker was killed by signal 9")]
