"""What a repository has that helps to fill a hole in one of its files.

Enters: the files of one repository; a hole with the text around it. Leaves: spans of other files, within a budget of
bytes. First come the definitions of names that stand around the hole, those in imported files before others; then what
else of the imported files, then of all files, shares words with the lines next to the hole (BM25 or overlap over chunks
of ten lines). Both look at prefix and suffix only; the lines are chosen as in CrossCodeEval (arXiv 2310.11248). A span
that holds the middle, or a long run of it, is refused (see `retrieval.copies`). Limit: names are compared as they are
written; which of several methods of one name a call means is not known, and a name with more than MAX_DEFINERS
definitions says nothing.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from loopdata.config import Strict
from loopdata.fim.draws import Draws
from loopdata.retrieval.chunks import Chunks, cut
from loopdata.retrieval.copies import Guard
from loopdata.retrieval.graph import ImportGraph
from loopdata.retrieval.places import BUILD_FILES, Files
from loopdata.retrieval.references import LANGUAGES, Facts, facts
from loopdata.retrieval.search import Index
from loopdata.syntax.parse import Tree, parse

MAX_CANDIDATES = 2_048  # chunks that one search for a hole may find
MAX_DEFINERS = 3
ENTRY_BYTES = 2  # of line ends around an entry
_WORD = re.compile(r"\w{2,}")
FULL = 16  # nothing more is looked for once less than a sixteenth of the budget is left


class ContextConfig(Strict):
    """What is put before a file with a hole.

    max_bytes    of snippets with their paths; 0 takes none. A byte-level tokenizer makes about a third as many tokens
    imports      whether imported files come before others
    definitions  whether definitions of names around the hole come before what only shares words
    measure      by what chunks are ranked
    unit         chunks of ten lines, or whole files (of one that does not fit, its best chunks)
    next_chunk   whether the chunk behind one that was found comes with it
    order        topological (what is imported comes first), by relevance (the best next to the hole), or random
    query_lines  that are not blank before the hole; half as many behind it
    """

    max_bytes: int = Field(default=4_096, ge=0)
    imports: bool = True
    definitions: bool = True
    measure: Literal["bm25", "overlap"] = "bm25"
    unit: Literal["chunks", "files"] = "chunks"
    next_chunk: bool = False
    order: Literal["topological", "relevance", "random"] = "topological"
    query_lines: int = Field(default=10, ge=1)


class Snippet(NamedTuple):
    """A span of bytes of a file, which is known by its number."""

    file: int
    start: int
    end: int


class Repository:
    """The files of one repository as numbers, in the order of `table`, whose texts and paths are not null."""

    def __init__(self, table: pa.Table) -> None:
        self.doc_ids: list[str] = table["doc_id"].to_pylist()
        self.paths: list[str] = table["path"].fill_null("").to_pylist()
        self.languages: list[str | None] = table["language"].to_pylist()
        texts = table["text"].combine_chunks()
        texts = texts.chunk(0) if isinstance(texts, pa.ChunkedArray) else texts
        self.offsets, self.data = _buffers(texts)
        self.sizes: list[int] = np.diff(self.offsets).tolist()
        self._bases: list[int] = self.offsets.tolist()
        self._path_bytes = [len(path.encode()) for path in self.paths]

    def text(self, file: int) -> bytes:
        """The text of a file."""
        return self.data[self._bases[file] : self._bases[file + 1]].tobytes()

    @cached_property
    def graph(self) -> ImportGraph:
        """Who imports whom."""
        said = [self._facts(file) for file in range(len(self.paths))]
        build = {
            file: self.text(file).decode()
            for file, path in enumerate(self.paths)
            if path.rpartition("/")[2] in BUILD_FILES
        }
        return ImportGraph(Files(self.paths, self.languages, said, build))

    def _facts(self, file: int) -> Facts:
        language = self.languages[file]
        tree = parse(self.text(file), language) if language in LANGUAGES else None
        return facts(tree) if isinstance(tree, Tree) else Facts()

    @cached_property
    def order(self) -> list[int]:
        """Files, each behind those that it imports."""
        return self.graph.order()

    @cached_property
    def _place(self) -> list[int]:
        """The place of each file in that order."""
        place = [0] * len(self.order)
        for at, file in enumerate(self.order):
            place[file] = at
        return place

    @cached_property
    def _chunks(self) -> Chunks:
        return cut(self.data, self.offsets)

    @cached_property
    def _places_of_chunks(self) -> tuple[list[int], list[int], list[int]]:
        """Starts, ends and files of the chunks; single numbers are read much faster from lists than from arrays."""
        return self._chunks.starts.tolist(), self._chunks.ends.tolist(), self._chunks.texts.tolist()

    @cached_property
    def _index(self) -> Index:
        return Index(self.data, self._chunks)

    def related(self, file: int, hole: tuple[int, int], span: tuple[int, int], wanted: ContextConfig,
                draws: Draws) -> list[Snippet]:  # fmt: skip
        """Snippets for a hole of a file of which a sample holds `span`, in the order in which they shall stand."""
        if wanted.max_bytes == 0 or len(self.paths) == 1:
            return []
        text = self.text(file)
        sides = text[span[0] : hole[0]], text[hole[1] : span[1]]
        guard = Guard(text[hole[0] : hole[1]])
        whole = self._joined_safely(self._chosen(file, sides, wanted, guard), guard)
        if wanted.order == "random":
            return [snippet for _, snippet in sorted((draws.unit(), snippet) for snippet in whole)]
        if wanted.order == "relevance":
            return list(reversed(whole))
        return sorted(whole, key=lambda snippet: (self._place[snippet.file], snippet.start))

    def cut(self, snippet: Snippet) -> bytes:
        """The text of a snippet."""
        return self._span(snippet).tobytes()

    def _span(self, snippet: Snippet) -> npt.NDArray[np.uint8]:
        base = self._bases[snippet.file]
        return self.data[base + snippet.start : base + snippet.end]

    def _chosen(self, file: int, sides: tuple[bytes, bytes], wanted: ContextConfig, guard: Guard) -> list[Snippet]:
        """Snippets of other files that fit and give nothing away, the best first, each byte once."""
        _, _, files = self._places_of_chunks
        taken: list[Snippet] = []
        seen: set[int] = set()  # chunks
        asked: dict[int, bool] = {}  # files that were asked for as a whole, and whether they were taken
        room, least = wanted.max_bytes, wanted.max_bytes // FULL

        def take(snippet: Snippet) -> bool:
            nonlocal room
            size = snippet.end - snippet.start + self._path_bytes[snippet.file] + ENTRY_BYTES
            if room < least or size > room or guard.leaks(self._span(snippet)):
                return False
            taken.append(snippet)
            room -= size
            return True

        for chunk, with_next in self._ranked(file, sides, wanted):
            at = files[chunk]
            if wanted.unit == "files" and at not in asked:
                asked[at] = take(Snippet(at, 0, self.sizes[at]))
            if not asked.get(at):
                for snippet in self._snippets(chunk, seen, with_next):
                    take(snippet)
            if room < least:
                break
        return taken

    def _joined_safely(self, ranked: list[Snippet], guard: Guard) -> list[Snippet]:
        """Snippets that touch as one; what gives the middle away only together loses its last in rank."""
        found = _joined(ranked)
        while leaking := [one for one in found if guard.leaks(self._span(one))]:
            for file, start, end in leaking:
                parts = [one for one in ranked if one.file == file and start <= one.start < end]
                ranked.remove(parts[-1])
            found = _joined(ranked)
        return found

    def _ranked(self, file: int, sides: tuple[bytes, bytes], wanted: ContextConfig) -> Iterator[tuple[int, bool]]:
        """Chunks, the best first, and whether the one behind belongs to it."""
        needed = frozenset(self.graph.needs[file]) if wanted.imports else frozenset()
        near = around(*sides, wanted.query_lines)
        if wanted.definitions:
            words = _words(near)
            close = self._defining(words, file)
            far = self._defining(_words(b"\n".join(sides)) - words, file)
            for is_needed in (True, False):
                for places in (close, far):
                    yield from ((chunk, late) for _, chunk, late, at in places if (at in needed) is is_needed)
        count = min(wanted.max_bytes // 100 + 8, MAX_CANDIDATES)
        imported = np.zeros(len(self.paths), np.bool_)
        imported[list(needed)] = True
        others = ~imported
        others[file] = False
        for allowed in (imported, others) if needed else (others,):
            found, _ = self._index.search(near, allowed, count, wanted.measure)
            yield from ((chunk, wanted.next_chunk) for chunk in found.tolist())

    def _defining(self, names: set[str], file: int) -> list[tuple[int, int, bool, int]]:
        """Of names that other files define: how many definitions there are, chunk, whether it begins late, file.

        The name with the fewest definitions first. One that begins in the second half of its chunk goes on in the next.
        """
        return sorted(
            (len(places), chunk, is_late, at)
            for places in map(self._definers.__getitem__, names & self._definers.keys())
            for at, chunk, is_late in places
            if at != file
        )

    @cached_property
    def _definers(self) -> dict[str, list[tuple[int, int, bool]]]:
        """Name → file, chunk and whether it begins late there, of its definitions; none where they are too many."""
        names: dict[str, list[tuple[int, int]]] = {}
        for file, said in enumerate(self.graph.files.facts):
            base = int(self.offsets[file])
            for name, at in said.definitions.items():
                places = names.setdefault(name, [])
                if len(places) <= MAX_DEFINERS:
                    places.append((file, base + at))
        kept = {name: places for name, places in names.items() if len(places) <= MAX_DEFINERS}
        starts, ends, files = self._chunks
        offsets = np.array([offset for places in kept.values() for _, offset in places], np.int64)
        chunks = np.searchsorted(starts, offsets, side="right") - 1
        late = 2 * offsets > starts[chunks] + ends[chunks]
        rows = iter(zip(files[chunks].tolist(), chunks.tolist(), late.tolist(), strict=True))
        return {name: [next(rows) for _ in places] for name, places in kept.items()}

    def _snippets(self, chunk: int, seen: set[int], with_next: bool) -> Iterator[Snippet]:
        """A chunk, and the one behind it where that is wanted, without what was given before."""
        starts, ends, files = self._places_of_chunks
        for at in (chunk, chunk + 1) if with_next else (chunk,):
            if at not in seen and at < len(files) and files[at] == files[chunk]:
                seen.add(at)
                base = self._bases[files[at]]
                yield Snippet(files[at], starts[at] - base, ends[at] - base)


def around(prefix: bytes, suffix: bytes, lines: int) -> bytes:
    """The query: the last lines of a prefix that are not blank, and half as many of a suffix."""
    before = [line for line in prefix.split(b"\n") if line.strip()][-lines:]
    behind = [line for line in suffix.split(b"\n") if line.strip()][: (lines + 1) // 2]
    return b"\n".join([*before, *behind])


def _words(text: bytes) -> set[str]:
    return set(_WORD.findall(text.decode("utf-8", "replace")))


def _joined(snippets: Sequence[Snippet]) -> list[Snippet]:
    """Snippets that touch as one, at the place of the best of them."""
    rank = {snippet: at for at, snippet in enumerate(snippets)}
    found: list[tuple[int, Snippet]] = []
    for snippet in sorted(snippets):
        if found and found[-1][1].file == snippet.file and found[-1][1].end == snippet.start:
            best, first = found.pop()
            found.append((min(best, rank[snippet]), Snippet(first.file, first.start, snippet.end)))
        else:
            found.append((rank[snippet], snippet))
    return [snippet for _, snippet in sorted(found)]


def _buffers(texts: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Offsets and bytes of a `large_string` array."""
    _, offsets, data = texts.buffers()
    found = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return found, np.frombuffer(data if data is not None else b"", np.uint8)
