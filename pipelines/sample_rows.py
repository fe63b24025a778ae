"""Samples as rows: what a builder makes of a table, as text for any trainer, with the proof that it reads back.

Enters: the documents of one file of a table, and a builder. Leaves: a row a sample (ROW) in a file of the same kind,
notes of documents that could not be served, and figures. `text` is the sample with its special tokens as they are
spelled. A document may hold such spellings itself, so that its `text` could not be read back: it is null then, and
prefix, middle and suffix are the sample. Every other `text` is taken apart again at its special tokens, and must give
the parts that were put together. Limit: a `text` holds no record of what carries loss; the parts say where that is.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from loopdata.engine import chain
from loopdata.engine.attempt import Attempt
from loopdata.engine.ledger import counts_of
from loopdata.engine.tables import read_tables
from loopdata.engine.unit import Manifest, Output
from loopdata.errors import StageError
from loopdata.fim.holes import SYNTAX
from loopdata.fim.samples import NO_HOLE, REST, TOO_LONG
from loopdata.fim.spelled import SpelledReader
from loopdata.schema import FATE
from loopdata.sources.entries import entry_id
from loopdata.sources.row_files import ending_of, lines_writer
from loopdata.sources.tables import Table as Rows
from loopdata.stage import Builder, Fate, Input
from loopdata.syntax.parse import Refusal, parse
from pipelines.rows import PLACED, placed_table
from pipelines.status import print_list
from pipelines.token_tasks import loss_bytes, train_bytes

ROW = pa.schema(
    [
        ("sample_id", pa.string()),
        ("file", pa.string()),  # where the row lies that the sample was made of
        ("row", pa.int64()),  # its number there, from 1; null where a sample holds several rows
        ("rows", pa.list_(pa.int64())),  # all that the sample shows, in their order
        ("repo", pa.string()),
        ("path", pa.string()),
        ("language", pa.string()),
        ("level", pa.string()),  # of the hole; null where the sample has none
        ("mode", pa.string()),  # psm or spm
        ("plain", pa.string()),  # why it has no hole: not_drawn, rest of a row, no_hole to be had, too_long
        # Bytes of the row's text that the sample holds, and where its middle lies; null where it holds several rows, or
        # plain text that stands in its row twice.
        ("start", pa.int64()),
        ("middle_start", pa.int64()),
        ("middle_end", pa.int64()),
        ("end", pa.int64()),
        ("prefix", pa.large_string()),
        ("middle", pa.large_string()),
        ("suffix", pa.large_string()),
        ("text", pa.large_string()),
    ]
)
NO_TREE, SPELLED = "no_tree", "special_tokens"
Write = Callable[[list[dict[str, Any]]], object]


@dataclass(frozen=True)
class WriteSamples:
    """Render the documents of one file, and write their samples."""

    builder: Builder
    source: Rows
    item: Input
    documents: Output

    def identity(self) -> Mapping[str, Any]:
        source, builder = self.source.identity(), self.builder.identity()
        return {"task": "write_samples", "source": source, "builder": builder, "version": 2}

    def run(self, attempt: Attempt) -> None:
        numbers, scattered = self._numbers(attempt)
        tally, count = _Tally(), attempt.count(self.builder.label)
        reader = SpelledReader(self.builder.special_tokens())
        with attempt.table("fates", FATE) as fates, self._sink(attempt) as write:
            for part in self._parts(attempt, tally):
                made = _Part(self.item.name, part, numbers)
                tally.trained += train_bytes(part, self.builder)
                for samples in self.builder.render_parts(part):
                    attempt.guard.at(unit=attempt.unit.id)
                    rows = made.rows(samples, reader, self.builder)
                    tally.add(rows, loss_bytes(samples["segments"]))
                    write(rows)
                notes = made.notes(self.builder.label)
                chain.enter(count, part)
                chain.settle(count, part, notes, 0)
                fates.write(chain.fate_table(notes))
        tally.check(self.item.name)
        attempt.figures |= tally.figures() | {"rows": [len(numbers), tally.samples], "scattered": scattered}

    def _numbers(self, attempt: Attempt) -> tuple[dict[str, int], int]:
        """The number of each row by its document; and how many repositories do not lie together."""
        numbers: dict[str, int] = {}
        runs, last = Counter[str](), None
        with attempt.table("places", PLACED) as places:
            for _, placed in self.source.rows(self.item):
                attempt.guard.at(unit=attempt.unit.id)
                ids = [entry_id(self.source.label, row.entry) for row in placed]
                places.write(placed_table(ids, placed))
                numbers.update(zip(ids, (row.number for row in placed), strict=True))
                for repo in (row.entry.repo for row in placed):
                    runs.update([repo] if repo is not None and repo != last else ())
                    last = repo
        return numbers, sum(count > 1 for count in runs.values()) if self.builder.scope == "repo" else 0

    def _parts(self, attempt: Attempt, tally: "_Tally") -> Iterator[pa.Table]:
        wanted = {*self.builder.needs, "category", "use", "num_bytes", "repo", "path"}
        tables = read_tables(attempt.folder, self.documents, sorted(wanted))
        if self.builder.scope == "repo":
            return chain.whole_repositories(tables, tally.count_view)
        return (part for table in tables for part in chain.recut(table))

    @contextmanager
    def _sink(self, attempt: Attempt) -> Iterator[Write]:
        """What takes rows: a table, or lines of JSON, as the file that they come from."""
        ending = ending_of(self.item.name) or ""
        if ending == ".parquet":
            with attempt.table("rows", ROW) as table:
                yield lambda rows: table.write(pa.Table.from_pylist(rows, ROW))
        else:
            with attempt.file("rows", ending) as sink:
                lines = lines_writer(sink, ending)
                yield lambda rows: lines.add(json.dumps(row, ensure_ascii=False).encode() for row in rows)
                lines.close()


class _Part:
    """Documents that are rendered together: their texts, places, and what is noted of them."""

    def __init__(self, file: str, table: pa.Table, numbers: Mapping[str, int]) -> None:
        self._file, self._numbers = file, numbers
        columns = [table[name].to_pylist() for name in ("doc_id", "repo", "path", "language")]
        texts = [text.as_py() for text in table["text"].cast(pa.large_binary())]
        self._documents = {row[0]: _Document(*row[1:]) for row in zip(*columns, texts, strict=True)}
        self._notes: dict[tuple[str, str], str | None] = {}  # details by document and rule

    def rows(self, samples: pa.Table, reader: SpelledReader, builder: Builder) -> list[dict[str, Any]]:
        """Rows of ROW. StageError where a text does not give back what it was made of."""
        reader.forget()
        found: list[dict[str, Any]] = []
        tokens: list[list[int]] = []
        for sample in samples.to_pylist():
            text = "".join(entry["text"] for entry in sample["segments"])
            ids = reader.read(text)
            if reader.reads_back(ids, sample["segments"]):
                tokens.append(ids)
                found.append(self._row(sample, text))
            else:
                spelled = ", ".join(reader.spelled_in(sample["segments"]))
                self._notes.setdefault((sample["parents"][-1], SPELLED), spelled)
                found.append(self._row(sample, None))
            self._note(sample)
        whole = pa.array([row["text"] is not None for row in found], pa.bool_())
        builder.check(samples.filter(whole), tokens, reader.special, reader.decode)
        return found

    def _row(self, sample: Mapping[str, Any], text: str | None) -> dict[str, Any]:
        parents, hole = sample["parents"], sample["fim"] or {}
        document = self._documents[parents[-1]]
        row = dict.fromkeys(ROW.names) | {
            "sample_id": sample["sample_id"],
            "file": self._file,
            "rows": [self._numbers[parent] for parent in parents],
            "repo": document.repo,
            "language": sample["language"],
            "text": text,
        }
        alone = len(set(parents)) == 1
        start, end = (hole["start"], hole["end"]) if hole else (None, None)
        if alone and not hole:
            start, end = _place(sample["segments"], document.text)
        if hole or alone:
            row |= {"row": self._numbers[parents[-1]], "path": document.path, "start": start, "end": end}
        if not hole.get("kind"):
            rest = alone and (start, end) != (0, len(document.text))
            return row | {"plain": hole.get("left", REST if rest else "not_drawn")}
        bounds = [hole[name] for name in ("start", "middle_start", "middle_end", "end")]
        parts = (document.text[first:last].decode() for first, last in pairwise(bounds))
        row |= dict(zip(("prefix", "middle", "suffix"), parts, strict=True))
        taken = {name: hole[name] for name in ("mode", "middle_start", "middle_end")}
        return row | taken | {"level": hole["kind"]}

    def _note(self, sample: Mapping[str, Any]) -> None:
        """Why a document was given no hole, or one of another kind than was drawn."""
        doc_id, hole = sample["parents"][-1], sample["fim"] or {}
        if hole.get("left") in (NO_HOLE, TOO_LONG):
            self._notes.setdefault((doc_id, hole["left"]), ", ".join(hole["missed"]) or None)
        if (doc_id, NO_TREE) not in self._notes and not SYNTAX.isdisjoint(hole.get("missed") or ()):
            document = self._documents[doc_id]
            tree = parse(document.text, document.language or "")
            if isinstance(tree, Refusal):
                self._notes[doc_id, NO_TREE] = f"{document.language}: {tree.reason}"

    def notes(self, label: str) -> list[Fate]:
        """Fates that end nothing."""
        return [Fate(doc_id, label, "marked", rule, details=details) for (doc_id, rule), details in self._notes.items()]


def _place(segments: Sequence[Mapping[str, Any]], text: bytes) -> tuple[int | None, int | None]:
    """Where the plain text of a sample lies in its document; unknown where it stands there twice."""
    held = "".join(entry["text"] for entry in segments if entry["loss"] and not entry["special"]).encode()
    start = text.find(held)
    if start < 0 or text.find(held, start + 1) >= 0:
        return None, None
    return start, start + len(held)


class _Document(NamedTuple):
    repo: str | None
    path: str
    language: str | None
    text: bytes


class _Tally:
    """What was made of a file; names map to numbers, so that files can be summed."""

    def __init__(self) -> None:
        self.samples = self.num_bytes = self.trained = self.learned = self.unread = self.repo_views = 0
        self.levels: dict[str, Counter[int]] = {}  # level → characters of middles, to two digits → samples
        self.languages: dict[str, list[int]] = {}
        self.plain = Counter[str]()
        self.modes = Counter[str]()

    def count_view(self) -> None:
        self.repo_views += 1

    def add(self, rows: Sequence[Mapping[str, Any]], learned: int) -> None:
        self.samples += len(rows)
        self.learned += learned
        for row in rows:
            self.unread += row["text"] is None
            language = self.languages.setdefault(row["language"] or "Unknown", [0, 0])
            language[0] += 1
            if row["level"] is None:
                self.plain[row["plain"]] += 1
                continue
            language[1] += 1
            self.modes[row["mode"]] += 1
            self.levels.setdefault(row["level"], Counter())[_two_digits(len(row["middle"]))] += 1

    def check(self, name: str) -> None:
        """StageError where not every byte of the documents stands in one sample to be learned."""
        if self.trained != self.learned:
            raise StageError(f"{name}: of {self.trained:,} bytes of text, samples hold {self.learned:,}", "report it")

    def figures(self) -> dict[str, Any]:
        """As they stand in a manifest."""
        holes = sum(self.modes.values())
        return {
            "samples": {"all": [self.samples, holes, self.samples - self.unread, self.unread, self.learned]},
            "levels": {level: {str(size): [n] for size, n in sorted(sizes.items())}
                       for level, sizes in sorted(self.levels.items())},
            "languages": self.languages,
            "plain": {name: [number] for name, number in sorted(self.plain.items())},
            "modes": {name: [number] for name, number in sorted(self.modes.items())},
            "repo_views": self.repo_views,
        }  # fmt: skip


def _two_digits(size: int) -> int:
    """A number of characters, as exact as two digits are: a manifest holds one entry for each."""
    unit: int = 10 ** max(len(str(size)) - 2, 0)
    return size // unit * unit


def described(manifests: Sequence[Manifest]) -> dict[str, Any]:
    """The figures of all files together: what is shown, and written as `figures.json`."""
    samples, holes, proved, unread, num_bytes = counts_of(manifests, "samples")["all"]
    levels = sorted({level for found in manifests for level in found.figures["levels"]})
    sizes = {level: _summed(found.figures["levels"].get(level, {}) for found in manifests) for level in levels}
    return {
        "rows": sum(found.figures["rows"][0] for found in manifests),
        "samples": samples,
        "bytes": num_bytes,
        "with_a_hole": holes,
        "read_back": proved,
        "not_readable": unread,
        "levels": {level: {"samples": sum(found.values()), "characters": _quantiles(found)}
                   for level, found in sizes.items()},
        "modes": {name: number for name, (number,) in counts_of(manifests, "modes").items()},
        "plain": {name: number for name, (number,) in counts_of(manifests, "plain").items()},
        "languages": {name: {"samples": both[0], "with_a_hole": both[1]}
                      for name, both in sorted(counts_of(manifests, "languages").items())},
        "repository_views": sum(found.figures["repo_views"] for found in manifests),
        "scattered_repositories": sum(found.figures["scattered"] for found in manifests),
    }  # fmt: skip


def _summed(histograms: Iterable[Mapping[str, list[int]]]) -> Counter[int]:
    total = Counter[int]()
    for histogram in histograms:
        total.update({int(size): number for size, (number,) in histogram.items()})
    return total


def _quantiles(sizes: Counter[int]) -> dict[str, int]:
    """p20, p50 and p80: the smallest size that so many percent do not pass."""
    found: dict[str, int] = {}
    below = 0
    for size, number in sorted(sizes.items()):
        below += number
        for percent in (20, 50, 80):
            if 100 * below >= percent * sizes.total():
                found.setdefault(f"p{percent}", size)
    return found


def print_described(found: Mapping[str, Any], console: Console) -> None:
    """What was made of how many rows: levels with sizes, languages, and what could not be had."""
    samples, holes = found["samples"], found["with_a_hole"]
    console.print(f"\n{samples:,} samples of {found['rows']:,} rows, {holes:,} of them with a hole.", highlight=False)
    console.print(f"{found['read_back']:,} read back from their text as they were made.", highlight=False)
    if found["not_readable"]:
        text = "hold special tokens in their own text and have no `text`, only their parts"
        console.print(f"{found['not_readable']:,} {text}; fates.parquet names them.", highlight=False)
    if found["levels"]:
        table = Table(box=None, header_style="dim", pad_edge=False)
        for name in ("level of the hole", "samples", "share", "characters p20", "p50", "p80"):
            table.add_column(name, justify="left" if name.startswith("level") else "right", no_wrap=True)
        for level, entry in sorted(found["levels"].items(), key=lambda item: (-item[1]["samples"], item[0])):
            sizes = (f"{size:,}" for size in entry["characters"].values())
            table.add_row(level, f"{entry['samples']:,}", f"{entry['samples'] / holes:.0%}", *sizes)
        console.print(table)
    ranked = sorted(found["languages"].items(), key=lambda item: (-item[1]["with_a_hole"], item[0]))[:8]
    print_list("holes in ", [f"{name} {both['with_a_hole']:,}" for name, both in ranked], console)
    print_list("without a hole: ", [f"{name} {number:,}" for name, number in found["plain"].items()], console)
    if found["scattered_repositories"]:
        text = "repositories do not lie together in their file: each stretch was taken for one by itself"
        console.print(f"{found['scattered_repositories']:,} {text}. Sort by repository.", style="yellow")
