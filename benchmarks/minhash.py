"""Signatures of 112 permutations over word 5-grams, beside rensa, datasketch and datatrove, on one core.

Enters: Python sources of this machine. Leaves: CPU seconds and MB/s of each, after checks that all of them estimate the
similarity of edited files: ours, rensa and datasketch from the same grams, datatrove from its own, normalised ones.
Peers get what they are fastest with: lists of texts, one regular expression for words, rensa its batch call, datasketch
xxh3 and its default scheme, datatrove xxh3 and a regular expression in the place of its word tokenizer. Run by `python
-m benchmarks.minhash [--save]`. Limit: Python alone; other languages have words of other lengths.
"""

import math
import os
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.contenders import measure, median, ratios, source_files, spread, use_one_core
from benchmarks.harness import input_hash, report

PERMUTATIONS, WORDS = 112, 5
MAX_BYTES = 16_000_000
WORD = re.compile(r"\w+", re.ASCII)
Grams = list[str]


def grams_of(text: str) -> Grams:
    """Word 5-grams as joined strings, what the peers are fed with."""
    words = WORD.findall(text)
    return list(map(" ".join, zip(*(words[at:] for at in range(WORDS)), strict=False)))


def ours() -> Callable[[list[str]], np.ndarray]:
    from loopdata.dedup.minhash import sign

    return lambda texts: sign(pa.array(texts, pa.large_string()), PERMUTATIONS, WORDS)[0]


def rensa() -> Callable[[list[str]], Any]:
    from rensa import RMinHash

    def run(texts: list[str]) -> Any:
        return RMinHash.digest_matrix_from_token_sets(list(map(grams_of, texts)), PERMUTATIONS, 1)

    return run


def datasketch() -> Callable[[list[str]], list[np.ndarray]]:
    from datasketch import MinHash
    from xxhash import xxh3_64_intdigest

    def low(value: bytes) -> int:
        return int(xxh3_64_intdigest(value)) & 0xFFFFFFFF

    permutations = MinHash(PERMUTATIONS, hashfunc=low).permutations

    def run(texts: list[str]) -> list[np.ndarray]:
        found = []
        for text in texts:
            sketch = MinHash(PERMUTATIONS, hashfunc=low, permutations=permutations, scheme="affine32")
            sketch.update_batch([gram.encode() for gram in grams_of(text)])
            found.append(sketch.hashvalues)
        return found

    return run


def datatrove_minhash() -> Any:
    """datatrove's module, with a regular expression in the place of its word tokenizer."""
    os.environ["TQDM_DISABLE"] = "1"
    from datatrove.pipeline.dedup import minhash

    minhash.logger.disable("datatrove")

    class Words:
        def word_tokenize(self, text: str) -> list[str]:
            return WORD.findall(text)

    minhash.load_word_tokenizer = lambda language: Words()
    return minhash


def datatrove_step() -> Any:
    minhash = datatrove_minhash()
    config = minhash.MinhashConfig(n_grams=WORDS, num_buckets=14, hashes_per_bucket=8)
    return minhash.MinhashDedupSignature("memory://signatures", config)


def datatrove() -> Callable[[list[str]], list[np.ndarray]]:
    step = datatrove_step()

    def run(texts: list[str]) -> list[np.ndarray]:
        shingles = (step.get_shingles(text) for text in texts)
        none = np.zeros(PERMUTATIONS, np.uint64)
        return [np.concatenate(step.get_signature(found)) if found.size else none for found in shingles]

    return run


def check_estimates(contenders: dict[str, Any], texts: list[str]) -> dict[str, float]:
    """Error of each estimate over files and their edits, as a share of what theory allows: none may be 1.2 or more."""
    long = [text for text in texts if text.count("\n") > 60][:400]
    edits = ["\n".join(line for at, line in enumerate(text.split("\n")) if at % 25) for text in long]
    step = datatrove_step()
    found = {}
    for name, run in contenders.items():
        left, right = (_rows(run(side)) for side in (long, edits))
        sets = (
            (lambda text: set(step.get_shingles(text).ravel())) if name == "datatrove" else lambda t: set(grams_of(t))
        )
        exact = np.array([_jaccard(sets(a), sets(b)) for a, b in zip(long, edits, strict=True)])
        error = math.sqrt(float(np.mean((np.mean(left == right, axis=1) - exact) ** 2)))
        found[name] = round(error / math.sqrt(float(np.mean(exact * (1 - exact))) / PERMUTATIONS), 3)
        if found[name] >= 1.2:
            raise SystemExit(f"{name} does not estimate: its error is {found[name]} times that of theory")
    return found


def _rows(signatures: Any) -> np.ndarray:
    return np.array(signatures.to_rows() if hasattr(signatures, "to_rows") else signatures)


def _jaccard(left: set[Any], right: set[Any]) -> float:
    return len(left & right) / len(left | right)


def main() -> None:
    use_one_core()
    texts = source_files(MAX_BYTES, step=7)
    size = sum(len(text.encode()) for text in texts) / 1e6
    contenders = {"ours": ours(), "rensa": rensa(), "datasketch": datasketch(), "datatrove": datatrove()}
    errors = check_estimates(contenders, texts)
    print(f"{len(texts)} files, {size:.1f} MB; error of the estimates over theory: {errors}", flush=True)
    seconds = measure({name: partial(run, texts) for name, run in contenders.items()})
    figures = {
        "files": len(texts),
        "mb": round(size, 2),
        "mb_per_second": {name: round(size / median(times), 1) for name, times in seconds.items()},
        "error_over_theory": errors,
        "seconds": spread(seconds),
    }
    packages = ("numba", "numpy", "pyarrow", "rensa", "datasketch", "datatrove")
    report("minhash", ratios(seconds), figures, input_hash(*texts), packages)


if __name__ == "__main__":
    main()
