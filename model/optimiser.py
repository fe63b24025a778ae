"""The optimisers of a model, and the learning rate of each step.

Enters: a model and the training configuration. Leaves: optimisers with decay on matrices only, and a schedule: linear
warm-up, then constant, then a cosine or linear way down to `min_lr` · lr over the last `decay_share` of the steps (by
default all that is left: the usual cosine; 0.2 and linear is warm-up, stable, decay). AdamW: Loshchilov & Hutter 2019;
Muon: Jordan et al. 2024, torch's. Limit: one rate for all parameters.
"""

import math

import torch
from torch import nn

from model.train_config import TrainConfig

Optimisers = tuple[torch.optim.Optimizer, ...]


def make_optimisers(model: nn.Module, config: TrainConfig) -> Optimisers:
    """AdamW whose first group, the matrices, decays and whose second, the vectors, does not; with `muon`, Muon for the
    matrices of the blocks, and AdamW for the rest."""
    by_muon = _block_matrices(model) if config.optimiser == "muon" else []
    taken = {id(parameter) for parameter in by_muon}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in taken]
    groups = [
        {"params": [p for p in rest if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=True)
    if not by_muon:
        return (adamw,)
    # This rule gives an update the size that AdamW's would have, so that one rate and schedule serve both.
    muon = torch.optim.Muon(by_muon, lr=config.lr, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw")
    return (muon, adamw)


def _block_matrices(model: nn.Module) -> list[nn.Parameter]:
    return [p for name, p in model.named_parameters() if name.startswith("blocks.") and p.ndim == 2]


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
