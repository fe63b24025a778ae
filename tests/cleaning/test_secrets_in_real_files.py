"""Real files with secrets in their strings and comments: what parsed before still parses, and the secrets are gone."""

import random
import sysconfig
from functools import cache
from itertools import islice
from pathlib import Path

import pyarrow as pa
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tree_sitter import Node

from loopdata import schema
from loopdata.cleaning.secrets import Secrets
from loopdata.syntax.damage import damage
from loopdata.syntax.grammars import GRAMMARS
from loopdata.syntax.language_names import of_path
from loopdata.syntax.parse import Tree, parse_anew
from tests.cleaning.made_keys import RECIPES, make, pem

EACH = 12  # files a language
MADE = (*RECIPES, "private_key", "email", "ip_address")


@cache
def real_files() -> list[tuple[str, bytes]]:
    """Language and text of small files of the standard library and installed packages in which nothing is found."""
    found: dict[str, list[bytes]] = {}
    every = sorted(path for root in ("stdlib", "purelib") for path in Path(sysconfig.get_paths()[root]).rglob("*.*"))
    random.Random(5).shuffle(every)
    for path in islice((path for path in every if of_path(path.name) in GRAMMARS), 2_000):
        texts = found.setdefault(of_path(path.name) or "", [])
        if len(texts) < EACH and path.is_file() and 200 < path.stat().st_size < 20_000:
            text = path.read_bytes()
            if is_utf8(text) and stumbles(text, of_path(path.name) or "") == 0 and not Secrets().find(text):
                texts.append(text)
    return [(language, text) for language, texts in sorted(found.items()) for text in texts]


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def stumbles(text: bytes, language: str) -> int:
    tree = parse_anew(text, language)
    return damage(tree).errors + damage(tree).missing if isinstance(tree, Tree) else 0


def places(text: bytes, language: str) -> list[int]:
    """Bytes in the middle of a string or a comment, and of the text of markup."""
    tree = parse_anew(text, language)
    assert isinstance(tree, Tree)
    pending: list[Node] = [tree.root]
    found = []
    while pending:
        node = pending.pop()
        if "comment" in node.type or "string" in node.type or node.type in ("text", "paragraph", "plain_scalar"):
            found.append((node.start_byte + node.end_byte) // 2)
        else:
            pending.extend(node.children)
    return sorted(at for at in found if text[at - 1 : at].isspace() or text[at : at + 1].isspace())


def made(kind: str, rng: random.Random) -> str:
    if kind == "private_key":
        return pem(rng, newline="\\n")
    return {"email": "jane.roe@uni-mainz.de", "ip_address": "52.31.118.7"}.get(kind) or make(RECIPES[kind], rng)


@settings(deadline=None, max_examples=80, suppress_health_check=list(HealthCheck))
@given(st.data(), st.sampled_from(MADE), st.integers(0, 1_000))
def test_a_file_that_parsed_still_parses_when_its_secret_is_gone(data: st.DataObject, kind: str, seed: int) -> None:
    language, text = data.draw(st.sampled_from(real_files()))
    sites = places(text, language)
    assume(sites)
    at = data.draw(st.sampled_from(sites))
    value = made(kind, random.Random(seed)).encode()
    planted = text[:at] + b" " + value + b" " + text[at:]
    assume(stumbles(planted, language) == 0)
    row = {"doc_id": "0", "text": planted.decode(), "language": language, "text_id": "", "num_bytes": len(planted)}
    table = schema.table_of([row], schema.document_schema({name: schema.DOCUMENT[name] for name in Secrets.needs}))
    outcome = Secrets().apply(table)
    new = outcome.kept["text"].cast(pa.large_binary())[0].as_py()
    assert value not in new
    assert stumbles(new, language) == 0
    assert outcome.kept["num_bytes"].to_pylist() == [len(new)]
    assert {fate.fate for fate in outcome.fates} == {"edited"}


def test_the_files_are_of_several_languages() -> None:
    assert len({language for language, _ in real_files()}) >= 4 and len(real_files()) >= 20
