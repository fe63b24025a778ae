"""A saved index: what is dropped against it, how sure, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.dedup.grams import gram_sets, jaccard
from loopdata.dedup.index import SKETCH, Grams, find, minhash_of, minhashes, read, save, sketch_similarity
from loopdata.dedup.near import NearConfig, NearDedup
from loopdata.errors import ConfigError, StageError
from loopdata.schema import table_of
from loopdata.storage import Folder
from tests.dedup.drive import SCHEMA, document

KIND = Grams(112, 5, "words")


def words(first: int, last: int) -> str:
    return " ".join(f"w{number}" for number in range(first, last))


def saved(path: Path, texts: dict[str, str]) -> str:
    save(Folder(path), [table_of([document(*pair) for pair in texts.items()], SCHEMA)], KIND)
    return str(path)


def against(path: str, texts: dict[str, str], **config: Any) -> tuple[list[str], dict[str, Any]]:
    """Kept ids and fates by id."""
    [stage] = NearDedup(NearConfig(index=path, **config)).before()
    outcome = stage.apply(table_of([document(*pair) for pair in texts.items()], SCHEMA))
    return outcome.kept["doc_id"].to_pylist(), {fate.subject: fate for fate in outcome.fates}


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
    save(Folder(tmp_path), [table_of([document("a", words(0, 104))], SCHEMA)], Grams(512, 5, "words"))
    _, fates = against(str(tmp_path), {"b": words(0, last)}, permutations=512, detection=0.999999)
    assert ("b" in fates) is dropped


def test_documents_without_words_are_neither_indexed_nor_dropped(tmp_path: Path) -> None:
    path = saved(tmp_path, {"a": "", "b": "+++", "c": "one two"})
    assert json.loads((tmp_path / "index.json").read_text())["rows"] == 1
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


def test_another_threshold_asks_the_same_index(tmp_path: Path) -> None:
    path = saved(tmp_path, {"a": words(0, 104)})
    assert list(against(path, {"b": words(0, 70)}, threshold=0.5)[1]) == ["b"]
    assert list(against(path, {"b": words(0, 70)}, threshold=0.8)[1]) == []


def test_a_broken_index_is_refused_by_name(tmp_path: Path) -> None:
    path = saved(tmp_path / "old", {"a": words(0, 200)})
    rows = tmp_path / "old" / "documents.parquet"
    whole = rows.read_bytes()
    rows.write_bytes(whole[:-9])
    with pytest.raises(ConfigError, match=f"old is broken: documents.parquet has {len(whole) - 9} bytes"):
        find(path, KIND)
    rows.write_bytes(whole[:50] + b"x" + whole[51:])
    with pytest.raises(StageError, match=r"documents\.parquet is broken: it is not what was written"):
        find(path, KIND).load(read)
    rows.unlink()
    with pytest.raises(ConfigError, match="holds no saved index"):
        find(path, KIND)
    (tmp_path / "old" / "index.json").write_text("{")
    with pytest.raises(ConfigError, match=r"is broken: index.json cannot be read"):
        find(path, KIND)


def test_the_digest_of_the_index_and_its_name_are_part_of_the_key_but_not_its_place(tmp_path: Path) -> None:
    paths = [saved(tmp_path / at / "old", {"a": words(0, last)}) for at, last in (("x", 9), ("y", 9), ("z", 8))]
    identities = [NearDedup(NearConfig(index=path)).before()[0].identity() for path in paths]
    assert identities[0] == identities[1] != identities[2]
    assert NearDedup(NearConfig(index=paths[0])).identity() == NearDedup(NearConfig()).identity()


def test_datasketch_reads_the_signatures_and_finds_the_copy(tmp_path: Path) -> None:
    datasketch = pytest.importorskip("datasketch")
    texts = {"a": words(0, 200), "b": words(500, 700)}
    index = find(saved(tmp_path, texts), KIND).load(read)
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
