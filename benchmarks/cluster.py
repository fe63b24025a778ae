"""Connected components of near duplicates: our union-find beside scipy's, on one core.

Enters: random edges, two and a half a node, as bands give them: from each document to another. Leaves: CPU seconds of
each, after a check that the components are the same. Ours is timed from arrays of places; scipy from the same, made
into its sparse matrix, since that is what it reads. Run by `python -m benchmarks.cluster [--save]`. Limit: edges at
random are harder on caches than those of a corpus, where copies lie near each other.
"""

from functools import partial

import numpy as np

from benchmarks.contenders import measure, median, ratios, spread, use_one_core
from benchmarks.harness import input_hash, report

NODES, EDGES = 4_000_000, 10_000_000


def ours(left: np.ndarray, right: np.ndarray, nodes: int) -> np.ndarray:
    from loopdata.dedup.clusters import unite

    parents = np.arange(nodes)
    unite(left, right, parents)
    return parents


def scipy(left: np.ndarray, right: np.ndarray, nodes: int) -> np.ndarray:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(left), np.uint8), (left, right)), shape=(nodes, nodes))
    return np.asarray(connected_components(graph, directed=False)[1])


def check_same(roots: np.ndarray, labels: np.ndarray) -> int:
    """The number of components, if both name the same; each root is the least node of its component."""
    least = np.full(int(labels.max()) + 1, len(labels))
    np.minimum.at(least, labels, np.arange(len(labels)))
    if not np.array_equal(least[labels], roots):
        raise SystemExit("the components differ")
    return len(least)


def main() -> None:
    use_one_core()
    random = np.random.default_rng(5)
    left, right = (random.integers(0, NODES, EDGES) for _ in range(2))
    contenders = {"ours": partial(ours, left, right, NODES), "scipy": partial(scipy, left, right, NODES)}
    components = check_same(contenders["ours"](), contenders["scipy"]())
    seconds = measure(contenders)
    figures = {
        "nodes": NODES,
        "edges": EDGES,
        "components": components,
        "edges_per_second": {name: round(EDGES / median(times)) for name, times in seconds.items()},
        "seconds": spread(seconds),
    }
    report(
        "cluster", ratios(seconds), figures, input_hash(str(left.sum()), str(right.sum())), ("numba", "numpy", "scipy")
    )


if __name__ == "__main__":
    main()
