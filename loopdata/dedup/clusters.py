"""From documents that meet in a band to clusters of documents: edges, union-find, parts of bounded weight.

Enters: document numbers (64 bits of a hash of `doc_id`) sorted by band. Leaves: edges from each document to the least
of its band, so that a band of n documents gives n edges; for each document the least number that it is connected with
(union-find with path halving: Tarjan and van Leeuwen 1984); and clusters no heavier than a limit. Limit: union-find
holds all its edges in memory, some 50 bytes each; `components` takes it over tables of a graph that is larger.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loopdata.compiled import compiled
from loopdata.dedup.grams import Hashes, Ints, mix, text_bytes
from loopdata.schema import one_array


def numbers(doc_ids: pa.ChunkedArray) -> Hashes:
    """A 64-bit number a document. Where two meet by chance, they come into one cluster, and are compared there."""
    data, offsets = text_bytes(one_array(doc_ids.cast(pa.large_string())))
    found = np.empty(len(doc_ids), np.uint64)
    _number(data, offsets, found)
    return found


@compiled
def _number(data: Any, offsets: Any, found: Any) -> None:
    for place in range(len(found)):
        value = np.uint64(offsets[place + 1] - offsets[place])
        for at in range(offsets[place], offsets[place + 1]):
            value = mix(value ^ np.uint64(data[at]))
        found[place] = value


def star_edges(keys: Hashes, documents: Hashes) -> tuple[Ints, Hashes]:
    """For rows sorted by key and document: the rows whose key stands more than once, and the first document of it.

    An edge that several keys give is there once; the first document of a key has an edge to itself.
    """
    if not len(keys):
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    begins = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    sizes = np.diff(np.append(begins, len(keys)))
    rows = np.flatnonzero(np.repeat(sizes > 1, sizes))
    least = documents[np.repeat(begins, sizes)[rows]]
    order = np.lexsort((least, documents[rows]))
    rows, least = rows[order], least[order]
    ends = np.append(True, (documents[rows][1:] != documents[rows][:-1]) | (least[1:] != least[:-1]))[: len(rows)]
    return rows[ends], least[ends]


def ranked(values: Hashes) -> tuple[Hashes, Ints]:
    """Each value once, ascending, and the place of every one among them: by one sort, without a search."""
    order = np.argsort(values)
    found = values[order]
    first = np.append(True, found[1:] != found[:-1])[: len(found)]
    found = found[first]
    ranks = np.cumsum(first)
    ranks -= 1
    places = np.empty_like(ranks)
    places[order] = ranks
    return found, places


def connect(left: Ints, right: Ints, size: int) -> Ints:
    """For each of so many nodes the least one that edges connect it with."""
    parents = np.arange(size, dtype=np.int64)
    unite(left, right, parents)
    return parents


@compiled
def unite(left: Any, right: Any, parents: Any) -> None:
    """Union-find over edges between places of `parents`, which holds 0, 1, 2 … before, and the least places after."""
    for edge in range(len(left)):
        a, b = _root(left[edge], parents), _root(right[edge], parents)
        if a < b:
            parents[b] = a
        elif b < a:
            parents[a] = b
    for node in range(len(parents)):
        parents[node] = parents[parents[node]]  # no parent is greater than its child: it is a root by now


@compiled
def _root(node: Any, parents: Any) -> Any:
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


def parts(roots: Ints, weights: Ints, most: int) -> npt.NDArray[np.int64]:
    """For each node the number of its part: clusters heavier than `most` are cut, in the order of their nodes."""
    order = np.argsort(roots, kind="stable")
    total = np.cumsum(weights[order])
    begins = np.append(True, roots[order][1:] != roots[order][:-1])[: len(order)]
    before = np.repeat((total - weights[order])[begins], np.diff(np.append(np.flatnonzero(begins), len(order))))
    found = np.empty(len(roots), np.int64)
    found[order] = (total - before - 1) // most
    return found


@compiled
def cluster_keys(roots: Any, numbers: Any) -> Any:
    """An evenly spread 64-bit key of each part of a cluster."""
    found = np.empty(len(roots), np.uint64)
    for node in range(len(roots)):
        found[node] = mix(mix(roots[node]) + np.uint64(numbers[node]))
    return found
