"""Who may import whom: the section `Floors` of DESIGN.md, held by parsing every import, those inside functions too."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ("loopdata", "pipelines", "classifiers", "model", "kernels")
# Above → what of the project it may import.
MAY_IMPORT = {
    "pipelines": FLOORS,
    "classifiers": ("classifiers", "loopdata"),
    "model": ("model", "kernels", "loopdata.errors", "loopdata.tokens.shards"),
    "loopdata": ("loopdata",),
    "kernels": ("kernels",),
}
# Floors that must run on a bare machine → the other packages that they may import.
ONLY_PACKAGES = {
    "model": {"torch", "numpy", "safetensors", "yaml"},
    "kernels": {"torch", "triton"},
    "loopdata.errors": set(),
    "loopdata.tokens.shards": {"numpy"},
}
GROUND = (
    "schema", "errors", "config", "storage", "stage", "special_tokens", "git", "embedding", "compiled", "parts",
    "syntax", "retrieval",
)  # fmt: skip
EXCEPTIONS = {("loopdata.mixture", "loopdata.tokens.shards")}


def imports(source: str, module: str, is_package: bool = False) -> Iterator[str]:
    """Full names of the modules that a source imports; `from a import b` counts as `a.b`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: len(module.split(".")) - node.level + is_package] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "__import__"):
            yield from (arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant))


def below(name: str, *places: str) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def violations(module: str, source: str, is_package: bool = False) -> list[str]:
    """Why this source breaks the floors, one line an import; none where it does not."""
    if is_package and ast.parse(source).body:
        return [f"{module}: a package file must be empty"]
    found = (_why(module, name) for name in imports(source, module, is_package))
    return [f"{module}: {why}" for why in found if why]


def _why(module: str, name: str) -> str:
    """Why `module` may not import `name`, or nothing."""
    floor, package = module.split(".")[0], name.split(".")[0]
    if package in FLOORS and not below(name, *MAY_IMPORT[floor]):
        return f"{floor} may not import {name}"
    if package not in FLOORS and package not in sys.stdlib_module_names:
        return _why_package(module, package)
    if below(module, *(place for place in ONLY_PACKAGES if place.startswith("loopdata"))):
        allowed = ("loopdata.errors", module)
        if package in FLOORS and not below(name, *allowed):
            return f"it may not import {name}"
    return _why_step(module, name) if below(name, "loopdata") and floor == "loopdata" else ""


def _why_package(module: str, package: str) -> str:
    for place, allowed in ONLY_PACKAGES.items():
        if below(module, place) and package not in allowed:
            return f"it may not import {package}"
    if package == "ray" and module != "loopdata.engine.ray_runner":
        return "only engine/ray_runner.py imports ray"
    if package == "datatrove" and not module.startswith("loopdata.sources.datatrove"):
        return "only the adapters sources/datatrove*.py import datatrove"
    if package == "torch" and below(module, "loopdata") and not below(module, "loopdata.embedding"):
        return "loopdata imports no torch"
    return ""


def _why_step(module: str, name: str) -> str:
    """Within loopdata: a step imports the ground and itself; the engine imports the ground and itself."""
    if name == "loopdata" or ".".join(name.split(".")[:2]) == "loopdata.*":
        return f"it imports {name} as a whole"
    own, other = module.split(".")[1], name.split(".")[1]
    if other in GROUND or own == other:
        return f"the ground may not import the step {name}" if own in GROUND and other not in GROUND else ""
    if any(below(module, step) and below(name, part) for step, part in EXCEPTIONS):
        return ""
    return f"{'the ground' if own in GROUND else own} may not import {name}"


def sources() -> Iterator[tuple[str, str, bool]]:
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            yield ".".join(parts[:-1] if is_package else parts), path.read_text("utf-8"), is_package


def test_every_file_keeps_to_its_floor() -> None:
    found = list(sources())
    assert len(found) > 40
    assert [line for module, source, is_package in found for line in violations(module, source, is_package)] == []


BROKEN = [
    ("loopdata.cleaning.clean", "import pipelines.run", "loopdata may not import pipelines.run"),
    ("loopdata.cleaning.clean", "def f():\n    from model import train", "loopdata may not import model.train"),
    ("loopdata.cleaning.clean", "from loopdata.dedup import exact", "cleaning may not import loopdata.dedup.exact"),
    ("loopdata.cleaning.clean", "from loopdata import dedup", "cleaning may not import loopdata.dedup"),
    ("loopdata.cleaning.clean", "from ..dedup import exact", "cleaning may not import loopdata.dedup.exact"),
    ("loopdata.cleaning.clean", "import loopdata.engine.unit", "cleaning may not import loopdata.engine.unit"),
    ("loopdata.cleaning.clean", "import loopdata", "it imports loopdata as a whole"),
    ("loopdata.cleaning.clean", "import ray", "only engine/ray_runner.py imports ray"),
    ("loopdata.cleaning.clean", "import torch.nn", "loopdata imports no torch"),
    ("loopdata.cleaning.clean", "from datatrove.data import Document", "only the adapters"),
    ("loopdata.engine.tasks", "from loopdata.cleaning.clean import Clean", "engine may not import loopdata.cleaning"),
    ("loopdata.engine.driver", "import importlib\nimportlib.import_module('ray')", "only engine/ray_runner.py"),
    ("loopdata.mixture.draw", "from loopdata.tokens.packing import pack", "mixture may not import loopdata.tokens.pac"),
    ("loopdata.stage", "from loopdata.engine import unit", "the ground may not import loopdata.engine.unit"),
    ("loopdata.errors", "import numpy", "it may not import numpy"),
    ("loopdata.errors", "from loopdata.config import Strict", "it may not import loopdata.config.Strict"),
    ("loopdata.tokens.shards", "import pyarrow", "it may not import pyarrow"),
    ("loopdata.tokens.shards", "from loopdata.storage import Folder", "it may not import loopdata.storage.Folder"),
    ("model.trainer", "import pyarrow", "it may not import pyarrow"),
    ("model.trainer", "from loopdata.config import Strict", "model may not import loopdata.config.Strict"),
    ("model.trainer", "from loopdata.tokens import packing", "model may not import loopdata.tokens.packing"),
    ("kernels.reference", "import numpy", "it may not import numpy"),
    ("kernels.reference", "from loopdata.errors import RunError", "kernels may not import loopdata.errors.RunError"),
    ("classifiers.labels", "from model.config import ModelConfig", "classifiers may not import model.config"),
    ("classifiers.labels", "import pipelines", "classifiers may not import pipelines"),
]


@pytest.mark.parametrize(("module", "source", "why"), BROKEN)
def test_a_broken_floor_is_found(module: str, source: str, why: str) -> None:
    [line] = violations(module, source)
    assert line.startswith(f"{module}: {why}")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "loopdata.cleaning.clean",
            "import re, numpy\nfrom loopdata import schema\nfrom loopdata.cleaning import d",
        ),
        ("loopdata.cleaning.clean", "from . import decoding\nfrom loopdata.syntax import language_names"),
        ("loopdata.mixture.draw", "from loopdata.tokens.shards import Shard"),
        ("loopdata.engine.ray_runner", "import ray\nfrom ray.exceptions import RayError"),
        ("loopdata.sources.datatrove_reader", "from datatrove.data import Document"),
        ("loopdata.embedding", "def f():\n    import torch"),
        ("loopdata.errors", "import sys"),
        ("loopdata.tokens.shards", "import numpy as np\nfrom loopdata.errors import ShardError"),
        (
            "model.trainer",
            "import torch, yaml\nfrom loopdata.tokens.shards import Dataset\nfrom kernels import d",
        ),
        (
            "kernels.gated_attention",
            "import torch, triton\nimport triton.language as tl\nfrom kernels import d",
        ),
        ("pipelines.run", "from model.trainer import train\nfrom loopdata.engine import driver\nimport rich"),
    ],
)
def test_what_is_allowed_passes(module: str, source: str) -> None:
    assert violations(module, source) == []


def test_a_package_file_that_imports_or_says_anything_is_found() -> None:
    for source in ("import re", '"""Words."""', "x = 1"):
        assert violations("loopdata.cleaning", source, is_package=True) == [
            "loopdata.cleaning: a package file must be empty"
        ]
    assert violations("loopdata.cleaning", "", is_package=True) == []
