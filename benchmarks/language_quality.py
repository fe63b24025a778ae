"""How often the language of a file is found when its name is of little help: real files in three odd forms.

Enters: the folder that `LANGUAGE_SAMPLES` names, with one subfolder a language (spelled as linguist spells it) of whole
files whose language their project fixes. Leaves: micro and macro accuracy of ours, of identify (names), of Magika
alone, and of names then Magika, each over the same samples, and ours by language and by form. A file gives one sample,
its form by its place in the order: as it is named, if its extension is one that languages share; without extension and
`#!` line; or 30 of its lines, without a name. Run by `python -m benchmarks.language_quality [--save]`. Limit: files of
one project resemble each other, so that a language counts no more than some twenty of them.
"""

import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from identify import identify
from magika import Magika, PredictionMode

from benchmarks.contenders import use_one_core
from benchmarks.harness import input_hash, report
from loopdata.syntax import language_model
from loopdata.syntax.file_language import of_file
from loopdata.syntax.language_names import SHARED

FRAGMENT_LINES = 30
# identify's tags that are not linguist's names in lower case
TAGS = {"c#": "cs", "f#": "fsharp", "rocq prover": "coq", "typescript": "ts", "verilog": "verilog"}


class Sample(NamedTuple):
    language: str
    form: str  # shared, bare, fragment
    name: str
    text: bytes


def samples(folder: Path) -> Iterator[Sample]:
    """One sample a file, in order."""
    for place in sorted(folder.iterdir()):
        for number, path in enumerate(sorted(place.iterdir())):
            extension = path.suffix.lower().lstrip(".")
            text = path.read_bytes().decode()
            if number % 3 == 0 and extension in SHARED:
                yield Sample(place.name, "shared", path.name, text.encode())
            elif number % 3 < 2:
                yield Sample(place.name, "bare", "sample", without_shebang(text).encode())
            else:
                yield Sample(place.name, "fragment", "sample", fragment(without_shebang(text), number).encode())


def without_shebang(text: str) -> str:
    return text.partition("\n")[2] if text.startswith("#!") else text


def fragment(text: str, seed: int) -> str:
    """Some lines from a place that is drawn."""
    lines = text.splitlines(keepends=True)
    start = random.Random(seed).randrange(max(1, len(lines) - FRAGMENT_LINES + 1))
    return "".join(lines[start : start + FRAGMENT_LINES])


def by_name(sample: Sample) -> str | None:
    """identify's answer: right where the language is among its tags, whatever else is."""
    lower = sample.language.lower()
    wanted = {lower, lower.replace(" ", "-"), TAGS.get(lower, lower)}
    return sample.language if wanted & identify.tags_from_filename(sample.name) else None


def magika_alone(network: Magika) -> Callable[[Sample], str | None]:
    """Magika's best guess, under linguist's name."""

    def guess(sample: Sample) -> str | None:
        label = str(network.identify_bytes(sample.text).prediction.output.label)
        return language_model.NAMES.get(label)

    return guess


def ours(sample: Sample) -> str | None:
    return of_file(sample.name, sample.text).language


class Score(NamedTuple):
    micro: float
    macro: float
    milliseconds: float  # a file, the median
    right: list[bool]


def judge(found: list[Sample], answer: Callable[[Sample], str | None]) -> Score:
    right, spent = [], []
    for sample in found:
        start = time.perf_counter()
        right.append(answer(sample) == sample.language)
        spent.append(time.perf_counter() - start)
    shares = by(found, right, "language").values()
    macro = sum(shares) / len(shares)
    return Score(sum(right) / len(right), macro, sorted(spent)[len(spent) // 2] * 1000, right)


def by(found: list[Sample], right: list[bool], key: str) -> dict[str, float]:
    """Accuracy by language or by form."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for sample, hit in zip(found, right, strict=True):
        groups[getattr(sample, key)].append(hit)
    return {name: round(sum(hits) / len(hits), 3) for name, hits in sorted(groups.items())}


def main() -> None:
    folder = os.environ.get("LANGUAGE_SAMPLES")
    if not folder:
        raise SystemExit("LANGUAGE_SAMPLES must name a folder with one subfolder of files a language")
    use_one_core()
    found = list(samples(Path(folder)))
    network = magika_alone(Magika(prediction_mode=PredictionMode.BEST_GUESS))
    contenders: dict[str, Callable[[Sample], str | None]] = {
        "ours": ours,
        "identify": by_name,
        "magika": network,
        "identify_then_magika": lambda sample: by_name(sample) or network(sample),
    }
    scores = {name: judge(found, answer) for name, answer in contenders.items()}
    best = scores["ours"]
    wrong = Counter((s.language, ours(s)) for s, hit in zip(found, best.right, strict=True) if not hit)
    if "--wrong" in sys.argv:
        print(*(f"{count} {a} as {b}" for (a, b), count in wrong.most_common()), sep="\n")
    figures = {
        "samples": len(found),
        "languages": len({sample.language for sample in found}),
        "scores": {
            name: {"micro": round(s.micro, 3), "macro": round(s.macro, 3), "ms_a_file": round(s.milliseconds, 2)}
            for name, s in scores.items()
        },
        "by_language": by(found, best.right, "language"),
        "by_form": by(found, best.right, "form"),
        "decided_by": dict(Counter(of_file(s.name, s.text).by for s in found)),
        "commonest_errors": {f"{a} as {b}": count for (a, b), count in wrong.most_common(8)},
    }
    ratios = {f"{name} micro": best.micro / s.micro for name, s in scores.items() if name != "ours"}
    packages = ("magika", "onnxruntime", "identify", "google-re2")
    report("language_quality", ratios, figures, input_hash(*(s.text.decode() for s in found)), packages)


if __name__ == "__main__":
    main()
