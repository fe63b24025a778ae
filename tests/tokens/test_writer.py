"""Shards are those that datatrove's Megatron writer gives for the same tokens, and read back as they were written."""

import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datatrove.pipeline.tokens.megatron_tokenizer import MegatronTokenizedFile
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.errors import RunError, ShardError
from loopdata.schema import SAMPLE, table_of
from loopdata.storage import Folder, Written
from loopdata.tokens.shards import Shard
from loopdata.tokens.tokenizer import Encoded
from loopdata.tokens.writer import INDEX, ShardWriter

SAMPLES = [[7, 8, 9], [], [5], [500, 1, 2, 3]]


def encoded(samples: list[list[int]]) -> Encoded:
    """Every sample that is not empty carries loss from its first token to its last."""
    lengths = [len(sample) for sample in samples]
    return Encoded(
        np.array([token for sample in samples for token in sample], np.uint32),
        np.cumsum([0, *lengths]),
        np.array([[0, length] for length in lengths if length], np.int64).reshape(-1, 2),
        np.cumsum([0, *(length > 0 for length in lengths)]),
    )


def table(samples: list[list[int]], first: int = 0) -> pa.Table:
    rows = [
        {"sample_id": f"s{first + i}", "category": "file", "split": "train", "language": "python", "whole": False,
         "parents": [f"d{first + i}"], "segments": [], "num_bytes": 3 * len(sample)}
        for i, sample in enumerate(samples)
    ]  # fmt: skip
    return table_of(rows, SAMPLE)


def write(folder: Path, samples: list[list[int]], vocab_size: int = 600, cut: int | None = None) -> list[Written]:
    with ShardWriter(Folder(folder), "part-1", vocab_size) as shard:
        for first in range(0, len(samples), cut or len(samples) or 1):
            batch = samples[first : first + (cut or len(samples))]
            shard.write(table(batch, first), encoded(batch))
        return shard.finish()


@pytest.mark.parametrize(("vocab_size", "token_size"), [(600, 2), (65_535, 2), (65_536, 4)])
def test_a_shard_has_the_bytes_that_datatrove_writes(tmp_path: Path, vocab_size: int, token_size: int):
    write(tmp_path / "ours", SAMPLES, vocab_size)
    peer = MegatronTokenizedFile(str(tmp_path / "theirs"), "part-1", token_size=token_size)
    for sample in SAMPLES:
        peer.write(sample)
    peer.close()
    for suffix in ("bin", "idx"):
        ours = (tmp_path / "ours" / f"part-1.{suffix}").read_bytes()
        assert ours == (tmp_path / "theirs" / f"part-1.{suffix}").read_bytes()


def test_a_shard_read_by_struct_alone_gives_the_samples(tmp_path: Path):
    write(tmp_path, SAMPLES)
    idx, binary = (tmp_path / "part-1.idx").read_bytes(), (tmp_path / "part-1.bin").read_bytes()
    assert idx[:9] == b"MMIDIDX\0\0"
    assert struct.unpack_from("<QBQQ", idx, 9) == (1, 8, 4, 5)
    lengths = struct.unpack_from("<4i", idx, 34)
    pointers = struct.unpack_from("<4q", idx, 34 + 16)
    assert [list(struct.unpack_from(f"<{n}H", binary, p)) for n, p in zip(lengths, pointers, strict=True)] == SAMPLES
    assert struct.unpack_from("<5q", idx, 34 + 48) == (0, 1, 2, 3, 4)
    assert len(idx) == 34 + 48 + 40


@settings(deadline=None)
@given(
    samples=st.lists(st.lists(st.integers(0, 599), max_size=6), max_size=6), vocab_size=st.sampled_from([600, 70_000])
)
def test_samples_read_back_as_they_were_written(tmp_path_factory, samples: list[list[int]], vocab_size: int):
    folder = tmp_path_factory.mktemp("shard")
    write(folder, samples, vocab_size)
    shard = Shard.open(folder / "part-1")
    assert [shard.tokens(i).tolist() for i in range(len(shard))] == samples
    assert shard.offsets.tolist() == np.cumsum([0, *map(len, samples)]).tolist()


def test_bytes_do_not_depend_on_how_samples_were_cut_into_tables(tmp_path: Path):
    assert (
        write(tmp_path / "a", SAMPLES) == write(tmp_path / "b", SAMPLES, cut=1) == write(tmp_path / "c", SAMPLES, cut=3)
    )


def test_written_records_name_size_and_content(tmp_path: Path):
    written = write(tmp_path, SAMPLES)
    assert [record.name for record in written] == ["part-1.bin", "part-1.idx", "part-1.samples.parquet"]
    assert [record.num_bytes for record in written] == [(tmp_path / record.name).stat().st_size for record in written]
    assert written[0].num_bytes == 2 * 8


def test_the_index_holds_a_row_a_sample(tmp_path: Path):
    write(tmp_path, SAMPLES, cut=3)
    index = pq.read_table(tmp_path / "part-1.samples.parquet")
    assert index.schema.equals(INDEX)
    assert index["offset"].to_pylist() == [0, 3, 3, 4]
    assert index["length"].to_pylist() == [3, 0, 1, 4]
    assert index["loss"].to_pylist()[:2] == [[{"start": 0, "end": 3}], []]
    assert index.slice(3).drop_columns(["loss"]).to_pylist() == [
        {"sample_id": "s3", "category": "file", "split": "train", "language": "python", "parents": ["d3"],
         "whole": False, "offset": 4, "length": 4, "num_bytes": 12, "fim": None}
    ]  # fmt: skip


def test_a_shard_goes_to_a_store_without_seeking():
    folder = Folder("memory://shards")
    with ShardWriter(folder, "part-1", 600) as shard:
        shard.write(table(SAMPLES), encoded(SAMPLES))
        written = shard.finish()
    assert {file.name: file.num_bytes for file in folder.files()} == {r.name: r.num_bytes for r in written}


def test_an_interrupted_shard_has_no_index(tmp_path: Path):
    with pytest.raises(KeyError), ShardWriter(Folder(tmp_path), "part-1", 600) as shard:
        shard.write(table(SAMPLES), encoded(SAMPLES))
        raise KeyError
    assert [file.name for file in Folder(tmp_path).files()] == ["part-1.bin"]


def test_a_token_beyond_the_vocabulary_is_refused(tmp_path: Path):
    with ShardWriter(Folder(tmp_path), "part-1", 501) as shard:
        shard.write(table([[500]]), encoded([[500]]))
        with pytest.raises(ShardError, match="token 501 is beyond the vocabulary of 501"):
            shard.write(table([[501]]), encoded([[501]]))


def test_tokens_of_another_number_of_samples_are_refused(tmp_path: Path):
    with ShardWriter(Folder(tmp_path), "part-1", 600) as shard, pytest.raises(ShardError, match="4 samples"):
        shard.write(table(SAMPLES), encoded(SAMPLES[:3]))


def test_a_folder_that_takes_no_writes_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"file/part-1\.bin"):
        write(tmp_path / "file", SAMPLES)
