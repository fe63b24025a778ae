"""Writes one shard: tokens as they come, then Megatron's index and a table of the samples.

Enters: tables of samples with their tokens. Leaves: `STEM.bin`, `STEM.idx` and `STEM.samples.parquet`, in the format
that `shards` describes; byte for byte the same for the same samples, however they were cut into tables. Nothing seeks,
so that a shard can go straight to an object store. Limit: tokens are streamed, but the index of the shard (ids, parents
and numbers, no text) stays in memory until the end.
"""

from contextlib import ExitStack
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from loopdata.errors import ShardError
from loopdata.schema import FIM, cast
from loopdata.storage import Folder, HashingWriter, Written, refused_writes
from loopdata.tokens.shards import DTYPES, IDX_HEADER, IDX_MAGIC
from loopdata.tokens.tokenizer import Encoded

# A row a sample, in the order of the shard.
INDEX = pa.schema(
    [
        ("sample_id", pa.string()),
        ("category", pa.string()),
        ("split", pa.string()),
        ("language", pa.string()),
        ("parents", pa.list_(pa.string())),  # doc_ids
        ("whole", pa.bool_()),
        ("offset", pa.int64()),  # tokens from the start of the .bin
        ("length", pa.int64()),  # tokens
        ("loss", pa.list_(pa.struct([("start", pa.int64()), ("end", pa.int64())]))),  # in tokens of the sample
        ("num_bytes", pa.int64()),  # of the text segments
        ("fim", FIM),
    ]
)

_ROWS_OF_A_GROUP = 65_536  # part of the bytes that are written


class ShardWriter:
    """A shard in the making: `with ShardWriter(…) as shard: shard.write(…); written = shard.finish()`.

    Without `finish` a part of the `.bin` may stay behind, which no manifest names.
    """

    def __init__(self, folder: Folder, stem: str, vocab_size: int) -> None:
        """Tokens are uint16 for a vocabulary below 65,536, else int32."""
        self.folder, self.stem, self.vocab_size = folder, stem, vocab_size
        self.code = 8 if vocab_size < 65_536 else 4
        self.num_tokens = 0
        self._tables: list[pa.Table] = []
        self._stack = ExitStack()

    def __enter__(self) -> "ShardWriter":
        self._bin = self._stack.enter_context(self.folder.create(f"{self.stem}.bin"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def write(self, samples: pa.Table, encoded: Encoded) -> None:
        """Append samples (schema.SAMPLE; `segments` may be absent) with their tokens.

        ShardError where the two do not belong together; RunError where the storage refuses the write.
        """
        lengths = np.diff(encoded.offsets)
        if len(lengths) != samples.num_rows:
            raise ShardError(f"{samples.num_rows} samples came with the tokens of {len(lengths)}")
        if len(encoded.ids) and int(encoded.ids.max()) >= self.vocab_size:
            raise ShardError(f"token {int(encoded.ids.max())} is beyond the vocabulary of {self.vocab_size}")
        with refused_writes(f"{self.folder.url}/{self.stem}.bin"):
            self._bin.write(np.ascontiguousarray(encoded.ids, DTYPES[self.code]))
        columns = {
            "offset": pa.array(encoded.offsets[:-1] + self.num_tokens),
            "length": pa.array(lengths),
            "loss": _spans(encoded),
        }
        for name, column in columns.items():
            samples = samples.append_column(name, column)
        self._tables.append(cast(samples, INDEX))
        self.num_tokens += len(encoded.ids)

    def finish(self) -> list[Written]:
        """Close the `.bin`, write `.idx` and `.samples.parquet`, and return what was written, in this order."""
        self._stack.close()
        index = pa.concat_tables([INDEX.empty_table(), *self._tables])
        lengths = index["length"].to_numpy()
        with self.folder.create(f"{self.stem}.idx") as idx:
            _write_idx(idx, lengths, self.code)
        with self.folder.create(f"{self.stem}.samples.parquet") as table:
            pq.write_table(index, table, compression="zstd", compression_level=3, row_group_size=_ROWS_OF_A_GROUP)
        streams = {"bin": self._bin, "idx": idx, "samples.parquet": table}
        return [
            Written(f"{self.stem}.{suffix}", stream.num_bytes, stream.hexdigest()) for suffix, stream in streams.items()
        ]


def _write_idx(stream: HashingWriter, lengths: NDArray[np.int64], code: int) -> None:
    """Megatron counts a sample's tokens in 32 bits. Every sample is a document of its own."""
    if len(lengths) and int(lengths.max()) >= 2**31:
        raise ShardError(f"a sample of {int(lengths.max())} tokens does not fit a Megatron index")
    pointers = (np.cumsum(lengths) - lengths) * DTYPES[code].itemsize
    stream.write(IDX_HEADER.pack(IDX_MAGIC, 1, code, len(lengths), len(lengths) + 1))
    stream.write(lengths.astype("<i4"))
    stream.write(pointers.astype("<i8"))
    stream.write(np.arange(len(lengths) + 1, dtype="<i8"))


def _spans(encoded: Encoded) -> pa.ListArray:
    spans = pa.StructArray.from_arrays(
        [pa.array(encoded.spans[:, 0]), pa.array(encoded.spans[:, 1])], names=["start", "end"]
    )
    return pa.ListArray.from_arrays(pa.array(encoded.span_offsets, pa.int32()), spans)
