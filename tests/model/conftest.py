"""A dataset folder in the format of `loopdata.tokens.shards`, written with numpy from literal sequences."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loopdata.tokens.shards import IDX_HEADER, IDX_MAGIC, ORDER, PIECE, SPAN

VOCAB = 32
LANGUAGES = ["python", "go"]


@dataclass
class Piece:
    """Tokens of one sample, all with loss unless spans say otherwise."""

    tokens: list[int]
    language: str = "python"
    loss: list[tuple[int, int]] | None = None


@dataclass
class Entry:
    """One packing: sequences of pieces."""

    category: str
    split: str
    sequences: list[list[Piece]] = field(default_factory=list)


def _files(folder: Path, entry: Entry, number: int) -> dict[str, Any]:
    stem = f"p{number}"
    pieces = [(i, p) for i, sequence in enumerate(entry.sequences) for p in sequence]
    lengths = np.array([len(p.tokens) for _, p in pieces], "<i4")
    (folder / f"{stem}.bin").write_bytes(np.array([t for _, p in pieces for t in p.tokens], "<u2").tobytes())
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype("<i8") * 2
    header = IDX_HEADER.pack(IDX_MAGIC, 1, 8, len(pieces), len(pieces) + 1)
    bounds = np.arange(len(pieces) + 1, dtype="<i8")
    (folder / f"{stem}.idx").write_bytes(header + lengths.tobytes() + starts.tobytes() + bounds.tobytes())
    spans = [[(0, len(p.tokens))] if p.loss is None else p.loss for _, p in pieces]
    rows, first = [], 0
    for row, (_, piece) in enumerate(pieces):
        count = len(spans[row])
        rows.append((first, 0, row, 0, len(piece.tokens), count, LANGUAGES.index(piece.language)))
        first += count
    counts = [len(sequence) for sequence in entry.sequences]
    np.save(folder / f"{stem}.pieces.npy", np.array(rows, PIECE))
    np.save(folder / f"{stem}.sequences.npy", np.concatenate([[0], np.cumsum(counts)]).astype("<i8"))
    np.save(folder / f"{stem}.spans.npy", np.array([span for each in spans for span in each], SPAN))
    np.save(folder / f"{stem}.ids.npy", np.array([f"{stem}-{i}-{n}" for n, (i, _) in enumerate(pieces)], "S"))
    described = {"category": entry.category, "split": entry.split, "stem": stem, "shards": [number]}
    return {**described, "num_sequences": len(entry.sequences), "languages": LANGUAGES}


def write_dataset(
    folder: Path,
    entries: Iterable[Entry],
    length: int,
    order: list[tuple[int, int]] | None = None,
    tokenizer: str = "sha256:aaa",
) -> Path:
    """Token 0 is end of text with no bytes; token n has n bytes. The order is that of training packings."""
    entries = list(entries)
    folder.mkdir(parents=True, exist_ok=True)
    packings = [_files(folder, entry, n) for n, entry in enumerate(entries)]
    if order is None:
        order = [(n, i) for n, e in enumerate(entries) if e.split == "train" for i in range(len(e.sequences))]
    np.save(folder / "order.npy", np.array(order, ORDER))
    np.save(folder / "token_bytes.npy", np.arange(VOCAB, dtype="<i4"))
    files = {
        path.name: {"num_bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.iterdir())
    }
    manifest = {
        "format": 1, "length": length, "dtype": "uint16", "vocab_size": VOCAB, "tokenizer": tokenizer,
        "end_of_text": 0, "languages": LANGUAGES, "categories": sorted({e.category for e in entries}),
        "token_bytes": "token_bytes.npy", "order": "order.npy", "shards": [p["stem"] for p in packings],
        "packings": packings, "files": files,
    }  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(manifest))
    return folder


def counting(begin: int, size: int, language: str = "python") -> Piece:
    """A piece that a model can learn: each token is the one before plus 1, and 1 follows 31."""
    return Piece([(begin + n - 1) % (VOCAB - 1) + 1 for n in range(size)], language)


@pytest.fixture
def dataset_folder(tmp_path: Path) -> Path:
    """Twelve training sequences of one or two pieces, three held-out ones of two categories and languages."""
    train = [[counting(3 * n + 1, 16)] if n % 2 else [counting(n + 1, 5), counting(5 * n + 2, 9)] for n in range(12)]
    entries = [
        Entry("file", "train", train),
        Entry("file", "valid", [[counting(4, 16)], [counting(9, 6), counting(20, 10, "go")]]),
        Entry("repo", "valid", [[counting(11, 12, "go")]]),
    ]
    return write_dataset(tmp_path / "data", entries, length=16)


@pytest.fixture
def training(dataset_folder: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Keys of a small training on `dataset_folder`; keyword arguments replace them."""

    def keys(**changes: Any) -> dict[str, Any]:
        model = {
            "dim": 16, "layers": 1, "heads": 2, "kv_heads": 1, "head_dim": 8, "ffn_dim": 24, "max_length": 16,
            "window": 4,
        }  # fmt: skip
        base = {"data": str(dataset_folder), "out": str(tmp_path / "out"), "model": model, "steps": 6}
        return {**base, "batch_sequences": 2, "checkpoint_every": 2, "lr": 1e-2, "device": "cpu", **changes}

    return keys
