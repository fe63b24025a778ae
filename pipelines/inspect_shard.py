"""What a shard holds, and which document a token comes from: the way back that `explain` goes forth.

Enters: a shard inside a run folder, and perhaps a token offset. Leaves: its size and first samples, or the sample at
the offset with its documents, their places, and the text around the token. Limit: the shard must still lie in its run
folder, where the tokenizer and the locations are.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from loopdata.engine.ledger import NAME as LEDGER
from loopdata.engine.ledger import Ledger, manifests
from loopdata.engine.tables import read_tables
from loopdata.errors import ConfigError
from loopdata.storage import Folder
from loopdata.tokens.shards import Shard
from loopdata.tokens.tokenizer import Tokenizer

SUFFIXES = (".bin", ".idx", ".samples.parquet")
AROUND = 24
MAX_ROWS = 10


@dataclass
class Inspection:
    """`samples` are rows of the shard's index: the first ones, or the one at the offset."""

    stem: str
    num_samples: int
    num_tokens: int
    dtype: str
    samples: list[dict[str, Any]]
    places: list[dict[str, Any]] = field(default_factory=list)
    before: str = ""
    at: str = ""
    after: str = ""


def inspect_shard(path: str, offset: int | None) -> Inspection:
    """ConfigError for an offset beyond the shard, ShardError for a broken one."""
    stem = Path(path)
    for suffix in SUFFIXES:
        stem = Path(str(stem).removesuffix(suffix))
    shard = Shard.open(stem)
    index = pq.read_table(f"{stem}.samples.parquet")
    total = int(shard.offsets[-1])
    result = Inspection(str(stem), len(shard), total, str(shard.dtype), index.slice(0, MAX_ROWS).to_pylist())
    if offset is None:
        return result
    if offset >= total:
        raise ConfigError(f"--offset {offset}: the shard {stem}.bin has {total} tokens")
    number = int(np.searchsorted(shard.offsets, offset, side="right")) - 1
    result.samples = index.slice(number, 1).to_pylist()
    run = _run_of(stem)
    result.places = _places(run, result.samples[0]["parents"])
    tokens, at = shard.tokens(number), offset - int(shard.offsets[number])
    tokenizer = _tokenizer(run)
    cuts = ((max(0, at - AROUND), at), (at, at + 1), (at + 1, at + 1 + AROUND))
    parts = [tokenizer.decode(tokens[start:stop]).decode("utf-8", "replace") for start, stop in cuts]
    result.before, result.at, result.after = parts
    return result


def _run_of(stem: Path) -> Folder:
    for folder in stem.resolve().parents:
        if (folder / LEDGER).exists():
            return Folder(str(folder))
    raise ConfigError(f"{stem} does not lie in a run folder", "inspect it where `loopdata run` wrote it")


def _places(run: Folder, parents: list[str]) -> list[dict[str, Any]]:
    rows = []
    for manifest in manifests(run, Ledger.read(run), "ingest"):
        for table in read_tables(run, manifest.output("locations")):
            rows += table.filter(pc.is_in(table["doc_id"], value_set=pc.cast(parents, "string"))).to_pylist()
    return rows


def _tokenizer(run: Folder) -> Tokenizer:
    found = next(manifests(run, Ledger.read(run), "tokenizer"))
    return Tokenizer(run.read(found.output("tokenizer").name))


def print_inspection(found: Inspection, console: Console) -> None:
    """A table of samples, or the place of one token."""
    console.print(f"{found.stem}: {found.num_samples:,} samples, {found.num_tokens:,} tokens ({found.dtype})")
    table = Table("sample", "category", "split", "language", "first token", "tokens", box=None, header_style="dim")
    for row in found.samples:
        shown = (row["sample_id"], row["category"], row["split"], row["language"] or "", row["offset"], row["length"])
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in shown))
    console.print(table)
    for place in found.places:
        name = "/".join(str(place[key]) for key in ("source", "repo", "path") if place.get(key))
        console.print(f"from {name} (doc_id {place['doc_id']})", highlight=False, markup=False, soft_wrap=True)
    if found.at:
        console.print(f"{found.before!r} [{found.at!r}] {found.after!r}", highlight=False, markup=False, soft_wrap=True)
