"""What package metadata declare."""

import pytest

from loopdata.cleaning.licences.metadata import MAX_CHARACTERS, Declared, declared

POM = """<project>
  <name>x</name>
  <licenses>
    <license>
      <url>https://example.org</url><name>Apache License, Version 2.0</name>
    </license>
    <license><name>GNU GPL v2</name></license>
  </licenses>
</project>
"""


@pytest.mark.parametrize(
    ("name", "text", "licence", "line"),
    [
        ("package.json", '{\n  "license": "MIT"\n}', "MIT", 2),
        ("package.json", '{"license": {"type": "ISC", "url": "x"}}', "ISC", 1),
        ("package.json", '{"licenses": [{"type": "MIT"}, {"type": "Apache-2.0"}]}', "MIT OR Apache-2.0", 1),
        ("package.json", '{"license": "UNLICENSED"}', "LicenseRef-Proprietary", 1),
        ("composer.json", '{"license": ["MIT", "GPL-2.0-or-later"]}', "MIT OR GPL-2.0-or-later", 1),
        ("pyproject.toml", '[project]\nname = "x"\nlicense = "MIT"\n', "MIT", 3),
        ("pyproject.toml", '[project]\nlicense = {text = "BSD-2-Clause"}\n', "BSD-2-Clause", 2),
        ("pyproject.toml", '[tool.poetry]\nlicense = "ISC"\n', "ISC", 2),
        (
            "pyproject.toml",
            '[project]\nlicense = {file = "x"}\nclassifiers = [\n "License :: OSI Approved :: MIT License"]\n',
            "MIT",
            4,
        ),
        ("setup.cfg", "[metadata]\nname = x\nlicense = BSD 3-Clause\n", "BSD-3-Clause", 3),
        ("setup.py", "setup(\n    license='Apache 2.0',\n)\n", "Apache-2.0", 2),
        ("setup.py", "setup(classifiers=[\n 'License :: OSI Approved :: ISC License (ISCL)'])", "ISC", 2),
        ("PKG-INFO", "Name: x\nLicense: MIT\n\nLicense: GPL\n", "MIT", 2),
        ("METADATA", "License: words\nLicense-Expression: MIT AND ISC\n\n", "MIT AND ISC", 2),
        ("METADATA", "License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\n", "MIT", 2),
        ("Cargo.toml", '[package]\nlicense = "MIT/Apache-2.0"\n', "MIT OR Apache-2.0", 2),
        ("Cargo.toml", '[workspace.package]\nlicense = "ISC"\n', "ISC", 2),
        ("pom.xml", POM, "Apache-2.0 OR GPL-2.0-only", 5),
        ("x.gemspec", "s.name = 'x'\ns.license = 'MIT'\n", "MIT", 2),
        ("x.gemspec", "s.licenses = %w[Ruby MIT]\n", "Ruby OR MIT", 1),
        ("x.gemspec", "s.licenses = ['MIT', \"ISC\"]\n", "MIT OR ISC", 1),
        ("DESCRIPTION", "Package: x\nLicense: GPL (>= 2) | file LICENSE\n", "GPL-2.0-or-later", 2),
        ("DESCRIPTION", "Package: x\nLicense: MIT + file LICENSE\n", "MIT", 2),
        ("package.json", '{"license": "our own words"}', None, 1),
    ],
)
def test_metadata_are_read(name: str, text: str, licence: str | None, line: int) -> None:
    found = declared(name, text)
    assert found is not None and (found.licence, found.line) == (licence, line)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("package.json", '{"name": "x"}'),
        ("package.json", '{"license": "SEE LICENSE IN LICENSE.txt"}'),
        ("package.json", '["license"]'),
        ("package.json", "{"),
        ("package.json", "[" * 100_000),
        ("composer.json", "null"),
        ("pyproject.toml", "license = "),
        ("pyproject.toml", "x = " + "[" * 100_000),
        ("Cargo.toml", '[package]\nlicense-file = "x"\n'),
        ("setup.cfg", "[metadata]\nlicense_files = LICENSE\n"),
        ("setup.cfg", "[metadata]\nlicense = file: LICENSE\n"),
        ("DESCRIPTION", "License: MIT\n"),  # no package of R
        ("DESCRIPTION", "Package: x\nLicense: file LICENSE\n"),
        ("pom.xml", "<project><name>MIT</name></project>"),
        ("README.md", "license: MIT"),
        ("setup.py", "x" * MAX_CHARACTERS + "\nlicense='MIT'"),
    ],
)
def test_metadata_that_name_no_licence_say_nothing(name: str, text: str) -> None:
    assert declared(name, text) is None


def test_an_unknown_name_is_kept_as_it_was_written() -> None:
    assert declared("package.json", '{"license": "Custom ' + "x" * 100 + '"}') == Declared(
        None, "Custom " + "x" * 73, 1
    )


def test_no_entity_is_expanded() -> None:
    bomb = '<!DOCTYPE p [<!ENTITY a "MIT"><!ENTITY b "&a;&a;">]>' + POM.replace("GNU GPL v2", "&b;")
    found = declared("pom.xml", bomb)
    assert found == Declared(None, "Apache License, Version 2.0; &b;", 5)
