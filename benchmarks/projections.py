"""Whether a learned projection of the built-in embedder's features would find more than random signs do.

Enters: Python files of this machine, half to learn from, half to judge by; and edits of others (see
`benchmarks.dedup_quality`). Leaves: for each projection, and each share of the edits of two kinds that shall be found,
the cosine that finds it, and how many pairs of files that are no copies (they share less than half of their words) have
that cosine too. `none` compares all features, `signs` is what the embedder does, `learned` is the truncated singular
value decomposition of the weighted features (latent semantic analysis: Deerwester et al. 1990), `whitened` the same
with directions of equal weight. No peer. Run by `python -m benchmarks.projections [--save]`. Limit: one language.
"""

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import svds

from benchmarks.contenders import source_files, use_one_core
from benchmarks.dedup_quality import edits
from benchmarks.harness import input_hash, report
from loopdata.embedding import FEATURES, BuiltIn, BuiltInConfig, features

FILES, SOURCES = 3_000, 150
DIMENSIONS = 256
KINDS = {"blocks_moved": 1, "lines_gone": 4}  # places in what `edits` gives
FOUND = (0.9, 0.95, 0.98)
Project = Callable[[Any], Any]


def rows_of(texts: list[str]) -> Any:
    """A row of ones at the features of each text."""
    found = [features(text.encode(), "Python") for text in texts]
    bounds = np.append(0, np.cumsum([len(row) for row in found]))
    return sparse.csr_matrix((np.ones(bounds[-1]), np.concatenate(found), bounds), (len(texts), FEATURES))


def unit(rows: Any) -> Any:
    """Rows of length 1, dense."""
    rows = rows.toarray() if sparse.issparse(rows) else rows
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def projections(learn: Any) -> dict[str, Project]:
    """From ones at features to unit rows."""
    frequencies = np.asarray(learn.sum(axis=0)).ravel().astype(np.int64)
    embedder = BuiltIn(BuiltInConfig(dimensions=DIMENSIONS), frequencies, learn.shape[0])
    weights = sparse.diags(embedder.weights)
    weighted = sparse.csr_matrix(unit(learn @ weights))
    _, values, directions = svds(weighted, k=DIMENSIONS, v0=np.ones(min(weighted.shape)))
    return {
        "none": lambda rows: unit(rows @ weights),
        "signs": lambda rows: embedder.project(row.nonzero()[0] for row in rows.toarray()),
        "learned": lambda rows: unit(rows @ weights @ directions.T),
        "whitened": lambda rows: unit(rows @ weights @ (directions.T / values)),
    }


def judge(project: Project, sources: Any, edited: dict[str, Any], others: Any, strangers: Any) -> dict[str, Any]:
    """The cosines that find shares of the edits, and the strangers that they would take for copies."""
    vectors, left = project(others), project(sources)
    cosines = (vectors @ vectors.T)[strangers]
    found: dict[str, Any] = {}
    for kind, rows in edited.items():
        own = np.sum(left * project(rows), axis=1)
        at = {share: float(np.quantile(own, 1 - share)) for share in FOUND}
        found[kind] = {
            str(share): {"cosine": round(cosine, 3), "strangers": int((cosines >= cosine).sum())}
            for share, cosine in at.items()
        }
    return found


def pairs_of_strangers(rows: Any) -> Any:
    """Of every two rows, whether they share less than half of their features."""
    sizes = np.asarray(rows.sum(axis=1)).ravel()
    both = (rows @ rows.T).toarray()
    alien = both < 0.5 * (sizes[:, None] + sizes[None] - both)
    return np.triu(alien, 1)


def main() -> None:
    use_one_core()
    draw = random.Random(3)
    texts = [text for text in source_files(60_000_000, step=3) if 500 < len(text) < 60_000]
    draw.shuffle(texts)
    sources = [text for text in texts if text.count("\n\n") > 8][:SOURCES]
    taken = set(sources)
    rest = [text for text in texts if text not in taken][:FILES]
    learn, others = (rows_of(rest[start:stop]) for start, stop in pairwise((0, len(rest) // 2, len(rest))))
    by_source = [edits(text, draw) for text in sources]
    edited = {kind: rows_of([found[at] for found in by_source]) for kind, at in KINDS.items()}
    strangers = pairs_of_strangers(others)
    figures: dict[str, Any] = {"files": len(rest), "pairs_of_strangers": int(strangers.sum())}
    for name, project in projections(learn).items():
        figures[name] = judge(project, rows_of(sources), edited, others, strangers)
        print(name, figures[name], flush=True)
    report("projections", {}, figures, input_hash(*sources), ("numpy", "scipy"))


if __name__ == "__main__":
    main()
