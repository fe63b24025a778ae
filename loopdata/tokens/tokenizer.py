"""A byte-level BPE tokenizer: trained once a dataset, then encoding whole tables of samples.

Enters: texts of the training split, then segments of samples. Leaves: a `tokenizer.json` that Hugging Face's
`tokenizers` reads as well, then token ids with offsets and loss spans. Byte-level BPE after Radford et al. 2019; the
split pattern is Qwen2's (GPT-4's with single digits), word for word, since fastokens has a fast path for it: 144 MB/s
on the standard library, against 22 for the pattern without its first clause. Special tokens come from segments marked
special and from nowhere else: the encoders work on a copy of the tokenizer that does not know them. Limit: a run of one
kind of character is one piece to BPE, which costs n log n: 1 MB of spaces takes half a second.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import fastokens
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tokenizers
from numpy.typing import NDArray
from tokenizers import decoders, models, pre_tokenizers, trainers

from loopdata.errors import ConfigError, ShardError
from loopdata.schema import digest
from loopdata.special_tokens import END_OF_TEXT, SPECIAL_TOKENS

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
MIN_VOCAB_SIZE = len(SPECIAL_TOKENS) + 256

# A merge walks through every word that holds the pair, so a word of a megabyte would make training take hours. Runs of
# letters, blanks or signs are cut here for training only; nothing is learned from the inside of longer ones.
_LONG_RUN = re.compile(r"([^\W\d_]{256}|\s{256}|(?:[^\w\s]|_){256})")
_LONG_BLANK = re.compile(r"\s{256}")


@dataclass(frozen=True)
class Encoded:
    """Tokens of n samples.

    ids           uint32 [tokens]
    offsets       int64 [n + 1]: sample i is ids[offsets[i]:offsets[i + 1]]
    spans         int64 [m, 2]: start and end, in tokens of the sample, of what carries loss
    span_offsets  int64 [n + 1]: spans of sample i are spans[span_offsets[i]:span_offsets[i + 1]]
    """

    ids: NDArray[np.uint32]
    offsets: NDArray[np.int64]
    spans: NDArray[np.int64]
    span_offsets: NDArray[np.int64]


def train(texts: Iterable[str], vocab_size: int) -> bytes:
    """Train on texts and return the bytes of a `tokenizer.json`; the same for any order of texts and any thread count.

    The vocabulary is smaller where the texts have no more pairs to merge. ConfigError below MIN_VOCAB_SIZE.
    """
    if vocab_size < MIN_VOCAB_SIZE:
        raise ConfigError(
            f"a vocabulary of {vocab_size} tokens is too small",
            f"give at least {MIN_VOCAB_SIZE}: {len(SPECIAL_TOKENS)} special tokens and 256 bytes",
        )
    tokenizer = tokenizers.Tokenizer(models.BPE())
    split = pre_tokenizers.Split(tokenizers.Regex(PATTERN), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_short_runs(texts), trainer)
    return str(tokenizer.to_str()).encode()


def _short_runs(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        # Splitting at once would take a third of the whole training; few texts have such a run.
        if len(max(text.split(), key=len, default="")) < 256 and not _LONG_BLANK.search(text):
            yield text
        else:
            yield from (part for part in _LONG_RUN.split(text) if part)


class Tokenizer:
    """A `tokenizer.json` at work.

    digest str, vocab_size int (largest id + 1), end_of_text int (id), special dict (spelling → id), token_bytes int32
    [vocab_size] (UTF-8 bytes of each token, 0 for special tokens), encoder `fastokens`, or `tokenizers` where fastokens
    refuses the file. ShardError for a file that is no byte-level tokenizer.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.digest = digest(data)
        try:
            config = json.loads(data)
            vocab, added = config["model"]["vocab"], config["added_tokens"]
            self.special = {token["content"]: int(token["id"]) for token in added if token["special"]}
            self._bytes = _bytes_of_tokens(vocab, {token["content"]: int(token["id"]) for token in added})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ShardError(
                f"this is no byte-level BPE tokenizer.json: {error!r}", "train one: tokens: {train: …}"
            ) from None
        if END_OF_TEXT not in self.special:
            raise ShardError(
                f"the tokenizer has no special token {END_OF_TEXT}", "add it, or train one: tokens: {train: …}"
            )
        self.vocab_size = len(self._bytes)
        self.end_of_text = self.special[END_OF_TEXT]
        self.token_bytes = np.array([len(token) for token in self._bytes], np.int32)
        self.token_bytes[list(self.special.values())] = 0
        self._ordinary = json.dumps(
            {**config, "added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
        )
        self._fast = _fastokens(self._ordinary)
        self.encoder = "tokenizers" if self._fast is None else "fastokens"
        self._reference: Any = None

    def __reduce__(self) -> tuple[type["Tokenizer"], tuple[bytes]]:
        return Tokenizer, (self._data,)

    def encode_texts(self, texts: list[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Encode texts as ordinary text, whatever they spell: ids uint32 [tokens], offsets int64 [texts + 1]."""
        if self._fast is None:
            return self._encode_by_reference(texts)
        ids, offsets = self._fast.encode_batch_flat(texts)
        return np.frombuffer(ids, "<u4"), np.frombuffer(offsets, "<u8").astype(np.int64)

    def encode(self, segments: pa.ChunkedArray | pa.Array) -> Encoded:
        """Encode the `segments` column of samples. ShardError for a special token that the tokenizer does not have.

        Each text segment is encoded by itself. Segments with loss that follow each other give one span.
        """
        lists = segments.combine_chunks() if isinstance(segments, pa.ChunkedArray) else segments
        flat = lists.flatten()
        texts, special, loss = (pc.struct_field(flat, name) for name in ("text", "special", "loss"))
        is_special = special.to_numpy(zero_copy_only=False).astype(np.bool_)
        ids, text_offsets = self.encode_texts(texts.filter(pc.invert(special)).to_pylist())
        lengths = np.ones(len(flat), np.int64)
        lengths[~is_special] = np.diff(text_offsets)
        bounds = _offsets(lengths)
        at_special = np.zeros(bounds[-1], np.bool_)
        at_special[bounds[:-1][is_special]] = True
        tokens = np.empty(bounds[-1], np.uint32)
        tokens[at_special] = self._special_ids(texts.filter(special))
        tokens[~at_special] = ids
        counts = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        has_loss = loss.to_numpy(zero_copy_only=False).astype(np.bool_)
        return _with_spans(tokens, bounds, _offsets(counts), has_loss)

    def decode(self, ids: Iterable[int]) -> bytes:
        """The exact bytes of tokens; a special token gives its spelling. ShardError for an id out of range."""
        wanted = [int(token) for token in ids]
        if wanted and not 0 <= min(wanted) <= max(wanted) < self.vocab_size:
            raise ShardError(
                f"token {max(wanted)} or {min(wanted)} is not among the {self.vocab_size} of the tokenizer"
            )
        return b"".join(self._bytes[token] for token in wanted)

    def check(self, texts: list[str]) -> None:
        """Encode texts with Hugging Face `tokenizers` as well, and raise ShardError where the ids differ."""
        ids, offsets = self.encode_texts(texts)
        wanted, wanted_offsets = self._encode_by_reference(texts)
        for i, text in enumerate(texts):
            found = ids[offsets[i] : offsets[i + 1]]
            if not np.array_equal(found, wanted[wanted_offsets[i] : wanted_offsets[i + 1]]):
                raise ShardError(
                    f"{self.encoder} and tokenizers encode the text that begins {text[:40]!r} differently",
                    f"install the pinned versions (tokenizers here is {tokenizers.__version__})",
                )

    def _encode_by_reference(self, texts: list[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        if self._reference is None:
            self._reference = tokenizers.Tokenizer.from_str(self._ordinary)
        found = [encoding.ids for encoding in self._reference.encode_batch_fast(texts, add_special_tokens=False)]
        offsets = _offsets(np.array([len(ids) for ids in found], np.int64))
        return np.concatenate([np.empty(0, np.uint32), *(np.array(ids, np.uint32) for ids in found)]), offsets

    def _special_ids(self, names: pa.Array) -> NDArray[np.uint32]:
        known = pa.array(list(self.special), pa.large_string())
        entries = pc.index_in(names, value_set=known)
        if entries.null_count:
            unknown = names.filter(entries.is_null())[0].as_py()
            raise ShardError(f"the tokenizer has no special token {unknown!r}", f"there are: {', '.join(self.special)}")
        ids = np.array(list(self.special.values()), np.uint32)
        chosen: NDArray[np.uint32] = ids[entries.to_numpy(zero_copy_only=False).astype(np.int64)]
        return chosen


def _with_spans(
    tokens: NDArray[np.uint32], bounds: NDArray[np.int64], firsts: NDArray[np.int64], loss: NDArray[np.bool_]
) -> Encoded:
    """Join neighbouring segments with loss. `bounds` are of segments in tokens, `firsts` of samples in segments."""
    offsets = bounds[firsts]
    chosen = np.flatnonzero(loss & (np.diff(bounds) > 0))
    starts, ends = bounds[chosen], bounds[chosen + 1]
    owners = np.searchsorted(firsts, chosen, side="right") - 1
    opens = np.ones(len(chosen) + 1, np.bool_)
    opens[1:-1] = (starts[1:] != ends[:-1]) | (owners[1:] != owners[:-1])
    heads, tails = np.flatnonzero(opens[:-1]), np.flatnonzero(opens[1:])
    owner = owners[heads]
    spans = np.stack([starts[heads] - offsets[owner], ends[tails] - offsets[owner]], axis=1)
    return Encoded(tokens, offsets, spans, _offsets(np.bincount(owner, minlength=len(firsts) - 1)))


def _offsets(lengths: NDArray[Any]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def _fastokens(data: str) -> Any:
    """fastokens refuses what it would not encode as `tokenizers` does; then there is None."""
    try:
        return fastokens.Tokenizer.from_json_str(data)
    except ValueError:
        return None


def _bytes_of_tokens(vocab: dict[str, int], added: dict[str, int]) -> list[bytes]:
    """Bytes of each id. KeyError for a token with a character outside the byte-level alphabet."""
    table = [b""] * (max([*vocab.values(), *added.values()]) + 1)
    byte_of = _byte_level_alphabet()
    for token, number in vocab.items():
        table[number] = token.encode() if token in added else bytes(byte_of[character] for character in token)
    for token, number in added.items():
        table[number] = token.encode()
    return table


def _byte_level_alphabet() -> dict[str, int]:
    """GPT-2's printable character for each byte: itself where it is printable, else the next one from U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}
