"""Parts of the exchange: found by their range of bytes, beside row groups of one Parquet file a map.

Enters: rows like those of bands, 400,000 in each of eight maps, cut into 16, 256 and 2,048 partitions, and 2,000 in a
map, as a small run has them. Leaves: CPU microseconds of reading and of writing a part, after a check that both give
the same rows; what the driver spends on a part; and what it keeps for one, when there are so many partitions and maps.
The peer is how parts were kept before: row groups (zstd, level 3), of which each read opens the footer of the file. Run
by `python -m benchmarks.exchange [--save]`. Limit: on a local disk, from its cache; an object store adds a request to
each read of either; and the formats differ in their codec too (ours lz4), as they were and are used.
"""

import json
import tempfile
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.contenders import measure, median, use_one_core
from benchmarks.harness import input_hash, report
from loopdata.dedup.near import BAND
from loopdata.engine.attempt import Attempt, perform
from loopdata.engine.exchange import Shares, partition_name, partition_of, read_share, write_partitions
from loopdata.engine.threads import pin_threads
from loopdata.engine.unit import Manifest, Unit
from loopdata.storage import Folder

MAPS, SAMPLE, ROUNDS = 8, 32, 3
CASES = ((400_000, 16), (400_000, 256), (400_000, 2_048), (2_000, 16), (2_000, 256))


class Emit:
    """The rows of one map."""

    def __init__(self, seed: int, rows: int, partitions: int) -> None:
        self.seed, self.rows, self.partitions = seed, rows, partitions

    def identity(self) -> dict[str, Any]:
        return vars(self)

    def table(self) -> pa.Table:
        random = np.random.default_rng(self.seed)
        keys, docs = (random.integers(0, 2**64 - 1, self.rows, np.uint64) for _ in range(2))
        grams, unit = random.integers(50, 2_000, self.rows), np.full(self.rows, self.seed, np.uint64)
        return pa.table([keys, docs, grams, unit], schema=BAND)

    def run(self, attempt: Attempt) -> None:
        with attempt.parts("rows", BAND) as writer:
            write_partitions(writer, self.table(), self.partitions)


def write_groups(table: pa.Table, partitions: int, path: Path) -> None:
    order = np.argsort(partition_of(table["key"].to_numpy(), partitions), kind="stable")
    which = partition_of(table["key"].to_numpy()[order], partitions)
    bounds = np.searchsorted(which, np.arange(partitions + 1))
    table = table.take(pa.array(order))
    with pq.ParquetWriter(path, BAND, compression="zstd", compression_level=3, use_dictionary=False) as writer:
        for first, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            writer.write_table(table.slice(first, stop - first))


def read_group(path: Path, group: int) -> pa.Table:
    with path.open("rb") as stream, pq.ParquetFile(stream, pre_buffer=False) as parquet:
        return parquet.read_row_group(group, use_threads=False)


def kept(make: Callable[[], Any]) -> int:
    """Bytes that what it gives takes in this process."""
    tracemalloc.start()
    found = make()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del found
    return size


def case(folder: Folder, rows: int, partitions: int) -> dict[str, float]:
    tasks = [Emit(seed, rows, partitions) for seed in range(MAPS)]
    found = [perform(Attempt(folder, Unit(f"map-{rows}-{partitions}", str(task.seed), task))) for task in tasks]
    paths = [folder.local(f"{task.seed}.parquet") for task in tasks]
    for task, path in zip(tasks, paths, strict=True):
        write_groups(task.table(), partitions, path)
    shares, names = Shares(folder, found), [partition_name(number, partitions) for number in range(partitions)]
    shares.publish()
    some = range(0, partitions, max(1, partitions // SAMPLE))
    read = {
        "read_ours": lambda: [pa.concat_tables([*read_share(folder, shares.of(names[n])), EMPTY]) for n in some],
        "read_parquet": lambda: [pa.concat_tables(read_group(path, n) for path in paths) for n in some],
    }
    if [part.to_pylist() for part in read["read_ours"]()] != [part.to_pylist() for part in read["read_parquet"]()]:
        raise SystemExit("the rows differ")
    table, again = tasks[0].table(), folder.local("again.parquet")
    write = {
        "write_ours": partial(write_ours, folder, table, partitions),
        "write_parquet": partial(write_groups, table, partitions, again),
    }
    micros = {name: 1e6 * median(times) / len(some) / MAPS for name, times in measure(read, ROUNDS).items()}
    micros |= {name: 1e6 * median(times) / partitions for name, times in measure(write, ROUNDS).items()}
    micros["driver"] = 1e6 * median(measure({"driver": lambda: Shares(folder, found)}, ROUNDS)["driver"])
    micros["driver"] /= partitions * MAPS
    few, many = (kept(partial(every_share, folder, some, names)) for some in (found[:1], found))
    figures = {f"{name}_us": round(value, 2) for name, value in micros.items()}
    figures |= {"driver_bytes_a_partition": round(few / partitions), f"with_{MAPS}_maps": round(many / partitions)}
    sizes = {"file_bytes_a_row": found[0].outputs["rows"].num_bytes, "parquet_bytes_a_row": paths[0].stat().st_size}
    return figures | {name: round(size / rows, 1) for name, size in sizes.items()}


EMPTY = BAND.empty_table()


def write_ours(folder: Folder, table: pa.Table, partitions: int) -> None:
    with Attempt(folder, Unit("again", "", Emit(0, 0, 1))).parts("rows", BAND) as writer:
        write_partitions(writer, table, partitions)


def every_share(folder: Folder, found: list[Manifest], names: list[int]) -> Any:
    shares = Shares(folder, found)
    return shares, [shares.of(name) for name in names]


def main() -> None:
    use_one_core()
    pin_threads()
    with tempfile.TemporaryDirectory(prefix="loopdata-") as place:
        figures: dict[str, Any] = {f"{rows}_rows_{n}_partitions": case(Folder(place), rows, n) for rows, n in CASES}
    ratios = {}
    for name, found in figures.items():
        for what in ("read", "write"):
            ratios[f"parquet_{what}_{name}"] = found[f"{what}_parquet_us"] / found[f"{what}_ours_us"]
    report("exchange", ratios, figures, input_hash(json.dumps(CASES)), ("numpy", "pyarrow"))


if __name__ == "__main__":
    main()
