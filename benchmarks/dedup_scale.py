"""How near_dedup grows: bands, clusters and their memory over signatures that are made up, without any text.

Enters: a number of documents: seven in ten alone, a quarter in families of five that are 0.9 alike, three in a hundred
in one family, and two in a hundred in one chain in which each shares a band with the next. Leaves: seconds, bytes on
disk and rows of each phase, the turns that connecting took, and the peak memory of the largest process that ran tasks
and of the driver, after a check that the clusters are those that were made. The rounds are those of a run, but for the
last, which needs texts; what a phase read is removed when it is done. No peer: datatrove clusters in one process, which
`benchmarks.dedup` times. Run by `python -m benchmarks.dedup_scale [--documents N] [--workers N] [--save]`; TMPDIR says
where the files go. Limit: units have 200,000 documents, partitions some 100 MB.
"""

import io
import multiprocessing
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console

from benchmarks.harness import input_hash, report
from loopdata import schema
from loopdata.compiled import compiled
from loopdata.config import Strict
from loopdata.dedup.grams import Hashes, mix
from loopdata.dedup.minhash import band_hashes
from loopdata.dedup.near import BAND, NearConfig, NearDedup
from loopdata.engine.attempt import Attempt
from loopdata.engine.driver import Driver, Failures
from loopdata.engine.part_file import part_file, read_file
from loopdata.engine.progress import Progress
from loopdata.engine.unit import Manifest, Unit
from loopdata.engine.work import Result, attempt_unit
from loopdata.storage import Folder
from pipelines.corpus import decide

BLOCK, UNIT = 1_000, 200_000
PARTITION_BYTES = 128 << 20
EXCHANGE_BYTES = 256 << 20
PROCESSES = {"tasks": resource.RUSAGE_CHILDREN, "driver": resource.RUSAGE_SELF}
FAMILY, BIG, CHAIN = 1 << 49, 1 << 50, 1 << 51


class Generated(NearDedup):
    """near_dedup over documents that stand for BLOCK documents each, up to its clusters."""

    def __init__(self, config: Strict) -> None:
        super().__init__(config)
        self.rounds = self.rounds[:-1]  # type: ignore[misc]

    def _bands(self, table: pa.Table, boilerplate: Hashes) -> pa.Table:
        first = np.array([int(name) for name in table["doc_id"].to_pylist()]) * BLOCK
        doc = (np.repeat(first, BLOCK) + np.tile(np.arange(BLOCK), len(first))).astype(np.uint64)
        count, rows = self.rule.bands
        keys = band_hashes(signatures(doc, count * rows), count, rows)
        chain(doc, keys)
        columns = [keys.reshape(-1), np.repeat(mixed(doc), count), np.full(keys.size, 400)]
        return pa.table([*map(pa.array, columns), pa.nulls(keys.size, pa.uint64())], schema=BAND)


@compiled
def mixed(values: Any) -> Any:
    found = np.empty_like(values)
    for place in range(len(values)):
        found[place] = mix(values[place])
    return found


@compiled
def signatures(doc: Any, places: Any) -> Any:
    """Each place is that of the family in nine of ten documents, else the document's own."""
    found = np.empty((len(doc), places), np.uint32)
    for row in range(len(doc)):
        kind, family = doc[row] % np.uint64(100), doc[row]
        if kind >= 95:
            family = np.uint64(BIG)
        elif kind >= 70:
            family = np.uint64(FAMILY) + doc[row] // np.uint64(500) * np.uint64(25) + kind % np.uint64(25)
        for place in range(places):
            own = mix(doc[row] * np.uint64(1024) + np.uint64(place))
            from_family = mix(family * np.uint64(1024) + np.uint64(place))
            found[row, place] = np.uint32(from_family >> np.uint64(32) if own % np.uint64(10) else own >> np.uint64(32))
    return found


@compiled
def chain(doc: Any, keys: Any) -> None:
    """Documents of the chain meet nobody but the next in their first band and the one before in their second."""
    for row in range(len(doc)):
        kind = doc[row] % np.uint64(100)
        if kind >= 98:
            link = np.uint64(CHAIN) + doc[row] // np.uint64(100) * np.uint64(2) + kind - np.uint64(98)
            for band in range(keys.shape[1]):
                keys[row, band] = mix(keys[row, band] ^ mix(link))
            keys[row, 0], keys[row, 1] = mix(link), mix(link + np.uint64(1))


class Blocks:
    """Writes the documents of one unit: numbers of blocks."""

    def __init__(self, first: int, stop: int) -> None:
        self.first, self.stop = first, stop

    def identity(self) -> dict[str, Any]:
        return {}

    def run(self, attempt: Attempt) -> None:
        rows = [{"doc_id": str(number), "text": "", "category": "code"} for number in range(self.first, self.stop)]
        columns = {name: schema.DOCUMENT[name] for name in {*NearDedup().needs, "category"}}
        table = schema.table_of(rows, schema.document_schema(columns))
        with attempt.table("documents", table.schema) as writer:
            writer.write(table)


def check(folder: Folder, given: list[Manifest], documents: int) -> dict[str, int]:
    """Sizes of clusters: those that were made, and no others."""
    sizes: Counter[int] = Counter()
    for found in given:
        clusters = [table["cluster"].to_numpy() for table in read_file(folder, part_file(found, "rows"))]
        if clusters:
            sizes.update(np.unique(np.concatenate(clusters), return_counts=True)[1].tolist())
    wanted = {5: documents // 20, documents // 100 * 3: 1, documents // 100 * 2: 1}
    if dict(sizes) != wanted:
        raise SystemExit(f"clusters of other sizes than were made: {sizes}")
    return {str(size): count for size, count in sorted(sizes.items())}


class Workers:
    """Runs units in processes, whose memory is theirs alone."""

    name = "workers"

    def __init__(self, number: int) -> None:
        self._pool = ProcessPoolExecutor(number, multiprocessing.get_context("spawn"))

    def run(self, folder: Folder, units: Iterable[Unit]) -> Iterator[Result]:
        for done in as_completed([self._pool.submit(attempt_unit, folder, unit, 0) for unit in units]):
            yield done.result()

    def close(self) -> None:
        self._pool.shutdown()


class Space:
    """Removes what the phase before wrote: no phase of these reads further back. Keeps the most that lay there."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.most = 0
        self._before: list[Manifest] = []

    def __call__(self, found: list[Manifest]) -> None:
        self.most = max(self.most, sum(map(disk_bytes, self._before + found)))
        for manifest in self._before:
            for output in manifest.outputs.values():
                self.folder.remove(output.name)
        self._before = found
        took = sum(manifest.seconds for manifest in found)
        print(f"{found[0].phase}: {len(found)} units, {took:.0f} s", file=sys.stderr, flush=True)


def disk_bytes(manifest: Manifest) -> int:
    return sum(output.num_bytes for output in manifest.outputs.values())


def argument(name: str, default: int) -> int:
    return int(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else default


def main() -> None:
    documents = argument("--documents", 1_000_000)
    partitions = 16
    while partitions * PARTITION_BYTES < documents * 22 * 32:
        partitions *= 2
    with tempfile.TemporaryDirectory(prefix="loopdata-") as place:
        folder, workers = Folder(place), Workers(argument("--workers", 1))
        space = Space(folder)
        driver = Driver(folder, workers, Progress(Console(file=io.StringIO())), Failures(), space)
        blocks = range(0, documents // BLOCK, UNIT // BLOCK)
        units = [
            Unit("blocks", str(first), Blocks(first, min(first + UNIT // BLOCK, documents // BLOCK)))
            for first in blocks
        ]
        manifests = driver.phase("blocks", units)
        stage = Generated(NearConfig(partitions=partitions, max_cluster_mb=1 << 20, boilerplate=None))
        decide(stage, manifests, driver, EXCHANGE_BYTES)
        workers.close()
        by_phase: dict[str, list[Manifest]] = {}
        for found in driver.done[len(manifests) :]:
            by_phase.setdefault(found.phase.removeprefix("near_dedup."), []).append(found)
        used = {name: resource.getrusage(who) for name, who in PROCESSES.items()}
        clusters = check(folder, by_phase["clusters.reduce"], documents)
    figures = {
        "documents": documents,
        "partitions": partitions,
        "clusters_by_size": clusters,
        "turns": sum(name.startswith("contract") and name.endswith("reduce") for name in by_phase),
        "seconds": round(sum(found.seconds for group in by_phase.values() for found in group), 1),
        "cpu_seconds": {name: round(spent.ru_utime + spent.ru_stime, 1) for name, spent in used.items()},
        "peak_memory_mb": {name: round(spent.ru_maxrss / 1024) for name, spent in used.items()},
        "most_disk_mb": round(space.most / 1e6, 1),
        "phases": {name: cost(group) for name, group in by_phase.items()},
    }
    report("dedup_scale", {}, figures, input_hash(str(documents)), ("numba", "numpy", "pyarrow"))


def cost(group: list[Manifest]) -> dict[str, float]:
    return {
        "units": len(group),
        "rows": sum(found.figures["rows"] for found in group),
        "disk_mb": round(sum(map(disk_bytes, group)) / 1e6, 1),
        "seconds": round(sum(found.seconds for found in group), 2),
        "longest": max(found.seconds for found in group),
    }


if __name__ == "__main__":
    main()
