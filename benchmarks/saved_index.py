"""What asking a saved index costs: memory, time and bytes read, over indexes of growing size.

Enters: a number of documents: texts of 40 to 400 words of their own, made up. Leaves: for an index of a hundredth of
them, a tenth and all: bytes a document on disk, seconds and peak memory of the process that saves it, and of one that
asks it about the same 20,000 new documents, of which half are near copies of indexed ones, through all of the stage's
rounds in memory; after a check that those and no others are dropped. The first index is empty, for comparison. No
peer: what this replaces held 5.2 kB a document in every worker. Run by `python -m benchmarks.saved_index [--documents
N] [--save]`. Limit: the page cache of the system holds what was just written; a cold disk or an object store is slower.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.contenders import use_one_core
from benchmarks.harness import input_hash, report
from loopdata.dedup.index import BATCH_ROWS, Grams, save
from loopdata.dedup.near import NearConfig, NearDedup
from loopdata.storage import Folder
from tests.dedup.drive import document, drive

ASKED = 20_000


def text(number: int, lost: int = 0) -> str:
    """Words that no other document has, without the last few."""
    words = 40 + 360 * (number * 7919 % 1000) // 1000
    return " ".join(f"w{number}x{place}" for place in range(words - lost))


def tables(documents: int) -> Iterator[pa.Table]:
    for first in range(0, documents, BATCH_ROWS):
        numbers = range(first, min(documents, first + BATCH_ROWS))
        yield pa.table(
            {"doc_id": [f"old-{n}" for n in numbers], "text": pa.array(map(text, numbers), pa.large_string())}
        )


def saved(path: str, documents: int) -> dict[str, Any]:
    near = NearDedup()
    save(Folder(path), tables(documents), Grams(112, 5, "words"), near.rule.bands)
    return {"disk_bytes_a_document": round(sum(file.num_bytes for file in Folder(path).files()) / max(1, documents))}


def asked(path: str, documents: int) -> dict[str, Any]:
    """Half are copies without their last words, spread over the index; the others are new."""
    copies = np.linspace(0, documents - 1, min(ASKED // 2, documents)).astype(int).tolist() if documents else []
    rows = [document(f"copy-{n}", text(n, lost=2)) for n in copies]
    rows += [document(f"new-{n}", text(documents + n)) for n in range(ASKED - len(rows))]
    [stage] = NearDedup(NearConfig(index=path)).before()
    units = {str(start): rows[start : start + BATCH_ROWS] for start in range(0, len(rows), BATCH_ROWS)}
    before = time.process_time()
    _, fates = drive(stage, units)  # type: ignore[arg-type]
    seconds = time.process_time() - before
    wanted = {f"copy-{n}": f"old-{n}" for n in copies}
    if {subject: fate.ref for subject, fate in fates.items()} != wanted:
        raise AssertionError(f"{len(fates)} dropped of {len(wanted)} copies")
    return {"dropped": len(fates), "cpu_seconds": round(seconds, 1)}


def in_a_process(what: str, path: str, documents: int) -> dict[str, Any]:
    """What a child measured, with its seconds and its peak memory in MB."""
    command = [sys.executable, "-m", "benchmarks.saved_index", what, path, str(documents)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]))


def main() -> None:
    use_one_core()
    if sys.argv[1:2] in (["saved"], ["asked"]):
        started = time.perf_counter()
        found = {"saved": saved, "asked": asked}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
        found |= {"wall_seconds": round(time.perf_counter() - started, 1)}
        found["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        print(json.dumps(found))
        return
    most = int(sys.argv[sys.argv.index("--documents") + 1]) if "--documents" in sys.argv else 1_000_000
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for documents in (0, most // 100, most // 10, most):
            path = str(Path(folder) / str(documents))
            figures[str(documents)] = {what: in_a_process(what, path, documents) for what in ("saved", "asked")}
            print(documents, figures[str(documents)], flush=True)
    report("saved_index", {}, figures, input_hash(text(most)), ("numba", "numpy", "pyarrow"))


if __name__ == "__main__":
    main()
