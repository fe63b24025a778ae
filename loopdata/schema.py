"""The records as Arrow schemas, their identities, and the check of columns before a run starts.

Enters: names and types of columns. Leaves: schemas that every table is cast to before it is written, so that equal
tables are equal bytes. Ids are the first 128 bits of a SHA-256, in hexadecimal: the same content at the same place has
the same id in every run. Limit: paths are text; bytes of a path that are not UTF-8 are written as `\\xNN`.
"""

import hashlib
from collections.abc import Iterable, Mapping

import pyarrow as pa

from loopdata.errors import ConfigError

# large_* where one batch may hold more than 2 GiB; the choice is part of the bytes that are written.
PARTS = pa.list_(pa.struct([("role", pa.string()), ("start", pa.int64()), ("end", pa.int64()), ("loss", pa.bool_())]))

# Where it is said under which licence a document comes: what kind of evidence, and what it names.
EVIDENCE = pa.list_(
    pa.struct([("kind", pa.string()), ("path", pa.string()), ("line", pa.int32()), ("licence", pa.string())])
)

# Every base column of a Document. A source gives those of SOURCE_COLUMNS; the others appear when a stage adds them.
DOCUMENT: dict[str, pa.DataType] = {
    "doc_id": pa.string(),  # hash of source, locator and content
    "blob_id": pa.string(),  # git blob SHA-1 of the exact raw bytes
    "text_id": pa.string(),  # hash of `text` as it is now
    "parent": pa.string(),  # doc_id of the document this one was born from
    "category": pa.string(),  # code, web, transition, qa, trajectory, text
    "split": pa.string(),  # train or valid
    "use": pa.string(),  # train or context
    "content": pa.large_binary(),  # raw bytes, until `clean` has made `text` of them
    "text": pa.large_string(),
    "parts": PARTS,  # role and loss flag over byte spans of `text`
    "source": pa.string(),
    "repo": pa.string(),
    "commit": pa.string(),
    "path": pa.string(),
    "url": pa.string(),
    "date": pa.timestamp("us", tz="UTC"),
    "language": pa.string(),
    "licence": pa.string(),
    "num_bytes": pa.int64(),  # of `text` once there is one, of `content` before
}

NOT_FROM_SOURCES = frozenset({"text_id", "text", "language", "licence"})
SOURCE_COLUMNS = tuple(name for name in DOCUMENT if name not in NOT_FROM_SOURCES)

FATE = pa.schema(
    [
        ("subject", pa.string()),  # doc_id
        ("stage", pa.string()),
        ("fate", pa.string()),  # dropped, quarantined (they end a document); edited, marked, context (notes)
        ("rule", pa.string()),
        ("value", pa.float64()),
        ("threshold", pa.float64()),
        ("ref", pa.string()),  # doc_id of the survivor, or of the held-out document
        ("details", pa.string()),
    ]
)

# Every place where a blob was seen, of dropped documents too: takedown and attribution need it.
LOCATION = pa.schema(
    [
        ("doc_id", pa.string()),
        ("blob_id", pa.string()),
        ("source", pa.string()),
        ("repo", pa.string()),
        ("commit", pa.string()),
        ("path", pa.string()),
        ("url", pa.string()),
        ("num_bytes", pa.int64()),
    ]
)

SEGMENTS = pa.list_(pa.struct([("text", pa.large_string()), ("special", pa.bool_()), ("loss", pa.bool_())]))

# What is known of a sample of a document of which a part was drawn for fill-in-the-middle; offsets are bytes of the
# parent's text. Nothing where none was drawn.
FIM = pa.struct(
    [
        ("kind", pa.string()),  # of the hole; null where the sample is plain
        ("mode", pa.string()),  # psm or spm
        ("start", pa.int64()),  # what the sample holds of the text, and where its middle lies
        ("middle_start", pa.int64()),
        ("middle_end", pa.int64()),
        ("end", pa.int64()),
        ("missed", pa.list_(pa.string())),  # kinds that were drawn before, and that the text does not have
        ("left", pa.string()),  # why it is plain: no_hole, too_long, or the rest of a document
    ]
)

SAMPLE = pa.schema(
    [
        ("sample_id", pa.string()),
        ("category", pa.string()),  # name of its entry under `samples`
        ("split", pa.string()),
        ("language", pa.string()),
        ("parents", pa.list_(pa.string())),  # doc_ids
        ("whole", pa.bool_()),  # may not be cut: left out where it is longer than a sequence
        ("segments", SEGMENTS),
        ("num_bytes", pa.int64()),  # of the text segments
        ("fim", FIM),
    ]
)


def digest(*parts: str | bytes) -> str:
    """Hash length-prefixed parts to 32 hexadecimal characters (the first 128 bits of a SHA-256)."""
    state = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        state.update(b"%d:" % len(data))
        state.update(data)
    return state.hexdigest()[:32]


def doc_id(source: str, locator: str, content: bytes) -> str:
    """Identity of a document: the same content at the same place of the same source."""
    return digest(source, locator, content)


def blob_id(content: bytes) -> str:
    """Git's SHA-1 of these bytes as a blob, as `git hash-object` and Software Heritage give it."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def text_id(text: str) -> str:
    """Identity of a text, wherever it lies."""
    return digest(text)


def document_schema(columns: Mapping[str, pa.DataType]) -> pa.Schema:
    """Schema of a document table: base columns in their fixed order, then columns of stages in order of addition."""
    base = [name for name in DOCUMENT if name in columns]
    added = [name for name in columns if name not in DOCUMENT]
    return pa.schema([(name, columns[name]) for name in [*base, *added]])


def source_schema(extra: Mapping[str, pa.DataType] | None = None) -> pa.Schema:
    """Schema of the tables that a source gives, with the columns that it gives besides."""
    return document_schema({name: DOCUMENT[name] for name in SOURCE_COLUMNS} | dict(extra or {}))


def cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Cast to exactly `schema`: its columns, order and types. A missing column becomes null."""
    if table.schema.equals(schema, check_metadata=True):
        return table
    columns = [
        table[field.name] if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, names=schema.names).cast(schema)


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """The values of a column as one array. What lies in one already is not copied, as `combine_chunks` would."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def table_of(rows: Iterable[Mapping[str, object]], schema: pa.Schema) -> pa.Table:
    """Build a table of `schema` from dictionaries; keys that are absent are null."""
    return pa.Table.from_pylist(list(rows), schema=schema)


def require(columns: Mapping[str, pa.DataType], needs: Mapping[str, pa.DataType | None], who: str) -> None:
    """Raise ConfigError where `who` needs a column that nothing before it provides, or provides as another type."""
    for name, wanted in needs.items():
        if name not in columns:
            raise ConfigError(
                f"{who} needs the column '{name}', which nothing before it provides",
                f"put the stage that adds '{name}' before {who} (there are: {', '.join(columns)})",
            )
        if wanted is not None and columns[name] != wanted:
            raise ConfigError(f"{who} needs the column '{name}' as {wanted}, but it comes as {columns[name]}")
