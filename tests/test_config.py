"""YAML files, overrides, variables, strict models, and errors that name the nearest right key."""

import copy
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, model_validator

from loopdata.config import Strict, expand, load_yaml, nearest, override, parse
from loopdata.errors import ConfigError


class Inner(Strict):
    threshold: float = 0.5
    names: tuple[str, ...] = ()


class Outer(Strict):
    size: int = Field(default=1, ge=1)
    label: str = "x"
    flag: bool = False
    inner: Inner = Inner()
    maybe: Inner | None = None
    either: float | dict[str, float] = 0.0


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(text, "utf-8")
    return path


def test_defaults_and_given_values_are_read() -> None:
    assert parse(Outer, None, "") == Outer()
    found = parse(Outer, {"size": 3, "inner": {"threshold": 1, "names": ["a", "b"]}}, "")
    assert (found.size, found.inner.threshold, found.inner.names) == (3, 1.0, ("a", "b"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"sise": 3}, "unknown key 'w.sise'; did you mean 'size'?"),
        ({"inner": {"treshold": 3}}, "unknown key 'w.inner.treshold'; did you mean 'threshold'?"),
        ({"maybe": {"nam": 3}}, "unknown key 'w.maybe.nam'; did you mean 'names'?"),
        ({"zzz": 1}, "unknown key 'w.zzz'; there are: either, flag, inner, label, maybe, size"),
        ({"size": "3"}, "w.size: Input should be a valid integer (found '3')"),
        ({"size": 3.5}, "w.size: Input should be a valid integer"),
        ({"size": True}, "w.size: Input should be a valid integer (found True)"),
        ({"label": 3}, "w.label: Input should be a valid string (found 3)"),
        ({"flag": 1}, "w.flag: Input should be a valid boolean (found 1)"),
        ({"size": 0}, "w.size: Input should be greater than or equal to 1 (found 0)"),
        ({"inner": 3}, "w.inner: "),
        ({"either": "ab"}, "w.either: Input should be a valid number (found 'ab'); w.either: Input should be"),
        ({"either": {"x": "y"}}, "w.either: Input should be a valid number (found {'x': 'y'}); w.either.x: Input"),
        ({"inner": {"names": "ab"}}, "w.inner.names: "),
        ([], "w: expected a mapping of keys to values, found []"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(data: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(Outer, data, "w")
    assert str(caught.value).startswith(message)
    assert caught.value.exit_code == 2


class Pair(Strict):
    low: int = 0
    high: int = 1

    @model_validator(mode="after")
    def _ordered(self) -> "Pair":
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


def test_what_a_section_says_of_itself_stands_alone() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(Pair, {"low": 2}, "w")
    assert str(caught.value) == "w: low is above high"


def test_a_missing_key_is_named() -> None:
    class Needs(Strict):
        path: str

    with pytest.raises(ConfigError, match=r"^the key 'sources\.a\.path' is missing$"):
        parse(Needs, {}, "sources.a")


def test_a_config_does_not_change_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Outer().size = 2  # type: ignore[misc]


def test_a_long_value_is_cut_in_its_error() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(Outer, {"size": "x" * 10_000}, "")
    assert len(str(caught.value)) < 200


AGAIN = {"dedup": {"t": 2}, "as": "again"}
LAST = {"as": "z", "quality": {}}


@pytest.mark.parametrize(
    ("item", "wanted"),
    [
        ("seed=3", {"seed": 3}),
        ("split.valid=0.05", {"split": {"valid": 0.05}}),
        ("train=null", {"seed": 17}),
        ("nothing=null", {"seed": 17, "train": {"a": 1}}),
        ("train.a=[1, 2]", {"train": {"a": [1, 2]}}),
        ("train.b='7'", {"train": {"a": 1, "b": "7"}}),
        ("mixture.tokens=600_000", {"mixture": {"tokens": 600_000}}),
        ("corpus.clean.x=1", {"corpus": [{"clean": {"x": 1}}, AGAIN, LAST]}),
        ("corpus.again.t=3", {"corpus": [{"clean": None}, {"dedup": {"t": 3}, "as": "again"}, LAST]}),
        ("corpus.z.p=1", {"corpus": [{"clean": None}, AGAIN, {"as": "z", "quality": {"p": 1}}]}),
        ("corpus.clean=null", {"corpus": [AGAIN, LAST]}),
        ("corpus.again={t: 9}", {"corpus": [{"clean": None}, {"dedup": {"t": 9}, "as": "again"}, LAST]}),
    ],
)
def test_an_override_changes_one_value(item: str, wanted: dict[str, Any]) -> None:
    data: dict[str, Any] = {
        "seed": 17,
        "train": {"a": 1},
        "corpus": copy.deepcopy([{"clean": None}, AGAIN, LAST]),
    }
    untouched = {key: value for key, value in data.items() if key not in wanted and item.split("=")[0] != key}
    override(data, item)
    assert data == untouched | wanted


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("seed", "--set seed: expected key=value; as in --set split.valid=0.05"),
        ("=3", "--set =3: expected key=value"),
        ("a.=3", "--set a.=3: expected key=value"),
        (".a=3", "--set .a=3: expected key=value"),
        ("seed=[1", "--set seed=[1: the value is not valid YAML"),
        ("seed.data=1", "--set seed.data=1: 'data' has no place below a value that is not a mapping"),
        ("seed.data.x=1", "--set seed.data.x=1: 'data' lies below a value that is not a mapping"),
        ("corpus.claen.x=1", "--set corpus.claen.x=1: there is no 'claen'; did you mean 'clean'?"),
        ("corpus.claen=null", "--set corpus.claen=null: there is no 'claen'; did you mean 'clean'?"),
    ],
)
def test_a_bad_override_is_named(item: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        override({"seed": 17, "corpus": [{"clean": {}}, "text"]}, item)
    assert str(caught.value).startswith(message)


def test_a_file_is_read_with_overrides_and_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "/data")
    path = written(tmp_path, "a: ['${WHERE}/x', '${stdlib}', '$5']\nb: {c: '${site_packages}', d: 1}\n")
    paths = sysconfig.get_paths()
    assert load_yaml(path, ("b.d=2", "e=${WHERE}")) == {
        "a": ["/data/x", paths["stdlib"], "$5"],
        "b": {"c": paths["purelib"], "d": 2},
        "e": "/data",
    }


def test_an_unset_variable_is_named() -> None:
    with pytest.raises(ConfigError, match=r"the config names \$\{NOT_SET_ANYWHERE\}, which is not set; export NOT_SET"):
        expand({"a": ["x/${NOT_SET_ANYWHERE}"]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: {c: 1, c: 2}\n", "run.yaml, line 2: the key 'c' stands twice"),
        ("a: 1\na: 2\n", "run.yaml, line 2: the key 'a' stands twice"),
        ("? [a]\n: 1\n", "run.yaml, line 1: a key must be a plain value, found ['a']"),
        ("a: [1\n", "the config is not valid YAML: "),
        ("- a\n", "must be a mapping of keys to values"),
        ("", "must be a mapping of keys to values"),
        ("a: !!python/object:os.system x\n", "the config is not valid YAML: "),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_yaml(written(tmp_path, text))
    assert message in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the config .*nowhere\.yaml: No such file or directory"):
        load_yaml(tmp_path / "nowhere.yaml")
    (tmp_path / "b.yaml").write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match=r"b\.yaml is not UTF-8 text"):
        load_yaml(tmp_path / "b.yaml")


def test_the_nearest_name_or_the_list() -> None:
    assert nearest("claen", ["clean", "language"]) == "; did you mean 'clean'?"
    assert nearest("x", ["b", "a"]) == "; there are: a, b"
    assert nearest("x", []) == ""
