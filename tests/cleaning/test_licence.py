"""The `licence` stage over repositories: the nearest folder, the file's own header, and what is dropped."""

from typing import Any

import pytest

from loopdata.cleaning.licence import Licence, LicenceConfig
from loopdata.config import parse
from loopdata.stage import Fate
from tests.cleaning.licences.installed import apache, gpl, mit
from tests.dedup.drive import document, drive

ALL = ["permissive", "weak_copyleft", "copyleft", "proprietary", "none", "unknown"]


def licences(
    units: dict[str, dict[str, str]], keep: list[str] = ALL, **same: Any
) -> tuple[dict[str, dict[str, Any]], dict[str, Fate]]:
    """Kept documents and fates by path; all units hold parts of one repository."""
    stage = Licence(parse(LicenceConfig, {"keep": keep}, "licence"))
    other = {"source": "s", "repo": "r", **same}
    rows = {
        unit: [document(path, text, path=path, **other) for path, text in files.items()]
        for unit, files in units.items()
    }
    return drive(stage, rows)


def named(files: dict[str, str], **same: Any) -> dict[str, tuple[str | None, str]]:
    kept, _ = licences({"u": files}, **same)
    return {path: (row["licence"], row["licence_class"]) for path, row in kept.items()}


def test_the_nearest_folder_decides() -> None:
    found = named({"a.py": "x", "lib/b.py": "x", "lib/c/d.py": "x", "LICENSE": mit(), "lib/LICENSE": apache()})
    assert found["a.py"] == found["LICENSE"] == ("MIT", "permissive")
    assert found["lib/b.py"] == found["lib/c/d.py"] == found["lib/LICENSE"] == ("Apache-2.0", "permissive")


def test_a_folder_beside_decides_nothing() -> None:
    assert named({"lib/LICENSE": mit(), "library/b.py": "x"})["library/b.py"] == (None, "none")


def test_a_header_overrides_the_repository_for_its_file() -> None:
    kept, fates = licences({"u": {"LICENSE": mit(), "a.c": "// SPDX-License-Identifier: GPL-2.0-only\n", "b.c": "x"}})
    assert (kept["a.c"]["licence"], kept["b.c"]["licence"]) == ("GPL-2.0-only", "MIT")
    assert kept["a.c"]["licence_evidence"] == [
        {"kind": "spdx_tag", "path": "a.c", "line": 1, "licence": "GPL-2.0-only"}
    ]
    conflict = "GPL-2.0-only by a.c:1 (spdx_tag) over MIT by LICENSE:3 (licence_file)"
    assert fates == {"a.c": Fate("a.c", "licence", "marked", "licence_conflict", details=conflict)}


def test_a_header_that_agrees_adds_to_the_evidence() -> None:
    kept, fates = licences({"u": {"LICENSE": mit(), "a.c": "// Released under the MIT license\n"}})
    assert [item["kind"] for item in kept["a.c"]["licence_evidence"]] == ["header_sentence", "licence_file"]
    assert fates == {}


def test_a_licence_of_the_same_class_is_no_conflict() -> None:
    _, fates = licences({"u": {"LICENSE": mit(), "a.c": "// SPDX-License-Identifier: Zlib\n"}})
    assert fates == {}


def test_what_is_not_wanted_is_dropped_with_its_evidence() -> None:
    files = {"COPYING": gpl(), "a.py": "x", "b.py": "# SPDX-License-Identifier: MIT\n"}
    kept, fates = licences({"u": files}, keep=["permissive", "none"])
    assert list(kept) == ["b.py"]
    said = "GPL-2.0-only WITH GCC-exception-2.0 by COPYING:23 (licence_file)"
    assert fates["a.py"] == Fate("a.py", "licence", "dropped", "weak_copyleft", details=said)


def test_no_evidence_is_a_class_of_its_own() -> None:
    kept, fates = licences({"u": {"a.py": "x"}}, keep=["permissive"])
    assert kept == {}
    assert fates["a.py"] == Fate("a.py", "licence", "dropped", "none", details="no evidence of a licence")


def test_a_licence_that_is_not_recognised_is_unknown() -> None:
    text = "Permission and warranty and liability lie with the moon.\n"
    assert named({"LICENSE": text, "a.py": "x"})["a.py"] == (None, "unknown")


def test_evidence_holds_wherever_in_the_repository_it_lies() -> None:
    """A repository in several inputs, its licence in the last of them, and nothing in the one between."""
    kept, _ = licences({"u1": {"a.py": "x"}, "u2": {"b.py": "x"}, "u3": {"zzz/x.py": "x", "LICENSE": mit()}})
    assert {row["licence"] for row in kept.values()} == {"MIT"}


def test_repositories_do_not_speak_for_each_other() -> None:
    stage = Licence()
    rows = [
        document("1", mit(), source="s", repo="r", path="LICENSE"),
        document("2", "x", source="s", repo="q", path="a.py"),
        document("3", "x", source="t", repo="r", path="a.py"),  # the same name in another source
    ]
    kept, _ = drive(stage, {"u": rows})
    assert [row["licence_class"] for row in kept.values()] == ["permissive", "none", "none"]


def test_a_document_without_a_repository_has_its_header_only() -> None:
    found = named({"LICENSE": mit(), "a.c": "x", "b.c": "// SPDX-License-Identifier: ISC\n"}, repo=None)
    assert found["a.c"] == (None, "none")
    assert found["b.c"] == ("ISC", "permissive")


def test_a_vague_header_takes_the_repositorys_word() -> None:
    found = named({"pyproject.toml": '[project]\nlicense = "BSD-2-Clause"\n', "a.py": "# License: BSD\n"})
    assert found["a.py"] == ("BSD-2-Clause", "permissive")


@pytest.mark.parametrize("keep", [[], ["free"]])
def test_classes_that_do_not_exist_are_refused(keep: list[str]) -> None:
    with pytest.raises(Exception, match="licence"):
        parse(LicenceConfig, {"keep": keep}, "licence")


def test_what_knows_the_licences_is_part_of_the_identity() -> None:
    assert set(Licence().identity()["versions"]) == {"license-expression", "licenseclassifier"}
