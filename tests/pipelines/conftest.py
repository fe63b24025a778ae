"""One finished run over the small corpus, which tests read and do not change; and a corpus of a test's own."""

from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.corpus_case import complete, run_data, write_corpus


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the sources; not to be changed."""
    root = tmp_path_factory.mktemp("corpus")
    write_corpus(root)
    return root


@pytest.fixture(scope="session")
def finished(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a finished run; not to be changed."""
    run = tmp_path_factory.mktemp("finished") / "run"
    complete(run_data(corpus, run))
    return run


@pytest.fixture
def data(corpus: Path, tmp_path: Path) -> dict[str, Any]:
    """The same run file, with a run folder that is still empty."""
    return run_data(corpus, tmp_path / "run")
