"""The surroundings of workers: thread pools of libraries are pinned, so that the number of workers is the only dial.

Limit: the environment variables count only for libraries that are loaded afterwards; workers inherit them.
"""

import os

PINNED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "ARROW_IO_THREADS": "1",
    # Memory that pyarrow freed goes back to the system after ten seconds, not at once: the next task takes it again.
    "MIMALLOC_PURGE_DELAY": "10000",
}


def pin_threads() -> None:
    """Pin the pools of this process and of those it starts."""
    for name, value in PINNED.items():
        os.environ.setdefault(name, value)
    import pyarrow as pa  # which reads them when it is loaded

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
