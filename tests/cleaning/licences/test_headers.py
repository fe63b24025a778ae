"""What a file's own header says."""

import pytest

from loopdata.cleaning.licences.headers import HEAD_CHARACTERS, Header, header_of, top_comments
from tests.cleaning.licences.installed import mit

GPL_NOTICE = """\
This program is free software; you can redistribute it and/or modify it under the terms of the GNU General Public
License as published by the Free Software Foundation; either version 2 of the License, or (at your option) any later
version."""
EXCEPTION = "As a special exception, you may create a larger work with the skeleton that Bison wrote.\n"


def commented(text: str, mark: str = "# ") -> str:
    return "".join(f"{mark}{line}\n" for line in text.splitlines())


@pytest.mark.parametrize(
    ("start", "header"),
    [
        ("// SPDX-License-Identifier: MIT\nint x;\n", Header("spdx_tag", "MIT", "MIT", 1)),
        ("#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0+\n", Header("spdx_tag", "GPL-2.0-or-later", "GPL-2.0+", 2)),
        ("/* SPDX-License-Identifier: MIT OR Zlib */\n", Header("spdx_tag", "MIT OR Zlib", "MIT OR Zlib", 1)),
        ("<!-- SPDX-License-Identifier: ISC -->\n", Header("spdx_tag", "ISC", "ISC", 1)),
        (
            "# SPDX-License-Identifier: MIT\n# SPDX-License-Identifier: ISC\n",
            Header("spdx_tag", "MIT AND ISC", "MIT; ISC", 1),
        ),
        ("# SPDX-License-Identifier: Ours\n", Header("spdx_tag", None, "Ours", 1)),
        ("import x\n\n# SPDX-License-Identifier: MIT\n", Header("spdx_tag", "MIT", "MIT", 3)),
        ("\n" + commented(mit()), Header("header_text", "MIT", "", 4)),
        ("/*\n" + commented(GPL_NOTICE, " * ") + " */\n", Header("header_text", "GPL-2.0-or-later", "", 2)),
        (
            commented(GPL_NOTICE + "\n" + EXCEPTION, ";; "),
            Header("header_text", "GPL-2.0-or-later WITH Bison-exception-2.2", "", 1),
        ),
        ("/**\n * @license MIT\n */\n", Header("header_tag", "MIT", "MIT", 2)),
        ("# Author: x\n# License: BSD 3 clause\n", Header("header_tag", "BSD-3-Clause", "BSD 3 clause", 2)),
        ('"""Words."""\n__license__ = "MIT"\n', Header("header_tag", "MIT", "MIT", 2)),
        ("-- Released under the MIT license\n", Header("header_sentence", "MIT", "", 1)),
        ("# x\n#\n# licensed under the\n# Apache License 2.0.\n", Header("header_sentence", "Apache-2.0", "", 3)),
        ("// This file is in the public domain.\n", Header("header_sentence", "LicenseRef-Public-Domain", "", 1)),
        (
            "/* Copyright ACME. Proprietary and confidential. */\n",
            Header("header_sentence", "LicenseRef-Proprietary", "", 1),
        ),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_header_names_its_licence(start: str, header: Header) -> None:
    assert header_of(start) == header


@pytest.mark.parametrize(
    "start",
    [
        "",
        "x = 1\n",
        "# Copyright (c) 2020 nobody. All rights reserved.\n",
        "# Use of this source code is governed by the license in the LICENSE file.\n",
        'tag = "SPDX-License-Identifier: MIT"\n',
        "import os\n\n# Released under the MIT license\n",  # behind code
        "license = 'MIT'\n",
        "# See https://opensource.org/licenses for a list\n",
        "# The words of a license: they are many\n",
        "# After an article under a license, http://creativecommons.org/licenses/by-sa/3.0/\n",
        "# Originally released under LGPL, then given to all of us\n",
    ],
)
def test_what_is_no_licence_of_this_file_is_not_taken_for_one(start: str) -> None:
    assert header_of(start) is None


def test_a_tag_behind_the_start_is_not_seen() -> None:
    tag = "# SPDX-License-Identifier: MIT"
    assert header_of("#" * (HEAD_CHARACTERS - len(tag) - 1) + "\n" + tag) is not None
    assert header_of("#" * HEAD_CHARACTERS + "\n" + tag) is None


@pytest.mark.parametrize(
    ("head", "comments"),
    [
        ("# a\n\n# b\nx = 1\n# c", "# a\n\n# b"),
        ("#!/bin/sh\n# a\necho", "#!/bin/sh\n# a"),
        ("<?php\n/*\n a\n*/\nf();", "<?php\n/*\n a\n*/"),
        ('"""a\nb"""\nx', '"""a\nb"""'),
        ("/* a */ int x;\nint y;", "/* a */ int x;"),
        ("package a;\n// b\nclass C {}", "package a;\n// b"),
        ("x\n# a", ""),
        ("/* never closed\nx\ny", "/* never closed\nx\ny"),
    ],
)
def test_comments_at_the_top_are_found(head: str, comments: str) -> None:
    assert top_comments(head) == comments
