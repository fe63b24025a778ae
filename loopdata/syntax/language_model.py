"""The language of a text by a small neural network, where neither name nor signs decide.

Enters: both ends of a text. Leaves: how probable each language is that the network knows. The network is Magika's
(Google, Apache 2.0), whose ONNX file lies inside its wheel: it looks at the first and the last 1,024 bytes. We run it
ourselves, with one thread and one text at a time: batches were no faster, and the last bits of the figures depend on
the size of a batch. It is loaded when it is first asked. Limit: it knows some 80 languages and none of D, F#, Forth,
GLSL, Raku or Rocq; texts of those come out as something else.
"""

import importlib.metadata
import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

PACKAGES = ("magika", "onnxruntime")  # whose versions decide what comes out
_MODEL = "standard_v3_3"
BLOCK_BYTES, _END_BYTES, _PADDING = 4_096, 1_024, 256
# Magika's label: linguist's name
NAMES = {
    "asm": "Assembly", "awk": "Awk", "batch": "Batchfile", "bazel": "Starlark",
    "bib": "TeX", "c": "C", "clojure": "Clojure", "cmake": "CMake", "cobol": "COBOL", "coffeescript": "CoffeeScript",
    "cpp": "C++", "cs": "C#", "csproj": "XML", "css": "CSS", "csv": "CSV", "dart": "Dart", "diff": "Diff",
    "dockerfile": "Dockerfile", "elixir": "Elixir", "erlang": "Erlang", "fortran": "Fortran", "gemfile": "Ruby",
    "gemspec": "Ruby", "go": "Go", "gradle": "Gradle", "groovy": "Groovy", "haskell": "Haskell", "hcl": "HCL",
    "html": "HTML", "ini": "INI", "ipynb": "Jupyter Notebook", "java": "Java",
    "javascript": "JavaScript", "json": "JSON", "jsonl": "JSON", "julia": "Julia", "kotlin": "Kotlin", "latex": "TeX",
    "lisp": "Common Lisp", "lua": "Lua", "makefile": "Makefile", "markdown": "Markdown", "matlab": "MATLAB",
    "objectivec": "Objective-C", "ocaml": "OCaml", "pascal": "Pascal", "perl": "Perl", "php": "PHP",
    "po": "Gettext Catalog", "powershell": "PowerShell", "prolog": "Prolog", "proto": "Protocol Buffer",
    "python": "Python", "r": "R", "rdf": "XML", "rst": "reStructuredText", "ruby": "Ruby", "rust": "Rust",
    "scala": "Scala", "scss": "SCSS", "shell": "Shell", "solidity": "Solidity", "sql": "SQL", "svg": "SVG",
    "swift": "Swift", "tcl": "Tcl", "toml": "TOML", "tsv": "TSV", "txt": "Text", "typescript": "TypeScript",
    "vba": "VBA", "vcxproj": "XML", "verilog": "Verilog", "vhdl": "VHDL", "vue": "Vue", "xml": "XML", "yaml": "YAML",
    "zig": "Zig",
}  # fmt: skip


def versions() -> dict[str, str]:
    """Of the network and of what runs it, without loading either."""
    return {package: importlib.metadata.version(package) for package in PACKAGES}


def probabilities(start: bytes, end: bytes) -> dict[str, float]:
    """The probability of every language by both ends of a text; what looks like something else is in none of them."""
    session, languages = _network()
    (rows,) = session.run(["target_label"], {"bytes": _features(start, end)[np.newaxis]})
    found: dict[str, float] = {}
    for language, value in zip(languages, rows[0].tolist(), strict=True):
        if language:
            found[language] = found.get(language, 0.0) + value
    return found


@cache
def _network() -> tuple[Any, tuple[str, ...]]:
    """The network, and the language of each of its outputs (empty: none of ours)."""
    import onnxruntime

    folder = files("magika") / "models" / _MODEL
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    onnxruntime.disable_telemetry_events()
    model = (folder / "model.onnx").read_bytes()
    labels = json.loads((folder / "config.min.json").read_text())["target_labels_space"]
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session, tuple(NAMES.get(label, "") for label in labels)


def _features(start: bytes, end: bytes) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Both ends of a text as its trainers cut them: white space stripped within 4 KiB, then 1 KiB, padded with 256."""
    start = start[:BLOCK_BYTES].lstrip()[:_END_BYTES]
    end = end[-BLOCK_BYTES:].rstrip()[-_END_BYTES:]
    found = np.full(2 * _END_BYTES, _PADDING, np.int32)
    found[: len(start)] = np.frombuffer(start, np.uint8)
    found[len(found) - len(end) :] = np.frombuffer(end, np.uint8)
    return found
