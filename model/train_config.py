"""What a training is: the frozen record of one run of `model.trainer`, and which of it makes the result.

Enters: a YAML file or mapping of these keys. Leaves: a checked TrainConfig. Own work; the names are those of DESIGN's
`train` section. Limit: a group of processes is described by torchrun's environment, not here; `batch_sequences` is of
one process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from loopdata.errors import ConfigError
from model.config import as_mapping
from model.parsing import parse, read_yaml
from model.spikes import Spikes


@dataclass(frozen=True)
class Seed:
    """`init` draws the weights. `order` shuffles each pass; without it the dataset's own order is followed."""

    init: int = 17
    order: int | None = None

    def __post_init__(self) -> None:
        if self.order is not None and self.order < 0:
            raise ConfigError(f"'seed.order' is {self.order!r}", "give 0 or more")


@dataclass(frozen=True)
class Start:
    """Begin with a dense model: one of our checkpoints with one loop, or a Llama or Qwen2 folder, `fold`ed."""

    checkpoint: str
    fold: Literal["mean", "first", "middle", "last"] = "first"


@dataclass(frozen=True)
class TrainConfig:
    """One training. Shares are of all steps; `tokens` counts positions, padding included."""

    data: str  # dataset folder
    out: str  # folder of this training: checkpoints, metrics.jsonl, result.json
    model: str | dict[str, Any]  # YAML file of a ModelConfig, or its keys
    loops: int | None = None  # instead of the model's own
    seed: Seed = field(default_factory=Seed)
    start: Start | None = None  # instead of weights drawn by the seed
    tokens: int | None = None  # how long; without tokens and steps: one pass over the dataset's order
    steps: int | None = None
    # The defaults of batch and rate suit some 1M parameters and a few hundred steps; larger models want a lower rate.
    batch_sequences: int = 1  # sequences that are on the device together
    accumulation: int = 1  # batches for each step
    context_parallel: int = 1  # processes that share each sequence: for sequences too long for one device
    # muon: torch's Muon for the matrices of the blocks, with rates matched to AdamW's; AdamW for all the rest
    optimiser: Literal["adamw", "muon"] = "adamw"
    lr: float = 8e-3
    warmup: float = 0.05
    decay: Literal["cosine", "linear", "none"] = "cosine"
    decay_share: float | None = None
    min_lr: float = 0.1  # share of lr at the end
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0  # largest norm of the gradient
    # Stability (seed, 2.2): how many of the last loops get a gradient, how much of it passes from a loop to the one
    # before, and the guard against loss spikes.
    backprop_loops: int | None = None
    loop_gradient_scale: float = 1.0
    spikes: Spikes = field(default_factory=Spikes)
    # Silent errors (seed, 2.3): every so many steps one is computed twice, and replicas are compared.
    verify_every: int | None = None
    eval_sequences: int | None = 64  # held-out sequences before and after; null: all
    checkpoint_every: int = 100  # steps
    keep: int = 2  # checkpoints
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "fp32", "bf16"] = "auto"  # bf16 is autocast: weights stay fp32
    threads: int | None = None
    compile: bool = False  # torch.compile for the blocks: tens of seconds before the first step
    tensorboard: bool = False  # beside metrics.jsonl; needs the package tensorboard

    def __post_init__(self) -> None:
        for name in ("tokens", "steps", "batch_sequences", "accumulation", "checkpoint_every", "keep", "threads",
                     "backprop_loops", "verify_every", "context_parallel"):  # fmt: skip
            value = getattr(self, name)
            self._require(name, value is None or value >= 1, "give at least 1")
        for name in ("lr", "clip"):
            self._require(name, getattr(self, name) > 0, "give a positive number")
        for name in ("warmup", "min_lr", "decay_share", "loop_gradient_scale"):
            value = getattr(self, name)
            self._require(name, value is None or 0 <= value <= 1, "give a share between 0 and 1")
        self._require("weight_decay", self.weight_decay >= 0, "give 0 or more")
        self._require("betas", all(0 <= beta < 1 for beta in self.betas), "give two numbers from 0 to below 1")
        self._require("eval_sequences", self.eval_sequences is None or self.eval_sequences >= 0, "give 0 or more")
        self._require("steps", self.steps is None or self.tokens is None, "give steps or tokens, not both")

    def _require(self, name: str, holds: bool, remedy: str) -> None:
        if not holds:
            raise ConfigError(f"'{name}' is {getattr(self, name)!r}", remedy)

    def total_steps(self, order_size: int, length: int, teams: int = 1) -> int:
        """Steps of the whole training: of `tokens` or one pass, rounded up to whole steps.

        `teams` of processes have sequences of their own.
        """
        if self.steps is not None:
            return self.steps
        sequences = order_size if self.tokens is None else -(-self.tokens // length)
        return -(-sequences // (self.batch_sequences * self.accumulation * teams))


# What may differ between the parts of one training: where and how fast it runs, not what it computes.
_FREE = (
    "data", "out", "model", "loops", "checkpoint_every", "keep", "device", "threads", "compile", "tensorboard",
    "verify_every", "batch_sequences", "accumulation", "context_parallel",
)  # fmt: skip


def load_train_config(source: str | Path | Mapping[str, Any]) -> TrainConfig:
    """The training of a YAML file or mapping."""
    return parse(TrainConfig, source if isinstance(source, Mapping) else read_yaml(source))


def identity(config: TrainConfig, teams: int = 1) -> dict[str, Any]:
    """The keys on which the result depends, apart from the model and the dataset, which are compared by themselves.

    How the sequences of a step are spread over batches and processes changes its sums in the last bits only.
    """
    spread = {"step_sequences": config.batch_sequences * config.accumulation * teams}
    return spread | {key: value for key, value in as_mapping(config).items() if key not in _FREE}
