"""Finding the chunks of a repository that share words with a query: BM25, or overlap (Jaccard).

Enters: texts as one array of bytes with offsets, their chunks, a query. Leaves: the best chunks, best first, ties in
the order of the chunks. BM25 is Robertson's with k1 = 1.2 and b = 0.75 over distinct words of the query; overlap is
shared distinct words over all. A word is a run of letters, digits, underscores and bytes from 0x80 up, two or more.
Words are known by a hash of up to 22 bits, fewer in a small repository, so that beside its postings (six bytes for each
distinct word of a chunk) the index has a bounded size. A word that more than MAX_HOLDERS chunks hold counts for
nothing, which bounds the work of a query whatever the size of the repository. Limit: two words may share a hash, and a
chunk be ranked wrong for it.
"""

import math
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from loopdata.compiled import compiled
from loopdata.retrieval.chunks import Chunks

Measure = Literal["bm25", "overlap"]
K1, B = 1.2, 0.75
MAX_HOLDERS = 2_000  # chunks with a word that counts
_BITS = (10, 22)

_FNV_PRIME, _MIX = np.uint64(0x100000001B3), np.uint64(0xFF51AFD7ED558CCD)
_IS_WORD = np.array([byte >= 0x80 or byte == 0x5F or chr(byte).isalnum() for byte in range(256)], np.bool_)


class Index:
    """An index over the chunks of a repository."""

    def __init__(self, data: npt.NDArray[np.uint8], chunks: Chunks) -> None:
        self.chunks = chunks
        longest = int((chunks.ends - chunks.starts).max(initial=0))
        num_bytes = int((chunks.ends - chunks.starts).sum())
        bits = math.ceil(math.log2(num_bytes + 1)) - 2
        self._shift = np.uint64(64 - min(max(bits, _BITS[0]), _BITS[1]))
        scratch = np.empty(longest // 2 + 1, np.uint32)
        held = _held_by(data, chunks.starts, chunks.ends, self._shift, scratch)
        kept = np.where(held > MAX_HOLDERS, 0, held)
        self._first = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept, dtype=np.int64)])
        self._postings = np.empty(self._first[-1], np.uint32)
        self._times = np.empty(self._first[-1], np.uint16)
        self._words = np.zeros(len(chunks.starts), np.int32)  # of each chunk
        self._distinct = np.zeros(len(chunks.starts), np.int32)
        _fill(data, chunks.starts, chunks.ends, self._shift, scratch, self._first, self._postings, self._times,
              self._words, self._distinct)  # fmt: skip
        self._scores = np.zeros(len(chunks.starts), np.float64)
        self._touched = np.empty(len(chunks.starts), np.uint32)

    def search(
        self, query: bytes, allowed: npt.NDArray[np.bool_], count: int, measure: Measure = "bm25"
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """At most `count` chunks of texts that are `allowed` [texts], best first, with their scores above 0."""
        wanted = self._terms(query)
        if measure == "bm25":
            norms = self._norms
            touched = _add_bm25(wanted, self._first, self._postings, self._times, norms, self._scores, self._touched)
        else:
            touched = _add_overlap(wanted, self._first, self._postings, self._distinct, self._scores, self._touched)
        chosen, scores = np.empty(count, np.int64), np.empty(count, np.float64)
        found = _best(self._touched[:touched], self._scores, self.chunks.texts, allowed, chosen, scores)
        self._scores[self._touched[:touched]] = 0
        return chosen[:found], scores[:found]

    def _terms(self, query: bytes) -> npt.NDArray[np.int64]:
        """The distinct words of a query that some chunks hold, and not too many."""
        scratch = np.empty(len(query) // 2 + 1, np.uint32)
        count = _hash_words(np.frombuffer(query, np.uint8), 0, len(query), self._shift, scratch)
        terms = np.sort(scratch[:count])  # np.unique takes several times as long for so few
        held: npt.NDArray[np.int64] = _held_terms(terms, self._first, np.empty(count, np.int64))
        return held

    @cached_property
    def _norms(self) -> npt.NDArray[np.float64]:
        """What a chunk's size adds to the count of a word in BM25."""
        mean = max(float(self._words.sum()) / max(len(self._words), 1), 1.0)
        return (K1 * (1 - B + B * self._words / mean)).astype(np.float64)


@compiled
def _hash_words(data: Any, start: Any, stop: Any, shift: Any, out: Any) -> Any:
    """Write the hash of each word of `data[start:stop]`; return how many there are."""
    count, size = 0, 0
    word = np.uint64(0)
    for at in range(start, stop):
        if _IS_WORD[data[at]]:
            word = (word ^ np.uint64(data[at])) * _FNV_PRIME
            size += 1
        else:
            if size > 1:
                out[count] = ((word ^ (word >> np.uint64(32))) * _MIX) >> shift
                count += 1
            word, size = np.uint64(0), 0
    if size > 1:
        out[count] = ((word ^ (word >> np.uint64(32))) * _MIX) >> shift
        count += 1
    return count


@compiled
def _held_terms(terms: Any, first: Any, out: Any) -> Any:
    """Of sorted terms those that some chunk holds, each once."""
    count = 0
    for place in range(len(terms)):
        term = np.int64(terms[place])
        if (place == 0 or terms[place] != terms[place - 1]) and first[term + 1] > first[term]:
            out[count] = term
            count += 1
    return out[:count]


@compiled
def _held_by(data: Any, starts: Any, ends: Any, shift: Any, scratch: Any) -> Any:
    """How many chunks hold each word."""
    size = np.int64(1) << np.int64(np.uint64(64) - shift)
    held, last = np.zeros(size, np.int32), np.full(size, -1, np.int32)
    for chunk in range(len(starts)):
        for place in range(_hash_words(data, starts[chunk], ends[chunk], shift, scratch)):
            term = scratch[place]
            held[term] += last[term] != chunk
            last[term] = chunk
    return held


@compiled
def _fill(
    data: Any, starts: Any, ends: Any, shift: Any, scratch: Any, first: Any, postings: Any, times: Any, words: Any,
    distinct: Any,
) -> None:  # fmt: skip
    """Write for each word the chunks that hold it, in their order, and how often."""
    free, last = first[:-1].copy(), np.full(len(first) - 1, -1, np.int32)
    for chunk in range(len(starts)):
        count = _hash_words(data, starts[chunk], ends[chunk], shift, scratch)
        words[chunk] = count
        for place in range(count):
            term = scratch[place]
            if first[term + 1] == first[term]:
                continue
            if last[term] != chunk:
                last[term] = chunk
                postings[free[term]], times[free[term]] = chunk, 0
                free[term] += 1
                distinct[chunk] += 1
            if times[free[term] - 1] < 65_535:
                times[free[term] - 1] += 1


@compiled
def _add_bm25(terms: Any, first: Any, postings: Any, times: Any, norms: Any, scores: Any, touched: Any) -> Any:
    count, chunks = 0, len(scores)
    for term in terms:
        held = first[term + 1] - first[term]
        weight = np.log(1 + (chunks - held + 0.5) / (held + 0.5)) * (K1 + 1)
        for place in range(first[term], first[term + 1]):
            chunk = postings[place]
            if scores[chunk] == 0:
                touched[count] = chunk
                count += 1
            scores[chunk] += weight * times[place] / (times[place] + norms[chunk])
    return count


@compiled
def _add_overlap(terms: Any, first: Any, postings: Any, distinct: Any, scores: Any, touched: Any) -> Any:
    count = 0
    for term in terms:
        for place in range(first[term], first[term + 1]):
            chunk = postings[place]
            if scores[chunk] == 0:
                touched[count] = chunk
                count += 1
            scores[chunk] += 1
    for place in range(count):
        chunk = touched[place]
        scores[chunk] /= len(terms) + distinct[chunk] - scores[chunk]
    return count


@compiled
def _best(touched: Any, scores: Any, texts: Any, allowed: Any, chosen: Any, best: Any) -> Any:
    """The best chunks in `chosen`, their scores in `best`; of equal scores the first chunk comes first."""
    count = 0
    for chunk in touched:
        if not allowed[texts[chunk]]:
            continue
        score, at = scores[chunk], count
        while at > 0 and (best[at - 1] < score or (best[at - 1] == score and chosen[at - 1] > chunk)):
            at -= 1
        if at == len(chosen):
            continue
        count = min(count + 1, len(chosen))
        for place in range(count - 1, at, -1):
            chosen[place], best[place] = chosen[place - 1], best[place - 1]
        chosen[at], best[at] = chunk, score
    return count
