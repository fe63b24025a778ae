"""What each loop of a trained model does: measured on fixed held-out tokens, loop by loop.

Enters: a model and held-out batches. Leaves: a Diagnosis. A loop: how far it moves the state and whether successive
moves point alike (a negative cosine is oscillation), norm and effective rank of the state, its likeness to the one
before (linear CKA), bits per byte when read out there, the divergence from the loop before and the top tokens that it
mends or spoils, the gate by layer and head. The headline is bits per byte gained for each extra FLOP. Limit: the rank
and CKA are of at most SAMPLED positions, evenly spread; a readout after an early loop was trained only through later
ones.

Legend: B batch, T positions, D width, N positions with a target, V vocabulary, S sampled positions.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.documents import Documents
from loopdata.errors import ShardError
from loopdata.tokens.shards import Dataset
from model.context import LoopGradient, Place, Whole
from model.cost import flops_per_token
from model.data import IGNORED, Batch
from model.looped import LoopedTransformer

SAMPLED = 2_048
QUANTILES = (0.05, 0.5, 0.95)


@dataclass
class LoopMeasures:
    """One loop, numbered from 1. What compares with the loop before is None in the first."""

    loop: int
    bits_per_byte: float = math.nan
    state_norm: float = math.nan  # mean ‖h_r‖
    effective_rank: float = math.nan  # exp(H(σ²/Σσ²))
    update: float | None = None  # mean ‖h_r − h_{r−1}‖/‖h_r‖
    update_cosine: float | None = None  # of this move with the one before; from the third loop on
    cka: float | None = None  # linear CKA(h_r, h_{r−1})
    divergence: float | None = None  # KL(p_r‖p_{r−1}), nats a target
    helped: float | None = None  # share of targets whose top token becomes right
    hurt: float | None = None  # share of targets whose top token was right and is not now
    gate_mean: float | None = None
    gates: list[list[list[float]]] = field(default_factory=list)  # layer → head → mean and QUANTILES of the gate


@dataclass
class Diagnosis:
    """All loops, and what they are worth together."""

    loops: list[LoopMeasures]
    targets: int
    injection_norm: float | None
    flops_per_token: int
    gain_per_gflop: float | None  # bits per byte that loops after the first gain, for each extra 10⁹ FLOPs a token
    without_shift: float | None  # bits per byte with the shift between loops switched off

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class _Watched(Whole):
    """A pass that keeps what the gates let through."""

    def __init__(self, model: LoopedTransformer, documents: Documents) -> None:
        super().__init__(model.config, documents, LoopGradient())
        self.gates: dict[Place, Tensor] = {}

    def attend(self, place: Place, q_BTHd: Tensor, k_BTGd: Tensor, v_BTGd: Tensor, gate_BTHx: Tensor | None) -> Tensor:
        if gate_BTHx is not None:
            self.gates[place] = torch.sigmoid(gate_BTHx.float()).mean(-1)
        return super().attend(place, q_BTHd, k_BTGd, v_BTGd, gate_BTHx)


class _Sums:
    """What is added up over batches."""

    def __init__(self, loops: int) -> None:
        self.nats = [0.0] * loops
        self.norm, self.update, self.cosine = ([0.0] * loops for _ in range(3))
        self.divergence, self.helped, self.hurt = ([0.0] * loops for _ in range(3))
        self.targets = self.bytes = 0
        self.states: list[list[Tensor]] = [[] for _ in range(loops)]
        self.gates: dict[Place, list[Tensor]] = {}


@torch.no_grad()
def diagnose(model: LoopedTransformer, dataset: Dataset, batches: Iterable[Batch], device: torch.device) -> Diagnosis:
    """Measure every loop over `batches`, which are gone through once, or twice where the model shifts.

    ShardError where no token of them carries loss.
    """
    kept = list(batches)
    sums = _Sums(model.config.loops)
    bytes_V = torch.tensor(dataset.token_bytes, dtype=torch.int64)
    for batch in kept:
        _add(sums, model, batch, bytes_V, device, max(1, SAMPLED // max(len(kept), 1)))
    if not sums.targets:
        raise ShardError(f"{dataset.path} holds out no token that carries loss", "hold out more by `split.valid`")
    measures = [_measures(sums, loop) for loop in range(model.config.loops)]
    flops = flops_per_token(model, dataset.length)
    return Diagnosis(
        measures,
        sums.targets,
        None if model.injection is None else model.injection.spectral_norm(),
        flops,
        _gain(model, measures, dataset.length),
        _without_shift(model, kept, bytes_V, device),
    )


def _add(sums: _Sums, model: LoopedTransformer, batch: Batch, bytes_V: Tensor, device: torch.device, rows: int) -> None:
    tokens_BT, targets_BT, documents = batch.whole_on(device)
    context = _Watched(model, documents)
    raw = model.states_in(tokens_BT, context)
    counted_BT = targets_BT != IGNORED
    targets_N = targets_BT[counted_BT]
    if not len(targets_N):
        return
    states = [state_BTD[counted_BT].float() for state_BTD in raw]
    sums.targets += len(targets_N)
    sums.bytes += int(bytes_V[targets_N.cpu()].sum())
    every = -(-len(targets_N) // rows)
    before: Tensor | None = None
    for loop, state_ND in enumerate(states):
        logits_NV = (model.read(raw[loop])[counted_BT] @ model.readout.T).float().log_softmax(-1)
        sums.nats[loop] -= float(logits_NV.gather(1, targets_N[:, None]).double().sum())
        sums.norm[loop] += float(state_ND.norm(dim=-1).double().sum())
        sums.states[loop].append(state_ND[::every].cpu())
        if before is not None:
            _compare(sums, loop, states, logits_NV, before, targets_N)
        before = logits_NV
    for place, gate_BTH in context.gates.items():
        sums.gates.setdefault(place, []).append(gate_BTH[counted_BT].cpu())


def _compare(
    sums: _Sums, loop: int, states: list[Tensor], now_NV: Tensor, before_NV: Tensor, targets_N: Tensor
) -> None:
    moved_ND = states[loop] - states[loop - 1]
    sums.update[loop] += float((moved_ND.norm(dim=-1) / states[loop].norm(dim=-1).clamp_min(1e-9)).double().sum())
    if loop > 1:
        earlier_ND = states[loop - 1] - states[loop - 2]
        sums.cosine[loop] += float(F.cosine_similarity(moved_ND, earlier_ND, dim=-1).double().sum())
    sums.divergence[loop] += float((now_NV.exp() * (now_NV - before_NV)).double().sum())
    right, was_right = now_NV.argmax(-1) == targets_N, before_NV.argmax(-1) == targets_N
    sums.helped[loop] += int((right & ~was_right).sum())
    sums.hurt[loop] += int((was_right & ~right).sum())


def _measures(sums: _Sums, loop: int) -> LoopMeasures:
    count, state_SD = sums.targets, torch.cat(sums.states[loop])
    found = LoopMeasures(
        loop + 1,
        bits_per_byte=sums.nats[loop] / (math.log(2) * max(sums.bytes, 1)),
        state_norm=sums.norm[loop] / count,
        effective_rank=effective_rank(state_SD),
    )
    if loop == 0:
        return found
    found.update, found.divergence = sums.update[loop] / count, sums.divergence[loop] / count
    found.helped, found.hurt = sums.helped[loop] / count, sums.hurt[loop] / count
    found.update_cosine = sums.cosine[loop] / count if loop > 1 else None
    found.cka = linear_cka(state_SD, torch.cat(sums.states[loop - 1]))
    places = sorted((place for place in sums.gates if place.loop == loop), key=lambda place: place.layer)
    gates = [torch.cat(sums.gates[place]) for place in places]
    found.gates = [[_spread(gate_NH[:, head]) for head in range(gate_NH.shape[1])] for gate_NH in gates]
    found.gate_mean = float(torch.stack([gate_NH.mean() for gate_NH in gates]).mean()) if gates else None
    return found


def _spread(gate_N: Tensor) -> list[float]:
    sample_N = gate_N[:: max(1, len(gate_N) // 100_000)]  # quantile takes no more than 16 million
    return [float(gate_N.mean()), *sample_N.quantile(torch.tensor(QUANTILES)).tolist()]


def effective_rank(state_SD: Tensor) -> float:
    """exp of the entropy of the squared singular values (Roy & Vetterli 2007): 1 for one direction, D for all alike."""
    squares = torch.linalg.svdvals(state_SD.double()) ** 2
    share = squares / squares.sum().clamp_min(1e-300)
    return float(torch.exp(-(share * share.clamp_min(1e-300).log()).sum()))


def linear_cka(a_SD: Tensor, b_SD: Tensor) -> float:
    """Linear centred kernel alignment (Kornblith et al. 2019): 1 for states that differ by a rotation and a scale."""
    a_SD, b_SD = (x.double() - x.double().mean(0) for x in (a_SD, b_SD))
    together = torch.linalg.matrix_norm(a_SD.T @ b_SD) ** 2
    alone = torch.linalg.matrix_norm(a_SD.T @ a_SD) * torch.linalg.matrix_norm(b_SD.T @ b_SD)
    return float(together / alone.clamp_min(1e-300))


def _gain(model: LoopedTransformer, measures: list[LoopMeasures], length: int) -> float | None:
    """Against the readout after the first loop; controls of equal FLOPs or parameters are trainings of their own."""
    if model.config.loops == 1:
        return None
    extra = flops_per_token(model, length) - flops_per_token(model, length, loops=1)
    return (measures[0].bits_per_byte - measures[-1].bits_per_byte) / (extra / 1e9)


def _without_shift(
    model: LoopedTransformer, batches: list[Batch], bytes_V: Tensor, device: torch.device
) -> float | None:
    if not model.config.loop_shift:
        return None
    nats, size = 0.0, 0
    for batch in batches:
        tokens_BT, targets_BT, documents = batch.whole_on(device)
        counted_BT = targets_BT != IGNORED
        state_BTD = model.states_in(tokens_BT, _Unshifted(model.config, documents, LoopGradient()))[-1]
        logits_NV = (model.read(state_BTD)[counted_BT] @ model.readout.T).float()
        nats += float(F.cross_entropy(logits_NV, targets_BT[counted_BT], reduction="sum"))
        size += int(bytes_V[targets_BT[counted_BT].cpu()].sum())
    return nats / (math.log(2) * max(size, 1))


class _Unshifted(Whole):
    """A pass whose states stay at their positions."""

    def carry(self, state_BTD: Tensor, loop: int) -> Tensor:
        return state_BTD
