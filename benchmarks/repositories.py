"""Checkouts of repositories as the tables that builders get.

Enters: folders, named in LOOPDATA_REPOSITORIES with colons between them. Leaves: a table of documents for each. Limit:
files that are not UTF-8 or larger than half a megabyte are left out, and so are dot folders.
"""

import os
from pathlib import Path

import pyarrow as pa

from loopdata.fim.repo_level import RepoBuilder
from loopdata.schema import document_schema, table_of
from loopdata.syntax.language_names import of_path

MAX_BYTES = 500_000


def checkouts() -> dict[str, pa.Table]:
    """Documents by name of the folder."""
    folders = [Path(name) for name in os.environ.get("LOOPDATA_REPOSITORIES", "").split(":") if name]
    return {folder.name: documents(folder) for folder in folders}


def documents(folder: Path) -> pa.Table:
    """The files below a folder, as one repository."""
    rows = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if not hidden and path.is_file() and not path.is_symlink() and 0 < path.stat().st_size <= MAX_BYTES:
            text = _text(path)
            if text is not None:
                rows.append({"doc_id": str(name), "path": str(name), "language": of_path(path.name), "text": text,
                             "repo": folder.name, "category": "code", "split": "train", "use": "train"})  # fmt: skip
    return table_of(rows, document_schema(RepoBuilder.needs))


def _text(path: Path) -> str | None:
    data = path.read_bytes()
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None
