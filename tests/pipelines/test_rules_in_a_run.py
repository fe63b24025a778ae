"""Rules in a run: bytes before dedup, trees behind `syntax`, their fates, and their names in the run file."""

from typing import Any

import pytest

from loopdata.errors import ConfigError
from pipelines.explain import explain_document
from pipelines.run_file import resolve
from tests.pipelines.corpus_case import complete


def with_trees(data: dict[str, Any], **rules: Any) -> dict[str, Any]:
    """The corpus with rules on trees behind all other stages."""
    return data | {"corpus": [*data["corpus"], {"syntax": {}}, {"syntax_heuristics": {"rules": rules}}]}


def test_a_rule_on_trees_ends_a_document_with_value_and_threshold(data: dict[str, Any]) -> None:
    data = with_trees(data, max_trivial_functions={"Python": 0.4})
    summary = complete(data)
    assert summary.stages[-1].notes == {"dropped.max_trivial_functions": 5}
    (found,) = explain_document(data["run"], "tree/alpha/main.py")
    assert found.ended_by is not None
    ended = {name: found.ended_by[name] for name in ("stage", "rule", "value", "threshold", "details")}
    assert ended == {
        "stage": "syntax_heuristics",
        "rule": "max_trivial_functions",
        "value": 0.5,
        "threshold": 0.4,
        "details": "Python",
    }


def test_rules_on_trees_stand_behind_syntax(data: dict[str, Any]) -> None:
    data["corpus"].append({"syntax_heuristics": {}})
    with pytest.raises(ConfigError, match="'syntax_heuristics' needs the column 'ast_error_share'"):
        resolve(data)


def test_a_rule_of_the_other_stage_is_named(data: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"corpus\.syntax_heuristics\.rules: there is no rule 'max_lines'"):
        resolve(with_trees(data, max_lines=5))
