"""Whether a value looks drawn at random, as keys and generated passwords are, or written, as words and names are.

Enters: the bytes of one value. Leaves: evidence in bits that it was drawn: the logarithm of how much likelier each
character is under the best of five ways of drawing (hexadecimal, letters and digits of one case or both, printable
characters, letters alone) than in ordinary text. Ordinary text is a chain over four classes of characters, and over
pairs of letters where two follow each other, counted over 126,314 names and quoted values of the standard library and
of public repositories in twelve languages; both alphabets are ASCII. Limit: a passphrase of words looks written, and a
short value gives little evidence either way.
"""

from math import log2
from typing import NamedTuple

MAX_BYTES = 256  # of a value are looked at; more of it adds nothing

_LOWER, _UPPER, _DIGIT, _OTHER = range(4)
# Bits of the class of a character after the class of the one before it, in ordinary text.
_CLASS_BITS = ((0.23, 4.7, 6.04, 3.46), (1.32, 1.0, 5.61, 3.67), (2.62, 4.97, 0.66, 2.53), (0.94, 3.16, 3.8, 1.75))
# Bits of a letter after a letter there, in halves, written to the base 36: a row is the first letter, both from a to z.
_LETTER_BITS = """
ga89healblf677l9m685bebdcf 5cab6cej89k6ed7ck99e6iii9j 7fbd6ei7am88fh4fl9b6aijlbo 6bc93cdi6hhbde8cib9b9ggidk
9d88cacgdli8a6fad567gcd8dl 7ecc77ej4ki8fd6fl8ba8ijjdl 9ecf3fb97lj9a9bcm68b8ggjgi 5eee4ghh6midbe6dgac69ihkcl
ab88ab9nilh8946ajb77jbodpb 8jhd5hihcheegf6dcg2fbcfjhn 8fcb2dbe6khbbbcdhc7b9ecefh 7efa48fi5mi8fg6dnf998djlbl
4age4gjk7mkbaf76leafajkjch 7g877a7h9hceeb8clf75bciigk cb98hccjchc884b9p5a98cbfil 6hdc5fhb9oi6ff69j6a8agjk9k
egfgefhgfii8gfhdcaac1gehih 6gab4eai6ndcab6ema88bcimap ai9e4ef97ldcde89fe749gejbl 6gbe4eg85nkddf7bn799bgfh8k
a9bb7ccoaok786e8m676hhpgoe 4edg2gfj5mlhehaalfefihijik 6ged7fha5jice97cl74dhgbgli 7d7c6chg8lgcbfd5jcc4ggfbah
acabadbfahh878c3ic67eecigd 6hhf3fig9hh8ec5eihafgihgc8
"""
_PAIR_BITS = [[int(half, 36) / 2 for half in row] for row in _LETTER_BITS.split()]
_FIRST_LETTER_BITS = 4.2  # of a letter whose neighbour is none: about the entropy of single letters
_HEX = frozenset(b"0123456789abcdefABCDEF")


class _Drawing(NamedTuple):
    """A way of drawing: shares of lower-case, upper-case, digits and others, and from how many letters."""

    shares: tuple[float, float, float, float]
    letters: int = 26


_TINY = 1e-3  # the share of a class that hardly belongs
_MIXED = _Drawing((0.41, 0.41, 0.15, 0.03))
_PRINTABLE = _Drawing((0.3, 0.3, 0.15, 0.25))
_LOWER_CASE = _Drawing((0.72, _TINY, 0.27, 0.01))
_UPPER_CASE = _Drawing((_TINY, 0.72, 0.27, 0.01))
_HEXADECIMAL = (_Drawing((0.37, _TINY, 0.62, 0.01), 6), _Drawing((_TINY, 0.37, 0.62, 0.01), 6))


def evidence(value: bytes) -> float:
    """Bits in favour of `value` having been drawn at random; below 0 it was rather written."""
    value = value[:MAX_BYTES]
    written = _written_bits(value)
    drawings = [_MIXED, _PRINTABLE, _LOWER_CASE, _UPPER_CASE]
    if _HEX.issuperset(value.replace(b"-", b"")):
        drawings += _HEXADECIMAL
    classes = [_class(byte) for byte in value]
    counts = [classes.count(kind) for kind in range(4)]
    return written - min(_drawn_bits(counts, drawing) for drawing in drawings)


def _class(byte: int) -> int:
    if 97 <= byte <= 122:
        return _LOWER
    if 65 <= byte <= 90:
        return _UPPER
    return _DIGIT if 48 <= byte <= 57 else _OTHER


def _drawn_bits(counts: list[int], drawing: _Drawing) -> float:
    """What a value with so many characters of each class costs; which digit or sign it is costs both sides alike."""
    bits = -sum(count * log2(share) for count, share in zip(counts, drawing.shares, strict=True))
    return bits + (counts[_LOWER] + counts[_UPPER]) * log2(drawing.letters)


def _written_bits(value: bytes) -> float:
    bits, before, letter_before = 0.0, _OTHER, -1
    for byte in value:
        kind = _class(byte)
        bits += _CLASS_BITS[before][kind]
        letter = (byte | 0x20) - 97 if kind <= _UPPER else -1
        if letter >= 0:
            bits += _PAIR_BITS[letter_before][letter] if letter_before >= 0 else _FIRST_LETTER_BITS
        before, letter_before = kind, letter
    return bits
