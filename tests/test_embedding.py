"""Embedders: rows of unit length that depend on nothing but their text; and the job that asks an endpoint."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest

from loopdata import embedding
from loopdata.embedding import FEATURES, BuiltIn, BuiltInConfig, Static, Table, Texts, ask, features, table_of
from loopdata.errors import ConfigError, SourceError


def texts(*values: str, language: str | None = None) -> Texts:
    return Texts([value.encode() for value in values], [language] * len(values), [None] * len(values))


def built_in() -> BuiltIn:
    return BuiltIn(BuiltInConfig(dimensions=64), np.zeros(FEATURES, np.int64), 10)


def test_names_are_cut_into_their_words_and_comments_do_not_count() -> None:
    plain = features(b"readFile(max_bytes)", None)
    assert features(b"read file max bytes ( )", None).tolist() == plain.tolist()
    assert len(plain) == 6
    code = features(b"x = readFile(1)  # what is read here\n", "Python")
    assert code.tolist() == features(b"x = readFile(1)\n", "Python").tolist()


def test_what_is_remembered_is_short_whatever_the_texts_are() -> None:
    known = embedding._remembered.cache_info().currsize
    found = features("zwölf ".encode() * 500 + b"a_long_name_" * 400, None)
    assert found.tolist() == features("a long name _ zw ö lf".encode(), None).tolist()
    assert embedding._remembered.cache_info().currsize <= known + 8


def test_rows_have_unit_length_and_do_not_depend_on_their_batch() -> None:
    one, other, none = built_in().embed(texts("alpha beta gamma", "delta epsilon", ""))
    assert np.linalg.norm(one) == pytest.approx(1.0, abs=1e-6)
    assert not none.any()
    assert built_in().embed(texts("delta epsilon"))[0].tolist() == other.tolist()
    assert abs(float(one @ other)) < 0.5


def test_what_every_document_has_weighs_nothing() -> None:
    frequencies = np.zeros(FEATURES, np.int64)
    frequencies[features(b"common", None)] = 10
    embedder = BuiltIn(BuiltInConfig(), frequencies, 10)
    left, right = embedder.embed(texts("common alpha", "alpha"))
    assert left.tolist() == right.tolist()
    assert not embedder.embed(texts("common"))[0].any()


def test_a_local_folder_gives_the_mean_of_its_token_vectors(tmp_path: Path) -> None:
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1, "b": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    save_file({"embeddings": np.array([[0, 0], [3, 0], [0, 4]], np.float32)}, tmp_path / "model.safetensors")
    found = Static(Static.resources(str(tmp_path))).embed(texts("a", "a b", "nothing known"))
    assert found.tolist() == [[1.0, 0.0], pytest.approx([0.6, 0.8]), [0.0, 0.0]]
    save_file({"x": np.zeros(3, np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(ConfigError, match="holds no single matrix of token vectors"):
        Static(Static.resources(str(tmp_path)))


class Endpoint(BaseHTTPRequestHandler):
    """Gives [length, 1] for each text, in the wrong order; fails as its path says."""

    asked: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked.append(body | {"key": self.headers.get("Authorization")})
        data = [{"index": n, "embedding": [len(text), 1]} for n, text in enumerate(body["input"])]
        if self.path.startswith("/short"):
            data = data[:-1]
        self.send_response(500 if self.path.startswith("/broken") else 200)
        self.end_headers()
        self.wfile.write(b"{" if self.path.startswith("/words") else json.dumps({"data": data[::-1]}).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_answers_of_an_endpoint_become_a_table(url: str, tmp_path: Path) -> None:
    Endpoint.asked.clear()
    rows = [("t3", "ccc"), ("t1", "a"), ("t2", "bb"), ("t1", "a")]
    assert ask(rows, f"{url}/v1", "some-model", str(tmp_path), key="secret", batch=2) == 3
    assert [(body["model"], body["input"], body["key"]) for body in Endpoint.asked] == [
        ("some-model", ["a", "bb"], "Bearer secret"),
        ("some-model", ["ccc"], "Bearer secret"),
    ]
    assert pq.read_table(tmp_path / "vectors.parquet").to_pydict() == {
        "text_id": ["t1", "t2", "t3"],
        "vector": [[1, 1], [2, 1], [3, 1]],
    }
    found = table_of(str(tmp_path)).load(Table).embed(Texts([b"", b""], [None, None], ["t3", "t1"]))
    assert found.tolist() == [pytest.approx([0.9486833, 0.3162278]), pytest.approx([0.7071068, 0.7071068])]
    assert "secret" not in (tmp_path / "vectors.json").read_text()


@pytest.mark.parametrize(
    ("place", "message"),
    [("broken", "gave no vectors: 500"), ("words", "gave no vectors"), ("short", "gave 0 vectors for 1 texts")],
)
def test_an_endpoint_that_gives_something_else_is_named(url: str, tmp_path: Path, place: str, message: str) -> None:
    with pytest.raises(SourceError, match=f"/{place} {message}"):
        ask([("t1", "a")], f"{url}/{place}", "some-model", str(tmp_path))
    assert not (tmp_path / "vectors.json").exists()


def test_an_endpoint_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"http://127\.0\.0\.1:9 gave no vectors"):
        ask([("t1", "a")], "http://127.0.0.1:9", "some-model", str(tmp_path))
