"""What semantic_dedup with its built-in embedder finds that near_dedup does not, and what it drops wrongly.

Enters: Python sources of this machine, one at a time with an edit of it: five kinds of edits, functions moved as a
whole, comments gone, and copies with a share of their names changed. Leaves: by kind and threshold the share of edits
whose pair loses one of its two, and how many documents were dropped for a survivor of another source. near_dedup judges
the same documents at 0.7, over words and over masked identifiers. No peer: the truth is who was edited. Run by `python
-m benchmarks.semantic [--save]`. Limit: a drop for another source counts as wrong, also where two sources of one family
do mean the same; and blocks are moved as `edits` cuts them, at blank lines, inside strings too.
"""

import ast
import io
import random
import tokenize
from itertools import pairwise
from typing import Any

from benchmarks.contenders import source_files, use_one_core
from benchmarks.dedup_quality import edits, with_other_names
from benchmarks.harness import input_hash, report
from loopdata.config import parse
from loopdata.dedup.near import NearConfig, NearDedup
from loopdata.dedup.semantic import SemanticConfig, SemanticDedup
from loopdata.stage import CorpusStage
from tests.dedup.drive import document, drive

SOURCES = 150
THRESHOLDS = (0.8, 0.85, 0.9, 0.95, 0.98)
KINDS = ("names_5_percent", "blocks_moved", "licence", "one_token", "lines_gone")
RENAMED = (0.25, 0.5, 1.0)


def stages() -> dict[str, CorpusStage]:
    found: dict[str, CorpusStage] = {
        f"near {grams}": NearDedup(parse(NearConfig, {"grams": grams}, "near_dedup"))
        for grams in ("words", "masked_identifiers")
    }
    for threshold in THRESHOLDS:
        found[f"semantic {threshold}"] = SemanticDedup(parse(SemanticConfig, {"threshold": threshold}, "semantic"))
    return found


def with_functions_moved(text: str, draw: random.Random) -> str:
    """What stands at the top level, with its decorators and the lines up to the next, in another order."""
    body, lines = ast.parse(text).body, text.split("\n")
    starts = sorted(
        {min([node.lineno, *(found.lineno for found in getattr(node, "decorator_list", []))]) for node in body}
    )
    parts = ["\n".join(lines[first:stop]) for first, stop in pairwise([0, *(at - 1 for at in starts[1:]), len(lines)])]
    return "\n".join(draw.sample(parts, len(parts)))


def without_comments(text: str) -> str:
    found = tokenize.generate_tokens(io.StringIO(text).readline)
    return tokenize.untokenize(token for token in found if token.type != tokenize.COMMENT)


def judge(stage: CorpusStage, sources: list[str], edited: list[str]) -> dict[str, float]:
    """The share of pairs that lost one of their two, and documents dropped for a survivor of another source."""
    rows = [document(f"{at}", text, language="Python") for at, text in enumerate(sources)]
    rows += [document(f"{at}-edit", text, language="Python") for at, text in enumerate(edited)]
    _, fates = drive(stage, {"u": rows})
    of = {subject: str(fate.ref).removesuffix("-edit") for subject, fate in fates.items()}
    own = sum(ref == subject.removesuffix("-edit") for subject, ref in of.items())
    return {"found": round(own / len(sources), 3), "others": len(of) - own}


def main() -> None:
    use_one_core()
    draw = random.Random(3)
    sources = [text for text in source_files(6_000_000, step=23) if text.count("\n\n") > 8][:SOURCES]
    by_source = [edits(text, draw) for text in sources]
    sets = {kind: [found[at] for found in by_source] for at, kind in enumerate(KINDS)}
    sets |= {f"names_{share:.0%}": [with_other_names(text, share, draw) for text in sources] for share in RENAMED}
    sets["functions_moved"] = [with_functions_moved(text, draw) for text in sources]
    sets["comments_gone"] = [without_comments(text) for text in sources]
    figures: dict[str, Any] = {"sources": len(sources)}
    for name, stage in stages().items():
        figures[name] = {kind: judge(stage, sources, edited) for kind, edited in sets.items()}
        print(name, figures[name], flush=True)
    report("semantic", {}, figures, input_hash(*sources), ("numba", "numpy", "faiss-cpu"))


if __name__ == "__main__":
    main()
