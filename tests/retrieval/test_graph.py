"""What is needed comes first, and the order depends on the files alone, cycles or not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopdata.retrieval.graph import ImportGraph, components
from loopdata.retrieval.places import Files
from loopdata.retrieval.references import Facts
from tests.retrieval.repository_case import graph, needs, order


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        ({"a.py": "import b", "b.py": "import c", "c.py": ""}, ["c.py", "b.py", "a.py"]),
        ({"c.py": "", "b.py": "", "a.py": ""}, ["a.py", "b.py", "c.py"]),  # where nothing decides: by path
        ({"a.py": "import b", "b.py": "import a", "c.py": "import a"}, ["a.py", "b.py", "c.py"]),  # a cycle: by path
        ({"a.py": "import z", "m.py": "", "z.py": "import y", "y.py": "import z"}, ["m.py", "y.py", "z.py", "a.py"]),
        ({}, []),
        ({"only.py": "import only"}, ["only.py"]),
    ],
)
def test_files_stand_behind_what_they_need(texts: dict[str, str], wanted: list[str]) -> None:
    assert order(texts) == wanted
    assert order(dict(reversed(texts.items()))) == wanted


EDGES = st.integers(1, 12).flatmap(
    lambda count: st.lists(st.lists(st.integers(0, count - 1), max_size=4, unique=True), min_size=count, max_size=count)
)


def reachable(needs: list[list[int]], start: int) -> set[int]:
    found, pending = {start}, [start]
    while pending:
        new = set(needs[pending.pop()]) - found
        found |= new
        pending += new
    return found


@given(needs=EDGES)
def test_components_are_the_files_that_need_each_other(needs: list[list[int]]) -> None:
    component = components(needs)
    reach = [reachable(needs, at) for at in range(len(needs))]
    for a in range(len(needs)):
        for b in range(len(needs)):
            assert (component[a] == component[b]) == (b in reach[a] and a in reach[b])


@given(needs=EDGES)
def test_every_file_has_one_place_behind_all_that_it_needs_outside_its_cycle(needs: list[list[int]]) -> None:
    found = graph({f"{at:02}.py": "" for at in range(len(needs))})
    found.needs = [tuple(others) for others in needs]
    component = components(needs)
    places = {at: place for place, at in enumerate(found.order())}
    assert sorted(places) == list(range(len(needs)))
    for at, others in enumerate(needs):
        assert all(places[other] < places[at] for other in others if component[other] != component[at])


def test_a_chain_as_long_as_a_repository_needs_no_recursion() -> None:
    count = 50_000
    assert len(set(components([[at + 1] if at + 1 < count else [0] for at in range(count)]))) == 1
    assert len(set(components([[at + 1] if at + 1 < count else [] for at in range(count)]))) == count


def test_of_files_whose_paths_end_alike_the_nearest_is_found() -> None:
    files = Files(["x/c.h", "x/y/c.h", "z/c.h", "x/y/a.c", "q/b.c"], ["C"] * 5, [Facts()] * 5)
    assert files.paths[files.ending("c.h", 3)] == "x/y/c.h"
    assert files.paths[files.ending("c.h", 4)] == "x/c.h"  # as near as z/c.h, and first by name
    assert files.paths[files.ending("z/c.h", 3)] == "z/c.h"
    assert files.ending("h", 3) is None


def test_a_file_that_passes_everything_on_is_read_once_for_all_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    names_of = ImportGraph._names
    monkeypatch.setattr(ImportGraph, "_names", lambda self, at: asked.append(at) or names_of(self, at))
    texts = {f"icons/i{n}.ts": f"export const Icon{n} = {n};\n" for n in range(20)}
    texts["icons/index.ts"] = "".join(f"export * from './i{n}';\n" for n in range(20))
    texts |= {f"app/u{n}.ts": f"import {{ Icon{n} }} from '../icons';\n" for n in range(20)}
    found = needs(texts)
    assert all(found[f"app/u{n}.ts"] == [f"icons/i{n}.ts", "icons/index.ts"] for n in range(20))
    assert sorted(asked) == list(range(20))
