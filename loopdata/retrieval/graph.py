"""The import graph of a repository: which file needs which, and an order in which what is needed comes first.

Enters: `Files`. Leaves: `ImportGraph`, for each file the files that it needs, in the order in which it names them; a
name that is only passed on (index files, `__init__.py`, `pub use`) leads to the file that defines it, before the one
that passes it on. `order` is topological: strongly connected components (Tarjan 1972, iterative) in the order of Kahn
(1962), ties and cycles by path, so that it depends on nothing but the files. Limit: a name is followed through
MAX_STEPS files at most.
"""

import heapq
import itertools
from collections.abc import Iterator, Sequence
from typing import Protocol

from loopdata.retrieval.places import Files
from loopdata.retrieval.references import EVERYTHING, Reference
from loopdata.retrieval.rules_modules import PythonRules, RustRules, ScriptRules
from loopdata.retrieval.rules_packages import CRules, GoRules, JavaRules

MAX_STEPS = 16

# Of the names that a file passes on: place among its ways, file and name there; then the ways for whatever name.
Ways = tuple[dict[str, list[tuple[int, int, str]]], list[tuple[int, int]]]


class Rules(Protocol):
    """The path rules of a language."""

    def __init__(self, files: Files) -> None: ...

    def targets(self, at: int, target: str, name: str) -> list[int]:
        """The files that `name` of `target` may lie in; all of it where the name is empty."""
        ...


RULES: dict[str, type[Rules]] = {
    "C": CRules,
    "C++": CRules,
    "Go": GoRules,
    "Java": JavaRules,
    "JavaScript": ScriptRules,
    "Python": PythonRules,
    "Rust": RustRules,
    "TSX": ScriptRules,
    "TypeScript": ScriptRules,
}
_PASS_NAMES_ON = (PythonRules, ScriptRules, RustRules)


class ImportGraph:
    """`needs[i]` are the files that file i needs, without itself and without repeats."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._rules: dict[type[Rules], Rules] = {kind: kind(files) for kind in set(RULES.values())}
        self._ways: dict[int, Ways] = {}
        self._known: dict[tuple[int, str, str], list[int]] = {}  # an index file is asked for each of its names
        self.needs = [tuple(dict.fromkeys(to for to in self._of(at) if to != at)) for at in range(len(files.paths))]

    def _of(self, at: int) -> Iterator[int]:
        rules = self._rules_of(at)
        if rules is None:
            return
        for reference in self.files.facts[at].references:
            for name in [there for there, _ in reference.names] or [""]:
                yield from self._followed(at, reference, name)
        if isinstance(rules, JavaRules | GoRules):
            yield from rules.implicit(at)

    def _rules_of(self, at: int) -> Rules | None:
        kind = RULES.get(self.files.languages[at] or "")
        return None if kind is None else self._rules[kind]

    def _targets(self, at: int, reference: Reference, name: str) -> list[int]:
        key = at, reference.target, name
        if key not in self._known:
            rules = self._rules_of(at)
            self._known[key] = [] if rules is None else rules.targets(*key)
        return self._known[key]

    def _followed(self, at: int, reference: Reference, name: str) -> Iterator[int]:
        """The files that define a name, then those on the way to them."""
        way: list[int] = []
        ends: list[int] = []
        pending = [(target, name) for target in self._targets(at, reference, name)]
        for _ in range(MAX_STEPS):
            if not pending:
                break
            here, name = pending.pop(0)
            if here in way or here in ends:
                continue
            further = list(self._passed_on(here, name))
            (way if further else ends).append(here)
            pending += further
        yield from ends
        yield from reversed(way)

    def _passed_on(self, at: int, name: str) -> Iterator[tuple[int, str]]:
        """Where a file has a name from that it does not define; all that it imports where it defines nothing."""
        facts, rules = self.files.facts[at], self._rules_of(at)
        if not isinstance(rules, _PASS_NAMES_ON) or name in facts.defines:
            return
        if not name and (facts.defines or isinstance(rules, RustRules)):
            return
        if not name:
            for reference in facts.references:
                for there, _ in reference.names or (("", ""),):
                    yield from ((target, there) for target in self._targets(at, reference, there))
            return
        ways, open_ways = self._ways_of(at)
        found = ways.get(name, [])
        if name != EVERYTHING:
            found = sorted([*found, *((place, target, name) for place, target in open_ways)])
        yield from ((target, there) for _, target, there in found)

    def _ways_of(self, at: int) -> Ways:
        """The ways of all names at once: a file that passes thousands on is asked for each of them."""
        if at not in self._ways:
            ways: dict[str, list[tuple[int, int, str]]] = {}
            open_ways: list[tuple[int, int]] = []
            count = itertools.count()
            for reference in self.files.facts[at].references:
                for there, here in reference.names:
                    for target in self._targets(at, reference, there):
                        place = next(count)
                        ways.setdefault(here, []).append((place, target, there))
                        if here == EVERYTHING:
                            names = self._names(target)
                            if EVERYTHING in names:
                                open_ways.append((place, target))
                                continue
                            for name in names:
                                ways.setdefault(name, []).append((place, target, name))
            self._ways[at] = ways, open_ways
        return self._ways[at]

    def _names(self, at: int) -> set[str]:
        """What a file defines or passes on."""
        facts = self.files.facts[at]
        return {*facts.defines, *(here for reference in facts.references for _, here in reference.names)}

    def order(self) -> list[int]:
        """All files, each behind those that it needs; within a cycle, and where nothing decides, by path."""
        rank = [0] * len(self.needs)
        for place, at in enumerate(sorted(range(len(rank)), key=lambda at: (self.files.paths[at], at))):
            rank[at] = place
        component = components(self.needs)
        members: dict[int, list[int]] = {}
        for at in sorted(range(len(rank)), key=rank.__getitem__):
            members.setdefault(component[at], []).append(at)
        ranks = {one: rank[files[0]] for one, files in members.items()}
        return [at for one in _kahn(self.needs, component, ranks) for at in members[one]]


def _kahn(needs: Sequence[Sequence[int]], component: Sequence[int], rank: dict[int, int]) -> Iterator[int]:
    """Components, each behind those that it needs, the one of the lowest rank first."""
    needed_by: dict[int, set[int]] = {one: set() for one in rank}
    missing = dict.fromkeys(rank, 0)
    for at, others in enumerate(needs):
        for other in {component[other] for other in others} - {component[at]}:
            if component[at] not in needed_by[other]:
                needed_by[other].add(component[at])
                missing[component[at]] += 1
    ready = [(rank[one], one) for one, count in missing.items() if count == 0]
    heapq.heapify(ready)
    while ready:
        _, one = heapq.heappop(ready)
        yield one
        for other in needed_by[one]:
            missing[other] -= 1
            if missing[other] == 0:
                heapq.heappush(ready, (rank[other], other))


def components(needs: Sequence[Sequence[int]]) -> list[int]:
    """The number of each file's strongly connected component."""
    component, low = [-1] * len(needs), [0] * len(needs)
    number: dict[int, int] = {}
    open_files: list[int] = []
    count = 0
    for root in range(len(needs)):
        if root in number:
            continue
        path = [(root, iter(needs[root]))]
        number[root] = low[root] = len(number)
        open_files.append(root)
        while path:
            at, others = path[-1]
            for other in others:
                if other not in number:
                    number[other] = low[other] = len(number)
                    open_files.append(other)
                    path.append((other, iter(needs[other])))
                    break
                if component[other] < 0:
                    low[at] = min(low[at], number[other])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[at])
                if low[at] == number[at]:
                    while component[at] < 0:
                        component[open_files.pop()] = count
                    count += 1
    return component
