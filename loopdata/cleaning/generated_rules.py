r"""Which files a program wrote: rules on names, on what stands near the top or the end, and on the shape of lines.

Enters: a `File`. Leaves: a `Hit`, the rule and its evidence, or None. The categories are those that linguist and
go-enry know; every rule and pattern is ours. A marker counts only in the lines that it is said for, and a phrase only
whole, so that a file *about* generating code is none of them. Lines are cut before any pattern sees them, which bounds
the work by the size of the text. Limit: a generator that signs nothing, and keeps to short lines, is not seen.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

HEAD_BYTES, LINE_CHARACTERS, EVIDENCE_CHARACTERS = 16_384, 300, 80
HEAD_LINES, TAIL_LINES = 60, 12


class Hit(NamedTuple):
    """The rule that a file met, where (a line from 1, negative from the end; 0: its path) and what stood there."""

    rule: str
    line: int
    evidence: str


@dataclass(frozen=True)
class File:
    """What rules look at."""

    path: str
    text: bytes | memoryview
    language: str | None = None

    @cached_property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @cached_property
    def head(self) -> list[str]:
        """The first lines."""
        start = bytes(self.text[:HEAD_BYTES]).decode("utf-8", "ignore")
        return [line[:LINE_CHARACTERS] for line in start.split("\n", HEAD_LINES)[:HEAD_LINES]]

    @cached_property
    def opening(self) -> list[str]:
        """Of the first lines those before anything but comments."""
        closing = ""
        for number, line in enumerate(self.head):
            bare = line.strip()
            if closing:
                closing = "" if closing in bare else closing
                continue
            opened = next((sign for sign in _BLOCKS if bare.startswith(sign)), None)
            if opened is not None and _BLOCKS[opened] not in bare[len(opened) :]:
                closing = _BLOCKS[opened]
            elif bare and opened is None and not bare.startswith(_COMMENTS):
                return self.head[:number]
        return self.head

    @cached_property
    def is_template(self) -> bool:
        return bool(_TEMPLATE.search(self.path))

    @cached_property
    def tail(self) -> list[str]:
        """The last lines, a final line end aside."""
        end = bytes(self.text[-HEAD_BYTES:]).decode("utf-8", "ignore").rstrip()
        return [line[:LINE_CHARACTERS] for line in end.rsplit("\n", TAIL_LINES)[-TAIL_LINES:]]


class Name(NamedTuple):
    """A rule on the file name alone."""

    rule: str
    pattern: re.Pattern[str]


class Marker(NamedTuple):
    """A rule on one line among the first (or, negative, the last) `lines`; `names`: of which files.

    `own`: what any program may sign with. It must stand in the comments at the top, and not in a template, which
    holds the signature of what will be made of it.
    """

    rule: str
    lines: int
    pattern: re.Pattern[str]
    names: re.Pattern[str] | None = None
    own: bool = False


_BLOCKS = {"/*": "*/", "<!--": "-->", '"""': '"""', "(*": "*)", "{-": "-}", "=begin": "=end", "--[[": "]]", "%{": "%}"}
_COMMENTS = (
    "//",
    "#",
    "--",
    ";",
    "%",
    "'",
    '"',
    "*",
    "!",
    "<?",
    "@rem",
    "REM",
    "rem ",
    "dnl",
    '.\\"',
    "\\",
    "::",
    "--!",
)
_TEMPLATE = re.compile(
    r"\.(in|tmpl|tpl|tera|j2|jinja2?|template|mustache|erb|ejs|hbs|mako|tt|pyt|gotmpl)(\.\w+)?$|(^|/)templates?/"
)

_LOCKS = """
package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock deno.lock Cargo.lock poetry.lock Pipfile.lock
uv.lock pdm.lock pixi.lock composer.lock go.sum go.work.sum Gemfile.lock Podfile.lock Package.resolved Cartfile.resolved
mix.lock rebar.lock pubspec.lock flake.lock Gopkg.lock glide.lock packages.lock.json paket.lock stack.yaml.lock
cabal.project.freeze gradle.lockfile buildscript-gradle.lockfile MODULE.bazel.lock .terraform.lock.hcl conan.lock
shard.lock Manifest.toml Chart.lock
"""


def _names(rule: str, pattern: str) -> Name:
    return Name(rule, re.compile(pattern))


def _marker(rule: str, lines: int, pattern: str, names: str | None = None, own: bool = False) -> Marker:
    return Marker(rule, lines, re.compile(pattern), re.compile(names) if names else None, own)


NAMES = (
    _names("lock_file", "|".join(rf"^{re.escape(name)}$" for name in _LOCKS.split())),
    _names("minified", r"[.-]min\.(js|css|mjs|cjs)$"),
    _names("bundle", r"\.(bundle|chunk)\.(js|css|mjs)$"),
    _names("source_map", r"\.(js|css|ts|mjs|cjs)\.map$"),
    _names(
        "protobuf", r"(\.pb(\.gw|\.validate)?\.(go|cc|h|dart|swift)|_pb2(_grpc)?\.pyi?|_pb\.(js|ts|rb)|_pb\.d\.ts)$"
    ),
    _names("dotnet_designer", r"(?i)\.(designer\.(cs|vb)|g\.(i\.)?(cs|vb)|feature\.cs)$"),
    _names("xcode", r"(\.(pbxproj|xcworkspacedata|xcuserstate|xcscheme|nib)|^contents\.xcworkspacedata)$"),
    _names("visual_studio", r"(?i)\.(sln|vcxproj|vcproj|vdproj|vcxproj\.filters|suo)$"),
    _names("dart_builder", r"\.(g|freezed|mocks|gr|config)\.dart$"),
)

_HTML = r"\.x?html?$"
_C = r"\.(c|h|cc|cpp|cxx|hh|hpp|m|mm)$"
_GENERATOR = (
    "javadoc|doxygen|docutils|jsdoc|rustdoc|pkgdown|pdoc|mkdocs|sphinx|org.?mode|latex2html|makeinfo|texi2html|ronn"
    "|groff|mandoc|yard|rdoc|jazzy|typedoc|esdoc|phpdoc|haddock|scaladoc|dokka|epydoc|hevea|asciidoctor|docbook"
)
_TOOLS = (
    "cython|swig|re2c|ragel|racc|bison|flex|byacc|javacc|jjtree|antlr|jflex|gperf|coffeescript|livescript|haxe|peg.?js"
    "|peggy|jison|nearley|treetop|menhir|ocamllex|alex|happy|lalrpop|thrift|flatc|avro|capnpc?|gsoap|valac"
    "|wayland-scanner|glib-mkenums|glib-genmarshal|glib-compile-resources|gdbus-codegen|dagger|moq|mockgen|mockery"
    "|stringer|go-bindata|esc|sqlc|ent|ent, do not edit|roxygen2|using rcpp::compileattributes|pip-compile|cbindgen"
    "|rust-bindgen|bindgen|f2py|xjc|axis|jaxb|wsdl2java|openapi generator|swagger.codegen|nswag|sourcery|swiftgen"
    "|r\\.swift|intltool|luac|moc|uic|rcc|pyuic|qt user interface compiler|resource compiler for pyqt5|tolua\\+\\+"
    "|automake|autoconf|autoheader|gnu autoconf|gnu bison|cargo.?bundle.?licenses|bazel|gyp|premake|doxygen|roxygen"
    "|protoc(-gen-\\w+)?|grpc_tools|the grpc protocol compiler|the protocol buffer compiler"
)
# The Stack v2's phrases, where they speak of the file: "memory issues in auto-generated code" does not.
_PHRASE = "auto-?generated|automatically generated|generated automatically"
_SUBJECT = "(file|code|module|class|source|page|document|header|script|part|it|this|content)s?"
_MADE = r"^(?!.*\.(in|tmpl|tpl|j2|mustache|erb)$)"

MARKERS = (
    _marker("source_map", 1, r'^\s*\{\s*"version"\s*:\s*3\s*,.*"(mappings|sources)"', r"\.(map|json)$"),
    _marker("source_map_reference", -2, r"^\s*(//|/\*)[#@] ?sourceMappingURL=", r"\.(js|mjs|cjs|css|jsx)$"),
    _marker(
        "bundle", HEAD_LINES, r"webpackBootstrap|webpackUniversalModuleDefinition|^/\*{6}/|\bparcelRequire\b ?=",
        r"\.(js|mjs|cjs|ts|css)$",
    ),
    _marker(
        "bundle", 3, r"^(!|;)?\(?(require=)?\(?function\(?\)?\s?e\(t,\s?n,\s?r\)|^var __commonJS = ", r"\.(js|mjs|cjs)$"
    ),
    _marker(
        "transpiled_javascript", 20,
        r"^Object\.defineProperty\(exports, ['\"]__esModule['\"], \{ ?value: (true|!0) ?\}\)"
        r"|^var __(awaiter|extends|importDefault|createBinding|decorate|spreadArray|assign|rest) = \(this && this\.__"
        r"|^function _interopRequire(Default|Wildcard)\(",
        r"\.(js|cjs|mjs|jsx)$",
    ),
    _marker("protobuf", 4, r"(?i)generated by the protocol buffer compiler|^// Code generated by protoc-gen-"),
    _marker("grpc", 4, r"(?i)generated by the grpc|^# Generated by the gRPC Python"),
    _marker("thrift", 8, r"Autogenerated by Thrift Compiler"),
    _marker("flatbuffers", 4, r"automatically generated by the FlatBuffers compiler"),
    _marker("avro", 8, r"^ ?\* ?Autogenerated by Avro\b"),
    _marker("bison", 6, r"^/\* A Bison parser, made (by|from) |^/\* original parser id|^static const char yysccsid"),
    _marker("flex", 20, r"^#define +FLEX_SCANNER\b|A lexical scanner generated by flex", _C),
    _marker("antlr", 5, r"^(//|#|/\*|--) ?(Generated from .*\.g4? by ANTLR|\$ANTLR \d)"),
    _marker("peg_js", 12, r"(?i)generated by (PEG\.js|peggy)\b", r"\.([cm]?js|ts)$"),
    _marker("jison", 2, r"^/\* (parser|lexer) generated by jison", r"\.js$"),
    _marker("racc", 5, r"^# This file is automatically generated by Racc"),
    _marker("ragel", 3, r'^\s*(/\*)?\s*(#\s*line|#) 1 "[^"]*\.(rl|ragel)"'),
    _marker("re2c", 2, r"^/\* Generated by re2c\b"),
    _marker("javacc", 3, r"^/\* Generated By:(JavaCC|JJTree):"),
    _marker("ply", 5, r"^_tabversion = ", r"(parsetab|lextab)\.py$"),
    _marker("tree_sitter", HEAD_LINES, r"^#define (LANGUAGE_VERSION \d+|STATE_COUNT \d+)$", r"parser\.c$"),
    _marker("happy_alex", 6, r"^-- parser produced by Happy Version|^\{-# LINE 1 \".*\.(x|y)\" #-\}", r"\.hs$"),
    _marker("cython", 2, r"^/\* Generated by Cython \d", _C),
    _marker("jni_header", 2, r"^/\* DO NOT EDIT THIS FILE - it is machine generated \*/", r"\.h$"),
    _marker("qt_compiler", 8, r"Meta object code from reading C\+\+ file|Form generated from reading UI file"),
    _marker("qt_compiler", 8, r"Resource object code( \(Python\))?$|Created by: The Resource Compiler for PyQt"),
    _marker("go_marker", 40, r"^(//|#|--|/\*|;+|%|\"|<!--)\s?Code generated .* DO NOT EDIT\.?( \*/| -->)?$", own=True),
    _marker("auto_generated_tag", 12, r"^\s*(//|'|/\*|<!--|#|\*)\s*<auto-?generated( /)?>", own=True),
    _marker(
        "at_generated", 12,
        r"^\s*(//|/?\*+|#|<!--|;+|--)( .*)?\s@generated( by .*| SignedSource.*|[.\s]*(\*/)?)?$",
        own=True,
    ),
    _marker("autoconf", 4, r"^# Generated by GNU Autoconf \d|^# Generated from .* by (configure|autoconf)"),
    _marker("autoconf", 4, r"^# generated automatically by aclocal \d|^# ?Makefile\.in generated by automake \d"),
    _marker("autoconf", 3, r"^/\* .*\.h(\.in)?\.  Generated (automatically )?(from|by) .*(configure|autoheader)"),
    _marker("cmake_output", 2, r"^# CMAKE generated file: DO NOT EDIT!|^# Generated by CMake\b"),
    _marker(
        "unity", 2,
        r"^(fileFormatVersion: \d+|%TAG !u! tag:unity3d\.com)", r"\.(meta|unity|prefab|asset|mat|anim)$",
    ),
    _marker("documentation", 40, rf'(?i)<meta\s+name="?generator"?\s+content="({_GENERATOR})\b', _HTML),
    _marker("documentation", 40, rf'(?i)<meta\s+content="({_GENERATOR})\b[^"]*"\s+name="?generator', _HTML),
    _marker("documentation", 40, rf"(?i)<!-- ?(file )?(automatically )?generated by ({_GENERATOR})\b", _HTML),
    _marker("documentation", 40, r"(?i)documentation_options\.js|_static/(sphinx|doctools|pygments)[\w-]*\.", _HTML),
    _marker(
        "documentation", -TAIL_LINES,
        rf"(?i)generated (on .{{0,60}})?(by|with|using)( the)? .{{0,60}}\b({_GENERATOR})\b",
        _HTML,
    ),
    _marker(
        "documentation", 3,
        r"^% Generated by roxygen2|^\.\\\" (Automatically )?[Gg]enerated (by|with) ", r"\.(Rd|[1-9]\w*)$",
    ),
    _marker("vcr_cassette", -2, r'^\s*"?recorded_with"?: "?(VCR|betamax)', r"\.(ya?ml|json)$"),
    _marker("postscript", 12, r"^%!PS-AdobeFont|^%%Creator: ?\(?\S", r"\.(ps|eps|epsi|pfa)$"),
    _marker("gettext_template", 40, r'^"POT-Creation-Date: ', r"\.pot$"),
    _marker(
        "tool_signature", 6,
        r"(?i)^\W{0,8}(this (file|code|class|source|module) (was |is "
        r"|has been )?)?(auto(matically)?[- ]?)?(generated|produced|created) (automatically )?(by|with|using"
        rf"|from .{{1,60}} by|via) (the )?({_TOOLS})\b",
        own=True,
    ),
    _marker(
        "do_not_edit", 10,
        r"(?i)\bgenerated\b.{0,120}\b(do not|don't|never) (hand[- ]?)?(edit|modify|change|touch)\b",
        own=True,
    ),
    _marker(
        "do_not_edit", 10,
        r"(?i)\b(do not|don't|never) (hand[- ]?)?(edit|modify|change|touch)\b.{0,120}\b(is|was|are|been|code"
        r"|file|automatically|auto)[- ]generated\b",
        own=True,
    ),
    _marker("phrase", 5, rf"(?i)^\W*({_PHRASE})\b|\b{_SUBJECT} ((is|was|are|has been) )?({_PHRASE})\b", _MADE),
    _marker("phrase", 5, rf"(?i)\b({_PHRASE}),? (by|from|using|with|file|at|on)\b|this file is generated", _MADE),
)  # fmt: skip

MIN_MINIFIED_BYTES, MAX_MEAN_LINE = 2_000, 110
_MINIFIABLE = frozenset({"JavaScript", "CSS"})


def generated(file: File) -> Iterator[Hit]:
    """What says that a program wrote this file, in the order of the rules."""
    for rule, pattern in NAMES:
        match = pattern.search(file.name)
        if match:
            yield Hit(rule, 0, file.name)
    for marker in MARKERS:
        if marker.names is None or marker.names.search(file.name):
            yield from _marked(file, marker)
    for check in CHECKS:
        hit = check(file)
        if hit is not None:
            yield hit


def _marked(file: File, marker: Marker) -> Iterator[Hit]:
    if marker.own and file.is_template:
        return
    first_lines = file.opening if marker.own else file.head
    lines = first_lines[: marker.lines] if marker.lines > 0 else file.tail[marker.lines :]
    first = 1 if marker.lines > 0 else -len(lines)
    for number, line in enumerate(lines, first):
        match = marker.pattern.search(line)
        if match:
            yield Hit(marker.rule, number, match.group().strip()[:EVIDENCE_CHARACTERS])
            return


def minified(file: File) -> Hit | None:
    """JavaScript and CSS whose lines are long on average, as they are when white space was taken out."""
    if file.language not in _MINIFIABLE or len(file.text) < MIN_MINIFIED_BYTES:
        return None
    text = bytes(file.text)
    ends = text.count(b"\n")
    mean = (len(text) - ends) / (ends + (not text.endswith(b"\n")))
    return Hit("minified", 0, f"{mean:.0f} bytes a line") if mean > MAX_MEAN_LINE else None


def recorded(file: File) -> Hit | None:
    """Cassettes of vcrpy, which sign nothing: a list of interactions with request and response."""
    is_list = file.head[:1] == ["interactions:"] and "- request:" in file.head[1:2]
    return Hit("vcr_cassette", 1, "interactions:") if is_list else None


CHECKS: tuple[Callable[[File], Hit | None], ...] = (minified, recorded)
RULES = frozenset({"minified", *(name.rule for name in NAMES), *(marker.rule for marker in MARKERS)})
