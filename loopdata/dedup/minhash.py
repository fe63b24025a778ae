"""MinHash signatures and their bands, straight from the UTF-8 bytes of many texts.

Enters: a `large_string` array. Leaves: a row of `permutations` 32-bit minima a text, whose share of equal places
estimates the Jaccard similarity of two gram sets (Broder 1997) with a standard error of sqrt(J(1-J)/permutations); and
64-bit hashes of `rows` consecutive minima, the bands (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4).
A permutation is x → ax + b modulo 2^32, a odd, of the upper half of the gram's hash. Limit: two texts of more than some
10^7 different grams begin to meet by chance in 32 bits.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loopdata.compiled import compiled
from loopdata.dedup.grams import Hashes, Ints, hash_grams, mix, scratch_for, text_bytes

Signatures = npt.NDArray[np.uint32]

EMPTY = np.uint32(0xFFFFFFFF)  # every place of the signature of a text without words
_CHUNK = 2_048  # grams that are gone through by all permutations while they lie in the first cache
_HALF = np.uint64(32)
_SEED = 0x6C6F6F70  # fixed: signatures of different runs can be compared


@cache
def permutations(count: int) -> tuple[Signatures, Signatures]:
    """`a` (odd) and `b` of that many permutations; the first of more are the same."""
    drawn = np.random.Philox(_SEED).random_raw(count).astype(np.uint64)
    return (drawn >> _HALF).astype(np.uint32) | np.uint32(1), drawn.astype(np.uint32)


def sign(texts: pa.Array, count: int, words: int) -> tuple[Signatures, Ints]:
    """Signatures of shape (texts, count), and how many grams each text has, repeats included."""
    data, offsets = text_bytes(texts)
    a, b = permutations(count)
    signatures, grams = np.full((len(texts), count), EMPTY), np.zeros(len(texts), np.int64)
    _sign_texts(data, offsets, words, a, b, scratch_for(offsets), signatures, grams)
    return signatures, grams


def sign_sets(grams: Hashes, offsets: Ints, count: int) -> Signatures:
    """Signatures of sets of grams that lie one after the other; the same as those of their texts."""
    a, b = permutations(count)
    signatures = np.full((len(offsets) - 1, count), EMPTY)
    _sign_sets(grams, offsets, a, b, signatures)
    return signatures


def estimate(left: Signatures, right: Signatures) -> float:
    """Estimated Jaccard similarity: the share of equal places."""
    return float(np.mean(left == right))


@compiled
def _sign_texts(data: Any, offsets: Any, words: Any, a: Any, b: Any, scratch: Any, signatures: Any, grams: Any) -> None:
    for place in range(len(offsets) - 1):
        grams[place] = hash_grams(data, offsets[place], offsets[place + 1], words, scratch)
        _minima(scratch[: grams[place]], a, b, signatures[place])


@compiled
def _sign_sets(grams: Any, offsets: Any, a: Any, b: Any, signatures: Any) -> None:
    for place in range(len(offsets) - 1):
        _minima(grams[offsets[place] : offsets[place + 1]], a, b, signatures[place])


@compiled
def _minima(grams: Any, a: Any, b: Any, signature: Any) -> None:
    """Lower each place of `signature` to the least value of its permutation; chunk by chunk, four at a time."""
    chunk = np.empty(_CHUNK, np.uint32)
    whole = len(a) // 4 * 4
    for start in range(0, len(grams), _CHUNK):
        size = min(_CHUNK, len(grams) - start)
        for place in range(size):
            chunk[place] = np.uint32(grams[start + place] >> _HALF)
        for first in range(0, whole, 4):
            _four(chunk, size, a, b, signature, first)
        for first in range(whole, len(a)):
            _one(chunk, size, a, b, signature, first)


@compiled
def _four(chunk: Any, size: Any, a: Any, b: Any, signature: Any, first: Any) -> None:
    a0, a1, a2, a3 = a[first], a[first + 1], a[first + 2], a[first + 3]
    b0, b1, b2, b3 = b[first], b[first + 1], b[first + 2], b[first + 3]
    m0, m1, m2, m3 = signature[first], signature[first + 1], signature[first + 2], signature[first + 3]
    for place in range(size):
        x = chunk[place]
        # uint32 * uint32 is a uint64 in numba: without the cast every minimum is one of 64 bits.
        m0 = min(m0, np.uint32(a0 * x + b0))
        m1 = min(m1, np.uint32(a1 * x + b1))
        m2 = min(m2, np.uint32(a2 * x + b2))
        m3 = min(m3, np.uint32(a3 * x + b3))
    signature[first], signature[first + 1], signature[first + 2], signature[first + 3] = m0, m1, m2, m3


@compiled
def _one(chunk: Any, size: Any, a: Any, b: Any, signature: Any, place: Any) -> None:
    least = signature[place]
    for at in range(size):
        least = min(least, np.uint32(a[place] * chunk[at] + b[place]))
    signature[place] = least


@compiled
def band_hashes(signatures: Any, bands: Any, rows: Any) -> Any:
    """A 64-bit hash of each band of each signature, shape (texts, bands); the number of the band is part of it."""
    found = np.empty((len(signatures), bands), np.uint64)
    for place in range(len(signatures)):
        for band in range(bands):
            value = np.uint64(band + 1)
            for row in range(rows):
                value = mix(value ^ np.uint64(signatures[place, band * rows + row])) + np.uint64(row)
            found[place, band] = mix(value)
    return found
