"""Columns, fates, order and the account of a chain of stages."""

from typing import Any, ClassVar

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.engine import chain
from loopdata.engine.attempt import Attempt, perform
from loopdata.engine.ledger import totals
from loopdata.engine.tasks import columns_of
from loopdata.engine.unit import Unit
from loopdata.errors import ConfigError, RunError, StageError
from loopdata.schema import source_schema
from loopdata.stage import Fate, Outcome, Stage
from loopdata.storage import Folder
from tests.engine import toys

COLUMNS = columns_of(source_schema())


class Needing(Stage):
    name = "needing"
    needs: ClassVar = {"language": pa.string()}

    def apply(self, table: pa.Table) -> Outcome:
        return Outcome(table)


class NeedingNumber(Needing):
    needs: ClassVar = {"repo": pa.int64()}


class Removing(Needing):
    needs: ClassVar = {}
    removes = frozenset({"content"})


def test_a_column_that_nobody_provides_is_refused_before_work_starts() -> None:
    with pytest.raises(ConfigError, match="the stage 'needing' needs the column 'language', which nothing before it"):
        chain.plan_columns(COLUMNS, [toys.Shorter(), Needing()])


def test_a_column_of_another_type_is_refused_before_work_starts() -> None:
    with pytest.raises(ConfigError, match="needs the column 'repo' as int64, but it comes as string"):
        chain.plan_columns(COLUMNS, [NeedingNumber()])


def test_a_removed_column_is_gone_for_the_stages_behind() -> None:
    assert "content" not in chain.plan_columns(COLUMNS, [Removing()])
    with pytest.raises(ConfigError, match="the stage 'shorter' needs the column 'content'"):
        chain.plan_columns(COLUMNS, [Removing(), toys.Shorter()])


class Wrong(Stage):
    """Breaks the contract in the way of its label."""

    name = "wrong"
    adds: ClassVar = {"n": pa.int64()}

    def apply(self, table: pa.Table) -> Outcome:
        ids = table["doc_id"].to_pylist()
        good = table.append_column("n", pa.array(range(len(ids)), pa.int64()))
        born = good.slice(0, 1)
        return {
            "loses": Outcome(good.slice(1)),
            "ends_and_keeps": Outcome(good, [Fate(ids[0], "x", "dropped", "r")]),
            "ends_twice": Outcome(good.slice(1), [Fate(ids[0], "x", "dropped", r) for r in "ab"]),
            "reorders": Outcome(good.take(pa.array([*range(1, len(ids)), 0]))),
            "repeats": Outcome(pa.concat_tables([good, good])),
            "invents": Outcome(good.set_column(0, "doc_id", pa.array(["?"] * len(ids), pa.string()))),
            "forgets_column": Outcome(table),
            "adds_column": Outcome(good.append_column("m", good["n"])),
            "other_type": Outcome(table.append_column("n", pa.array(["1"] * len(ids)))),
            "unknown_fate": Outcome(good, [Fate(ids[0], "x", "vanished", "r")]),
            "born_without_columns": Outcome(good, [], table.slice(0, 1)),
            "born_again": Outcome(good, [], born),
            "ends_a_stranger": Outcome(good, [Fate("stranger", "x", "quarantined", "r")]),
        }[self.label]


WRONGS = {
    "loses": "lost documents or ended some twice: 3 in, 2 kept, 0 ended",
    "ends_and_keeps": "lost documents or ended some twice: 3 in, 3 kept, 1 ended",
    "ends_twice": "lost documents or ended some twice: 3 in, 2 kept, 2 ended",
    "reorders": "kept documents that did not come in, or out of order",
    "repeats": "kept documents that did not come in, or out of order",
    "invents": "kept documents that did not come in, or out of order",
    "forgets_column": "declared other columns than it gave: n as None for int64",
    "adds_column": "declared other columns than it gave: m as int64 for None",
    "other_type": "declared other columns than it gave: n as string for int64",
    "unknown_fate": "gave an unknown fate: vanished",
    "born_without_columns": "declared other columns than it gave: n as None for int64",
    "born_again": "gave birth to documents whose ids are there already",
    "ends_a_stranger": "lost documents or ended some twice: 3 in, 3 kept, 1 ended",
}


@pytest.mark.parametrize("label", WRONGS)
def test_a_stage_that_breaks_its_contract_is_named(label: str, folder: Folder) -> None:
    [unit] = toys.ingest_units(["r: a b c"], (Wrong(label=label),))
    with pytest.raises(StageError) as caught:
        perform(Attempt(folder, unit))
    assert str(caught.value).startswith(f"the stage '{label}' ")
    assert WRONGS[label] in str(caught.value)
    assert not folder.exists(unit.manifest_name)


def test_born_documents_stand_behind_their_parent(folder: Folder) -> None:
    toys.driver(folder).phase("ingest", toys.ingest_units(["r: a TWIN b", "s: TWIN c"], (toys.Echo(),)))
    assert toys.words(folder) == [b"a", b"TWIN", b"TWIN", b"b", b"TWIN", b"TWIN", b"c"]
    assert [p is not None for p in toys.words(folder, column="parent")] == [0, 0, 1, 0, 0, 1, 0]


class Orphans(Stage):
    """Drops the first document of each repository and bears a child of it; one child has no parent in the batch."""

    name = "orphans"

    def apply(self, table: pa.Table) -> Outcome:
        first = table.to_pylist()[0]
        children = [("1", "elsewhere"), ("2", first["doc_id"])]
        born = [first | {"doc_id": f"{first['doc_id']}+{name}", "parent": parent} for name, parent in children]
        fates = [Fate(first["doc_id"], self.label, "dropped", "first")]
        return Outcome(table.slice(1), fates, pa.Table.from_pylist(born, schema=table.schema))


def test_a_born_document_whose_parent_was_dropped_keeps_its_place(folder: Folder) -> None:
    toys.driver(folder).phase("ingest", toys.ingest_units(["r: a b c"], (Orphans(),)))
    assert toys.words(folder) == [b"a", b"b", b"c", b"a"]
    assert [p is None or p == "elsewhere" for p in toys.words(folder, column="parent")] == [False, True, True, True]


class Web(toys.Shorter):
    """Only for documents that no toy source gives."""

    categories: ClassVar = frozenset({"web"})


class Recategorise(Stage):
    """Words that begin with w become web documents."""

    name = "recategorise"

    def apply(self, table: pa.Table) -> Outcome:
        kinds = ["web" if word.startswith(b"w") else "code" for word in table["content"].to_pylist()]
        place = table.column_names.index("category")
        return Outcome(table.set_column(place, "category", pa.array(kinds, pa.string())))


def test_documents_of_other_categories_pass_by_in_their_place(folder: Folder) -> None:
    stages = (Recategorise(), Web(Web.Config(most=2)))
    toys.driver(folder).phase("ingest", toys.ingest_units(["r: wlong long w1 l w2"], stages))
    assert toys.words(folder) == [b"long", b"w1", b"l", b"w2"]
    assert toys.words(folder, column="shorter_length") == [None, 2, None, 2]


def test_a_wrong_account_refuses_the_commit(folder: Folder) -> None:
    class Miscounting:
        def identity(self) -> dict[str, Any]:
            return {}

        def run(self, attempt: Attempt) -> None:
            count = attempt.count("toy")
            count.entered, count.born, count.kept, count.dropped, count.quarantined = 5, 1, 3, 1, 1

    unit = Unit("p", "u", Miscounting())
    with pytest.raises(RunError, match=r"5 in \+ 1 born is not 3 kept \+ 1 dropped \+ 1 quarantined"):
        perform(Attempt(folder, unit))
    assert not folder.exists(unit.manifest_name)


STAGES = st.lists(
    st.sampled_from(
        [
            lambda n: toys.Shorter(toys.Shorter.Config(most=3), label=f"row{n}"),
            lambda n: toys.Whole(toys.Whole.Config(most=4), label=f"repo{n}"),
            lambda n: Web(Web.Config(most=2), label=f"web{n}"),
            lambda n: Recategorise(label=f"kind{n}"),
            lambda n: toys.Echo(label=f"echo{n}"),
        ]
    ),
    max_size=4,
    unique=True,
)
WORDS = st.lists(st.sampled_from(["a", "wide", "w", "abc", "TWIN", "RAISE", "EXIT", "BINARY"]), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(makers=STAGES, repos=st.lists(WORDS, min_size=1, max_size=3))
def test_in_and_born_are_kept_dropped_and_quarantined(
    makers: list[Any], repos: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = Folder(tmp_path_factory.mktemp("run"))
    stages = tuple(make(number) for number, make in enumerate(makers))
    if len({name for stage in stages for name in stage.adds}) < sum(len(stage.adds) for stage in stages):
        return  # two that add the same column
    lines = [f"r{n}: {' '.join(repo)}" for n, repo in enumerate(repos)]
    driver = toys.driver(folder, failures=toys.Failures(1_000))
    counts = totals(driver.phase("ingest", toys.ingest_units(lines, stages)))
    assert [count.stage for count in counts] == ["read", *(stage.label for stage in stages)]
    for count, following in zip(counts, [*counts[1:], None], strict=True):
        assert count.entered + count.born == count.kept + count.dropped + count.quarantined
        assert following is None or following.entered == count.kept
    ends = [fate for fate in toys.fates(folder) if fate["fate"] in ("dropped", "quarantined")]
    assert counts[-1].kept == len(toys.words(folder))
    assert sum(count.dropped + count.quarantined for count in counts) == len(ends)
    assert sum(map(len, repos)) + sum(count.born for count in counts) == len(ends) + counts[-1].kept


def test_a_large_repository_is_decided_in_counted_views(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "MAX_REPO_BYTES", 10)
    seen: list[list[bytes]] = []

    class Seeing(toys.Whole):
        def apply(self, table: pa.Table) -> Outcome:
            seen.append(table["content"].to_pylist())
            return super().apply(table)

    [unit] = toys.ingest_units(["r: aaa bbb ccc ddd eee fff ggg hhh iii"], (Seeing(),))
    manifest = perform(Attempt(folder, unit))
    assert seen == [[b"aaa", b"bbb", b"ccc", b"ddd"], [b"eee", b"fff", b"ggg", b"hhh"], [b"iii"]]
    assert manifest.counts[-1].notes == {"marked.repo_view": 3}


def test_small_repositories_are_never_torn(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "BATCH_ROWS", 3)
    seen: list[list[str]] = []

    class Seeing(toys.Whole):
        def apply(self, table: pa.Table) -> Outcome:
            seen.append(sorted(set(table["repo"].to_pylist())))
            return super().apply(table)

    for unit in toys.ingest_units(["r: a b c d e f g", "s: a"], (Seeing(),)):
        perform(Attempt(folder, unit))
    assert seen == [["r"], ["s"]]


def test_a_batch_that_an_earlier_stage_emptied_is_no_repository(folder: Folder) -> None:
    stages = (toys.Shorter(toys.Shorter.Config(most=0)), toys.Whole())
    toys.driver(folder).phase("ingest", toys.ingest_units(["r: a"], stages))
    assert toys.words(folder) == []


def test_a_document_without_a_repository_stands_alone() -> None:
    table = pa.table({"repo": ["a", "a", None, None, "b", "a"], "num_bytes": [1, 2, 4, None, 16, 32]})
    assert list(chain.repositories(table)) == [
        (0, 2, "a", 3),
        (2, 3, None, 4),
        (3, 4, None, 0),
        (4, 5, "b", 16),
        (5, 6, "a", 32),
    ]


def test_details_that_utf_8_has_no_bytes_for_are_written_as_escapes() -> None:
    table = chain.fate_table(
        [Fate("d", "s", "marked", "r", details="na\u00efve \ud800"), Fate("e", "s", "marked", "r")]
    )
    assert table["details"].to_pylist() == ["na\u00efve \\ud800", None]
