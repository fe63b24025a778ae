"""An explicit order of documents as sortable bytes: who survives among equals.

Enters: a table of documents and a list of columns, `-column` for descending. Leaves: one binary value a document; the
smallest survives. Documents for training come before those that are context only, whatever the list says; null comes
last either way. Integers, dates, booleans, floats and texts keep their order as bytes, so that one column of one type
travels whatever the list. Limit: NaN counts as null.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopdata.errors import ConfigError
from loopdata.schema import DOCUMENT

COMPUTED = ("path_depth", "path_length")  # folders above the file, bytes of the path
_SIGN = np.uint64(1 << 63)


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
    is_context = pc.fill_null(pc.equal(table["use"].combine_chunks(), "context"), False)
    fields = [pc.if_else(is_context, b"\1", b"\0"), *(_field(table, entry, who) for entry in priority)]
    return pc.binary_join_element_wise(*fields, b"")


def _field(table: pa.Table, entry: str, who: str) -> pa.Array:
    descending, name = entry.startswith("-"), entry.removeprefix("-")
    values = _values(table, name, who)
    encoded = _encoded(values, name, who)
    if descending:
        encoded = _inverted(encoded)
    return pc.if_else(values.is_null(nan_is_null=True), b"\1", pc.binary_join_element_wise(b"\0", encoded, b""))


def _values(table: pa.Table, name: str, who: str) -> pa.Array:
    if name in table.column_names:
        column = table[name].combine_chunks()
        return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
    path = table["path"].combine_chunks()
    if name == "path_length":
        return pc.binary_length(path).cast(pa.int64())
    if name == "path_depth":
        return pc.count_substring(path, "/").cast(pa.int64())
    raise ConfigError(f"{who}: there is no column '{name}' to rank by", "name one that an earlier stage adds")


def _encoded(values: pa.Array, name: str, who: str) -> pa.Array:
    """Each value as bytes that sort like it; anything where there is none."""
    kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return _of_integers(values)
    if pa.types.is_floating(kind):
        return _of_floats(values)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _of_texts(values)
    raise ConfigError(f"{who}: the column '{name}' has the type {kind}, which has no order", "rank by another column")


def _of_integers(values: pa.Array) -> pa.Array:
    if pa.types.is_uint64(values.type):
        return _of_unsigned(pc.fill_null(values, 0).to_numpy(zero_copy_only=False))
    numbers = pc.fill_null(values.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    return _of_unsigned(numbers.view(np.uint64) ^ _SIGN)


def _of_floats(values: pa.Array) -> pa.Array:
    """IEEE bits, so turned that their order as an unsigned number is that of the values; -0.0 is 0.0."""
    bits = (pc.fill_null(values.cast(pa.float64()), 0.0).to_numpy(zero_copy_only=False) + 0.0).view(np.uint64)
    return _of_unsigned(np.where(bits & _SIGN, ~bits, bits | _SIGN))


def _of_unsigned(numbers: Any) -> pa.Array:
    data = pa.py_buffer(numbers.astype(">u8"))
    return pa.Array.from_buffers(pa.binary(8), len(numbers), [None, data]).cast(pa.binary())


def _of_texts(values: pa.Array) -> pa.Array:
    """UTF-8 with an end below every byte that can follow, so that a prefix comes first."""
    escaped = pc.replace_substring(values.cast(pa.binary()), b"\0", b"\0\xff")
    return pc.binary_join_element_wise(escaped, b"\0\0", b"")


def _inverted(column: pa.Array) -> pa.Array:
    """Every byte turned over, so that the order is; nulls become anything."""
    _, offsets, data = column.buffers()
    turned = pa.py_buffer(~np.frombuffer(data or b"", np.uint8))
    return pa.Array.from_buffers(pa.binary(), len(column), [None, offsets, turned], offset=column.offset)
