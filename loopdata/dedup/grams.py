"""Word grams of a text as 64-bit hashes, from the UTF-8 bytes as they lie in Arrow.

Enters: a `large_string` array. Leaves: for each text the hashes of its grams, `words` consecutive words each. A word
is a run of ASCII letters, digits, underscores and bytes from 0x80 up, so that a letter beyond ASCII is never cut; all
else separates. A text with fewer words than a gram has one gram, of all its words; one without words has none. Words
are hashed as by FNV-1a, but from 0; grams by a polynomial over the words (Karp and Rabin) with MurmurHash3's last
mixing step. Limit: texts that differ only in punctuation have the same grams, a script written without spaces has few,
long words, and whoever knows these hashes can write words that collide.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loopdata.compiled import compiled

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

_FNV_PRIME = 0x100000001B3
_BASE = np.uint64(0x9E3779B97F4A7C15)  # of the polynomial; odd
_MIX_1, _MIX_2, _SHIFT = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53), np.uint64(33)
_ONE, _ZERO = np.uint64(1), np.uint64(0)

NARROW = 5  # bytes of a gram where whole sets travel
_DROPPED = np.uint64(64 - 8 * NARROW)
_NOTHING = ~_ZERO  # no narrow gram: it is wider

is_word = np.array([byte >= 0x80 or byte == 0x5F or chr(byte).isalnum() for byte in range(256)])
_FACTOR = np.where(is_word, np.uint64(_FNV_PRIME), np.uint64(0))


def text_bytes(texts: pa.Array) -> tuple[Bytes, Ints]:
    """The bytes behind a `large_string` array without nulls, and where each text begins in them; nothing is copied."""
    _, offset_buffer, data_buffer = texts.buffers()
    if not len(texts) or data_buffer is None:
        return np.frombuffer(b"", np.uint8), np.zeros(len(texts) + 1, np.int64)
    offsets = np.frombuffer(offset_buffer, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(data_buffer, np.uint8), offsets


def gram_sets(texts: pa.Array, words: int) -> list[Hashes]:
    """The distinct grams of each text, sorted."""
    grams, bounds = _sorted(texts, words, np.arange(len(texts)))
    return np.split(grams[: _once(grams, bounds)], bounds[1:-1]) if len(texts) else []


def narrow_sets(texts: pa.Array, words: int, rows: Ints) -> tuple[Bytes, Ints]:
    """The upper NARROW bytes of the distinct grams of the texts in these rows, sorted, one set behind the other; and
    where each set begins among the bytes.

    Two sets of n grams share n²/2^40 of them by chance: the similarity of two files of a million is off by 10^-6.
    """
    grams, bounds = _sorted(texts, words, rows)
    data = np.empty(NARROW * len(grams), np.uint8)
    return data[: _narrow(grams, bounds, data)], bounds


def wide_sets(data: Bytes, starts: Ints, stops: Ints) -> tuple[Hashes, Ints]:
    """Sets of `narrow_sets`, each given by its range of bytes, as 64-bit grams, the lower bits of which are 0."""
    bounds = np.append(0, np.cumsum((stops - starts) // NARROW))
    grams = np.empty(bounds[-1], np.uint64)
    _widen(data, starts, bounds, grams)
    return grams, bounds


def _sorted(texts: pa.Array, words: int, rows: Ints) -> tuple[Hashes, Ints]:
    """The grams of the texts in these rows, sorted text by text; and where those of each begin."""
    data, offsets = text_bytes(texts)
    room = int((np.diff(offsets)[rows] // 2 + 1).sum())  # a word and its separator take two bytes at least
    grams, bounds = np.empty(room, np.uint64), np.zeros(len(rows) + 1, np.int64)
    _hash_rows(data, offsets, rows, words, scratch_for(offsets), grams, bounds)
    for begin, end in pairwise(bounds.tolist()):
        grams[begin:end].sort()  # numpy's, by vector instructions: three times as fast as a compiled one
    return grams[: bounds[-1]], bounds


def distinct(values: Hashes) -> Hashes:
    """Each value once, ascending: `np.unique` without its hash table, which takes four times as long on grams."""
    found = np.sort(values)
    once: Hashes = found[np.append(True, found[1:] != found[:-1])[: len(found)]]
    return once


@compiled
def _hash_rows(data: Any, offsets: Any, rows: Any, words: Any, scratch: Any, grams: Any, bounds: Any) -> None:
    size = 0
    for place in range(len(rows)):
        count = hash_grams(data, offsets[rows[place]], offsets[rows[place] + 1], words, scratch)
        grams[size : size + count] = scratch[:count]
        size += count
        bounds[place + 1] = size


@compiled
def _once(grams: Any, bounds: Any) -> Any:
    """Move the first of equal values in each sorted set together, set behind set; return how many there are."""
    size, begin = 0, 0
    for place in range(len(bounds) - 1):
        end = bounds[place + 1]
        if begin < end:
            last = ~grams[begin]
            for at in range(begin, end):
                gram = grams[at]
                size += gram != last
                grams[size - 1] = last = gram
        begin, bounds[place + 1] = end, size
    return size


@compiled
def _narrow(grams: Any, bounds: Any, data: Any) -> Any:
    """Write the upper bytes of each sorted gram once, lowest byte first, and where each set begins; return the size."""
    size, begin = np.uint64(0), 0
    for place in range(len(bounds) - 1):
        end = bounds[place + 1]
        last = _NOTHING
        for at in range(begin, end):
            value = grams[at] >> _DROPPED
            if value != last:
                for byte in range(NARROW):
                    data[size + np.uint64(byte)] = np.uint8(value >> np.uint64(8 * byte))
                size += np.uint64(NARROW)
                last = value
        begin, bounds[place + 1] = end, size
    return size


@compiled
def _widen(data: Any, starts: Any, bounds: Any, grams: Any) -> None:
    for place in range(len(starts)):
        at = np.uint64(starts[place])
        for gram in range(bounds[place], bounds[place + 1]):
            value = _ZERO
            for byte in range(NARROW):
                value |= np.uint64(data[at + np.uint64(byte)]) << np.uint64(8 * byte)
            grams[gram] = value << _DROPPED
            at += np.uint64(NARROW)


def scratch_for(offsets: Ints) -> Hashes:
    """Room for the grams of the longest text: a word and its separator take two bytes at least."""
    longest = int(np.diff(offsets).max()) if len(offsets) > 1 else 0
    return np.empty(longest // 2 + 4, np.uint64)


@compiled
def mix(value: Any) -> Any:
    """MurmurHash3's last step: a bijection of 64 bits under which every bit depends on all."""
    value = (value ^ (value >> _SHIFT)) * _MIX_1
    value = (value ^ (value >> _SHIFT)) * _MIX_2
    return value ^ (value >> _SHIFT)


@compiled
def hash_grams(data: Any, start: Any, stop: Any, words: Any, out: Any) -> Any:
    """Write the gram hashes of `data[start:stop]` to `out`, in order and with repeats; return how many there are."""
    count = _hash_words(data, start, stop, out)
    if count == 0:
        return count
    size = min(words, count)
    lead = _ONE  # _BASE to the power of `size`: what the word that leaves a gram is multiplied by
    gram = np.uint64(0)
    for place in range(size):
        gram = gram * _BASE + out[place]
        lead *= _BASE
    salt = np.uint64(words - size)  # a short text's only gram is none of a longer text
    for place in range(count - size):
        leaving = out[place]
        out[place] = mix(gram ^ salt)
        gram = gram * _BASE + out[place + size] - leaving * lead
    out[count - size] = mix(gram ^ salt)
    return count - size + 1


@compiled
def _hash_words(data: Any, start: Any, stop: Any, out: Any) -> Any:
    """Write the hash of each word to `out`; return how many there are.

    A multiplication takes longer than the time until the next byte is there, so two halves are hashed in turns. Places
    are unsigned, so that none is taken for one counted from the end.
    """
    middle = (start + stop) // 2
    while middle < stop and _FACTOR[data[middle]] != 0:
        middle += 1
    left, right = data[start:middle], data[middle:stop]
    room = len(left) // 2 + 1
    both = min(len(left), len(right))
    word_l, word_r, count_l, count_r = _ZERO, _ZERO, _ZERO, np.uint64(room)
    before_l, before_r = _ZERO, _ZERO  # the factors of the bytes before
    for at in range(both):
        byte_l, byte_r = left[at], right[at]
        factor_l, factor_r = _FACTOR[byte_l], _FACTOR[byte_r]
        out[count_l] = word_l
        out[count_r] = word_r
        count_l += before_l & ~factor_l & _ONE
        count_r += before_r & ~factor_r & _ONE
        word_l = (word_l ^ np.uint64(byte_l)) * factor_l
        word_r = (word_r ^ np.uint64(byte_r)) * factor_r
        before_l, before_r = factor_l, factor_r
    found = _end(left, both, word_l, before_l, count_l, out)
    more = _end(right, both, word_r, before_r, count_r, out) - room
    for place in range(more):
        out[found + place] = out[room + place]
    return found + more


@compiled
def _end(part: Any, start: Any, word: Any, before: Any, count: Any, out: Any) -> Any:
    """Hash the words from `start` on, where `word` has begun; return the count behind the last one.

    Without a branch a byte, none is foretold wrong: a separator's factor is 0, and that of a word's byte is odd.
    """
    for at in range(start, len(part)):
        factor = _FACTOR[part[at]]
        out[count] = word
        count += before & ~factor & _ONE
        word = (word ^ np.uint64(part[at])) * factor
        before = factor
    out[count] = word
    return np.int64(count + (before & _ONE))


@compiled
def shared(left: Any, right: Any) -> Any:
    """How many values two sorted arrays without repeats have in common."""
    count, i, j = 0, 0, 0
    while i < len(left) and j < len(right):
        a, b = left[i], right[j]
        count += a == b
        i += a <= b
        j += b <= a
    return count


def jaccard(left: Hashes, right: Hashes) -> float:
    """Shared grams over all grams of two sets from `gram_sets`; 0 for two empty ones."""
    both = int(shared(left, right))
    return both / max(len(left) + len(right) - both, 1)
