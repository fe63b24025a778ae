"""Generation with a cache: the looped model beside a dense one as deep as its passes, and beside no cache at all.

Enters: the 15M model with two loops, a dense one of twice the layers, random weights, one prompt. Leaves: tokens a
second of each, CPU time on one core, after a check that the cache gives the tokens of whole passes; bytes of both
caches at several lengths. Run by `python -m benchmarks.generation [--save]`. Limit: one sequence; a GPU is not used.
"""

import sys

import torch

from benchmarks.contenders import measure, median, ratios, spread, use_one_core
from benchmarks.harness import input_hash, report
from kernels.documents import Documents
from model.config import ModelConfig, load_model_config
from model.generation import cache_bytes, generate
from model.looped import LoopedTransformer

MODEL, VOCABULARY, PROMPT, TOKENS = "configs/model/15m.yaml", 8_192, 256, 64
LENGTHS = (1_024, 8_192, 131_072)


def models() -> tuple[LoopedTransformer, LoopedTransformer]:
    looped = load_model_config(MODEL, VOCABULARY, loops=2)
    dense = ModelConfig(**{**vars(looped), "layers": 2 * looped.layers, "loops": 1})
    return LoopedTransformer(looped), LoopedTransformer(dense)


@torch.no_grad()
def without_cache(model: LoopedTransformer, prompt_BT: torch.Tensor, tokens: int) -> list[list[int]]:
    """Whole passes, one a token."""
    all_BT = prompt_BT
    for _ in range(tokens):
        states_BTD = model(all_BT, Documents.whole(*all_BT.shape))
        all_BT = torch.cat([all_BT, (states_BTD[:, -1:] @ model.readout.T).argmax(-1)], dim=1)
    found: list[list[int]] = all_BT[:, prompt_BT.shape[1] :].tolist()
    return found


def main() -> None:
    use_one_core()
    torch.set_num_threads(1)
    looped, dense = models()
    prompt_BT = torch.randint(VOCABULARY, (1, PROMPT), generator=torch.Generator().manual_seed(17))
    if generate(looped, prompt_BT, 8) != without_cache(looped, prompt_BT, 8):
        sys.exit("the cache gives other tokens than whole passes")
    seconds = measure(
        {
            "ours": lambda: generate(looped, prompt_BT, TOKENS),
            "dense_twice_as_deep": lambda: generate(dense, prompt_BT, TOKENS),
            "without_cache": lambda: without_cache(looped, prompt_BT, TOKENS),
        }
    )
    figures = {
        "tokens_per_second": {name: round(TOKENS / median(times), 1) for name, times in seconds.items()},
        "cache_bytes_bf16": {str(length): cache_bytes(looped.config, length) for length in LENGTHS},
        "seconds": spread(seconds),
    }
    report("generation", ratios(seconds), figures, input_hash(MODEL, str((PROMPT, TOKENS))), ("torch",))


if __name__ == "__main__":
    main()
