"""Names of licences: what people write, and what it asks for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopdata.cleaning.licences.names import all_of, any_of, class_of, expression_of, licences_in


@pytest.mark.parametrize(
    ("written", "expression"),
    [
        ("MIT", "MIT"),
        ("The MIT License (MIT)", "MIT"),
        ("mit", "MIT"),
        ("Apache 2.0", "Apache-2.0"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("ASL 2", "Apache-2.0"),
        ("BSD", "LicenseRef-BSD"),
        ("3-Clause BSD License", "BSD-3-Clause"),
        ("GPLv3", "GPL-3.0-only"),
        ("GPLv3+", "GPL-3.0-or-later"),
        ("GNU General Public License v3 or later (GPLv3+)", "GPL-3.0-or-later"),
        ("GNU Lesser General Public License v2.1", "LGPL-2.1-only"),
        ("GPL", "GPL-1.0-or-later"),
        ("Mozilla Public License 2.0 (MPL 2.0)", "MPL-2.0"),
        ("ISC License (ISCL)", "ISC"),
        ("CC BY-NC 4.0", "CC-BY-NC-4.0"),
        ("Creative Commons Attribution-ShareAlike 4.0 International", "CC-BY-SA-4.0"),
        ("UNLICENSED", "LicenseRef-Proprietary"),
        ("Unlicense", "Unlicense"),
        ("GPL-2.0", "GPL-2.0-only"),  # a deprecated name
        ("GPL-2.0-or-later WITH Classpath-exception-2.0", "GPL-2.0-or-later WITH Classpath-exception-2.0"),
        ("MIT/Apache-2.0", "MIT OR Apache-2.0"),
        ("Apache License, Version 2.0 or MIT", "Apache-2.0 OR MIT"),
        ("MIT, BSD", "MIT AND LicenseRef-BSD"),  # a comma offers no choice
        ("GPLv2 with linking exception", "GPL-2.0-only"),  # which exception is not known: the stricter reading
    ],
)
def test_a_written_name_becomes_an_expression(written: str, expression: str) -> None:
    assert expression_of(written) == expression


@pytest.mark.parametrize(
    "written", ["", "Dual License", "SEE LICENSE IN x.txt", "MITRE", "foo OR MIT", "Apache-2.0 AND"]
)
def test_what_names_no_licence_has_no_expression(written: str) -> None:
    assert expression_of(written) is None


def test_a_name_has_an_end() -> None:
    assert expression_of("MIT" + " " * 1_000) == "MIT"
    assert expression_of(" OR ".join(["MIT"] * 72)) is not None  # 500 characters
    assert expression_of(" OR ".join(["MIT"] * 73)) is None  # 507


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("MIT", "permissive"),
        ("CC0-1.0", "permissive"),
        ("LicenseRef-BSD-1-Clause-Clear", "permissive"),  # known by its text, in no index
        ("MPL-2.0", "weak_copyleft"),
        ("LGPL-2.1-or-later", "weak_copyleft"),
        ("AGPL-3.0-only", "copyleft"),
        ("SSPL-1.0", "proprietary"),
        ("CC-BY-NC-4.0", "proprietary"),
        ("Apache-2.0 AND CommonsClause", "proprietary"),
        ("LicenseRef-Something", "unknown"),
        ("MIT OR GPL-3.0-only", "permissive"),  # the most permissive branch
        ("MIT AND GPL-3.0-only", "copyleft"),  # the strictest part
        ("MPL-2.0 AND (GPL-2.0-only OR MIT)", "weak_copyleft"),
        ("MIT OR LicenseRef-Something", "permissive"),
        ("GPL-2.0-only AND LicenseRef-Something", "unknown"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "weak_copyleft"),  # an exception permits more
        ("Apache-2.0 WITH LLVM-exception", "permissive"),
        ("MIT WITH Classpath-exception-2.0", "permissive"),  # and never less
    ],
)
def test_an_expression_has_a_class(expression: str, found: str) -> None:
    assert class_of(expression) == found


def test_joined_expressions_keep_their_meaning() -> None:
    assert all_of(["MIT", "MIT"]) == "MIT"
    assert all_of(["MIT", "GPL-2.0-only OR MPL-2.0"]) == "MIT AND (GPL-2.0-only OR MPL-2.0)"
    assert any_of(["MIT", "Zlib AND ISC"]) == "MIT OR (Zlib AND ISC)"


def test_licences_are_compared_without_what_texts_do_not_tell() -> None:
    assert licences_in("GPL-2.0-or-later AND (MIT OR LGPL-3.0-only)") == {"GPL-2.0", "MIT", "LGPL-3.0"}


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_name_is_read_and_reads_the_same_again(name: str) -> None:
    found = expression_of(name)
    assert found is None or expression_of(found) == found
