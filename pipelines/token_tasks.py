"""The tasks behind a dataset: picking texts, training the tokenizer, encoding samples, packing, drawing the mixture.

Enters: outputs that manifests name. Leaves: texts, `tokenizer.json`, token shards, packing indexes, `dataset.json`.
What does the work lies in `loopdata.tokens` and `loopdata.mixture`; here it gets its inputs and a place to write.
Limit: documents that have no sample of a builder leave no trace in its shards; the figures count them.
"""

import importlib.metadata
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from loopdata.engine import chain
from loopdata.engine.attempt import Attempt
from loopdata.engine.tables import read_tables
from loopdata.engine.unit import Output
from loopdata.mixture.draw import Stock, draw
from loopdata.schema import document_schema
from loopdata.stage import Builder, Resource, unit_interval
from loopdata.storage import Written
from loopdata.tokens.dataset import write_dataset
from loopdata.tokens.packing import Packed, pack, sequence_tokens
from loopdata.tokens.tokenizer import Encoded, Tokenizer, train
from loopdata.tokens.writer import ShardWriter
from pipelines.run_file import MixtureSection

COUNTED = ("category", "use", "num_bytes")
TEXTS = document_schema({"text": pa.large_string()})
CHECKED_TEXTS = 4  # a unit: the encoder is compared with the reference on them
CHECKED_CHARS = 20_000


def _versions(*names: str) -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in names}


@dataclass(frozen=True)
class PickTexts:
    """Pick texts of the training split by the hash of their documents."""

    documents: Output
    rate: float
    seed: int

    def identity(self) -> Mapping[str, Any]:
        return {"task": "pick_texts", "version": 1, "rate": self.rate, "seed": self.seed}

    def run(self, attempt: Attempt) -> None:
        with attempt.table("texts", TEXTS) as writer:
            columns = ["doc_id", "split", "use", "text"]
            for table in read_tables(attempt.folder, self.documents, columns):
                trains = pc.and_(pc.equal(table["split"], "train"), pc.equal(table["use"], "train"))
                table = table.filter(trains)
                ids = table["doc_id"].to_pylist()
                picked = [unit_interval(self.seed, "tokenizer", doc_id) < self.rate for doc_id in ids]
                writer.write(table.filter(pa.array(picked, pa.bool_())).select(["text"]))


@dataclass(frozen=True)
class TrainTokenizer:
    """Train the tokenizer on the picked texts."""

    texts: tuple[Output, ...]
    vocab_size: int

    def identity(self) -> Mapping[str, Any]:
        return {"task": "train_tokenizer", "version": 1, "vocab_size": self.vocab_size, **_versions("tokenizers")}

    def run(self, attempt: Attempt) -> None:
        texts = (
            text
            for output in self.texts
            for table in read_tables(attempt.folder, output)
            for text in table["text"].to_pylist()
        )
        data = train(texts, self.vocab_size)
        with attempt.file("tokenizer", ".json") as stream:
            stream.write(data)
        attempt.figures["vocab_size"] = Tokenizer(data).vocab_size


@dataclass(frozen=True)
class EncodeSamples:
    """Render the documents of a unit as samples and write them as token shards, one a split."""

    documents: Output
    builder: Builder
    tokenizer: Resource

    def identity(self) -> Mapping[str, Any]:
        return {"task": "encode", "version": 3, "builder": self.builder.identity(), **_versions("fastokens")}

    def run(self, attempt: Attempt) -> None:
        tokenizer = self.tokenizer.load(Tokenizer)
        tally, unchecked = _Tally(), CHECKED_TEXTS
        with ExitStack() as stack:
            writers: dict[str, ShardWriter] = {}
            for part in self._parts(attempt, tally):
                if unchecked:
                    texts = [text[:CHECKED_CHARS] for text in part["text"].slice(0, unchecked).to_pylist()]
                    tokenizer.check(texts)
                    unchecked -= len(texts)
                tally.bytes["documents"] += train_bytes(part, self.builder)
                for samples in self.builder.render_parts(part):
                    attempt.guard.at(unit=attempt.unit.id)
                    for split in pc.unique(samples["split"]).to_pylist():
                        chosen = samples.filter(pc.equal(samples["split"], split))
                        if split not in writers:
                            writer = ShardWriter(attempt.folder, attempt.stem(split), tokenizer.vocab_size)
                            writers[split] = stack.enter_context(writer)
                        encoded = tokenizer.encode(chosen["segments"])
                        writers[split].write(chosen, encoded)
                        tally.add(split, chosen, encoded)
                        tally.proved += self._check(chosen, encoded, tokenizer)
            for split, writer in writers.items():
                for label, written in zip(("bin", "idx", "samples"), writer.finish(), strict=True):
                    attempt.adopt(f"{split}.{label}", written)
        attempt.figures["samples"], attempt.figures["languages"] = tally.splits, tally.languages
        attempt.figures["fim"], attempt.figures["proved"] = tally.fim, tally.proved
        attempt.figures["bytes"], attempt.figures["repo_views"] = dict(tally.bytes), tally.repo_views

    def _parts(self, attempt: Attempt, tally: "_Tally") -> Iterator[pa.Table]:
        """The documents as the builder needs them: in small batches, or whole repositories."""
        tables = read_tables(attempt.folder, self.documents, sorted({*self.builder.needs, *COUNTED}))
        if self.builder.scope == "repo":
            return chain.whole_repositories(tables, tally.count_view)
        return (part for table in tables for part in chain.recut(table))

    def _check(self, samples: pa.Table, encoded: Encoded, tokenizer: Tokenizer) -> int:
        bounds = encoded.offsets.tolist()
        tokens = [encoded.ids[start:end] for start, end in pairwise(bounds)]
        return self.builder.check(samples, tokens, tokenizer.special, tokenizer.decode)


class _Tally:
    """Samples, tokens and bytes of each split, and of each language of the training split.

    `fim` maps a kind of hole and mode, or why there is none, to samples and bytes of their middles, of both splits;
    `proved` counts samples that were recovered from their tokens. `bytes` are those of the `documents` that the builder
    may train on, and of text with `loss` in samples; where all is learned, each byte once, they are equal.
    """

    def __init__(self) -> None:
        self.splits: dict[str, list[int]] = {}
        self.languages: dict[str, list[int]] = {}
        self.fim: dict[str, list[int]] = {}
        self.proved = 0
        self.bytes = Counter[str](documents=0, loss=0)
        self.repo_views = 0  # parts of repositories that were too large to be rendered as one

    def count_view(self) -> None:
        self.repo_views += 1

    def add(self, split: str, samples: pa.Table, encoded: Encoded) -> None:
        lengths = (encoded.offsets[1:] - encoded.offsets[:-1]).tolist()
        rows = Counter[str]()
        tokens, sizes = Counter[str](), Counter[str]()
        names = [name or "unknown" for name in samples["language"].to_pylist()]
        for name, length, num_bytes in zip(names, lengths, samples["num_bytes"].to_pylist(), strict=True):
            rows[name] += 1
            tokens[name] += length
            sizes[name] += num_bytes
        _add(self.splits, split, [samples.num_rows, sum(lengths), sum(sizes.values())])
        for name in rows if split == "train" else ():
            _add(self.languages, name, [rows[name], tokens[name], sizes[name]])
        self.bytes["loss"] += loss_bytes(samples["segments"])
        for record in filter(None, samples["fim"].to_pylist()):
            middle = (record["middle_end"] or 0) - (record["middle_start"] or 0)
            name = f"{record['kind']}.{record['mode']}" if record["kind"] else record["left"]
            _add(self.fim, name, [1, middle])


def train_bytes(documents: pa.Table, builder: Builder) -> int:
    """Bytes of the documents that the builder is for, without those that are context."""
    wanted = pc.equal(documents["use"], "train")
    if builder.categories is not None:
        kinds = pa.array(sorted(builder.categories), pa.string())
        wanted = pc.and_(wanted, pc.is_in(documents["category"], value_set=kinds))
    return chain.size(documents.filter(wanted))


def loss_bytes(segments: pa.ChunkedArray) -> int:
    """Bytes of the texts of samples that carry loss."""
    flat = pc.list_flatten(segments)
    special, loss = (pc.struct_field(flat, name) for name in ("special", "loss"))
    texts = pc.struct_field(flat, "text").filter(pc.and_not(loss, special))
    return int(pc.sum(pc.binary_length(texts)).as_py() or 0)


def _add(sums: dict[str, list[int]], key: str, numbers: list[int]) -> None:
    sums[key] = [a + b for a, b in zip(sums.get(key, [0] * len(numbers)), numbers, strict=True)]


@dataclass(frozen=True)
class PackSequences:
    """Pack the samples of one category and split."""

    indexes: tuple[Output, ...]
    category: str
    split: str
    length: int

    def identity(self) -> Mapping[str, Any]:
        return {"task": "pack", "version": 1, "category": self.category, "split": self.split, "length": self.length}

    def run(self, attempt: Attempt) -> None:
        stems = [output.name.removesuffix(".samples.parquet") for output in self.indexes]
        where = attempt.stem("packing")
        packed = pack(attempt.folder, stems, where, category=self.category, split=self.split, length=self.length)
        for written in packed.files:
            attempt.adopt(written.name.removeprefix(f"{where}."), written)
        attempt.figures.update(asdict(packed))


@dataclass(frozen=True)
class DrawMixture:
    """Draw the training order, and name everything that makes the dataset. `packed` are figures of PackSequences."""

    packed: list[dict[str, Any]]
    shards: dict[str, list[Written]]
    tokenizer: Resource
    mixture: MixtureSection
    seed: int

    def identity(self) -> Mapping[str, Any]:
        return {"task": "mixture", "version": 1, "seed": self.seed, "mixture": self.mixture.model_dump(mode="json")}

    def run(self, attempt: Attempt) -> None:
        folder = attempt.folder
        packings = [Packed(**{**entry, "files": [Written(**file) for file in entry["files"]]}) for entry in self.packed]
        stocks = [
            Stock(number, packing.category, sequence_tokens(folder, packing.stem))
            for number, packing in enumerate(packings)
            if packing.split == "train"
        ]
        wanted = self.mixture
        drawn = draw(stocks, wanted.weights, tokens=wanted.tokens, seed=self.seed, max_epochs=wanted.max_epochs)
        stem = attempt.stem("dataset")
        written = write_dataset(
            folder,
            stem,
            tokenizer=self.tokenizer.load(Tokenizer),
            length=wanted.sequence,
            shards=self.shards,
            packings=packings,
            order=drawn.order,
            name=f"{stem}.json",
        )
        for label, file in zip(("token_bytes", "order", "dataset"), written, strict=True):
            attempt.adopt(label, file)
        attempt.figures["shares"] = [asdict(share) for share in drawn.shares]
        attempt.figures["tokens"] = sum(share.tokens for share in drawn.shares)
