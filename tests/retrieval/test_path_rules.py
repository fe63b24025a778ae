"""References lead to the files that the language itself would find, as far as paths tell."""

import pytest

from tests.retrieval.repository_case import needs

PYTHON = [
    ({"a.py": "import b", "b.py": ""}, {"a.py": ["b.py"]}),
    ({"a.py": "from b import x", "b.py": "x = 1"}, {"a.py": ["b.py"]}),
    ({"a.py": "import p.m as q, p", "p/__init__.py": "", "p/m.py": ""}, {"a.py": ["p/m.py", "p/__init__.py"]}),
    ({"a.py": "from p import m", "p/__init__.py": "", "p/m.py": ""}, {"a.py": ["p/m.py"]}),
    ({"a.py": "import p.m.x", "p/m.py": ""}, {"a.py": ["p/m.py"]}),  # the longest part that is a module
    ({"s/p/a.py": "from p.b import x", "s/p/b.py": "", "s/p/__init__.py": ""}, {"s/p/a.py": ["s/p/b.py"]}),
    ({"p/q/a.py": "from . import b\nfrom ..c import d", "p/q/b.py": "", "p/c.py": ""},
     {"p/q/a.py": ["p/q/b.py", "p/c.py"]}),
    ({"p/__init__.py": "from .b import x", "p/b.py": "x = 1"}, {"p/__init__.py": ["p/b.py"]}),
    ({"a.py": "from ...b import x", "b.py": ""}, {}),  # above the repository
    ({"a.py": "import logging", "x/logging.py": ""}, {}),  # the standard library's
    ({"json/a.py": "import logging", "logging.py": ""}, {"json/a.py": ["logging.py"]}),  # this is the standard library
    ({"a.py": "import b", "x/b.py": ""}, {}),  # no path on which Python would look
    ({"x/a.py": "import b", "x/b.py": "", "y/b.py": ""}, {"x/a.py": ["x/b.py"]}),
    ({"a.py": "def f():\n  import b", "b.pyi": ""}, {"a.py": ["b.pyi"]}),
    ({"a.py": "import a"}, {}),
    ({"a.py": "# import b\n'import b'", "b.py": ""}, {}),
]  # fmt: skip
SCRIPTS = [
    ({"a.js": "import x from './b'", "b.js": ""}, {"a.js": ["b.js"]}),
    ({"a.js": "const x = require('./b')", "b/index.js": ""}, {"a.js": ["b/index.js"]}),
    ({"a.js": "const x = other('./b')", "b.js": ""}, {}),
    ({"x/a.ts": "import {y} from '../b.js'", "b.ts": "export const y = 1"}, {"x/a.ts": ["b.ts"]}),
    ({"a.tsx": "import('./b')", "b.tsx": "", "b.css": ""}, {"a.tsx": ["b.tsx"]}),
    ({"a.ts": "export * from './b'\nimport type {T} from './c'", "b.ts": "", "c.d.ts": ""},
     {"a.ts": ["b.ts", "c.d.ts"]}),
    ({"x/a.ts": "import y from '.'", "x/index.ts": ""}, {"x/a.ts": ["x/index.ts"]}),
    ({"a.ts": "import '../b'", "b.ts": ""}, {}),
    ({"a.ts": "import r from 'react'", "react.md": ""}, {}),
    ({"a.ts": "import x from 'p/m'\nimport y from '@o/q'", "l/package.json": '{"name": "p"}', "l/src/m.ts": "",
      "k/package.json": '{"name": "@o/q"}', "k/index.ts": ""}, {"a.ts": ["l/src/m.ts", "k/index.ts"]}),
    ({"a.ts": "import x from '@/m'", "src/m.ts": "", "package.json": "[1"}, {"a.ts": ["src/m.ts"]}),
]  # fmt: skip
RUST = [
    ({"src/lib.rs": "mod a;\nmod b { }", "src/a.rs": "", "src/b.rs": ""}, {"src/lib.rs": ["src/a.rs"]}),
    ({"src/main.rs": "mod a;", "src/a/mod.rs": "mod c;", "src/a/c.rs": ""},
     {"src/main.rs": ["src/a/mod.rs"], "src/a/mod.rs": ["src/a/c.rs"]}),
    ({"src/lib.rs": "", "src/a.rs": "use crate::b::{self, c::D};", "src/b.rs": "", "src/b/c.rs": ""},
     {"src/a.rs": ["src/b.rs", "src/b/c.rs"]}),
    ({"src/lib.rs": "", "src/a/b.rs": "use super::c; fn f() { crate::d::g() }", "src/a/c.rs": "", "src/d.rs": ""},
     {"src/a/b.rs": ["src/a/c.rs", "src/d.rs"]}),
    ({"src/lib.rs": "", "src/a.rs": "mod tests { use super::*; }"}, {}),  # the file itself
    ({"src/lib.rs": "use std::io;", "src/io.rs": ""}, {}),
    ({"x/src/lib.rs": "", "x/Cargo.toml": '[package]\nname = "my-x"', "y/src/main.rs": "use my_x::f;"},
     {"y/src/main.rs": ["x/src/lib.rs"]}),
    ({"tests/all.rs": "mod one;", "tests/one.rs": ""}, {"tests/all.rs": ["tests/one.rs"]}),
]  # fmt: skip
JAVA = [
    ({"s/a/X.java": "package a;\nimport b.Y;\nclass X {}", "s/b/Y.java": "package b;"}, {"s/a/X.java": ["s/b/Y.java"]}),
    ({"X.java": "import static b.Y.m;\nimport b.Z.In;", "b/Y.java": "package b;", "b/Z.java": "package b;"},
     {"X.java": ["b/Y.java", "b/Z.java"]}),
    ({"a/X.java": "package a;\nclass X { Y y; String s; }", "a/Y.java": "package a;", "a/Z.java": "package a;"},
     {"a/X.java": ["a/Y.java"]}),
    ({"X.java": "import b.*;\nclass X { Y y; }", "b/Y.java": "package b;", "b/Z.java": "package b;"},
     {"X.java": ["b/Y.java"]}),
    ({"X.java": "import java.util.List;", "util/List.java": "package util;"}, {}),
]  # fmt: skip
GO = [
    ({"go.mod": "module example.org/m\n", "a.go": 'package m\nimport "example.org/m/p"\nfunc F() { p.G() }',
      "p/g.go": "package p\nfunc G() {}", "p/h.go": "package p\nfunc H() {}"}, {"a.go": ["p/g.go"]}),
    ({"a.go": 'package m\nimport q "example.org/m/x/p/v2"\nvar v q.T', "x/p/v2/t.go": "package p\ntype T int"},
     {"a.go": ["x/p/v2/t.go"]}),
    ({"a.go": 'package m\nimport "fmt"\nfunc F() { fmt.Print() }', "fmt/print.go": "package fmt\nfunc Print() {}"}, {}),
    ({"a.go": "package m\nfunc F() T { return g() }", "b.go": "package m\ntype T int",
      "c.go": "package m\nfunc g() T {}", "d_test.go": "package m\nfunc TestG() { g() }"},
     {"a.go": ["b.go", "c.go"], "c.go": ["b.go"], "d_test.go": ["c.go"]}),
]  # fmt: skip
C = [
    ({"a.c": '#include "b.h"', "b.h": ""}, {"a.c": ["b.h"]}),
    ({"a.c": '#include "b.h"', "b.h": "", "b.c": '#include "b.h"'}, {"a.c": ["b.c", "b.h"], "b.c": ["b.h"]}),
    ({"src/a.cc": "#ifdef X\n#include <lib/b.h>\n#endif", "include/lib/b.h": "", "src/b.cc": ""},
     {"src/a.cc": ["src/b.cc", "include/lib/b.h"]}),
    ({"a.c": "#include <stdio.h>", "x/stdio.h": ""}, {}),
    ({"a.c": "#include <one.h>", "include/one.h": ""}, {"a.c": ["include/one.h"]}),
    ({"x/a.c": '#include "c.h"', "x/c.h": "", "c.h": ""}, {"x/a.c": ["x/c.h"]}),
    ({"x/y/a.c": '#include "c.h"', "z/c.h": "", "x/c.h": ""}, {"x/y/a.c": ["x/c.h"]}),  # the nearest
    ({"x/a.c": '#include "../c.h"', "c.h": ""}, {"x/a.c": ["c.h"]}),
]  # fmt: skip
CASES = [*PYTHON, *SCRIPTS, *RUST, *JAVA, *GO, *C]


@pytest.mark.parametrize(("texts", "wanted"), CASES)
def test_a_reference_leads_where_the_language_looks(texts: dict[str, str], wanted: dict[str, list[str]]) -> None:
    assert needs(texts) == wanted


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (
            {"a.py": "from p import f", "p/__init__.py": "from .m import f", "p/m.py": "def f(): pass", "p/n.py": ""},
            ["p/m.py", "p/__init__.py"],
        ),
        (
            {"a.py": "from p import f", "p/__init__.py": "from .n import *\nfrom .m import *", "p/m.py": "f = 1",
             "p/n.py": "g = 1"},
            ["p/m.py", "p/__init__.py"],
        ),
        (
            {"a.ts": "import {b} from './x'", "x/index.ts": "export {c as b} from './c'",
             "x/c.ts": "export const c = 1"},
            ["x/c.ts", "x/index.ts"],
        ),
        (
            {"a.js": "require('./x')", "x/index.js": "module.exports = require('./y')", "x/y.js": "const z = 1"},
            ["x/y.js", "x/index.js"],
        ),
        (
            {"src/a.rs": "use crate::T;", "src/lib.rs": "pub use self::t::T;", "src/t.rs": "pub struct T;"},
            ["src/t.rs", "src/lib.rs"],
        ),
        # round in a circle
        ({"a.py": "from b import x", "b.py": "from c import x", "c.py": "from b import x"}, ["c.py", "b.py"]),
    ],
)  # fmt: skip
def test_a_name_that_is_passed_on_leads_to_its_definition_first(texts: dict[str, str], wanted: list[str]) -> None:
    assert needs(texts)[next(iter(texts))] == wanted


@pytest.mark.parametrize("path", ["", "/", "..", "../x.py", "a//b.py", "\\xff.py", "é/漢.py", "a\nb.py"])
def test_odd_paths_do_no_harm(path: str) -> None:
    texts = {path: "import b\nfrom . import c\nfrom .. import d", "b.py": "", "c.js": "require('..')"}
    assert needs(texts).get("c.js") is None


def test_what_a_file_needs_is_in_the_order_in_which_it_says_so() -> None:
    letters = "qwertzuiopasdfghjklyxcvbnm"
    texts = {"index.ts": "".join(f"import {{{one}}} from './{one}'\n" for one in letters)}
    assert needs(texts | {f"{one}.ts": "" for one in letters}) == {"index.ts": [f"{one}.ts" for one in letters]}
