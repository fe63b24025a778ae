"""Strict configuration: YAML in, frozen pydantic models out, and errors that name the key and the nearest right one.

Enters: a YAML file and overrides `a.b=c`. Leaves: plain dictionaries, and models by `parse`. `${NAME}` inside a text is
replaced: `${stdlib}` and `${site_packages}` by the running interpreter's folders, any other from the environment.
Limit: a key that stands twice in one mapping is an error, as in YAML itself but unlike in most loaders.
"""

import difflib
import json
import os
import re
import reprlib
import sysconfig
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from loopdata.errors import ConfigError

M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """Base of every configuration: unknown keys fail, values are not coerced, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=False)

    def identity(self) -> dict[str, Any]:
        """The part that outputs depend on; a class overrides it to leave out where the data lie."""
        return {"config": self.model_dump(mode="json")}


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses a key that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            line = f"{self.name}, line {key_node.start_mark.line + 1}"
            if not isinstance(key, Hashable):
                raise ConfigError(f"{line}: a key must be a plain value, found {key!r}")
            if key in seen:
                raise ConfigError(f"{line}: the key '{key}' stands twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_yaml(path: str | Path, sets: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read a YAML mapping, apply overrides, replace variables. ConfigError names file and line."""
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the config {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the config {path} is not UTF-8 text") from error
    loader = _Loader(text)
    loader.name = str(path)
    try:
        data = loader.get_single_data()
    except yaml.YAMLError as error:
        raise ConfigError(f"the config is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"the config {path} must be a mapping of keys to values")
    for item in sets:
        override(data, item)
    expanded: dict[str, Any] = expand(data)
    return expanded


def override(data: dict[str, Any], item: str) -> None:
    """Apply `a.b=c` in place; `c` is YAML; `null` removes the key; `corpus.clean.x=1` finds a stage by its name."""
    dotted, equals, value = item.partition("=")
    if not equals or not all(dotted.split(".")):
        raise ConfigError(f"--set {item}: expected key=value", "as in --set split.valid=0.05")
    keys = dotted.split(".")
    at: Any = data
    for key in keys[:-1]:
        at = _descend(at, key, item)
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {item}: the value is not valid YAML") from error
    if isinstance(at, list):
        _replace_entry(at, keys[-1], parsed, item)
        return
    if not isinstance(at, dict):
        raise ConfigError(f"--set {item}: '{keys[-1]}' has no place below a value that is not a mapping")
    if parsed is None:
        at.pop(keys[-1], None)
    else:
        at[keys[-1]] = parsed


def _name(entry: dict[str, Any]) -> str:
    """The name of a list's entry such as `{near_dedup: {…}, as: again}`."""
    return next((str(key) for key in entry if key != "as"), "")


def _entry(at: list[Any], key: str, item: str) -> dict[str, Any]:
    """The entry of a list that is called `key`: by `as` where one has it, else by its name."""
    entries = [entry for entry in at if isinstance(entry, dict) and _name(entry)]
    for entry in entries:
        if key == entry.get("as", _name(entry)):
            return entry
    names = [str(entry.get("as", _name(entry))) for entry in entries]
    raise ConfigError(f"--set {item}: there is no '{key}'{nearest(key, names)}")


def _replace_entry(at: list[Any], key: str, parsed: Any, item: str) -> None:
    entry = _entry(at, key, item)
    if parsed is None:
        at.remove(entry)
    else:
        entry[_name(entry)] = parsed


def _descend(at: Any, key: str, item: str) -> Any:
    if isinstance(at, list):
        entry = _entry(at, key, item)
        name = _name(entry)
        entry[name] = {} if entry[name] is None else entry[name]
        return entry[name]
    if not isinstance(at, dict):
        raise ConfigError(f"--set {item}: '{key}' lies below a value that is not a mapping")
    if at.get(key) is None:
        at[key] = {}
    return at[key]


def variables() -> dict[str, str]:
    """The folders of the running interpreter that a config may name."""
    paths = sysconfig.get_paths()
    return {"stdlib": paths["stdlib"], "site_packages": paths["purelib"]}


def expand(value: Any) -> Any:
    """Replace `${NAME}` in every text of nested lists and mappings."""
    if isinstance(value, dict):
        return {key: expand(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [expand(entry) for entry in value]
    return re.sub(r"\$\{(\w+)\}", _variable, value) if isinstance(value, str) else value


def _variable(match: re.Match[str]) -> str:
    name = match.group(1)
    known = variables()
    found = known.get(name, os.environ.get(name))
    if found is None:
        raise ConfigError(f"the config names ${{{name}}}, which is not set", f"export {name}=…")
    return found


def nearest(wrong: str, right: list[str]) -> str:
    """`; did you mean 'x'?`, or the list of what there is."""
    close = difflib.get_close_matches(wrong, right, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; there are: {', '.join(sorted(right))}" if right else ""


def parse(model: type[M], data: Any, where: str) -> M:
    """Validate `data` as `model`. ConfigError names the place, the value and, for an unknown key, the nearest one."""
    if data is None:
        data = {}
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where}: expected a mapping of keys to values, found {data!r}")
    try:
        # As JSON, since strict validation of Python objects refuses a list where a tuple is declared.
        return model.model_validate_json(json.dumps(dict(data), default=str))
    except ValidationError as error:
        raise ConfigError("; ".join(_line(model, where, data, item) for item in error.errors()[:3])) from None


def _line(model: type[BaseModel], where: str, data: Any, item: Any) -> str:
    place = ".".join([where, *(str(key) for key in item["loc"])]).strip(".")
    if item["type"] == "extra_forbidden":
        return f"unknown key '{place}'{nearest(str(item['loc'][-1]), _keys(model, item['loc'][:-1]))}"
    if item["type"] == "missing":
        return f"the key '{place}' is missing"
    place = ".".join([where, *_given(data, item["loc"])]).strip(".")
    said = f"{place}: {item['msg'].removeprefix('Value error, ')}"
    if item["type"] == "value_error" and isinstance(item["input"], dict):  # a section names what it means
        return said
    return f"{said} (found {reprlib.repr(item['input'])})"


def _given(data: Any, loc: tuple[Any, ...]) -> list[str]:
    """The keys of `loc` that `data` has: between them pydantic names members of unions, which nobody wrote."""
    found = []
    for key in loc:
        if (isinstance(data, Mapping) and key in data) or (isinstance(data, list) and isinstance(key, int)):
            found.append(str(key))
            data = data[key]
    return found


def _keys(model: Any, loc: tuple[Any, ...]) -> list[str]:
    """Keys of the model that lies at `loc`, as far as it can be followed."""
    for key in loc:
        found = model.model_fields.get(key) if hasattr(model, "model_fields") else None
        annotation = found.annotation if found else None
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        model = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]
