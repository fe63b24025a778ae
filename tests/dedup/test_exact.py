"""Exact deduplication: who survives, what happens to copies, and that neither rows nor units nor their order matter."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.config import parse
from loopdata.dedup import rank
from loopdata.dedup.exact import EMITS, EXACT, VERDICTS, ExactConfig, ExactDedup
from loopdata.engine.chain import plan_columns
from loopdata.errors import ConfigError
from loopdata.schema import digest
from loopdata.stage import Fate

Row = dict[str, Any]
COLUMNS = ("doc_id", "text_id", "split", "use", "repo", "path")


def row(doc_id: str, text: str, path: str = "a", repo: str | None = "r", split: str = "train", **more: Any) -> Row:
    basic = {"doc_id": doc_id, "text_id": digest(text), "split": split, "use": "train", "repo": repo, "path": path}
    return {**basic, **more}


def table(rows: Sequence[Row]) -> pa.Table:
    names = dict.fromkeys([*COLUMNS, *(name for entry in rows for name in entry)])
    return pa.table({name: _column(name, rows) for name in names})


def _column(name: str, rows: Sequence[Row]) -> pa.Array:
    return pa.array([entry.get(name) for entry in rows], pa.string() if name in COLUMNS else None)


def run(units: Sequence[Sequence[Row]], shuffle: int = 0, **config: object) -> tuple[dict[str, str], list[Fate]]:
    """What an engine does, by hand: the use of each kept document, and all fates sorted."""
    stage = ExactDedup(parse(ExactConfig, config, "exact_dedup"))
    mapped = []
    for number, rows in enumerate(units):
        emitted = stage.map(EXACT, table(rows), {})
        assert emitted.schema == EMITS
        at = EMITS.get_field_index("unit")
        mapped.append(emitted.set_column(at, EMITS.field("unit"), pa.array([number] * len(rows), pa.uint64())))
    together = pa.concat_tables(mapped)
    verdicts = []
    for part in range(3):
        keys = [number for number, key in enumerate(together["key"].to_pylist()) if key % 3 == part]
        random.Random(shuffle).shuffle(keys)
        mine = together.take(pa.array(keys, pa.int64())).sort_by([(name, "ascending") for name in EMITS.names])
        verdicts.append(stage.reduce(EXACT, mine))
        assert verdicts[-1].schema == VERDICTS
    given_back = pa.concat_tables(verdicts).to_pylist()
    uses: dict[str, str] = {}
    fates: list[Fate] = []
    for number, rows in enumerate(units):
        mine = pa.Table.from_pylist([v for v in given_back if v["unit"] == number], schema=VERDICTS)
        outcome = stage.apply(table(rows), mine)
        ended = [fate for fate in outcome.fates if fate.fate == "dropped"]
        assert outcome.kept.num_rows + len(ended) == len(rows)
        uses |= dict(zip(outcome.kept["doc_id"].to_pylist(), outcome.kept["use"].to_pylist(), strict=True))
        fates += outcome.fates
    return uses, sorted(fates)


def test_one_of_equal_texts_survives_and_the_other_says_where() -> None:
    uses, fates = run([[row("1", "x", "d/e/a", "r"), row("2", "x", "d/a", "s"), row("3", "y", "a", "t")]])
    assert uses == {"2": "train", "3": "train"}
    assert fates == [Fate("1", "exact_dedup", "dropped", "exact_copy", 2, None, "2", "repo=s")]


def test_a_copy_in_a_kept_repository_stays_as_context() -> None:
    rows = [row("1", "x", "d/a"), row("2", "other", "b"), row("3", "x", "a", "s")]
    uses, fates = run([rows])
    assert uses == {"1": "context", "2": "train", "3": "train"}
    assert fates == [Fate("1", "exact_dedup", "context", "exact_copy", 2, None, "3", "repo=s")]
    assert run([rows], inside_kept_repo="drop")[0] == {"2": "train", "3": "train"}


def test_a_repository_of_copies_only_is_dropped_whole() -> None:
    mirror = [row("1", "x", "m/a", "mirror"), row("2", "y", "m/b", "mirror")]
    origin = [row("3", "x", "a", "origin"), row("4", "y", "b", "origin")]
    assert run([mirror, origin])[0] == {"3": "train", "4": "train"}


def test_a_copy_inside_its_own_repository_stays_as_context() -> None:
    assert run([[row("1", "x", "a"), row("2", "x", "b/a")]])[0] == {"1": "train", "2": "context"}


def test_documents_without_a_repository_are_dropped() -> None:
    assert run([[row(n, "x", "a", None) for n in "12"] + [row("3", "y", "b", None)]])[0] == {"1": "train", "3": "train"}


def test_a_copy_of_a_held_out_document_never_trains_nor_is_context() -> None:
    rows = [row("1", "x", "a"), row("2", "y", "b"), row("3", "x", "long/path", "s", "valid")]
    uses, fates = run([rows])
    assert uses == {"2": "train", "3": "train"}
    assert fates == [Fate("1", "exact_dedup", "dropped", "copy_of_held_out", 2, None, "3", "repo=s")]


def test_among_held_out_copies_one_survives() -> None:
    rows = [row("1", "x", "a/a", "v", "valid"), row("2", "x", "a", "w", "valid"), row("3", "x", "a", "t")]
    uses, fates = run([rows])
    assert uses == {"2": "train"}
    assert [(f.subject, f.rule, f.ref) for f in fates] == [("1", "exact_copy", "2"), ("3", "copy_of_held_out", "2")]


def test_texts_that_share_a_key_are_still_told_apart() -> None:
    ids = ["0" * 16 + "1" * 16, "0" * 16 + "2" * 16]
    rows = [row(str(n), "", "a", None, text_id=ids[n % 2]) for n in range(4)]
    assert set(run([rows])[0]) == {"0", "1"}


def test_a_document_without_text_is_left_alone() -> None:
    stage = ExactDedup()
    assert stage.map(EXACT, table([row("1", "x", text_id=None), row("2", "x")]), {})["doc_id"].to_pylist() == ["2"]


def test_a_document_that_is_context_already_does_not_push_out_one_that_trains() -> None:
    rows = [row("1", "x", "a", None, use="context"), row("2", "x", "long/a", None)]
    assert run([rows])[0] == {"2": "train"}


@pytest.mark.parametrize(
    ("priority", "survivor"),
    [
        (["path_depth"], "2"),
        (["-path_depth"], "1"),
        (["path_length"], "1"),
        (["-path_length", "doc_id"], "3"),
        (["doc_id"], "1"),
        (["-doc_id"], "3"),
        (["stars"], "2"),
        (["-stars"], "3"),
        (["-score"], "2"),
        (["score"], "1"),
        (["path"], "1"),
    ],
)
def test_the_priority_chooses_the_survivor(priority: list[str], survivor: str) -> None:
    rows = [
        row("1", "x", "a/b", None, stars=5, score=-0.5),
        row("2", "x", "longer", None, stars=-7, score=0.5),
        row("3", "x", "some/longer", None, stars=1_000, score=None),
    ]
    assert set(run([rows], priority=priority)[0]) == {survivor}


@pytest.mark.parametrize("priority", [[], [""], ["-"], ["path", "-path"]])
def test_a_priority_without_sense_is_refused(priority: list[str]) -> None:
    with pytest.raises(ConfigError, match="priority"):
        parse(ExactConfig, {"priority": priority}, "exact_dedup")


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="exact_dedup: there is no column 'stars'"):
        run([[row("1", "x")]], priority=["stars"])


def test_the_columns_of_the_priority_are_needed() -> None:
    stage = ExactDedup(ExactConfig(priority=["-date", "path_depth"]))
    assert stage.needs["date"] == pa.timestamp("us", tz="UTC") and "path_depth" not in stage.needs


def test_a_column_of_another_stage_is_needed_of_whatever_type() -> None:
    stage = ExactDedup(ExactConfig(priority=["-stars"]))
    columns = {name: kind or pa.float64() for name, kind in stage.needs.items()}
    assert plan_columns(columns, [stage]) == columns
    del columns["stars"]
    with pytest.raises(ConfigError, match="needs the column 'stars', which nothing before it provides"):
        plan_columns(columns, [stage])


VALUES = {
    "integer": st.integers(-(2**63), 2**63 - 1),
    "unsigned integer": st.integers(0, 2**64 - 1).map(np.uint64),
    "text": st.text(st.sampled_from("\0\1ab\xff\uffff"), max_size=4),
    "float": st.floats(allow_nan=False),
}


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data())
def test_ranks_order_as_their_values_do(kind: str, data: st.DataObject) -> None:
    low, high = sorted(data.draw(st.lists(VALUES[kind], min_size=2, max_size=2)))
    values = pa.table({"use": ["train"] * 3, "v": [low, high, None]})
    up, down = (rank.ranks(values, [entry], "test").to_pylist() for entry in ("v", "-v"))
    assert up[0] <= up[1] < up[2] and down[1] <= down[0] < down[2]
    assert (up[0] == up[1]) == (low == high) == (down[0] == down[1])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_outcome_is_the_same_for_any_order_and_any_units(data: st.DataObject) -> None:
    repos = data.draw(st.lists(st.sampled_from(["p", "q", "v", None]), min_size=1, max_size=12))
    rows = [
        row(str(n), data.draw(st.sampled_from("xyz")), data.draw(st.sampled_from(["a", "b", "c/a"])), repo,
            "valid" if repo == "v" else "train")
        for n, repo in enumerate(repos)
    ]  # fmt: skip
    expected = run([rows])
    # A unit holds whole repositories; documents without one may lie anywhere.
    where = {repo: data.draw(st.integers(0, 3)) for repo in sorted({repo for repo in repos if repo})}
    units: list[list[Row]] = [[], [], [], []]
    for entry in data.draw(st.permutations(rows)):
        units[where[entry["repo"]] if entry["repo"] else data.draw(st.integers(0, 3))].append(entry)
    uses, fates = run(units, shuffle=data.draw(st.integers(0, 9)))
    assert (uses, fates) == expected
    texts = {entry["text_id"] for entry in rows}
    trained = [entry["text_id"] for entry in rows if uses.get(entry["doc_id"]) == "train"]
    assert sorted(trained) == sorted(texts)


def test_two_hundred_thousand_equal_files_are_one_group() -> None:
    count = 200_000
    files = pa.table(
        {
            "doc_id": [f"{n:06d}" for n in range(count)],
            "text_id": [digest("x")] * count,
            "split": ["train"] * count,
            "use": ["train"] * count,
            "repo": pa.nulls(count, pa.string()),
            "path": ["a"] * count,
        }
    )
    stage = ExactDedup()
    verdicts = stage.reduce(EXACT, stage.map(EXACT, files, {}))
    outcome = stage.apply(files, verdicts)
    assert outcome.kept["doc_id"].to_pylist() == ["000000"] and len(outcome.fates) == count - 1
