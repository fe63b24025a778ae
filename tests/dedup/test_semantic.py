"""Which documents mean the same to the built-in embedder and to others, and who of them survives."""

import random
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.config import parse
from loopdata.dedup import semantic
from loopdata.dedup.semantic import SemanticConfig, SemanticDedup
from loopdata.embedding import TABLE
from loopdata.errors import ConfigError, SourceError
from loopdata.storage import Folder
from tests.dedup.drive import document, drive

pytest.importorskip("faiss")


def stage(**config: Any) -> SemanticDedup:
    return SemanticDedup(parse(SemanticConfig, config, "semantic_dedup"))


def words(seed: int, count: int = 80) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices("abcdefghij", k=7)) for _ in range(count)]


def shuffled(seed: int) -> str:
    """The same words in another order: no gram of five is left."""
    found = words(seed)
    random.Random(seed + 1).shuffle(found)
    return " ".join(found)


def test_the_same_words_in_another_order_are_a_copy() -> None:
    rows = [document("a", " ".join(words(1))), document("bb", shuffled(1)), document("c", " ".join(words(2)))]
    kept, fates = drive(stage(), {"u": rows[:1], "v": rows[1:]})
    assert sorted(kept) == ["a", "c"]
    fate = fates["bb"]
    assert (fate.fate, fate.rule, fate.ref, fate.threshold) == ("dropped", "semantic_copy", "a", 0.95)
    assert fate.value == pytest.approx(1.0, abs=1e-6)
    assert fate.details == "level=semantic repo=repo-of-a"


def vectors_of(tmp_path: Path, vectors: dict[str, list[float]]) -> dict[str, Any]:
    import json

    import pyarrow.parquet as pq

    folder = Folder(tmp_path / "vectors")
    rows = [{"text_id": text_id, "vector": vector} for text_id, vector in vectors.items()]
    with folder.create("vectors.parquet") as stream:
        pq.write_table(pa.Table.from_pylist(rows, schema=TABLE), pa.PythonFile(stream, mode="w"))
    folder.write_atomic("vectors.json", json.dumps({"sha256": stream.hexdigest()}).encode())
    return {"kind": "table", "path": str(tmp_path / "vectors")}


@pytest.mark.parametrize(("cosine", "dropped"), [(0.8001, True), (0.7999, False)])
def test_the_threshold_decides_by_the_cosine_of_a_table(tmp_path: Path, cosine: float, dropped: bool) -> None:
    sine = (1 - cosine**2) ** 0.5
    embedder = vectors_of(tmp_path, {"t1": [2.0, 0.0], "t2": [cosine, sine], "t3": [0.0, -1.0], "t4": [0.0, 0.0]})
    rows = [document(f"d{n}", "x", text_id=f"t{n}") for n in (1, 2, 3, 4)]
    kept, fates = drive(stage(embedder=embedder, threshold=0.8), {"u": rows})
    assert ("d2" in fates) is dropped
    assert {"d1", "d3", "d4"} <= set(kept)


def test_a_text_that_the_table_does_not_know_is_an_error(tmp_path: Path) -> None:
    embedder = vectors_of(tmp_path, {"t1": [1.0]})
    with pytest.raises(SourceError, match="the table has no vector of t2 and 0 more; ask again"):
        drive(stage(embedder=embedder), {"u": [document("d", "x", text_id="t2")]})


def test_of_a_chain_only_copies_of_the_survivor_go(tmp_path: Path) -> None:
    """30 degrees apart each: b is like a and like c, but c is not like a."""
    turns = {f"t{n}": [float(np.cos(n * np.pi / 6)), float(np.sin(n * np.pi / 6))] for n in range(3)}
    rows = [document(name, "x", text_id=f"t{n}") for n, name in enumerate("abc")]
    kept, fates = drive(stage(embedder=vectors_of(tmp_path, turns), threshold=0.8), {"u": rows})
    assert (sorted(kept), fates["b"].ref) == (["a", "c"], "a")


def test_a_copy_of_a_held_out_document_leaves_the_training_split() -> None:
    rows = [
        document("held", " ".join(words(1)), split="valid", path="deep/down/held.py"),
        document("copy", shuffled(1), repo="r"),
        document("other", " ".join(words(2)), repo="r"),
    ]
    kept, fates = drive(stage(), {"u": rows})
    assert sorted(kept) == ["held", "other"]
    assert (fates["copy"].rule, fates["copy"].ref) == ("semantic_copy_of_held_out", "held")


def test_where_no_document_was_drawn_all_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_nearest", "_product"):  # as Python, which sees an index out of bounds
        monkeypatch.setattr(semantic, name, getattr(semantic, name).py_func)
    rows = [document("a", " ".join(words(1))), document("bb", shuffled(1)), document("c", " ".join(words(2)))]
    kept, _ = drive(stage(sample_share=1e-9), {"u": rows})
    assert sorted(kept) == ["a", "bb", "c"]


def test_documents_without_words_pass() -> None:
    kept, fates = drive(stage(), {"u": [document("a", ""), document("b", ""), document("c", "  \n")]})
    assert (sorted(kept), fates) == (["a", "b", "c"], {})


def test_a_cluster_beyond_the_limit_is_judged_in_parts() -> None:
    rows = [document(name, " ".join(words(1))) for name in "abcd"] + [document("e", " ".join(words(2)))]
    assert len(drive(stage(), {"u": rows})[0]) == 2
    assert len(drive(stage(max_cluster=2), {"u": rows})[0]) == 4


def as_pairs(vectors: Any, threshold: float) -> list[int]:
    """The first survivor before each row that is like it, from all products."""
    found: list[int] = []
    for row, vector in enumerate(vectors):
        like = (other for other in range(row) if found[other] < 0 and vector @ vectors[other] >= threshold)
        found.append(next(like, -1))
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 60), st.sampled_from([1, 7, 256]))
def test_survivors_are_those_of_all_pairs_whatever_the_size_of_a_block(seed: int, count: int, block: int) -> None:
    draw = np.random.default_rng(seed)
    vectors = draw.standard_normal((count, 3)) + draw.standard_normal(3)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(semantic, "BLOCK", block)
        survivor, cosine = semantic._survivors(vectors, 0.9)
    assert survivor.tolist() == as_pairs(vectors.astype(np.float64), 0.9)
    for row in np.flatnonzero(survivor >= 0):
        product = vectors[row].astype(np.float64) @ vectors[survivor[row]].astype(np.float64)
        assert cosine[row] == pytest.approx(min(product, 1.0), abs=1e-12)


def test_a_cluster_of_copies_takes_no_memory_for_its_pairs() -> None:
    vectors = np.full((20_000, 16), 0.25, np.float32)
    tracemalloc.start()
    survivor, _ = semantic._survivors(vectors, 0.95)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (survivor[0], set(survivor[1:].tolist())) == (-1, {0})
    assert peak < 4 * vectors.nbytes < 20_000**2 / 50


def corpus(seed: int) -> list[dict[str, Any]]:
    """A hundred documents in twenty families, some held out."""
    draw, rows = random.Random(seed), []
    for family in range(20):
        for member in range(5):
            text = words(family * 1000 + seed)
            for _ in range(draw.choice([0, 1, 3, 9])):
                text[draw.randrange(len(text))] = f"new{draw.randrange(1000)}"
            draw.shuffle(text)
            split = "valid" if draw.random() < 0.1 else "train"
            rows.append(document(f"{family}-{member}", " ".join(text), split=split, repo=f"r{draw.randrange(9)}"))
    return rows


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1, 2, 7]), st.randoms(use_true_random=False))
def test_what_is_kept_depends_on_no_grouping_or_order(seed: int, groups: int, random_: random.Random) -> None:
    rows = sorted(corpus(seed), key=lambda row: row["repo"])
    kept, fates = drive(stage(inside_kept_repo="drop"), {"u": rows})
    assert fates
    random_.shuffle(rows)
    units: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        units.setdefault(f"u{int(row['repo'][1:]) % groups}", []).append(row)
    again, same = drive(stage(inside_kept_repo="drop", partitions=2), units)
    assert (sorted(again), same) == (sorted(kept), fates)


def test_a_sample_fits_centres_and_another_seed_draws_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semantic, "DOCUMENTS_A_CENTRE", 4)
    rows = corpus(3)
    kept, fates = drive(stage(sample=40, clusters=8), {"u": rows})
    assert drive(stage(sample=40, clusters=8), {"u": rows}) == (kept, fates)
    for subject, fate in fates.items():
        assert fate.ref in kept
        assert fate.value is not None
        assert fate.value >= 0.95, subject


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"treshold": 0.7}, "unknown key 'semantic_dedup.treshold'"),
        ({"partitions": 12}, "semantic_dedup.partitions: give a power of two"),
        ({"embedder": {"kind": "folder", "path": "/nowhere"}}, "/nowhere holds no model: tokenizer.json is missing"),
        ({"embedder": {"kind": "table", "path": "/nowhere"}}, "/nowhere holds no table of vectors"),
    ],
)
def test_a_wrong_config_is_refused_by_name(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        stage(**config)
    assert str(raised.value).startswith(message)
