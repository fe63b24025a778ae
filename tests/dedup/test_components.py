"""Connecting over tables cut by document gives what union-find gives over all edges at once."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.dedup.clusters import connect
from loopdata.dedup.components import EDGE, KEYED_EDGE, both_ways, contract, keyed, spread
from loopdata.dedup.near import NearConfig, NearDedup
from tests.dedup.drive import over_rows

Edges = list[tuple[int, int]]


def table(edges: Edges) -> pa.Table:
    """Each document with itself, of its number times ten grams in the unit of its number; then the edges."""
    nodes = sorted({node for edge in edges for node in edge})
    rows = [(node, node, 10 * node + 1, node) for node in nodes] + [(max(e), min(e), 0, 0) for e in edges]
    columns = zip(*rows, strict=True) if rows else ([], [], [], [])
    return pa.table([pa.array(c, kind) for c, kind in zip(columns, EDGE.types, strict=True)], schema=EDGE)


def connected(edges: Edges, partitions: int) -> list[tuple[int, ...]]:
    """All rows at the end, sorted."""
    stage = NearDedup(NearConfig(partitions=partitions))
    turn = next(turn for turn in stage.rounds if turn.name == "contract")
    found = over_rows(stage, turn, [table(edges)])
    return sorted(tuple(row.values()) for part in found for row in part.to_pylist())


def expected(edges: Edges) -> list[tuple[int, ...]]:
    left, right = (np.array(side, np.uint64) for side in (zip(*edges, strict=True) if edges else ([], [])))
    nodes, places = np.unique(np.concatenate([left, right]), return_inverse=True)
    roots = nodes[connect(places[: len(left)], places[len(left) :], len(nodes))]
    return [(int(n), int(r), 10 * int(n) + 1, int(n)) for n, r in zip(nodes, roots, strict=True)]


def test_a_table_is_connected_in_one_step() -> None:
    rows = contract(keyed(table([(5, 3), (3, 1), (9, 7)]), "doc"))
    assert list(zip(*rows.select(["doc", "least"]).to_pydict().values(), strict=True)) == [
        (1, 1), (3, 1), (5, 1), (7, 7), (9, 7)
    ]  # fmt: skip
    assert rows["grams"].to_pylist() == [11, 31, 51, 71, 91]


def test_a_document_that_is_elsewhere_is_known_by_number_only() -> None:
    """Of 5 only its edge is in the table, of 3 nothing but that it is the other end."""
    rows = contract(pa.table([[5, 5], [3, 2], [7, 7], [1, 1]], schema=EDGE))
    assert rows.to_pylist() == [
        {"doc": 3, "least": 2, "grams": 0, "place": 0},
        {"doc": 5, "least": 2, "grams": 7, "place": 1},
    ]


def test_greater_neighbours_go_to_the_least() -> None:
    rows = both_ways(pa.table([[5, 9, 5], [3, 5, 5], [0, 0, 7], [0, 0, 1]], schema=EDGE))
    found = spread(rows.sort_by([(name, "ascending") for name in KEYED_EDGE.names]).combine_chunks())
    assert sorted(tuple(row.values()) for row in found.to_pylist()) == [(5, 3, 0, 0), (5, 5, 7, 1), (9, 3, 0, 0)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=90),
    st.sampled_from([1, 2, 16, 64]),
)
def test_components_are_those_of_union_find(edges: Edges, partitions: int) -> None:
    assert connected(edges, partitions) == expected(edges)


@pytest.mark.parametrize("edges", [
    [(n, n + 1) for n in range(400)],
    [(n, 400 - n) for n in range(200)] + [(n, 401 - n) for n in range(1, 200)],
    [(0, n) for n in range(1, 400)],
    [(400, n) for n in range(400)],
])  # fmt: skip
def test_chains_and_stars_come_to_rest(edges: Edges) -> None:
    assert connected(edges, 256) == expected(edges)


def test_no_edges_are_no_components() -> None:
    assert connected([], 4) == []
