"""Rules with thresholds: what both stages of heuristics share.

A measure is a function that gives a number for a document. Each measure `m` makes two rules, `max_m` and `min_m`, which
hit above and below their threshold; a value on the threshold is kept, and so is a document that has no value (NaN). A
preset and the run file say which rules hold, for all languages or by language. Enters: the names of measures and the
configuration. Leaves: the rules in the order of the measures, the order in which they are tried. Limit: a rule sees one
number and one language, nothing else of a document.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import yaml
from pydantic import Field, FiniteFloat, field_validator

from loopdata.cleaning.presets import PRESETS
from loopdata.config import Strict, nearest
from loopdata.stage import Stage
from loopdata.syntax import language_names

NONE = math.nan  # the threshold that nothing lies beyond
OTHERS = "else"
Threshold = FiniteFloat | None | dict[str, FiniteFloat | None]


@dataclass(frozen=True)
class Rule:
    """A measure, a side and a threshold."""

    name: str
    general: float = NONE
    by_language: Mapping[str, float] = field(default_factory=dict)

    @property
    def measure(self) -> str:
        """The name of what is measured."""
        return self.name[4:]

    def threshold(self, language: str) -> float:
        """The threshold for a language, NaN where there is none."""
        return self.by_language.get(language, self.general)

    def hits(self, value: Any, threshold: Any) -> Any:
        """Whether a value (or each of an array) lies beyond the threshold. NaN on either side never does."""
        return value > threshold if self.name.startswith("max_") else value < threshold


class RulesConfig(Strict):
    """`preset` gives thresholds, `rules` lies over it, rule by rule.

    A number or null (off) is for all languages. A mapping changes the languages that it names, several with a comma
    between them, and `else` for all others.
    """

    measures: ClassVar[tuple[str, ...]] = ()
    preset: Literal["default", "stack-v2", "opencoder", "none"] = "default"
    rules: dict[str, Threshold] = Field(default_factory=dict)

    @field_validator("rules")
    @classmethod
    def _known(cls, rules: dict[str, Threshold]) -> dict[str, Threshold]:
        for name, threshold in rules.items():
            known = list(rule_names(cls.measures))
            if name not in known:
                raise ValueError(f"there is no rule '{name}'{nearest(name, known)}")
            for language in thresholds(threshold):
                if language != OTHERS and language not in language_names.languages():
                    close = nearest(language, sorted(language_names.languages()))
                    raise ValueError(f"{name}: there is no language '{language}'{close}")
        return rules

    def resolved(self) -> dict[str, dict[str, float]]:
        """Every rule that holds, with its thresholds by language, in the order in which they are tried."""
        preset = preset_table(self.preset)
        found: dict[str, dict[str, float]] = {}
        for name in rule_names(self.measures):
            over = self.rules.get(name, {})
            under = thresholds(preset.get(name)) if isinstance(over, dict) else {}
            both = under | thresholds(over)
            if not all(math.isnan(value) for value in both.values()):
                found[name] = both
        return found

    def read(self) -> list[Rule]:
        """The same as rules."""
        return [
            Rule(name, values.get(OTHERS, NONE), {key: value for key, value in values.items() if key != OTHERS})
            for name, values in self.resolved().items()
        ]


class RuleStage(Stage):
    """A stage of rules on code; the numbers of a preset, not its name, are part of its identity."""

    categories = frozenset({"code"})

    def __init__(self, config: Strict | None = None, *, label: str = "", seed: int = 0) -> None:
        super().__init__(config, label=label, seed=seed)
        self.rules = self.config.read()

    def identity(self) -> dict[str, Any]:
        """With the thresholds that the name of a preset stands for; null, as JSON has no NaN."""
        rules = {
            name: {language: None if math.isnan(value) else value for language, value in values.items()}
            for name, values in self.config.resolved().items()
        }
        return super().identity() | {"rules": rules}


def rule_names(measures: Iterable[str]) -> Iterable[str]:
    """The names of the rules that these measures make."""
    return (f"{side}_{measure}" for measure in measures for side in ("min", "max"))


def thresholds(threshold: Threshold) -> dict[str, float]:
    """A threshold as it is written, by language and `else`; NaN where there is none."""
    entries = threshold if isinstance(threshold, dict) else {OTHERS: threshold}
    return {
        language.strip(): NONE if value is None else float(value)
        for names, value in entries.items()
        for language in names.split(",")
    }


def preset_table(name: str) -> dict[str, Threshold]:
    """The thresholds of a preset, as they are written."""
    table: dict[str, Threshold] = yaml.safe_load(PRESETS[name]) or {}
    return table
