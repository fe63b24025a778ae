"""A packing index holds every token once, whatever the order of shards, and leaves out only what may not be cut."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.storage import Folder
from loopdata.tokens.packing import Packed, pack, sequence_tokens
from loopdata.tokens.shards import Shard
from tests.tokens.dataset_case import sample, write_shard


def packed(folder: Path, stems: list[str], length: int, stem: str = "pack", **options: Any) -> Packed:
    options = {"category": "file", "split": "train", **options}
    return pack(Folder(folder), stems, stem, length=length, **options)


def files(folder: Path, stem: str = "pack") -> dict[str, np.ndarray]:
    return {name: np.load(folder / f"{stem}.{name}.npy") for name in ("pieces", "sequences", "spans", "ids")}


def sequences(folder: Path, index: Packed) -> list[list[tuple[str, list[int], list[tuple[int, int]]]]]:
    """For each sequence its pieces: sample id, tokens, loss spans; read without the reader of training."""
    loaded = files(folder, index.stem)
    shards = [Shard.open(folder / stem) for stem in index.shards]
    rows = []
    for piece, sample_id in zip(loaded["pieces"], loaded["ids"], strict=True):
        start = int(piece["start"])
        tokens = shards[piece["shard"]].tokens(int(piece["sample"]), start, start + int(piece["length"])).tolist()
        spans = loaded["spans"][int(piece["loss_first"]) :][: int(piece["loss_count"])].tolist()
        rows.append((sample_id.decode(), tokens, spans))
    bounds = loaded["sequences"].tolist()
    return [rows[a:b] for a, b in itertools.pairwise(bounds)]


def shapes(folder: Path, index: Packed) -> list[list[tuple[str, int]]]:
    """Pieces (id, length) of each sequence, without their order, which is that of hashes."""
    return sorted(sorted((name, len(tokens)) for name, tokens, _ in seq) for seq in sequences(folder, index))


def test_samples_share_sequences_by_best_fit(tmp_path: Path):
    write_shard(
        tmp_path, "s", [sample(name, [1] * n) for name, n in (("a", 7), ("b", 6), ("c", 4), ("d", 3), ("e", 2))]
    )
    index = packed(tmp_path, ["s"], 10)
    assert shapes(tmp_path, index) == [[("a", 7), ("d", 3)], [("b", 6), ("c", 4)], [("e", 2)]]
    assert (index.num_sequences, index.samples, index.tokens, index.cut, index.left_out) == (3, 5, 22, 0, 0)
    assert index.fill == 22 / 30


def test_a_plain_sample_longer_than_a_sequence_is_cut_and_its_loss_with_it(tmp_path: Path):
    write_shard(tmp_path, "s", [sample("a", range(9), loss=[(0, 1), (3, 7), (8, 9)])])
    index = packed(tmp_path, ["s"], 4)
    assert sorted(sequences(tmp_path, index)) == [
        [("a", [0, 1, 2, 3], [(0, 1), (3, 4)])],
        [("a", [4, 5, 6, 7], [(0, 3)])],
        [("a", [8], [(0, 1)])],
    ]
    assert (index.samples, index.tokens, index.cut, index.fill) == (1, 9, 1, 9 / 12)


def test_a_whole_sample_is_left_out_when_it_is_one_token_too_long(tmp_path: Path):
    write_shard(tmp_path, "s", [sample("fits", [1] * 4, whole=True), sample("long", [2] * 5, whole=True)])
    index = packed(tmp_path, ["s"], 4)
    assert shapes(tmp_path, index) == [[("fits", 4)]]
    assert (index.samples, index.left_out, index.left_out_tokens, index.tokens) == (1, 1, 5, 4)


def test_only_the_category_and_split_asked_for_are_packed(tmp_path: Path):
    write_shard(tmp_path, "s", [sample("a", [1]), sample("b", [2], category="repo"), sample("c", [3], split="valid")])
    write_shard(tmp_path, "t", [sample("d", [4], category="repo")])
    index = packed(tmp_path, ["s", "t"], 4)
    assert (sequences(tmp_path, index), index.shards) == ([[("a", [1], [(0, 1)])]], ["s"])
    assert sequences(tmp_path, packed(tmp_path, ["s", "t"], 4, split="valid")) == [[("c", [3], [(0, 1)])]]


def test_a_sample_without_tokens_lies_nowhere(tmp_path: Path):
    write_shard(tmp_path, "s", [sample("a", []), sample("b", [1])])
    index = packed(tmp_path, ["s"], 4)
    assert (shapes(tmp_path, index), index.samples) == ([[("b", 1)]], 1)


def test_nothing_to_pack_is_an_index_without_sequences(tmp_path: Path):
    index = packed(tmp_path, [], 4)
    assert (index.num_sequences, index.fill, index.shards, index.languages) == (0, 0.0, [], [])
    assert {name: len(array) for name, array in files(tmp_path).items()} == {
        "pieces": 0,
        "sequences": 1,
        "spans": 0,
        "ids": 0,
    }
    assert sequence_tokens(Folder(tmp_path), "pack").tolist() == []


def test_languages_are_numbered_by_name_and_none_is_unknown(tmp_path: Path):
    write_shard(tmp_path, "s", [sample("a", [1]), sample("b", [2], language=None), sample("c", [3], language="go")])
    index = packed(tmp_path, ["s"], 1)
    loaded = files(tmp_path)
    named = {i.decode(): index.languages[n] for i, n in zip(loaded["ids"], loaded["pieces"]["language"], strict=True)}
    assert index.languages == ["go", "python", "unknown"]
    assert named == {"a": "python", "b": "unknown", "c": "go"}


def test_tokens_of_each_sequence_are_counted(tmp_path: Path):
    write_shard(tmp_path, "s", [sample(str(n), [1] * n) for n in (3, 3, 4, 5)])
    index = packed(tmp_path, ["s"], 6)
    tokens = sequence_tokens(Folder(tmp_path), "pack").tolist()
    assert tokens == [sum(len(part) for _, part, _ in seq) for seq in sequences(tmp_path, index)]
    assert sorted(tokens) == [4, 5, 6]


def test_sequences_lie_neither_by_length_nor_by_their_place_in_the_shard(tmp_path: Path):
    write_shard(tmp_path, "s", [sample(f"{n:02}", [1] * (100 - (n * 7) % 49)) for n in range(49)])
    assert packed(tmp_path, ["s"], 100).num_sequences == 49
    ids = [identity.decode() for identity in files(tmp_path)["ids"]]
    lengths = sequence_tokens(Folder(tmp_path), "pack").tolist()
    for found in (ids, lengths):
        assert found not in (sorted(found), sorted(found, reverse=True))


def shards_of(parts: list[list[int]]) -> list[list[dict[str, Any]]]:
    return [[sample(f"{n}-{i}", [n] * length) for i, length in enumerate(part)] for n, part in enumerate(parts)]


def test_the_order_and_names_of_shards_change_no_byte(tmp_path: Path):
    contents = shards_of([[3, 5, 2, 9], [4, 4], [], [1, 7, 12]])
    for name, stems in (("a", "wxyz"), ("b", "zyxw")):
        for stem, content in zip(stems, contents, strict=True):
            write_shard(tmp_path / name, stem, content)
    one, other = packed(tmp_path / "a", list("wxyz"), 10), packed(tmp_path / "b", list("xwzy"), 10)
    assert one.files == other.files
    assert [dict(zip("wxyz", "zyxw", strict=True))[stem] for stem in one.shards] == other.shards
    again = packed(tmp_path / "a", list("zxwy"), 10)
    assert (again.files, again.shards) == (one.files, one.shards)


def test_windows_pack_for_themselves_and_lose_nothing(tmp_path: Path):
    write_shard(tmp_path, "s", [sample(str(n), [1] * 5) for n in range(6)])
    assert packed(tmp_path, ["s"], 10).num_sequences == 3
    index = packed(tmp_path, ["s"], 10, stem="cut", window=3)
    assert index.num_sequences == 4
    assert sorted(name for seq in sequences(tmp_path, index) for name, _, _ in seq) == list("012345")


CASES = st.lists(st.lists(st.tuples(st.integers(0, 25), st.booleans()), max_size=8), min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(cases=CASES, length=st.integers(1, 12), window=st.sampled_from([1, 5, 100]))
def test_every_token_of_every_sample_that_is_not_left_out_appears_once(
    tmp_path_factory, cases, length: int, window: int
):
    folder, number, wanted, left_out = tmp_path_factory.mktemp("pack"), 0, {}, 0
    for n, case in enumerate(cases):
        samples = []
        for i, (size, whole) in enumerate(case):
            tokens = list(range(number, number + size))
            number += size
            samples.append(sample(f"{n}-{i}", tokens, whole=whole, loss=[(1, size)] if size > 1 else []))
            if size and not (whole and size > length):
                wanted[f"{n}-{i}"] = tokens
            left_out += whole and size > length
        write_shard(folder, f"s{n}", samples)
    index = packed(folder, [f"s{n}" for n in range(len(cases))], length, window=window)
    found: dict[str, list[list[int]]] = {}
    for seq in sequences(folder, index):
        assert 0 < sum(len(tokens) for _, tokens, _ in seq) <= length
        for name, tokens, spans in seq:
            found.setdefault(name, []).append(tokens)
            first = 1 if tokens[0] == wanted[name][0] else 0  # the first token of each sample has no loss
            assert spans == ([(first, len(tokens))] if first < len(tokens) else [])
    assert {name: [token for part in sorted(parts) for token in part] for name, parts in found.items()} == wanted
    assert (index.samples, index.tokens, index.left_out) == (len(wanted), sum(map(len, wanted.values())), left_out)


@pytest.mark.parametrize("ids", [["a", "b"], ["é" * 9, "b"], ["", "x" * 40]])
def test_ids_of_any_width_are_kept(tmp_path: Path, ids: list[str]):
    write_shard(tmp_path, "s", [sample(name, [1]) for name in ids])
    packed(tmp_path, ["s"], 1)
    assert sorted(identity.decode() for identity in files(tmp_path)["ids"]) == sorted(ids)


def test_a_longer_id_elsewhere_does_not_reorder_the_others(tmp_path: Path):
    samples = [sample(f"id{n}", [1]) for n in range(20)]
    write_shard(tmp_path, "s", samples)
    write_shard(tmp_path, "t", [sample("a much longer id than the others", [1])])
    packed(tmp_path, ["s"], 1)
    alone = files(tmp_path)["ids"].tolist()
    packed(tmp_path, ["s", "t"], 1)
    assert [name for name in files(tmp_path)["ids"].tolist() if name.startswith(b"id")] == alone
