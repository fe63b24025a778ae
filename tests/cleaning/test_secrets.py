"""The `secrets` stage: what is replaced, what is said of it, and what is never said."""

import random
import traceback
from typing import Any

import pyarrow as pa
import pytest

from loopdata import schema
from loopdata.cleaning import secrets
from loopdata.cleaning.secrets import Secrets, SecretsConfig
from loopdata.config import parse
from loopdata.engine.isolation import apply_row_local
from loopdata.errors import ConfigError
from loopdata.stage import Fate, Outcome
from tests.cleaning.made_keys import RECIPES, draw, make, password, pem

TOKEN = make(RECIPES["github_token"], random.Random(1))
PASSWORD = password(random.Random(2))
EMAIL = "jane.roe@uni-mainz.de"
ADDRESS = "52.31.118.7"


def documents(*rows: dict[str, Any]) -> pa.Table:
    columns = {name: schema.DOCUMENT[name] for name in ("category", *Secrets.needs)}
    given = [{"doc_id": str(n), "category": "code", **row} for n, row in enumerate(rows)]
    for row in given:
        row |= {"text_id": schema.text_id(row["text"]), "num_bytes": len(row["text"].encode())}
    return schema.table_of(given, schema.document_schema(columns))


def clean(*rows: dict[str, Any], **config: object) -> Outcome:
    return Secrets(parse(SecretsConfig, config, "secrets")).apply(documents(*rows))


def text_of(outcome: Outcome) -> str:
    (text,) = outcome.kept["text"].to_pylist()
    return str(text)


def test_each_kind_gives_way_to_its_placeholder() -> None:
    text = f"key {TOKEN}\npassword = '{PASSWORD}'\nby {EMAIL}\nhost {ADDRESS}\n"
    assert text_of(clean({"text": text})) == "key <KEY>\npassword = '<PASSWORD>'\nby <EMAIL>\nhost <IP_ADDRESS>\n"


def test_text_id_and_size_are_those_of_the_new_text() -> None:
    outcome = clean({"text": "a"}, {"text": f"é {TOKEN}"}, {"text": "b"})
    new = "é <KEY>"
    assert outcome.kept["text"].to_pylist() == ["a", new, "b"]
    assert outcome.kept["text_id"].to_pylist() == [schema.text_id(text) for text in ("a", new, "b")]
    assert outcome.kept["num_bytes"].to_pylist() == [1, 8, 1]
    assert outcome.kept.schema == documents({"text": ""}).schema


def test_a_fate_says_the_rule_the_count_and_the_byte_offsets() -> None:
    outcome = clean({"text": f"é {EMAIL} {TOKEN} {EMAIL}"})
    assert outcome.fates == [
        Fate("0", "secrets", "edited", "email", 2, details=f"at 3 {3 + len(EMAIL) + 1 + len(TOKEN) + 1}"),
        Fate("0", "secrets", "edited", "github_token", 1, details=f"at {3 + len(EMAIL) + 1}"),
    ]


def test_nothing_found_leaves_the_table_as_it_is() -> None:
    table = documents({"text": "x = 1"}, {"text": ""})
    outcome = Secrets().apply(table)
    assert outcome.kept is table and outcome.fates == []
    assert Secrets().apply(table.slice(0, 0)).kept.num_rows == 0


def test_spans_of_a_conversation_move_with_its_text() -> None:
    question, answer = f"ä, use {TOKEN} ", f"sent to {EMAIL}"
    cut = len(question.encode())
    parts = [
        {"role": "user", "start": 0, "end": cut, "loss": False},
        {"role": "assistant", "start": cut, "end": cut + len(answer), "loss": True},
    ]
    outcome = clean({"text": question + answer, "parts": parts, "category": "qa"}, {"text": TOKEN})
    (moved, none), new = outcome.kept["parts"].to_pylist(), outcome.kept["text"][0].as_py().encode()
    assert [(part["role"], new[part["start"] : part["end"]].decode(), part["loss"]) for part in moved] == [
        ("user", "ä, use <KEY> ", False),
        ("assistant", "sent to <EMAIL>", True),
    ]
    assert none is None


def test_what_overlaps_gives_way_to_one_placeholder_by_the_first_rule() -> None:
    outcome = clean({"text": f"password = '{TOKEN}'"})
    assert text_of(outcome) == "password = '<KEY>'"
    assert [fate.rule for fate in outcome.fates] == ["github_token"]


def test_the_password_of_a_url_is_no_part_of_an_address() -> None:
    value = draw("a", 14, random.Random(4))
    assert text_of(clean({"text": f"https://bot:{value}@uni-mainz.de/x"})) == "https://bot:<PASSWORD>@uni-mainz.de/x"


def test_kinds_and_rules_can_be_left_alone() -> None:
    text = f"{TOKEN} {EMAIL} {ADDRESS}"
    assert text_of(clean({"text": text}, kinds=["email"])) == f"{TOKEN} <EMAIL> {ADDRESS}"
    assert text_of(clean({"text": text}, leave=["email", "ipv4_address"])) == f"<KEY> {EMAIL} {ADDRESS}"


def test_exempt_addresses_stay() -> None:
    assert text_of(clean({"text": f"{EMAIL} a1@gnu.org"}, exempt_emails=["Uni-Mainz.de"])) == f"{EMAIL} <EMAIL>"
    assert text_of(clean({"text": "git@github.com noreply@github.com"})) == "git@github.com noreply@github.com"


def test_a_rule_that_does_not_exist_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="there is no rule 'github_tokn'; did you mean 'github_token'"):
        parse(SecretsConfig, {"leave": ["github_tokn"]}, "secrets")


@pytest.mark.parametrize(("limit", "kept"), [(2, True), (1, False)])
def test_documents_with_too_many_secrets_are_dropped(limit: int, kept: bool) -> None:
    outcome = clean({"text": f"{TOKEN} password='{PASSWORD}' {EMAIL}"}, {"text": "x"}, max_secrets=limit)
    ends = [(fate.subject, fate.rule, fate.value, fate.threshold) for fate in outcome.fates if fate.fate == "dropped"]
    assert ends == ([] if kept else [("0", "too_many_secrets", 2, 1)])
    assert outcome.kept["doc_id"].to_pylist() == (["0", "1"] if kept else ["1"])


@pytest.mark.parametrize(("limit", "kept"), [(2, True), (1, False)])
def test_documents_with_too_many_addresses_are_dropped(limit: int, kept: bool) -> None:
    outcome = clean({"text": f"{TOKEN} {EMAIL} {ADDRESS}"}, max_addresses=limit)
    assert outcome.kept.num_rows == kept


def test_lock_files_are_searched_for_shaped_keys_only() -> None:
    text = f'token = "{draw("h", 40, random.Random(3))}"\n'
    assert text_of(clean({"text": text, "path": "a/poetry.lock"})) == text
    assert text_of(clean({"text": text, "path": "a/poetry.toml"})) == 'token = "<KEY>"\n'
    assert text_of(clean({"text": TOKEN, "path": "Cargo.lock"})) == "<KEY>"


def test_markup_spells_the_brackets_of_a_placeholder() -> None:
    text = f"<p>{EMAIL}</p>"
    assert text_of(clean({"text": text, "language": "HTML"})) == "<p>&lt;EMAIL&gt;</p>"
    assert text_of(clean({"text": text, "language": "XML"})) == "<p>&lt;EMAIL&gt;</p>"
    assert text_of(clean({"text": text, "language": "Markdown"})) == "<p><EMAIL></p>"


def test_where_brackets_break_the_syntax_the_bare_word_stands() -> None:
    text = f"export TOKEN={TOKEN}\nping {ADDRESS}\n"
    assert text_of(clean({"text": text, "language": "Shell"})) == "export TOKEN=KEY\nping IP_ADDRESS\n"
    assert text_of(clean({"text": f"x = <p>{EMAIL}</p>;", "language": "JavaScript"})) == "x = <p>EMAIL</p>;"
    assert text_of(clean({"text": f"x = '{EMAIL}';", "language": "JavaScript"})) == "x = '<EMAIL>';"


def test_a_private_key_in_a_string_of_several_lines_leaves_a_string() -> None:
    block = pem(random.Random(1), newline='\\n" +\n  "')
    text = f'const key = "{block}\\n";\n'
    assert text_of(clean({"text": text, "language": "JavaScript"})) == 'const key = "<KEY>\\n";\n'


def test_nothing_that_was_found_is_in_any_fate() -> None:
    text = f"{TOKEN} password='{PASSWORD}' {EMAIL} {ADDRESS}"
    outcome = clean({"text": text}, {"text": text}, max_secrets=2)
    said = repr(outcome.fates) + repr(outcome.kept.to_pylist())
    assert not any(value in said for value in (TOKEN, PASSWORD, EMAIL, ADDRESS))


def test_a_failure_says_where_but_never_what(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(text: bytes) -> None:
        raise ValueError(f"cannot read {text!r}")

    monkeypatch.setattr(secrets, "find_service_keys", broken)
    (outcome,) = apply_row_local("secrets", Secrets().apply, documents({"text": TOKEN}))
    (fate,) = outcome.fates
    assert (fate.fate, fate.rule) == ("quarantined", "exception")
    assert "SearchError: ValueError in broken, line" in str(fate.details)
    assert TOKEN not in str(fate.details)
    with pytest.raises(secrets.SearchError) as raised:
        Secrets().apply(documents({"text": TOKEN}))
    assert TOKEN not in "".join(traceback.format_exception(raised.value)) and raised.value.__context__ is None
    assert TOKEN not in "".join(capfd.readouterr())
