"""What a verdict does to a document, for every kind of dedup: it is dropped, or it stays as context.

Enters: documents of whole repositories, and verdicts: rows with `doc_id`, `rule` and `ref_repo`. Leaves: an outcome. A
copy in a repository that keeps other documents may stay as context, so that repositories remain complete; a copy of a
held-out document never stays. A document that is context already gets no second note. Limit: a repository that comes
in several views is judged view by view.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import pyarrow as pa

from loopdata import schema
from loopdata.stage import Fate, Outcome

InsideKeptRepo = Literal["context", "drop"]
Verdict = Mapping[str, Any]


def settle(
    table: pa.Table, verdicts: pa.Table, stays: str, inside: InsideKeptRepo, fate: Callable[[Verdict, str], Fate]
) -> Outcome:
    """Apply `verdicts` to `table`. Documents under the rule `stays`, and no others, may stay as context."""
    found: dict[str, Verdict] = {row["doc_id"]: row for row in verdicts.to_pylist()}
    ids, repos = table["doc_id"].to_pylist(), table["repo"].to_pylist()
    kept_repos = {repo for doc_id, repo in zip(ids, repos, strict=True) if repo is not None and doc_id not in found}
    if inside == "drop":
        kept_repos = set()
    use, keep, fates = table["use"].to_pylist(), [], []
    for place, (doc_id, repo) in enumerate(zip(ids, repos, strict=True)):
        verdict = found.get(doc_id)
        keep.append(verdict is None or (verdict["rule"] == stays and repo in kept_repos))
        if verdict is not None and not (keep[-1] and use[place] == "context"):
            fates.append(fate(verdict, "context" if keep[-1] else "dropped"))
            use[place] = "context"
    if not fates:
        return Outcome(table)
    column = pa.array(use, schema.DOCUMENT["use"])
    table = table.set_column(table.schema.get_field_index("use"), "use", column)
    return Outcome(table.filter(pa.array(keep, pa.bool_())), fates)
