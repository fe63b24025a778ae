"""A dataset folder in the format of `loopdata.tokens.shards`, written with numpy from literal sequences."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

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
    vocab_size: int = VOCAB,
) -> Path:
    """Token 0 is end of text with no bytes; token n has n bytes. The order is that of training packings."""
    entries = list(entries)
    folder.mkdir(parents=True, exist_ok=True)
    packings = [_files(folder, entry, n) for n, entry in enumerate(entries)]
    if order is None:
        order = [(n, i) for n, e in enumerate(entries) if e.split == "train" for i in range(len(e.sequences))]
    np.save(folder / "order.npy", np.array(order, ORDER))
    np.save(folder / "token_bytes.npy", np.arange(vocab_size, dtype="<i4"))
    files = {
        path.name: {"num_bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.iterdir())
    }
    manifest = {
        "format": 1, "length": length, "dtype": "uint16", "vocab_size": vocab_size, "tokenizer": tokenizer,
        "end_of_text": 0, "languages": LANGUAGES, "categories": sorted({e.category for e in entries}),
        "token_bytes": "token_bytes.npy", "order": "order.npy", "shards": [p["stem"] for p in packings],
        "packings": packings, "files": files,
    }  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(manifest))
    return folder


def counting(begin: int, size: int, language: str = "python") -> Piece:
    """A piece that a model can learn: each token is the one before plus 1, and 1 follows 31."""
    return Piece([(begin + n - 1) % (VOCAB - 1) + 1 for n in range(size)], language)
