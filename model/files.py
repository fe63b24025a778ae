"""Files that are there whole or not at all, on a local disk.

Enters: names and bytes. Leaves: files written beside their place, brought to the disk, and renamed. Limit: local paths
only; a storage that refuses a write is a RunError.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loopdata.errors import RunError


def write_json(path: Path, values: Any) -> None:
    """Replace `path` by `values` in one step."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        flush(beside)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise RunError(f"{path} cannot be written: {error.strerror or error}") from error


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Make the folder `path` by `fill(temporary)`, and rename it into place; an older one of this name gives way."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        fill(beside)
        for file in beside.iterdir():
            flush(file)
        if path.exists():
            shutil.rmtree(path)
        beside.rename(path)
        flush(path.parent)
    except Exception as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise RunError(f"{path} cannot be written: {error}") from error


def flush(path: Path) -> None:
    """Bring a file or folder to the disk, so that a rename never outlives what it names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
