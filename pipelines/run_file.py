"""The run file: one YAML mapping that describes a run from raw sources to a trained proof.

Enters: a YAML file and overrides. Leaves: a frozen `RunFile`, whose sections `sources`, `corpus` and `samples` are
already the objects that do the work. Every unknown key and every stage whose columns nobody provides is an error here,
before any work starts. Limit: the tables below name every source, stage and builder; a new one is added by a line.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
import yaml
from pydantic import Field

from loopdata.cleaning.as_text import AsText
from loopdata.cleaning.clean import Clean
from loopdata.cleaning.data_files import DataFiles
from loopdata.cleaning.generated import Generated
from loopdata.cleaning.heuristics import Heuristics
from loopdata.cleaning.language import Language
from loopdata.cleaning.licence import Licence
from loopdata.cleaning.notebooks import Notebooks
from loopdata.cleaning.secrets import Secrets
from loopdata.cleaning.syntax import Syntax
from loopdata.cleaning.syntax_heuristics import SyntaxHeuristics
from loopdata.config import Strict, load_yaml, nearest, parse
from loopdata.dedup.exact import ExactDedup
from loopdata.dedup.near import NearDedup
from loopdata.dedup.repositories import RepoDedup
from loopdata.dedup.semantic import SemanticDedup
from loopdata.engine.chain import plan_columns
from loopdata.engine.driver import Failures
from loopdata.errors import ConfigError
from loopdata.fim.file_level import FileBuilder
from loopdata.fim.repo_level import RepoBuilder
from loopdata.schema import require, source_schema
from loopdata.sources.files import Files
from loopdata.sources.git import Git
from loopdata.sources.split import Splitter
from loopdata.sources.tables import Table
from loopdata.special_tokens import SPECIAL_TOKENS
from loopdata.stage import Builder, CorpusStage, Source, Stage, Step
from pipelines.alarms import AlarmsSection
from pipelines.arms import read_arms

SOURCES: dict[str, type[Source]] = {kind.name: kind for kind in (Files, Git, Table)}
STAGES: dict[str, type[Step]] = {
    kind.name: kind
    for kind in (
        AsText,
        Notebooks,
        Clean,
        Language,
        Licence,
        DataFiles,
        Generated,
        Heuristics,
        Secrets,
        ExactDedup,
        NearDedup,
        RepoDedup,
        SemanticDedup,
        Syntax,
        SyntaxHeuristics,
    )
}
BUILDERS: dict[str, type[Builder]] = {kind.name: kind for kind in (FileBuilder, RepoBuilder)}


class SeedSection(Strict):
    """`data` decides what is drawn, `init` the first weights, `order` the order of training."""

    data: int = 0
    init: int = 0
    order: int = 0


class SplitSection(Strict):
    """`valid`: share of repositories held out; 0, which holds out none, is for runs that end with documents.
    `families`: forks that are held out or trained on together."""

    valid: float = Field(default=0.02, ge=0, lt=1)
    families: dict[str, list[str]] = Field(default_factory=dict)


class TrainTokenizer(Strict):
    """`sample_mb`: how much text of the training split, drawn by hash, the tokenizer is trained on."""

    vocab_size: int = Field(default=32_768, ge=300, le=1 << 20)
    sample_mb: float = Field(default=64.0, gt=0)


class TokensSection(Strict):
    """The tokenizer is trained on the training split."""

    train: TrainTokenizer = TrainTokenizer()


class MixtureSection(Strict):
    """`tokens` drawn by `weights` of the entries under `samples`, in sequences of `sequence` tokens."""

    tokens: int = Field(gt=0)
    sequence: int = Field(default=1024, ge=16)
    weights: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]]
    max_epochs: int = Field(default=4, ge=1)


class RowsSection(Strict):
    """Where rows go: those of tables whose `documents` remain, or the `samples` that the one entry makes of them."""

    to: str
    of: Literal["documents", "samples"] = "documents"


class FailuresSection(Strict):
    """How many documents may be quarantined before the run fails: the larger of the two."""

    max_documents: int = Field(default=10, ge=0)
    max_share: float = Field(default=0.001, ge=0, le=1)


class LimitsSection(Strict):
    """Guards far above the work: a process that stands still, a unit that never ends, memory of one exchange task."""

    stall_seconds: float = Field(default=600.0, gt=0)
    unit_seconds: float = Field(default=21_600.0, gt=0)
    exchange_mb: int = Field(default=256, ge=1)


class _File(Strict):
    """The mapping as it is written."""

    run: str
    seed: int | SeedSection = 0
    sample: float = Field(default=1.0, gt=0, le=1)
    sources: dict[str, dict[str, Any]]
    split: SplitSection = SplitSection()
    corpus: list[dict[str, Any]] = Field(default_factory=list)
    tokens: TokensSection | None = None
    samples: dict[str, dict[str, Any]] = Field(default_factory=dict)
    mixture: MixtureSection | None = None
    train: dict[str, Any] | None = None
    rows: RowsSection | None = None
    failures: FailuresSection = FailuresSection()
    alarms: AlarmsSection = AlarmsSection()
    limits: LimitsSection = LimitsSection()


KEYS = frozenset(_File.model_fields)


@dataclass(frozen=True)
class RunFile:
    """A run, ready to be driven. `data` is the resolved mapping, which stays in the run folder."""

    data: dict[str, Any]
    run: str
    seed: SeedSection
    sample: float
    sources: tuple[Source, ...]
    extra: dict[str, pa.DataType]  # columns that some source gives besides those of every source
    splitter: Splitter
    corpus: tuple[Step, ...]
    builders: tuple[Builder, ...]
    tokens: TokensSection | None
    mixture: MixtureSection | None
    arms: dict[str, dict[str, Any]]
    rows_to: str | None
    rows_of: str
    failures: Failures
    alarms: AlarmsSection
    limits: LimitsSection


def read_run_file(path: str | Path, sets: tuple[str, ...] = ()) -> RunFile:
    """Read and check a run file. ConfigError names the key, the value and what would be right."""
    return resolve(load_yaml(path, sets))


def resolve(data: dict[str, Any]) -> RunFile:
    """Check a mapping and build what it names."""
    file = parse(_File, data, "")
    seed = (
        file.seed
        if isinstance(file.seed, SeedSection)
        else SeedSection(data=file.seed, init=file.seed, order=file.seed)
    )
    if not file.sources:
        raise ConfigError("the run file names no sources", "add one under `sources:`")
    sources = tuple(_source(name, entry) for name, entry in sorted(file.sources.items()))
    extra = _extra_columns(sources)
    corpus = tuple(step for entry in file.corpus for step in _steps(entry, seed.data))
    builders = tuple(_builder(name, entry, seed.data) for name, entry in file.samples.items())
    _check_names([step.label for step in corpus], "corpus")
    _check_order(corpus)
    _check_columns(extra, corpus, builders)
    _check_sections(file)
    _check_builders(file, builders)
    file.alarms.check_names([step.label for step in corpus], list(file.sources))
    arms = read_arms(file.train, seed.init, file.mixture.sequence if file.mixture else 0)
    return RunFile(
        _repeatable(data, arms),
        file.run,
        seed,
        file.sample,
        sources,
        extra,
        Splitter(file.split.valid, file.split.families),
        corpus,
        builders,
        file.tokens,
        file.mixture,
        arms,
        _whole(file.rows.to) if file.rows else None,
        file.rows.of if file.rows else "documents",
        Failures(file.failures.max_documents, file.failures.max_share),
        file.alarms,
        file.limits,
    )


def _repeatable(data: dict[str, Any], arms: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The mapping as it stays in the run folder: local paths whole, model files read in."""
    sources = {name: _whole_path(entry, "path") for name, entry in data["sources"].items()}
    result = data | {"run": _whole(data["run"]), "sources": sources}
    if data.get("corpus"):
        result["corpus"] = [{name: _whole_stage(config) for name, config in entry.items()} for entry in data["corpus"]]
    result |= {"rows": data["rows"] | {"to": _whole(data["rows"]["to"])}} if data.get("rows") else {}
    return result | {"train": {"arms": arms}} if arms else result


def _whole_stage(config: Any) -> Any:
    """With the places that stages read besides the documents: a saved index, the folder of an embedder."""
    config = _whole_path(config, "index")
    if isinstance(config, dict) and "embedder" in config:
        return config | {"embedder": _whole_path(config["embedder"], "path")}
    return config


def _whole_path(entry: Any, key: str) -> Any:
    return entry | {key: _whole(entry[key])} if isinstance(entry, dict) and isinstance(entry.get(key), str) else entry


def _whole(path: str) -> str:
    return path if "://" in path else str(Path(path).resolve())


def dump(data: dict[str, Any]) -> bytes:
    """The resolved mapping as YAML, in the order it was written."""
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True).encode()


def _pick(table: dict[str, Any], key: str, what: str, where: str) -> Any:
    if key not in table:
        raise ConfigError(f"{where}: there is no {what} '{key}'{nearest(key, list(table))}")
    return table[key]


def _source(name: str, entry: dict[str, Any]) -> Source:
    if "kind" not in entry:
        raise ConfigError(f"sources.{name}: the key 'kind' is missing", f"there are: {', '.join(SOURCES)}")
    kind = _pick(SOURCES, str(entry["kind"]), "kind of source", f"sources.{name}.kind")
    config = parse(kind.Config, {key: value for key, value in entry.items() if key != "kind"}, f"sources.{name}")
    source: Source = kind(config, label=name)
    return source


def _steps(entry: dict[str, Any], seed: int) -> tuple[Step, ...]:
    """The stage of an entry, behind those that it wants directly before it."""
    names = [key for key in entry if key != "as"]
    if len(names) != 1:
        raise ConfigError(f"corpus: an entry must name one stage, found {entry!r}", "as in `- clean: {}`")
    name = names[0]
    kind = _pick(STAGES, name, "stage", "corpus")
    label = str(entry.get("as") or name)
    step: Step = kind(parse(kind.Config, entry[name], f"corpus.{label}"), label=label, seed=seed)
    return (*step.before(), step) if isinstance(step, CorpusStage) else (step,)


def _builder(name: str, entry: dict[str, Any], seed: int) -> Builder:
    if "builder" not in entry:
        raise ConfigError(f"samples.{name}: the key 'builder' is missing", f"there are: {', '.join(BUILDERS)}")
    kind = _pick(BUILDERS, str(entry["builder"]), "builder", f"samples.{name}.builder")
    config = parse(kind.Config, {key: value for key, value in entry.items() if key != "builder"}, f"samples.{name}")
    builder: Builder = kind(config, label=name, seed=seed)
    return builder


def _check_names(labels: list[str], where: str) -> None:
    twice = sorted({label for label in labels if labels.count(label) > 1} | ({"read"} & set(labels)))
    if twice:
        raise ConfigError(f"{where}: the name '{twice[0]}' is taken already", "name one of them by `as:`")


def _extra_columns(sources: tuple[Source, ...]) -> dict[str, pa.DataType]:
    """What some sources give besides the columns of all; ConfigError where two give it as different types."""
    found: dict[str, pa.DataType] = {}
    for source in sources:
        for name, kind in source.extra.items():
            if found.setdefault(name, kind) != kind:
                raise ConfigError(f"sources.{source.label}: '{name}' is {kind} here, but {found[name]} in another one")
    return found


def _check_order(corpus: tuple[Step, ...]) -> None:
    """A stage that chooses among documents would take licence files away from `licence`, unseen; and what `secrets` is
    to remove must not be written down before, as every stage over the whole corpus does."""
    names = [step.name for step in corpus]
    writes = next((number for number, step in enumerate(corpus) if isinstance(step, CorpusStage)), len(corpus))
    if Secrets.name in names[writes:]:
        raise ConfigError(
            f"corpus: '{corpus[writes].label}' writes documents down, and comes before 'secrets'",
            "put `secrets` before every stage over the whole corpus (licence, deduplication)",
        )
    for step in corpus[: names.index(Licence.name)] if Licence.name in names else ():
        chooses = isinstance(step, Language) and (step.config.keep is not None or step.config.drop is not None)
        if chooses or not isinstance(step, AsText | Notebooks | Clean | Language | Secrets):
            raise ConfigError(
                f"corpus: '{step.label}' may drop files that 'licence' reads, and comes before it",
                "put `licence` right behind `clean`",
            )


def _check_columns(extra: dict[str, pa.DataType], corpus: tuple[Step, ...], builders: tuple[Builder, ...]) -> None:
    columns = {field.name: field.type for field in source_schema(extra)}
    after = plan_columns(columns, corpus)
    for builder in builders:
        require(after, builder.needs, f"the builder '{builder.name}' of samples.{builder.label}")


def _check_sections(file: _File) -> None:
    if file.tokens is not None and not file.split.valid:
        raise ConfigError("split.valid is 0, so that nothing is held out", "raise it, or leave out `tokens`")
    as_rows = file.rows is not None and file.rows.of == "samples"
    if as_rows and (len(file.samples) != 1 or file.tokens is not None):
        raise ConfigError("rows.of: samples needs one entry under `samples`, and no section `tokens`", "change one")
    if file.samples and file.tokens is None and not as_rows:
        raise ConfigError("`samples` needs the section `tokens`", "add `tokens: {train: {vocab_size: 8192}}`")
    if file.mixture is not None:
        for name in file.mixture.weights:
            _pick(file.samples, name, "entry under samples", "mixture.weights")
        if file.samples and not any(file.mixture.weights.values()):
            raise ConfigError("mixture.weights: no category has a weight above 0", "give at least one")
    if file.mixture is None and file.train is not None:
        raise ConfigError("`train` needs the section `mixture`", "add it, or leave training out by --set train=null")
    if file.mixture is not None and not file.samples:
        raise ConfigError("`mixture` needs entries under `samples`", "add `samples: {file: {builder: file}}`")


def _check_builders(file: _File, builders: tuple[Builder, ...]) -> None:
    """A tokenizer of ours has our special tokens; text for others may hold any, but not say what is learned."""
    for builder in builders:
        if file.tokens is None and builder.config.fim and builder.config.fim.loss != "all":
            raise ConfigError(f"samples.{builder.label}.fim.loss: rows of text hold no loss", "leave it out")
        missing = [token for token in builder.special_tokens() if token not in SPECIAL_TOKENS]
        if file.tokens and missing:
            raise ConfigError(
                f"samples.{builder.label}.fim: the tokenizer lacks these special tokens: {', '.join(missing)}",
                "leave out `spelling: own` to take ours by role, or give a layout of your own",
            )


def split_corpus(corpus: tuple[Step, ...]) -> tuple[tuple[Stage, ...], list[tuple[CorpusStage, tuple[Stage, ...]]]]:
    """The stages before the first corpus stage, then each corpus stage with the stages behind it."""
    first: list[Stage] = []
    rest: list[tuple[CorpusStage, list[Stage]]] = []
    for step in corpus:
        if isinstance(step, CorpusStage):
            rest.append((step, []))
        elif isinstance(step, Stage):
            (rest[-1][1] if rest else first).append(step)
    return tuple(first), [(step, tuple(stages)) for step, stages in rest]
