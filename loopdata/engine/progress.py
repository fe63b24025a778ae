"""Showing how far a run is: units, documents/s, MB/s and time left, on stderr.

Enters: the units of a phase and their manifests as they come. Leaves: a moving line on a terminal; elsewhere one line a
phase and one every LINE_SECONDS. Limit: what is left is estimated from bytes, so that a phase of unequal work per byte
is off.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from loopdata.engine.unit import Manifest, Unit

LINE_SECONDS = 30.0


class Progress:
    """What a driver tells about itself."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._bar: RichProgress | None = None
        self._phase = ""
        self._units = self._done = 0
        self._documents = self._bytes = self._total_bytes = 0
        self._started = self._spoken = 0.0

    @contextlib.contextmanager
    def phase(self, name: str, units: Sequence[Unit], done: Sequence[Manifest]) -> Iterator[None]:
        """Show a phase while it lasts. What was done before does not count for the speed."""
        self._phase, self._units, self._done = name, len(units), len(done)
        self._documents = self._bytes = 0
        self._total_bytes = sum(unit.num_bytes for unit in units) - sum(entry.num_bytes for entry in done)
        self._started = self._spoken = time.monotonic()
        if self._done == self._units:
            self.say(f"{name}: {self._units} units, all done before")
            yield
            return
        with self._bar_of(name) if self.console.is_terminal else contextlib.nullcontext() as self._bar:
            yield
        self._bar = None
        self.say(self._line())

    def advance(self, manifest: Manifest) -> None:
        """One unit is done."""
        self._done += 1
        self._documents += manifest.counts[0].entered if manifest.counts else 0
        self._bytes += manifest.num_bytes
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._bytes, rate=self._rate(), units=self._done)
        elif time.monotonic() - self._spoken > LINE_SECONDS:
            self._spoken = time.monotonic()
            self.say(f"{self._line()}, about {self._seconds_left():.0f} s left")

    def say(self, line: str) -> None:
        self.console.print(line, style="dim", highlight=False)

    def _line(self) -> str:
        seconds = time.monotonic() - self._started
        parts = (f"{self._phase}: {self._done} of {self._units} units", self._rate(), f"{seconds:.1f} s")
        return ", ".join(part for part in parts if part)

    def _rate(self) -> str:
        seconds = max(time.monotonic() - self._started, 1e-3)
        documents = f"{self._documents / seconds:,.0f} documents/s, " if self._documents else ""
        return f"{documents}{self._bytes / seconds / 1e6:,.1f} MB/s" if self._bytes else ""

    def _seconds_left(self) -> float:
        seconds = time.monotonic() - self._started
        return seconds * max(self._total_bytes - self._bytes, 0) / max(self._bytes, 1)

    def _bar_of(self, name: str) -> RichProgress:
        columns: list[ProgressColumn] = [
            TextColumn("{task.description:>24}"),
            BarColumn(bar_width=28),
            _Units(self._units),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
        ]
        bar = RichProgress(*columns, console=self.console, transient=True)
        bar.add_task(name, total=max(self._total_bytes, 1), rate="", units=self._done)
        return bar


class _Units(ProgressColumn):
    """Units done of all."""

    def __init__(self, total: int) -> None:
        super().__init__()
        self._total = total

    def render(self, task: Task) -> Text:
        return Text(f"{task.fields['units']}/{self._total} units")
