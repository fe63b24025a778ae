"""Who survives in a cluster: a greedy choice in the order of priority, each copy verified against its survivor.

Enters: the gram sets of the documents of clusters, best first. Leaves: for each document its survivor, or none, with
their exact and estimated similarity. A document is a copy only if its exact Jaccard similarity with a document that
stays reaches the threshold; else it stays, and may have copies itself. So no chain of neighbours drags a different file
away, and a long chain keeps one file for each stretch. Only survivors that share a band are compared, at most
LISTED a band, and at most TRIED exactly, held-out ones first, then by estimate: work grows with the documents, not with
their pairs. Limit: where more survivors than that share a band without being copies, a copy of a later one may stay.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from loopdata.compiled import compiled
from loopdata.dedup.bands import Bands
from loopdata.dedup.grams import Hashes, Ints, shared
from loopdata.dedup.minhash import band_hashes, sign_sets

LISTED = 16
TRIED = 8
Floats = npt.NDArray[np.float64]


class Choice(NamedTuple):
    """For each document: the place of its survivor (-1: it stays), and their similarity, exact and estimated."""

    survivor: Ints
    exact: Floats
    estimated: Floats


class Rule(NamedTuple):
    """When two documents are copies, and how candidates are found."""

    threshold: float
    permutations: int
    bands: Bands

    @property
    def floor(self) -> float:
        """Estimates below this, four standard errors under the threshold, are not verified."""
        error = math.sqrt(self.threshold * (1 - self.threshold) / self.permutations)
        return self.threshold - 4 * error - 1e-9


def choose_survivors(grams: Hashes, offsets: Ints, clusters: Ints, trains: npt.NDArray[np.bool_], rule: Rule) -> Choice:
    """`clusters` numbers the documents' clusters, in ascending runs; within a run the best document comes first.

    `grams[offsets[i]:offsets[i + 1]]` is the sorted set of document i; `trains` is false for held-out documents.
    """
    signatures = sign_sets(grams, offsets, rule.permutations)
    hashes = band_hashes(signatures, rule.bands.bands, rule.bands.rows)
    count = len(clusters)
    found = Choice(np.full(count, -1, np.int64), np.zeros(count), np.zeros(count))
    bounds = np.append(np.flatnonzero(np.append(True, clusters[1:] != clusters[:-1])[:count]), count)
    _choose(grams, offsets, bounds, trains, signatures, hashes, rule.threshold, rule.floor, *found)
    return found


@compiled
def _choose(
    grams: Any,
    offsets: Any,
    bounds: Any,
    trains: Any,
    signatures: Any,
    hashes: Any,
    threshold: Any,
    floor: Any,
    survivor: Any,
    exact: Any,
    estimated: Any,
) -> None:
    for cluster in range(len(bounds) - 1):
        first, stop = bounds[cluster], bounds[cluster + 1]
        buckets, count = _buckets(hashes[first:stop])
        lists, filled = np.empty((count, LISTED), np.int64), np.zeros(count, np.int64)
        seen = np.full(stop - first, -1, np.int64)
        found, scores = np.empty(TRIED, np.int64), np.empty(TRIED, np.float64)
        for document in range(first, stop):
            mine = buckets[document - first]
            tries = _candidates(document, first, mine, lists, filled, seen, trains, signatures, floor, found, scores)
            for place in range(tries):
                other = found[place]
                left = grams[offsets[document] : offsets[document + 1]]
                right = grams[offsets[other] : offsets[other + 1]]
                both = shared(left, right)
                similarity = both / (len(left) + len(right) - both)
                if similarity >= threshold:
                    survivor[document], exact[document] = other, similarity
                    estimated[document] = alike(signatures[document], signatures[other])
                    break
            if survivor[document] < 0:
                _list(document, mine, lists, filled)


@compiled
def _buckets(hashes: Any) -> Any:
    """For each document and band the number of its bucket, -1 where it is alone; and how many buckets there are."""
    count = 0
    found = np.full(hashes.shape, -1, np.int64)
    for band in range(hashes.shape[1]):
        order = np.argsort(hashes[:, band])
        for place in range(1, len(order)):
            before, here = order[place - 1], order[place]
            if hashes[before, band] == hashes[here, band]:
                if found[before, band] < 0:
                    found[before, band] = count
                    count += 1
                found[here, band] = found[before, band]
    return found, count


@compiled
def _candidates(
    document: Any,
    first: Any,
    mine: Any,
    lists: Any,
    filled: Any,
    seen: Any,
    trains: Any,
    signatures: Any,
    floor: Any,
    found: Any,
    scores: Any,
) -> Any:
    """Write the best survivors that share a bucket to `found`; return how many. Held-out ones come first."""
    count = 0
    for bucket in mine:
        if bucket < 0:
            continue
        for place in range(filled[bucket]):
            other = lists[bucket, place]
            if seen[other - first] == document:
                continue
            seen[other - first] = document
            score = alike(signatures[document], signatures[other])
            if score >= floor:
                count = insert(other, score if trains[other] else score + 2.0, found, scores, count)
    return count


@compiled
def insert(other: Any, score: Any, found: Any, scores: Any, count: Any) -> Any:
    """Insert by score, descending, then by place; the last one falls out where there is no room."""
    place = count
    while place > 0 and (scores[place - 1] < score or (scores[place - 1] == score and found[place - 1] > other)):
        place -= 1
    if place == TRIED:
        return count
    count = min(count + 1, TRIED)
    for at in range(count - 1, place, -1):
        found[at], scores[at] = found[at - 1], scores[at - 1]
    found[place], scores[place] = other, score
    return count


@compiled
def _list(document: Any, mine: Any, lists: Any, filled: Any) -> None:
    for bucket in mine:
        if bucket >= 0 and filled[bucket] < LISTED:
            lists[bucket, filled[bucket]] = document
            filled[bucket] += 1


@compiled
def alike(left: Any, right: Any) -> Any:
    """Share of equal places."""
    count = 0
    for place in range(len(left)):
        count += left[place] == right[place]
    return count / len(left)
