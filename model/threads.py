"""How threads of torch wait for each other, decided before torch is loaded.

Enters, leaves: the environment of this process. libgomp's threads spin for milliseconds while they wait, which starves
the very thread they wait for as soon as another program wants a core; threads that sleep at once pay for waking a
thousand times a step. A short spin before sleep suits both. Medians of `configs/model/1m.yaml`, two loops, on two
cores, in tokens/s: quiet 2,560 asleep, 4,840 with a short spin, 4,700 spinning; beside four busy processes 1,140, 1,000
and 210. What the user has set stays. Limit: without effect once torch is imported, and on other OpenMP libraries.
"""

import os

SPINS = "1000"  # turns of a waiting loop: some microseconds


def wait_politely() -> None:
    """Let waiting threads spin for a moment, then sleep. Call it before the first import of torch."""
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ.update({"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": SPINS})
