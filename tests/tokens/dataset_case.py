"""Small shards, packings and datasets that several tests build."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loopdata.schema import SAMPLE, table_of
from loopdata.storage import Folder, Written
from loopdata.tokens.tokenizer import Encoded
from loopdata.tokens.writer import ShardWriter

VOCAB_SIZE = 60_000


def sample(sample_id: str, tokens: Sequence[int], **columns: Any) -> dict[str, Any]:
    """A sample with loss everywhere, unless `loss` gives spans."""
    spans = [(0, len(tokens))] if tokens else []
    return {"sample_id": sample_id, "tokens": list(tokens), "category": "file", "split": "train", "language": "python",
            "whole": False, "loss": spans, "parents": [f"of {sample_id}"], **columns}  # fmt: skip


def write_shard(folder: Path, stem: str, samples: Sequence[dict[str, Any]]) -> list[Written]:
    lengths = [len(entry["tokens"]) for entry in samples]
    spans = [span for entry in samples for span in entry["loss"]]
    encoded = Encoded(
        np.array([token for entry in samples for token in entry["tokens"]], np.uint32),
        np.cumsum([0, *lengths]),
        np.array(spans, np.int64).reshape(-1, 2),
        np.cumsum([0, *(len(entry["loss"]) for entry in samples)]),
    )
    with ShardWriter(Folder(folder), stem, VOCAB_SIZE) as shard:
        shard.write(table_of([{k: v for k, v in e.items() if k in SAMPLE.names} for e in samples], SAMPLE), encoded)
        return shard.finish()
