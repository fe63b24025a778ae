"""A saved index: what is dropped against it, how sure, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.dedup import index as index_module
from loopdata.dedup.against import AgainstIndex, sketch_similarity
from loopdata.dedup.bands import choose
from loopdata.dedup.grams import gram_sets, jaccard
from loopdata.dedup.index import SKETCH, Grams, Index, minhash_of, minhashes, open_index, save
from loopdata.dedup.minhash import band_hashes, sign
from loopdata.dedup.near import NearConfig, NearDedup
from loopdata.dedup.survivors import LISTED
from loopdata.errors import ConfigError, StageError
from loopdata.schema import table_of
from loopdata.storage import Folder
from tests.dedup.drive import SCHEMA, document, drive

KIND, BANDS = Grams(112, 5, "words"), choose(0.7, 112)


def words(first: int, last: int) -> str:
    return " ".join(f"w{number}" for number in range(first, last))


def saved(path: Path, texts: dict[str, str], kind: Grams = KIND, threshold: float = 0.7) -> str:
    tables = [table_of([document(*pair) for pair in texts.items()], SCHEMA)]
    save(Folder(path), tables, kind, choose(threshold, kind.permutations))
    return str(path)


def asking(path: str, **config: Any) -> AgainstIndex:
    [stage] = NearDedup(NearConfig(index=path, **config)).before()
    assert isinstance(stage, AgainstIndex)
    return stage


def against(path: str, texts: dict[str, str], **config: Any) -> tuple[list[str], dict[str, Any]]:
    """Kept ids and fates by id."""
    kept, fates = drive(asking(path, **config), {"u": [document(*pair) for pair in texts.items()]})
    return list(kept), fates


def opened(path: str) -> Index:
    return open_index(path)[0]


def test_a_near_copy_of_an_indexed_document_is_dropped_and_names_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "old", {"a": words(0, 200), "b": words(500, 700)})
    kept, fates = against(path, {"new": words(900, 999), "copy": words(0, 190)})
    assert kept == ["new"]
    fate = fates["copy"]
    assert (fate.fate, fate.rule, fate.ref, fate.value) == ("dropped", "near_copy_of_indexed", "a", 186 / 196)
    assert fate.stage == "near_dedup.index"
    assert fate.details.split()[1:] == ["similarity=exact", "index=old"]


@pytest.mark.parametrize(("last", "dropped"), [(74, True), (73, False)])
def test_the_threshold_is_reached_at_exactly_its_value(tmp_path: Path, last: int, dropped: bool) -> None:
    saved(tmp_path, {"a": words(0, 104)}, Grams(512, 5, "words"), threshold=0.5)
    _, fates = against(str(tmp_path), {"b": words(0, last)}, permutations=512, detection=0.999999)
    assert ("b" in fates) is dropped


def test_documents_without_words_are_neither_indexed_nor_dropped(tmp_path: Path) -> None:
    path = saved(tmp_path, {"a": "", "b": "+++", "c": "one two"})
    assert json.loads((tmp_path / "index.json").read_text())["documents"] == 1
    kept, fates = against(path, {"d": "", "e": "+++", "f": "one two"})
    assert (kept, list(fates)) == (["d", "e"], ["f"])


def test_an_empty_index_drops_nothing(tmp_path: Path) -> None:
    assert against(saved(tmp_path, {}), {"a": words(0, 9)}) == (["a"], {})


def test_of_long_documents_the_least_grams_are_compared(tmp_path: Path) -> None:
    path = saved(tmp_path, {"a": words(0, 20_000)})
    _, fates = against(path, {"copy": words(0, 18_000)})
    assert abs(fates["copy"].value - 0.9) < 4 * (0.9 * 0.1 / SKETCH) ** 0.5
    assert "of 1024 least grams" in fates["copy"].details


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
def test_whole_sketches_give_the_exact_similarity(left: set[int], right: set[int]) -> None:
    a, b = (np.array(sorted(side), np.uint64) for side in (left, right))
    assert sketch_similarity(a, len(a), b, len(b)) == jaccard(a, b)


def test_the_error_of_sketches_is_that_of_theory() -> None:
    random, errors = np.random.default_rng(2), []
    for _ in range(300):
        drawn = random.integers(0, 2**64, 3_000, np.uint64)
        left, right = np.unique(drawn[:2_500]), np.unique(drawn[500:])
        found = sketch_similarity(left[:256], len(left), right[:256], len(right))
        errors.append(found - jaccard(left, right))
    theory = (2 / 3 * 1 / 3 / 256) ** 0.5
    assert 0.85 * theory < float(np.std(errors)) < 1.15 * theory
    assert abs(float(np.mean(errors))) < 4 * theory / 300**0.5


def test_signatures_of_another_configuration_are_refused_by_name(tmp_path: Path) -> None:
    path = saved(tmp_path, {"a": words(0, 9)})
    for other, message in (
        ({"permutations": 64}, "was saved with permutations=112, not 64; set permutations: 112"),
        ({"words": 3}, "was saved with words=5, not 3"),
        ({"grams": "masked_identifiers"}, "was saved with grams=words, not masked_identifiers"),
    ):
        with pytest.raises(ConfigError, match=message):
            NearDedup(NearConfig(index=path, **other)).before()


def test_a_higher_threshold_asks_the_same_index_and_a_lower_one_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, {"a": words(0, 104)}, threshold=0.5)
    assert list(against(path, {"b": words(0, 70)}, threshold=0.5)[1]) == ["b"]
    assert list(against(path, {"b": words(0, 70)}, threshold=0.8)[1]) == []
    with pytest.raises(ConfigError, match=r"detects 0\.\d+ of the pairs at 0\.4, not 0\.98; raise `threshold`"):
        asking(path, threshold=0.4)
    least = opened(path).bands.detection(0.4)
    assert asking(path, threshold=0.4, detection=least).config.detection == least


def test_a_missing_or_cut_file_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    path = saved(tmp_path / "old", {"a": words(0, 200)})
    for name in ("00000.bands.parquet", "00000.records"):
        file = tmp_path / "old/segments" / name
        whole = file.read_bytes()
        file.write_bytes(whole[:-9])
        with pytest.raises(ConfigError, match=f"old is broken: segments/{name} has {len(whole) - 9} bytes"):
            opened(path)
        file.unlink()
        with pytest.raises(ConfigError, match=f"old is broken: segments/{name} is missing; save it again"):
            opened(path)
        file.write_bytes(whole)
    (tmp_path / "old/index.json").write_text("{")
    with pytest.raises(ConfigError, match=r"is broken: index.json cannot be read"):
        opened(path)
    (tmp_path / "old/index.json").write_text('{"format": 1}')
    with pytest.raises(ConfigError, match="has the format 1, not 2; save it again"):
        opened(path)
    (tmp_path / "old/index.json").unlink()
    with pytest.raises(ConfigError, match=r"holds no saved index; give a folder with index\.json"):
        opened(path)


@pytest.mark.parametrize("name", ["00000.bands.parquet", "00000.records"])
def test_a_changed_byte_of_what_is_read_is_an_error_and_never_another_result(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path, {"a": words(0, 200)})
    file = tmp_path / "segments" / name
    whole = file.read_bytes()
    stage = asking(path)
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            _, fates = drive(stage, {"u": [document("copy", words(0, 190))]})
        except StageError as error:
            assert f"segments/{name} is broken: " in str(error)
        else:
            assert fates["copy"].value == 186 / 196  # a byte that nobody read
    file.unlink()
    with pytest.raises(StageError, match=f"segments/{name} is gone; save the index again"):
        drive(stage, {"u": [document("copy", words(0, 190))]})


def test_the_bands_of_another_index_are_refused_though_they_are_whole(tmp_path: Path) -> None:
    stage = asking(saved(tmp_path / "old", {"a": words(0, 200)}))
    saved(tmp_path / "other", {"a": words(300, 500)})
    name = "segments/00000.bands.parquet"
    (tmp_path / "old" / name).write_bytes((tmp_path / "other" / name).read_bytes())
    with pytest.raises(StageError, match=r"bands\.parquet is broken: it is not what was written"):
        drive(stage, {"u": [document("copy", words(0, 190))]})


@pytest.mark.parametrize("cut", [b"", b"PAR1", b"\xff\xff\xff\x7fPAR1"])
def test_bands_without_a_whole_footer_are_broken_and_not_unread(tmp_path: Path, cut: bytes) -> None:
    stage = asking(saved(tmp_path, {"a": words(0, 200)}))
    (tmp_path / "segments/00000.bands.parquet").write_bytes(cut)
    with pytest.raises(StageError, match=r"bands\.parquet is broken: it is not what was written; save the index again"):
        drive(stage, {"u": [document("copy", words(0, 190))]})


def test_a_storage_that_fails_ends_the_run_and_no_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "old", {"a": words(0, 200)})

    def reset(*_: Any) -> Any:
        raise ConnectionResetError("reset by peer")

    for method, name in (("read_ranges", "records"), ("open", r"bands\.parquet")):
        with monkeypatch.context() as broken:
            broken.setattr(Folder, method, reset)
            with pytest.raises(StageError, match=rf"segments/00000\.{name} cannot be read: reset by peer; run again"):
                against(path, {"copy": words(0, 190)})


def test_an_index_of_many_segments_answers_as_one_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = {f"old{n}": words(n * 40, n * 40 + 60 + n) for n in range(60)}
    new = {f"new{n}": words(n * 40 + 1, n * 40 + 50 + n) for n in range(0, 60, 3)} | {"else": words(9_000, 9_100)}
    kept, fates = against(saved(tmp_path / "x/index", old), new)
    assert fates
    monkeypatch.setattr(index_module, "BATCH_ROWS", 7)
    monkeypatch.setattr(index_module, "SEGMENT", 20)
    monkeypatch.setattr(index_module, "GROUP_ROWS", 32)
    cut = saved(tmp_path / "y/index", old)
    assert [segment.documents for segment in opened(cut).segments] == [21, 21, 18]
    assert against(cut, new) == (kept, fates)
    assert [record.doc_id for record in opened(cut)] == list(old)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 40), max_size=80), st.sets(st.integers(0, 40), min_size=1), st.sampled_from([1, 3, 16, 999])
)
def test_what_meets_is_every_band_with_a_wanted_key_up_to_a_limit(
    tmp_path_factory: pytest.TempPathFactory, stored: list[int], asked: set[int], rows: int
) -> None:
    """Keys over all 64 bits, more than once, across row groups."""
    spread = np.uint64(0x9E3779B97F4A7C15)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "GROUP_ROWS", rows)
        patch.setattr(index_module, "band_hashes", lambda found, *_: found[:, :1].astype(np.uint64) * spread)
        patch.setattr(index_module, "signatures_of", lambda sets, _: np.array([stored], np.uint32).reshape(-1, 1))
        path = tmp_path_factory.mktemp("index")
        texts = [document(str(place), f"word{place}") for place in range(len(stored))]
        save(Folder(path), [table_of(texts, SCHEMA)], Grams(1, 5, "words"), index_module.Bands(1, 1))
        index = opened(str(path))
    wanted = np.sort(np.array(sorted(asked), np.uint64) * spread)
    found = [row for _, table in index.meeting(wanted) for row in table.to_pylist()]
    names = [index.records(0, [row["at"]], [row["size"]])[0].doc_id for row in found]
    expected = {
        str(place) for value in asked for place in [place for place, key in enumerate(stored) if key == value][:LISTED]
    }
    assert (len(names), set(names)) == (len(expected), expected)
    assert [row["key"] for row in found] == sorted(row["key"] for row in found)


def test_few_questions_read_few_of_the_bands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "GROUP_ROWS", 64)
    index = opened(saved(tmp_path, {str(n): words(n * 20, n * 20 + 20) for n in range(200)}))
    keys = np.sort(band_hashes(sign(pa.array([words(0, 20)], pa.large_string()), 112, 5)[0], *index.bands)[0])
    tables = [table for _, table in index.meeting(keys)]
    assert sum(table.num_rows for table in tables) == index.bands.bands
    groups = 200 * index.bands.bands // 64
    assert len(tables) <= index.bands.bands < groups // 2


def test_of_a_band_that_many_share_the_first_are_kept(tmp_path: Path) -> None:
    path = saved(tmp_path, {f"{n:03d}": words(0, 50) for n in range(40)})
    index = opened(path)
    keys = np.sort(band_hashes(sign(pa.array([words(0, 50)], pa.large_string()), 112, 5)[0], *index.bands)[0])
    assert sum(table.num_rows for _, table in index.meeting(keys)) == LISTED * index.bands.bands
    assert against(path, {"copy": words(0, 50)})[1]["copy"].ref == "000"


def test_many_copies_of_one_document_meet_it_in_every_unit(tmp_path: Path) -> None:
    stage = asking(saved(tmp_path, {"a": words(0, 200)}))
    units = {unit: [document(f"{unit}{n}", words(0, 195)) for n in range(50)] for unit in "xyz"}
    kept, fates = drive(stage, units)
    assert (len(kept), {fate.ref for fate in fates.values()}) == (0, {"a"})
    assert len(fates) == 150


def test_what_a_saving_that_was_cut_off_left_is_written_over_and_nothing_else(tmp_path: Path) -> None:
    def cut_off() -> Any:
        yield table_of([document("a", words(0, 200))], SCHEMA)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save(Folder(tmp_path / "new"), cut_off(), KIND, BANDS)
    assert (tmp_path / "new/segments/00000.records").exists()
    path = saved(tmp_path / "new", {"b": words(0, 200)})
    assert [record.doc_id for record in opened(path)] == ["b"]
    assert sorted(file.name for file in (tmp_path / "new/segments").iterdir()) == [
        "00000.bands.parquet",
        "00000.records",
    ]
    with pytest.raises(ConfigError, match="new holds an index already; give another folder"):
        saved(tmp_path / "new", {"c": words(0, 200)})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"mine is no index: it holds notes\.txt; give a folder that is empty"):
        saved(tmp_path / "mine", {"c": words(0, 200)})
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_an_index_lies_behind_any_url() -> None:
    path = "memory://indexes/one"
    save(Folder(path), [table_of([document("a", words(0, 200))], SCHEMA)], KIND, BANDS)
    assert against(path, {"copy": words(0, 190)})[1]["copy"].ref == "a"


def test_what_the_index_holds_and_its_name_are_part_of_the_key_but_not_its_place(tmp_path: Path) -> None:
    paths = [saved(tmp_path / at / "old", {"a": words(0, last)}) for at, last in (("x", 9), ("y", 9), ("z", 8))]
    identities = [asking(path).identity() for path in paths]
    assert identities[0] == identities[1] != identities[2]
    assert NearDedup(NearConfig(index=paths[0])).identity() == NearDedup(NearConfig()).identity()


def test_datasketch_reads_the_signatures_and_finds_the_copy(tmp_path: Path) -> None:
    datasketch = pytest.importorskip("datasketch")
    texts = {"a": words(0, 200), "b": words(500, 700)}
    index = opened(saved(tmp_path, texts))
    lsh = datasketch.MinHashLSH(threshold=0.7, num_perm=112)
    for doc_id, minhash in minhashes(index):
        lsh.insert(doc_id, minhash)
    asked = minhash_of(words(0, 190), KIND)
    assert lsh.query(asked) == ["a"]
    assert lsh.query(minhash_of(words(900, 999), KIND)) == []
    sets = gram_sets(pa.array([words(0, 200), words(0, 190)], pa.large_string()), 5)
    assert abs(dict(minhashes(index))["a"].jaccard(asked) - jaccard(*sets)) < 0.1
    again = datasketch.LeanMinHash.deserialize(_bytes(asked))
    assert again == asked


def _bytes(minhash: Any) -> bytearray:
    buffer = bytearray(minhash.bytesize())
    minhash.serialize(buffer)
    return buffer
