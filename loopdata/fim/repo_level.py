"""The `repo` builder: samples that show a file among others of its repository.

Enters: the documents of whole repositories. Leaves two kinds of samples. With a hole: related snippets of other files
(see `related`), then the file, or the context of a long one, as prefix, suffix and middle. Plain: files one after the
other, in the order of their imports or at random, up to `max_bytes`. Every byte of a document for training carries
loss in exactly one sample, but what stands around a hole with `loss: middle`; snippets, documents with `use` context,
paths and names carry none. Layout as in Qwen2.5-Coder: `REPO name (FILE path text)… FILE path` and then the layout of
a file; StarCoder2's preset has the path within the prefix. Limit: a repository that the engine gives in several views
is several repositories here.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from loopdata.config import Strict
from loopdata.fim.config import FimConfig
from loopdata.fim.draws import Draws
from loopdata.fim.layouts import PSM, Layout, Piece
from loopdata.fim.proofs import check_repository_sample
from loopdata.fim.related import ContextConfig, Repository
from loopdata.fim.samples import Rendered, draws_of, learned, render_document, segments
from loopdata.schema import DOCUMENT, SAMPLE, cast, digest
from loopdata.stage import Builder, Decode
from loopdata.syntax.grammars import grammar_versions
from loopdata.syntax.parse import forget

PART_BYTES = 16 << 20  # of samples held before they are given
OURS = Layout(psm=PSM)
NAMES = {"starcoder2": 0.5}  # share of samples with names of repository and files; of other presets all


class RepoConfig(Strict):
    """`fim`: which files get a hole, and how; left out, none does. `context`: what stands before them.

    max_bytes   of a plain sample's text; a longer file is a sample by itself
    order       of the files of plain samples
    names       share of samples with the names of repository and files; left out, that of the preset
    """

    fim: FimConfig | None = None
    context: ContextConfig = ContextConfig()
    max_bytes: int = Field(default=8_192, ge=16)
    order: Literal["topological", "random"] = "topological"
    names: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _has_tokens(self) -> "RepoConfig":
        if self.layout.repo is None or self.layout.file is None:
            raise ValueError("fim: this layout has no special tokens of its own for repository and file")
        return self

    @property
    def layout(self) -> Layout:
        """The special tokens; without holes those of our tokenizers."""
        return self.fim.chosen if self.fim else OURS

    @property
    def share_of_names(self) -> float:
        """The share that is meant."""
        return self.names if self.names is not None else NAMES.get(self.fim.layout if self.fim else "", 1.0)


@dataclass(frozen=True)
class _Sample:
    """A row of schema.SAMPLE in the making; `loss` is a flag a piece."""

    sample_id: str
    split: str
    language: str | None
    parents: list[str]
    pieces: list[Piece]
    loss: list[bool]
    record: dict[str, Any] | None = None

    @cached_property
    def num_bytes(self) -> int:
        """Of the text pieces."""
        return sum(len(data) for role, data in self.pieces if not role.isupper())


@dataclass
class _Shelf:
    """Files that wait for their plain sample: file, span, whether it carries loss."""

    entries: list[tuple[int, int, int, bool]] = field(default_factory=list)
    num_bytes: int = 0


class RepoBuilder(Builder):
    """Renders whole repositories."""

    name = "repo"
    version = 5
    scope = "repo"
    categories = frozenset({"code"})
    needs: ClassVar[Mapping[str, pa.DataType]] = {
        column: DOCUMENT[column]
        for column in ("doc_id", "category", "split", "use", "text", "repo", "path", "language")
    }
    Config = RepoConfig

    def identity(self) -> dict[str, Any]:
        """All that the samples depend on besides the documents; the grammars say who imports whom."""
        return super().identity() | {"grammars": grammar_versions()}

    def special_tokens(self) -> tuple[str, ...]:
        """Those of the layout."""
        return self._layout.special_tokens()

    @property
    def _layout(self) -> Layout:
        layout: Layout = self.config.layout
        return layout

    def render(self, table: pa.Table) -> pa.Table:
        """Samples (schema.SAMPLE) of whole repositories, at once."""
        return pa.concat_tables([SAMPLE.empty_table(), *self.render_parts(table)])

    def render_parts(self, table: pa.Table) -> Iterator[pa.Table]:
        """The same in tables of about PART_BYTES: contexts make samples several times as large as their files."""
        held: list[_Sample] = []
        num_bytes = 0
        kinds = pa.array(sorted(self.categories), pa.string())
        for part in repositories(table.filter(pc.is_in(table["category"], value_set=kinds))):
            forget()  # the trees of the repository before
            for sample in self._samples(part):
                held.append(sample)
                num_bytes += sample.num_bytes
                if num_bytes >= PART_BYTES:
                    yield self._table(held)
                    held, num_bytes = [], 0
        if held:
            yield self._table(held)

    def check(
        self, samples: pa.Table, tokens: Sequence[Iterable[int]], special: Mapping[str, int], decode: Decode
    ) -> int:
        """Recover every sample from its tokens. StageError where one does not decode to its text."""
        for record, entries, ids in zip(samples["fim"], samples["segments"], tokens, strict=True):
            check_repository_sample(self._layout, record.as_py(), entries.as_py(), ids, special, decode)
        return len(tokens)

    def _table(self, samples: list[_Sample]) -> pa.Table:
        columns = {
            "sample_id": [sample.sample_id for sample in samples],
            "category": [self.label] * len(samples),
            "split": [sample.split for sample in samples],
            "language": [sample.language for sample in samples],
            "parents": [sample.parents for sample in samples],
            "whole": [sample.record is not None for sample in samples],
            "num_bytes": [sample.num_bytes for sample in samples],
            "fim": [sample.record for sample in samples],
        }
        arrays = {name: pa.array(values, SAMPLE.field(name).type) for name, values in columns.items()}
        loss = list(chain.from_iterable(sample.loss for sample in samples))
        arrays["segments"] = segments([sample.pieces for sample in samples], loss)
        return cast(pa.table(arrays), SAMPLE)

    def _samples(self, table: pa.Table) -> Iterator[_Sample]:
        """The samples of one repository, all of one split."""
        files = Repository(table)
        name, split, uses = table["repo"][0].as_py() or "", table["split"][0].as_py(), table["use"].to_pylist()
        shelf = _Shelf()
        for at in self._order(files, split):
            for sample in self._rendered(files, at, split) if uses[at] == "train" else [None]:
                if sample is not None and sample.pieces:
                    yield self._with_context(files, at, name, split, sample)
                    continue
                start, end = sample.span if sample is not None else (0, files.sizes[at])
                size = end - start + len(files.paths[at].encode())
                if sample is None and size > self.config.max_bytes:
                    continue  # what only helps shall not take the room of what trains
                if shelf.entries and shelf.num_bytes + size > self.config.max_bytes:
                    yield from self._plain(files, name, split, shelf)
                    shelf = _Shelf()
                shelf.entries.append((at, start, end, sample is not None))
                shelf.num_bytes += size
        yield from self._plain(files, name, split, shelf)

    def _order(self, files: Repository, split: str) -> list[int]:
        """Held-out files stand alike in every run, and no file stands where it does for having a hole."""
        if self.config.order == "topological":
            return files.order
        drawn = [Draws(self._seed_of(split), "order", doc_id).unit() for doc_id in files.doc_ids]
        return sorted(range(len(drawn)), key=lambda at: (drawn[at], files.doc_ids[at]))

    def _seed_of(self, split: str) -> int:
        """That of held-out samples is the same in every run."""
        return self.seed if split == "train" else 0

    def _rendered(self, files: Repository, at: int, split: str) -> list[Rendered]:
        """What becomes of a file: parts with holes, and plain ones."""
        fim: FimConfig | None = self.config.fim
        draws = draws_of(fim, self.seed, self.label, files.doc_ids[at], split) if fim else None
        if fim is None or draws is None:
            return [Rendered((0, files.sizes[at]), [], None)]
        return render_document(fim, files.text(at), files.languages[at], draws)

    def _with_context(self, files: Repository, at: int, name: str, split: str, sample: Rendered) -> _Sample:
        """Snippets of other files, then the one with the hole."""
        fim, record, start = self.config.fim, sample.record or {}, sample.span[0]
        draws = Draws(self._seed_of(split), "context", f"{files.doc_ids[at]} {start}")
        named = draws.unit() < self.config.share_of_names
        hole = record["middle_start"], record["middle_end"]
        snippets = files.related(at, hole, sample.span, self.config.context, draws)
        before = self._head(name if named else "")
        for snippet in snippets:
            header = self._entry(files.paths[snippet.file], named)
            before += [*header, Piece("context", files.cut(snippet)), Piece("gap", b"\n")]
        file, *path = self._entry(files.paths[at], named)
        place = [piece.role for piece in sample.pieces].index("prefix") if fim.layout in NAMES else 0
        pieces = [*before, file, *sample.pieces[:place], *path, *sample.pieces[place:]]
        loss = learned(fim, sample.pieces)
        return _Sample(
            digest("repo", self.label, files.doc_ids[at], str(start)),
            split,
            files.languages[at],
            [*dict.fromkeys(files.doc_ids[snippet.file] for snippet in snippets), files.doc_ids[at]],
            pieces,
            [False] * (len(before) + 1) + loss[:place] + [False] * len(path) + loss[place:],
            record,
        )

    def _plain(self, files: Repository, name: str, split: str, shelf: _Shelf) -> Iterator[_Sample]:
        """Files one after the other. What serves as context has no use behind the last one that trains."""
        entries = shelf.entries
        while entries and not entries[-1][3]:
            entries = entries[:-1]
        if not entries:
            return
        first = f"{files.doc_ids[entries[0][0]]} {entries[0][1]}"
        named = Draws(self._seed_of(split), "plain", first).unit() < self.config.share_of_names
        pieces = self._head(name if named else "")
        loss = [False] * len(pieces)
        languages = Counter[str | None]()
        learns_end = False  # that a file ends is learned where its text is, and where it does end
        for at, start, end, trains in entries:
            header = self._entry(files.paths[at], named)
            pieces += [*header, Piece("text", files.text(at)[start:end]), Piece("gap", b"\n")]
            loss += [learns_end, *[False] * (len(header) - 1), trains, False]
            languages[files.languages[at]] += (end - start) * trains
            learns_end = trains and end == files.sizes[at]
        pieces, loss = pieces[:-1], loss[:-1]
        if entries[-1][2] == files.sizes[entries[-1][0]]:
            pieces, loss = [*pieces, Piece("END", self._layout.text_end.encode())], [*loss, True]
        language = min(languages, key=lambda one: (-languages[one], one or ""))
        parents = [files.doc_ids[entry[0]] for entry in entries]
        yield _Sample(digest("repo", self.label, "plain", first), split, language, parents, pieces, loss)

    def _head(self, name: str) -> list[Piece]:
        """The name of the repository, where it has one."""
        return [Piece("REPO", (self._layout.repo or "").encode()), Piece("name", f"{name}\n".encode())] if name else []

    def _entry(self, path: str, named: bool) -> list[Piece]:
        """What stands before the text of a file."""
        file = Piece("FILE", (self._layout.file or "").encode())
        return [file, Piece("path", f"{path}\n".encode())] if named and path else [file]


def repositories(table: pa.Table) -> Iterator[pa.Table]:
    """Runs of documents of one repository and split; a document without a repository stands alone."""
    keys = list(zip(table["repo"].to_pylist(), table["split"].to_pylist(), strict=True))
    start = 0
    for row in range(1, len(keys) + 1):
        if row == len(keys) or keys[row][0] is None or keys[row] != keys[start]:
            yield table.slice(start, row - start)
            start = row
