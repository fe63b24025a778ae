"""What a shard holds, and which document a token comes from: the way back that `explain` goes forth.

Enters: a run folder, or a shard inside one and perhaps a token offset. Leaves: the shards of the run; or the size and
first samples of the shard; or the sample at the offset with its documents, their places, and the text around the token.
Limit: the shard must still lie in its run folder, where the tokenizer and the locations are.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from loopdata.engine.ledger import NAME as LEDGER
from loopdata.engine.ledger import Ledger, manifests
from loopdata.engine.tables import read_tables
from loopdata.engine.unit import Manifest
from loopdata.errors import ConfigError, ShardError
from loopdata.storage import Folder
from loopdata.tokens.shards import Shard
from loopdata.tokens.tokenizer import Tokenizer
from pipelines.places import place_name

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


@dataclass
class Listed:
    """A shard of a run. `shard` is what `inspect_shard` takes; `num_bytes` are those of the texts."""

    shard: str
    category: str
    split: str
    samples: int
    tokens: int
    num_bytes: int


@dataclass
class Shards:
    """The shards of a run, in the order of its units."""

    run: str
    shards: list[Listed]


def inspect(path: str, offset: int | None) -> Shards | Inspection:
    """The shards of a run folder, or what one shard holds. Errors are those of `inspect_shard` and `list_shards`."""
    if not Path(path).is_dir():
        return inspect_shard(path, offset)
    if offset is not None:
        raise ConfigError(
            f"--offset {offset}: {path} is a folder", f"name a shard: `loopdata inspect {path}` lists them"
        )
    return list_shards(path)


def list_shards(url: str) -> Shards:
    """RunError where the folder holds no run, ConfigError for one without shards."""
    run = Folder(url)
    found = [
        Listed(f"{url.rstrip('/')}/{output.name}", manifest.phase.partition(".")[2], split, *_counts(manifest, split))
        for manifest in manifests(run, Ledger.read(run))
        for label, output in manifest.outputs.items()
        if (split := label.removesuffix(".bin")) != label
    ]
    if not found:
        raise ConfigError(
            f"the run {url} has no shards", "add the sections `tokens` and `samples`, or run it to its end"
        )
    return Shards(url, found)


def _counts(manifest: Manifest, split: str) -> tuple[int, int, int]:
    samples, tokens, num_bytes = manifest.figures["samples"][split]
    return samples, tokens, num_bytes


def inspect_shard(path: str, offset: int | None) -> Inspection:
    """ConfigError for an offset beyond the shard, ShardError for a broken one."""
    stem = Path(path)
    for suffix in SUFFIXES:
        stem = Path(str(stem).removesuffix(suffix))
    shard = Shard.open(stem)
    index = _index(f"{stem}.samples.parquet")
    if index.num_rows != len(shard):
        raise ShardError(f"{stem}.samples.parquet has {index.num_rows} samples, {stem.name}.idx has {len(shard)}")
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
    tokenizer = tokenizer_of(run)
    cuts = ((max(0, at - AROUND), at), (at, at + 1), (at + 1, at + 1 + AROUND))
    parts = [tokenizer.decode(tokens[start:stop]).decode("utf-8", "replace") for start, stop in cuts]
    result.before, result.at, result.after = parts
    return result


def _index(path: str) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        cause = " ".join(str(error).split())
        raise ShardError(f"cannot read the samples of the shard, {path}: {cause}", "run the run file again") from None


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


def tokenizer_of(run: Folder) -> Tokenizer:
    found = next(manifests(run, Ledger.read(run), "tokenizer"), None)
    if found is None:
        raise ConfigError(f"the run {run.url} has no tokenizer now", "run it again with the section `tokens`")
    return Tokenizer(run.read(found.output("tokenizer").name))


def print_found(found: Shards | Inspection, console: Console) -> None:
    """Text for people."""
    print_shards(found, console) if isinstance(found, Shards) else print_inspection(found, console)


def print_shards(found: Shards, console: Console) -> None:
    """A line a shard, the path last and whole, so that it can be copied."""
    console.print(f"{'category':<12} {'split':<5} {'samples':>8} {'tokens':>12}  shard", style="dim", highlight=False)
    for at in found.shards:
        line = f"{at.category:<12} {at.split:<5} {at.samples:>8,} {at.tokens:>12,}  {at.shard}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def print_inspection(found: Inspection, console: Console) -> None:
    """A table of samples, or the place of one token."""
    line = f"{found.stem}: {found.num_samples:,} samples, {found.num_tokens:,} tokens ({found.dtype})"
    console.print(line, highlight=False, markup=False, soft_wrap=True)
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("sample", "split", "language", "first token", "tokens"):
        table.add_column(name, justify="right" if "token" in name else "left", no_wrap=True)
    for row in found.samples:
        numbers = (f"{row['offset']:,}", f"{row['length']:,}")
        table.add_row(row["sample_id"], row["split"], row["language"] or "", *numbers)
    console.print(table)
    if len(found.samples) < found.num_samples and not found.at:
        console.print(f"(the first {len(found.samples)}; --offset N shows the one at token N)", style="dim")
    for place in found.places:
        line = f"from {place_name(place)} (doc_id {place['doc_id']})"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if found.at:
        console.print(f"{found.before!r} [{found.at!r}] {found.after!r}", highlight=False, markup=False, soft_wrap=True)
