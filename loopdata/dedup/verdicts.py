"""What every kind of dedup has in common: who survives is configured alike, and verdicts are applied alike.

Enters: documents of whole repositories, and verdicts: rows with `doc_id`, `rule` and `ref_repo`. Leaves: an outcome. A
copy in a repository that keeps other documents may stay as context, so that repositories remain complete; a copy of a
held-out document never stays. A document that is context already gets no second note. Limit: a repository that comes
in several views is judged view by view.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
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
        place = pc.index_in(table["doc_id"], value_set=verdicts["doc_id"]).combine_chunks()
        judged = place.is_valid()
        own = verdicts.take(place.drop_null())
        stays = self._stays(table, judged, own["rule"])
        use = table["use"].filter(judged).to_pylist()
        table = table.drop_columns(sorted(self.removes))
        fates = [
            self.fate(verdict, "context" if stay else "dropped")
            for verdict, stay, before in zip(own.to_pylist(), stays, use, strict=True)
            if not (stay and before == "context")
        ]
        if not len(own):
            return Outcome(table)
        kept = ~judged.to_numpy(zero_copy_only=False)
        kept[np.flatnonzero(~kept)] = stays
        column = pc.if_else(judged, "context", table["use"])
        table = table.set_column(table.schema.get_field_index("use"), "use", column)
        return Outcome(table.filter(pa.array(kept)), fates)

    def _stays(self, table: pa.Table, judged: pa.Array, rules: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
        """Of each document with a verdict, whether it may stay: as a copy beside another of its repository."""
        if self.config.inside_kept_repo == "drop":
            return np.zeros(len(rules), np.bool_)
        others = table["repo"].filter(pc.invert(judged)).drop_null()
        beside = pc.is_in(table["repo"].filter(judged), value_set=others)
        stays: npt.NDArray[np.bool_] = pc.and_(beside, pc.equal(rules, self.stays)).to_numpy()
        return stays
