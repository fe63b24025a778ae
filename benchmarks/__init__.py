"""Benchmarks beside peers, in the surroundings of a worker where those must be set before a library is loaded."""

import os

from loopdata.engine.threads import PINNED

os.environ.setdefault("MIMALLOC_PURGE_DELAY", PINNED["MIMALLOC_PURGE_DELAY"])
