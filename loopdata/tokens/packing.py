"""Packs samples into sequences: which pieces of which samples lie together, without writing a token again.

Enters: the sample tables of shards. Leaves: a packing index of one category, split and length, in the files that
`shards` describes. Best-fit decreasing (Johnson 1974; for packing without truncation Ding et al. 2024): the longest
piece first, each into the sequence with the least room that still holds it. Samples are put in the order of the hash of
their ids first, so that the order of shards changes nothing, and packed a window at a time, so that long and short
samples of the whole dataset meet. Limit: the index of one category is made in memory: 10 million samples took 3.6 GB.
"""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from loopdata.storage import Folder, Written
from loopdata.tokens.best_fit import best_fit
from loopdata.tokens.shards import PIECE, SPAN

UNKNOWN = "unknown"  # the language of a sample that has none
WINDOW = 1 << 20  # pieces that are packed together

_COLUMNS = ["sample_id", "language", "whole", "length", "loss"]


@dataclass(frozen=True)
class Packed:
    """A packing index that was written, and figures about it.

    shards, languages  what `shard` and `language` of a piece count from 0
    samples, tokens    what lies in the sequences
    fill               share of sequences × length that is tokens, 0 to 1; 0 without sequences
    cut                samples that were cut into pieces
    left_out           samples that may not be cut and are longer than a sequence; left_out_tokens: their tokens
    """

    stem: str
    category: str
    split: str
    length: int
    num_sequences: int
    shards: list[str]
    languages: list[str]
    files: list[Written]
    samples: int
    tokens: int
    fill: float
    cut: int
    left_out: int
    left_out_tokens: int


@dataclass(frozen=True)
class _Samples:
    """Columns of n samples with m loss spans, in the order of (shard, row)."""

    ids: NDArray[np.bytes_]  # [n]
    shard: NDArray[np.int64]  # [n]
    row: NDArray[np.int64]  # [n]
    whole: NDArray[np.bool_]  # [n]
    length: NDArray[np.int64]  # [n], tokens
    language: NDArray[np.int64]  # [n]
    span_count: NDArray[np.int64]  # [n]
    span_start: NDArray[np.int64]  # [m], tokens of the sample
    span_end: NDArray[np.int64]  # [m]


@dataclass(frozen=True)
class _Pieces:
    """Columns of p pieces: the sample they belong to, and where in it they start and how long they are, in tokens."""

    sample: NDArray[np.int64]
    start: NDArray[np.int64]
    length: NDArray[np.int64]

    def take(self, order: NDArray[np.int64]) -> "_Pieces":
        return _Pieces(self.sample[order], self.start[order], self.length[order])


def pack(
    folder: Folder, shards: Iterable[str], stem: str, *, category: str, split: str, length: int, window: int = WINDOW
) -> Packed:
    """Pack the samples of one category and split into sequences of at most `length` tokens; write `STEM.*.npy`.

    `shards` are stems below `folder`, in any order. A sample that is longer than a sequence is cut, or left out where
    it is whole. Every token of the other samples lies in exactly one sequence. A sample without tokens lies in none.
    """
    stems, languages, samples = _read(folder, shards, category, split)
    keys = _hash(samples.ids)
    too_long = samples.length > length
    left_out = too_long & samples.whole
    pieces = _cut(samples, np.argsort(keys, kind="stable"), left_out, length)
    pieces, sequences = _arrange(pieces, keys, _fit(pieces.length, length, window))
    tokens, num_sequences = int(pieces.length.sum()), len(sequences) - 1
    return Packed(
        stem=stem,
        category=category,
        split=split,
        length=length,
        num_sequences=num_sequences,
        shards=stems,
        languages=languages,
        files=_write(folder, stem, samples, pieces, sequences),
        samples=int((samples.length > 0).sum() - left_out.sum()),
        tokens=tokens,
        fill=tokens / (num_sequences * length) if num_sequences else 0.0,
        cut=int((too_long & ~samples.whole).sum()),
        left_out=int(left_out.sum()),
        left_out_tokens=int(samples.length[left_out].sum()),
    )


def _read(folder: Folder, shards: Iterable[str], category: str, split: str) -> tuple[list[str], list[str], _Samples]:
    """Stems with samples of this kind, languages, samples. Shards are ordered by content, not by the attempt's name."""
    found = []
    for stem in shards:
        data = folder.read(f"{stem}.samples.parquet")
        table = pq.read_table(pa.BufferReader(data), columns=["category", "split", *_COLUMNS])
        row = pa.array(np.arange(table.num_rows))
        chosen = pc.and_(pc.equal(table["category"], category), pc.equal(table["split"], split))
        table = table.select(_COLUMNS).append_column("row", row).filter(chosen)
        if table.num_rows:
            found.append((hashlib.sha256(data).hexdigest(), stem, table))
    found.sort(key=lambda entry: entry[:2])
    tables = [table for _, _, table in found]
    names = {name for table in tables for name in pc.unique(table["language"]).to_pylist()}
    languages = sorted({name or UNKNOWN for name in names})
    parts = [_columns(number, table, languages) for number, table in enumerate(tables)] or [_no_samples()]
    joined = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(_Samples)}
    return [stem for _, stem, _ in found], languages, _Samples(**joined)


def _columns(number: int, table: pa.Table, languages: list[str]) -> _Samples:
    loss = table["loss"].combine_chunks()
    spans = loss.flatten()
    language = pc.index_in(pc.fill_null(table["language"], UNKNOWN), value_set=pa.array(languages, pa.string()))
    return _Samples(
        ids=_fixed_width(table["sample_id"].combine_chunks()),
        shard=np.full(table.num_rows, number, np.int64),
        row=table["row"].to_numpy(),
        whole=table["whole"].to_numpy().astype(np.bool_),
        length=table["length"].to_numpy(),
        language=language.to_numpy().astype(np.int64),
        span_count=loss.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64),
        span_start=pc.struct_field(spans, "start").to_numpy(),
        span_end=pc.struct_field(spans, "end").to_numpy(),
    )


def _no_samples() -> _Samples:
    empty = np.empty(0, np.int64)
    return _Samples(np.empty(0, "S1"), empty, empty, np.empty(0, np.bool_), empty, empty, empty, empty, empty)


def _fixed_width(strings: pa.StringArray) -> NDArray[np.bytes_]:
    """Strings as fixed-width bytes [n], without a Python object each."""
    offsets = np.frombuffer(strings.buffers()[1], np.int32)[strings.offset :][: len(strings) + 1]
    lengths = np.diff(offsets)
    width = max(1, int(lengths.max(initial=0)))
    table = np.zeros((len(strings), width), np.uint8)
    data = np.frombuffer(strings.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    table[np.arange(width) < lengths[:, None]] = data
    return table.view(f"S{width}").reshape(-1)


def _hash(ids: NDArray[np.bytes_]) -> NDArray[np.uint64]:
    """A 64-bit hash of each id that does not depend on the width of the array."""
    words = ids.astype(f"S{-(-ids.itemsize // 8) * 8}").view("<u8").reshape(len(ids), -(-ids.itemsize // 8))
    state = np.zeros(len(ids), np.uint64)
    for word in words.T:
        state = np.where(word == 0, state, _mix(state ^ word))
    return state


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One step of SplitMix64 (Steele, Lea, Flood 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _cut(samples: _Samples, order: NDArray[np.int64], left_out: NDArray[np.bool_], length: int) -> _Pieces:
    """Pieces in the order of samples: one a sample, more where it is longer than a sequence, none where left out."""
    counts = np.where(left_out, 0, -(-samples.length // length))[order]
    sample = np.repeat(order, counts)
    start = _within(counts) * length
    return _Pieces(sample, start, np.minimum(samples.length[sample] - start, length))


def _fit(lengths: NDArray[np.int64], room: int, window: int) -> NDArray[np.int64]:
    """The sequence of each piece."""
    result, opened = np.empty(len(lengths), np.int64), 0
    for first in range(0, len(lengths), window):
        part = best_fit(lengths[first : first + window], room) + opened
        result[first : first + window] = part
        opened = int(part.max()) + 1
    return result


def _arrange(
    pieces: _Pieces, keys: NDArray[np.uint64], sequence: NDArray[np.int64]
) -> tuple[_Pieces, NDArray[np.int64]]:
    """Pieces and sequences in the order of hashes, not of lengths as best fit leaves them; offsets [sequences + 1]."""
    hashes = _mix(keys[pieces.sample] ^ pieces.start.astype(np.uint64))
    order = np.lexsort((hashes, sequence))
    counts = np.bincount(sequence)
    firsts = np.cumsum(counts) - counts
    ranks = np.argsort(hashes[order][firsts], kind="stable")
    counts = counts[ranks]
    order = order[np.repeat(firsts[ranks], counts) + _within(counts)]
    return pieces.take(order), np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def _write(
    folder: Folder, stem: str, samples: _Samples, pieces: _Pieces, sequences: NDArray[np.int64]
) -> list[Written]:
    table = np.zeros(len(pieces.sample), PIECE)
    table["shard"], table["sample"] = samples.shard[pieces.sample], samples.row[pieces.sample]
    table["start"], table["length"] = pieces.start, pieces.length
    table["language"] = samples.language[pieces.sample]
    table["loss_count"], spans = _loss(samples, pieces)
    table["loss_first"] = np.cumsum(table["loss_count"], dtype=np.uint64) - table["loss_count"]
    arrays = {"pieces": table, "sequences": sequences, "spans": spans, "ids": samples.ids[pieces.sample]}
    return [write_array(folder, f"{stem}.{name}.npy", array) for name, array in arrays.items()]


def _loss(samples: _Samples, pieces: _Pieces) -> tuple[NDArray[np.int64], NDArray[np.void]]:
    """Number of loss spans of each piece, and the spans, cut to the piece and counted from its start."""
    counts = samples.span_count[pieces.sample]
    first = (np.cumsum(samples.span_count) - samples.span_count)[pieces.sample]
    owner = np.repeat(np.arange(len(counts)), counts)
    span = np.repeat(first, counts) + _within(counts)
    start = np.maximum(samples.span_start[span] - pieces.start[owner], 0)
    end = np.minimum(samples.span_end[span] - pieces.start[owner], pieces.length[owner])
    inside = start < end
    spans = np.zeros(int(inside.sum()), SPAN)
    spans["start"], spans["end"] = start[inside], end[inside]
    return np.bincount(owner[inside], minlength=len(counts)), spans


def _within(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, …, count - 1 for each count, one after the other."""
    ends = np.cumsum(counts)
    return np.arange(int(counts.sum())) - np.repeat(ends - counts, counts)


def sequence_tokens(folder: Folder, stem: str) -> NDArray[np.int64]:
    """How many tokens each sequence of a packing index holds, int64 [sequences]."""
    pieces, sequences = (np.load(io.BytesIO(folder.read(f"{stem}.{name}.npy"))) for name in ("pieces", "sequences"))
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(pieces["length"], dtype=np.int64)])
    tokens: NDArray[np.int64] = np.diff(ends[sequences])
    return tokens


def write_array(folder: Folder, name: str, array: NDArray[np.generic]) -> Written:
    """Write an `.npy` file."""
    with folder.create(name) as stream:
        np.save(stream, array, allow_pickle=False)
    return Written(name, stream.num_bytes, stream.hexdigest())
