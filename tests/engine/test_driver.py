"""What runs, what does not run again, what is planned, and what is swept."""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from loopdata.engine.driver import Planner
from loopdata.engine.inline_runner import InlineRunner
from loopdata.engine.ledger import FRESH_SECONDS, NAME, Ledger, manifests, sweep
from loopdata.engine.unit import Unit
from loopdata.engine.work import Result
from loopdata.errors import RunError
from loopdata.storage import Folder
from tests.engine import toys

LINES = ["r: a b a", "s: a longer", "t: c"]


def run(folder: Folder, lines: list[str] = LINES, most: int = 20, finish: bool = True) -> dict[str, int]:
    driver = toys.driver(folder)
    toys.compose(driver, lines, (toys.Shorter(toys.Shorter.Config(most=most)),), toys.Unique(), (toys.Whole(),))
    if finish:
        driver.finish()
    return driver.ran


def plan(folder: Folder, lines: list[str] = LINES, most: int = 20) -> list[tuple[str, int, int, list[str], int]]:
    planner = Planner(folder)
    toys.compose(planner, lines, (toys.Shorter(toys.Shorter.Config(most=most)),), toys.Unique(), (toys.Whole(),))
    return [(row.phase, row.units, row.done, list(row.to_run), row.waiting) for row in planner.planned]


def test_planning_writes_nothing(folder: Folder) -> None:
    plan(folder)
    assert folder.files() == []
    run(folder)
    age(folder)
    sweep(folder, Ledger.read(folder))
    before = [file.name for file in folder.files()]
    plan(folder)
    assert [file.name for file in folder.files()] == before


def age(folder: Folder) -> None:
    """Make every file as old as if it were written an hour ago."""
    for path in folder.local().rglob("*"):
        if path.is_file():
            os.utime(path, (time.time() - 3_600, time.time() - 3_600))


def test_what_is_done_is_not_run_again(folder: Folder) -> None:
    assert run(folder) == {"ingest": 3, "map": 3, "reduce": 4, "apply": 3}
    assert toys.words(folder, "apply") in ([b"a", b"b", b"longer", b"c"], [b"b", b"a", b"longer", b"c"])
    before = toys.hashes(folder)
    assert run(folder) == {"ingest": 0, "map": 0, "reduce": 0, "apply": 0}
    assert toys.hashes(folder) == before


@pytest.mark.parametrize("stop", [0, 1, 100, -1])
def test_a_truncated_manifest_is_not_done(folder: Folder, stop: int) -> None:
    run(folder)
    before = toys.hashes(folder)
    [unit] = [unit for unit in toys.ingest_units(LINES, (toys.Shorter(),)) if unit.name == "toy/s"]
    path = folder.local(unit.manifest_name)
    path.write_bytes(path.read_bytes()[:stop])
    assert run(folder) == {"ingest": 1, "map": 0, "reduce": 0, "apply": 0}
    assert toys.hashes(folder) == before


def test_a_corrupt_manifest_is_not_done(folder: Folder) -> None:
    run(folder)
    path = folder.local(toys.ingest_units(LINES, (toys.Shorter(),))[0].manifest_name)
    path.write_bytes(path.read_bytes().replace(b'"kept":3', b'"kept":2'))
    assert run(folder)["ingest"] == 1


def test_a_plan_says_what_a_run_then_does(folder: Folder) -> None:
    assert plan(folder) == [
        ("ingest", 3, 0, ["toy/r", "toy/s", "toy/t"], 0),
        ("map", 3, 0, [], 3),
        ("reduce", 4, 0, [], 4),
        ("apply", 3, 0, [], 3),
    ]
    assert folder.files() == []
    run(folder)
    assert plan(folder) == [
        ("ingest", 3, 3, [], 0),
        ("map", 3, 3, [], 0),
        ("reduce", 4, 4, [], 0),
        ("apply", 3, 3, [], 0),
    ]


def test_a_plan_after_a_change_names_what_is_certain_and_what_waits(folder: Folder) -> None:
    run(folder)
    changed = [*LINES[:2], "t: d"]
    assert plan(folder, changed) == [
        ("ingest", 3, 2, ["toy/t"], 0),
        ("map", 3, 2, [], 1),
        ("reduce", 4, 0, [], 4),
        ("apply", 3, 0, [], 3),
    ]
    assert run(folder, changed)["ingest"] == 1
    assert plan(folder, most=3)[0] == ("ingest", 3, 0, ["toy/r", "toy/s", "toy/t"], 0)
    assert run(folder, most=3)["ingest"] == 3
    assert plan(folder, most=3)[0] == ("ingest", 3, 3, [], 0)


def test_a_change_without_effect_stops_where_outputs_are_as_before(folder: Folder) -> None:
    run(folder)
    assert run(folder, most=19) == {"ingest": 3, "map": 0, "reduce": 0, "apply": 0}


def test_a_failed_unit_is_named_and_the_rest_goes_on_at_the_next_call(folder: Folder) -> None:
    class Breaking(toys.Words):
        def read(self, item: Any) -> Any:
            if item.name == "s":
                raise OSError(5, "the disk is broken")
            return super().read(item)

    units = toys.ingest_units(LINES, ())
    source = Breaking(Breaking.Config(lines=tuple(LINES)), label="toy")
    broken = [replace(unit, task=replace(unit.task, source=source)) for unit in units]
    with pytest.raises(
        RunError, match=r"unit 'toy/s' of phase 'ingest' failed: OSError: .*the disk is broken"
    ) as caught:
        toys.driver(folder).phase("ingest", broken)
    assert "Traceback" in str(caught.value.__cause__)
    driver = toys.driver(folder)
    driver.phase("ingest", units)
    assert driver.ran == {"ingest": 2}


def test_a_runner_that_forgets_a_unit_fails_the_phase(folder: Folder) -> None:
    class Forgetting(InlineRunner):
        def run(self, folder: Folder, units: Iterable[Unit]) -> Iterator[Result]:
            yield from list(super().run(folder, units))[1:]

    with pytest.raises(RunError, match="1 units of phase 'ingest' came to no end"):
        toys.driver(folder, Forgetting(60)).phase("ingest", toys.ingest_units(LINES, ()))


def test_units_of_one_name_are_refused(folder: Folder) -> None:
    units = toys.ingest_units(["r: a"], ())
    with pytest.raises(ValueError, match="unique names"):
        toys.driver(folder).phase("ingest", units * 2)
    with pytest.raises(ValueError, match="this phase"):
        toys.driver(folder).phase("other", units)


def test_only_leftovers_that_are_old_and_unnamed_are_swept(folder: Folder) -> None:
    run(folder)
    named = {file.name for file in folder.files() if not file.name.endswith(".list")}
    folder.write_atomic("data/ingest/left.parquet", b"x")
    folder.write_atomic("manifests/ingest/broken.json", b"{")
    folder.write_atomic("manifests/ingest/x.json.ab.tmp", b"{")
    folder.write_atomic("notes.txt", b"not ours")
    assert sweep(folder, Ledger.read(folder)) == 0
    age(folder)
    folder.write_atomic("data/ingest/fresh.parquet", b"x")
    assert sweep(folder, Ledger.read(folder)) == 3 + 2  # the lists of files for the reduces and the units
    assert {file.name for file in folder.files()} == named | {"data/ingest/fresh.parquet", "notes.txt"}
    assert FRESH_SECONDS == 60.0


def test_what_was_replaced_is_swept(folder: Folder) -> None:
    run(folder)
    run(folder, most=3)
    age(folder)
    sweep(folder, Ledger.read(folder))
    data = {file.name for file in folder.files() if file.name.startswith("data/")}
    outputs = {output.name for m in manifests(folder, Ledger.read(folder)) for output in m.outputs.values()}
    assert data == outputs


def test_units_that_are_gone_go_after_a_complete_run_only(folder: Folder) -> None:
    run(folder)
    gone = [unit.manifest_name for unit in toys.ingest_units(LINES, ()) if unit.name == "toy/t"]
    run(folder, LINES[:2], finish=False)
    assert sweep(folder, Ledger.read(folder)) == 0
    run(folder, LINES[:2])
    sweep(folder, Ledger.read(folder))
    assert not folder.exists(gone[0])
    assert run(folder, LINES[:2]) == {"ingest": 0, "map": 0, "reduce": 0, "apply": 0}
    age(folder)
    sweep(folder, Ledger.read(folder))
    assert not any("toy-t" in file.name for file in folder.files())


def test_a_folder_without_a_run_is_named(folder: Folder) -> None:
    with pytest.raises(RunError, match=rf"{folder.url} holds no run; give the folder"):
        Ledger.read(folder)


def test_the_ledger_reads_back(folder: Folder) -> None:
    Ledger({"p": {"u": "k"}}, True).write(folder)
    assert Ledger.read(folder) == Ledger({"p": {"u": "k"}}, True)
    assert [file.name for file in folder.files()] == [NAME]


def test_a_marker_of_a_dead_run_does_not_change_what_comes_out(folder: Folder, tmp_path: Any) -> None:
    other = Folder(tmp_path / "other")
    for unit in toys.ingest_units(["r: a b"], (toys.Shorter(),)):
        folder.write_atomic(f"attempts/{unit.phase}.{unit.id}", b"")
    for place in (folder, other):
        toys.driver(place).phase("ingest", toys.ingest_units(["r: a b"], (toys.Shorter(),)))
    assert toys.hashes(folder) == toys.hashes(other)
    assert not [file for file in folder.files() if file.name.startswith("attempts/")]
