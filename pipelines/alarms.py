"""Alarms: what a stage dropped of each language and source, against the range that was expected.

Enters: the account of a phase, divided by source and language. Leaves: an alarm for each share outside its range, with
examples from the recorded fates; a range with `action: stop` ends the run. A filter that silently removes a whole
language is the fault that this is for, so both ends of a range count. Limit: groups of fewer documents than
`min_documents` are not judged, and before the stage `language` there are only sources.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator, Field
from rich.console import Console

from loopdata.config import Strict, nearest
from loopdata.engine.ledger import totals
from loopdata.engine.tables import read_tables
from loopdata.engine.unit import Count, Group, Manifest
from loopdata.errors import ConfigError, StageError
from loopdata.stage import Between, Step
from loopdata.storage import Folder
from loopdata.syntax import language_names
from pipelines.places import fate_line, place_name


def _ordered(share: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= share[0] <= share[1] <= 1:
        raise ValueError("a range is two shares, the smaller first, as in [0, 0.9]")
    return share


Bounds = Annotated[tuple[float, float], AfterValidator(_ordered)]
Action = Literal["warn", "stop"]
Meant = Mapping[str, Mapping[str, Between]]  # what each stage, by label, means to drop of a language


class StageAlarms(Strict):
    """What is expected of one stage; the range of a language counts before that of a source, that before `dropped`, and
    all before what the stage says of itself and the general range."""

    dropped: Bounds | None = None
    languages: dict[str, Bounds] = Field(default_factory=dict)
    sources: dict[str, Bounds] = Field(default_factory=dict)
    action: Action | None = None


class AlarmsSection(Strict):
    """`dropped`: the share of documents that a stage may drop of a language or source; `stages` by label."""

    dropped: Bounds = (0.0, 0.9)
    min_documents: int = Field(default=100, ge=1)
    action: Action = "warn"
    stages: dict[str, StageAlarms] = Field(default_factory=dict)

    def check_names(self, stages: list[str], sources: list[str]) -> None:
        """ConfigError for a stage, source or language that does not exist."""
        languages = [*language_names.languages(), language_names.UNKNOWN]
        for label, stage in self.stages.items():
            where = f"alarms.stages.{label}"
            _known(label, ["read", *stages], "stage", "alarms.stages")
            for name in stage.sources:
                _known(name, sources, "source", f"{where}.sources")
            for name in stage.languages:
                _known(name, languages, "language", f"{where}.languages")


def _known(name: str, names: list[str], what: str, where: str) -> None:
    if name not in names:
        raise ConfigError(f"{where}: there is no {what} '{name}'{nearest(name, names)}")


@dataclass
class Alarm:
    """A share outside its range. `source` or `language` is empty where all are meant."""

    stage: str
    source: str
    language: str
    entered: int
    dropped: int
    expected: tuple[float, float]
    action: str
    examples: list[str] = field(default_factory=list)  # doc_ids, then lines once they were looked up

    def __str__(self) -> str:
        what = self.language or "the documents"
        whence = f" of source '{self.source}'" if self.source else ""
        low, high = self.expected
        return (
            f"the stage '{self.stage}' dropped {self.dropped / self.entered:.1%} of {what}{whence} "
            f"({self.dropped:,} of {self.entered:,}), outside {100 * low:.6g}% to {100 * high:.6g}%"
        )


def find_alarms(counts: list[Count], section: AlarmsSection, meant: Meant | None = None) -> list[Alarm]:
    """Alarms of the whole account, stage by stage: sources, then languages, then pairs that neither explains."""
    return [alarm for count in counts for alarm in _of_stage(count, section, (meant or {}).get(count.stage, {}))]


def _of_stage(count: Count, section: AlarmsSection, meant: Mapping[str, Between]) -> Iterator[Alarm]:
    stage = section.stages.get(count.stage, StageAlarms())
    found: set[tuple[str, str]] = set()
    for source, language, group in _groups(count):
        share = group.dropped / max(group.entered, 1)
        low, high = _expected(stage, source, language) or meant.get(language) or section.dropped
        explained = bool(source and language and ({(source, ""), ("", language)} & found))
        if group.entered >= section.min_documents and not low <= share <= high and not explained:
            found.add((source, language))
            action = stage.action or section.action
            numbers = (group.entered, group.dropped, (low, high), action)
            yield Alarm(count.stage, source, language, *numbers, list(group.examples))


def _groups(count: Count) -> list[tuple[str, str, Group]]:
    """Each source over all languages, each language over all sources, then every pair."""
    sources: dict[str, Group] = {}
    languages: dict[str, Group] = {}
    pairs = []
    for source, inside in sorted(count.groups.items()):
        for language, group in sorted(inside.items()):
            sources.setdefault(source, Group()).add(group)
            if language:
                languages.setdefault(language, Group()).add(group)
                pairs.append((source, language, group))
    whole = [(source, "", group) for source, group in sources.items()]
    return [*whole, *(("", language, group) for language, group in sorted(languages.items())), *pairs]


def _expected(stage: StageAlarms, source: str, language: str) -> Between | None:
    """What the run file expects of this stage."""
    return stage.languages.get(language) or stage.sources.get(source) or stage.dropped


class Watch:
    """Looks at every phase of a run when it is done, says what is out of range, and stops where that was asked for."""

    def __init__(self, section: AlarmsSection, steps: Iterable[Step], folder: Folder, console: Console) -> None:
        self.alarms: list[Alarm] = []
        self._section, self._folder, self._console = section, folder, console
        self._meant = {step.label: step.expected_drops() for step in steps}
        self._locations: dict[str, Manifest] = {}

    def __call__(self, found: list[Manifest]) -> None:
        self._locations |= {entry.name: entry for entry in found if "locations" in entry.outputs}
        alarms = find_alarms(totals(found), self._section, self._meant)
        for alarm in alarms:
            alarm.examples = [self._example(found, alarm.stage, doc_id) for doc_id in alarm.examples]
            self._say(alarm)
        self.alarms += alarms
        for alarm in alarms:
            if alarm.action == "stop":
                raise StageError(
                    str(alarm), f"mend the stage, or state what is right under alarms.stages.{alarm.stage}"
                )

    def _say(self, alarm: Alarm) -> None:
        self._console.print(f"alarm: {alarm}", style="yellow", soft_wrap=True, highlight=False, markup=False)
        for line in alarm.examples:
            self._console.print(f"  {line}", style="dim", soft_wrap=True, highlight=False, markup=False)

    def _example(self, found: list[Manifest], stage: str, doc_id: str) -> str:
        """One dropped document as a line: its place, and the fate that ended it."""
        for entry in found:
            if any(doc_id in _examples(count) for count in entry.counts if count.stage == stage):
                place = self._row(self._locations.get(entry.name), "locations", "doc_id", doc_id) or {"doc_id": doc_id}
                fate = self._row(entry, "fates", "subject", doc_id, stage)
                return f"{place_name(place)}: {fate_line(fate)}" if fate else place_name(place)
        return doc_id

    def _row(
        self, manifest: Manifest | None, output: str, column: str, value: str, stage: str = ""
    ) -> dict[str, Any] | None:
        if manifest is None:
            return None
        for table in read_tables(self._folder, manifest.output(output)):
            for row in _rows(table, column, value):
                if not stage or (row["stage"] == stage and row["fate"] == "dropped"):
                    return row
        return None


def _rows(table: pa.Table, column: str, value: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.filter(pc.equal(table[column], value)).to_pylist()
    return rows


def _examples(count: Count) -> set[str]:
    return {doc_id for inside in count.groups.values() for group in inside.values() for doc_id in group.examples}
