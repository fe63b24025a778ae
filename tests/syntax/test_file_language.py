"""The language of a file by all that there is: name, modeline, `#!`, signs, network."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopdata.syntax.file_language import Named, of_file
from loopdata.syntax.language_names import languages

# name, what is in it, the language
SHARED = [
    ("a.h", "#ifndef A_H\n#include <stdint.h>\nstruct a *a_new(size_t n);\n#endif\n", "C"),
    ("a.h", "#include <vector>\nnamespace a {\ntemplate <class T> class B;\n}\n", "C++"),
    ("a.h", "#import <UIKit/UIKit.h>\n@interface A : NSObject\n@end\n", "Objective-C"),
    ("a.m", "@implementation A\n- (void)run {\n}\n@end\n", "Objective-C"),
    ("a.m", "function y = f(x)\n% doubles\ny = 2 .* x;\nend\n", "MATLAB"),
    ("a.m", ":- module a.\n:- interface.\n:- import_module io.\n:- pred main(io::di, io::uo) is det.\n", "Mercury"),
    ("a.m", 'BeginPackage["A`"]\nf[x_] := x^2\nEndPackage[]\n', "Wolfram Language"),
    ("a.pl", "use strict;\nmy $x = shift;\nprint $x;\n", "Perl"),
    ("a.pl", ":- module(a, [b/1]).\nb(X) :- c(X, Y), \\+ d(Y).\n", "Prolog"),
    ("a.pl", "use v6;\nmulti sub f(Int $x) { say $x }\n", "Raku"),
    ("a.v", "module a(input wire clk);\nalways @(posedge clk) begin\nend\nendmodule\n", "Verilog"),
    ("a.v", "Require Import List.\nLemma a : forall n, n = n.\nProof. reflexivity. Qed.\n", "Rocq Prover"),
    ("a.v", "module main\n\nfn (mut a App) run() {\n\tmut x := 1\n}\n", "V"),
    ("a.ts", "export interface A {\n  b: string;\n}\n", "TypeScript"),
    ("a.ts", '<?xml version="1.0"?>\n<!DOCTYPE TS>\n<TS version="2.1">\n</TS>\n', "XML"),
    ("a.inc", "<?php\n$a = array();\n", "PHP"),
    ("a.inc", "{$ifdef FPC}\nprocedure A(x: integer);\nbegin\nend;\n", "Pascal"),
    ("a.inc", "%define A 1\nsection .text\n  mov eax, 1\n  ret\n", "Assembly"),
    ("a.cls", "\\ProvidesClass{a}\n\\LoadClass{article}\n", "TeX"),
    ("a.cls", "public with sharing class A {\n  @AuraEnabled\n  public static void b() { insert c; }\n}\n", "Apex"),
    ("a.cls", "VERSION 1.0 CLASS\nAttribute VB_Name = \"A\"\nOption Explicit\n", "VBA"),
    ("a.r", "f <- function(x) {\n  x$y <- c(1, 2)\n}\n", "R"),
    ("a.r", "REBOL [title: \"a\"]\nf: func [x] [x]\n", "Rebol"),
    ("a.t", "use Test::More tests => 1;\nok(1);\n", "Perl"),
    ("a.t", "use Test;\nplan 1;\nis-deeply [1], [1], 'a';\n", "Raku"),
    ("a.d", "module a;\nimport std.stdio;\nunittest { writeln(1); }\n", "D"),
    ("a.d", "a.o: a.c a.h \\\n  b.h\n", "Makefile"),
    ("a.d", "#pragma D option quiet\nsyscall:::entry\n{ @[execname] = count(); }\n", "DTrace"),
    ("a.fs", "module A\nopen System\nlet f x = x |> printfn \"%d\"\n", "F#"),
    ("a.fs", ": square ( n -- n ) dup * ;\nvariable x\n", "Forth"),
    ("a.fs", "#version 330\nuniform vec4 c;\nvoid main() { gl_FragColor = c; }\n", "GLSL"),
    ("a.pro", "QT += core\nSOURCES += main.cpp\n", "QMake"),
    ("a.pro", "pro a, b\n  on_error, 2\nend\n", "IDL"),
    ("a.pro", ":- use_module(library(lists)).\na(X) :- b(X).\n", "Prolog"),
    ("a.pro", "-keep class a.b.** { *; }\n-dontwarn c.**\n", "Proguard"),
]  # fmt: skip
BARE = [
    ("import os\n\n\ndef f(x):\n    return os.path\n\n\nif __name__ == '__main__':\n    f(1)\n", "Python"),
    (
        "import UIKit\n\nextension A {\n    func f(_ x: Int) -> Int {\n        guard let y = x else { return 1 }\n",
        "Swift",
    ),
    ('if [ -z "$1" ]; then\n  echo "usage"\n  exit 1\nfi\n', "Shell"),
    ("#include <vector>\n\nint main() { std::vector<int> a; return 0; }\n", "C++"),
    ("@interface A : NSObject\n@property (nonatomic) NSString *b;\n@end\n", "Objective-C"),
    ("package main\n\nfunc main() {\n\tif err != nil {\n\t}\n}\n", "Go"),
    ("<!DOCTYPE html>\n<html><body></body></html>\n", "HTML"),
    ('{"a": 1}\n', "JSON"),
]


@pytest.mark.parametrize(("name", "text", "language"), SHARED)
def test_signs_decide_where_a_name_is_shared(name: str, text: str, language: str) -> None:
    assert of_file(name, text.encode(), network=False) == Named(language, "signs")


@pytest.mark.parametrize(("text", "language"), BARE)
def test_signs_decide_without_a_name(text: str, language: str) -> None:
    assert of_file(None, text.encode(), network=False).language == language


def test_a_name_that_one_language_has_is_believed_whatever_is_in_it() -> None:
    assert of_file("a.rb", b"#!/bin/sh\n# vim: ft=perl\n") == Named("Ruby", "name")


def test_typescript_without_types_is_what_its_name_says() -> None:
    plain = b"const a = require('b');\nmodule.exports = function () {\n  return a;\n};\n"
    markup = b"export default { template: `<div><p>x</p></div>` };\n"
    named = {name: [of_file(name, text).language for text in (plain, markup)] for name in ("a.ts", "a.mts", "a.js")}
    assert named == {"a.ts": ["TypeScript"] * 2, "a.mts": ["TypeScript"] * 2, "a.js": ["JavaScript"] * 2}
    assert of_file("a", plain).language == "JavaScript"  # which it is as well


def test_what_a_text_says_of_itself_goes_before_its_signs_and_not_before_its_name() -> None:
    body = b"#include <vector>\nnamespace a {}\n"
    assert of_file("a.h", b"// -*- C -*-\n" + body) == Named("C", "modeline")
    assert of_file("a.h", b"// -*- ruby -*-\n" + body) == Named("C++", "signs")
    assert of_file("a", b"#!/usr/bin/perl\n" + body) == Named("Perl", "shebang")
    assert of_file("a.pl", b"#!/usr/bin/swipl\n") == Named("Prolog", "shebang")
    assert of_file("a", b"#!/bin/sh\n# vim: ft=perl\n") == Named("Perl", "modeline")


def test_where_nothing_speaks_the_most_common_language_of_the_name_or_none() -> None:
    assert of_file("a.h", b"") == Named("C", "usual")
    assert of_file("a", b" \n") == Named("Unknown", "usual")
    assert of_file("a.h", b"int a;\n", network=False) == Named("C", "usual")


def test_the_network_decides_what_signs_do_not_within_what_the_name_allows() -> None:
    words = b"import os\n\nx = os.environ\nprint(x)\n"
    assert of_file("a", words) == Named("Python", "network")
    assert of_file("a.m", b"x = 1;\ny = 2;\n" * 9).language in ("Objective-C", "MATLAB")


def test_size_does_not_matter() -> None:
    start = b"#include <vector>\nnamespace a {\n"
    assert of_file("a.h", start + b"\0" * 50_000_000) == Named("C++", "signs")


@given(st.binary(max_size=300), st.sampled_from([None, "a", "a.h", "a.pl", "a.inc", "a.zzz"]))
def test_any_bytes_have_a_language(data: bytes, name: str | None) -> None:
    assert of_file(name, data, network=False).language in languages() | {"Unknown"}


def test_the_network_is_not_loaded_before_it_is_asked() -> None:
    code = (
        "import sys; from loopdata.syntax.file_language import of_file\n"
        "of_file('a.py', b'x'); of_file('a.h', b'class A;\\nstd::vector<int> a;\\nvirtual ~A();')\n"
        "assert 'onnxruntime' not in sys.modules and 'magika' not in sys.modules\n"
        "of_file('a', b'some words, not more'); assert 'onnxruntime' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
