"""Small trees and repositories to read."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "c",
    "GIT_COMMITTER_EMAIL": "c@example.org",
    "GIT_AUTHOR_DATE": "2001-02-03T04:05:06+0000",
    "GIT_COMMITTER_DATE": "2002-03-04T05:06:07+0200",
}


def run_git(folder: Path, *words: str, stdin: bytes = b"") -> bytes:
    """Run git in `folder`, where no configuration but the repository's own is seen."""
    done = subprocess.run(["git", *words], cwd=folder, env=ENVIRONMENT, input=stdin, capture_output=True, check=True)
    return done.stdout


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[dict[str, bytes]], Path]:
    """Write files below a folder `tree`."""

    def write(files: dict[str, bytes]) -> Path:
        for name, content in files.items():
            path = tmp_path / "tree" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path / "tree"

    return write


@pytest.fixture
def repository(tree: Callable[[dict[str, bytes]], Path]) -> Callable[[dict[str, bytes]], Path]:
    """Write files and commit them."""

    def commit(files: dict[str, bytes]) -> Path:
        folder = tree(files)
        run_git(folder, "init", "-q", "-b", "main")
        run_git(folder, "add", "-A")
        run_git(folder, "commit", "-q", "-m", "first")
        return folder

    return commit
