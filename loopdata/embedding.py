"""Vectors of texts, by one of three embedders, for whoever asks which texts mean the same.

Enters: texts, their languages, and the `text_id` of each. Leaves: a row of unit length a text, or zeros where there is
nothing to embed. `built_in` needs no model: lexer tokens, cut into the words that names are made of, are hashed into
2^15 features, weighted by how few documents have them (Salton and Buckley 1988; fitted on the training split), and
projected by random signs (Johnson and Lindenstrauss; Achlioptas 2003): a projection learned from the corpus takes more
files of one topic for copies (`benchmarks.projections`). `folder` is a local model of static token vectors: the mean
over the tokens of a text. `table` reads vectors that a service gave before: `ask` is the job that asks an
OpenAI-compatible endpoint and writes them. Every sum has a fixed order, so that a row does not depend on its batch.
Limit: a folder holds `tokenizer.json` and `model.safetensors` with one matrix; networks run behind an endpoint.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b, sha256
from itertools import chain
from typing import Annotated, Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from loopdata.compiled import compiled
from loopdata.config import Strict
from loopdata.errors import ConfigError, SourceError
from loopdata.stage import Resource
from loopdata.storage import Folder
from loopdata.syntax.grammars import GRAMMARS
from loopdata.syntax.lexer import COMMENT, tokens
from loopdata.syntax.parse import Tree, parse

FEATURES = 1 << 15
MAX_BYTES = 1 << 20  # of a text that the tokens are taken from
TABLE = pa.schema([("text_id", pa.string()), ("vector", pa.list_(pa.float32()))])
_SHORT = 64  # bytes of a token whose features are remembered
_PART = re.compile(rb"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\sA-Za-z0-9_]+")

Vectors = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]


class Texts(NamedTuple):
    """What an embedder may ask of documents, in one order."""

    texts: Sequence[bytes]
    languages: Sequence[str | None]
    text_ids: Sequence[str | None]


class Embedder(Protocol):
    """Gives a row of unit length, or zeros, for each text."""

    def embed(self, texts: Texts) -> Vectors: ...


class BuiltInConfig(Strict):
    """`dimensions` of the projection."""

    kind: Literal["built_in"] = "built_in"
    dimensions: int = Field(default=256, ge=8, le=4096)


class PlaceConfig(Strict):
    """`path`: the folder of a model, or of a table that `ask` wrote."""

    kind: Literal["folder", "table"]
    path: str


EmbedderConfig = Annotated[BuiltInConfig | PlaceConfig, Field(discriminator="kind")]


def features(text: bytes, language: str | None) -> Numbers:
    """The distinct hashed words of a text's tokens, comments left out, ascending; of the whole text without a tree."""
    text = text[:MAX_BYTES]
    tree = parse(text, language) if language in GRAMMARS else None
    if isinstance(tree, Tree):
        cut = tokens(tree)
        places = zip(cut.starts.tolist(), cut.ends.tolist(), cut.kinds.tolist(), strict=True)
        pieces: Iterable[bytes] = (text[start:end] for start, end, kind in places if kind != COMMENT)
    else:
        pieces = text.split()  # no word goes over white space
    numbers = (_remembered(piece) if len(piece) <= _SHORT else _numbers(piece) for piece in pieces)
    return np.array(sorted(set(chain.from_iterable(numbers))), np.int64)


def _numbers(piece: bytes) -> tuple[int, ...]:
    parts = (part.lower() for part in _PART.findall(piece))
    return tuple(int.from_bytes(blake2b(part, digest_size=8).digest(), "little") % FEATURES for part in parts)


_remembered = lru_cache(maxsize=1 << 16)(_numbers)


class BuiltIn:
    """Hashed features. `frequencies` holds for each how many of `documents` have it."""

    def __init__(self, config: BuiltInConfig, frequencies: Numbers, documents: int) -> None:
        self.weights = np.log((1 + documents) / (1 + frequencies)).astype(np.float64)
        drawn = np.random.Philox(0x656D62).random_raw(FEATURES * config.dimensions // 64 + 1)
        bits = np.unpackbits(drawn.view(np.uint8))[: FEATURES * config.dimensions]
        self.signs = bits.reshape(FEATURES, config.dimensions).astype(np.int8) * 2 - 1

    def embed(self, texts: Texts) -> Vectors:
        return self.project(features(*entry) for entry in zip(texts.texts, texts.languages, strict=True))

    def project(self, rows: Iterable[Numbers]) -> Vectors:
        """Vectors of the distinct features of texts."""
        found = []
        for numbers in rows:
            found.append(np.zeros(self.signs.shape[1], np.float64))
            _project(numbers, self.weights, self.signs, found[-1])
        return _unit(np.array(found).reshape(-1, self.signs.shape[1]))


class Static:
    """The mean of static token vectors of a local model."""

    FILES = ("tokenizer.json", "model.safetensors")

    @classmethod
    def resources(cls, path: str) -> dict[str, Resource]:
        """Its files by digest. ConfigError where one is missing."""
        folder = Folder(path)
        for name in cls.FILES:
            if not folder.exists(name):
                raise ConfigError(f"{path} holds no model: {name} is missing", "see loopdata/embedding.py")
        return {name: Resource(folder, name, sha256(folder.read(name)).hexdigest()) for name in cls.FILES}

    def __init__(self, files: dict[str, Resource]) -> None:
        """ConfigError where the file of vectors holds something else."""
        from safetensors.numpy import load
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(files["tokenizer.json"].load(bytes).decode())
        tensors = files["model.safetensors"].load(load)
        if len(tensors) != 1 or next(iter(tensors.values())).ndim != 2:
            raise ConfigError("model.safetensors holds no single matrix of token vectors", "see loopdata/embedding.py")
        self._matrix = next(iter(tensors.values())).astype(np.float64)

    def embed(self, texts: Texts) -> Vectors:
        found = np.zeros((len(texts.texts), self._matrix.shape[1]), np.float64)
        for row, text in enumerate(texts.texts):
            read = text[:MAX_BYTES].decode("utf-8", "replace")
            ids = np.array(self._tokenizer.encode(read, add_special_tokens=False).ids, np.int64)
            _add_rows(ids, self._matrix, found[row])
        return _unit(found)


class Table:
    """Vectors of a table by `text_id`; SourceError for a text that is not in it."""

    def __init__(self, raw: bytes) -> None:
        table = pq.read_table(pa.BufferReader(raw), use_threads=False)
        self._rows = {text_id: row for row, text_id in enumerate(table["text_id"].to_pylist())}
        self._vectors = np.array(table["vector"].to_pylist(), np.float64).reshape(len(self._rows), -1)

    def embed(self, texts: Texts) -> Vectors:
        missing = [text_id for text_id in texts.text_ids if text_id not in self._rows]
        if missing:
            raise SourceError(f"the table has no vector of {missing[0]} and {len(missing) - 1} more", "ask again")
        return _unit(self._vectors[[self._rows[text_id] for text_id in texts.text_ids]])


def table_of(path: str) -> Resource:
    """The table that `ask` wrote below `path`. ConfigError where there is none."""
    folder = Folder(path)
    try:
        about = json.loads(folder.read("vectors.json"))
        return Resource(folder, "vectors.parquet", str(about["sha256"]))
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise ConfigError(f"{path} holds no table of vectors", "make one by loopdata.embedding.ask") from error


def ask(rows: Iterable[tuple[str, str]], url: str, model: str, out: str, key: str = "", batch: int = 64) -> int:
    """Ask an OpenAI-compatible endpoint for the vectors of (text_id, text) and write them below `out`; a job, no stage.

    Returns how many there are. SourceError for an answer that is not one vector a text.
    """
    folder, found = Folder(out), []
    for texts in _batches(sorted(set(rows)), batch):
        vectors = _answer(url, model, key, [text for _, text in texts])
        found += [{"text_id": text_id, "vector": vector} for (text_id, _), vector in zip(texts, vectors, strict=True)]
    with folder.create("vectors.parquet") as stream, pq.ParquetWriter(pa.PythonFile(stream, mode="w"), TABLE) as writer:
        writer.write_table(pa.Table.from_pylist(found, schema=TABLE))
        writer.close()
    about = {"model": model, "url": url, "rows": len(found), "sha256": stream.hexdigest()}
    folder.write_atomic("vectors.json", json.dumps(about, indent=2).encode())
    return len(found)


def _batches(rows: list[tuple[str, str]], size: int) -> Iterator[list[tuple[str, str]]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _answer(url: str, model: str, key: str, texts: list[str]) -> list[list[float]]:
    import requests

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        said = requests.post(
            f"{url.rstrip('/')}/embeddings", json={"model": model, "input": texts}, headers=headers, timeout=120
        )
        said.raise_for_status()
        entries = sorted(said.json()["data"], key=lambda entry: entry["index"])
        vectors = [[float(value) for value in entry["embedding"]] for entry in entries]
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{url} gave no vectors: {' '.join(str(error).split())[:200]}", "ask again") from error
    if len(vectors) != len(texts) or len({len(vector) for vector in vectors}) > 1:
        raise SourceError(
            f"{url} gave {len(vectors)} vectors for {len(texts)} texts, or of several lengths", "ask again"
        )
    return vectors


def _unit(found: npt.NDArray[np.float64]) -> Vectors:
    """Rows of length 1; a row of zeros stays."""
    _normalise(found)
    return found.astype(np.float32)


@compiled
def _project(numbers: Any, weights: Any, signs: Any, out: Any) -> None:
    for at in range(len(numbers)):
        for place in range(len(out)):
            out[place] += weights[numbers[at]] * signs[numbers[at], place]


@compiled
def _add_rows(ids: Any, matrix: Any, out: Any) -> None:
    for number in ids:
        for place in range(len(out)):
            out[place] += matrix[number, place]


@compiled
def _normalise(found: Any) -> None:
    for row in range(len(found)):
        total = 0.0
        for place in range(found.shape[1]):
            total += found[row, place] * found[row, place]
        if total > 0:
            for place in range(found.shape[1]):
                found[row, place] /= np.sqrt(total)
