"""Texts that dedup of every kind must bear: nothing, almost nothing, and ten megabytes of one line."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from loopdata import schema
from loopdata.dedup.exact import ExactConfig, ExactDedup
from loopdata.dedup.near import NearConfig, NearDedup
from loopdata.dedup.repositories import RepoDedup
from loopdata.stage import CorpusStage
from tests.dedup.drive import document, drive
from tests.pipelines.command import call

LINE = "the same line over and over again\n"
LONG = LINE * (10_000_000 // len(LINE))
STAGES: dict[str, CorpusStage] = {
    "exact": ExactDedup(),
    "tokens": ExactDedup(ExactConfig(by="tokens")),
    "near": NearDedup(NearConfig(boilerplate=1)),
    "masked": NearDedup(NearConfig(grams="masked_identifiers")),
    "repositories": RepoDedup(),
}
TEXTS = {
    "nothing": "",
    "white space": " \n\t\n",
    "a letter": "a",
    "no words": "{}();\n",
    "NUL": "\0" * 1_000,
    "open comment": "/* " + "never closed " * 1_000,
    "open quotes": '"""' + "x\n" * 5_000,
    "only marks": "#" * 50_000,
    "no line end": "# " + "word " * 50_000,
    "one word": "x" * 1_000_000,
    "ten megabytes": LONG,
    "ten megabytes of comment": "# " + LONG.replace("\n", "\n# "),
}


def row(doc_id: str, text: str) -> dict[str, Any]:
    return document(doc_id, text, language="Python", text_id=schema.text_id(text))


@pytest.mark.parametrize("kind", STAGES)
def test_every_kind_bears_every_text_alone_and_twice(kind: str) -> None:
    rows = [row(f"{name}-{copy}", text) for name, text in TEXTS.items() for copy in "ab"]
    started = time.monotonic()
    kept, fates = drive(STAGES[kind], {"u": rows})
    assert time.monotonic() - started < 120
    assert len(kept) + len(fates) == len(rows)
    assert {f"{name}-a" for name in TEXTS} <= kept.keys() or kind in ("near", "masked", "tokens")
    if kind in ("exact", "repositories"):
        assert sorted(fates) == sorted(f"{name}-b" for name in TEXTS)


def test_ten_megabytes_in_a_row_and_an_empty_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"text": text} for text in (LONG, LONG + "more", "", None, "a")]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ("dedup", str(tmp_path / "t.jsonl"), "--out", str(tmp_path / "out"), "--runner", "inline", "--json")
    said = call(capsys, *words)
    assert said.code == 0, said.err
    kept = [json.loads(line)["text"] for line in (tmp_path / "out/t.jsonl").read_text().splitlines()]
    assert kept == [LONG, "", None, "a"]
