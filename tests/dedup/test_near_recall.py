"""Known edits of generated files: what share of the pairs from the threshold up is found, by similarity."""

import random
from collections import Counter

import pyarrow as pa
import pytest

from loopdata.dedup.grams import gram_sets, jaccard
from loopdata.dedup.near import NearConfig, NearDedup
from tests.dedup.drive import document, drive

LICENCE = "# " + " ".join(f"licence{number % 40}" for number in range(60)) + "\n"
PAIRS = 300  # of each kind of edit


def function(random_: random.Random) -> str:
    name, first, second, third = (
        f"{random_.choice(['get', 'set', 'make'])}_{random_.randrange(5_000)}" for _ in "abcd"
    )
    return (
        f"def {name}({first}, {second}):\n    if {first} is None:\n        return {second}\n"
        f"    {third} = {first} * {random_.randrange(1_000)} + {second}\n    return {third}\n\n\n"
    )


def renamed(functions: list[str], random_: random.Random) -> str:
    """A share of the functions has its names changed throughout."""
    changed = random_.randrange(1, 1 + len(functions) // 4)
    return "".join(f.replace("_", "_x") if place < changed else f for place, f in enumerate(functions))


def moved(functions: list[str], random_: random.Random) -> str:
    """Functions in another order."""
    return "".join(random_.sample(functions, len(functions)))


def licensed(functions: list[str], random_: random.Random) -> str:
    return LICENCE + "".join(functions)


def one_token(functions: list[str], random_: random.Random) -> str:
    place = random_.randrange(len(functions))
    return "".join([*functions[:place], functions[place].replace("None", "True"), *functions[place + 1 :]])


def scattered(functions: list[str], random_: random.Random) -> str:
    """Up to a quarter of the functions lose a line."""
    lines = "".join(functions).split("\n")
    gone = set(random_.sample(range(len(lines)), random_.randrange(1, len(functions) // 2)))
    return "\n".join(line for place, line in enumerate(lines) if place not in gone)


@pytest.fixture(scope="module")
def pairs() -> list[tuple[str, str, float]]:
    """Texts and their exact similarity."""
    random_ = random.Random(11)
    found = []
    for edit in (renamed, moved, licensed, one_token, scattered):
        for _ in range(PAIRS):
            functions = [function(random_) for _ in range(random_.randrange(8, 40))]
            left, right = "".join(functions), edit(functions, random_)
            sets = gram_sets(pa.array([left, right], pa.large_string()), 5)
            found.append((left, right, jaccard(*sets)))
    return found


def test_pairs_from_the_threshold_up_are_found(pairs: list[tuple[str, str, float]]) -> None:
    """At least 0.98 in each tenth of similarity, and none below the threshold."""
    left = [document(f"left{number}", pair[0]) for number, pair in enumerate(pairs)]
    right = [document(f"right{number}", pair[1], path="in/a/folder.py") for number, pair in enumerate(pairs)]
    _, fates = drive(NearDedup(NearConfig(threshold=0.7, boilerplate=None)), {"u": left, "v": right})
    there: Counter[int] = Counter()
    met: Counter[int] = Counter()
    for number, (_, _, similarity) in enumerate(pairs):
        there[int(similarity * 10)] += 1
        met[int(similarity * 10)] += f"right{number}" in fates
    assert min(there[tenth] for tenth in (7, 8, 9)) >= 200, there
    assert all(met[tenth] >= 0.98 * there[tenth] for tenth in there if tenth >= 7), (there, met)
    assert all(met[tenth] == 0 for tenth in there if tenth < 7)
    for number, (_, _, similarity) in enumerate(pairs):
        if f"right{number}" in fates:
            assert (fates[f"right{number}"].ref, fates[f"right{number}"].value) == (f"left{number}", similarity)
