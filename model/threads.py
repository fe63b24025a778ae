"""How threads of torch wait for each other, decided before torch is loaded.

Enters, leaves: the environment of this process. libgomp's threads spin while they wait, which starves the very thread
they wait for as soon as another program wants a core: beside four busy processes on two cores, training of
`configs/model/1m.yaml` ran at 221 tokens/s spinning and at 795 sleeping. What the user has set stays. Limit: without
effect once torch is imported.
"""

import os


def wait_without_spinning() -> None:
    """Let waiting threads sleep. Call it before the first import of torch."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
