"""What near dedup finds and what it leaves: neighbouring versions from git history, and known edits of real files.

Enters: the history of this checkout, and Python sources of this machine. Leaves: for each threshold the share of pairs
found, by tenth of the exact Jaccard similarity of what counts of them: `alone` if the two share a band and their
estimate is worth a comparison, `together` unless both stay among all the others, where a third file may be the survivor
of either; how many documents were dropped although their survivor is less like them than the threshold (none may be);
the error of the estimates over theory; and of copies with a share of their names changed how many are found, by words
and by masked identifiers.
No peer: the truth is the exact similarity. Run by `python -m benchmarks.dedup_quality [--save]`. Limit: pairs that are
not named here, such as two files of one family, are not looked at.
"""

import keyword
import math
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pygit2

from benchmarks.contenders import source_files, use_one_core
from benchmarks.harness import input_hash, report
from loopdata.config import parse
from loopdata.dedup.boilerplate import head_lines, without
from loopdata.dedup.grams import gram_sets, jaccard
from loopdata.dedup.minhash import band_hashes, sign
from loopdata.dedup.near import NearConfig, NearDedup
from tests.dedup.drive import document, drive

RENAMED = (0.1, 0.3, 1.0)  # shares of names
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
LICENCE = "# Permission is hereby granted, free of charge, to any person obtaining a copy of this software\n" * 3
Pair = tuple[str, str]


def git_neighbours(most: int) -> list[Pair]:
    """Files before and after a commit, along the first parents."""
    repository = pygit2.Repository(str(Path(__file__).parents[1]))
    pairs: list[Pair] = []
    commit = repository.head.peel(pygit2.Commit)
    while commit.parents and len(pairs) < most:
        for delta in commit.parents[0].tree.diff_to_tree(commit.tree).deltas:
            if delta.status == pygit2.enums.DeltaStatus.MODIFIED and delta.new_file.path.endswith((".py", ".md")):
                sides = (repository[side.id].data.decode() for side in (delta.old_file, delta.new_file))
                pairs.append((next(sides), next(sides)))
        commit = commit.parents[0]
    return pairs[:most]


def edits(text: str, draw: random.Random) -> list[str]:
    """Renamed identifiers, moved blocks, a licence, one changed token, lines that are gone."""
    names = sorted(set(re.findall(r"[a-z_]{4,}", text)))
    renamed = text
    for name in draw.sample(names, max(1, len(names) // 20)):
        renamed = re.sub(rf"\b{name}\b", f"{name}_new", renamed)
    blocks, lines = text.split("\n\n"), text.split("\n")
    gone = draw.uniform(0.0, 0.12)
    kept = [line for line in lines if draw.random() > gone]
    one = re.sub(r"\w+", "changed", text, count=1)
    return [renamed, "\n\n".join(draw.sample(blocks, len(blocks))), LICENCE + text, one, "\n".join(kept)]


def meet(pairs: list[Pair], threshold: float) -> list[bool]:
    """Whether the two would be compared exactly if there were nothing else."""
    rule = NearDedup(NearConfig(threshold=threshold)).rule
    left, right = (
        sign(pa.array(side, pa.large_string()), rule.permutations, 5)[0] for side in zip(*pairs, strict=True)
    )
    hashes = [band_hashes(side, *rule.bands) for side in (left, right)]
    worth = np.mean(left == right, axis=1) >= rule.floor
    return [bool(met) for met in (hashes[0] == hashes[1]).any(axis=1) & worth]


def with_other_names(text: str, share: float, draw: random.Random) -> str:
    """Names that are assigned, or given as parameters, changed wherever they stand; a share of them."""
    names = sorted(set(re.findall(r"\b([a-z_]\w*)\s*(?:=[^=]|,|\))", text)) - set(keyword.kwlist))
    chosen = draw.sample(names, round(len(names) * share))
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, chosen))})\b") if chosen else re.compile("(?!)")
    return pattern.sub(lambda found: f"other_{found[0]}", text)


def renamed(sources: list[str], draw: random.Random) -> dict[str, dict[str, dict[str, float]]]:
    """The share of renamed copies that are dropped, and how many others, by kind of grams and share of names."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for share in RENAMED:
        rows = [document(f"{place}", text, language="Python") for place, text in enumerate(sources)]
        copies = [with_other_names(text, share, draw) for text in sources]
        rows += [document(f"{place}-copy", text, language="Python") for place, text in enumerate(copies)]
        for grams in ("words", "masked_identifiers"):
            _, fates = drive(NearDedup(parse(NearConfig, {"grams": grams}, "near_dedup")), {"u": rows})
            pairs = sum(fate.ref == subject.removesuffix("-copy") for subject, fate in fates.items())
            counts = {"found": round(pairs / len(sources), 4), "others": len(fates) - pairs}
            found.setdefault(grams, {})[str(share)] = counts
    return found


def judge(pairs: list[Pair], counting: dict[str, str], threshold: float) -> dict[str, Any]:
    """Recall by tenth of similarity, and false drops, at one threshold; `counting` is of each text what counts."""
    counted = [(counting[left], counting[right]) for left, right in pairs]
    similarity = [exact_similarity(*pair) for pair in counted]
    texts = {text: f"d{number}" for number, text in enumerate(dict.fromkeys(text for pair in pairs for text in pair))}
    rows = [document(doc_id, text) for text, doc_id in texts.items()]
    _, fates = drive(NearDedup(NearConfig(threshold=threshold)), {"u": rows})
    there, alone, together = (Counter[str]() for _ in range(3))
    for (left, right), value, met in zip(pairs, similarity, meet(counted, threshold), strict=True):
        if value >= threshold:
            tenth = f"{math.floor(value * 10) / 10:.1f}"
            there[tenth] += 1
            alone[tenth] += met
            together[tenth] += texts[left] in fates or texts[right] in fates
    by_id = {doc_id: counting[text] for text, doc_id in texts.items()}
    exact = {subject: exact_similarity(by_id[subject], by_id[str(fate.ref)]) for subject, fate in fates.items()}
    false = sum(value < threshold for value in exact.values())
    bins = {
        tenth: {"pairs": n, "alone": round(alone[tenth] / n, 4), "together": round(together[tenth] / n, 4)}
        for tenth, n in sorted(there.items())
    }
    return {"dropped": len(fates), "false_drops": false, "recall": bins}


def without_boilerplate(texts: list[str]) -> dict[str, str]:
    """What counts for similarity of each text: it without lines that too many heads of all have."""
    texts = list(dict.fromkeys(texts))
    column = pa.array(texts, pa.large_string())
    lines, counts = head_lines(column)
    counting = without(column, lines[counts > (NearConfig().boilerplate or 0)])
    return dict(zip(texts, counting.to_pylist(), strict=True))


def exact_similarity(left: str, right: str) -> float:
    return jaccard(*gram_sets(pa.array([left, right], pa.large_string()), 5))


def error_over_theory(pairs: list[Pair], similarity: list[float]) -> float:
    left, right = (sign(pa.array(side, pa.large_string()), 112, 5)[0] for side in zip(*pairs, strict=True))
    exact = np.array(similarity)
    error = math.sqrt(float(np.mean((np.mean(left == right, axis=1) - exact) ** 2)))
    return round(error / math.sqrt(float(np.mean(exact * (1 - exact))) / 112), 3)


def main() -> None:
    use_one_core()
    draw = random.Random(3)
    neighbours = git_neighbours(400)
    sources = [text for text in source_files(6_000_000, step=23) if text.count("\n\n") > 8][:300]
    edited = [(text, edit) for text in sources for edit in edits(text, draw)]
    pairs = [pair for pair in neighbours + edited if pair[0] != pair[1]]
    similarity = [exact_similarity(*pair) for pair in pairs]
    counting = without_boilerplate([text for pair in pairs for text in pair])
    curves = {str(threshold): judge(pairs, counting, threshold) for threshold in THRESHOLDS}
    if any(curve["false_drops"] for curve in curves.values()):
        raise SystemExit("a document was dropped that is not like its survivor")
    figures = {
        "pairs": {"git": len(neighbours), "edits": len(edited)},
        "error_over_theory": error_over_theory(pairs, similarity),
        "renamed": renamed(sources[:150], draw),
        "thresholds": curves,
    }
    report("dedup_quality", {}, figures, input_hash(*(text for pair in pairs for text in pair)), ("numba", "pyarrow"))


if __name__ == "__main__":
    main()
