"""Who is dropped as a near copy, by which rule, and who never is."""

import random
import time
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.config import parse
from loopdata.dedup.grams import gram_sets, jaccard
from loopdata.dedup.near import NearConfig, NearDedup
from loopdata.errors import ConfigError
from tests.dedup.drive import document, drive


def stage(**config: Any) -> NearDedup:
    return NearDedup(NearConfig(**config))


def words(first: int, last: int) -> str:
    return " ".join(f"w{number}" for number in range(first, last))


def similarity(left: str, right: str) -> float:
    return jaccard(*gram_sets(pa.array([left, right], pa.large_string()), 5))


def test_a_near_copy_names_its_survivor_with_both_similarities() -> None:
    """196 and 186 grams, 186 of them shared."""
    kept, fates = drive(stage(), {"u": [document("a", words(0, 200))], "v": [document("bb", words(0, 190))]})
    assert list(kept) == ["a"]
    fate = fates["bb"]
    assert (fate.fate, fate.rule, fate.ref, fate.threshold) == ("dropped", "near_copy", "a", 0.7)
    assert fate.value == 186 / 196
    assert fate.details is not None
    estimated, repo = fate.details.split()
    assert abs(float(estimated.removeprefix("estimated=")) - 186 / 196) < 0.1
    assert repo == "repo=repo-of-a"


@pytest.mark.parametrize(("last", "dropped"), [(74, True), (73, False)])
def test_the_threshold_is_reached_at_exactly_its_value(last: int, dropped: bool) -> None:
    """100 grams and 70 of the same are exactly 0.7 alike; 69 of them are less. 22 bands would meet 98 of 100 such."""
    pair = {"u": [document("a", words(0, 104)), document("b", words(0, last))]}
    assert similarity(words(0, 104), words(0, last)) == (last - 4) / 100
    _, fates = drive(stage(permutations=512, detection=0.999999), pair)
    assert ("b" in fates) is dropped


def test_of_a_chain_only_copies_of_the_survivor_go() -> None:
    """a~b and b~c at 0.8, but a and c at 0.63: c is a different file, and stays."""
    texts = {"a": words(0, 1004), "b": words(111, 1115), "c": words(222, 1226)}
    assert similarity(texts["a"], texts["b"]) > 0.79
    assert similarity(texts["b"], texts["c"]) > 0.79
    assert similarity(texts["a"], texts["c"]) < 0.65
    kept, fates = drive(stage(), {"u": [document(name, text) for name, text in texts.items()]})
    assert list(kept) == ["a", "c"]
    assert fates["b"].ref == "a"


def test_a_long_chain_keeps_one_file_for_each_stretch() -> None:
    """Forty versions, each 95 % like the one before: none stays that is a copy of another that stays."""
    texts = {f"{step:02d}": words(step * 25, step * 25 + 1004) for step in range(40)}
    kept, fates = drive(stage(), {"u": [document(name, text) for name, text in texts.items()]})
    assert len(kept) <= 6
    for subject, fate in fates.items():
        assert fate.ref in kept
        assert similarity(texts[subject], texts[fate.ref]) == fate.value >= 0.7
    for left in kept:
        for right in kept:
            assert left == right or similarity(texts[left], texts[right]) < 0.75


def test_the_survivor_is_the_first_by_priority() -> None:
    rows = [document("a", words(0, 50), path="deep/down/a.py"), document("b", words(0, 49), path="b.py")]
    assert list(drive(stage(), {"u": rows})[0]) == ["b"]
    assert list(drive(stage(priority=["-num_bytes"]), {"u": rows})[0]) == ["a"]


def test_a_near_copy_of_a_held_out_document_leaves_the_training_split() -> None:
    """Even from a repository that keeps others, and though another survivor is more like it."""
    rows = [
        document("held", words(0, 200), split="valid", path="very/deep/down/held.py"),
        document("copy", words(20, 200), repo="r"),
        document("other", words(300, 400), repo="r"),
    ]
    kept, fates = drive(stage(), {"u": rows[:1], "v": rows[1:]})
    assert list(kept) == ["held", "other"]
    assert (fates["copy"].fate, fates["copy"].rule) == ("dropped", "near_copy_of_held_out")
    assert (fates["copy"].ref, fates["copy"].value) == ("held", 176 / 196)


def test_held_out_comes_before_a_survivor_that_is_more_alike() -> None:
    rows = [
        document("held", words(0, 1004), split="valid"),
        document("train", words(300, 1304)),  # 0.54 like `held`: stays
        document("between", words(160, 1164)),  # 0.72 like `held`, 0.75 like `train`
    ]
    kept, fates = drive(stage(), {"u": rows})
    assert list(kept) == ["held", "train"]
    assert fates["between"].rule == "near_copy_of_held_out"


def test_a_copy_in_a_repository_that_keeps_others_stays_as_context() -> None:
    rows = [
        document("a", words(0, 200)),
        document("copy", words(0, 195), repo="r", path="long/path.py"),
        document("other", words(300, 400), repo="r"),
    ]
    kept, fates = drive(stage(), {"u": rows})
    assert kept["copy"]["use"] == "context"
    assert kept["other"]["use"] == kept["a"]["use"] == "train"
    assert fates["copy"].fate == "context"
    kept, fates = drive(stage(inside_kept_repo="drop"), {"u": rows})
    assert list(kept) == ["a", "other"]


def test_a_document_that_is_context_already_gets_no_second_note() -> None:
    rows = [
        document("a", words(0, 200)),
        document("copy", words(0, 195), repo="r", use="context"),
        document("other", words(300, 400), repo="r"),
    ]
    kept, fates = drive(stage(), {"u": rows})
    assert kept["copy"]["use"] == "context"
    assert fates == {}


def test_context_never_survives_over_training() -> None:
    rows = [document("a", words(0, 200), use="context"), document("b", words(0, 195), path="deep/down/b.py")]
    kept, fates = drive(stage(), {"u": rows})
    assert list(kept) == ["b"]
    assert fates["a"].ref == "b"


def test_documents_without_words_or_text_pass() -> None:
    rows = [document(name, text) for name, text in (("a", ""), ("b", ""), ("c", "+++"), ("d", "+++"))]
    kept, fates = drive(stage(), {"u": [*rows, document("e", "") | {"text": None}]})
    assert list(kept) == ["a", "b", "c", "d", "e"]
    assert fates == {}


def test_tiny_documents_are_copies_only_if_all_their_words_are_the_same() -> None:
    rows = [
        document(*pair) for pair in (("a", "import os"), ("b", "import  os\n"), ("c", "import re"), ("d", "import"))
    ]
    kept, fates = drive(stage(), {"u": rows})
    assert list(kept) == ["a", "c", "d"]
    assert (fates["b"].ref, fates["b"].value) == ("a", 1.0)


def edited(random_: random.Random, size: int) -> list[str]:
    return [f"{random_.choice('abcdefgh')}{random_.randrange(60)}" for _ in range(size)]


def corpus(seed: int) -> list[dict[str, Any]]:
    """Sixty documents in twelve families of edits, in five repositories, some held out."""
    random_ = random.Random(seed)
    rows = []
    for family in range(12):
        base = edited(random_, 120)
        for member in range(5):
            text = list(base)
            for _ in range(random_.choice([0, 1, 2, 3, 5, 8])):
                text[random_.randrange(len(text))] = f"new{random_.randrange(1_000)}"
            other = {"repo": f"r{random_.randrange(5)}", "path": f"{'d/' * random_.randrange(3)}{family}.py"}
            split = "valid" if other["repo"] == "r0" else "train"
            rows.append(document(f"{family}-{member}", " ".join(text), split=split, **other))
    return rows


def grouped(rows: list[dict[str, Any]], groups: int) -> dict[str, list[dict[str, Any]]]:
    """Whole repositories, dealt to so many units."""
    units: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        units.setdefault(f"u{int(row['repo'][1:]) % groups}", []).append(row)
    return {name: sorted(unit, key=lambda row: row["repo"]) for name, unit in units.items()}


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 5]), st.randoms(use_true_random=False))
def test_what_is_kept_depends_on_no_grouping_or_order(seed: int, groups: int, random_: random.Random) -> None:
    rows = corpus(seed)
    kept, fates = drive(stage(), grouped(rows, 1))
    assert fates
    random_.shuffle(rows)
    units = grouped(rows, groups)
    names = list(units)
    random_.shuffle(names)
    again, same_fates = drive(stage(partitions=2), {name: units[name] for name in names})
    assert sorted(again) == sorted(kept)
    assert {row["doc_id"]: row["use"] for row in again.values()} == {name: row["use"] for name, row in kept.items()}
    assert same_fates == fates


def test_seven_units_keep_what_one_keeps() -> None:
    rows = [row | {"repo": f"r{place}", "split": "train"} for place, row in enumerate(corpus(3))]
    one = drive(stage(), {"u": rows})
    assert drive(stage(), grouped(rows, 7)) == (one[0] | {}, one[1])


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 0.7, 0.9]))
def test_nothing_is_dropped_but_for_a_survivor_that_is_like_it(seed: int, threshold: float) -> None:
    rows = corpus(seed)
    texts = {row["doc_id"]: row["text"] for row in rows}
    kept, fates = drive(stage(threshold=threshold), grouped(rows, 5))
    for subject, fate in fates.items():
        assert fate.ref in kept
        assert fate.value == similarity(texts[subject], texts[fate.ref]) >= threshold


def test_a_cluster_beyond_the_limit_is_judged_in_parts() -> None:
    """Three documents of 100,000 grams are 2.4 MB: parts of 1 MB hold one each, and each keeps its own."""
    rows = [document(name, words(0, 100_004 + place)) for place, name in enumerate("abc")]
    assert len(drive(stage(), {"u": rows})[0]) == 1
    assert len(drive(stage(max_cluster_mb=1), {"u": rows})[0]) == 3


def test_many_identical_and_nearly_identical_documents_take_no_quadratic_step() -> None:
    """200,000 documents with the same words, and 20,000 with one word of their own: pairs would take days."""
    started = time.monotonic()
    same = [document(f"s{number}", "import os import sys and more", repo="r") for number in range(200_000)]
    kept, fates = drive(stage(inside_kept_repo="drop"), {"u": same})
    assert len(kept) == 1
    assert {fate.ref for fate in fates.values()} == set(kept)
    near = [document(f"n{number}", f"{words(0, 60)} own{number}") for number in range(20_000)]
    kept, _ = drive(stage(inside_kept_repo="drop"), {"u": near})
    assert len(kept) == 1
    assert time.monotonic() - started < 100


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"treshold": 0.7}, "unknown key 'near_dedup.treshold'; did you mean 'threshold'?"),
        ({"threshold": 0}, "near_dedup.threshold: Input should be greater than 0"),
        ({"partitions": 12}, "near_dedup.partitions: give a power of two"),
        ({"priority": []}, "near_dedup.priority: give at least one column"),
    ],
)
def test_a_wrong_config_is_refused_by_name(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(NearConfig, config, "near_dedup")
    assert str(raised.value).startswith(message)
