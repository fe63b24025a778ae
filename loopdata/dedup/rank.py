"""An explicit order of documents as sortable bytes: who survives among equals.

Enters: a table of documents and a list of columns, `-column` for descending. Leaves: one binary value a document; the
smallest survives. Documents for training come before those that are context only, whatever the list says; null comes
last either way. Integers, dates, booleans, floats and texts keep their order as bytes, so that one column of one type
travels whatever the list. Limit: NaN counts as null.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from loopdata.errors import ConfigError
from loopdata.schema import DOCUMENT

COMPUTED = ("path_depth", "path_length")  # folders above the file, bytes of the path
_INVERTED = bytes(255 - byte for byte in range(256))


def check(priority: Sequence[str]) -> None:
    """ValueError for an empty list, an empty name, or one that stands twice."""
    names = [entry.removeprefix("-") for entry in priority]
    if not names or not all(names):
        raise ValueError("give at least one column, and no empty name")
    if len(set(names)) < len(names):
        raise ValueError("a column stands twice")


def columns(priority: Sequence[str]) -> dict[str, pa.DataType | None]:
    """The columns that the list names, with the types of those of every Document; of others only the plan knows."""
    names = (entry.removeprefix("-") for entry in priority)
    return {name: DOCUMENT.get(name) for name in names if name not in COMPUTED}


def ranks(table: pa.Table, priority: Sequence[str], who: str) -> pa.Array:
    """One binary value for each document of `table`, which holds `use` and the columns of `priority`."""
    is_context = (b"\1" if use == "context" else b"\0" for use in table["use"].to_pylist())
    fields = [is_context, *(_field(table, entry, who) for entry in priority)]
    return pa.array([b"".join(values) for values in zip(*fields, strict=True)], pa.binary())


def _field(table: pa.Table, entry: str, who: str) -> Iterator[bytes]:
    descending, name = entry.startswith("-"), entry.removeprefix("-")
    values = _values(table, name, who)
    encode = _encoder(values.type, name, who)
    for value in values.to_pylist():
        if value is None or value != value:
            yield b"\1"
        elif descending:
            yield b"\0" + encode(value).translate(_INVERTED)
        else:
            yield b"\0" + encode(value)


def _values(table: pa.Table, name: str, who: str) -> Any:
    if name in table.column_names:
        column = table[name]
        return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
    if name == "path_length":
        return pc.binary_length(table["path"]).cast(pa.int64())
    if name == "path_depth":
        return pc.count_substring(table["path"], "/").cast(pa.int64())
    raise ConfigError(f"{who}: there is no column '{name}' to rank by", "name one that an earlier stage adds")


def _encoder(kind: pa.DataType, name: str, who: str) -> Callable[[Any], bytes]:
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return _of_integer
    if pa.types.is_floating(kind):
        return _of_float
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _of_text
    raise ConfigError(f"{who}: the column '{name}' has the type {kind}, which has no order", "rank by another column")


def _of_integer(value: int) -> bytes:
    return struct.pack(">Q", int(value) + (1 << 63))


def _of_float(value: float) -> bytes:
    """IEEE bits, so turned that their order as an unsigned number is that of the values; -0.0 is 0.0."""
    bits: int = struct.unpack(">Q", struct.pack(">d", value + 0.0))[0]
    return struct.pack(">Q", bits ^ ((1 << 64) - 1) if bits >> 63 else bits | 1 << 63)


def _of_text(value: str) -> bytes:
    """UTF-8 with an end below every byte that can follow, so that a prefix comes first."""
    return value.encode("utf-8", "surrogatepass").replace(b"\0", b"\0\xff") + b"\0\0"
