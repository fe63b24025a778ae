"""What a dedup stage put together: sizes of clusters, likeness, and ten copies beside their survivors as diffs.

Enters: the fates of a dedup stage, and the documents as they were before it. Leaves: `report/LABEL.json` with numbers
and `report/LABEL.md` with diffs (difflib) in the run folder. All is read from what was recorded; no rule runs again. A
cluster is a survivor with its copies. The ten are spread evenly from the least to the greatest likeness, so that those
next to the threshold can be judged by eye. Limit: the fates of one stage are held in memory, some 150 bytes each,
and diffs are of the first MAX_LINES lines of each side.
"""

import difflib
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopdata.dedup.verdicts import Dedup
from loopdata.engine.attempt import Attempt
from loopdata.engine.driver import Driver
from loopdata.engine.tables import open_table, read_tables
from loopdata.engine.unit import Manifest, Output, Unit
from loopdata.schema import FATE
from loopdata.stage import Step
from pipelines.places import one_line, place_name

DIFFS = 10
LARGEST = 10
MAX_LINES = 2_000
MAX_DIFF_LINES = 80
MAX_LINE = 200
_COLUMNS = ("doc_id", "source", "repo", "path", "text")


@dataclass(frozen=True)
class Clusters:
    """Describe the clusters of one stage."""

    label: str
    by_value: bool  # fates carry a similarity, not the size of a group
    fates: tuple[Output, ...]
    documents: tuple[Output, ...]

    def identity(self) -> Mapping[str, Any]:
        return {"task": "clusters", "version": 1, "label": self.label, "by_value": self.by_value}

    def run(self, attempt: Attempt) -> None:
        fates = self._fates(attempt)
        copies = Counter(fates["ref"].to_pylist())
        chosen = spread(fates, DIFFS)
        largest = sorted(copies, key=lambda doc_id: (-copies[doc_id], doc_id))[:LARGEST]
        wanted = {*largest, *(row[side] for row in chosen for side in ("subject", "ref"))}
        found = self._documents(attempt, wanted)
        numbers = {
            "stage": self.label,
            "copies": fates.num_rows,
            "clusters": len(copies),
            "rules": dict(sorted(Counter(fates["rule"].to_pylist()).items())),
            "fates": dict(sorted(Counter(fates["fate"].to_pylist()).items())),
            "sizes": {str(size): n for size, n in sorted(Counter(1 + n for n in copies.values()).items())},
            "largest": [{"survivor": i, "place": _place(found, i), "documents": 1 + copies[i]} for i in largest],
        }
        if self.by_value:
            tenths = Counter(int(value * 20 + 1e-9) / 20 for value in fates["value"].to_pylist())
            numbers["similarity"] = {f"{at:.2f}": number for at, number in sorted(tenths.items())}
        with attempt.file("json", ".json") as sink:
            sink.write(json.dumps(numbers, indent=2).encode())
        with attempt.file("md", ".md") as sink:
            text = "".join(self._page(chosen, copies, found))
            sink.write(text.encode("utf-8", "replace"))

    def _fates(self, attempt: Attempt) -> pa.Table:
        columns = ["subject", "stage", "fate", "rule", "value", "ref"]
        tables = [FATE.empty_table().select(columns)]
        for output in self.fates:
            for table in read_tables(attempt.folder, output, columns):
                attempt.guard.at(unit=attempt.unit.id)
                tables.append(table.filter(pc.and_(pc.equal(table["stage"], self.label), table["ref"].is_valid())))
        return pa.concat_tables(tables)

    def _documents(self, attempt: Attempt, wanted: set[str]) -> dict[str, dict[str, Any]]:
        """The documents of these ids; of all others only ids are read."""
        ids, found = pa.array(sorted(wanted), pa.string()), {}
        for output in self.documents:
            with open_table(attempt.folder, output) as parquet:
                for group in range(parquet.num_row_groups):
                    attempt.guard.at(unit=attempt.unit.id)
                    mask = pc.is_in(parquet.read_row_group(group, columns=["doc_id"])["doc_id"], value_set=ids)
                    if pc.any(mask).as_py():
                        table = parquet.read_row_group(group, columns=list(_COLUMNS), use_threads=False)
                        found.update({row["doc_id"]: row for row in table.filter(mask).to_pylist()})
        return found

    def _page(
        self, chosen: Sequence[Mapping[str, Any]], copies: Mapping[str, int], found: Mapping[str, Mapping[str, Any]]
    ) -> Iterator[str]:
        yield f"# Copies that `{self.label}` found, {len(chosen)} of {sum(copies.values())}\n"
        for number, row in enumerate(chosen, start=1):
            likeness = f"similarity {row['value']:.4f}, " if self.by_value else ""
            size = 1 + copies[row["ref"]]
            yield f"\n## {number}. {likeness}{row['rule']}, {row['fate']}; {size} documents in the cluster\n\n"
            yield f"- stays: {_place(found, row['ref'])} ({row['ref']})\n"
            yield f"- copy: {_place(found, row['subject'])} ({row['subject']})\n\n"
            texts = [found.get(row[side], {}).get("text") or "" for side in ("ref", "subject")]
            lines = list(diff(*texts))
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", "\n".join(lines))), default=0))
            yield f"{fence}diff\n" + "".join(f"{line}\n" for line in lines) + f"{fence}\n"


def spread(fates: pa.Table, number: int) -> list[dict[str, Any]]:
    """At most so many rows, those nearest to values at even distances from the least to the greatest, in order."""
    ordered = fates.sort_by([("value", "ascending"), ("subject", "ascending")])
    values = ordered["value"].to_numpy()
    if not len(values):
        return []
    chosen: set[int] = set()
    for target in np.linspace(values[0], values[-1], number):
        far = np.abs(values - target)
        far[list(chosen)] = np.inf
        chosen.add(int(np.argmin(far)))
    rows: list[dict[str, Any]] = ordered.take(pa.array(sorted(chosen), pa.int64())).to_pylist()
    return rows


def diff(left: str, right: str) -> Iterator[str]:
    """Lines of a unified diff, printable and cut to a bearable size."""
    stays, copy = (text.split("\n", MAX_LINES)[:MAX_LINES] for text in (left, right))
    lines = list(
        itertools.islice(difflib.unified_diff(stays, copy, "stays", "copy", n=2, lineterm=""), MAX_DIFF_LINES + 1)
    )
    if not lines:
        yield "the same, as far as they are shown"
    for line in lines[:MAX_DIFF_LINES]:
        shown = one_line(line.replace("\t", "    "))
        yield shown if len(shown) <= MAX_LINE else shown[:MAX_LINE] + " …"
    if len(lines) > MAX_DIFF_LINES:
        yield "…"


def _place(found: Mapping[str, Mapping[str, Any]], doc_id: str) -> str:
    return place_name(found.get(doc_id, {"doc_id": doc_id}))


def clusters_unit(step: Step, before: Sequence[Manifest], after: Sequence[Manifest]) -> list[Unit]:
    """The unit that describes a stage, if it is one of dedup."""
    if not isinstance(step, Dedup):
        return []
    fates = tuple(found.output("fates") for found in after)
    documents = tuple(found.output("documents") for found in before)
    reads = tuple(output.sha256 for output in (*fates, *documents))
    return [Unit("clusters", step.label, Clusters(step.label, step.by_similarity, fates, documents), reads)]


def publish_clusters(driver: Driver, found: Sequence[Manifest]) -> None:
    """Put the pages where readers look for them."""
    for manifest in found:
        for label in ("json", "md"):
            data = driver.folder.read(manifest.output(label).name)
            driver.folder.write_atomic(f"report/{manifest.name}.{label}", data)
