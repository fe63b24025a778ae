"""A dataset reads back as it was written, wherever it lies, and says which file is broken."""

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from loopdata.errors import ShardError
from loopdata.storage import Folder
from loopdata.tokens import shards
from loopdata.tokens.dataset import write_dataset
from loopdata.tokens.packing import pack
from loopdata.tokens.shards import ORDER, Dataset, Shard
from loopdata.tokens.tokenizer import Tokenizer, train
from tests.tokens.dataset_case import sample, write_shard

TOKENIZER = Tokenizer(train(["abababab"], 300))
SAMPLES_A = [
    sample("a", [10, 11, 12, 13, 14], loss=[(0, 2), (4, 5)]),
    sample("b", [20, 21, 22], language="go"),
    sample("held", [30], split="valid", language="rust"),
]
SAMPLES_B = [sample("c", [40, 41], category="repo", language="go", loss=[]), sample("d", [50] * 9, category="repo")]


def write(folder: Path, name: str = "dataset.json") -> Path:
    """Two shards: file/train packs to [a, b], file/valid to [held], repo/train to [d] and [c, the rest of d]."""
    files = {
        stem: write_shard(folder, stem, content) for stem, content in (("units/s-1", SAMPLES_A), ("s-2", SAMPLES_B))
    }
    packings = [
        pack(Folder(folder), files, f"packs/{category}-{split}", category=category, split=split, length=8)
        for category, split in (("repo", "train"), ("file", "train"), ("file", "valid"))
    ]
    order = np.array([(1, 0), (0, 1), (0, 0), (1, 0)], ORDER)
    files["unused"] = []
    write_dataset(
        Folder(folder), "mix", tokenizer=TOKENIZER, length=8, shards=files, packings=packings, order=order, name=name
    )
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "data")


def test_a_dataset_has_what_was_written(folder: Path):
    dataset = Dataset.open(folder)
    assert (dataset.length, dataset.vocab_size, dataset.end_of_text) == (8, TOKENIZER.vocab_size, 0)
    assert dataset.tokenizer == TOKENIZER.digest
    assert dataset.token_bytes.tolist() == TOKENIZER.token_bytes.tolist()
    assert dataset.languages == ["go", "python", "rust"]
    assert dataset.categories == ["file", "repo"]
    assert dataset.shards == ["s-2", "units/s-1"]
    assert dataset.order.tolist() == [(1, 0), (0, 1), (0, 0), (1, 0)]
    assert dataset.order["packing"].tolist() == [1, 0, 0, 1]
    found = [(packing.category, packing.split, packing.num_sequences) for packing in dataset.packings]
    assert found == [("repo", "train", 2), ("file", "train", 1), ("file", "valid", 1)]


def test_a_sequence_has_tokens_bounds_loss_languages_and_samples(folder: Path):
    dataset = Dataset.open(folder)
    sequence = dataset.sequence(1, 0)
    assert (sequence.tokens.dtype, sequence.bounds.dtype, sequence.loss.dtype) == (np.int32, np.int32, np.bool_)
    parts = {
        "a": ([10, 11, 12, 13, 14], [True, True, False, False, True], "python"),
        "b": ([20, 21, 22], [True, True, True], "go"),
    }
    assert sorted(sequence.samples) == ["a", "b"]
    assert sequence.tokens.tolist() == [token for name in sequence.samples for token in parts[name][0]]
    assert sequence.loss.tolist() == [flag for name in sequence.samples for flag in parts[name][1]]
    assert [dataset.languages[n] for n in sequence.languages] == [parts[name][2] for name in sequence.samples]
    assert sequence.bounds.tolist() == [0, len(parts[sequence.samples[0]][0]), 8]
    assert sequence.category == "file"


def test_a_sample_that_was_cut_lies_in_two_sequences(folder: Path):
    dataset = Dataset.open(folder)
    both = sorted((dataset.sequence(0, index) for index in (0, 1)), key=lambda sequence: len(sequence.tokens))
    assert [sorted(sequence.samples) for sequence in both] == [["c", "d"], ["d"]]
    assert sorted(both[0].tokens.tolist()) == [40, 41, 50]
    assert sorted(both[0].loss.tolist()) == [False, False, True]
    assert (both[1].tokens.tolist(), both[1].loss.tolist(), both[1].bounds.tolist()) == ([50] * 8, [True] * 8, [0, 8])


def test_the_languages_of_a_packing_are_those_of_the_dataset(folder: Path):
    dataset = Dataset.open(folder)
    assert dataset.sequence(2, 0).languages.tolist() == [dataset.languages.index("rust")]


def test_a_moved_folder_reads_the_same(folder: Path, tmp_path: Path):
    before = Dataset.open(folder).sequence(1, 0)
    shutil.move(folder, tmp_path / "elsewhere")
    after = Dataset.open(str(tmp_path / "elsewhere")).sequence(1, 0)
    assert (after.tokens.tolist(), after.samples) == (before.tokens.tolist(), before.samples)


def test_a_dataset_opens_by_the_name_of_its_file_and_reads_only_what_that_names(folder: Path):
    (folder / "dataset.json").rename(folder / "other.json")
    (folder / "s-2-leftover.bin").write_bytes(b"torn")
    assert Dataset.open(folder / "other.json").length == 8
    with pytest.raises(ShardError, match="there is no dataset at"):
        Dataset.open(folder)


def test_training_needs_no_sample_tables(folder: Path):
    for path in folder.rglob("*.samples.parquet"):
        path.unlink()
    dataset = Dataset.open(folder)
    assert len(dataset.sequence(1, 0).tokens) == 8
    with pytest.raises(ShardError, match=r"samples\.parquet cannot be read"):
        dataset.verify()


@pytest.mark.parametrize(
    "name", ["s-2.bin", "s-2.idx", "packs/file-train.pieces.npy", "mix.order.npy", "mix.token_bytes.npy"]
)
def test_a_missing_or_truncated_file_is_named_with_a_remedy(folder: Path, name: str):
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(
        ShardError, match=f"{path} has {len(content) - 1} bytes, dataset.json says {len(content)}; copy"
    ):
        Dataset.open(folder)
    path.unlink()
    with pytest.raises(ShardError, match=f"{path} cannot be read: No such file.*; copy"):
        Dataset.open(folder)


def test_verify_finds_a_changed_byte_that_keeps_the_size(folder: Path):
    dataset = Dataset.open(folder)
    dataset.verify()
    content = bytearray((folder / "s-2.bin").read_bytes())
    content[3] ^= 1
    (folder / "s-2.bin").write_bytes(content)
    with pytest.raises(ShardError, match=r"s-2\.bin does not have the content"):
        dataset.verify()


@pytest.mark.parametrize("where", ["../outside.bin", "/etc/hostname", "a/../../b"])
def test_names_outside_the_folder_are_refused(folder: Path, where: str):
    manifest = json.loads((folder / "dataset.json").read_text())
    manifest["files"][where] = {"num_bytes": 1, "sha256": ""}
    (folder / "dataset.json").write_text(json.dumps(manifest))
    with pytest.raises(ShardError, match="not below that folder"):
        Dataset.open(folder)


def test_a_manifest_of_another_format_or_shape_is_refused(folder: Path):
    path = folder / "dataset.json"
    manifest = json.loads(path.read_text())
    for content, message in (
        ("{", "cannot be read"),
        ("[]", "format None"),
        (json.dumps({**manifest, "format": 2}), "format 2, this loopdata reads 1"),
        (json.dumps({key: manifest[key] for key in manifest if key != "vocab_size"}), "lacks a part.*vocab_size"),
        (json.dumps({**manifest, "vocab_size": 7}), "not 7"),
        (json.dumps({**manifest, "languages": []}), "lacks a part"),
    ):
        path.write_text(content)
        with pytest.raises(ShardError, match=message):
            Dataset.open(folder)


def test_an_array_of_another_kind_is_refused(folder: Path):
    manifest = json.loads((folder / "dataset.json").read_text())
    for wrong in (np.zeros(4, np.int64), np.zeros((2, 2), ORDER)):
        np.save(folder / "mix.order.npy", wrong)
        manifest["files"]["mix.order.npy"]["num_bytes"] = (folder / "mix.order.npy").stat().st_size
        (folder / "dataset.json").write_text(json.dumps(manifest))
        with pytest.raises(ShardError, match=r"mix\.order\.npy holds"):
            Dataset.open(folder)


def test_a_sequence_that_is_not_there_is_an_error(folder: Path):
    dataset = Dataset.open(folder)
    for packing, index in ((3, 0), (-1, 0), (1, 1), (1, -1)):
        with pytest.raises(ShardError, match=f"no sequence {index} in packing {packing}"):
            dataset.sequence(packing, index)


def test_a_dataset_travels_to_other_processes(folder: Path):
    other = pickle.loads(pickle.dumps(Dataset.open(folder)))
    assert other.sequence(1, 0).samples == Dataset.open(folder).sequence(1, 0).samples


def test_more_shards_than_may_be_open_are_read_one_after_the_other(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shards, "_OPEN_SHARDS", 1)
    dataset = Dataset.open(folder)
    first = dataset.sequence(1, 0).tokens.tolist()
    assert len(dataset.sequence(0, 0).tokens) + len(dataset.sequence(0, 1).tokens) == 11
    assert dataset.sequence(1, 0).tokens.tolist() == first
    assert len(dataset._shards) == 1


def test_a_shard_gives_parts_of_samples_and_refuses_what_is_not_there(tmp_path: Path):
    write_shard(tmp_path, "s", [sample("a", [1, 2, 3]), sample("b", [4])])
    shard = Shard.open(tmp_path / "s")
    assert (len(shard), shard.dtype, shard.offsets.tolist()) == (2, np.uint16, [0, 3, 4])
    assert shard.tokens(0, 1).tolist() == [2, 3]
    assert shard.tokens(0, 1, 2).tolist() == [2]
    assert shard.tokens(0, 3).tolist() == []
    for arguments, message in (
        ((2,), "no sample 2"),
        ((-1,), "no sample -1"),
        ((0, 0, 4), "3 tokens, not 0 to 4"),
        ((0, -1), "not -1"),
    ):
        with pytest.raises(ShardError, match=message):
            shard.tokens(*arguments)


def test_a_shard_without_tokens_opens(tmp_path: Path):
    write_shard(tmp_path, "s", [])
    assert len(Shard.open(tmp_path / "s")) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"X" + data[1:], "does not start with MMIDIDX"),
        (lambda data: data[:20], "does not start with MMIDIDX"),
        (lambda data: data[:9] + b"\2" + data[10:], "version 2"),
        (lambda data: data[:17] + b"\1" + data[18:], "dtype code 1"),
        (lambda data: data[:-8], "too few or too many"),
        (lambda data: data[:34] + b"\2" + data[35:], "without gaps"),
        (lambda data: data[:17] + b"\4" + data[18:], "without gaps"),
    ],
)
def test_an_index_that_is_broken_is_named(tmp_path: Path, change, message: str):
    write_shard(tmp_path, "s", [sample("a", [1, 2, 3]), sample("b", [4])])
    (tmp_path / "s.idx").write_bytes(change((tmp_path / "s.idx").read_bytes()))
    with pytest.raises(ShardError, match=rf"s\.idx.*{message}"):
        Shard.open(tmp_path / "s")


def test_a_bin_of_another_size_than_its_index_counts_is_named(tmp_path: Path):
    write_shard(tmp_path, "s", [sample("a", [1, 2, 3])])
    (tmp_path / "s.bin").write_bytes(b"\0" * 4)
    with pytest.raises(ShardError, match=r"s\.bin has 4 bytes, but s\.idx counts 6"):
        Shard.open(tmp_path / "s")


def test_a_packing_of_another_length_or_an_unknown_shard_is_not_written(tmp_path: Path):
    files = {"s": write_shard(tmp_path, "s", [sample("a", [1])])}
    packed = pack(Folder(tmp_path), files, "p", category="file", split="train", length=8)
    common = {"tokenizer": TOKENIZER, "packings": [packed], "order": np.zeros(1, ORDER)}
    with pytest.raises(ShardError, match="packed to 8 tokens, the dataset to 16"):
        write_dataset(Folder(tmp_path), "mix", length=16, shards=files, **common)
    with pytest.raises(ShardError, match="uses the shard s,"):
        write_dataset(Folder(tmp_path), "mix", length=8, shards={}, **common)
    assert not (tmp_path / "dataset.json").exists()


def test_the_reader_needs_no_more_than_numpy_and_the_errors():
    program = (
        "import sys, loopdata.tokens.shards\n"
        "others = {'pyarrow', 'pydantic', 'fsspec', 'tokenizers', 'ray'}\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & others))\n"
        "print(sorted(name for name in sys.modules if name.startswith('loopdata')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "[]",
        "['loopdata', 'loopdata.errors', 'loopdata.tokens', 'loopdata.tokens.shards']",
    ]
