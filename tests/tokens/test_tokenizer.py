"""The tokenizer trains to the same bytes, encodes as `tokenizers` does, and never makes special tokens of text."""

import ast
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.errors import ConfigError, ShardError
from loopdata.schema import SEGMENTS
from loopdata.special_tokens import END_OF_TEXT, FIM_MIDDLE, SPECIAL_TOKENS
from loopdata.tokens.tokenizer import MIN_VOCAB_SIZE, Tokenizer, train

TEXTS = [
    "def add(first, second):\n    return first + second\n",
    "class Adder:\n    def add(self, first):\n        self.total += first\n",
    "for i in range(100):\n\tprint(f'{i}: {add(i, 1)}')\r\n",
    "naïve — 漢字 🙂 <|endoftext|> <|fim_prefix|>\n",
] * 3
DATA = train(TEXTS, 380)
TOKENIZER = Tokenizer(DATA)


def text(value: str, loss: bool = True) -> dict[str, object]:
    return {"text": value, "special": False, "loss": loss}


def special(value: str, loss: bool = True) -> dict[str, object]:
    return {"text": value, "special": True, "loss": loss}


def encode(*samples: list[dict[str, object]]):
    return TOKENIZER.encode(pa.array(list(samples), SEGMENTS))


def ids_of(value: str) -> list[int]:
    return TOKENIZER.encode_texts([value])[0].tolist()


def test_training_gives_the_same_bytes_for_any_order_of_texts():
    assert train(TEXTS, 380) == DATA
    assert train(list(reversed(TEXTS)), 380) == DATA
    assert train([*TEXTS, "something else entirely, something else"], 380) != DATA


@pytest.mark.parametrize("threads", ["1", "4"])
def test_training_gives_the_same_bytes_for_any_number_of_threads(threads: str):
    program = f"import sys; from loopdata.tokens.tokenizer import train; sys.stdout.buffer.write(train({TEXTS!r}, 380))"
    env = {**os.environ, "RAYON_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "true" if threads == "4" else "false"}
    assert subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, check=True).stdout == DATA


def test_special_tokens_take_the_first_ids_in_their_order():
    assert TOKENIZER.special == {name: number for number, name in enumerate(SPECIAL_TOKENS)}
    assert TOKENIZER.end_of_text == 0
    assert TOKENIZER.vocab_size == 380


def test_a_vocabulary_larger_than_the_corpus_has_the_size_that_there_is():
    # abababab: ab, then abab, then abababab, and nothing is left to merge.
    assert Tokenizer(train(["abababab"], 50_000)).vocab_size == MIN_VOCAB_SIZE + 3


def test_a_vocabulary_without_room_for_every_byte_is_refused():
    assert Tokenizer(train(["abab"], MIN_VOCAB_SIZE)).vocab_size == MIN_VOCAB_SIZE
    with pytest.raises(ConfigError, match="at least 288"):
        train(["abab"], MIN_VOCAB_SIZE - 1)


def test_token_bytes_are_those_of_the_token_and_none_for_special_tokens():
    number = ids_of("def")
    assert [TOKENIZER.token_bytes[token] for token in number] == [len(TOKENIZER.decode([token])) for token in number]
    assert TOKENIZER.token_bytes.dtype == np.int32
    assert TOKENIZER.token_bytes[: len(SPECIAL_TOKENS)].tolist() == [0] * len(SPECIAL_TOKENS)
    assert TOKENIZER.token_bytes[len(SPECIAL_TOKENS) :].min() == 1


@settings(deadline=None)
@given(st.text())
def test_any_text_comes_back_from_its_tokens(value: str):
    assert TOKENIZER.decode(ids_of(value)) == value.encode()


@settings(deadline=None)
@given(st.lists(st.text(), max_size=5))
def test_ids_are_those_of_hugging_face_tokenizers(values: list[str]):
    config = json.loads(DATA)
    config["added_tokens"] = []
    reference = tokenizers.Tokenizer.from_str(json.dumps(config))
    ids, offsets = TOKENIZER.encode_texts(values)
    assert ids.tolist() == [number for value in values for number in reference.encode(value).ids]
    assert np.diff(offsets).tolist() == [len(reference.encode(value).ids) for value in values]


def test_the_file_itself_gives_the_same_ids_in_hugging_face_tokenizers():
    assert tokenizers.Tokenizer.from_str(DATA.decode()).encode(TEXTS[0]).ids == ids_of(TEXTS[0])


@pytest.mark.parametrize("name", SPECIAL_TOKENS)
def test_text_that_spells_a_special_token_is_ordinary_text(name: str):
    for value in (name, f"x{name}y", f" {name}\n{name}"):
        ids = ids_of(value)
        assert min(ids) >= len(SPECIAL_TOKENS)
        assert TOKENIZER.decode(ids) == value.encode()


@settings(deadline=None)
@given(st.lists(st.sampled_from([*SPECIAL_TOKENS, "<|", "|>", "a", " ", "\n", "<"])))
def test_no_mixture_of_spellings_makes_a_special_token(parts: list[str]):
    assert all(number >= len(SPECIAL_TOKENS) for number in ids_of("".join(parts)))


def test_a_corpus_full_of_spellings_teaches_no_merge_into_a_special_token():
    tokenizer = Tokenizer(train(["".join(SPECIAL_TOKENS) * 50], 1000))
    ids, _ = tokenizer.encode_texts(["".join(SPECIAL_TOKENS)])
    assert min(ids) >= len(SPECIAL_TOKENS)


def test_samples_are_encoded_with_offsets_and_loss_spans():
    a, b = ids_of("def add"), ids_of("(first)")
    encoded = encode(
        [text("def add", loss=False), special(FIM_MIDDLE, loss=False), text("(first)"), special(END_OF_TEXT)],
        [],
        [text("def add"), text("", loss=False), text("(first)"), text("x", loss=False), special(END_OF_TEXT)],
    )
    n, m = len(a), len(b)
    assert encoded.ids.tolist() == [*a, 3, *b, 0, *a, *b, *ids_of("x"), 0]
    assert encoded.offsets.tolist() == [0, n + m + 2, n + m + 2, 2 * (n + m + 2)]
    assert encoded.spans.tolist() == [[n + 1, n + m + 2], [0, n + m], [n + m + 1, n + m + 2]]
    assert encoded.span_offsets.tolist() == [0, 1, 1, 3]


def test_loss_does_not_run_on_from_one_sample_into_the_next():
    encoded = encode([text("a")], [text("b")])
    assert encoded.spans.tolist() == [[0, 1], [0, 1]]
    assert encoded.span_offsets.tolist() == [0, 1, 2]


def test_a_slice_of_a_column_is_encoded_like_the_rows_themselves():
    samples = [[text("aaa")], [text("b"), special(END_OF_TEXT)], [text("c", loss=False)]]
    column = pa.chunked_array([pa.array(samples, SEGMENTS)[1:], pa.array(samples, SEGMENTS)[:1]])
    sliced, plain = TOKENIZER.encode(column), encode(samples[1], samples[2], samples[0])
    assert sliced.ids.tolist() == plain.ids.tolist()
    assert sliced.offsets.tolist() == plain.offsets.tolist()
    assert sliced.spans.tolist() == plain.spans.tolist() == [[0, 2], [0, 3]]


def test_no_samples_give_no_tokens():
    encoded = encode()
    assert (encoded.ids.tolist(), encoded.offsets.tolist(), encoded.span_offsets.tolist()) == ([], [0], [0])


def test_a_special_segment_that_the_tokenizer_does_not_know_is_an_error():
    with pytest.raises(ShardError, match=r"<\|unheard\|>"):
        encode([text("a"), special("<|unheard|>")])


def test_decoding_an_id_out_of_range_is_an_error():
    assert TOKENIZER.decode([0]) == b"<|endoftext|>"
    for wrong in (380, -1):
        with pytest.raises(ShardError, match="380"):
            TOKENIZER.decode([5, wrong])


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "value",
    [" " * 1_000_000, "x = [" + "0x7f, " * 833_332 + "]", "ab" * 500_000, "=" * 1_000_000, "\n" * 1_000_000],
    ids=["1 MB of spaces", "5 MB on one line", "1 MB of letters", "1 MB of signs", "1 MB of line ends"],
)
def test_long_runs_come_back_from_their_tokens(value: str):
    ids, _ = TOKENIZER.encode_texts([value])
    assert b"".join(np.array(TOKENIZER._bytes, object)[ids]) == value.encode()


def test_training_learns_nothing_from_the_inside_of_a_run_of_more_than_256_characters():
    # Uncut, every merge would walk through the whole run.
    for run in ("a" * 2048, " " * 2048, "=" * 2048, "_" * 2048):
        assert Tokenizer(train([run], 400)).token_bytes.max() == 256
    assert Tokenizer(train(["a " * 2048], 400)).token_bytes.max() == 2


def test_a_check_passes_where_both_encoders_agree():
    TOKENIZER.check(TEXTS)


def test_a_check_names_the_text_on_which_the_encoders_differ(monkeypatch: pytest.MonkeyPatch):
    tokenizer = Tokenizer(DATA)
    right = tokenizer.encode_texts(["abc", "xyz"])
    monkeypatch.setattr(
        tokenizer, "encode_texts", lambda texts: (np.where(right[0] == right[0][-1], 9, right[0]), right[1])
    )
    with pytest.raises(ShardError, match="begins 'xyz'"):
        tokenizer.check(["abc", "xyz"])


def test_a_tokenizer_that_fastokens_refuses_is_encoded_by_hugging_face():
    config = json.loads(DATA)
    config["normalizer"] = {"type": "NFKC"}
    tokenizer = Tokenizer(json.dumps(config).encode())
    assert (TOKENIZER.encoder, tokenizer.encoder) == ("fastokens", "tokenizers")
    ids, offsets = tokenizer.encode_texts([TEXTS[0], "<|endoftext|>", ""])
    assert ids[: offsets[1]].tolist() == ids_of(TEXTS[0])
    assert ids[offsets[1] :].tolist() == ids_of("<|endoftext|>")
    assert offsets[3] == offsets[2]


def test_files_that_are_no_byte_level_tokenizer_are_refused():
    word_piece = tokenizers.Tokenizer(tokenizers.models.WordPiece({"漢": 0})).to_str().encode()
    for data in (b"", b"{}", b"[]", word_piece):
        with pytest.raises(ShardError, match="no byte-level BPE"):
            Tokenizer(data)


def test_a_tokenizer_without_an_end_of_text_is_refused():
    config = json.loads(DATA)
    config["added_tokens"] = config["added_tokens"][1:]
    with pytest.raises(ShardError, match=r"no special token <\|endoftext\|>"):
        Tokenizer(json.dumps(config).encode())


def test_a_tokenizer_travels_to_other_processes():
    other = pickle.loads(pickle.dumps(TOKENIZER))
    assert other.digest == TOKENIZER.digest
    assert other.encode_texts(TEXTS)[0].tolist() == TOKENIZER.encode_texts(TEXTS)[0].tolist()


def test_source_code_decodes_to_the_same_program():
    source = "async def f(*, k: int = 0x1F) -> 'T':\n    '''doc'''\n    return [λ for λ in (1e-9, .5) if not k]\n"
    decoded = TOKENIZER.decode(ids_of(source)).decode()
    assert ast.dump(ast.parse(decoded)) == ast.dump(ast.parse(source))
