"""A corpus small enough to see through, with a file for every rule, and what tests ask of a run over it.

Five repositories of a folder (`gamma` is the one that is held out) and a repository made by the git program.
"""

import hashlib
import io
import os
import subprocess
from pathlib import Path
from typing import Any

from rich.console import Console

from loopdata.engine.ledger import Ledger, manifests
from loopdata.engine.unit import Manifest
from loopdata.storage import Folder
from pipelines.run import Choice, run_file
from pipelines.run_file import resolve
from pipelines.summary import Summary

SHARED = "def shared(value):\n    return value + value\n"
HELD_OUT = "package gamma\n\nfunc Held(value int) int {\n\treturn value\n}\n"
INSIDE = "export function twice(value) {\n  return value + value;\n}\n"
RULES = {"max_longest_line": 200, "max_mean_line": 100, "min_alphabetic": 0.25}
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"


def functions(name: str, count: int) -> str:
    """Python with `count` functions."""
    parts = (f"def {name}_{n}(first, second):\n    return first * {n} + second\n" for n in range(count))
    return "\n\n".join(parts)


FILES: dict[str, str | bytes] = {
    "loose.py": "loose = 'beside the folders'\n",
    "alpha/main.py": functions("alpha", 20),
    "alpha/shared.py": SHARED,
    "alpha/held.go": HELD_OUT,  # a copy of a held-out file
    "alpha/binary.dat": b"text\x00more",
    "alpha/oversized.py": "x = 'xxxxxxxxxx'\n" * 2000,
    "alpha/pointer.py": LFS,
    "alpha/undecodable.py": b"name = '" + bytes(range(0x80, 0xFF)) * 4 + b"'\n",
    "alpha/control.py": b"name = 1\n" + b"\x01\x02\x03" * 10 + b"\nother = 2\n",
    "alpha/empty.py": "",
    "alpha/lines.py": "line = 'line'\n" * 300,
    "alpha/longest.py": "name = '" + "word " * 60 + "'\n" + "short = 'short'\n" * 20,
    "alpha/mean.py": "name = '" + "word " * 25 + "'\n",
    "alpha/digits.py": "1234567890 1234567890 12345\n" * 5,
    "alpha/README.md": "# alpha\n\nOf this language nothing is wanted.\n",
    "alpha/latin.py": "# café crème brûlée\nname = 'naïve and plain words after it'\n".encode("cp1252"),
    "alpha/windows.py": b"first = 'first'\r\nsecond = 'second'\r\n",
    "alpha/escape.py": b"name = 'a little \x1b escape among many other plain words'\n",
    "beta/index.js": INSIDE + "\n" + "\n".join(f"export const beta{n} = twice({n});" for n in range(40)) + "\n",
    "beta/lib/twice.js": INSIDE,
    "beta/lib/again/twice.js": INSIDE,  # a duplicate inside a kept repository
    "beta/shared/deep/shared.py": SHARED,
    "gamma/held.go": HELD_OUT,
    "gamma/main.go": "package gamma\n" + "".join(f"\nfunc Of{n}(v int) int {{\n\treturn v\n}}\n" for n in range(20)),
    "delta/config.yaml": "name: delta\nvalues:\n" + "".join(f"  - value of number {n}\n" for n in range(30)),
    "delta/main.rs": "".join(f"fn delta_{n}(value: u32) -> u32 {{\n    value + {n}\n}}\n\n" for n in range(20)),
    "mirror/a/very/deep/copy.py": SHARED,  # a repository that holds nothing else
}  # fmt: skip
GIT_FILES: dict[str, str | bytes] = {
    "src/tool.c": "".join(f"int tool_{n}(int value) {{\n    return value + {n};\n}}\n\n" for n in range(20)),
    "src/binary.o": b"\x7fELF\x00\x00",
    "tool.py": functions("tool", 10),
    "copy/of/tool.py": functions("tool", 10),
}


def write_files(root: Path, files: dict[str, str | bytes], names: list[str] | None = None) -> None:
    """Write files, in the order of `names`."""
    for name in names or list(files):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = files[name]
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def write_tree(root: Path, names: list[str] | None = None) -> None:
    """The folder source: its files, a link and a FIFO."""
    write_files(root, FILES, names)
    (root / "delta/link.rs").symlink_to("main.rs")
    os.mkfifo(root / "delta/pipe")


def git(root: Path, *words: str) -> str:
    """Run git in `root`, as nobody in particular, at a fixed time."""
    when = {f"GIT_{who}_DATE": "2024-05-06T07:08:09Z" for who in ("AUTHOR", "COMMITTER")}
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **when}
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *who, *words], cwd=root, env=environment, capture_output=True, check=True)
    return done.stdout.decode()


def write_repository(root: Path) -> None:
    """The git source: one commit, with a link and a submodule."""
    write_files(root, GIT_FILES)
    (root / "link.c").symlink_to("src/tool.c")
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendored")
    git(root, "commit", "-q", "-m", "all of it")


def write_corpus(root: Path) -> None:
    write_tree(root / "tree")
    write_repository(root / "repository")


def run_data(root: Path, run: Path) -> dict[str, Any]:
    """The run file over the corpus below `root`, up to the mixture."""
    return {
        "run": str(run),
        "seed": 17,
        "sources": {
            "tree": {"kind": "files", "path": str(root / "tree"), "repo_per": "top_folder", "max_bytes": 20_000},
            "work": {"kind": "git", "path": str(root / "repository"), "repo": "project"},
        },
        "split": {"valid": 0.02},
        "corpus": [
            {"clean": {"max_lines": 250}},
            {"language": {"drop": ["Markdown"]}},
            {"heuristics": {"preset": "none", "rules": RULES.copy()}},
            {"exact_dedup": {}},
        ],
        "tokens": {"train": {"vocab_size": 400}},
        "samples": {"file": {"builder": "file"}},
        "mixture": {"tokens": 4000, "sequence": 64, "weights": {"file": 1}},
    }


def complete(data: dict[str, Any], choice: Choice | None = None, console: Console | None = None) -> Summary:
    """Run a run file to its end, in this process unless `choice` says otherwise."""
    return run_file(resolve(data), choice or Choice("inline"), console or Console(file=io.StringIO()))


def manifests_of(run: str | Path) -> list[Manifest]:
    folder = Folder(str(run))
    return list(manifests(folder, Ledger.read(folder)))


def outputs(run: str | Path) -> dict[tuple[str, str, str], str]:
    """SHA-256 of every table, shard and index, read from the disk, by phase, unit and label.

    `dataset.json` is left out: it names files, and names differ by attempt.
    """
    return {
        (manifest.phase, manifest.name, label): hashlib.sha256(Path(run, output.name).read_bytes()).hexdigest()
        for manifest in manifests_of(run)
        for label, output in manifest.outputs.items()
        if label != "dataset"
    }


def attempts(run: str | Path) -> dict[tuple[str, str], str]:
    """The attempt that each unit was committed by."""
    return {(manifest.phase, manifest.name): manifest.attempt for manifest in manifests_of(run)}


def ran(summary: Summary) -> dict[str, int]:
    """Units that ran, without the phases in which none did."""
    return {phase: number for phase, number in summary.ran.items() if number}
