# make setup       create .venv and install; a second call does nothing
# make quickstart  from this machine's own Python sources to two trained models
# make test        all tests that this machine can run
# make check       ruff, mypy, import floors
# make bench       every benchmark
PYTHON ?= python3.11
BIN := .venv/bin
TORCH := torch==2.13.0

.PHONY: setup quickstart test check bench

setup: .venv/installed

# torch comes first and by itself: pip then takes the build for this machine, not the newest with its CUDA packages.
.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	echo "$(TORCH)" > .venv/constraint.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint .venv/constraint.txt --editable '.[dev]'
	touch .venv/installed

quickstart: setup
	$(BIN)/loopdata run configs/quickstart.yaml

test: setup
	$(BIN)/python -m pytest

check: setup
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/python -m pytest tests/test_floors.py

bench: setup
	$(BIN)/python -m benchmarks
