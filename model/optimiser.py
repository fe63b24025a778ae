"""AdamW and the learning rate of each step.

Enters: a model and the training configuration. Leaves: an optimiser with decay on matrices only, and a schedule:
linear warm-up, then constant, then a cosine or linear way down to `min_lr` · lr over the last `decay_share` of the
steps (by default all that is left: the usual cosine; 0.2 and linear is warm-up, stable, decay). AdamW: Loshchilov &
Hutter 2019. Limit: one rate for all parameters.
"""

import math

import torch
from torch import nn

from model.train_config import TrainConfig


def make_optimiser(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW whose first group, the matrices, decays and whose second, the vectors, does not."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=True)


def learning_rate(step: int, steps: int, config: TrainConfig) -> float:
    """The rate of step 1, 2, … `steps`. The warm-up's last step has the full rate."""
    warmup = round(config.warmup * steps)
    if step <= warmup:
        return config.lr * step / warmup
    left = steps - warmup if config.decay_share is None else min(steps - warmup, round(config.decay_share * steps))
    if config.decay == "none" or step <= steps - left:
        return config.lr
    done = (step - (steps - left)) / left
    share = (1 + math.cos(math.pi * done)) / 2 if config.decay == "cosine" else 1 - done
    return config.lr * (config.min_lr + (1 - config.min_lr) * share)
