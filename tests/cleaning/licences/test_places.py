"""Which files are evidence, and for which folder they speak."""

import pytest

from loopdata.cleaning.licences.places import Place, folders_above, place_of


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("LICENSE", Place("licence_file", "")),
        ("a/b/LICENCE.md", Place("licence_file", "a/b")),
        ("COPYING3", Place("licence_file", "")),
        ("License.txt", Place("licence_file", "")),
        ("LICENSE-MIT", Place("licence_file", "", named=True)),
        ("LICENSE.APACHE", Place("licence_file", "", named=True)),
        ("COPYING.LESSER", Place("licence_file", "", named=True)),
        ("GPL-LICENSE.txt", Place("licence_file", "", named=True)),
        ("x/LICENSES/MIT.txt", Place("licence_text", "x", "x/LICENSES", True)),
        ("NOTICE.txt", Place("notice", "")),
        ("package.json", Place("metadata", "")),
        ("a/b.gemspec", Place("metadata", "a")),
        ("p-1.dist-info/METADATA", Place("metadata", "", "p-1.dist-info")),
        ("lib/p-1.dist-info/licenses/LICENSE", Place("licence_file", "lib", "lib/p-1.dist-info")),
        ("src/p.egg-info/PKG-INFO", Place("metadata", "src", "src/p.egg-info")),
        ("META-INF/LICENSE", Place("licence_file", "", "META-INF")),
    ],
)
def test_evidence_is_told_by_its_path(path: str, place: Place) -> None:
    assert place_of(path) == place


@pytest.mark.parametrize(
    "path",
    [
        "license.py", "License.java", "licence_test.go", "LICENSE.template", "licenses.json", "src/license/index.ts",
        "LICENSE-3RD-PARTY", "LICENSE.thirdparty", "ThirdPartyNotices.txt", "HAVEN_LICENSE", "jquery.LICENSE.txt",
        "LICENSE-DOCS", "sub/NOTICE", "my-package.json", "MPL-2.0", "METADATA.yaml",
    ],
)  # fmt: skip
def test_near_misses_are_no_evidence(path: str) -> None:
    assert place_of(path) is None


def test_the_nearest_folder_comes_first() -> None:
    assert folders_above("a/b/c.py") == ["a/b", "a", ""]
    assert folders_above("c.py") == [""]
