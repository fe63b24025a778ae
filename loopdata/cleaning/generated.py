"""The `generated` stage: files that a program wrote, and copies of other projects.

Enters: documents of code with `path`, `text` and `language`. Leaves: the same without those that a rule of
`generated_rules` or `vendored_rules` hits, or with a mark on them. A fate names the rule, the line (negative: from the
end; 0: the path) and what stood there. The vendored rules speak first: a generated file in `node_modules` is vendored.
Limit: one document has one fate, the first hit that is not kept.
"""

from typing import ClassVar, Literal

import pyarrow as pa
from pydantic import Field, field_validator

from loopdata import schema
from loopdata.cleaning import generated_rules, vendored_rules
from loopdata.cleaning.generated_rules import File
from loopdata.config import Strict, nearest
from loopdata.stage import Fate, Outcome, Stage

Action = Literal["drop", "mark", "keep"]


class GeneratedConfig(Strict):
    """What becomes of a file that a rule hits; `rules` names single rules and lies over the other two."""

    generated: Action = "drop"
    vendored: Action = "drop"
    rules: dict[str, Action] = Field(default_factory=dict)

    @field_validator("rules")
    @classmethod
    def _known(cls, rules: dict[str, Action]) -> dict[str, Action]:
        known = sorted(generated_rules.RULES | vendored_rules.RULES)
        for name in rules:
            if name not in known:
                raise ValueError(f"there is no rule '{name}'{nearest(name, known)}")
        return rules


class Generated(Stage):
    """Drops or marks what nobody wrote here."""

    name = "generated"
    version = 2
    Config = GeneratedConfig
    categories = frozenset({"code"})
    needs: ClassVar[dict[str, pa.DataType]] = {
        name: schema.DOCUMENT[name] for name in ("doc_id", "category", "path", "text", "language")
    }

    def apply(self, table: pa.Table) -> Outcome:
        """Ask the rules about every document that has a path."""
        columns = (table[name].to_pylist() for name in ("doc_id", "path", "language"))
        texts = table["text"].cast(pa.large_binary())
        fates = [
            fate
            for doc_id, path, language, text in zip(*columns, texts, strict=True)
            if (fate := self._fate(doc_id, File(path or "", memoryview(text.as_buffer() or b""), language))) is not None
        ]
        dropped = {fate.subject for fate in fates if fate.fate == "dropped"}
        kept = pa.array([doc_id not in dropped for doc_id in table["doc_id"].to_pylist()], pa.bool_())
        return Outcome(table.filter(kept) if dropped else table, fates)

    def _fate(self, doc_id: str, file: File) -> Fate | None:
        for hits, general in (
            (vendored_rules.vendored(file.path), self.config.vendored),
            (generated_rules.generated(file), self.config.generated),
        ):
            for hit in hits:
                action = self.config.rules.get(hit.rule, general)
                if action != "keep":
                    fate = "dropped" if action == "drop" else "marked"
                    return Fate(doc_id, self.label, fate, hit.rule, hit.line, details=hit.evidence)
        return None
