"""Data files: what is data and what is configuration, and which files stay."""

import itertools
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest

from loopdata import schema
from loopdata.cleaning.data_files import DataFiles, DataFilesConfig, first_records
from loopdata.cleaning.data_kinds import is_data, is_lines, shape
from loopdata.config import parse
from loopdata.errors import ConfigError
from loopdata.stage import Fate, Outcome, unit_interval

COLUMNS = ("doc_id", "text_id", "category", "text", "repo", "path", "language", "num_bytes")
ALL = {"keep_share": {"CSV": 1.0, "JSON": 1.0, "XML": 1.0, "YAML": 1.0, "TSV": 1.0, "SQL": 1.0, "SVG": 1.0}}
OFF: dict[str, Any] = {"max_bytes": None, "max_records": None, "same_shape": None, "max_per_repo": None}


def apply(files: dict[str, str], language: str = "JSON", repo: str | None = "r", **config: Any) -> Outcome:
    rows = [
        {"doc_id": path, "text_id": schema.text_id(text), "category": "code", "text": text, "repo": repo, "path": path,
         "language": language, "num_bytes": len(text.encode())}
        for path, text in files.items()
    ]  # fmt: skip
    table = schema.table_of(rows, schema.document_schema({name: schema.DOCUMENT[name] for name in COLUMNS}))
    return DataFiles(parse(DataFilesConfig, {**OFF, **ALL, **config}, "data_files"), seed=3).apply(table)


def kept(outcome: Outcome) -> list[str]:
    return list(outcome.kept["path"].to_pylist())


def draws(*doc_ids: str) -> list[str]:
    """Ids by their draws, the lowest first."""
    return sorted(doc_ids, key=lambda doc_id: unit_interval(3, "data_files", doc_id))


@pytest.mark.parametrize(
    ("path", "language", "text"),
    [
        ("a.csv", "CSV", "a,b\n"),
        ("icons/a.svg", "SVG", "<svg/>"),
        ("locale/de/django.po", "Gettext Catalog", "msgid"),
        ("records/1.json", "JSON", '{"id": 1}'),
        ("app.js.map", "JSON", "{}"),
        ("map.geojson", "JSON", '{"type": "FeatureCollection"}'),
        ("package-lock.json", "JSON", "{}"),
        ("yarn.lock", "YAML", "a:\n"),
        ("config/data/1.json", "JSON", "{}"),  # the nearer folder speaks
        (".github/data/people.yml", "YAML", "- a\n"),
        ("people.yml", "YAML", "- name: x\n" * 200),
        ("de.yml", "YAML", "".join(f"key_{n}: x\n" for n in range(300))),
        ("feed.xml", "XML", '<?xml version="1.0"?>\n<!-- x -->\n<feed><entry/></feed>'),
        ("feed.xml", "XML", '<feed xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/>'),
        ("dump.sql", "SQL", "CREATE TABLE t (a int);\n" + "INSERT INTO t VALUES (1);\n" * 50),
        ("dump.sql", "SQL", "COPY t FROM stdin;\n" + "1\tx\ty\n" * 50),
        ("dump.sql", "SQL", "INSERT INTO t VALUES\n" + "(1, 'x'),\n" * 50),
    ],
)
def test_data_are_told_by_name_folder_and_content(path: str, language: str, text: str) -> None:
    assert is_data(path, language, text)


@pytest.mark.parametrize(
    ("path", "language", "text"),
    [
        ("package.json", "JSON", "{}"),
        ("tsconfig.build.json", "JSON", "{}"),
        ("data/package.json", "JSON", "{}"),
        (".eslintrc.json", "JSON", "{}"),
        ("jest.config.json", "JSON", "{}"),
        ("appsettings.Development.json", "JSON", "{}"),
        (".vscode/anything.json", "JSON", "{}"),
        ("data/config/1.json", "JSON", "{}"),
        ("api.json", "JSON", '{"info": {"title": "x"}, "openapi": "3.0.0"}'),
        ("person.json", "JSON", '{\n  "$schema": "https://json-schema.org/draft-07/schema"}'),
        ("person.json", "JSON", '{"title": "Person", "type" : "object"}'),
        ("docker-compose.yml", "YAML", "services:\n  web:\n    image: x\n"),
        (".github/workflows/ci.yml", "YAML", "- x\n" * 500),
        ("people.yml", "YAML", "- name: x\n" * 199),
        ("de.yml", "YAML", "".join(f"key_{n}: x\n" for n in range(299))),
        ("pom.xml", "XML", "<x/>"),
        ("App.csproj", "XML", "<x/>"),
        ("topic.aml", "XML", "<topic/>"),
        ("sitemap.xml", "XML", "<urlset>{% for url in urls %}<url/>{% endfor %}</urlset>"),
        ("a.avsc", "JSON", "{}"),
        ("AndroidManifest.xml", "XML", "<x/>"),
        ("res/layout/a.xml", "XML", '<LinearLayout xmlns:android="http://x"/>'),
        ("deep.xml", "XML", '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"/>'),
        ("schema.sql", "SQL", "CREATE TABLE t (a int);\n" * 50 + "INSERT INTO t VALUES (1);\n" * 40),
        ("seed.sql", "SQL", "INSERT INTO t VALUES (1);\n" * 49),
        ("a.py", "Python", "x = 1"),
    ],
)
def test_configuration_and_code_are_no_data(path: str, language: str, text: str) -> None:
    assert not is_data(path, language, text)
    assert kept(apply({path: text}, language, max_bytes=1, keep_share={"JSON": 0.0, "YAML": 0.0})) == [path]


@pytest.mark.parametrize(
    ("language", "one", "other", "same"),
    [
        ("JSON", '{"a": 1, "b": 2}', '{"b": [], "a": {}}', True),
        ("JSON", '{"a": 1}', '{"a": 1, "b": 2}', False),
        ("JSON", '[{"a": 1}]', '[{"a": 2}, {"b": 1}]', True),
        ("JSON", '[{"a": 1}]', '{"a": 1}', False),
        ("JSON", '{"a": 1}\n{"a": 2}\n', '{"a": 3}\n', True),  # lines of JSON
        ("JSON", "[" * 100_000, "{", True),  # both broken
        ("YAML", "a: 1\nb:\n  c: 2\n", "b: x\na: y\n", True),
        ("YAML", "a: 1\n", "c: 1\n", False),
        ("XML", "<a><b/><b/></a>", '<a x="y"><b>z</b></a>', True),
        ("XML", "<a><b/></a>", "<a><c/></a>", False),
        ("CSV", "a,b\n1,2\n", "a,b\n3,4\n", True),
        ("CSV", "a,b\n", "a,c\n", False),
        ("SQL", "INSERT INTO t VALUES (1);", "insert into t values (2);", True),
    ],
)
def test_files_with_the_same_keys_tags_or_columns_have_one_shape(
    language: str, one: str, other: str, same: bool
) -> None:
    assert (shape(language, one) == shape(language, other)) is same


def test_shapes_of_two_languages_differ() -> None:
    assert shape("CSV", "a") != shape("TSV", "a")


@pytest.mark.parametrize(("limit", "stays"), [(8, True), (7, False)])
def test_what_is_too_large_goes(limit: int, stays: bool) -> None:
    outcome = apply({"a.json": '"é678"'[:8]}, max_bytes=limit - 1 if not stays else limit)
    found = [] if stays else [Fate("a.json", "data_files", "dropped", "too_large", 7, 6, details="JSON")]
    assert outcome.fates == found


def test_a_share_by_language_stays_by_its_draws() -> None:
    names = [f"{n}.json" for n in range(400)]
    outcome = apply(dict.fromkeys(names, "1"), keep_share={"JSON": 0.25})
    assert kept(outcome) == [name for name in names if unit_interval(3, "data_files", name) < 0.25]
    fate = outcome.fates[0]
    assert (fate.rule, fate.threshold, fate.details) == ("keep_share", 0.25, "JSON")
    assert fate.value == unit_interval(3, "data_files", fate.subject)
    larger = apply(dict.fromkeys(names, "1"), keep_share={"JSON": 0.5})
    assert set(kept(outcome)) < set(kept(larger))


def test_of_one_shape_in_a_folder_the_lowest_draws_stay() -> None:
    names = [f"d/{n}.json" for n in range(5)]
    outcome = apply({**dict.fromkeys(names, '{"a": 1}'), "d/x.json": '{"b": 1}', "e/0.json": '{"a": 2}'}, same_shape=2)
    first = draws(*names)
    assert sorted(kept(outcome)) == sorted([*first[:2], "d/x.json", "e/0.json"])
    assert [(fate.rule, fate.value, fate.threshold) for fate in outcome.fates] == [("same_shape", 3, 2)] * 3


def test_of_one_shape_and_name_in_a_repository_the_lowest_draws_stay() -> None:
    names = [f"{n}/meta.json" for n in range(5)]
    outcome = apply(dict.fromkeys(names, '{"a": 1}'), same_shape=2)
    assert sorted(kept(outcome)) == sorted(draws(*names)[:2])


def test_of_a_repository_a_number_stays() -> None:
    names = [f"{n}.csv" for n in range(5)]
    outcome = apply({name: name for name in names}, "CSV", max_per_repo=3)
    assert sorted(kept(outcome)) == sorted(draws(*names)[:3])
    assert [(fate.rule, fate.value, fate.threshold) for fate in outcome.fates] == [("max_per_repo", 4, 3)] * 2


def test_documents_without_a_repository_are_not_counted_together() -> None:
    files = {f"d/{n}.json": '{"a": 1}' for n in range(5)}
    assert len(kept(apply(files, repo=None, same_shape=1, max_per_repo=1))) == 5


def test_the_order_of_files_changes_nothing() -> None:
    files = {f"d/{n}.json": '{"a": 1}' for n in range(4)}
    results = {tuple(sorted(kept(apply(dict(order), same_shape=2)))) for order in itertools.permutations(files.items())}
    assert len(results) == 1


def test_a_table_is_cut_to_its_first_records() -> None:
    text = "a,b\n" + "1,é\n" * 10
    outcome = apply({"a.csv": text, "b.csv": "a,b\n" * 3}, "CSV", max_records=3)
    cut = "a,b\n1,é\n1,é\n"
    rows = {row["path"]: row for row in outcome.kept.to_pylist()}
    assert (rows["a.csv"]["text"], rows["a.csv"]["num_bytes"]) == (cut, 14)
    assert rows["a.csv"]["text_id"] == schema.text_id(cut)
    assert (rows["b.csv"]["text"], rows["b.csv"]["text_id"]) == ("a,b\n" * 3, schema.text_id("a,b\n" * 3))
    assert outcome.fates == [Fate("a.csv", "data_files", "edited", "table_head", 11, 3, details="CSV")]


def test_size_is_judged_after_the_cut() -> None:
    assert kept(apply({"a.csv": "1,2\n" * 10}, "CSV", max_records=2, max_bytes=8)) == ["a.csv"]


@pytest.mark.parametrize(
    ("text", "count", "head"),
    [
        ("a\nb\nc", 2, "a\nb\n"),
        ("a\nb", 2, "a\nb"),
        ('a\n"b\nc"\nd\n', 2, 'a\n"b\nc"\n'),  # a line end inside quotes
        ('a\n"b\nc\nd\ne\n', 2, 'a\n"b\nc\nd\n'),  # never closed: twice the number at most
        ("", 2, ""),
    ],
)
def test_a_head_ends_with_a_whole_record(text: str, count: int, head: str) -> None:
    assert first_records(text, count, quoted=True) == head


def test_a_quote_in_a_line_of_json_opens_nothing() -> None:
    line = '{"a": "\\""}\n'
    assert first_records(line * 9, 4, quoted=False) == line * 4
    outcome = apply({"a.jsonl": line * 9}, max_records=3)
    assert outcome.kept["text"].to_pylist() == [line * 3]


def test_almost_all_of_a_language_may_go_where_a_sample_of_it_is_kept() -> None:
    meant = DataFiles(DataFilesConfig(keep_share={"SVG": 1.0})).expected_drops()
    assert meant["Gettext Catalog"] == (0.0, 0.9999)
    assert "SVG" not in meant


@pytest.mark.parametrize(
    ("path", "language", "lines"),
    [("a.csv", "CSV", True), ("a.jsonl", "JSON", True), ("a.NDJSON", "JSON", True), ("a.json", "JSON", False)],
)
def test_tables_and_lines_of_json_are_cut(path: str, language: str, lines: bool) -> None:
    assert is_lines(path, language) is lines


def test_by_default_a_few_of_ten_thousand_twins_stay() -> None:
    files = {f"{n}.json": '{"a": 1}' for n in range(10_000)}
    outcome = apply(files, same_shape=3, keep_share={"JSON": 0.2})
    rules = Counter(fate.rule for fate in outcome.fates)
    assert outcome.kept.num_rows == 3
    assert 1_800 < rules["same_shape"] < 2_200


def test_a_language_without_rules_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no rule for data in 'Jsn'"):
        parse(DataFilesConfig, {"keep_share": {"Jsn": 0.5}}, "data_files")


def test_nothing_to_drop_leaves_the_table_as_it_is() -> None:
    outcome = apply({"a.py": "x"}, "Python")
    assert isinstance(outcome.kept, pa.Table) and outcome.fates == []
