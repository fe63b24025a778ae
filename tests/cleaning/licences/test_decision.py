"""From the evidence of a folder to its licence."""

import pytest

from loopdata.cleaning.licences.decision import Evidence, agree, decide, evidence_of, kept
from loopdata.cleaning.licences.places import place_of
from tests.cleaning.licences.installed import gpl, licence_text, mit


def file(path: str, licence: str | None, **other: object) -> Evidence:
    return Evidence("licence_file", path, 1, licence)._replace(**other)


def metadata(licence: str | None, path: str = "package.json", **other: object) -> Evidence:
    return Evidence("metadata", path, 2, licence)._replace(**other)


@pytest.mark.parametrize(
    ("found", "licence", "licence_class"),
    [
        ([file("LICENSE", "MIT")], "MIT", "permissive"),
        ([metadata("MIT")], "MIT", "permissive"),
        ([file("LICENSE", None)], None, "unknown"),
        ([metadata(None)], None, "unknown"),
        ([file("LICENSE", None), metadata("MIT")], "MIT", "permissive"),  # `YEAR: 2020` beside a DESCRIPTION
        # several files hold together …
        ([file("LICENSE", "MIT"), file("COPYING", "GPL-2.0-only")], "GPL-2.0-only AND MIT", "copyleft"),
        # … unless each is named after its permissive licence, or one offers a choice
        (
            [file("LICENSE-MIT", "MIT", named=True), file("LICENSE-APACHE", "Apache-2.0", named=True)],
            "Apache-2.0 OR MIT",
            "permissive",
        ),
        (
            [file("LICENSE-MIT", "MIT", named=True), file("LICENSE-GPL", "GPL-2.0-only", named=True)],
            "GPL-2.0-only AND MIT",
            "copyleft",
        ),
        (
            [file("LICENSE", None, either=True), file("LICENSE.A", "MIT"), file("LICENSE.B", "GPL-2.0-only")],
            "MIT OR GPL-2.0-only",
            "permissive",
        ),
        ([file("COPYING", "GPL-3.0-only"), file("COPYING.LESSER", "LGPL-3.0-only")], "LGPL-3.0-only", "weak_copyleft"),
        # metadata say how files belong together, and which versions are meant
        (
            [file("LICENSE-A", "MPL-2.0"), file("LICENSE-B", "MIT"), metadata("MIT OR MPL-2.0")],
            "MIT OR MPL-2.0",
            "permissive",
        ),
        ([file("COPYING", "GPL-3.0-only"), metadata("GPL-3.0-or-later")], "GPL-3.0-or-later", "copyleft"),
        ([file("LICENSE", "MIT AND GPL-2.0-only"), metadata("MIT")], "MIT", "permissive"),
        ([file("LICENSE", "BSD-3-Clause"), metadata("LicenseRef-BSD")], "BSD-3-Clause", "permissive"),
        ([file("LICENSE", "MIT"), metadata("Apache-2.0")], "MIT", "permissive"),
        ([metadata("MIT"), metadata("GPL-2.0-only", "composer.json")], "GPL-2.0-only AND MIT", "copyleft"),
        # texts of REUSE and notices speak only where no licence file does
        ([file("LICENSE", "MIT"), file("NOTICE", "GPL-2.0-only", kind="notice")], "MIT", "permissive"),
        ([file("NOTICE", "Apache-2.0", kind="notice")], "Apache-2.0", "permissive"),
        ([file("LICENSES/MIT.txt", "MIT", kind="licence_text", inside="LICENSES", named=True)], "MIT", "permissive"),
    ],
)
def test_a_folder_has_one_licence(found: list[Evidence], licence: str | None, licence_class: str) -> None:
    decision = decide(found)
    assert decision is not None
    assert (decision.licence, decision.licence_class, decision.conflict) == (licence, licence_class, None)
    assert decide(found[::-1]) == decision


def test_files_win_over_metadata_of_another_class() -> None:
    decision = decide([file("LICENSE", "GPL-2.0-only"), metadata("MIT")])
    assert decision is not None
    assert (decision.licence, decision.licence_class) == ("GPL-2.0-only", "copyleft")
    assert decision.conflict == "MIT by package.json:2 (metadata)"


def test_nothing_decides_nothing() -> None:
    assert decide([]) is None


def test_a_folder_of_many_packages_is_no_package() -> None:
    one = metadata("MIT", "a.dist-info/METADATA", inside="a.dist-info")
    other = metadata("GPL-2.0-only", "b.dist-info/METADATA", inside="b.dist-info")
    alone = decide([one])
    assert alone is not None and alone.licence == "MIT"
    assert decide([one, other]) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("MIT", "MIT OR Apache-2.0", True),
        ("GPL-3.0-only", "GPL-3.0-or-later", True),
        ("LicenseRef-BSD", "BSD-2-Clause", True),
        ("MIT", "Apache-2.0", False),
        ("MIT AND ISC", "MIT OR Zlib", False),
    ],
)
def test_expressions_agree_where_one_speaks_of_a_part_of_the_other(one: str, other: str, same: bool) -> None:
    assert agree(one, other) is agree(other, one) is same


@pytest.mark.parametrize(
    ("path", "text", "licence"),
    [
        ("LICENSE", mit(), "MIT"),
        ("a/COPYING", gpl(), "GPL-2.0-only WITH GCC-exception-2.0"),
        ("LICENSES/ISC.txt", "words that nobody knows", "ISC"),  # REUSE names its files after what they hold
        ("package.json", '{"license": "MIT"}', "MIT"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_file_says_what_it_holds(path: str, text: str, licence: str) -> None:
    place = place_of(path)
    assert place is not None
    found = evidence_of(place, path, text)
    assert found is not None and (found.licence, found.path, found.folder) == (licence, path, place.folder)


@pytest.mark.parametrize(
    ("path", "text"),
    [("LICENSE", "YEAR: 2020\n"), ("NOTICE", "Copyright, rights, permission.\n"), ("package.json", "{}")],
)
def test_a_file_may_say_nothing(path: str, text: str) -> None:
    place = place_of(path)
    assert place is not None
    assert evidence_of(place, path, text) is None


def test_a_choice_of_other_files_is_evidence() -> None:
    found = evidence_of(place_of("LICENSE"), "LICENSE", licence_text("packaging", "LICENSE"))  # type: ignore[arg-type]
    assert found is not None and (found.licence, found.either) == (None, True)


def test_a_few_pieces_of_evidence_are_kept() -> None:
    found = [file(f"{n}/LICENSE", "MIT") for n in range(9)]
    assert [row["path"] for row in kept(found)] == [f"{n}/LICENSE" for n in range(8)]
