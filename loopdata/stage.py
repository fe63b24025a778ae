"""What a stage is: the contract between the steps that decide about documents and the engine that drives them.

A `Stage` is a pure function of an Arrow table, its own configuration and its own resources: no I/O, clock, network or
global random state. A `CorpusStage` decides over the whole corpus in rounds of map → exchange → reduce in which only
keys travel; its verdicts are then applied to the documents of each unit like a row-local stage. The engine checks what
both return and keeps the account. Limit: a stage sees one batch (scope `row`) or whole repositories (scope `repo`).
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import pyarrow as pa

from loopdata.config import Strict
from loopdata.errors import StageError
from loopdata.storage import Folder

T = TypeVar("T")
Decode = Callable[[Sequence[int]], bytes]

ENDS = frozenset({"dropped", "quarantined"})
NOTES = frozenset({"edited", "marked", "context"})


class Fate(NamedTuple):
    """What became of a document in a stage, and why."""

    subject: str  # doc_id
    stage: str
    fate: str  # one of ENDS or NOTES
    rule: str
    value: float | None = None
    threshold: float | None = None
    ref: str | None = None
    details: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a stage made of a table: documents kept (in their order), fates, and documents born from others."""

    kept: pa.Table
    fates: list[Fate] = field(default_factory=list)
    born: pa.Table | None = None


@dataclass(frozen=True)
class Resource:
    """A file that a stage needs: loaded once a worker, its SHA-256 part of the unit key."""

    folder: Folder
    name: str
    sha256: str

    def load(self, loader: Callable[[bytes], T]) -> T:
        """`loader` of the file's bytes; the same object for every stage of this process that asks with this loader.

        StageError where the file is gone, or not the one of this digest.
        """
        key = (self.sha256, f"{loader.__module__}.{loader.__qualname__}")
        if key not in _loaded:
            _loaded[key] = loader(self._read())
        loaded: T = _loaded[key]
        return loaded

    def _read(self) -> bytes:
        where = f"{self.folder.url}/{self.name}"
        try:
            raw = self.folder.read(self.name)
        except FileNotFoundError:
            raise StageError(f"{where} is gone", "make it again") from None
        if hashlib.sha256(raw).hexdigest() != self.sha256:
            raise StageError(f"{where} is broken: it is not what was written", "make it again")
        return raw


_loaded: dict[tuple[str, str], Any] = {}


Between = tuple[float, float]  # the least and the greatest share


class Step(ABC):
    """What stages of both kinds state about themselves."""

    name: ClassVar[str]
    version: ClassVar[int] = 1  # raised when the output for the same input changes
    scope: ClassVar[Literal["row", "repo"]] = "row"
    categories: ClassVar[frozenset[str] | None] = None  # None: all; documents of others pass by untouched
    needs: ClassVar[Mapping[str, pa.DataType | None]] = {}  # None: of whatever type
    adds: ClassVar[Mapping[str, pa.DataType]] = {}
    removes: ClassVar[frozenset[str]] = frozenset()
    Config: ClassVar[type[Strict]] = Strict

    def __init__(self, config: Strict | None = None, *, label: str = "", seed: int = 0) -> None:
        """`label` is the name under which fates are written (`as:` in the run file); `seed` is the data seed."""
        self.config: Any = config if config is not None else self.Config()
        self.label = label or self.name
        self.seed = seed

    def resources(self) -> Mapping[str, Resource]:
        """The files that this stage reads besides its table."""
        return {}

    def identity(self) -> dict[str, Any]:
        """All that its output depends on besides the documents: part of the unit key."""
        return {
            "stage": self.name,
            "label": self.label,
            "version": self.version,
            "seed": self.seed,
            "config": self.config.model_dump(mode="json"),
            "resources": {name: resource.sha256 for name, resource in sorted(self.resources().items())},
        }

    def expected_drops(self) -> Mapping[str, Between]:
        """By language, the least and the greatest share that it means to drop, where that is not what others do."""
        return {}

    def random(self, doc_id: str) -> float:
        """A number in [0, 1) fixed by seed, stage and document: order and parallelism change nothing."""
        return unit_interval(self.seed, self.label, doc_id)


class Stage(Step):
    """A stage that decides about a document from the document (or its repository) alone."""

    @abstractmethod
    def apply(self, table: pa.Table) -> Outcome:
        """Decide about every document of `table`, which holds the columns of `needs` and all others so far.

        `kept` has the same columns and those of `adds`, without those of `removes`. Each document that is not kept has
        one fate of ENDS.
        """


@dataclass(frozen=True)
class Round:
    """One map → exchange → reduce of a CorpusStage.

    emits       rows that travel; must hold `key` (uint64): rows with an equal key meet in one reduce. A row of a
                document carries `unit`, which the engine fills in, if the schema names it: as uint64 in eight bytes.
    gives       rows that reduce returns. Where a later round over documents, or `apply`, shall see them, it must hold
                `unit`: by it the rows come back to the unit that their document lies in.
    over        documents: map sees the documents of a unit; rows: map sees what the round before gave.
    partitions  how many parts the key space is cut into; fixed, never derived from the number of workers.
    rows_each   over rows: no more parts than give each so many of the rows that come in; 0: always `partitions`.
    via         over rows: the round is repeated, each time behind the round `via`, until it gives what it gave before.
                One turn is enough where all rows met in one table.
    """

    name: str
    emits: pa.Schema
    gives: pa.Schema
    over: Literal["documents", "rows"] = "documents"
    partitions: int = 16
    rows_each: int = 0
    via: "Round | None" = None


class CorpusStage(Step):
    """A stage that needs the whole corpus: deduplication, grouping."""

    rounds: ClassVar[tuple[Round, ...]]

    def before(self) -> "tuple[Step, ...]":
        """What runs directly before it. Row-local stages do so at the end of its documents' last phase: they add
        columns for its maps while what was parsed for a batch is still remembered. It removes those columns."""
        return ()

    @abstractmethod
    def map(self, step: Round, table: pa.Table, given: Mapping[str, pa.Table]) -> pa.Table:
        """Rows of `step.emits` for a batch of documents, or for a table of rows that the round before gave.

        The rows of a document must not depend on the others of its batch: a document that makes the map raise, or
        kills its process, is quarantined, and the map called again without it.
        `given` holds, for a round over documents, the rows that each round before it whose rows carry `unit` gave for
        this unit, by the round's name.
        """

    @abstractmethod
    def reduce(self, step: Round, table: pa.Table) -> pa.Table:
        """Rows of `step.gives` for whole key groups, which come sorted by key, then by every other column."""

    @abstractmethod
    def apply(self, table: pa.Table, verdicts: pa.Table) -> Outcome:
        """As `Stage.apply`, with the rows that the last round gave for the unit of these documents."""


@dataclass(frozen=True)
class Input:
    """One piece of a source, and the smallest thing that is ever redone: a repository, an archive, a WARC file.

    `name` is stable and unique within its source. `digest` changes whenever the content may have changed. `groups` are
    the split groups inside, where they are known before it is read, else None. `locator` is what `read` needs.
    """

    name: str
    digest: str
    num_bytes: int
    groups: tuple[str, ...] | None = None
    locator: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """Some documents of an input in order, fates of what was not taken, and the places of both.

    Every entry of the input is in `locations` once, and either in `documents` or in one fate of ENDS.
    """

    documents: pa.Table
    fates: list[Fate]
    locations: pa.Table


class Source(ABC):
    """Where documents come from. It lists inputs with digests, and reads one input into batches."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    Config: ClassVar[type[Strict]]
    extra: Mapping[str, pa.DataType] = {}  # columns of its documents besides SOURCE_COLUMNS; null in other sources

    def __init__(self, config: Strict, *, label: str) -> None:
        """`label` is the source's name in the run file."""
        self.config: Any = config
        self.label = label

    @abstractmethod
    def inputs(self) -> list[Input]:
        """Every input, sorted by name. ConfigError for a path that is not there, SourceError for an empty one."""

    @abstractmethod
    def read(self, item: Input) -> Iterator[Batch]:
        """The batches of one input, always cut alike. SourceError where it cannot be read or changed since listing."""

    def identity(self) -> dict[str, Any]:
        """All that the documents depend on besides the input's content."""
        return {"source": self.name, "label": self.label, "version": self.version, **self.config.identity()}


class Builder(ABC):
    """What renders documents as samples for training. It reads no source, and keeps the split of each document."""

    name: ClassVar[str]
    version: ClassVar[int] = 1  # raised when the output for the same input changes
    scope: ClassVar[Literal["row", "repo"]] = "row"  # whether it is given any documents, or whole repositories
    categories: ClassVar[frozenset[str] | None] = None  # None: all; it renders nothing of documents of others
    needs: ClassVar[Mapping[str, pa.DataType]] = {}
    Config: ClassVar[type[Strict]] = Strict

    def __init__(self, config: Strict | None = None, *, label: str = "", seed: int = 0) -> None:
        """`label` is the entry under `samples`, and the category of what is rendered; `seed` is the data seed."""
        self.config: Any = config if config is not None else self.Config()
        self.label = label or self.name
        self.seed = seed

    def identity(self) -> dict[str, Any]:
        """All that the samples depend on besides the documents: part of the unit key."""
        return {
            "builder": self.name,
            "label": self.label,
            "version": self.version,
            "seed": self.seed,
            "config": self.config.model_dump(mode="json"),
        }

    def special_tokens(self) -> tuple[str, ...]:
        """The spellings of the special tokens that its samples may hold: a tokenizer must have them."""
        return ()

    @abstractmethod
    def render(self, table: pa.Table) -> pa.Table:
        """Samples (schema.SAMPLE) of the documents of `table`, which holds at least the columns of `needs`, in order.

        Documents with another `use` than `train` get no loss.
        """

    def render_parts(self, table: pa.Table) -> Iterator[pa.Table]:
        """As `render`, in as many tables as a builder needs whose samples are much larger than their documents."""
        yield self.render(table)

    def check(
        self, samples: pa.Table, tokens: Sequence[Iterable[int]], special: Mapping[str, int], decode: Decode
    ) -> int:
        """How many samples were proved whole by their token ids; a builder that promises it overrides this.

        `special` maps spellings to ids, `decode` gives the bytes of ids. StageError for a sample that is not whole.
        """
        return 0


def unit_interval(seed: int, *parts: str) -> float:
    """A number in [0, 1) from a seed and names, the same on every machine (SHA-256, 53 bits)."""
    return _fraction(hashlib.sha256(repr((seed, *parts)).encode("utf-8", "surrogatepass")).digest())


class UnitIntervals:
    """`unit_interval` of many last names behind the same first ones, which are hashed once."""

    def __init__(self, seed: int, *parts: str) -> None:
        first = repr((seed, *parts, "")).removesuffix("'')")
        self._state = hashlib.sha256(first.encode("utf-8", "surrogatepass"))

    def of(self, last: str) -> float:
        """`unit_interval(seed, *parts, last)`."""
        state = self._state.copy()
        state.update(f"{last!r})".encode("utf-8", "surrogatepass"))
        return _fraction(state.digest())


def _fraction(digest: bytes) -> float:
    return (int.from_bytes(digest[:8]) >> 11) / (1 << 53)
