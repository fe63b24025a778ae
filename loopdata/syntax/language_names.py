"""The language of a file by its name, by its `#!` line, and by what it tells an editor.

Enters: a path, and the start of a text. Leaves: a language spelled as linguist spells it, or nothing. The file name
wins over the extension, and the longest extension over a shorter one.
An extension in `SHARED` leaves several open, the most common first; what decides between them is in `file_language`.
The tables are ours. Limit: an extension that only one common language has is believed.
"""

import re
from functools import lru_cache

UNKNOWN = "Unknown"

# language: extensions (after the dot, lower case) | whole file names | interpreters
_TABLE = """
Ada: adb ads ada
Apex: trigger apex
Assembly: asm s nasm
Awk: awk gawk mawk | | awk gawk mawk nawk
Batchfile: bat cmd
C: c
C#: cs csx cake
C++: cc cpp cxx c++ hh hpp hxx h++ ipp tpp inl cppm
CMake: cmake cmake.in | CMakeLists.txt
CSS: css
CSV: csv
Clojure: clj cljc cljs cljx | | bb
COBOL: cob cbl cobol cpy
CoffeeScript: coffee | Cakefile | coffee
Common Lisp: lisp lsp asd cl | | sbcl clisp ecl
Crystal: cr | | crystal
Cuda: cu cuh
Cython: pyx pxd pxi
D: di | | rdmd
DTrace: | | dtrace
Dart: dart | | dart
Diff: diff patch
Dockerfile: dockerfile containerfile | Dockerfile Containerfile
Elixir: ex exs | mix.lock | elixir
Elm: elm
Emacs Lisp: el | .emacs .spacemacs Cask | emacs
Erlang: erl hrl escript | rebar.config | escript
F#: fsi fsx | | fsharpi
Forth: fth 4th forth frt | | gforth
Fortran: f for f77
Fortran Free Form: f90 f95 f03 f08
Gettext Catalog: po pot
GLSL: glsl vert frag geom vsh fsh
Go: go | |
Go Checksums: | go.sum
Go Module: | go.mod
Gradle: gradle
Graphviz (DOT): dot gv
GraphQL: graphql gql graphqls
Groovy: groovy gvy | Jenkinsfile | groovy
HCL: hcl tf tfvars
HTML: html htm xht xhtml
Haskell: hs hs-boot hsc | | runghc runhaskell
INI: ini cfg prefs | .flake8 .pylintrc .coveragerc
Ignore List: gitignore | .gitignore .dockerignore .npmignore .eslintignore .prettierignore
Idris: idr
JSON: json geojson jsonl webmanifest har topojson | composer.lock Pipfile.lock
Java: java jav
JavaScript: js mjs cjs jsx es6 | Jakefile | node nodejs deno bun
Julia: jl | | julia
IDL:
Jupyter Notebook: ipynb
Kotlin: kt kts ktm
LLVM: ll
Less: less
Lean: lean
Literate Haskell: lhs
Lua: lua rockspec nse | .luacheckrc | lua luajit texlua
MATLAB: matlab
Makefile: mk mak make | Makefile makefile GNUmakefile Kbuild BSDmakefile Makefile.am Makefile.in | make
Markdown: md markdown mdown mkd mkdn
Meson: | meson.build meson_options.txt
Nim: nim nimble nims | | nim
Nix: nix
OCaml: ml mli mll mly eliom | | ocaml ocamlrun
Mercury: moo
Objective-C:
Objective-C++: mm
Org: org
PHP: php php3 php4 php5 phps | .php_cs | php
PLSQL: pks pkb plsql
Pascal: pas dpr lpr | | instantfpc
Perl: al perl ph psgi | cpanfile Makefile.PL | perl
Pod: pod
PowerShell: ps1 psm1 psd1 | | pwsh powershell
Proguard:
Prolog: prolog yap | | swipl
Protocol Buffer: proto
PureScript: purs
Python: py pyi pyw py3 wsgi gyp gypi | SConstruct SConscript wscript | python python2 python3 pypy pypy3 uv
R: rsx | .Rprofile | Rscript
RPM Spec: spec
QMake: pri prf
Racket: rkt rktl rktd | | racket
Raku: raku rakumod p6 pm6 pl6 | | raku perl6 rakudo
Rebol: reb r2 r3 rebol red
Rocq Prover:
Roff: 1 2 3 4 5 6 7 8 9 man roff mdoc 1m 3x
Ruby: rb rake gemspec ru podspec jbuilder rbi | Gemfile Rakefile Guardfile Podfile Vagrantfile | ruby jruby rake
Rust: rs rs.in | | rust-script
SCSS: scss
SMT: smt smt2 z3 | | z3 cvc4 boolector mathsat5 opensmt yices verit
SQL: sql ddl tab prc udf viw
SVG: svg
Sass: sass
Scala: scala sc sbt | | scala
Scheme: scm sld sls ss | | guile csi scheme chibi-scheme
Shell: sh bash zsh ksh bats | .bashrc .bash_profile .profile .zshrc PKGBUILD | sh bash zsh ksh dash ash rc mksh pdksh
Solidity: sol
Standard ML: sml fun sig
Starlark: bzl star | BUILD BUILD.bazel WORKSPACE WORKSPACE.bazel MODULE.bazel BUCK Tiltfile
Stylus: styl
Svelte: svelte
Swift: swift | | swift
SystemVerilog: sv svh vh
TOML: toml | Pipfile Cargo.lock poetry.lock uv.lock Gopkg.lock pdm.lock
TSV: tsv
TSX: tsx
Tcl: tcl adp tm | | tclsh wish
TeX: tex sty ltx dtx ins bbx cbx lbx
Text: txt | README LICENSE COPYING INSTALL NEWS CHANGES AUTHORS CONTRIBUTORS
Thrift: thrift
TypeScript: d.ts mts cts | | ts-node tsx deno
Typst: typ
VHDL: vhd vhdl vhf vho vhs
Vala: vala vapi
V: vv
VBA: vba
Verilog: veo
Vim script: vim vimrc | .vimrc _vimrc .gvimrc vimrc
Visual Basic .NET: vb vbhtml
Vue: vue
WGSL: wgsl
Wolfram Language: wl wls nb mathematica | | wolframscript
WebAssembly: wat wast
Web Ontology Language: owl
XML: xml xsd rss wsdl csproj vcxproj fsproj props targets nuspec xaml resx dita rdf iml
YAML: yml yaml | .clang-format .clang-tidy CITATION.cff yarn.lock glide.lock
Yacc: y yacc yy
Zig: zig
jq: jq
reStructuredText: rst rest
"""

# Extensions that several languages share, the most common first.
SHARED = {
    extension: tuple(names.strip().split(", "))
    for extension, _, names in (
        line.partition(":")
        for line in """
cls: TeX, Apex, VBA
d: D, Makefile, DTrace
fs: F#, Forth, GLSL
h: C, C++, Objective-C
inc: PHP, C++, C, Pascal, Assembly, HTML, Makefile, SQL, Shell, JavaScript, TeX
m: Objective-C, MATLAB, Mercury, Wolfram Language
pl: Perl, Prolog, Raku
pm: Perl, Raku
pro: QMake, Prolog, IDL, Proguard
r: R, Rebol
t: Perl, Raku
ts: TypeScript, XML
v: Verilog, Rocq Prover, V
""".strip().splitlines()
    )
}


def _parsed() -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Language by extension, by file name, by interpreter."""
    maps: tuple[dict[str, str], dict[str, str], dict[str, str]] = ({}, {}, {})
    for line in _TABLE.strip().splitlines():
        language, _, fields = line.partition(":")
        for known, words in zip(maps, fields.split("|"), strict=False):
            for word in words.split():
                known.setdefault(word, language)
    return maps


_EXTENSIONS, _FILE_NAMES, _INTERPRETERS = _parsed()
_LANGUAGES = frozenset(line.partition(":")[0] for line in _TABLE.strip().splitlines())
# `#!/usr/bin/env -S NAME=x -i python3 -u`: assignments and options of env come before the interpreter.
_SHEBANG = re.compile(r"#![ \t]*(\S+)([^\n]*)")
# What editors are told: `-*- mode: c++ -*-`, `vim: set ft=perl :`.
_EMACS = re.compile(r"-\*-[ \t]*(?:[^\n]*?\bmode:[ \t]*)?([\w+#-]+)[ \t]*(?:;[^\n]*)?-\*-", re.IGNORECASE)
_VIM = re.compile(r"\b(?:vim?|ex):[^\n]*?\b(?:ft|filetype|syntax)=([\w+#]+)")
_MODELINES = 5  # at either end of a text
_LINE_CHARACTERS = 512
_MODES = {
    "cperl": "Perl", "emacs-lisp": "Emacs Lisp", "f90": "Fortran Free Form", "fortran": "Fortran", "gas": "Assembly",
    "lisp": "Common Lisp", "makefile-gmake": "Makefile", "objc": "Objective-C", "octave": "MATLAB", "perl6": "Raku",
    "shell-script": "Shell", "coq": "Rocq Prover", "vb": "VBA",
}  # fmt: skip
_MODE_NAMES = _EXTENSIONS | _INTERPRETERS | {name.lower(): name for name in _LANGUAGES} | _MODES


def languages() -> frozenset[str]:
    """Every language that the table knows."""
    return _LANGUAGES


@lru_cache(maxsize=65_536)
def languages_of(path: str) -> tuple[str, ...]:
    """The languages that a file name leaves possible, the most common first; none where it says nothing."""
    name = path.rpartition("/")[2]
    if name in _FILE_NAMES:
        return (_FILE_NAMES[name],)
    # `.gitignore` has no extension, and `a.rs.in` has two: the longest one that is known decides.
    _, dot, extension = name.lower().lstrip(".").partition(".")
    while dot:
        if extension in SHARED:
            return SHARED[extension]
        if extension in _EXTENSIONS:
            return (_EXTENSIONS[extension],)
        _, dot, extension = extension.partition(".")
    stem = name.partition(".")[0]
    return (_FILE_NAMES[stem],) if stem in ("Dockerfile", "Makefile", "README", "LICENSE") else ()


def of_path(path: str) -> str | None:
    """Language by file name and extension, None where they say nothing; of a shared extension the most common."""
    return next(iter(languages_of(path)), None)


def of_shebang(text: str) -> str | None:
    """Language by the interpreter that the first line names, None where it names none that is known."""
    if not text.startswith("#!"):
        return None
    match = _SHEBANG.match(text[:512])
    if match is None:
        return None
    interpreter = match.group(1).rpartition("/")[2]
    if interpreter == "env":
        words = [word for word in match.group(2).split() if not word.startswith("-") and "=" not in word]
        interpreter = words[0].rpartition("/")[2] if words else ""
    return _INTERPRETERS.get(interpreter) or _INTERPRETERS.get(interpreter.rstrip("0123456789."))


def of_modeline(text: str) -> str | None:
    """Language by what the first or last lines tell an editor, None where they tell nothing that is known."""
    first, last = text.split("\n", _MODELINES)[:_MODELINES], text.rstrip().rsplit("\n", _MODELINES)[-_MODELINES:]
    for line in first + last:
        match = _EMACS.search(line[:_LINE_CHARACTERS]) or _VIM.search(line[:_LINE_CHARACTERS])
        found = _MODE_NAMES.get(match.group(1).lower()) if match else None
        if found is not None:
            return found
    return None
