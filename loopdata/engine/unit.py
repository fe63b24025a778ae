"""Units of work, their keys, and the manifests that publish what they wrote.

A unit is one task over named inputs. Its key is a hash of everything that its output depends on: the task's identity
(stages, versions, configs, resource digests), the digests of its inputs, and the versions that decide bytes on disk.
A unit whose manifest carries its key is done. Limit: a key of None stands for a unit whose inputs are not known yet,
which happens only while planning.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from loopdata.errors import RunError
from loopdata.schema import digest

if TYPE_CHECKING:
    from loopdata.engine.attempt import Attempt

# What decides the bytes of an output besides the task itself: the layout written here, and Parquet's writer.
ENVIRONMENT = {"format": 4, "pyarrow": pa.__version__}

UNKNOWN = "?"

MAX_EXAMPLES = 3


def unit_number(unit: str) -> int:
    """The digest at the end of a unit's id, as a number: what many rows carry instead of the id."""
    return int(unit[-16:], 16)


@dataclass(frozen=True)
class Output:
    """A file that a unit wrote: name below the run folder, bytes, SHA-256, rows where it is a table.

    The SHA-256 of a file of parts is that of its index, which holds digests of the parts.
    """

    name: str
    num_bytes: int
    sha256: str
    rows: int | None = None


@dataclass
class Group:
    """Documents of one source and language in a stage; `examples` are the first MAX_EXAMPLES that it dropped."""

    entered: int = 0
    dropped: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, other: "Group") -> None:
        self.entered += other.entered
        self.dropped += other.dropped
        self.examples = [*self.examples, *other.examples][:MAX_EXAMPLES]


@dataclass
class Count:
    """The account of one stage over one unit. in + born = kept + dropped + quarantined."""

    stage: str
    entered: int = 0
    born: int = 0
    kept: int = 0
    dropped: int = 0
    quarantined: int = 0
    entered_bytes: int = 0
    kept_bytes: int = 0
    notes: dict[str, int] = field(default_factory=dict)  # `fate.rule` → number, for the fates that end nothing too
    groups: dict[str, dict[str, Group]] = field(default_factory=dict)  # source → language ("" before it has a name)

    def group(self, source: str, language: str) -> Group:
        """The part of the account of one source and language."""
        return self.groups.setdefault(source, {}).setdefault(language, Group())

    def check(self, where: str) -> None:
        if self.entered + self.born != self.kept + self.dropped + self.quarantined:
            raise RunError(
                f"the account of stage '{self.stage}' in {where} is wrong: {self.entered} in + {self.born} born is not "
                f"{self.kept} kept + {self.dropped} dropped + {self.quarantined} quarantined"
            )


class Task(Protocol):
    """What a unit does. It travels to a worker by pickle."""

    def identity(self) -> Mapping[str, Any]:
        """All that the output depends on besides `reads`, as JSON values."""
        ...

    def run(self, attempt: "Attempt") -> None:
        """Read inputs, write outputs through `attempt`."""
        ...


@dataclass(frozen=True)
class Unit:
    """One task over named inputs. `reads` are digests of what it reads; UNKNOWN among them makes the key unknown."""

    phase: str
    name: str
    task: Task
    reads: tuple[str, ...] = ()
    num_bytes: int = 0  # of work, for progress and estimates

    @cached_property
    def id(self) -> str:
        """Stable and unique in a run; fit for a file name."""
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", self.name).strip("-.")[:40] or "unit"
        return f"{slug}-{digest(self.phase, self.name)[:16]}"

    @property
    def key(self) -> str | None:
        if UNKNOWN in self.reads:
            return None
        identity = json.dumps([ENVIRONMENT, self.task.identity()], sort_keys=True, separators=(",", ":"))
        return digest(self.phase, self.name, identity, *self.reads)

    @property
    def manifest_name(self) -> str:
        return f"manifests/{self.phase}/{self.id}.json"


@dataclass
class Manifest:
    """What a unit wrote, and its account. `known` is false for one that only stands for a unit still to run."""

    phase: str
    unit: str
    name: str
    key: str
    attempt: str = ""
    outputs: dict[str, Output] = field(default_factory=dict)
    counts: list[Count] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    num_bytes: int = 0
    known: bool = True

    def output(self, label: str) -> Output:
        """The output of this label; an unknown one while planning."""
        return self.outputs[label] if self.known else Output(UNKNOWN, 0, UNKNOWN)

    def to_json(self) -> bytes:
        data = asdict(self)
        del data["known"]
        # Once there and back, so that the sum is of what a reader gets: keys become texts, tuples become lists.
        data = json.loads(json.dumps(data))
        body = json.dumps(data, sort_keys=True, separators=(",", ":"))
        return json.dumps({"sum": digest(body), "body": data}, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> "Manifest | None":
        """The manifest, or None where the bytes are not a whole one."""
        try:
            data = json.loads(raw)
            body = data["body"]
            if data["sum"] != digest(json.dumps(body, sort_keys=True, separators=(",", ":"))):
                return None
            outputs = {label: Output(**entry) for label, entry in body.pop("outputs").items()}
            counts = [_count(entry) for entry in body.pop("counts")]
            return cls(**body, outputs=outputs, counts=counts)
        except (ValueError, KeyError, TypeError):
            return None

    @classmethod
    def unknown(cls, unit: Unit) -> "Manifest":
        return cls(unit.phase, unit.id, unit.name, UNKNOWN, num_bytes=unit.num_bytes, known=False)


def _count(entry: dict[str, Any]) -> Count:
    groups = {
        source: {language: Group(**numbers) for language, numbers in languages.items()}
        for source, languages in entry.pop("groups").items()
    }
    return Count(**entry, groups=groups)
