"""What every kind of dedup has in common: who survives is configured alike, and verdicts are applied alike.

Enters: documents of whole repositories, and verdicts: rows with `doc_id`, `rule` and `ref_repo`. Leaves: an outcome. A
copy in a repository that keeps other documents may stay as context, so that repositories remain complete; a copy of a
held-out document never stays. A document that is context already gets no second note. Limit: a repository that comes
in several views is judged view by view.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import AfterValidator, Field, field_validator

from loopdata import schema
from loopdata.config import Strict
from loopdata.dedup import rank
from loopdata.stage import CorpusStage, Fate, Outcome

Verdict = Mapping[str, Any]


def _power_of_two(partitions: int) -> int:
    if partitions & (partitions - 1):
        raise ValueError("give a power of two")
    return partitions


Partitions = Annotated[int, Field(ge=1, le=65_536), AfterValidator(_power_of_two)]  # parts of the exchange


class DedupConfig(Strict):
    """`priority`: columns by which the survivor is chosen, the lowest first, `-column` for the highest first; beside
    the columns of documents there are `path_depth` and `path_length`. The last word is always that of `doc_id`."""

    priority: list[str] = Field(default_factory=lambda: ["path_depth", "path_length", "doc_id"])
    inside_kept_repo: Literal["context", "drop"] = "context"

    @field_validator("priority")
    @classmethod
    def _sound(cls, priority: list[str]) -> list[str]:
        rank.check(priority)
        return priority


class Dedup(CorpusStage):
    """A corpus stage whose last round gives a verdict for each document that has a survivor."""

    scope = "repo"
    Config = DedupConfig
    by_similarity: ClassVar[bool] = False  # whether the value of a fate is a similarity, not the size of a group
    stays: str  # the rule under which a document may stay as context
    needs: ClassVar[Mapping[str, pa.DataType | None]] = {
        name: schema.DOCUMENT[name] for name in ("doc_id", "split", "use", "repo", "path")
    }

    def __init__(self, config: Strict | None = None, *, label: str = "", seed: int = 0) -> None:
        super().__init__(config, label=label, seed=seed)
        self.needs = {**type(self).needs, **rank.columns(self.config.priority)}  # type: ignore[misc]

    @abstractmethod
    def fate(self, verdict: Verdict, fate: str) -> Fate:
        """The fate of a document, `dropped` or `context`, under a verdict."""

    def apply(self, table: pa.Table, verdicts: pa.Table) -> Outcome:
        """Drop what has a verdict, or keep it as context where its repository keeps another document."""
        found: dict[str, Verdict] = {row["doc_id"]: row for row in verdicts.to_pylist()}
        ids, repos = table["doc_id"].to_pylist(), table["repo"].to_pylist()
        kept_repos = {repo for doc_id, repo in zip(ids, repos, strict=True) if repo is not None and doc_id not in found}
        if self.config.inside_kept_repo == "drop":
            kept_repos = set()
        use, keep, fates = table["use"].to_pylist(), [], []
        for place, (doc_id, repo) in enumerate(zip(ids, repos, strict=True)):
            verdict = found.get(doc_id)
            keep.append(verdict is None or (verdict["rule"] == self.stays and repo in kept_repos))
            if verdict is not None and not (keep[-1] and use[place] == "context"):
                fates.append(self.fate(verdict, "context" if keep[-1] else "dropped"))
                use[place] = "context"
        table = table.drop_columns(sorted(self.removes))
        if not fates:
            return Outcome(table)
        column = pa.array(use, schema.DOCUMENT["use"])
        table = table.set_column(table.schema.get_field_index("use"), "use", column)
        return Outcome(table.filter(pa.array(keep, pa.bool_())), fates)
