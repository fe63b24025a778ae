"""How often a text repeats itself: its most frequent word grams, and lines that stand there more than once.

Enters: the UTF-8 bytes of texts as they lie in Arrow. Leaves: for each text the number of words, the share of the
words' characters that its most frequent 2-, 3- and 4-gram takes (RedPajama's measures, which OpenCoder uses: count
times length, 0 for one that stands once), and the share of lines that are not blank and have a twin. A word is a run of
letters, digits, underscores and bytes from 0x80 up, whatever its case. Lines are compared without white space; those
without a word (a closing bracket) have no twins, where OpenCoder only leaves out `},` and single characters. Grams are
told apart by 64-bit hashes in a table that is searched in a bounded number of steps, so that no text makes it slow.
Limit: who knows the hashes can write a text whose repeats are not seen.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from loopdata.cleaning.line_statistics import IN_WORD, Bytes, Ints
from loopdata.compiled import compiled

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_PRIME, _BASE = np.uint64(0x100000001B3), np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2, _SHIFT = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53), np.uint64(33)
_STEPS = 64  # in the table; more are never needed by hashes that nobody chose
_ONE = np.uint64(1)
_FOLDED = np.frombuffer(bytes(range(256)).lower(), np.uint8)
_IS_BLANK = np.array([byte in b" \t\n\r\v\f" for byte in range(256)], np.bool_)


def word_counts(data: Bytes, offsets: Ints, wanted: Bools) -> Floats:
    """Words of the texts that are wanted, NaN for the others."""
    found = np.full(len(wanted), np.nan)
    _count_words(data, offsets, wanted, found)
    return found


def top_grams(data: Bytes, offsets: Ints, wanted: Bools) -> Floats:
    """Shares of the most frequent gram of 2, 3 and 4 words: a row a size, a column a text, NaN where none is wanted."""
    found = np.full((3, len(wanted)), np.nan)
    _find_grams(data, offsets, wanted, found)
    return found


def duplicate_lines(data: Bytes, offsets: Ints, wanted: Bools) -> Floats:
    """Share of lines with a twin of the texts that are wanted, NaN for the others."""
    found = np.full(len(wanted), np.nan)
    _find_twins(data, offsets, wanted, found)
    return found


@compiled
def _count_words(data: Any, offsets: Any, wanted: Any, found: Any) -> None:
    for text in range(len(wanted)):
        if wanted[text]:
            count, inside = 0, False
            for byte in data[offsets[text] : offsets[text + 1]]:
                was, inside = inside, IN_WORD[byte]
                count += inside > was
            found[text] = count


@compiled
def _find_grams(data: Any, offsets: Any, wanted: Any, found: Any) -> None:
    for text in range(len(wanted)):
        if wanted[text]:
            source = data[offsets[text] : offsets[text + 1]]
            hashes = np.empty(len(source) // 2 + 1, np.uint64)
            lengths = np.empty(len(source) // 2 + 1, np.int32)
            count = _words(source, hashes, lengths)
            for size in range(2, 5):
                found[size - 2, text] = _top_share(hashes[:count], lengths[:count], size)


@compiled
def _find_twins(data: Any, offsets: Any, wanted: Any, found: Any) -> None:
    for text in range(len(wanted)):
        if wanted[text]:
            found[text] = _duplicate_share(data[offsets[text] : offsets[text + 1]])


@compiled
def _words(source: Any, hashes: Any, lengths: Any) -> Any:
    """Write the hash and the characters of each word; return how many there are."""
    count, length, word = 0, 0, np.uint64(0)
    for byte in source:
        if IN_WORD[byte]:
            word = (word ^ np.uint64(_FOLDED[byte])) * _PRIME
            length += (byte & 0xC0) != 0x80
        elif length:
            hashes[count], lengths[count] = word, length
            count, length, word = count + 1, 0, np.uint64(0)
    if length:
        hashes[count], lengths[count] = word, length
        count += 1
    return count


@compiled
def _top_share(hashes: Any, lengths: Any, size: Any) -> Any:
    """Share of the characters that the most frequent gram takes; of several, the one that comes first in the text."""
    count = len(hashes) - size + 1
    if count < 2:
        return 0.0
    slots = _slots(count)
    keys, counts, firsts = np.zeros(slots, np.uint64), np.zeros(slots, np.int32), np.zeros(slots, np.int64)
    top, top_first = 1, -1
    for at in range(count):
        gram = np.uint64(0)
        for word in range(at, at + size):
            gram = gram * _BASE + hashes[word]
        slot = _slot(keys, gram)
        if slot < 0:
            continue
        if counts[slot] == 0:
            firsts[slot] = at
        counts[slot] += 1
        if counts[slot] > top or (counts[slot] == top and top > 1 and firsts[slot] < top_first):
            top, top_first = counts[slot], firsts[slot]
    return top * lengths[top_first : top_first + size].sum() / lengths.sum() if top > 1 else 0.0


@compiled
def _duplicate_share(source: Any) -> Any:
    """Share of the lines that are not blank, with a word in them and a twin."""
    lines = np.empty(len(source) // 2 + 1, np.uint64)
    count = _line_hashes(source, lines)
    if count == 0:
        return 0.0
    slots = _slots(count)
    keys, counts = np.zeros(slots, np.uint64), np.zeros(slots, np.int32)
    places = np.empty(count, np.int64)
    for at in range(count):
        places[at] = _slot(keys, lines[at]) if lines[at] else -1
        if places[at] >= 0:
            counts[places[at]] += 1
    twins = 0
    for place in places:
        twins += place >= 0 and counts[place] > 1
    return twins / count


@compiled
def _line_hashes(source: Any, lines: Any) -> Any:
    """Write a hash for each line that is not blank, 0 for one without a word; return how many there are."""
    count, size, line, has_word = 0, 0, np.uint64(0), False
    for byte in source:
        if byte == 10:
            if size:
                lines[count] = line | _ONE if has_word and size > 1 else np.uint64(0)
                count += 1
            size, line, has_word = 0, np.uint64(0), False
        elif not _IS_BLANK[byte]:
            size += 1
            line = (line ^ np.uint64(byte)) * _PRIME
            has_word |= IN_WORD[byte]
    if size:
        lines[count] = line | _ONE if has_word and size > 1 else np.uint64(0)
        count += 1
    return count


@compiled
def _slots(count: Any) -> Any:
    """A power of two, twice as many as there are things to tell apart."""
    slots = 4
    while slots < 2 * count:
        slots *= 2
    return slots


@compiled
def _slot(keys: Any, key: Any) -> Any:
    """Where a key lies in the table, put there if it is new; -1 where it is not found in some steps."""
    key = (key ^ (key >> _SHIFT)) * _MIX_1
    key = (key ^ (key >> _SHIFT)) * _MIX_2
    key = key ^ (key >> _SHIFT) | _ONE  # 0 is an empty slot
    slots = len(keys)
    slot = np.int64(key >> _ONE) & (slots - 1)
    for _ in range(_STEPS):
        if keys[slot] == 0:
            keys[slot] = key
        if keys[slot] == key:
            return slot
        slot = (slot + 1) & (slots - 1)
    return -1
