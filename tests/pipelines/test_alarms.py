"""What a stage drops of a language or source is compared with what was expected; outside it the run warns or stops."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from loopdata.engine.unit import Count, Group
from loopdata.errors import ConfigError, StageError
from pipelines.alarms import AlarmsSection, StageAlarms, find_alarms
from pipelines.run_file import resolve
from pipelines.status import print_groups, read_status
from tests.pipelines.command import call
from tests.pipelines.corpus_case import complete, write_files


def count(**groups: tuple[int, int]) -> Count:
    """A stage `near` with groups as source__language=(entered, dropped)."""
    result = Count("near")
    for name, (entered, dropped) in groups.items():
        source, language = name.split("__")
        result.group(source, language).add(Group(entered, dropped, [f"{name}-{n}" for n in range(min(dropped, 2))]))
    return result


def found(section: AlarmsSection, **groups: tuple[int, int]) -> list[tuple[str, str, int, int]]:
    return [
        (item.source, item.language, item.entered, item.dropped) for item in find_alarms([count(**groups)], section)
    ]


def test_a_share_above_the_range_is_an_alarm_and_one_on_its_end_is_none() -> None:
    section = AlarmsSection(dropped=(0.0, 0.5))
    assert found(section, gh__Python=(200, 101)) == [("gh", "", 200, 101), ("", "Python", 200, 101)]
    assert found(section, gh__Python=(200, 100)) == []


def test_a_share_below_the_range_is_an_alarm() -> None:
    stage = StageAlarms(dropped=(0.01, 0.9))
    section = AlarmsSection(stages={"near": stage})
    assert found(section, gh__=(1000, 9)) == [("gh", "", 1000, 9)]
    assert found(section, gh__=(1000, 10)) == []


def test_groups_below_the_least_number_of_documents_are_not_judged() -> None:
    section = AlarmsSection(dropped=(0.0, 0.5), min_documents=100)
    assert found(section, gh__Go=(99, 99), gh__C=(900, 0)) == []
    assert found(section, gh__Go=(100, 100), gh__C=(900, 0)) == [("", "Go", 100, 100)]


def test_a_language_that_goes_in_one_source_only_is_seen_there() -> None:
    section = AlarmsSection(dropped=(0.0, 0.5))
    groups = {"a__LLVM": (100, 100), "a__C": (900, 0), "b__LLVM": (900, 0)}
    assert found(section, **groups) == [("a", "LLVM", 100, 100)]


def test_an_alarm_of_a_language_speaks_for_its_pairs() -> None:
    section = AlarmsSection(dropped=(0.0, 0.5))
    groups = {"a__LLVM": (100, 100), "a__C": (900, 0), "b__LLVM": (100, 100), "b__C": (900, 0)}
    assert found(section, **groups) == [("", "LLVM", 200, 200)]


def test_the_range_of_a_language_counts_before_that_of_a_source_and_of_the_stage() -> None:
    stage = StageAlarms(dropped=(0.0, 0.1), sources={"a": (0.0, 0.5)}, languages={"JSON": (0.0, 1.0)})
    section = AlarmsSection(stages={"near": stage})
    assert found(section, a__JSON=(100, 100), a__C=(300, 60)) == [("", "C", 300, 60)]


def test_what_a_stage_means_to_drop_is_no_alarm_unless_the_run_file_says_otherwise() -> None:
    meant = {"near": {"SVG": (0.0, 0.9999)}, "exact": {"Go": (0.0, 1.0)}}
    counts = [count(a__SVG=(200, 199), a__Go=(200, 190), b__Go=(900, 0), b__SVG=(100, 99))]

    def alarms(section: AlarmsSection) -> list[tuple[str, str]]:
        return [(item.source, item.language) for item in find_alarms(counts, section, meant)]

    assert alarms(AlarmsSection()) == [("a", "")]
    assert alarms(AlarmsSection(stages={"near": StageAlarms(languages={"SVG": (0.0, 0.9)})})) == [
        ("a", ""),
        ("", "SVG"),
    ]
    everything = [count(a__SVG=(200, 200), a__C=(900, 0))]
    [found] = find_alarms(everything, AlarmsSection(), meant)
    assert str(found) == "the stage 'near' dropped 100.0% of SVG (200 of 200), outside 0% to 99.99%"


def test_an_alarm_says_stage_language_numbers_and_range() -> None:
    (alarm,) = find_alarms([count(a__LLVM=(1000, 962), b__C=(9000, 0), a__C=(9000, 0))], AlarmsSection())
    assert str(alarm) == "the stage 'near' dropped 96.2% of LLVM (962 of 1,000), outside 0% to 90%"
    assert alarm.examples == ["a__LLVM-0", "a__LLVM-1"]


def test_sums_keep_the_first_three_examples() -> None:
    total = Group(1, 1, ["a"])
    total.add(Group(4, 4, ["b", "c", "d"]))
    assert total == Group(5, 5, ["a", "b", "c"])


# --- in a run ------------------------------------------------------------------------------------------------------


def data(root: Path, **alarms: Any) -> dict[str, Any]:
    """Two repositories; of the Go files one is a copy of the other."""
    go = "package a\n\nfunc Of(value int) int {\n\treturn value\n}\n"
    files = {"one/a.go": go, "one/deep/b.go": go, "one/c.py": "value = 'one'\n", "two/d.py": "value = 'two'\n"}
    write_files(root / "tree", files)
    return {
        "run": str(root / "run"),
        "sources": {"tree": {"kind": "files", "path": str(root / "tree"), "repo_per": "top_folder"}},
        "corpus": [{"clean": {}}, {"language": {}}, {"exact_dedup": {"inside_kept_repo": "drop"}}],
        "alarms": {"min_documents": 2, "dropped": [0, 0.4], **alarms},
    }


def test_a_run_warns_with_the_place_and_fate_of_what_was_dropped(tmp_path: Path) -> None:
    said = io.StringIO()
    summary = complete(data(tmp_path), console=Console(file=said, width=200))
    assert [str(alarm) for alarm in summary.alarms] == [
        "the stage 'exact_dedup' dropped 50.0% of Go (1 of 2), outside 0% to 40%"
    ]
    assert "tree/one/deep/b.go: 'exact_dedup' by rule 'exact_copy'" in said.getvalue()


def test_a_run_stops_where_that_was_asked_for_and_goes_on_once_the_range_is_stated(tmp_path: Path) -> None:
    stopping = data(tmp_path, stages={"exact_dedup": {"action": "stop"}})
    for _ in range(2):
        with pytest.raises(StageError, match=r"dropped 50\.0% of Go .*alarms\.stages\.exact_dedup"):
            complete(stopping)
    stages = {"exact_dedup": {"action": "stop", "languages": {"Go": [0, 0.5]}}}
    summary = complete(stopping | {"alarms": stopping["alarms"] | {"stages": stages}})
    assert summary.alarms == []
    assert summary.ran["ingest"] == 0


@pytest.mark.parametrize(
    ("stages", "says"),
    [
        ({"exact_dedupe": {}}, "alarms.stages: there is no stage 'exact_dedupe'; did you mean 'exact_dedup'"),
        ({"clean": {"sources": {"trees": [0, 1]}}}, "alarms.stages.clean.sources: there is no source 'trees'"),
        ({"clean": {"languages": {"Pyton": [0, 1]}}}, "alarms.stages.clean.languages: there is no language 'Pyton'"),
        ({"clean": {"dropped": [0.5, 0.1]}}, "a range is two shares, the smaller first"),
    ],
)
def test_a_wrong_name_or_range_fails_before_the_run(tmp_path: Path, stages: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as error:
        resolve(data(tmp_path, stages=stages))
    assert says in str(error.value)


def test_status_divides_the_account_by_language(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    complete(data(tmp_path))
    shown = io.StringIO()
    print_groups(read_status(str(tmp_path / "run")).stages, "language", Console(file=shown, width=100))
    assert shown.getvalue().splitlines() == [
        "exact_dedup dropped Go 50.0% of 2",
        "came in: Go 2, Python 2",
        "kept: Python 2, Go 1",
    ]
    assert "tree" in call(capsys, "status", str(tmp_path / "run"), "--by", "source").out


def test_status_says_where_no_language_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    without = data(tmp_path)
    without["corpus"] = [entry for entry in without["corpus"] if "language" not in entry]
    complete({name: section for name, section in without.items() if name != "alarms"})
    assert call(capsys, "status", str(tmp_path / "run"), "--by", "language").out == (
        "No stage knows the language of a document.\n"
    )
