"""Trains a looped transformer on a dataset, so that stopping and going on leaves no trace.

Enters: a TrainConfig and a listener. Leaves: in `out` checkpoints, metrics.jsonl and result.json; a Result. On a CPU a
training that was stopped and resumed ends with the same bytes as one that was not. The loss of a step is the mean over
all its targets, however they are spread over batches and processes. Processes share evaluation too, and agree
before each of its batches, as after each step, whether to go on. Limit: the first writes while the others wait.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch

from loopdata.errors import ConfigError, RunError, ShardError
from loopdata.tokens.shards import Dataset
from model.checkpoint import Progress, check_origin, newest_checkpoint, save_checkpoint
from model.config import ModelConfig, as_mapping, load_model_config
from model.context import LoopGradient
from model.cost import count_parameters, flops_per_token
from model.data import Batch, StepBatches, TrainingOrder, held_out_turns
from model.device import choose_device, enough_memory, peak_megabytes, threads, uses_bf16, utilisation
from model.evaluation import CategoryTally, evaluate
from model.files import write_json
from model.folding import fold
from model.group import Group, exchange, joined, share, together
from model.integrity import Integrity
from model.interruption import Interruption
from model.journal import Journal
from model.looped import LoopedTransformer
from model.objective import Objective
from model.optimiser import learning_rate, make_optimisers
from model.pretrained import digest_of_dense, read_dense
from model.result import Result, read_result, write_result
from model.train_config import Start, TrainConfig, identity

Listener = Callable[[dict[str, Any]], None]
_SHOWN_SAMPLES = 8


def train(config: TrainConfig, on_event: Listener = lambda event: None) -> Result:
    """Train to the end, from the newest whole checkpoint in `out` if there is one; a finished training is only read.

    `on_event` receives {"event": "evaluated" | "passed_over" | "resumed" | "step" | "saved" | "finished", …}; a "step"
    has step, steps, loss, tokens_per_second, seconds_left; a checkpoint that is "passed_over" is broken, its problem
    says how. ConfigError, ShardError: the parts do not fit each other or what `out` holds. RunError: the loss is no
    number or leaps again and again, memory does not suffice, or the disk refuses; SilentError, one of them: numbers
    that must be equal are not. KeyboardInterrupt: after SIGINT, SIGTERM or one raised by `on_event`; the state is
    saved.
    """
    dataset = Dataset.open(config.data)
    model_config = load_model_config(config.model, dataset.vocab_size, config.loops)
    _check_fit(model_config, dataset)
    device = choose_device(config.device, int(os.environ.get("LOCAL_RANK", "0")))
    with joined(device, config.context_parallel) as group:
        origin = describe_origin(config, model_config, dataset, group.teams)
        recorded = read_result(Path(config.out), origin)
        group.wait()  # so that no process is told of a result that another has just written
        if recorded is not None:
            on_event({"event": "finished", "steps": recorded.steps, "recorded": True})
            return recorded
        with threads(config.threads), Interruption() as stop:
            parts = _Parts(config, model_config, dataset, origin, group, device)
            return _Training(parts, on_event if group.leads else _unheard, stop).run()


def _unheard(event: dict[str, Any]) -> None:
    """Only the first process of a group speaks."""


def describe_origin(config: TrainConfig, model: ModelConfig, dataset: Dataset, teams: int = 1) -> dict[str, Any]:
    """What a result depends on, as JSON gives it back; checkpoints and results are compared by it.

    Of a model to begin with that is gone the content is left out: what has begun with it no longer needs it.
    """
    data = {"tokenizer": dataset.tokenizer, "vocab_size": dataset.vocab_size, "length": dataset.length}
    data["content"] = _content(dataset)
    train = identity(config, teams) | _start(config.start)
    origin: dict[str, Any] = json.loads(json.dumps({"dataset": data, "model": as_mapping(model), "train": train}))
    return origin


def _start(start: Start | None) -> dict[str, Any]:
    """The model that a training begins with by its content, wherever it lies."""
    if start is None:
        return {}
    try:
        return {"start": {"content": digest_of_dense(start.checkpoint), "fold": start.fold}}
    except ShardError:
        return {"start": {"fold": start.fold}}


def _content(dataset: Dataset) -> str:
    """A digest of what training reads, whatever the files are called: an attempt names them anew."""
    files = sorted(
        entry["sha256"] for name, entry in dataset.manifest["files"].items() if not name.endswith(".samples.parquet")
    )
    packings = [(packing.category, packing.split, packing.num_sequences) for packing in dataset.packings]
    return hashlib.sha256(json.dumps([files, packings]).encode()).hexdigest()


@dataclass(frozen=True)
class _Parts:
    """What a training is made from."""

    config: TrainConfig
    model_config: ModelConfig
    dataset: Dataset
    origin: dict[str, Any]
    group: Group
    device: torch.device


class _Training:
    def __init__(self, parts: _Parts, on_event: Listener, stop: Interruption) -> None:
        config, self.group, self.device = parts.config, parts.group, parts.device
        self.config, self.dataset, self.origin, self.on_event, self.stop = (
            config, parts.dataset, parts.origin, on_event, stop
        )  # fmt: skip
        self.model = LoopedTransformer(parts.model_config, config.seed.init).to(self.device)
        self.model.loop_gradient = LoopGradient(config.backprop_loops, config.loop_gradient_scale)
        self.objective = Objective(self.model)
        self.categories = sorted({packing.category for packing in self.dataset.packings})
        self.shared = share(self.objective, self.group, self.device, partial=config.backprop_loops is not None)
        self.optimisers = make_optimisers(self.model, config)
        self.integrity = Integrity(self.model, self.group, config.verify_every)
        self.steps = config.total_steps(len(self.dataset.order), self.dataset.length, self.group.teams)
        self.out = Path(config.out)
        self.progress = Progress()
        self.broken: set[Path] = set()  # checkpoints
        self.bf16 = uses_bf16(config.dtype, self.device, count_parameters(self.model)["total"])
        self.flops_per_token = flops_per_token(self.model, self.dataset.length)

    def run(self) -> Result:
        self._resume()
        if self.config.compile:
            self.model.compile_blocks()
        if self.progress.step == 0:
            self.progress.before = self._evaluate("before")
        self._settle()
        began = (time.monotonic(), self.progress.step, self.progress.tokens)
        with self._journal() as journal, self._coming() as coming:
            while self.progress.step < self.steps:
                metrics = self._step([batch.share_of(self.group) for batch in next(coming)])
                if journal is not None:
                    journal.write(metrics)
                self._tell(metrics, began)
                leaving = self._stop_wanted()
                if leaving or self._due():
                    self._save()
                if leaving:
                    self._leave()
        return self._finish()

    def _journal(self) -> AbstractContextManager[Journal | None]:
        if not self.group.leads:
            return nullcontext()
        return Journal(self.out / "metrics.jsonl", self.progress.step, self.config.tensorboard)

    def _settle(self) -> None:
        """A pass for nothing where DDP sums: it lays sums out anew after the first, and they round otherwise then."""
        if self.shared is self.objective or self.progress.step == self.steps:
            return
        order, places = TrainingOrder(self.dataset, self.config.seed.order), self._places(self.progress.sequences)
        with enough_memory(self.config, self.bf16):
            self._backward([order.batch(*place).share_of(self.group) for place in places])
        self.objective.take_loop_squares()
        self.model.zero_grad(set_to_none=True)

    def _coming(self) -> StepBatches:
        order = TrainingOrder(self.dataset, self.config.seed.order)
        return StepBatches(order, self._places, self.progress.sequences, self._step_sequences)

    @property
    def _step_sequences(self) -> int:
        return self.config.batch_sequences * self.config.accumulation * self.group.teams

    def _places(self, begin: int) -> list[tuple[int, int]]:
        """(position, sequences) of this process's batches of the step that begins at a place of the order."""
        size, group = self.config.batch_sequences, self.group
        return [(begin + (n * group.teams + group.team) * size, size) for n in range(self.config.accumulation)]

    def _resume(self) -> None:
        """Go on from the newest whole checkpoint, or begin: with the dense model, where one is named."""
        torch.manual_seed(self.config.seed.init)
        checkpoint, start = newest_checkpoint(self.out / "checkpoints"), self.config.start
        if checkpoint is None:
            if start is not None:
                fold(*read_dense(start.checkpoint), self.model, start.fold)
            return
        for path, problem in checkpoint.passed_over.items():
            self.broken.add(path)
            self._emit({"event": "passed_over", "problem": problem})
        check_origin(checkpoint.origin, self.origin, checkpoint.path)
        checkpoint.load(self.model, self.optimisers)
        self.progress, self.origin = checkpoint.progress, checkpoint.origin
        self._emit({"event": "resumed", "step": self.progress.step, "steps": self.steps})

    def _step(self, batches: list[Batch]) -> dict[str, Any]:
        """One step of the optimisers, and the line that the journal gets of it."""
        began, number = time.monotonic(), self.progress.step + 1
        rate = learning_rate(number, self.steps, self.config)
        self.integrity.before_forward(number)
        with enough_memory(self.config, self.bf16):
            loss, by_category = self._backward(batches)
            loop_norms = self._loop_norms()
            if self.integrity.due(number):
                self.integrity.recompute(number, lambda: self._backward(batches))
                self.objective.take_loop_squares()
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip))
        self._require_finite("the norm of the gradient", norm, batches)
        taken = self._take_or_skip(loss, rate)
        self.integrity.after_update()
        counted = self.group.sum(sum(batch.num_tokens for batch in batches))[0]
        tokens, seconds = counted / self.group.context, time.monotonic() - began
        self._advance(int(tokens), seconds, loss)
        line: dict[str, Any] = {
            "step": number,
            "loss": loss,
            "lr": rate,
            "grad_norm": norm,
            "tokens": self.progress.tokens,
        }
        line |= {"loss_by_category": by_category, "loop_grad_norms": loop_norms, "skipped": not taken}
        line |= {"tokens_per_second": round(tokens / seconds, 1), "peak_mb": round(peak_megabytes(self.device), 1)}
        used = utilisation(self.flops_per_token * tokens / seconds / self.group.size, self.device)
        return line if used is None else {**line, "mfu": round(used, 4)}

    def _advance(self, tokens: int, seconds: float, loss: float) -> None:
        progress = self.progress
        progress.step, progress.sequences = progress.step + 1, progress.sequences + self._step_sequences
        progress.tokens, progress.seconds, progress.loss = progress.tokens + tokens, progress.seconds + seconds, loss

    def _take_or_skip(self, loss: float, rate: float) -> bool:
        """Change the weights, unless the loss is a spike; RunError where spike follows spike."""
        progress, spikes = self.progress, self.config.spikes
        limit = spikes.threshold(progress.losses)
        taken = loss <= limit
        if taken:
            for optimiser in self.optimisers:
                for group in optimiser.param_groups:
                    group["lr"] = rate
                optimiser.step()
            progress.losses = [*progress.losses, loss][-spikes.window :]
        self.model.zero_grad(set_to_none=True)
        progress.skipped = 0 if taken else progress.skipped + 1
        if progress.skipped >= spikes.patience:
            raise RunError(
                f"the loss leapt in {progress.skipped} steps in a row, to {loss:.4g} where {limit:.4g} was the most "
                f"expected, at step {progress.step + 1}",
                "lower `lr`, or raise `spikes.sigmas`; the newest checkpoint is from before",
            )
        return taken

    def _backward(self, batches: list[Batch]) -> tuple[float, dict[str, float]]:
        """Gradients of the mean loss over the targets of all batches and processes; that loss, and by category."""
        targets = max(1.0, self.group.sum(sum(batch.num_targets for batch in batches))[0])
        total, tally = 0.0, CategoryTally()
        for number, batch in enumerate(batches):
            with together(self.shared, number == len(batches) - 1), self._precision():
                nats, each_N = self.shared(*batch.on(self.device))
                found = float(nats.detach()) / targets
                self._require_finite("the loss", found, [batch])
                # A group averages its gradients; the sum over all targets is wanted.
                (nats / targets * self.group.size).backward()
            tally.add(batch, each_N)
            total += found
        exchange(self.model, self.group)
        return self.group.sum(total)[0], tally.means(self.categories, self.group.sum)

    def _loop_norms(self) -> list[float]:
        """Norms of the gradient of the mean loss at the state of each loop, over the batches of the whole group."""
        squares = self.group.sum(*self.objective.take_loop_squares())
        return [math.sqrt(square) / self.group.size for square in squares]  # each process has `size` times its part

    def _require_finite(self, what: str, value: float, batches: list[Batch]) -> None:
        if math.isfinite(value):
            return
        step = self.progress.step + 1
        samples = [sample for batch in batches for sample in batch.samples]
        write_json(self.out / "failure.json", {"step": step, "what": what, "value": str(value), "samples": samples})
        more = f" and {len(samples) - _SHOWN_SAMPLES} more" if len(samples) > _SHOWN_SAMPLES else ""
        raise RunError(
            f"{what} is {value} at step {step}; samples of the batch: {', '.join(samples[:_SHOWN_SAMPLES])}{more}",
            f"lower `lr` or look at the samples in {self.out / 'failure.json'}; the newest checkpoint is from before",
        )

    def _due(self) -> bool:
        return self.progress.step % self.config.checkpoint_every == 0 or self.progress.step == self.steps

    def _save(self) -> None:
        if self.group.leads:
            path = save_checkpoint(
                self.out / "checkpoints",
                self.model,
                self.optimisers,
                self.progress,
                self.origin,
                self.config.keep,
                self.broken,
            )
            self.broken.discard(path)
            self._emit({"event": "saved", "step": self.progress.step, "path": str(path)})
        self.group.wait()

    def _evaluate(self, when: str) -> dict[str, Any]:
        """Of the held-out split; each process measures its share of it."""
        config, group = self.config, self.group
        turns = held_out_turns(self.dataset, config.eval_sequences, config.batch_sequences, group.team, group.teams)
        batches = (None if batch is None else batch.share_of(group) for batch in turns)
        with self._precision(), enough_memory(config, self.bf16):
            mine = evaluate(self.model, self.dataset, batches, self.device, self._leave_together)
        found = mine.over(group, self.categories, self.dataset.languages).to_dict()
        self._emit({"event": "evaluated", "when": when, "bits_per_byte": found["bits_per_byte"]})
        return found

    def _finish(self) -> Result:
        progress = self.progress
        result = Result(
            before=progress.before,
            after=self._evaluate("after"),
            steps=progress.step,
            tokens=progress.tokens,
            seconds=round(progress.seconds, 3),
            tokens_per_second=round(progress.tokens / max(progress.seconds, 1e-9), 1),
            loss=progress.loss,
            parameters=count_parameters(self.model),
            flops_per_token=self.flops_per_token,
            checkpoint=f"checkpoints/step-{progress.step:08d}",
        )
        if self.group.leads:
            write_result(self.out, result, self.origin)
        self._emit({"event": "finished", "steps": progress.step, "recorded": False})
        return result

    def _tell(self, metrics: dict[str, Any], began: tuple[float, int, int]) -> None:
        seconds, step = time.monotonic() - began[0], self.progress.step
        left = (self.steps - step) * seconds / (step - began[1])
        rate = (self.progress.tokens - began[2]) / seconds
        event = {"event": "step", "step": step, "steps": self.steps, "loss": metrics["loss"]}
        self._emit({**event, "tokens_per_second": round(rate, 1), "seconds_left": round(left, 1)})

    def _emit(self, event: dict[str, Any]) -> None:
        # A listener that is interrupted is no reason to lose the step that it was told of.
        try:
            self.on_event(event)
        except KeyboardInterrupt:
            self.stop.wanted = True

    def _stop_wanted(self) -> bool:
        """Whether any process of the group is to leave: then all do. A signal that comes meanwhile waits for the next.

        Nothing is written to `stop`: that would drop a signal that came while the others were waited for.
        """
        return bool(self.group.sum(float(self.stop.wanted))[0])

    def _leave_together(self) -> None:
        if self._stop_wanted():
            self._leave()

    def _leave(self) -> NoReturn:
        raise KeyboardInterrupt(f"stopped at step {self.progress.step} of {self.steps}; go on by the same command")

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)


def _check_fit(model: ModelConfig, dataset: Dataset) -> None:
    if model.max_length < dataset.length:
        raise ConfigError(
            f"'model.max_length' is {model.max_length}, the dataset's sequences have {dataset.length} tokens",
            "raise it, or pack shorter sequences",
        )
