"""Trains a looped transformer on a dataset, so that stopping and going on leaves no trace.

Enters: a TrainConfig and a listener. Leaves: in `out` checkpoints, metrics.jsonl and result.json; a Result. On a CPU a
training that was stopped and resumed ends with the same bytes as one that was not. The loss of a step is the mean over
all its targets, however they are spread over batches. Limit: one process, one device.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from loopdata.errors import ConfigError, RunError
from loopdata.tokens.shards import Dataset
from model.checkpoint import Progress, check_origin, newest_checkpoint, save_checkpoint
from model.config import ModelConfig, as_mapping, load_model_config
from model.cost import count_parameters, flops_per_token
from model.data import IGNORED, Batch, TrainingOrder, held_out_batches
from model.evaluation import evaluate
from model.files import write_json
from model.interruption import Interruption
from model.journal import Journal
from model.looped import LoopedTransformer
from model.loss import sum_of_nats
from model.optimiser import learning_rate, make_optimiser
from model.result import Result, read_result, write_result
from model.train_config import TrainConfig, identity

Listener = Callable[[dict[str, Any]], None]
# Below this size a CPU gains nothing from bf16, whatever instructions it has.
_BF16_CPU_PARAMETERS = 1_500_000
_SHOWN_SAMPLES = 8


def train(config: TrainConfig, on_event: Listener = lambda event: None) -> Result:
    """Train to the end, from the newest whole checkpoint in `out` if there is one; a finished training is only read.

    `on_event` receives {"event": "evaluated" | "resumed" | "step" | "saved" | "finished", …}; a "step" has step, steps,
    loss, tokens_per_second, seconds_left. ConfigError, ShardError: the parts do not fit each other or what `out` holds.
    RunError: the loss is no number, or the disk refuses. KeyboardInterrupt: after SIGINT, SIGTERM or one raised by
    `on_event`; the state is saved.
    """
    dataset = Dataset.open(config.data)
    model_config = load_model_config(config.model, dataset.vocab_size, config.loops)
    _check_fit(model_config, dataset)
    origin = describe_origin(config, model_config, dataset)
    recorded = read_result(Path(config.out), origin)
    if recorded is not None:
        on_event({"event": "finished", "steps": recorded.steps, "recorded": True})
        return recorded
    with _threads(config.threads), Interruption() as stop:
        return _Training(config, model_config, dataset, origin, on_event, stop).run()


def describe_origin(config: TrainConfig, model: ModelConfig, dataset: Dataset) -> dict[str, Any]:
    """What a result depends on, as JSON gives it back; checkpoints and results are compared by it."""
    data = {"tokenizer": dataset.tokenizer, "vocab_size": dataset.vocab_size, "length": dataset.length}
    data["content"] = _content(dataset)
    origin: dict[str, Any] = json.loads(
        json.dumps({"dataset": data, "model": as_mapping(model), "train": identity(config)})
    )
    return origin


def _content(dataset: Dataset) -> str:
    """A digest of what training reads, whatever the files are called: an attempt names them anew."""
    files = sorted(
        entry["sha256"] for name, entry in dataset.manifest["files"].items() if not name.endswith(".samples.parquet")
    )
    packings = [(packing.category, packing.split, packing.num_sequences) for packing in dataset.packings]
    return hashlib.sha256(json.dumps([files, packings]).encode()).hexdigest()


class _Training:
    def __init__(
        self,
        config: TrainConfig,
        model_config: ModelConfig,
        dataset: Dataset,
        origin: dict[str, Any],
        on_event: Listener,
        stop: Interruption,
    ) -> None:
        self.config, self.dataset, self.origin, self.on_event, self.stop = config, dataset, origin, on_event, stop
        self.device = _device(config.device)
        self.model = LoopedTransformer(model_config, config.seed.init).to(self.device)
        self.optimiser = make_optimiser(self.model, config)
        self.order = TrainingOrder(dataset, config.seed.order)
        self.steps = config.total_steps(len(dataset.order), dataset.length)
        self.out = Path(config.out)
        self.progress = Progress()
        self.bf16 = _use_bf16(config.dtype, self.device, count_parameters(self.model)["total"])

    def run(self) -> Result:
        self._resume()
        if self.progress.step == 0:
            self.progress.before = self._evaluate("before")
        began = (time.monotonic(), self.progress.step, self.progress.tokens)
        with Journal(self.out / "metrics.jsonl", self.progress.step) as journal:
            while self.progress.step < self.steps:
                metrics = self._step()
                journal.write(metrics)
                self._tell(metrics, began)
                if self.stop.wanted or self._due():
                    self._save()
                self._leave_if_wanted()
        return self._finish()

    def _resume(self) -> None:
        """Go on from the newest whole checkpoint, if there is one."""
        torch.manual_seed(self.config.seed.init)
        checkpoint = newest_checkpoint(self.out / "checkpoints")
        if checkpoint is None:
            return
        check_origin(checkpoint.origin, self.origin, checkpoint.path)
        checkpoint.load(self.model, self.optimiser)
        self.progress = checkpoint.progress
        self._emit({"event": "resumed", "step": self.progress.step, "steps": self.steps})

    def _step(self) -> dict[str, Any]:
        """One step of the optimiser, and the line that the journal gets of it."""
        began = time.monotonic()
        size = self.config.batch_sequences
        places = [self.progress.sequences + n * size for n in range(self.config.accumulation)]
        batches = [self.order.batch(place, size) for place in places]
        rate = learning_rate(self.progress.step + 1, self.steps, self.config)
        loss = self._backward(batches)
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip))
        self._require_finite("the norm of the gradient", norm, batches)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        tokens, seconds = sum(batch.num_tokens for batch in batches), time.monotonic() - began
        progress = self.progress
        progress.step, progress.sequences = progress.step + 1, places[-1] + size
        progress.tokens, progress.seconds, progress.loss = progress.tokens + tokens, progress.seconds + seconds, loss
        line = {"step": progress.step, "loss": loss, "lr": rate, "grad_norm": norm, "tokens": progress.tokens}
        return {**line, "tokens_per_second": round(tokens / seconds, 1)}

    def _backward(self, batches: list[Batch]) -> float:
        """Gradients of the mean loss over the targets of all batches; that loss."""
        targets = max(1, sum(batch.num_targets for batch in batches))
        total = 0.0
        for batch in batches:
            loss = self._loss(batch) / targets
            nats = float(loss.detach())
            self._require_finite("the loss", nats, [batch])
            loss.backward()  # type: ignore[no-untyped-call]
            total += nats
        return total

    def _loss(self, batch: Batch) -> Tensor:
        tokens_BT, targets_BT, documents = batch.on(self.device)
        with self._precision():
            states_BTD = self.model(tokens_BT, documents)
            chosen_N = (targets_BT.flatten() != IGNORED).nonzero().squeeze(-1)
            states_ND = states_BTD.flatten(0, 1).index_select(0, chosen_N)
            return sum_of_nats(states_ND, self.model.readout, targets_BT.flatten()[chosen_N])

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
        folder = self.out / "checkpoints"
        path = save_checkpoint(folder, self.model, self.optimiser, self.progress, self.origin, self.config.keep)
        self._emit({"event": "saved", "step": self.progress.step, "path": str(path)})

    def _evaluate(self, when: str) -> dict[str, Any]:
        batches = held_out_batches(self.dataset, self.config.eval_sequences, self.config.batch_sequences)
        with self._precision():
            found = evaluate(self.model, self.dataset, batches, self.device, self._leave_if_wanted).to_dict()
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
            flops_per_token=flops_per_token(self.model, self.dataset.length),
            checkpoint=f"checkpoints/step-{progress.step:08d}",
        )
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

    def _leave_if_wanted(self) -> None:
        if self.stop.wanted:
            raise KeyboardInterrupt(f"stopped at step {self.progress.step} of {self.steps}; go on by the same command")

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)


def _check_fit(model: ModelConfig, dataset: Dataset) -> None:
    if model.max_length < dataset.length:
        raise ConfigError(
            f"'model.max_length' is {model.max_length}, the dataset's sequences have {dataset.length} tokens",
            "raise it, or pack shorter sequences",
        )


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("'train.device' is 'cuda', and this machine has none", "give auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _use_bf16(name: str, device: torch.device, parameters: int) -> bool:
    if name != "auto" or device.type == "cuda":
        return name != "fp32"
    # Without these instructions bf16 is emulated: products took more than twice as long as in fp32.
    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return parameters >= _BF16_CPU_PARAMETERS and bool(able.get("avx512_bf16") or able.get("amx_bf16"))


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    """Threads of torch for the time of the training; the number is the process's own, so it is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
