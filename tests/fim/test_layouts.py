"""Layouts order a text's three parts as their models do, and give them back from pieces and from token ids."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.config import parse
from loopdata.errors import ConfigError, StageError
from loopdata.fim.layouts import OWN, SPM_SHARE, Layout, Parts, parts_of, preset, recover, render
from loopdata.tokens.tokenizer import Tokenizer, train

TOKENIZER = Tokenizer(train(["def f(x):\n    return x\n", "<|fim_prefix|> <fim_suffix>\r\n"] * 4, 400))
MODES = [(name, mode) for name, own in OWN.items() for mode in ("psm", "spm") if getattr(own, mode)]
SPELLINGS = [token for own in OWN.values() for token in (own.prefix, own.suffix, own.middle, own.end)]
TEXTS = st.lists(st.one_of(st.text(max_size=8), st.sampled_from([*SPELLINGS, "\r\n", "\t  "])), max_size=5).map("".join)


def shown(name: str, mode: str, spelling: str = "ours") -> str:
    return b"".join(piece.data for piece in render(preset(name, spelling), mode, Parts(b"P", b"M", b"S"))).decode()


def test_presets_order_our_special_tokens_by_role() -> None:
    psm = "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>M"
    spm = "<|fim_prefix|><|fim_suffix|>S<|fim_middle|>PM"
    assert {(name, mode): shown(name, mode) for name, mode in MODES} == {
        ("iquest", "psm"): f"{psm}<|im_end|>",
        ("qwen2.5", "psm"): f"{psm}<|endoftext|>",
        ("starcoder2", "psm"): f"{psm}<|endoftext|>",
        ("starcoder2", "spm"): f"{spm}<|endoftext|>",
        ("deepseek", "psm"): f"{psm}<|endoftext|>",
        ("codellama", "psm"): f"{psm}<|im_end|>",
        ("codellama", "spm"): f"{spm}<|im_end|>",
        ("seed-coder", "spm"): "<|fim_suffix|>S<|fim_prefix|>P<|fim_middle|>M<|endoftext|>",
    }


def test_presets_spelled_as_their_models_do() -> None:
    rendered = {name: render(own, "psm" if own.psm else "spm", Parts(b"P", b"M", b"S")) for name, own in OWN.items()}
    assert {name: b"".join(piece.data for piece in pieces).decode() for name, pieces in rendered.items()} == {
        "iquest": "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>M<|im_end|>",
        "qwen2.5": "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>M<|endoftext|>",
        "starcoder2": "<fim_prefix>P<fim_suffix>S<fim_middle>M<|endoftext|>",
        "deepseek": "<｜fim▁begin｜>P<｜fim▁hole｜>S<｜fim▁end｜>M<｜end▁of▁sentence｜>",
        "codellama": "▁<PRE>P▁<SUF>S▁<MID>M▁<EOT>",
        "seed-coder": "<[fim-suffix]>S<[fim-prefix]>P<[fim-middle]>M<[end▁of▁sentence]>",
    }


def test_shares_of_spm_are_those_of_the_presets() -> None:
    assert SPM_SHARE == {
        "iquest": 0.0,
        "qwen2.5": 0.0,
        "starcoder2": 0.5,
        "deepseek": 0.0,
        "codellama": 0.5,
        "seed-coder": 1.0,
    }


def test_a_layout_names_all_its_special_tokens() -> None:
    marks = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<|endoftext|>")
    assert preset("starcoder2", "own").special_tokens() == (*marks, "<repo_name>", "<file_sep>")
    assert preset("codellama", "own").special_tokens() == ("▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>", "</s>")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({}, "needs an order"),
        ({"psm": "PREFIX prefix SUFFIX suffix MIDDLE middle"}, "ends with `middle END`"),
        ({"psm": "PREFIX prefix SUFFIX suffix END MIDDLE middle"}, "ends with `middle END`"),
        ({"psm": "PREFIX prefix SUFFIX MIDDLE middle END"}, "holds each of prefix, suffix and middle once"),
        ({"psm": "PREFIX prefix SUFFIX suffix SUFFIX middle END"}, "no token twice"),
        ({"psm": "PREFIX prefix suffix MIDDLE middle END"}, "must stand between the suffix and its neighbours"),
        ({"psm": "PREFIX prefix SUFFIX suffix middle END"}, "must stand between the suffix and its neighbours"),
        ({"psm": "PREFIX Prefix SUFFIX suffix MIDDLE middle END"}, "'Prefix' is no part of an order"),
        ({"psm": "PREFIX prefix SUFFIX suffix MIDDLE middle END", "middle": "<|fim_prefix|>"}, "four different"),
        (
            {"psm": "PREFIX prefix SUFFIX suffix MIDDLE middle END", "repo": "<|file_sep|>"},
            "must be other special tokens",
        ),
        ({"psm": "PREFIX prefix SUFFIX suffix MIDDLE middle END", "text_end": "<|file_sep|>"}, "`text_end` must be"),
    ],
)
def test_a_layout_that_could_not_be_read_back_is_refused(wrong: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse(Layout, wrong, "own")


@pytest.mark.parametrize(("name", "mode"), MODES)
@settings(max_examples=60, deadline=None)
@given(prefix=TEXTS, middle=TEXTS, suffix=TEXTS)
def test_parts_come_back_from_pieces_and_from_tokens(
    name: str, mode: str, prefix: str, middle: str, suffix: str
) -> None:
    layout, parts = preset(name), Parts(prefix.encode(), middle.encode(), suffix.encode())
    pieces = render(layout, mode, parts)
    assert parts_of(layout, mode, [(piece.data, piece.special) for piece in pieces]) == parts
    ids: list[int] = []
    for piece in pieces:
        text = piece.data.decode()
        ids += [TOKENIZER.special[text]] if piece.special else TOKENIZER.encode_texts([text])[0].tolist()
    assert recover(ids, layout, mode, TOKENIZER.special, TOKENIZER.decode, len(parts.middle)) == parts
    assert sum(token in TOKENIZER.special.values() for token in ids) == 4


IDS = {"psm": [1, 300, 2, 301, 3, 302, 0], "spm": [1, 2, 301, 3, 300, 302, 0]}


@pytest.mark.parametrize(
    "ids",
    [
        [],
        [300, 2, 301, 3, 302, 0],  # a sentinel is missing
        [2, 300, 1, 301, 3, 302, 0],  # in another order
        [1, 300, 2, 301, 3, 302],  # cut through the end
        [1, 300, 2, 301, 3, 302, 0, 303],  # more behind the end
        [1, 300, 2, 2, 301, 3, 302, 0],  # one twice
        [299, 1, 300, 2, 301, 3, 302, 0],  # text before the first
    ],
)
def test_tokens_in_another_order_than_the_layout_are_refused(ids: list[int]) -> None:
    with pytest.raises(StageError):
        recover(ids, preset("qwen2.5"), "psm", TOKENIZER.special, TOKENIZER.decode)


def test_without_the_size_of_the_middle_the_second_variant_cannot_be_parted() -> None:
    arguments = (IDS["spm"], preset("codellama"), "spm", TOKENIZER.special | {"<|im_end|>": 0}, TOKENIZER.decode)
    with pytest.raises(StageError, match="size of the middle is needed"):
        recover(*arguments)
    with pytest.raises(StageError, match="not 1000"):
        recover(*arguments, 1000)


def test_pieces_in_another_order_than_the_layout_are_refused() -> None:
    layout = preset("qwen2.5")
    segments = [(piece.data, piece.special) for piece in render(layout, "psm", Parts(b"P", b"M", b"S"))]
    with pytest.raises(StageError, match="has 6 segments, its layout 7"):
        parts_of(layout, "psm", segments[:-1])
    with pytest.raises(StageError, match=r"where the layout has PREFIX, the sample has b'<\|fim_suffix\|>'"):
        parts_of(layout, "psm", [segments[2], segments[1], segments[0], *segments[3:]])
    with pytest.raises(StageError, match="where the layout has prefix, the sample has b'P'"):
        parts_of(layout, "psm", [segments[0], (b"P", True), *segments[2:]])
