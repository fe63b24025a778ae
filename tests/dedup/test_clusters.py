"""Edges, components and parts, with scipy as the oracle of components."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.dedup.clusters import cluster_keys, connect, numbers, parts, ranked, star_edges


def u64(*values: int) -> np.ndarray:
    return np.array(values, np.uint64)


def test_a_band_gives_an_edge_from_each_document_to_the_least() -> None:
    rows, least = star_edges(u64(1, 1, 1, 2, 3, 3), u64(10, 20, 30, 10, 20, 40))
    assert rows.tolist() == [0, 1, 4, 2, 5]
    assert least.tolist() == [10, 10, 20, 10, 20]


def test_an_edge_of_several_bands_is_there_once() -> None:
    rows, least = star_edges(u64(1, 1, 2, 2), u64(10, 20, 10, 20))
    assert rows.tolist() == [0, 1]
    assert least.tolist() == [10, 10]


def test_nobody_meets_in_bands_of_one() -> None:
    rows, least = star_edges(u64(1, 2, 3), u64(10, 10, 20))
    assert rows.tolist() == least.tolist() == []
    assert star_edges(u64(), u64())[0].tolist() == []


def test_the_least_node_is_the_root() -> None:
    assert connect(np.array([5, 2, 4]), np.array([2, 1, 3]), 6).tolist() == [0, 1, 1, 3, 3, 1]


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 3), max_size=20))
def test_values_are_ranked_as_numpy_does(values: list[int]) -> None:
    nodes, places = np.unique(u64(*values), return_inverse=True)
    assert [found.tolist() for found in ranked(u64(*values))] == [nodes.tolist(), places.tolist()]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=60))
def test_components_are_those_of_scipy(edges: list[tuple[int, int]]) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    left, right = np.array(edges, np.int64).reshape(-1, 2).T
    roots = connect(left, right, 41)
    graph = sparse.coo_matrix((np.ones(len(left)), (left, right)), shape=(41, 41))
    _, labels = sparse.csgraph.connected_components(graph, directed=False)
    assert [int(np.flatnonzero(labels == label)[0]) for label in labels] == roots.tolist()


def test_a_long_chain_is_one_component() -> None:
    nodes = np.arange(300_000)
    for left, right in ((nodes[1:], nodes[:-1]), (nodes[:0:-1], nodes[-2::-1])):
        assert not connect(left, right, len(nodes)).any()


def test_clusters_beyond_the_limit_are_cut_in_the_order_of_their_nodes() -> None:
    roots, weights = np.array([0, 1, 0, 0, 1]), np.array([6, 2, 4, 1, 2])
    assert parts(roots, weights, 10).tolist() == [0, 0, 0, 1, 0]
    assert parts(roots, weights, 11).tolist() == [0, 0, 0, 0, 0]
    assert parts(roots[:0], weights[:0], 10).tolist() == []


def test_keys_differ_by_root_and_part() -> None:
    keys = cluster_keys(u64(1, 1, 2, 1), np.array([0, 1, 0, 0]))
    assert keys[0] == keys[3]
    assert len(set(keys.tolist())) == 3


def test_numbers_do_not_change() -> None:
    column = pa.chunked_array([["", "a"], ["ab", "ba"]], pa.string())
    assert numbers(column).tolist() == [0, 3682641831224766729, 6078759997658773438, 17386699477100835616]
    assert len(numbers(column.slice(0, 0))) == 0
    assert numbers(column.slice(1, 2)).tolist() == numbers(column).tolist()[1:3]
