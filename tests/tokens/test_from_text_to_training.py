"""From documents to the sequences that training sees: every text comes back, byte for byte, with its loss."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.fim.file_level import FileBuilder
from loopdata.mixture.draw import Stock, draw
from loopdata.schema import digest, document_schema, table_of
from loopdata.special_tokens import END_OF_TEXT
from loopdata.storage import Folder
from loopdata.tokens.dataset import write_dataset
from loopdata.tokens.packing import pack, sequence_tokens
from loopdata.tokens.shards import Dataset
from loopdata.tokens.tokenizer import Tokenizer, train
from loopdata.tokens.writer import ShardWriter

TOKENIZER = Tokenizer(train(["def f(x):\n    return x\n", "print('hello, hello')\n"] * 4, 350))
ENDED = END_OF_TEXT.encode()


def make(folder: Path, texts: list[str], length: int) -> Dataset:
    """One shard for every two texts, packed to `length` and drawn for two epochs."""
    rows = [
        {"doc_id": f"d{n}", "category": "code", "split": "train", "use": "train", "text": text, "language": "python"}
        for n, text in enumerate(texts)
    ]
    shards = {}
    for first in range(0, len(rows), 2):
        samples = FileBuilder().render(table_of(rows[first : first + 2], document_schema(FileBuilder.needs)))
        with ShardWriter(Folder(folder), f"s{first}", TOKENIZER.vocab_size) as shard:
            shard.write(samples, TOKENIZER.encode(samples["segments"]))
            shards[f"s{first}"] = shard.finish()
    packed = pack(Folder(folder), shards, "p", category="file", split="train", length=length)
    stock = Stock(0, "file", sequence_tokens(Folder(folder), "p"))
    order = draw([stock], {"file": 1}, tokens=2 * packed.tokens, seed=1).order
    write_dataset(
        Folder(folder), "m", tokenizer=TOKENIZER, length=length, shards=shards, packings=[packed], order=order
    )
    return Dataset.open(folder)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(max_size=40), min_size=1, max_size=6), length=st.sampled_from([3, 16, 500]))
def test_every_text_comes_back_once_an_epoch(tmp_path_factory, texts: list[str], length: int):
    dataset = make(tmp_path_factory.mktemp("data"), texts, length)
    assert sorted(dataset.order["sequence"].tolist()) == sorted([*range(dataset.packings[0].num_sequences)] * 2)
    pieces: dict[str, list[tuple[int, bytes]]] = {}
    for index in range(dataset.packings[0].num_sequences):
        sequence = dataset.sequence(0, index)
        assert len(sequence.tokens) <= length
        assert sequence.loss.all()
        starts = dataset.packings[0].pieces["start"][slice(*dataset.packings[0].sequences[index : index + 2])]
        for name, start, first, end in zip(
            sequence.samples, starts, sequence.bounds, sequence.bounds[1:], strict=False
        ):
            pieces.setdefault(name, []).append((int(start), TOKENIZER.decode(sequence.tokens[first:end])))
    found = {name: b"".join(data for _, data in sorted(parts)) for name, parts in pieces.items()}
    wanted = {digest("file", "file", f"d{n}"): text.encode() + ENDED for n, text in enumerate(texts)}
    assert found == wanted


def test_token_bytes_count_the_bytes_of_the_texts(tmp_path: Path):
    texts = ["def f(x):\n", "naïve", ""]
    dataset = make(tmp_path, texts, 500)
    tokens = dataset.sequence(0, 0).tokens
    assert dataset.token_bytes[tokens].sum() == sum(len(text.encode()) for text in texts)
    assert (tokens == dataset.end_of_text).sum() == 3
