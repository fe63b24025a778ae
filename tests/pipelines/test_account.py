"""The account of a whole run: every place has one end, and every stage passes on what the next one gets."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from loopdata.engine.ledger import Ledger, totals
from loopdata.engine.tables import read_table
from loopdata.stage import ENDS
from loopdata.storage import Folder
from pipelines.status import read_status
from tests.pipelines.corpus_case import manifests_of

# stage: in, kept, dropped, notes
ACCOUNT: dict[str, tuple[int, int, int, dict[str, int]]] = {
    "read": (
        35,
        28,
        7,
        {
            "dropped.binary": 2,
            "dropped.oversized": 1,
            "dropped.special_file": 1,
            "dropped.submodule": 1,
            "dropped.symlink": 2,
        },
    ),
    "clean": (
        28,
        23,
        5,
        {
            "dropped.control_characters": 1,
            "dropped.empty": 1,
            "dropped.lfs_pointer": 1,
            "dropped.num_lines": 1,
            "dropped.undecodable": 1,
            "edited.control_characters": 1,
            "edited.encoding": 1,
            "edited.line_endings": 1,
        },
    ),
    "language": (23, 22, 1, {"dropped.language": 1}),
    "heuristics": (
        22,
        19,
        3,
        {"dropped.max_longest_line": 1, "dropped.max_mean_line": 1, "dropped.min_alphabetic": 1},
    ),
    "exact_dedup": (
        19,
        17,
        2,
        {"context.exact_copy": 3, "dropped.copy_of_held_out": 1, "dropped.exact_copy": 1},
    ),
}


def rows(run: Path, phase: str | None, label: str) -> list[dict[str, Any]]:
    found = [m for m in manifests_of(run) if label in m.outputs and phase in (None, m.phase)]
    return [row for m in found for row in read_table(Folder(str(run)), m.output(label)).to_pylist()]


def test_every_rule_is_counted_where_it_hit(finished: Path) -> None:
    counts = totals(manifests_of(finished))
    found = {count.stage: (count.entered, count.kept, count.dropped, count.notes) for count in counts}
    assert found == ACCOUNT


def test_what_one_stage_keeps_is_what_the_next_one_gets(finished: Path) -> None:
    counts = totals(manifests_of(finished))
    for count in counts:
        assert count.entered + count.born == count.kept + count.dropped + count.quarantined
    for before, after in pairwise(counts):
        assert (before.kept, before.kept_bytes) == (after.entered, after.entered_bytes)
    assert read_status(str(finished)).stages == counts


def test_every_place_ends_as_one_document_or_by_one_fate(finished: Path) -> None:
    places = [row["doc_id"] for row in rows(finished, "ingest", "locations")]
    final = [row["doc_id"] for row in rows(finished, "exact_dedup.apply", "documents")]
    fates = rows(finished, None, "fates")
    ended = [row["subject"] for row in fates if row["fate"] in ENDS]
    assert len(places) == len(set(places)) == 35
    assert Counter(final + ended) == Counter(places)
    assert {row["subject"] for row in fates} <= set(places)


def test_fates_say_value_and_threshold(finished: Path) -> None:
    fates = {row["rule"]: (row["value"], row["threshold"]) for row in rows(finished, "ingest", "fates")}
    assert fates["oversized"] == (34_000, 20_000)
    assert fates["num_lines"] == (300, 250)
    assert fates["max_longest_line"] == (309, 200)
    assert fates["max_mean_line"] == (134, 100)
    assert fates["min_alphabetic"] == (0, 0.25)


def test_the_split_keeps_every_repository_on_one_side(finished: Path) -> None:
    found = {(row["repo"], row["split"]) for row in rows(finished, "exact_dedup.apply", "documents")}
    train = {("alpha", "train"), ("beta", "train"), ("delta", "train"), ("project", "train"), ("tree", "train")}
    assert found == {*train, ("gamma", "valid")}


def test_phases_are_all_done_in_the_status_of_a_finished_run(finished: Path) -> None:
    status = read_status(str(finished))
    assert status.complete
    assert all(done == units for done, units in status.phases.values())
    assert list(status.phases) == list(Ledger.read(Folder(str(finished))).phases)
    assert status.quarantined == []
