"""One attempt at a unit: where it writes, how it counts, and the commit that publishes it.

Enters: a run folder and a unit. Leaves: files under names that no other attempt uses, and, written last and atomically,
the manifest that names them. An attempt that dies leaves files that no manifest names; a later run sweeps them. Limit:
two attempts of one unit may both finish (a worker outlives its driver for seconds); the later manifest wins, and both
say the same.
"""

import contextlib
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, TypeVar

import pyarrow as pa

from loopdata.engine.guard import Guard
from loopdata.engine.part_file import PartWriter
from loopdata.engine.tables import TableWriter
from loopdata.engine.unit import Count, Manifest, Output, Unit
from loopdata.storage import Folder, HashingWriter, Written

W = TypeVar("W", TableWriter, PartWriter)

# stage label → doc_id → cause: documents that killed their worker
Poison = Mapping[str, Mapping[str, str]]


class Attempt:
    """The surroundings of a task while it runs."""

    def __init__(
        self,
        run: Folder,
        unit: Unit,
        guard: Guard | None = None,
        poison: Poison | None = None,
        suspect: tuple[str, int] | None = None,
    ) -> None:
        """`suspect` is the stage and batch that a killer is searched in: there the chain goes document by document."""
        self.folder = run
        self.unit = unit
        self.guard = guard or Guard(stall_seconds=0)
        self.poison: Poison = poison or {}
        self.suspect = suspect
        self.nonce = uuid.uuid4().hex[:8]
        self.figures: dict[str, Any] = {}
        self._outputs: dict[str, Output] = {}
        self._counts: list[Count] = []
        self._started = time.monotonic()

    def stem(self, label: str) -> str:
        """A name below the run folder that only this attempt uses."""
        return f"data/{self.unit.phase}/{self.unit.id}.{self.nonce}.{label}"

    def table(self, label: str, schema: pa.Schema) -> AbstractContextManager[TableWriter]:
        """Write a table as the output `label`."""
        return self._rows(label, ".parquet", TableWriter, schema)

    @contextlib.contextmanager
    def parts(self, label: str, schema: pa.Schema) -> Iterator[PartWriter]:
        """Write a file of parts as the output `label`; `part_file` finds it by the manifest."""
        with self._rows(label, ".parts", PartWriter, schema) as writer:
            yield writer
        self.figures[f"{label}.parts"] = len(writer.parts)

    @contextlib.contextmanager
    def _rows(self, label: str, suffix: str, kind: type[W], schema: pa.Schema) -> Iterator[W]:
        with self.file(label, suffix) as stream:
            writer = kind(stream, schema)
            yield writer
            writer.close()
        self._outputs[label] = replace(self._outputs[label], rows=writer.rows)

    @contextlib.contextmanager
    def file(self, label: str, suffix: str) -> Iterator[HashingWriter]:
        """Write any other file as the output `label`."""
        name = f"{self.stem(label)}{suffix}"
        with self.folder.create(name) as stream:
            yield stream
        self._outputs[label] = Output(name, stream.num_bytes, stream.hexdigest())

    def adopt(self, label: str, written: Written, rows: int | None = None) -> None:
        """Take a file that was written through the folder under a name from `stem`."""
        self._outputs[label] = Output(written.name, written.num_bytes, written.sha256, rows)

    def count(self, stage: str) -> Count:
        """The account of a stage, new in this unit."""
        self._counts.append(Count(stage))
        return self._counts[-1]

    def commit(self) -> Manifest:
        """Check the account and publish. RunError where it does not add up."""
        key = self.unit.key
        if key is None:
            raise ValueError(f"unit {self.unit.name} of phase {self.unit.phase} has inputs that are not known")
        for count in self._counts:
            count.check(f"unit '{self.unit.name}' of phase '{self.unit.phase}'")
        manifest = Manifest(
            self.unit.phase,
            self.unit.id,
            self.unit.name,
            key,
            self.nonce,
            self._outputs,
            self._counts,
            self.figures,
            round(time.monotonic() - self._started, 3),
            self.unit.num_bytes,
        )
        published = manifest.to_json()
        self.folder.write_atomic(self.unit.manifest_name, published)
        # What a later run will read, so that a phase sees the same whether the unit ran now or before.
        return Manifest.from_json(published) or manifest


def perform(attempt: Attempt) -> Manifest:
    """Run the unit's task and commit."""
    attempt.guard.at(unit=attempt.unit.id)
    try:
        attempt.unit.task.run(attempt)
        attempt.guard.beat()
        return attempt.commit()
    finally:
        attempt.guard.rest()
