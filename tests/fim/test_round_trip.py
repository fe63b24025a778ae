"""Every sample with a hole gives its text back, from its pieces and from its tokens; a wrong one ends the run."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.config import parse
from loopdata.errors import StageError
from loopdata.fim.config import FimConfig
from loopdata.fim.file_level import FileBuilder, FileConfig
from loopdata.fim.layouts import OWN, Parts, preset, recover, render
from loopdata.fim.samples import prove
from loopdata.schema import document_schema, table_of
from loopdata.tokens.tokenizer import Tokenizer, train

TOKENIZER = Tokenizer(train(["def f(x):\n    return x\n", "class A { int größe; }\r\n"] * 4, 400))
SPELLINGS = [token for own in OWN.values() for token in (own.prefix, own.suffix, own.middle, own.end)]
WORDS = ["def f(x):\n", "    return größe\r\n", "\tif x: y = (1\n", "x = 1\n", "{", "}\n", "🙂", *SPELLINGS]
TEXTS = st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=6)), max_size=12).map("".join)


def rendered(texts: list[str], layout: str, language: str | None = "Python", **fim: object):
    config = parse(FileConfig, {"fim": {"rate": 1.0, "layout": layout, "min_chars": 1, **fim}}, "samples.file")
    rows = [
        {"doc_id": str(n), "text": text, "category": "code", "split": "train", "use": "train", "language": language}
        for n, text in enumerate(texts)
    ]
    builder = FileBuilder(config, label="file")
    samples = builder.render(table_of(rows, document_schema(FileBuilder.needs)))
    encoded = TOKENIZER.encode(samples["segments"])
    tokens = [encoded.ids[start:end] for start, end in zip(encoded.offsets, encoded.offsets[1:], strict=False)]
    return builder, samples, tokens


@settings(max_examples=120, deadline=None)
@given(
    texts=st.lists(TEXTS, min_size=1, max_size=4),
    layout=st.sampled_from(sorted(OWN)),
    language=st.sampled_from(["Python", "Java", "C", "JSON", "Haskell", None]),
    rule=st.sampled_from(["contexts", "window", "cut_suffix"]),
)
def test_prefix_middle_and_suffix_are_the_text_that_the_sample_holds(
    texts: list[str], layout: str, language: str | None, rule: str
) -> None:
    builder, samples, tokens = rendered(texts, layout, language, max_bytes=40, long=rule)
    found = {str(n): b"" for n in range(len(texts))}
    holed = 0
    for row, ids in zip(samples.to_pylist(), tokens, strict=True):
        data, fim, [parent] = texts[int(row["parents"][0])].encode(), row["fim"], row["parents"]
        if fim["kind"] is None:
            whole = data[fim["start"] : fim["end"]]
            end = b"<|endoftext|>" if fim["end"] == len(data) else b""
            assert TOKENIZER.decode(ids) == whole + end
        else:
            holed += 1
            size = fim["middle_end"] - fim["middle_start"]
            parts = recover(ids, preset(layout), fim["mode"], TOKENIZER.special, TOKENIZER.decode, size)
            whole = parts.prefix + parts.middle + parts.suffix
            assert parts.middle == data[fim["middle_start"] : fim["middle_end"]]
        found[parent] += whole
    assert list(found.values()) == [text.encode() for text in texts]
    assert builder.check(samples, tokens, TOKENIZER.special, TOKENIZER.decode) == holed


def test_tokens_that_lost_something_are_refused() -> None:
    builder, samples, tokens = rendered(["x = 1\ny = 2\n"], "qwen2.5")
    assert builder.check(samples, tokens, TOKENIZER.special, TOKENIZER.decode) == 1
    for wrong in (tokens[0][:-1], tokens[0][1:], tokens[0][::-1], np.delete(tokens[0], -2)):
        with pytest.raises(StageError):
            builder.check(samples, [wrong], TOKENIZER.special, TOKENIZER.decode)


def test_plain_samples_have_nothing_to_prove() -> None:
    builder, samples, tokens = rendered(["x = 1\n"], "qwen2.5", rate=0.0)
    assert builder.check(samples, tokens, TOKENIZER.special, TOKENIZER.decode) == 0


def test_pieces_that_are_not_the_text_are_refused() -> None:
    config = FimConfig()
    pieces = render(config.chosen, "psm", Parts(b"a", b"b", b"c"))
    prove(config, "psm", pieces, b"abc")
    with pytest.raises(StageError, match="do not give the text back that begins b'acb'"):
        prove(config, "psm", pieces, b"acb")
