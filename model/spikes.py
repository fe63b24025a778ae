"""The guard against loss spikes: a step whose loss leaps out of the ones before does not change the weights.

Enters: the loss of each step. Leaves: whether the step is to be taken. A loss above mean + `sigmas` · deviation of the
last `window` losses that were taken is a spike; after `patience` of them in a row the training stops, since then it is
not a batch that is odd. Limit: it looks at the loss alone; the first `window` / 4 steps are never judged.
"""

import math
from dataclasses import dataclass

from loopdata.errors import ConfigError


@dataclass(frozen=True)
class Spikes:
    """Null as `sigmas` switches the guard off."""

    sigmas: float | None = None
    window: int = 128
    patience: int = 8

    def __post_init__(self) -> None:
        if self.sigmas is not None and self.sigmas <= 0:
            raise ConfigError(f"'spikes.sigmas' is {self.sigmas!r}", "give a positive number")
        if self.window < 8 or self.patience < 1:
            raise ConfigError(f"'spikes' has window {self.window}, patience {self.patience}", "give 8 and 1 at least")

    def threshold(self, losses: list[float]) -> float:
        """The largest loss that is no spike after these, of which the last `window` count."""
        recent = losses[-self.window :]
        if self.sigmas is None or len(recent) < self.window // 4:
            return math.inf
        mean = math.fsum(recent) / len(recent)
        deviation = math.sqrt(math.fsum((loss - mean) ** 2 for loss in recent) / len(recent))
        return mean + self.sigmas * deviation
