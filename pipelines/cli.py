"""The command line: `loopdata run|plan|status|explain|attribution|inspect|train|diagnose|generate|dedup|…`.

Enters: arguments. Leaves: text for people, or with --json one JSON value on stdout; progress and errors go to stderr.
Exit codes: 0 done, 1 the run failed, 2 the request was wrong, 130 interrupted. An error is one line; --debug shows the
traceback. Limit: what a command does lies in its own module, imported when it is called, so that --help is quick.
"""

import json
import signal
import sys
import traceback
from dataclasses import asdict, is_dataclass
from enum import StrEnum
from types import FrameType
from typing import Annotated, Any, NoReturn

import click
import typer
from click.core import ParameterSource
from rich.console import Console

from loopdata.errors import ConfigError, LoopdataError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    suggest_commands=False,  # click does
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="From Common Crawl and GitHub dumps to sharded token datasets for code pretraining.\n\n"
    "--debug, anywhere, shows the traceback of an error.",
)
errors = Console(stderr=True)
INTERRUPTED = 130

Config = Annotated[str, typer.Argument(help="A run file (YAML).", metavar="CONFIG")]
Run = Annotated[str, typer.Argument(help="A run folder.", metavar="RUN")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="Override a key: a.b=c (YAML; null removes).")]
Sample = Annotated[str | None, typer.Option(help="Thin the sources, by repository: 1% or 0.01.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout.")]


class RunnerName(StrEnum):
    """How units are run."""

    inline = "inline"
    ray = "ray"


RunnerOption = Annotated[RunnerName, typer.Option(help="One process, or Ray.")]
Address = Annotated[str | None, typer.Option(help="Address of a Ray cluster; a local one by default.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Local workers; by default one a core.")]


class GroupName(StrEnum):
    """How the account of a run is divided."""

    language = "language"
    source = "source"


@app.callback()
def _root() -> None:
    """One command for each thing to do."""


@app.command(short_help="Run a run file, from raw sources to its last section.")
def run(
    config: Config,
    sets: Sets = None,
    sample: Sample = None,
    runner: RunnerOption = RunnerName.ray,
    address: Address = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Run a run file from raw sources to its last section. What is committed is not done again.

    Example: loopdata run configs/quickstart.yaml --sample 10% --set train=null
    """
    _run_and_sum_up(_read(config, sets, sample), runner, address, workers, as_json)


@app.command(short_help="Say what a run would do. Runs nothing.")
def plan(config: Config, sets: Sets = None, sample: Sample = None, as_json: Json = False) -> None:
    """Say which units a run would do, which are done, and about how long the rest takes. Runs nothing.

    Example: loopdata plan configs/quickstart.yaml --set corpus.heuristics.rules.max_mean_line=80
    """
    from pipelines.plan import plan_run, print_plan

    planned = plan_run(_read(config, sets, sample))
    if as_json:
        _print_json(planned)
    else:
        print_plan(planned, Console())


@app.command(short_help="Say how far a run is, stage by stage.")
def status(
    run: Run,
    by: Annotated[GroupName | None, typer.Option(help="The share that each stage dropped of each of these.")] = None,
    as_json: Json = False,
) -> None:
    """Say how far a run is, and account for its documents stage by stage.

    Example: loopdata status runs/quickstart --by language
    """
    from pipelines.status import print_groups, print_status, read_status

    found = read_status(run)
    if as_json:
        _print_json(found)
    elif by is not None:
        print_groups(found.stages, by.value, Console())
    else:
        print_status(found, Console())


@app.command(short_help="Say what became of a file.")
def explain(
    run: Run,
    what: Annotated[str, typer.Argument(help="A path, doc_id, blob id or commit.", metavar="ID|PATH|COMMIT")],
    as_json: Json = False,
) -> None:
    """Say what became of a file: stages passed, what dropped it and why, its survivor, where its tokens lie.

    Example: loopdata explain runs/quickstart json/decoder.py
    """
    from pipelines.explain import explain_document, print_explanations

    found = explain_document(run, what)
    if as_json:
        _print_json(found)
    else:
        print_explanations(found, Console())


@app.command(short_help="List every place that the documents come from, with licences.")
def attribution(
    run: Run,
    out: Annotated[str | None, typer.Option(help="The Parquet file; by default attribution.parquet in RUN.")] = None,
    as_json: Json = False,
) -> None:
    """Write where every kept document comes from, with licence, evidence and the places of its copies.

    Example: loopdata attribution runs/quickstart
    """
    from pipelines.attribution import print_written, write_attribution

    written = write_attribution(run, out)
    if as_json:
        _print_json(written._asdict())
    else:
        print_written(written, Console())


@app.command(short_help="Save what a run kept, to deduplicate against.")
def index(
    run: Run,
    out: Annotated[str, typer.Option(help="Folder to write; empty, or not there yet.")],
    threshold: Annotated[
        float | None, typer.Option(min=0.01, max=1, help="The least that can be asked for; by default the run's own.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Save the signatures of what a run kept. A later run drops near copies of it by `near_dedup: {index: FOLDER}`.

    Example: loopdata index runs/quickstart --out indexes/quickstart
    """
    from pipelines.save_index import save_index

    documents = save_index(run, out, threshold)
    if as_json:
        _print_json({"index": out, "documents": documents})
    else:
        Console().print(f"{out}: {documents:,} documents")


@app.command(short_help="Say what a shard holds, and where a token comes from.")
def inspect(
    shard: Annotated[
        str, typer.Argument(help="A run folder; or a .bin, .idx or .samples.parquet file.", metavar="RUN|SHARD")
    ],
    offset: Annotated[int | None, typer.Option(min=0, help="A token of the shard: which sample, from where?")] = None,
    as_json: Json = False,
) -> None:
    """List the shards of a run; say what one holds, or with --offset which document a token comes from.

    Example: loopdata inspect runs/quickstart
    """
    from pipelines.inspect_shard import inspect as inspect_path
    from pipelines.inspect_shard import print_found

    found = inspect_path(shard, offset)
    if as_json:
        _print_json(found)
    else:
        print_found(found, Console())


@app.command(short_help="Train a model from token shards.")
def train(config: Config, sets: Sets = None) -> None:
    """Train a model from token shards; the same as `python -m model.train`.

    Example: loopdata train runs/quickstart/train/two_loops.yaml
    """
    from model.train import main as train_main

    # Past typer, to which this code would be an interruption: what there is to say was said.
    sys.exit(train_main([config, *(part for item in sets or [] for part in ("--set", item))]))


@app.command(short_help="Say what each loop of a trained model does.")
def diagnose(
    checkpoint: Annotated[
        str, typer.Argument(help="A checkpoint; or a training's folder or config.", metavar="CHECKPOINT")
    ],
    data: Annotated[str | None, typer.Option(help="The dataset folder; by default the run that it lies in.")] = None,
    sequences: Annotated[int, typer.Option(min=1, help="Held-out sequences to measure on.")] = 32,
    as_json: Json = False,
) -> None:
    """Measure every loop of a trained model on held-out sequences: bits per byte, moves of the state, gates.

    Example: loopdata diagnose runs/quickstart/train/two_loops.yaml
    """
    from pipelines.diagnose import diagnose_checkpoint, print_diagnosis

    found, path = diagnose_checkpoint(checkpoint, data, sequences)
    if as_json:
        _print_json(found)
    else:
        print_diagnosis(found, path, Console())


@app.command(short_help="Let a trained model write, or fill a hole.")
def generate(
    checkpoint: Annotated[
        str, typer.Argument(help="A checkpoint; or a training's folder or config.", metavar="CHECKPOINT")
    ],
    prompt: Annotated[str | None, typer.Option(help="What stands before; by default stdin.")] = None,
    suffix: Annotated[str | None, typer.Option(help="What stands behind: the model fills the hole between.")] = None,
    tokens: Annotated[int, typer.Option(min=1, help="The most that it writes.")] = 64,
    temperature: Annotated[float, typer.Option(min=0, help="0 takes the likeliest token, 1 draws as it learnt.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Another one draws other tokens.")] = 0,
    data: Annotated[str | None, typer.Option(help="The run folder; by default the one that it lies in.")] = None,
    as_json: Json = False,
) -> None:
    """Let a trained model write on from a prompt, or into the hole before a suffix, as its run laid holes out.

    Example: loopdata generate runs/quickstart/train/two_loops.yaml --prompt import --suffix os.getcwd --tokens 8
    """
    from pipelines.generate import Draw, generate_text, print_generated

    # Bytes that are no UTF-8 become what they become in an argument; line ends stay.
    before = sys.stdin.buffer.read().decode("utf-8", "surrogateescape") if prompt is None else prompt
    found = generate_text(checkpoint, data, before, suffix, Draw(tokens, temperature, seed))
    if as_json:
        _print_json(found)
    else:
        print_generated(found, Console())


class DedupKind(StrEnum):
    """What counts as a copy."""

    exact = "exact"
    tokens = "tokens"
    near = "near"


@app.command(short_help="Deduplicate Parquet or JSON lines.")
def dedup(
    data: Annotated[str, typer.Argument(help="A .parquet or .jsonl file, or a folder of them.", metavar="INPUT")],
    out: Annotated[str, typer.Option(help="Where the rows that stay go; empty, or of an earlier call.")],
    kind: Annotated[
        DedupKind, typer.Option(help="Equal texts; equal but for white space and comments; or nearly equal ones.")
    ] = DedupKind.near,
    threshold: Annotated[
        float | None, typer.Option(help="Jaccard similarity from which rows are nearly equal; by default 0.7.")
    ] = None,
    text: Annotated[str, typer.Option(help="The column with the text.")] = "text",
    id_: Annotated[str | None, typer.Option("--id", help="The column with ids; they name rows without path.")] = None,
    repo: Annotated[str | None, typer.Option(help="The column with repositories.")] = None,
    path: Annotated[str | None, typer.Option(help="The column with paths; the shortest survives.")] = None,
    language: Annotated[str | None, typer.Option(help="The column with languages, else told by path.")] = None,
    sets: Sets = None,
    runner: RunnerOption = RunnerName.ray,
    address: Address = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Write the rows that stay, every column as it was, and fates.parquet, which says of each other row (by file and
    row number, from 1) why and for which one it went. OUT/run holds the run: the same call goes on where it was
    interrupted, `loopdata explain OUT/run` explains a row, and any key of OUT/run/run.yaml can be --set.

    Example: loopdata dedup data.jsonl --out data-once --text text --threshold 0.8
    """
    from pipelines.by_itself import dedup_file, words_of_the_command

    columns = {"text": text, "id": id_, "repo": repo, "path": path, "language": language}
    with words_of_the_command():
        file = dedup_file(data, out, kind.value, threshold, columns, tuple(sets or ()))
        _run_and_sum_up(file, runner, address, workers, as_json)


@app.command(short_help="Make holes to fill: show those of files, or write those of a table.")
def fim(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Source files to show; with --out a .parquet or .jsonl file, or a folder of them.",
            metavar="FILE…|INPUT",
        ),
    ],
    out: Annotated[
        str | None, typer.Option(help="Write samples of the rows of INPUT there: empty, or of an earlier call.")
    ] = None,
    layout: Annotated[str | None, typer.Option(help="Order and special tokens: those of qwen2.5 by default.")] = None,
    rate: Annotated[
        float | None, typer.Option(help="Share with a hole: by default 0.5 of what is written, all that is shown.")
    ] = None,
    levels: Annotated[str | None, typer.Option(help="Weights of the levels, as in line=2,function=1.")] = None,
    related: Annotated[
        int | None, typer.Option("--context", min=0, help="Bytes of other files before one of a repository.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another one draws other holes.")] = 0,
    sets: Sets = None,
    count: Annotated[int, typer.Option(min=0, help="How many samples are shown.")] = 5,
    together: Annotated[bool, typer.Option(help="Show each file behind what helps it of the others.")] = False,
    text: Annotated[str, typer.Option(help="The column with the text.")] = "text",
    id_: Annotated[str | None, typer.Option("--id", help="The column with ids; they name rows without path.")] = None,
    repo: Annotated[
        str | None, typer.Option(help="The column with repositories; files then stand behind what helps them.")
    ] = None,
    path: Annotated[str | None, typer.Option(help="The column with paths; by default path.")] = None,
    language: Annotated[str | None, typer.Option(help="The column with languages, else told by path.")] = None,
    runner: RunnerOption = RunnerName.ray,
    address: Address = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Show samples for fill-in-the-middle of some files: level, size, language, and the text as a model gets it.

    With --out, write those of a table as rows: `text` as a model gets it, prefix, middle and suffix, level, mode,
    language, file and row (from 1); each is read back from its text. fates.parquet says what could not be had,
    figures.json how many of which level and size. The same call goes on where it was interrupted.

    --set takes the keys of an entry under `samples`, as in fim.max_bytes=8192, with --out also those of
    OUT/run/run.yaml.

    Example: loopdata fim loopdata/stage.py --layout codellama
    """
    from pipelines.by_itself import fim_file, fim_settings, words_of_the_command
    from pipelines.show_fim import draw_samples, print_samples

    _check_mode(context, out)
    settings = fim_settings(layout, rate, levels, related, together or repo is not None)
    if out is None:
        found = draw_samples(inputs, settings, sets or [], seed, together)
        if as_json:
            _print_json(found[:count])
        else:
            print_samples(found, count, Console())
        return
    if len(inputs) > 1:
        raise ConfigError(f"--out takes one INPUT, not {len(inputs)}", "give a folder, or one file a call")
    columns = {"text": text, "id": id_, "repo": repo, "path": path, "language": language}
    with words_of_the_command():
        file = fim_file(inputs[0], out, settings, columns, seed, tuple(sets or ()))
        _run_and_sum_up(file, runner, address, workers, as_json)


def _check_mode(context: typer.Context, out: str | None) -> None:
    """ConfigError for an option that would do nothing, with --out or without."""
    writing = ("text", "id_", "repo", "path", "language", "runner", "address", "workers")
    for name in writing if out is None else ("count", "together"):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            why = "only with --out" if out is None else "only without --out"
            raise ConfigError(f"--{name.rstrip('_')} has a meaning {why}", "leave one of them out")


def _read(config: str, sets: list[str] | None, sample: str | None) -> Any:
    from pipelines.run_file import read_run_file

    extra = [f"sample={_share(sample)}"] if sample is not None else []
    return read_run_file(config, (*(sets or []), *extra))


def _run_and_sum_up(file: Any, runner: RunnerName, address: str | None, workers: int | None, as_json: bool) -> None:
    from pipelines.run import Choice, run_file
    from pipelines.summary import print_summary

    summary = run_file(file, Choice(runner.value, address, workers), Console(stderr=True))
    if as_json:
        _print_json(summary)
    else:
        print_summary(summary, Console())


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ConfigError(f"--sample {text}: expected a share of the sources", "as in --sample 1%")
    return share


def _print_json(value: Any) -> None:
    def plain(entry: Any) -> Any:
        return asdict(entry) if is_dataclass(entry) and not isinstance(entry, type) else str(entry)

    sys.stdout.write(json.dumps(value, default=plain, indent=2) + "\n")


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point: run a command and end with its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    signal.signal(signal.SIGTERM, _terminated)
    try:
        result = app([word for word in words if word != "--debug"], standalone_mode=False, prog_name="loopdata")
        code = result if isinstance(result, int) else 0
        if code == INTERRUPTED:  # typer makes this of Ctrl-C, and says nothing
            raise KeyboardInterrupt
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = 2
    except LoopdataError as error:
        code = _fail(str(error), error.exit_code, debug)
    except (KeyboardInterrupt, click.Abort):
        code = _fail("interrupted; what is committed is kept, the same command goes on from there", INTERRUPTED, debug)
    except BrokenPipeError:
        code = 0
    except Exception as error:
        line = " ".join(f"{type(error).__name__}: {error}".split())
        code = _fail(f"a fault of loopdata, please report it with the output of --debug: {line}", 1, debug)
    sys.exit(code)


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _fail(line: str, code: int, debug: bool) -> int:
    from pipelines.places import one_line

    line = one_line(line)
    if debug:
        traceback.print_exc()
    errors.print(
        f"error: {line}" if code != INTERRUPTED else line,
        style="bold red",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
    return code


if __name__ == "__main__":
    main()
