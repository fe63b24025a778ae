"""From documents to a dataset: tokenizer, samples in token shards, packing indexes, mixture.

Enters: a run file and a driver (or a planner, which runs nothing). Leaves: the manifests of every phase, and in the run
folder `dataset.json`, which makes one dataset of what they name. Sections that the run file leaves out are left out
here. Changing a mixture writes no token again: shards hold whole samples, packing is an index, a mixture an order.
Limit: the tokenizer is trained, and a mixture drawn, in one process.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from loopdata.engine.driver import Driver, Phases
from loopdata.engine.ledger import counts_of
from loopdata.engine.unit import UNKNOWN, Manifest, Output, Unit
from loopdata.errors import RunError
from loopdata.stage import Builder, Resource
from loopdata.storage import Written
from pipelines.clusters import publish_clusters
from pipelines.corpus import Listing, build_corpus
from pipelines.rows import KeepRows, Rows, build_rows
from pipelines.run_file import RunFile
from pipelines.sample_rows import WriteSamples
from pipelines.token_tasks import DrawMixture, EncodeSamples, PackSequences, PickTexts, TrainTokenizer

SPLITS = ("train", "valid")


@dataclass
class Built:
    """The manifests of each part of a run; what the run file leaves out is empty."""

    documents: list[Manifest]
    tokenizer: Manifest | None = None
    samples: dict[str, list[Manifest]] = field(default_factory=dict)
    packings: list[Manifest] = field(default_factory=list)
    mixture: Manifest | None = None
    rows: Rows | None = None


def build_dataset(file: RunFile, listing: Listing, phases: Phases) -> Built:
    """Run (or plan) every phase. RunError where no document is left to train on or to hold out."""
    corpus = build_corpus(file, listing, phases)
    built = Built(corpus.documents)
    if isinstance(phases, Driver):
        publish_clusters(phases, corpus.clusters)
    _check_splits(file, built.documents)
    if file.rows_to is not None:
        write = partial(WriteSamples, file.builders[0]) if file.rows_of == "samples" else KeepRows
        built.rows = build_rows(listing.inputs, built.documents, phases, write)
    if file.tokens is None:
        return built
    built.tokenizer = _tokenizer(file, built.documents, phases)
    tokenizer = _resource(phases, built.tokenizer, "tokenizer")
    for builder in file.builders:
        built.samples[builder.label] = _samples(builder, tokenizer, built.documents, phases)
    if file.mixture is None:
        return built
    built.packings = _packings(file, built.samples, phases)
    built.mixture = _mixture(file, built, tokenizer, phases)
    if isinstance(phases, Driver):
        _publish(phases, built.mixture)
    return built


def _check_splits(file: RunFile, documents: list[Manifest]) -> None:
    if not all(manifest.known for manifest in documents):
        return
    sums = counts_of(documents, "documents")
    if not sums.get("train.train", [0])[0]:
        raise RunError(
            "no document is left to train on", f"`loopdata status {file.run}` shows which rules dropped them"
        )
    if file.splitter.valid and not sums.get("valid.train", [0])[0]:
        raise RunError(
            "no held-out document is left, so that nothing could be measured",
            f"raise split.valid; `loopdata status {file.run}` shows which rules dropped them",
        )


def _tokenizer(file: RunFile, documents: list[Manifest], phases: Phases) -> Manifest:
    assert file.tokens is not None
    wanted = file.tokens.train
    train_bytes = counts_of(documents, "documents").get("train.train", [0, 0])[1]
    rate = 1.0
    while train_bytes * rate > wanted.sample_mb * 1e6:
        rate /= 2  # in powers of two, so that a source more seldom changes what the others give
    units = []
    for found in documents:
        task = PickTexts(found.output("documents"), rate, file.seed.data)
        read = (found.output("documents").sha256,)
        units.append(Unit("tokenizer.texts", found.name, task, read, found.num_bytes))
    texts = phases.phase("tokenizer.texts", units)
    outputs = tuple(found.output("texts") for found in texts)
    digests = tuple(output.sha256 for output in outputs)
    size = sum(output.num_bytes for output in outputs)
    unit = Unit("tokenizer", "tokenizer", TrainTokenizer(outputs, wanted.vocab_size), digests, size)
    return phases.phase("tokenizer", [unit])[0]


def _resource(phases: Phases, manifest: Manifest, label: str) -> Resource:
    output = manifest.output(label)
    return Resource(phases.folder, output.name, output.sha256)


def _samples(builder: Builder, tokenizer: Resource, documents: list[Manifest], phases: Phases) -> list[Manifest]:
    phase = f"samples.{builder.label}"
    units = []
    for found in documents:
        output = found.output("documents")
        task = EncodeSamples(output, builder, tokenizer)
        units.append(Unit(phase, found.name, task, (output.sha256, tokenizer.sha256), found.num_bytes))
    return phases.phase(phase, units)


def _packings(file: RunFile, samples: dict[str, list[Manifest]], phases: Phases) -> list[Manifest]:
    assert file.mixture is not None
    units = []
    for label, manifests in samples.items():
        for split in SPLITS:
            indexes = _outputs(manifests, f"{split}.samples")
            task = PackSequences(tuple(indexes), label, split, file.mixture.sequence)
            size = sum(output.num_bytes for output in indexes)
            reads = tuple(_named(output) for output in indexes)
            units.append(Unit("packing", f"{label}.{split}", task, reads, size))
    return phases.phase("packing", units)


def _outputs(manifests: Sequence[Manifest], label: str) -> list[Output]:
    """The outputs of this label; a unit without any of that kind has none, one that is still to run an unknown one."""
    return [found.output(label) for found in manifests if not found.known or label in found.outputs]


def _named(output: Output) -> str:
    """The digest of an output with its name, for what is written with names of files in it."""
    return UNKNOWN if output.sha256 == UNKNOWN else f"{output.name} {output.sha256}"


def _mixture(file: RunFile, built: Built, tokenizer: Resource, phases: Phases) -> Manifest:
    assert file.mixture is not None
    shards: dict[str, list[Written]] = {}
    for manifest in (entry for manifests in built.samples.values() for entry in manifests):
        for split in SPLITS:
            stem, written = _shard(manifest, split)
            if written:
                shards[stem] = written
    known = all(manifest.known for manifest in built.packings)
    packed: list[dict[str, Any]] = [manifest.figures for manifest in built.packings] if known else []
    task = DrawMixture(packed, shards, tokenizer, file.mixture, file.seed.order)
    outputs = [output for manifest in built.packings for output in _all_outputs(manifest)]
    names = [f"{written.name} {written.sha256}" for stem in shards for written in shards[stem]]
    reads = (*(_named(output) for output in outputs), *names, tokenizer.sha256)
    return phases.phase("mixture", [Unit("mixture", "mixture", task, reads)])[0]


def _all_outputs(manifest: Manifest) -> list[Output]:
    return [manifest.outputs[label] for label in sorted(manifest.outputs)] if manifest.known else [manifest.output("?")]


def _shard(manifest: Manifest, split: str) -> tuple[str, list[Written]]:
    """Stem and files of the shard that a unit wrote for a split; no files where it wrote none."""
    labels = [f"{split}.{suffix}" for suffix in ("bin", "idx", "samples")]
    if not manifest.known or labels[0] not in manifest.outputs:
        return "", []
    found = [manifest.outputs[label] for label in labels]
    return found[0].name.removesuffix(".bin"), [Written(file.name, file.num_bytes, file.sha256) for file in found]


def _publish(driver: Driver, mixture: Manifest) -> None:
    """Put the dataset where readers look for it, once everything that it names is committed."""
    data = driver.folder.read(mixture.output("dataset").name)
    if not driver.folder.exists("dataset.json") or driver.folder.read("dataset.json") != data:
        driver.folder.write_atomic("dataset.json", data)
