"""Documents that make a stage raise are quarantined; their neighbours are untouched."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from loopdata.engine.chain import fate_table
from loopdata.engine.driver import Failures
from loopdata.engine.isolation import apply_row_local, apply_whole
from loopdata.errors import ConfigError, StageError
from loopdata.stage import Fate, Outcome
from loopdata.storage import Folder
from tests.engine import toys


def numbered(size: int) -> pa.Table:
    return pa.table({"doc_id": [f"d{n:04d}" for n in range(size)]})


class Failing:
    """Raises where a bad document, or both of a pair, are in the table; counts its calls."""

    def __init__(self, *bad: str, pair: frozenset[str] = frozenset(), error: BaseException | None = None) -> None:
        self.bad, self.pair = set(bad), pair
        self.error = error or ValueError("two", "arguments", 3)
        self.calls = 0

    def __call__(self, table: pa.Table) -> Outcome:
        self.calls += 1
        ids = set(table["doc_id"].to_pylist())
        if ids & self.bad or (self.pair and self.pair <= ids):
            raise self.error
        return Outcome(table, [Fate(i, "s", "marked", "seen") for i in sorted(ids)])


def kept(outcomes: list[Outcome]) -> list[str]:
    return pa.concat_tables([part.kept for part in outcomes])["doc_id"].to_pylist()


def ended(outcomes: list[Outcome]) -> list[str]:
    return [fate.subject for part in outcomes for fate in part.fates if fate.fate == "quarantined"]


def test_two_bad_of_a_thousand_cost_39_calls() -> None:
    failing = Failing("d0123", "d0777")
    outcomes = apply_row_local("s", failing, numbered(1_000))
    assert ended(outcomes) == ["d0123", "d0777"]
    assert kept(outcomes) == [f"d{n:04d}" for n in range(1_000) if n not in (123, 777)]
    assert failing.calls == 39


def test_a_clean_batch_costs_one_call() -> None:
    failing = Failing()
    assert len(kept(apply_row_local("s", failing, numbered(1_000)))) == 1_000
    assert failing.calls == 1


@pytest.mark.parametrize(
    "error", [ValueError("two", "arguments"), SystemExit(3), MemoryError(), RecursionError("deep")]
)
def test_any_exception_is_one_document_with_its_traceback(error: BaseException) -> None:
    [_, fate] = [f for part in apply_row_local("s", Failing("d1", error=error), numbered_small()) for f in part.fates]
    assert (fate.subject, fate.stage, fate.fate, fate.rule) == ("d1", "s", "quarantined", "exception")
    assert fate.details is not None
    assert "Traceback (most recent call last)" in fate.details
    assert type(error).__name__ in fate.details


def numbered_small() -> pa.Table:
    return pa.table({"doc_id": ["d0", "d1"]})


def test_addresses_are_left_out_of_a_traceback() -> None:
    outcomes = apply_row_local("s", Failing("d0000", error=ValueError(object())), numbered(1))
    [fate] = outcomes[0].fates
    assert str(fate.details).strip().endswith("ValueError: <object object at 0x…>")


def test_a_traceback_can_be_written_whatever_the_exception_says() -> None:
    outcomes = apply_row_local("s", Failing("d0000", error=ValueError("\ud800")), numbered(1))
    assert str(fate_table(outcomes[0].fates)["details"][0]).strip().endswith("ValueError: \\ud800")


def test_a_stage_that_names_its_own_fault_is_not_isolated() -> None:
    with pytest.raises(ConfigError):
        apply_row_local("s", Failing("d0001", error=ConfigError("wrong")), numbered(4))
    with pytest.raises(ConfigError):
        apply_whole("s", Failing("d0001", error=ConfigError("wrong")), numbered(4))


def test_an_interruption_is_not_a_bad_document() -> None:
    with pytest.raises(KeyboardInterrupt):
        apply_row_local("s", Failing("d0001", error=KeyboardInterrupt()), numbered(4))


def test_the_culprits_of_a_repository_are_found_and_the_rest_decided_whole() -> None:
    tables: list[int] = []
    failing = Failing("d0003")

    def apply(table: pa.Table) -> Outcome:
        outcome = failing(table)
        tables.append(table.num_rows)
        return outcome

    outcomes = apply_whole("s", apply, numbered(8))
    assert ended(outcomes) == ["d0003"]
    assert kept(outcomes) == ["d0000", "d0001", "d0002", "d0004", "d0005", "d0006", "d0007"]
    assert tables[-1] == 7
    # what the stage said while the culprits were searched is not taken for its word
    assert len([fate for part in outcomes for fate in part.fates if fate.fate == "marked"]) == 7


def test_documents_that_fail_only_together_are_quarantined_together() -> None:
    outcomes = apply_whole("s", Failing(pair=frozenset({"d0000", "d0003"})), numbered(4))
    assert ended(outcomes) == ["d0000", "d0001", "d0002", "d0003"]
    assert kept(outcomes) == []


@pytest.mark.parametrize("stage", [toys.Shorter(), toys.Whole()])
def test_neighbours_of_a_bad_document_are_untouched(stage: toys.Shorter, folder: Folder) -> None:
    lines = ["r: a RAISE b EXIT c", "s: RAISE", "t: d"]
    toys.driver(folder).phase("ingest", toys.ingest_units(lines, (stage,)))
    assert toys.words(folder) == [b"a", b"b", b"c", b"d"]
    assert [(f["stage"], f["fate"], f["rule"]) for f in toys.fates(folder)] == [
        (stage.name, "quarantined", "exception")
    ] * 3


LINES = [f"r{n}: a b RAISE" for n in range(4)]


def test_more_failures_than_allowed_fail_the_run_and_keep_what_is_committed(folder: Folder) -> None:
    units = toys.ingest_units(LINES, (toys.Shorter(),))
    with pytest.raises(StageError, match=r"4 in 'shorter', more than the 3 allowed of 12") as caught:
        toys.driver(folder, failures=Failures(3, 0.0)).phase("ingest", units)
    assert caught.value.exit_code == 1
    assert folder.url in str(caught.value)
    patient = toys.driver(folder, failures=Failures(4, 0.0))
    patient.phase("ingest", units)
    assert patient.ran == {"ingest": 0}


def test_the_allowed_share_counts_where_it_is_larger(folder: Folder) -> None:
    units = toys.ingest_units(LINES, (toys.Shorter(),))
    toys.driver(folder, failures=Failures(0, 0.34)).phase("ingest", units)
    with pytest.raises(StageError, match="more than the 3 allowed of 12"):
        toys.driver(folder, failures=Failures(0, 0.33)).phase("ingest", units)


def test_failures_are_summed_over_the_phases_of_a_run(folder: Folder) -> None:
    class Later(toys.Shorter):
        """Raises for short words, which the first phase let pass."""

        name = "later"

        def apply(self, table: pa.Table) -> Outcome:
            if pc.any(pc.equal(table["content"], b"a")).as_py():
                raise ValueError("later")
            kept = table.append_column("shorter_length", table["num_bytes"])
            return Outcome(kept)

    driver = toys.driver(folder, failures=Failures(2, 0.0))
    driver.phase("ingest", toys.ingest_units(["r: a RAISE RAISE"], (toys.Shorter(label="first"),)))
    other = toys.ingest_units(["s: a"], (Later(),))
    with pytest.raises(StageError, match="2 in 'first', 1 in 'later', more than the 2 allowed"):
        driver.phase("second", [replace(unit, phase="second") for unit in other])


def test_a_document_that_a_map_cannot_bear_is_quarantined_and_its_neighbours_are_judged(folder: Folder) -> None:
    driver = toys.driver(folder)
    applied = toys.compose(driver, ["a: x MAPRAISE y", "b: x z"], (), toys.Unique())
    assert sorted(toys.words(folder, "apply")) == [b"x", b"y", b"z"]
    counts = [entry.counts[0] for entry in applied]
    assert [(c.entered, c.kept + c.dropped, c.quarantined) for c in counts] == [(3, 2, 1), (2, 2, 0)]
    (failed,) = [fate for fate in toys.fates(folder) if fate["fate"] == "quarantined"]
    assert (failed["stage"], failed["rule"]) == ("unique", "exception")
    assert "a bad word" in failed["details"]
