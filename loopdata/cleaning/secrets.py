"""The `secrets` stage: keys, passwords, e-mail and IP addresses give way to placeholders of the same kind.

Enters: documents with `text`. Leaves: the same with `<KEY>`, `<PASSWORD>`, `<EMAIL>` or `<IP_ADDRESS>` where something
was found, without those that hold too many. What is found is in no fate, message or traceback: a fate says the rule,
how often it hit, and the byte offsets in the text before the edit. A file that its grammar read before is still read:
where a placeholder in brackets breaks that, one without them is used. Lock files, and lines that speak of hashes, are
only searched for keys that have a shape of their own. Limit: what has neither a shape nor a name is not found (a
password in a sentence that does not call it one).
"""

import traceback
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa
from pydantic import Field, field_validator

from loopdata import schema
from loopdata.cleaning.addresses import find_emails, find_ip_addresses
from loopdata.cleaning.assigned import find_assigned, find_url_passwords
from loopdata.cleaning.placeholders import Family, Finding, bare_word, merged, placeholder
from loopdata.cleaning.private_keys import find_private_keys
from loopdata.cleaning.service_keys import SERVICES, find_service_keys
from loopdata.config import Strict, nearest
from loopdata.parts import Edit, Part, replace
from loopdata.stage import Fate, Outcome, Stage
from loopdata.syntax.damage import damage
from loopdata.syntax.grammars import GRAMMARS, grammar_versions
from loopdata.syntax.parse import Limits, Refusal, parse_anew

RULES = [
    *SERVICES,
    *("private_key", "url_password", "password", "secret", "email", "ipv4_address", "ipv6_address"),
]
# Names of files that hold hashes, in lower case.
LOCK_FILES = """
cargo.lock checksums composer.lock flake.lock gemfile.lock go.sum npm-shrinkwrap.json package-lock.json
packages.lock.json package.resolved pdm.lock pipfile.lock pnpm-lock.yaml podfile.lock poetry.lock pubspec.lock
sha256sums uv.lock yarn.lock
"""
_LOCK_FILES = frozenset(LOCK_FILES.split())
EXEMPT_EMAILS = ["git@", "hg@", "noreply@", "no-reply@", "donotreply@", "do-not-reply@", "users.noreply.github.com"]


_LIMITS = Limits(max_depth=1 << 30)  # the walk that measures the depth costs as much as the parse


class SecretsConfig(Strict):
    """`kinds`: what is replaced. `leave`: rules that replace nothing. `exempt_emails`: `domain.org` with all below it,
    `name@` anywhere, or a whole address. `max_secrets`: documents with more keys and passwords are dropped;
    `max_addresses`: likewise for e-mail and IP addresses; null: none is."""

    kinds: list[Family] = Field(default_factory=lambda: list(Family))
    leave: list[str] = Field(default_factory=list)
    exempt_emails: list[str] = Field(default_factory=EXEMPT_EMAILS.copy)
    max_secrets: int | None = Field(default=None, ge=0)
    max_addresses: int | None = Field(default=None, ge=0)

    @field_validator("leave")
    @classmethod
    def _known(cls, rules: list[str]) -> list[str]:
        for rule in rules:
            if rule not in RULES:
                raise ValueError(f"there is no rule '{rule}'{nearest(rule, RULES)}")
        return rules


class SearchError(Exception):
    """Something went wrong in a text. Where, never what: the first message may quote the text."""


class _Document(NamedTuple):
    doc_id: str
    path: str | None
    language: str | None
    text: bytes
    parts: list[Part] | None


class Secrets(Stage):
    """Replaces secrets and addresses."""

    name = "secrets"
    version = 3
    Config = SecretsConfig
    needs: ClassVar[dict[str, pa.DataType]] = {
        name: schema.DOCUMENT[name] for name in ("doc_id", "text", "text_id", "parts", "path", "language", "num_bytes")
    }

    def __init__(self, config: Strict | None = None, *, label: str = "", seed: int = 0) -> None:
        super().__init__(config, label=label, seed=seed)
        self.exempt = frozenset(entry.lower().encode() for entry in self.config.exempt_emails)

    def identity(self) -> dict[str, Any]:
        """With the versions of the grammars."""
        return super().identity() | {"grammars": grammar_versions()}

    def apply(self, table: pa.Table) -> Outcome:
        """Search every document, and edit or drop those in which something is found."""
        fates: list[Fate] = []
        edited: dict[int, tuple[bytes, list[Part] | None]] = {}
        columns = (table[name].to_pylist() for name in ("doc_id", "path", "language", "parts"))
        texts = table["text"].cast(pa.large_binary())
        for row, (doc_id, path, language, parts) in enumerate(zip(*columns, strict=True)):
            text = texts[row].as_py()
            if text is not None:
                new = _without_quotes(self._decide, _Document(doc_id, path, language, text, parts), fates)
                if new is not None:
                    edited[row] = new
        dropped = {fate.subject for fate in fates if fate.fate == "dropped"}
        table = _with_edits(table, edited) if edited else table
        if dropped:
            table = table.filter(
                pa.array([doc_id not in dropped for doc_id in table["doc_id"].to_pylist()], pa.bool_())
            )
        return Outcome(table, fates)

    def _decide(self, document: _Document, fates: list[Fate]) -> tuple[bytes, list[Part] | None] | None:
        """The text and parts of a document after the edit; None where nothing is edited. Fates go to `fates`."""
        found = self.find(document.text, document.path)
        end = self._end(document.doc_id, found)
        if end is not None:
            fates.append(end)
            return None
        if not found:
            return None
        for rule in dict.fromkeys(finding.rule for finding in found):
            starts = [finding.start for finding in found if finding.rule == rule]
            offsets = " ".join(map(str, starts))
            fates.append(Fate(document.doc_id, self.label, "edited", rule, len(starts), details=f"at {offsets}"))
        return self._edited(document, found, fates)

    def find(self, text: bytes, path: str | None = None) -> list[Finding]:
        """What is to be replaced, in order and apart from each other."""
        found = [*find_service_keys(text), *find_private_keys(text), *find_url_passwords(text)]
        if not _is_lock_file(path):
            found += find_assigned(text)
        found += find_emails(text, self.exempt)
        found += find_ip_addresses(text)
        return merged(
            finding
            for finding in found
            if finding.family in self.config.kinds and finding.rule not in self.config.leave
        )

    def _end(self, doc_id: str, found: list[Finding]) -> Fate | None:
        """The fate that ends a document in which too much was found."""
        secrets = sum(finding.family in (Family.KEY, Family.PASSWORD) for finding in found)
        counts = (
            ("too_many_secrets", secrets, self.config.max_secrets),
            ("too_many_addresses", len(found) - secrets, self.config.max_addresses),
        )
        for rule, count, limit in counts:
            if limit is not None and count > limit:
                return Fate(doc_id, self.label, "dropped", rule, count, limit)
        return None

    def _edited(self, document: _Document, found: list[Finding], fates: list[Fate]) -> tuple[bytes, list[Part] | None]:
        """With brackets, or without where the grammar of the language stumbles over them."""
        text, language, parts = document.text, document.language, document.parts
        spelled: list[Callable[[Family], bytes]] = [lambda family: placeholder(family, language), bare_word]
        new = text, parts
        for spell in spelled:
            new = replace(text, [Edit(hit.start, hit.end, spell(hit.family)) for hit in found], parts)
            if not _breaks(text, new[0], language):
                return new
        fates.append(Fate(document.doc_id, self.label, "marked", "placeholder_breaks_syntax", details=language))
        return new


def _without_quotes(
    decide: Callable[[_Document, list[Fate]], tuple[bytes, list[Part] | None] | None],
    document: _Document,
    fates: list[Fate],
) -> tuple[bytes, list[Part] | None] | None:
    """`decide`, whose exceptions may quote the document: only their kind and place are passed on."""
    try:
        return decide(document, fates)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        failure = f"{type(error).__name__} in {frame.name}, line {frame.lineno}"
    raise SearchError(failure)  # outside of the handler, so that it has no context


def _is_lock_file(path: str | None) -> bool:
    return path is not None and PurePosixPath(path).name.lower() in _LOCK_FILES


def _breaks(before: bytes, after: bytes, language: str | None) -> bool:
    """Whether the grammar of the language stumbles more often over the text after an edit than before it."""
    if language not in GRAMMARS:
        return False
    stumbles = _stumbles(after, language)
    return stumbles > 0 and stumbles > _stumbles(before, language)


def _stumbles(text: bytes, language: str) -> int:
    tree = parse_anew(text, language, _LIMITS)
    if isinstance(tree, Refusal):
        return 0
    found = damage(tree)
    return found.errors + found.missing


def _with_edits(table: pa.Table, edited: dict[int, tuple[bytes, list[Part] | None]]) -> pa.Table:
    """`table` with other texts, their ids, sizes and parts, in the rows of `edited`."""
    new = {
        "text": [text for text, _ in edited.values()],
        "text_id": [schema.digest(text) for text, _ in edited.values()],
        "parts": [parts for _, parts in edited.values()],
        "num_bytes": [len(text) for text, _ in edited.values()],
    }
    # The rows of the table, those that are edited replaced by rows that come behind it.
    places = list(range(table.num_rows))
    for behind, row in enumerate(edited):
        places[row] = table.num_rows + behind
    for name, values in new.items():
        kind = schema.DOCUMENT[name]
        column = pa.array(values, pa.large_binary()).view(kind) if name == "text" else pa.array(values, kind)
        both = pa.chunked_array([*table[name].chunks, column])
        table = table.set_column(table.schema.get_field_index(name), name, both.take(pa.array(places)))
    return table
