"""How near_dedup grows: bands, clusters and their memory over signatures that are made up, without any text.

Enters: a number of documents: seven in ten alone, a quarter in families of five that are 0.9 alike, three in a hundred
in one family, and two in a hundred in one chain in which each shares a band with the next. Leaves: seconds, bytes on
disk and rows of each phase, the turns that connecting took, and the peak memory of the one process that ran every task,
after a check that the clusters are those that were made. The rounds are those of a run, but for the last, which needs
texts. No peer: datatrove clusters in one process, which `benchmarks.dedup` times. Run by `python -m
benchmarks.dedup_scale [--documents N] [--save]`. Limit: units have 200,000 documents, partitions some 100 MB.
"""

import io
import sys
import tempfile
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console

from benchmarks.contenders import use_one_core
from benchmarks.harness import input_hash, report
from loopdata import schema
from loopdata.compiled import compiled
from loopdata.config import Strict
from loopdata.dedup.grams import Hashes, mix
from loopdata.dedup.minhash import band_hashes
from loopdata.dedup.near import BAND, NearConfig, NearDedup
from loopdata.engine.attempt import Attempt
from loopdata.engine.driver import Driver, Failures
from loopdata.engine.inline_runner import InlineRunner
from loopdata.engine.part_file import part_file, read_file
from loopdata.engine.progress import Progress
from loopdata.engine.threads import pin_threads
from loopdata.engine.unit import Manifest, Unit
from loopdata.storage import Folder
from pipelines.corpus import decide

BLOCK, UNIT = 1_000, 200_000
PARTITION_BYTES = 128 << 20
EXCHANGE_BYTES = 256 << 20
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


def main() -> None:
    use_one_core()
    pin_threads()
    documents = int(sys.argv[sys.argv.index("--documents") + 1]) if "--documents" in sys.argv else 1_000_000
    partitions = 16
    while partitions * PARTITION_BYTES < documents * 22 * 32:
        partitions *= 2
    with tempfile.TemporaryDirectory(prefix="loopdata-") as place:
        folder = Folder(place)
        driver = Driver(folder, InlineRunner(0), Progress(Console(file=io.StringIO())), Failures())
        blocks = range(0, documents // BLOCK, UNIT // BLOCK)
        units = [
            Unit("blocks", str(first), Blocks(first, min(first + UNIT // BLOCK, documents // BLOCK)))
            for first in blocks
        ]
        manifests = driver.phase("blocks", units)
        stage = Generated(NearConfig(partitions=partitions, max_cluster_mb=1 << 20, boilerplate=None))
        decide(stage, manifests, driver, EXCHANGE_BYTES)
        by_phase: dict[str, list[Manifest]] = {}
        for found in driver.done[len(manifests) :]:
            by_phase.setdefault(found.phase.removeprefix("near_dedup."), []).append(found)
        clusters = check(folder, by_phase["clusters.reduce"], documents)
    figures = {
        "documents": documents,
        "partitions": partitions,
        "clusters_by_size": clusters,
        "turns": sum(name.startswith("contract") and name.endswith("reduce") for name in by_phase),
        "seconds": round(sum(found.seconds for group in by_phase.values() for found in group), 1),
        "phases": {name: cost(group) for name, group in by_phase.items()},
    }
    report("dedup_scale", {}, figures, input_hash(str(documents)), ("numba", "numpy", "pyarrow"))


def cost(group: list[Manifest]) -> dict[str, float]:
    return {
        "units": len(group),
        "rows": sum(found.figures["rows"] for found in group),
        "disk_mb": round(sum(output.num_bytes for found in group for output in found.outputs.values()) / 1e6, 1),
        "seconds": round(sum(found.seconds for found in group), 2),
        "longest": max(found.seconds for found in group),
    }


if __name__ == "__main__":
    main()
