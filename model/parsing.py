"""Strict reading of configuration: a mapping becomes a frozen dataclass, or a ConfigError says what is wrong with it.

Enters: mappings as YAML gives them. Leaves: dataclasses whose fields have the declared types. An unknown key names the
nearest right one, a wrong type the key and the value. Own work: pydantic does this for the rest of the project, but a
bare GPU machine need not have it. Limit: it knows the annotations that the configurations here use, and no others.
"""

import dataclasses
import difflib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from loopdata.errors import ConfigError

T = TypeVar("T")


def parse(cls: type[T], values: object, where: str = "") -> T:
    """`values` as an instance of the dataclass `cls`; `where` is the dotted place of `values`, for messages."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where or cls.__name__} is {values!r}", "give a mapping of keys to values")
    hints = get_type_hints(cls)
    for key in values:
        if key not in hints:
            raise ConfigError(f"unknown key {_join(where, key)!r}", _nearest(str(key), list(hints)))
    missing = [f.name for f in dataclasses.fields(cls) if _required(f) and f.name not in values]  # type: ignore[arg-type]
    if missing:
        raise ConfigError(f"{_join(where, missing[0])!r} is missing", "it has no default")
    return cls(**{key: _convert(hints[key], value, _join(where, key)) for key, value in values.items()})


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file. ConfigError when there is none."""
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text in UTF-8", "name a YAML file") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds {type(values).__name__}", "give a mapping of keys to values")
    return values


def override(values: dict[str, Any], assignments: list[str]) -> dict[str, Any]:
    """`values` with each `a.b=VALUE` put in its place; VALUE is YAML, and `null` leaves an optional entry out."""
    result = _copy(values)
    for assignment in assignments:
        path, sign, text = assignment.partition("=")
        if not sign or not path:
            raise ConfigError(f"--set {assignment!r}", "write --set key.key=value")
        *parents, last = path.split(".")
        inner = result
        for parent in parents:
            inner = inner.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"--set {assignment!r}: {parent!r} is {inner!r}, not a mapping")
        try:
            inner[last] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {assignment!r}: {text!r} is not YAML", "quote it twice, or close it") from error
    return result


def _copy(values: dict[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, dict) else value for key, value in values.items()}


def _required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)


def _nearest(key: str, names: list[str]) -> str:
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(names)}"


def _convert(kind: Any, value: object, where: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _convert_union(inner, value, where)
    if origin is Literal:
        if value in inner and type(value) in {type(choice) for choice in inner}:
            return value
        hint = _nearest(str(value), [str(choice) for choice in inner])
        raise ConfigError(f"{where!r} is {value!r}, not one of {', '.join(map(str, inner))}", hint)
    if origin is tuple:
        if isinstance(value, list | tuple) and len(value) == len(inner):
            return tuple(_convert(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(inner, value, strict=True)))
        raise ConfigError(f"{where!r} is {value!r}, not a list of {len(inner)}")
    if dataclasses.is_dataclass(kind):
        return value if isinstance(value, kind) else parse(kind, value, where)  # type: ignore[arg-type]
    return _convert_plain(origin or kind, value, where)


def _convert_union(kinds: tuple[Any, ...], value: object, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    wanted = [kind for kind in kinds if kind is not type(None)]
    fitting = [kind for kind in wanted if _fits(get_origin(kind) or kind, value)]
    if not fitting and len(wanted) > 1:
        names = " or ".join(getattr(kind, "__name__", str(kind)) for kind in wanted)
        raise ConfigError(f"{where!r} is {value!r} ({type(value).__name__})", f"give {names}")
    return _convert(fitting[0] if fitting else wanted[0], value, where)


def _fits(kind: Any, value: object) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _convert_plain(kind: Any, value: object, where: str) -> Any:
    if isinstance(value, str) and kind in (int, float):
        value = _number(kind, value)
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if not _fits(kind, value):
        raise ConfigError(f"{where!r} is {value!r} ({type(value).__name__})", f"give {kind.__name__}")
    return float(value) if kind is float else value  # type: ignore[arg-type]


def _number(kind: Any, text: str) -> object:
    """YAML reads `1e-3` as text; we take it for the number that it says."""
    try:
        return kind(text)
    except ValueError:
        return text
