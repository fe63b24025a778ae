"""Writes `dataset.json`, which makes one dataset of shards, packing indexes and a training order.

Enters: what was written of each, and the tokenizer. Leaves: the bytes of each token, the order, and last, atomically,
`dataset.json` as `shards` describes it: until then readers see the dataset that was there before. Only shards that some
packing uses are named. Limit: everything lies below one folder, on which all names are relative.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopdata.errors import ShardError
from loopdata.storage import Folder, Written
from loopdata.tokens.packing import Packed, write_array
from loopdata.tokens.shards import FORMAT, ORDER
from loopdata.tokens.tokenizer import Tokenizer


def write_dataset(
    folder: Folder,
    stem: str,
    *,
    tokenizer: Tokenizer,
    length: int,
    shards: Mapping[str, Sequence[Written]],
    packings: Sequence[Packed],
    order: NDArray[np.void],
    name: str = "dataset.json",
) -> list[Written]:
    """Write `STEM.token_bytes.npy`, `STEM.order.npy` and `name`; return all three.

    `shards` gives the files of each shard by its stem; `order` (shards.ORDER) counts packings as `packings` lists them.
    ShardError where a packing has another length or uses a shard that is not given.
    """
    for packing in packings:
        if packing.length != length:
            raise ShardError(f"{packing.stem} is packed to {packing.length} tokens, the dataset to {length}")
    used = sorted({shard for packing in packings for shard in packing.shards})
    if absent := [shard for shard in used if shard not in shards]:
        raise ShardError(f"a packing uses the shard {absent[0]}, which is not among the dataset's")
    written = [
        write_array(folder, f"{stem}.token_bytes.npy", tokenizer.token_bytes),
        write_array(folder, f"{stem}.order.npy", np.asarray(order, ORDER)),
    ]
    files = [*(file for shard in used for file in shards[shard]), *(f for p in packings for f in p.files), *written]
    manifest = {
        "format": FORMAT,
        "length": length,
        "dtype": "uint16" if tokenizer.vocab_size < 65_536 else "int32",
        "vocab_size": tokenizer.vocab_size,
        "tokenizer": tokenizer.digest,
        "end_of_text": tokenizer.end_of_text,
        "token_bytes": written[0].name,
        "order": written[1].name,
        "languages": sorted({language for packing in packings for language in packing.languages}),
        "categories": sorted({packing.category for packing in packings}),
        "shards": used,
        "packings": [_entry(packing, used) for packing in packings],
        "files": {file.name: {"num_bytes": file.num_bytes, "sha256": file.sha256} for file in files},
    }
    return [*written, folder.write_atomic(name, json.dumps(manifest, indent=1, ensure_ascii=False).encode())]


def _entry(packing: Packed, shards: list[str]) -> dict[str, Any]:
    """All that Packed says, with shards as numbers."""
    entry = {key: value for key, value in asdict(packing).items() if key != "files"}
    return entry | {"shards": [shards.index(stem) for stem in packing.shards]}
