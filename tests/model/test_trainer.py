"""Training end to end on a counting language: results, stopping and going on, refusals."""

import json
import math
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from loopdata.errors import ConfigError, RunError, ShardError
from model.checkpoint import load_model, newest_checkpoint
from model.group import Group
from model.train_config import load_train_config
from model.trainer import train

Keys = Callable[..., dict[str, Any]]


def run(keys: dict[str, Any], events: list[dict[str, Any]] | None = None) -> Any:
    return train(load_train_config(keys), (events if events is not None else []).append)


def journal(out: Path) -> list[tuple[Any, ...]]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [tuple(line[key] for key in ("step", "loss", "lr", "grad_norm", "tokens")) for line in lines]


def saved_bytes(out: Path) -> list[bytes]:
    checkpoint = newest_checkpoint(out / "checkpoints")
    assert checkpoint is not None
    return [(checkpoint.path / name).read_bytes() for name in ("weights.safetensors", "optimiser.safetensors")]


def stopping_at(step: int) -> Callable[[dict[str, Any]], None]:
    def listen(event: dict[str, Any]) -> None:
        if event["event"] == "step" and event["step"] == step:
            signal.raise_signal(signal.SIGTERM)

    return listen


def test_a_training_learns_and_records_what_it_came_to(training: Keys, tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    result = run(training(steps=40), events)
    assert result.after["bits_per_byte"] < 0.8 * result.before["bits_per_byte"]
    assert result.steps == 40
    assert set(result.after["by_category"]) == {"file", "repo"}
    assert set(result.after["by_language"]) == {"python", "go"}
    # 40 steps of 2 sequences: 80 draws, 40 of 16 tokens and 40 of 14.
    assert result.tokens == 40 * 16 + 40 * 14
    steps = [event for event in events if event["event"] == "step"]
    assert [event["step"] for event in steps] == list(range(1, 41))
    assert steps[-1]["steps"] == 40
    assert steps[-1]["seconds_left"] == 0
    assert json.loads((tmp_path / "out/result.json").read_text())["result"]["tokens"] == result.tokens
    assert load_model(tmp_path / "out" / result.checkpoint).config.vocab_size == 32


@pytest.mark.parametrize("accumulation", [1, 2])
def test_stopping_and_going_on_leaves_no_trace(training: Keys, tmp_path: Path, accumulation: int) -> None:
    keys = training(accumulation=accumulation, seed={"order": 5})
    run({**keys, "out": str(tmp_path / "whole")})
    with pytest.raises(KeyboardInterrupt, match="stopped at step 3 of 6"):
        train(load_train_config(keys), stopping_at(3))
    assert len(journal(tmp_path / "out")) == 3
    events: list[dict[str, Any]] = []
    run(keys, events)
    assert events[0] == {"event": "resumed", "step": 3, "steps": 6}
    assert saved_bytes(tmp_path / "out") == saved_bytes(tmp_path / "whole")
    assert journal(tmp_path / "out") == journal(tmp_path / "whole")


def test_a_listener_that_is_interrupted_stops_the_training_after_its_step(training: Keys, tmp_path: Path) -> None:
    def listen(event: dict[str, Any]) -> None:
        if event.get("step") == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(load_train_config(training()), listen)
    checkpoint = newest_checkpoint(tmp_path / "out/checkpoints")
    assert checkpoint is not None
    assert checkpoint.progress.step == 1


def test_a_signal_that_comes_while_processes_agree_is_not_lost(
    training: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where one process waits for another: it has said that it wants to go on, and does not know the answer yet."""
    real, questions = Group.sum, iter(range(1, 1_000))

    def summed(group: Group, *values: float) -> list[float]:
        found = real(group, *values)
        if values == (0.0,) and next(questions) == 2:
            signal.raise_signal(signal.SIGTERM)
        return found

    monkeypatch.setattr(Group, "sum", summed)
    with pytest.raises(KeyboardInterrupt, match="stopped at step 3 of 6"):
        run(training(eval_sequences=0, checkpoint_every=6))
    assert (tmp_path / "out/checkpoints/step-00000003").is_dir()


def test_the_journal_is_cut_to_the_checkpoint_that_is_gone_on_from(training: Keys, tmp_path: Path) -> None:
    whole = run(training(out=str(tmp_path / "whole")))
    with pytest.raises(KeyboardInterrupt):
        train(load_train_config(training()), stopping_at(3))
    # As a process that was killed leaves it: steps after the checkpoint, the last line cut off.
    with (tmp_path / "out/metrics.jsonl").open("a") as stream:
        stream.write('{"step": 4, "loss": 0.5}\n{"step": 5, "lo')
    assert run(training()).loss == whole.loss
    assert journal(tmp_path / "out") == journal(tmp_path / "whole")


@pytest.mark.parametrize("name", ["weights.safetensors", "optimiser.safetensors", "state.json"])
def test_a_checkpoint_that_is_not_whole_gives_way_to_the_one_before(training: Keys, tmp_path: Path, name: str) -> None:
    whole = run(training(out=str(tmp_path / "whole")))
    with pytest.raises(KeyboardInterrupt):
        train(load_train_config(training(keep=9)), stopping_at(5))
    broken = tmp_path / "out/checkpoints/step-00000005" / name
    broken.write_bytes(broken.read_bytes()[:-7])
    events: list[dict[str, Any]] = []
    assert run(training(), events).loss == whole.loss
    assert events[0] == {"event": "passed_over", "problem": f"{broken} is cut off or changed"}
    assert (events[1]["event"], events[1]["step"]) == ("resumed", 4)


def test_a_broken_checkpoint_takes_the_place_of_no_whole_one(training: Keys, tmp_path: Path) -> None:
    """Of steps 4, 5 and 6 the second is broken; the training goes past it, or comes to it and writes it again."""
    for every, left in ((6, [4, 6]), (1, [5, 6])):
        keys = training(out=str(tmp_path / f"every{every}"))
        with pytest.raises(KeyboardInterrupt):
            train(load_train_config(keys), stopping_at(5))
        folder = tmp_path / f"every{every}/checkpoints"
        (folder / "step-00000005/weights.safetensors").write_bytes(b"")
        run({**keys, "checkpoint_every": every})
        assert sorted(path.name for path in folder.iterdir()) == [f"step-0000000{step}" for step in left]


def test_a_training_without_a_whole_checkpoint_names_what_is_wrong_and_does_not_begin_anew(
    training: Keys, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(load_train_config(training()), stopping_at(3))
    folder = tmp_path / "out/checkpoints"
    (folder / "step-00000002/optimiser.safetensors").unlink()
    (folder / "step-00000003/weights.safetensors").write_bytes(b"")
    lines = journal(tmp_path / "out")
    with pytest.raises(ShardError) as raised:
        run(training())
    assert str(raised.value) == (
        f"no checkpoint in {folder} is whole: {folder}/step-00000003/weights.safetensors is cut off or changed; "
        f"{folder}/step-00000002/optimiser.safetensors cannot be read: No such file or directory; "
        f"remove {folder} to train from the start"
    )
    assert journal(tmp_path / "out") == lines
    shutil.rmtree(folder)
    assert run(training()).steps == 6


def test_a_checkpoint_of_another_format_is_refused_and_stays(training: Keys, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(load_train_config(training()), stopping_at(1))
    state = tmp_path / "out/checkpoints/step-00000001/state.json"
    state.write_text(state.read_text().replace('"format": 2', '"format": 1'))
    with pytest.raises(ShardError, match=r"step-00000001 has format 1, this loopdata reads 2; go on with the version"):
        run(training())
    assert state.exists()


def test_only_the_newest_checkpoints_are_kept(training: Keys, tmp_path: Path) -> None:
    run(training(steps=7, keep=2))
    names = sorted(path.name for path in (tmp_path / "out/checkpoints").iterdir())
    assert names == ["step-00000006", "step-00000007"]


def test_a_finished_training_is_read_and_not_run_again(training: Keys) -> None:
    first = run(training())
    events: list[dict[str, Any]] = []
    assert run(training(), events) == first
    assert events == [{"event": "finished", "steps": 6, "recorded": True}]


@pytest.mark.parametrize("record", ["", "[]", '{"result": {}, "origin": {}}', None])
def test_a_record_that_is_broken_is_written_again_from_the_last_checkpoint(
    training: Keys, tmp_path: Path, record: str | None
) -> None:
    first, file = run(training()), tmp_path / "out/result.json"
    whole = json.loads(file.read_text())
    file.write_text(json.dumps({"result": whole["result"]}) if record is None else record)
    events: list[dict[str, Any]] = []
    assert run(training(), events) == first
    assert [event["event"] for event in events] == ["resumed", "evaluated", "finished"]
    assert json.loads(file.read_text()) == whole


def test_batches_of_a_step_together_give_the_gradient_of_one_batch(training: Keys, tmp_path: Path) -> None:
    run(training(batch_sequences=4, steps=1, out=str(tmp_path / "one")))
    run(training(batch_sequences=2, accumulation=2, steps=1, out=str(tmp_path / "two")))
    one, two = (journal(tmp_path / name)[0] for name in ("one", "two"))
    assert two == pytest.approx(one, rel=1e-5)


def test_a_loss_that_is_no_number_stops_and_names_step_and_samples(
    training: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(load_train_config(training()), stopping_at(2))
    monkeypatch.setattr("model.objective.sum_of_nats", lambda states, *_: (states.sum() * math.nan, states[:, 0]))
    with pytest.raises(RunError, match=r"the loss is nan at step 3; samples of the batch: p0-4-6, p0-4-7, p0-5-8;"):
        run(training())
    assert json.loads((tmp_path / "out/failure.json").read_text())["samples"] == ["p0-4-6", "p0-4-7", "p0-5-8"]


def test_a_checkpoint_of_another_tokenizer_is_refused_by_both_names(
    training: Keys, tmp_path: Path, dataset_folder: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(load_train_config(training()), stopping_at(1))
    manifest = dataset_folder / "dataset.json"
    manifest.write_text(manifest.read_text().replace("sha256:aaa", "sha256:bbb"))
    with pytest.raises(ShardError, match=r"dataset\.tokenizer of .*step-00000001 is 'sha256:aaa', .*'sha256:bbb'"):
        run(training())


def test_a_result_of_other_data_is_refused(training: Keys, dataset_folder: Path) -> None:
    run(training(steps=1))
    manifest = json.loads((dataset_folder / "dataset.json").read_text())
    manifest["files"]["order.npy"]["sha256"] = "0" * 64
    (dataset_folder / "dataset.json").write_text(json.dumps(manifest))
    with pytest.raises(ShardError, match=r"dataset\.content of .*result\.json"):
        run(training(steps=1))


def test_the_same_data_under_other_names_is_the_same_data(training: Keys, dataset_folder: Path) -> None:
    first = run(training(steps=1))
    (dataset_folder / "order.npy").rename(dataset_folder / "order-2.npy")
    manifest = dataset_folder / "dataset.json"
    manifest.write_text(manifest.read_text().replace("order.npy", "order-2.npy"))
    assert run(training(steps=1)) == first


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 0.5}, r"train\.lr of .*step-00000001 is 0\.01, this training has 0\.5"),
        ({"loops": 1}, r"model\.loops of .*step-00000001 is 2, this training has 1"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(training: Keys, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(load_train_config(training()), stopping_at(1))
    with pytest.raises(ConfigError, match=message):
        run(training(**changes))


def test_a_training_may_move_to_another_folder_and_number_of_threads(training: Keys, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(load_train_config(training(threads=1)), stopping_at(1))
    (tmp_path / "out").rename(tmp_path / "moved")
    threads = torch.get_num_threads()
    assert run(training(out=str(tmp_path / "moved"), threads=1, checkpoint_every=50)).steps == 6
    assert torch.get_num_threads() == threads


def test_sequences_longer_than_the_model_takes_are_refused(training: Keys) -> None:
    model = {**training()["model"], "max_length": 15}
    with pytest.raises(ConfigError, match=r"'model.max_length' is 15, the dataset's sequences have 16 tokens"):
        run(training(model=model))


def test_a_loss_in_bf16_stays_near_that_in_fp32(training: Keys, tmp_path: Path) -> None:
    fp32 = run(training(out=str(tmp_path / "a"), dtype="fp32"))
    bf16 = run(training(out=str(tmp_path / "b"), dtype="bf16"))
    assert bf16.loss != fp32.loss
    assert bf16.loss == pytest.approx(fp32.loss, rel=0.02)


def test_the_journal_says_what_a_step_was_made_of(training: Keys, tmp_path: Path) -> None:
    run(training(tensorboard=True))
    lines = [json.loads(line) for line in (tmp_path / "out/metrics.jsonl").read_text().splitlines()]
    assert all(line["loss_by_category"]["file"] == pytest.approx(line["loss"], rel=1e-5) for line in lines)
    assert all(len(line["loop_grad_norms"]) == 2 and min(line["loop_grad_norms"]) > 0 for line in lines)
    assert all(line["peak_mb"] > 0 and not line["skipped"] for line in lines)
    events = EventAccumulator(str(tmp_path / "out/tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loop_grad_norms/2")] == [1, 2, 3, 4, 5, 6]
    assert [event.value for event in events.Scalars("loss")] == pytest.approx([line["loss"] for line in lines])


def test_too_little_memory_says_what_to_lower(training: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("model.objective.sum_of_nats", exhausted)
    with pytest.raises(RunError, match=r"with 2 sequences at once; --set batch_sequences=1 --set accumulation=6 "):
        run(training(batch_sequences=2, accumulation=3))


def test_a_training_goes_on_with_its_steps_cut_into_other_batches(training: Keys, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(load_train_config(training()), stopping_at(2))
    events: list[dict[str, Any]] = []
    run(training(batch_sequences=1, accumulation=2), events)
    assert events[0] == {"event": "resumed", "step": 2, "steps": 6}
    with pytest.raises(ConfigError, match=r"train\.step_sequences of .* is 2, this training has 4"):
        run(training(batch_sequences=4))


def test_muon_learns_and_leaves_no_trace_of_a_stop(training: Keys, tmp_path: Path) -> None:
    whole = run(training(optimiser="muon", steps=20, out=str(tmp_path / "whole")))
    assert whole.after["bits_per_byte"] < whole.before["bits_per_byte"]
    with pytest.raises(KeyboardInterrupt):
        train(load_train_config(training(optimiser="muon", steps=20)), stopping_at(9))
    run(training(optimiser="muon", steps=20))
    assert saved_bytes(tmp_path / "out") == saved_bytes(tmp_path / "whole")


@pytest.mark.slow
def test_compiled_blocks_train_alike(training: Keys, tmp_path: Path) -> None:
    eager = run(training(out=str(tmp_path / "eager")))
    compiled = run(training(out=str(tmp_path / "compiled"), compile=True))
    assert compiled.loss == pytest.approx(eager.loss, rel=1e-4)
    assert load_model(tmp_path / "compiled" / compiled.checkpoint).config.loops == 2
