"""Reads what training reads: shards of tokens, packing indexes, and the training order. Needs numpy only.

Enters: a folder with a `dataset.json`. Leaves: sequences of tokens with the bounds of their pieces, loss flags and
languages. The shard format is Megatron's indexed dataset (NVIDIA Megatron-LM, `indexed_dataset.py`); the rest is ours.
Limit: local files only, since they are mapped into memory; sizes are checked when a dataset is opened, contents by
`verify` alone.

    STEM.bin               tokens of all samples, one after the other, uint16 or int32, little endian
    STEM.idx               `MMIDIDX\\0\\0`, version u64 = 1, dtype u8 (8 uint16, 4 int32), samples u64, documents u64,
                           int32 tokens of each sample, int64 byte offset of each sample, int64 document bounds
    STEM.samples.parquet   a row a sample, for people and for packing; training does not read it
    STEM.pieces.npy        PIECE [pieces], sorted by sequence: which tokens of which sample lie in a sequence
    STEM.sequences.npy     int64 [sequences + 1]: sequence i is pieces[s[i]:s[i + 1]]
    STEM.spans.npy         SPAN [spans]: where a piece carries loss, in tokens from the start of the piece
    STEM.ids.npy           fixed-width bytes [pieces]: the sample id of each piece
    order                  ORDER [steps]: the mixture's training order, as an `.npy` file
    dataset.json           format, length, dtype, vocab_size, tokenizer, end_of_text, languages, categories; the names
                           of `token_bytes` and `order`; `shards` (stems); `packings` (category, split, num_sequences,
                           stem, and the shards and languages that its pieces count from 0); `files` (name to
                           num_bytes and sha256)

Names are relative to the folder of `dataset.json`, so that the folder can be moved. Stems are unique to an attempt:
only names from `dataset.json` are read, and leftovers beside them do no harm.
"""

import hashlib
import json
import struct
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopdata.errors import ShardError

FORMAT = 1
IDX_MAGIC = b"MMIDIDX\x00\x00"
IDX_HEADER = struct.Struct("<9sQBQQ")
DTYPES: dict[int, np.dtype[Any]] = {8: np.dtype("<u2"), 4: np.dtype("<i4")}  # Megatron's codes

PIECE = np.dtype(
    [
        ("loss_first", "<u8"),  # first of `loss_count` entries of spans
        ("shard", "<u4"),  # entry of the packing's shards
        ("sample", "<u4"),  # row of the shard
        ("start", "<u4"),  # tokens from the start of the sample
        ("length", "<u4"),  # tokens
        ("loss_count", "<u4"),
        ("language", "<u4"),  # entry of the packing's languages
    ]
)
SPAN = np.dtype([("start", "<u4"), ("end", "<u4")])
ORDER = np.dtype([("packing", "<u4"), ("sequence", "<u4")])

_OPEN_SHARDS = 256  # a mapped file keeps a file descriptor
_COPY = "copy the whole dataset folder again, or run `loopdata run` again to write it anew"


class Shard:
    """A `.bin` and its `.idx`. Tokens of sample i are `tokens(i)`; `offsets` int64 [samples + 1], in tokens."""

    def __init__(self, stem: Path, tokens: NDArray[Any], offsets: NDArray[np.int64]) -> None:
        self.stem = stem
        self.offsets = offsets
        self._tokens = tokens

    @classmethod
    def open(cls, stem: str | Path) -> "Shard":
        """Map `STEM.bin` and read `STEM.idx`. ShardError where either is missing, truncated or of another format."""
        idx, binary = Path(f"{stem}.idx"), Path(f"{stem}.bin")
        dtype, offsets = _read_idx(idx)
        num_bytes = _size(binary)
        if num_bytes != int(offsets[-1]) * dtype.itemsize:
            raise ShardError(
                f"{binary} has {num_bytes} bytes, but {idx.name} counts {int(offsets[-1]) * dtype.itemsize}", _COPY
            )
        # An empty file cannot be mapped.
        tokens = np.memmap(binary, dtype, mode="r") if num_bytes else np.empty(0, dtype)
        return cls(Path(stem), tokens, offsets)

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.offsets) - 1

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._tokens.dtype

    def tokens(self, sample: int, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Tokens [start, stop) of a sample, as a read-only view in the dtype of the shard. ShardError out of range."""
        if not 0 <= sample < len(self):
            raise ShardError(f"{self.stem}.idx has {len(self)} samples, no sample {sample}")
        first, end = int(self.offsets[sample]), int(self.offsets[sample + 1])
        stop = end - first if stop is None else stop
        if not 0 <= start <= stop <= end - first:
            raise ShardError(f"sample {sample} of {self.stem} has {end - first} tokens, not {start} to {stop}")
        return self._tokens[first + start : first + stop]


@dataclass(frozen=True)
class Packing:
    """The packing index of one category and split: how many sequences, and what lies in them."""

    category: str
    split: str
    num_sequences: int
    stems: tuple[str, ...]
    language_ids: NDArray[np.int32]  # the packing's languages as entries of the dataset's
    pieces: NDArray[Any]
    sequences: NDArray[np.int64]
    spans: NDArray[Any]
    ids: NDArray[np.bytes_]


@dataclass(frozen=True)
class Sequence:
    """One sequence of n tokens in k pieces.

    tokens     int32 [n]
    bounds     int32 [k + 1]: where each piece starts, then n
    loss       bool [n]: the token carries loss as a target. The first token of a piece may be marked too, though
               nothing before it in its own piece predicts it: that is for the trainer to leave out
    languages  int32 [k]: entries of the dataset's languages
    """

    tokens: NDArray[np.int32]
    bounds: NDArray[np.int32]
    loss: NDArray[np.bool_]
    languages: NDArray[np.int32]
    category: str
    ids: NDArray[np.bytes_]

    @property
    def samples(self) -> list[str]:
        """The sample id of each piece; read from the disk when asked for."""
        return [bytes(identity).decode() for identity in self.ids]


class Dataset:
    """Everything that `dataset.json` names. It travels to other processes by its path.

    length int (tokens a sequence), vocab_size int, tokenizer str (digest), end_of_text int (id), token_bytes int32
    [vocab_size] (UTF-8 bytes of each token, 0 for special tokens), languages and categories list[str], order ORDER
    [steps], packings list[Packing].
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path, self.folder, self.manifest = path, path.parent, manifest
        self.length = int(manifest["length"])
        self.vocab_size = int(manifest["vocab_size"])
        self.tokenizer = str(manifest["tokenizer"])
        self.end_of_text = int(manifest["end_of_text"])
        self.languages: list[str] = list(manifest["languages"])
        self.categories: list[str] = list(manifest["categories"])
        self.shards: list[str] = list(manifest["shards"])
        self.token_bytes: NDArray[np.int32] = _array(self.folder / manifest["token_bytes"], np.dtype("<i4"))
        if len(self.token_bytes) != self.vocab_size:
            raise ShardError(
                f"{manifest['token_bytes']} has {len(self.token_bytes)} tokens, not {self.vocab_size}", _COPY
            )
        self.order: NDArray[Any] = _array(self.folder / manifest["order"], ORDER)
        self.packings = [self._packing(entry) for entry in manifest["packings"]]
        self._shards: OrderedDict[str, Shard] = OrderedDict()

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Dataset.open, (str(self.path),)

    @classmethod
    def open(cls, folder: str | Path) -> "Dataset":
        """Open the `dataset.json` of a folder, or a file of that kind by its own name.

        ShardError names the file that is missing, of another size than the manifest says, or of another format.
        """
        path = Path(folder)
        path = path / "dataset.json" if path.suffix != ".json" else path
        manifest = _manifest(path)
        try:
            for name, entry in manifest["files"].items():
                _check_size(path.parent, name, int(entry["num_bytes"]))
            return cls(path, manifest)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ShardError(f"{path} lacks a part or has one of another kind: {error}", _COPY) from error

    def verify(self) -> None:
        """Read every file, and raise ShardError for the first whose SHA-256 is not the manifest's."""
        for name, entry in self.manifest["files"].items():
            path = self.folder / name
            _size(path)
            with path.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != entry["sha256"]:
                    raise ShardError(f"{path} does not have the content that {self.path.name} says", _COPY)

    def shard(self, stem: str) -> Shard:
        """A shard by its stem; the last 256 stay open."""
        found = self._shards.get(stem)
        if found is None:
            found = self._shards[stem] = Shard.open(self.folder / stem)
            if len(self._shards) > _OPEN_SHARDS:
                self._shards.popitem(last=False)
        else:
            self._shards.move_to_end(stem)
        return found

    def sequence(self, packing: int, index: int) -> Sequence:
        """Sequence `index` of packing `packing`. ShardError where there is none."""
        if not (0 <= packing < len(self.packings) and 0 <= index < self.packings[packing].num_sequences):
            raise ShardError(f"{self.path} has no sequence {index} in packing {packing}")
        source = self.packings[packing]
        first, end = int(source.sequences[index]), int(source.sequences[index + 1])
        pieces = source.pieces[first:end]
        bounds = np.zeros(len(pieces) + 1, np.int32)
        np.cumsum(pieces["length"], out=bounds[1:])
        tokens, loss = np.empty(bounds[-1], np.int32), np.zeros(bounds[-1], np.bool_)
        for at, piece in zip(bounds.tolist(), pieces.tolist(), strict=False):
            loss_first, shard, sample, start, length, loss_count, _ = piece
            tokens[at : at + length] = self.shard(source.stems[shard]).tokens(sample, start, start + length)
            for span_start, span_end in source.spans[loss_first : loss_first + loss_count].tolist():
                loss[at + span_start : at + span_end] = True
        languages = source.language_ids[pieces["language"]]
        return Sequence(tokens, bounds, loss, languages, source.category, source.ids[first:end])

    def _packing(self, entry: dict[str, Any]) -> Packing:
        stem, num_sequences = entry["stem"], int(entry["num_sequences"])
        pieces = _array(self.folder / f"{stem}.pieces.npy", PIECE)
        sequences = _array(self.folder / f"{stem}.sequences.npy", np.dtype("<i8"))
        spans = _array(self.folder / f"{stem}.spans.npy", SPAN)
        ids = _array(self.folder / f"{stem}.ids.npy", None)
        if len(sequences) != num_sequences + 1 or not len(pieces) == len(ids) == int(sequences[-1]):
            raise ShardError(f"the files of {self.folder / stem} do not belong together", _COPY)
        language_ids = np.array([self.languages.index(name) for name in entry["languages"]], np.int32)
        stems = tuple(self.shards[number] for number in entry["shards"])
        return Packing(
            entry["category"], entry["split"], num_sequences, stems, language_ids, pieces, sequences, spans, ids
        )


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ShardError(f"there is no dataset at {path}", "name a folder that `loopdata run` has filled") from None
    except (OSError, ValueError) as error:
        raise ShardError(f"{path} cannot be read: {error}", _COPY) from error
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if version != FORMAT:
        raise ShardError(f"{path} has format {version}, this loopdata reads {FORMAT}", "run `loopdata run` again")
    return dict(manifest)


def _check_size(folder: Path, name: str, num_bytes: int) -> None:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise ShardError(f"dataset.json in {folder} names {name}, which is not below that folder", _COPY)
    if name.endswith(".samples.parquet"):
        return  # training does without it, so it need not be copied to the machine that trains
    found = _size(folder / name)
    if found != num_bytes:
        raise ShardError(f"{folder / name} has {found} bytes, dataset.json says {num_bytes}", _COPY)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise ShardError(f"{path} cannot be read: {error.strerror}", _COPY) from error


def _array(path: Path, dtype: np.dtype[Any] | None) -> NDArray[Any]:
    """Map an `.npy` file; where `dtype` is None, fixed-width bytes of any width."""
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ShardError(f"{path} cannot be read as an .npy file: {error}", _COPY) from error
    if (array.dtype.kind != "S" if dtype is None else array.dtype != dtype) or array.ndim != 1:
        raise ShardError(
            f"{path} holds {array.dtype} {array.shape}, expected {dtype or 'fixed-width bytes'} [n]", _COPY
        )
    return array


def _read_idx(path: Path) -> tuple[np.dtype[Any], NDArray[np.int64]]:
    """The dtype of a shard and its offsets in tokens."""
    num_bytes = _size(path)
    data = path.read_bytes()
    if num_bytes < IDX_HEADER.size or not data.startswith(IDX_MAGIC):
        raise ShardError(f"{path} is not a Megatron index (it does not start with MMIDIDX)", _COPY)
    _, version, code, samples, documents = IDX_HEADER.unpack_from(data)
    if version != 1 or code not in DTYPES:
        raise ShardError(f"{path} has version {version} and dtype code {code}, expected 1 and 8 or 4", _COPY)
    if num_bytes != IDX_HEADER.size + 12 * samples + 8 * documents:
        raise ShardError(f"{path} has {num_bytes} bytes, too few or too many for its {samples} samples", _COPY)
    offsets = np.zeros(samples + 1, np.int64)
    np.cumsum(np.frombuffer(data, "<i4", samples, IDX_HEADER.size), out=offsets[1:])
    pointers = np.frombuffer(data, "<i8", samples, IDX_HEADER.size + 4 * samples)
    if not np.array_equal(pointers, offsets[:-1] * DTYPES[code].itemsize):
        raise ShardError(f"{path}: the samples do not follow each other without gaps", "write the shard with loopdata")
    return DTYPES[code], offsets
