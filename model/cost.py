"""What a model costs: parameters and floating point operations a token.

Enters: a model and a sequence length. Leaves: counts. Operations are those of training, forward and backward:
6·(R·N_block + N_head), and attention counted causally, 6·H·d·T a layer for each global pass and 12·H·d·W for each
local one. Limit: a window wider than half the sequence is counted as T/2, and document masks, which save work, are not.
"""

from model.looped import LoopedTransformer


def count_parameters(model: LoopedTransformer) -> dict[str, int]:
    """All parameters, and those that are neither embedding nor readout."""
    total = sum(parameter.numel() for parameter in model.parameters())
    tables = model.embedding.weight.numel() + (0 if model.head is None else model.head.weight.numel())
    return {"total": total, "non_embedding": total - tables}


def flops_per_token(model: LoopedTransformer, length: int, loops: int | None = None) -> int:
    """Operations a token in training, for sequences of `length` tokens; of all loops, or of the first `loops`."""
    config, loops = model.config, loops or model.config.loops
    block = sum(parameter.numel() for parameter in model.blocks.parameters())
    width = config.layers * config.heads * config.head_dim
    local = 12 * width * min(config.window, length // 2) * (loops - 1)
    return 6 * (loops * block + model.readout.numel()) + 6 * width * length * loops + local
