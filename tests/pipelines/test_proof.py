"""The arms of a run: trained once, each by itself, and shown with what they do not prove."""

import io
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from loopdata.errors import ConfigError
from pipelines.proof import _Shown
from pipelines.run_file import resolve
from pipelines.summary import ONE_SEED, print_summary
from tests.pipelines.command import call
from tests.pipelines.corpus_case import complete, run_data

TINY = {"dim": 16, "layers": 1, "heads": 2, "head_dim": 8, "ffn_dim": 16, "max_length": 64}
TRAIN = {
    "steps": 12,
    "batch_sequences": 4,
    "lr": 0.02,
    "device": "cpu",
    "threads": 1,
    "arms": {"two_loops": {"model": TINY, "loops": 2}, "one_loop": {"model": TINY, "loops": 1}},
}


def results(run: Path) -> dict[str, int]:
    """When each result was written, by its folder."""
    return {path.parent.name: path.stat().st_mtime_ns for path in run.glob("train/*/result.json")}


def test_two_arms_are_trained_once_and_a_changed_one_alone_again(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    data = run_data(corpus, run) | {"train": TRAIN}
    summary = complete(data)
    first = results(run)
    assert [arm.name for arm in summary.arms] == ["two_loops", "one_loop"]
    assert [name.partition("-")[0] for name in sorted(first)] == ["one_loop", "two_loops"]
    for arm in summary.arms:
        assert 0 < arm.after["bits_per_byte"] < arm.before["bits_per_byte"]
        assert arm.after["by_category"].keys() == {"file"}
        assert arm.after["by_language"]["Go"] == pytest.approx(arm.after["bits_per_byte"])
        assert arm.parameters["total"] < 10_000

    again = complete(data)
    assert results(run) == first
    assert [arm.after for arm in again.arms] == [arm.after for arm in summary.arms]

    data["train"] = TRAIN | {"arms": {**TRAIN["arms"], "one_loop": {"model": TINY, "loops": 1, "lr": 0.01}}}  # type: ignore[dict-item]
    complete(data)
    assert first.items() <= results(run).items()
    assert [name.partition("-")[0] for name in results(run).keys() - first.keys()] == ["one_loop"]

    data["mixture"] = data["mixture"] | {"tokens": 3000}
    complete(data)
    assert len(results(run)) == 5


def test_a_checkpoint_that_is_passed_over_is_told_of() -> None:
    console = Console(file=io.StringIO(), width=40)
    with _Shown("one_loop", console) as shown:
        shown({"event": "passed_over", "problem": "/[/run]/step-00000005/weights.safetensors is cut off or changed"})
    assert console.file.getvalue() == (  # type: ignore[attr-defined]
        "train one_loop: a checkpoint is passed over, since /[/run]/step-00000005/weights.safetensors is cut off or "
        "changed\n"
    )


def test_the_end_of_a_run_says_what_one_seed_proves(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = run_data(corpus, tmp_path / "run") | {"train": TRAIN | {"steps": 2, "eval_sequences": 2}}
    summary = complete(data)
    console = Console(record=True, width=80, force_terminal=True, file=io.StringIO())
    print_summary(summary, console)
    text = console.export_text()
    assert ONE_SEED == "One seed of each proves nothing: the difference may be the seed's."
    assert ONE_SEED in " ".join(text.split())
    lines = text.splitlines()
    assert all(len(line.rstrip()) <= 100 or data["run"] in line for line in lines)
    assert [line.split()[0] for line in lines if line.startswith(("two_loops", "one_loop"))] == [
        "two_loops",
        "one_loop",
    ]
    assert any(line.startswith("language Go") for line in lines)
    said = call(capsys, "train", summary.arms[0].config)
    assert said.code == 0
    assert f'"bits_per_byte": {summary.arms[0].after["bits_per_byte"]}' in said.out


def test_the_run_file_of_a_run_holds_its_models(corpus: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.yaml"
    model.write_text(yaml.safe_dump(TINY))
    data = run_data(corpus, tmp_path / "run") | {"train": {"arms": {"one": {"model": str(model)}}}}
    kept = resolve(data).data
    assert kept["train"]["arms"]["one"]["model"] == TINY
    assert resolve(kept).arms == resolve(data).arms


def test_a_model_that_is_too_short_for_the_mixture_is_refused_before_any_work(corpus: Path, tmp_path: Path) -> None:
    data = run_data(corpus, tmp_path / "run") | {"train": TRAIN}
    data["mixture"] = data["mixture"] | {"sequence": 128}
    with pytest.raises(ConfigError) as caught:
        complete(data)
    assert str(caught.value) == (
        "train.arms.two_loops: 'model.max_length' is 64, the sequences of the mixture have 128 tokens; raise it, or "
        "pack shorter sequences"
    )
    assert not (tmp_path / "run").exists()
