"""Near deduplication of real sources from end to end, beside datatrove's four MinHash stages, on one core.

Enters: Python sources of this machine with edited copies among them, cleaned and written as Parquet by the engine.
Leaves: CPU seconds of each from reading those files to having written the documents that stay, after a comparison of
what they keep. Both cut 110 minima over word 5-grams into 22 bands of 5. Ours is the stage in the engine, one process,
every step committed as in a run. datatrove's steps are called one after the other without an executor, with a regular
expression in the place of its word tokenizer, its default text normalisation and hash, and whole files buffered. What
is kept is judged on at most JUDGED_MB of the same kind, since every pair is looked at. Run by `python -m
benchmarks.dedup [--mb N] [--save]`. Limit: CPU time does not count waiting for a disk.
"""

import io
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from benchmarks.contenders import Seconds, measure, median, ratios, source_files, spread, use_one_core
from benchmarks.harness import input_hash, report
from benchmarks.minhash import datatrove_minhash
from loopdata import schema
from loopdata.config import Strict
from loopdata.dedup.grams import gram_sets, jaccard
from loopdata.dedup.minhash import sign
from loopdata.engine.driver import Driver, Failures
from loopdata.engine.inline_runner import InlineRunner
from loopdata.engine.progress import Progress
from loopdata.engine.tables import read_table
from loopdata.engine.unit import Manifest
from loopdata.sources.split import Splitter
from loopdata.stage import Batch, Input, Source
from loopdata.storage import Folder
from pipelines.corpus import Listing, build_corpus
from pipelines.run_file import resolve

FILES, BATCH, ROUNDS, CALLS, JUDGED_MB = 8, 500, 3, 4, 100
BANDS, ROWS, WORDS, THRESHOLD = 22, 5, 5, 0.7
NOWHERE = {"kind": "files", "path": "."}  # a run file names a source; the listing says what is read


def corpus(max_bytes: int) -> list[str]:
    """Sources, each fourth followed by a copy without up to a tenth of its lines."""
    draw = random.Random(11)
    texts = []
    for number, text in enumerate(source_files(max_bytes * 4 // 5, step=max(1, 300_000_000 // max_bytes))):
        texts.append(text)
        if number % 4 == 0:
            gone = draw.uniform(0.0, 0.1)
            texts.append("\n".join(line for line in text.split("\n") if draw.random() >= gone))
    return texts


class Texts(Source):
    """Texts in memory, one repository each, in FILES inputs."""

    name = "texts"
    Config = Strict

    def __init__(self, texts: list[str]) -> None:
        super().__init__(Strict(), label="texts")
        self.texts = texts

    def identity(self) -> dict[str, Any]:
        return {"source": self.name}

    def inputs(self) -> list[Input]:
        return [Input(str(n), str(n), sum(map(len, self.texts[n::FILES])), (str(n),)) for n in range(FILES)]

    def read(self, item: Input) -> Iterator[Batch]:
        mine = self.texts[int(item.name) :: FILES]
        for start in range(0, len(mine), BATCH):
            rows = [self._row(item.name, start + at, text) for at, text in enumerate(mine[start : start + BATCH])]
            places = [{name: row.get(name) for name in schema.LOCATION.names} for row in rows]
            documents = schema.table_of(rows, schema.source_schema())
            yield Batch(documents, [], schema.table_of(places, schema.LOCATION))

    def _row(self, unit: str, number: int, text: str) -> dict[str, Any]:
        content, path = text.encode(), f"{number:06d}.py"
        about = {"repo": f"{unit}-{number}", "path": path, "source": self.label, "category": "code", "use": "train"}
        identity = schema.doc_id(self.label, f"{unit}/{path}", content)
        return about | {"doc_id": identity, "content": content, "num_bytes": len(content)}


class Engine:
    """Corpus stages over the texts in one run folder; the documents are ingested once."""

    def __init__(self, texts: list[str], folder: Path) -> None:
        source = Texts(texts)
        self.listing = Listing([(source, item) for item in source.inputs()], Splitter(0.02))
        self.folder = Folder(folder)
        self._calls = count()

    def run(self, *stages: dict[str, Any]) -> list[Manifest]:
        file = resolve({"run": self.folder.url, "sources": {"t": NOWHERE}, "corpus": [{"clean": {}}, *stages]})
        driver = Driver(self.folder, InlineRunner(0), Progress(Console(file=io.StringIO())), Failures())
        return build_corpus(file, self.listing, driver).documents

    def near_dedup(self) -> list[Manifest]:
        """Under a new name at each call, so that nothing is found done; what the call before wrote is removed."""
        for found in self.folder.local().glob("*/near*"):
            shutil.rmtree(found)
        return self.run({"near_dedup": {"words": WORDS, "boilerplate": None}, "as": f"near{next(self._calls)}"})

    def ids(self, manifests: list[Manifest]) -> set[str]:
        tables = (read_table(self.folder, found.output("documents"), ["doc_id"]) for found in manifests)
        return {doc_id for table in tables for doc_id in table["doc_id"].to_pylist()}


class Datatrove:
    """Signature, buckets, cluster, filter over Parquet files."""

    def __init__(self, documents: list[str], folder: Path) -> None:
        self.documents, self.folder = documents, folder

    def near_dedup(self) -> Path:
        """The folder that the remaining documents were written to; that of the call before is removed."""
        from datatrove.pipeline.writers import ParquetWriter

        minhash = datatrove_minhash()
        config = minhash.MinhashConfig(n_grams=WORDS, num_buckets=BANDS, hashes_per_bucket=ROWS)
        place = self.folder / "call"
        shutil.rmtree(place, ignore_errors=True)
        signatures, buckets, removed, kept = (
            str(place / name) for name in ("signatures", "buckets", "removed", "kept")
        )
        minhash.MinhashDedupSignature(signatures, config).run(self._read(read_metadata=False))
        for bucket in range(BANDS):
            step = minhash.MinhashDedupBuckets(signatures, buckets, config=config, lines_to_buffer=-1)
            step.run(None, bucket, BANDS)
        minhash.MinhashDedupCluster(buckets, removed, config, lines_to_buffer=-1).run()
        stay = minhash.MinhashDedupFilter(removed, lines_to_buffer=-1).run(self._read(read_metadata=True))
        for _ in ParquetWriter(kept).run(stay):
            pass
        return place / "kept"

    def _read(self, read_metadata: bool) -> Any:
        from datatrove.pipeline.readers import ParquetReader

        names = Path(self.folder / "paths.txt")
        names.write_text("\n".join(Path(name).name for name in self.documents))
        folder = str(Path(self.documents[0]).parent)
        return ParquetReader(folder, str(names), read_metadata=read_metadata, id_key="doc_id").run()


def truth(texts: list[str]) -> list[tuple[int, int]]:
    """Pairs with an exact similarity of THRESHOLD or more, among those estimated within 0.2 of it."""
    column = pa.array(texts, pa.large_string())
    signatures, _ = sign(column, 128, WORDS)
    sets = gram_sets(column, WORDS)
    pairs = []
    for left in range(len(texts)):
        near = np.flatnonzero(np.mean(signatures[left + 1 :] == signatures[left], axis=1) >= THRESHOLD - 0.2)
        pairs += [(left, left + 1 + int(at)) for at in near]
    return [(left, right) for left, right in pairs if jaccard(sets[left], sets[right]) >= THRESHOLD]


def judge(kept: set[str], ids: list[str], pairs: list[tuple[int, int]]) -> dict[str, int]:
    """How many documents were dropped, how many of them with no copy that stays, and how many pairs of copies stay."""
    stays = [doc_id in kept for doc_id in ids]
    excused = {place for pair in pairs for place, other in (pair, pair[::-1]) if stays[other]}
    dropped = [place for place, stay in enumerate(stays) if not stay]
    return {
        "dropped": len(dropped),
        "dropped_without_a_copy": sum(place not in excused for place in dropped),
        "pairs_of_copies_left": sum(stays[left] and stays[right] for left, right in pairs),
    }


class Contest:
    """Ours and the peer over the same Parquet files, which the engine wrote."""

    def __init__(self, mb: int, place: Path) -> None:
        self.engine = Engine(corpus(mb * 1_000_000), place / "run")
        documents = [self.engine.folder.local(found.output("documents").name) for found in self.engine.run()]
        table = pa.concat_tables(pq.read_table(path, columns=["doc_id", "text"]) for path in documents)
        self.ids, self.texts = table["doc_id"].to_pylist(), table["text"].to_pylist()
        self.mb = sum(len(text.encode()) for text in self.texts) / 1e6
        self.peer = Datatrove([str(path) for path in documents], place)

    def judged(self) -> dict[str, Any]:
        """What both keep, by the true pairs of copies."""
        pairs = truth(self.texts)
        theirs = pq.read_table(self.peer.near_dedup(), columns=["id"])["id"].to_pylist()
        return {
            "mb": round(self.mb, 2),
            "documents": len(self.ids),
            "pairs_of_copies": len(pairs),
            "ours": judge(self.engine.ids(self.engine.near_dedup()), self.ids, pairs),
            "datatrove": judge(set(theirs), self.ids, pairs),
        }

    def seconds(self) -> Seconds:
        """In turns; of ours several calls to one of the peer's, since single short ones swing by a fifth."""
        seconds: Seconds = {"ours": [], "datatrove": []}
        for _ in range(ROUNDS):
            seconds["ours"] += measure({"ours": self.engine.near_dedup}, CALLS)["ours"]
            seconds["datatrove"] += measure({"datatrove": self.peer.near_dedup}, 1)["datatrove"]
        return seconds


def main() -> None:
    use_one_core()
    wanted = int(sys.argv[sys.argv.index("--mb") + 1]) if "--mb" in sys.argv else 100
    with tempfile.TemporaryDirectory(prefix="loopdata-") as place:
        small = Contest(min(wanted, JUDGED_MB), Path(place) / "judged")
        quality = small.judged()
        print(quality, flush=True)
        contest = small if wanted <= JUDGED_MB else Contest(wanted, Path(place) / "timed")
        print(f"{len(contest.ids)} documents, {contest.mb:.1f} MB", flush=True)
        seconds = contest.seconds()
    figures = {
        "documents": len(contest.ids),
        "mb": round(contest.mb, 2),
        "mb_per_second": {name: round(contest.mb / median(times), 1) for name, times in seconds.items()},
        "quality": quality,
        "seconds": spread(seconds),
    }
    packages = ("numba", "numpy", "pyarrow", "datatrove")
    report("dedup", ratios(seconds), figures, input_hash(*sorted(contest.ids)), packages)


if __name__ == "__main__":
    main()
