"""What a training came to: the record that `result.json` holds and `train` returns.

Enters: evaluations before and after, and what the training counted. Leaves: Result. Limit: speeds are those of the
machine, evaluation and checkpoints not counted.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model.checkpoint import check_origin
from model.files import write_json

_NAME = "result.json"


@dataclass(frozen=True)
class Result:
    """`before` and `after` are `Evaluation.to_dict()`; `loss` is the last step's, in nats a target."""

    before: dict[str, Any]
    after: dict[str, Any]
    steps: int
    tokens: int
    seconds: float
    tokens_per_second: float
    loss: float
    parameters: dict[str, int]
    flops_per_token: int
    checkpoint: str  # folder, relative to `out`


def read_result(out: Path, origin: Mapping[str, Any]) -> Result | None:
    """The result that `out` already holds, or None. ConfigError or ShardError when it is that of another training."""
    path = out / _NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        result, found = Result(**values["result"]), dict(values["origin"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    check_origin(found, origin, path)
    return result


def write_result(out: Path, result: Result, origin: Mapping[str, Any]) -> None:
    """Publish the result, as the last thing that a training does."""
    write_json(out / _NAME, {"result": asdict(result), "origin": origin})
