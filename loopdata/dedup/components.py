"""Connected components of a graph that no process holds: two steps in turns over the edges, until nothing changes.

Enters: edges from a document to a lesser one, or to itself, cut into tables by one of their ends. Leaves: for each
document one edge, to the least of its component. Method: alternating small star and large star (Kiveris et al.,
Connected Components in MapReduce and Beyond, SoCC 2014). `contract` is the small star over a table at once: it connects
in memory whatever meets in it, so that a graph that fits in one table is done in one step. `spread` connects the
greater neighbours of a document to its least one. Neither makes more edges than there were, none loses a connection,
and a graph that both leave as it is consists of stars around their least documents. Limit: all edges of one document
must fit in memory, 40 bytes each and as much again to sort them.
"""

import numpy as np
import pyarrow as pa

from loopdata.compiled import compiled
from loopdata.dedup.clusters import connect, ranked
from loopdata.dedup.grams import Hashes, mix

# `grams` and `place`, the unit, are those of `doc` in at least one of its rows, and 0 in all others. Under this name
# the rows are not cut by unit, since the next round goes over rows.
EDGE = pa.schema([("doc", pa.uint64()), ("least", pa.uint64()), ("grams", pa.int64()), ("place", pa.uint64())])
KEYED_EDGE = pa.schema([("key", pa.uint64()), *EDGE])


def keyed(table: pa.Table, name: str) -> pa.Table:
    """Edges with the key of one of their ends."""
    return table.add_column(0, "key", pa.array(mixed(table[name].to_numpy())))


def both_ways(table: pa.Table) -> pa.Table:
    """Edges from both of their ends: `least` is the other end, which may be the greater one."""
    doc, least = table["doc"].to_numpy(), table["least"].to_numpy()
    back = doc != least
    none = np.zeros(int(back.sum()), np.uint64)
    turned = [least[back], doc[back], none.view(np.int64), none]
    return keyed(pa.concat_tables([table.select(EDGE.names), pa.table([*map(pa.array, turned)], schema=EDGE)]), "doc")


def contract(table: pa.Table) -> pa.Table:
    """An edge from each document of the table to the least that it is connected with there."""
    doc, least, grams = (table[name].to_numpy() for name in ("doc", "least", "grams"))
    nodes, places = ranked(np.concatenate([doc, least]))
    own, others = np.split(places, 2)
    roots = nodes[connect(own, others, len(nodes))]
    known = np.flatnonzero(grams)
    row = np.full(len(nodes), -1, np.int64)
    row[own[known]] = known
    given = (row >= 0) | (roots != nodes)
    return _edges(nodes[given], roots[given], row[given], table)


def spread(table: pa.Table) -> pa.Table:
    """From rows of `both_ways`, sorted: each greater neighbour to the least one; and each document to itself."""
    doc, other, grams = (table[name].to_numpy() for name in ("doc", "least", "grams"))
    begins = np.flatnonzero(np.append(True, doc[1:] != doc[:-1])[: len(doc)])
    sizes = np.diff(np.append(begins, len(doc)))
    least = np.repeat(np.minimum(doc[begins], other[begins]), sizes)  # neighbours come in order
    greater = other > doc
    known = np.flatnonzero(grams)
    known = known[np.append(True, doc[known][1:] != doc[known][:-1])[: len(known)]]
    docs = np.concatenate([other[greater], doc[known]])
    row = np.concatenate([np.full(int(greater.sum()), -1, np.int64), known])
    return _edges(docs, np.concatenate([least[greater], doc[known]]), row, table)


def _edges(doc: Hashes, least: Hashes, row: np.ndarray, table: pa.Table) -> pa.Table:
    """Edges with what is known of their documents in these rows; nothing where the row is -1."""
    if not len(doc):
        return EDGE.empty_table()
    about = [np.where(row >= 0, table[name].to_numpy()[row], 0) for name in ("grams", "place")]
    return pa.table([*map(pa.array, (doc, least, *about))], schema=EDGE)


@compiled
def mixed(values: Hashes) -> Hashes:
    """Evenly spread keys of numbers."""
    found = np.empty_like(values)
    for place in range(len(values)):
        found[place] = mix(values[place])
    return found
