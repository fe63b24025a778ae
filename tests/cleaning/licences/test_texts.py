"""What licence files say, by real texts of installed packages."""

import pytest

from loopdata.cleaning.licences.texts import MAX_CHARACTERS, Reading, read_text
from tests.cleaning.licences.installed import apache, bsd, gpl, licence_text, mit


@pytest.mark.parametrize(
    ("text", "licence", "line"),
    [
        (mit(), "MIT", 3),  # the notice of copyright belongs to it, its title does not
        (apache(), "Apache-2.0", 2),
        (bsd(), "BSD-3-Clause", 1),
        (gpl(), "GPL-2.0-only WITH GCC-exception-2.0", 23),
        ("A title\n\n" + mit(), "MIT", 5),
        (mit().replace("\n", " "), "MIT", 1),
        (mit() + "\n" + bsd(), "MIT AND BSD-3-Clause", 3),
        ("Choose either of these licences.\n" + mit() + "\n" + gpl()[1000:], "MIT OR GPL-2.0-only", 4),
        ("MIT License\n", "MIT", 1),
        ("Apache 2.0", "Apache-2.0", 1),
        ("This program is released under the terms of the GPL v3.", "GPL-3.0-only", 1),
        ("Dual licensed under the MIT and GPL Version 2 licenses.\n", "MIT OR GPL-2.0-only", 1),
        ("Distributed under the Boost Software License, Version 1.0. See x.txt\n", "BSL-1.0", 1),
        ("I release this code into the public domain.", "LicenseRef-Public-Domain", 1),
        ("The license is at http://creativecommons.org/licenses/by-sa/3.0/ for all of it", "CC-BY-SA-3.0", 1),
        ("Same terms as Perl itself.", "GPL-1.0-or-later OR Artistic-1.0-Perl", 1),
        ("Copyright ACME.\nThis is proprietary and confidential.\n", "LicenseRef-Proprietary", 2),
        (
            mit() + "\nCommercial use needs a contract; this is for non-commercial use.",
            "MIT AND LicenseRef-Restricted",
            3,
        ),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_text_names_its_licence(text: str, licence: str, line: int) -> None:
    found = read_text(text)
    assert (found.licence, found.line) == (licence, line)


def test_licences_of_bundled_software_are_those_of_parts() -> None:
    found = read_text(mit() + "\nThis package bundles a library of another licence:\n\n" + gpl()[1000:])
    assert (found.licence, found.parts) == ("MIT", ("GPL-2.0-only",))


def test_a_grant_for_all_purposes_is_no_restriction() -> None:
    assert read_text(mit() + "\nFor commercial or non-commercial purposes.").licence == "MIT"


@pytest.mark.parametrize(
    ("text", "legal"),
    [
        ("YEAR: 2020\nCOPYRIGHT HOLDER: nobody\n", False),
        ("Everything in here is about apples.\n", False),
        ("Permission and warranty and liability lie with the moon.\n", True),
        ("", False),
    ],
)
def test_a_text_that_is_not_known_may_still_be_a_licence(text: str, legal: bool) -> None:
    assert read_text(text) == Reading(legal=legal)


def test_a_text_that_offers_a_choice_of_other_files_says_so() -> None:
    found = read_text(licence_text("packaging", "LICENSE"))
    assert (found.licence, found.either) == (None, True)


def test_only_the_beginning_of_a_huge_text_is_read() -> None:
    assert read_text("word\n" * (MAX_CHARACTERS // 5) + mit()).licence is None
    assert read_text(mit() + "word\n" * 4_000_000).licence == "MIT"
