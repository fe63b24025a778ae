"""Where compiled code lies: in a folder that is ours alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loopdata.compiled import cache_folder, sources_digest

SIGN = "import pyarrow as pa; from loopdata.dedup.clusters import unite; import numpy as np; p = np.arange(2); "
SIGN += "unite(np.zeros(1, np.int64), np.ones(1, np.int64), p); from loopdata.compiled import cache_folder; "
SIGN += "print(p.tolist(), cache_folder())"


@pytest.fixture(autouse=True)
def fresh() -> None:
    cache_folder.cache_clear()


def test_the_given_folder_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "given"))
    assert cache_folder().parent == tmp_path / "given"
    assert cache_folder().stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_may_write_to_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "shared"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_folder().parent == tmp_path / "cache" / "loopdata" / "numba"


def test_a_link_in_the_place_of_the_folder_is_not_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("elsewhere")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "link"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_folder().parent == tmp_path / "cache" / "loopdata" / "numba"


def test_a_changed_source_has_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("@compiled\ndef f(x): return x\n")
    (tmp_path / "other.py").write_text("def g(x): return x\n")
    before = sources_digest(tmp_path)
    (tmp_path / "other.py").write_text("def g(x): return x + 1\n")
    assert sources_digest(tmp_path) == before
    (tmp_path / "one.py").write_text("@compiled\ndef f(x): return x + 1\n")
    assert sources_digest(tmp_path) != before


def test_without_a_home_code_is_compiled_all_the_same(tmp_path: Path) -> None:
    """As on a machine where the package and the home cannot be written: numba by itself raises at import."""
    root = Path(__file__).parents[2]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), "TMPDIR": str(tmp_path), "HOME": "/dev/null"}
    done = subprocess.run([sys.executable, "-c", SIGN], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith(f"[0, 0] {tmp_path}/loopdata-numba-"), done.stderr
