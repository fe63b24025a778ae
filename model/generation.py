"""Generation with a cache: the first loop's keys and values of all positions, of later loops those of a window only.

Enters: prompts of one length, [B, T]. Leaves: tokens, one after the other, by the same code as training: `Cache` is
another context of the same forward pass, and gives what the whole pass gives. The cache of a looped model is that of a
dense one of `layers` layers plus `loops` − 1 windows, whatever the length. Limit: rows of a batch have one length and
are one document each; rows that have ended go on, and are cut off afterwards.

Legend: B batch, T positions of a pass, S positions so far, D width, H query heads, G key heads, d head dimension,
x gate width (1 or d), V vocabulary.
"""

from collections.abc import Collection
from itertools import takewhile

import torch
import torch.nn.functional as F
from torch import Tensor

from loopdata.errors import ConfigError
from model.config import ModelConfig
from model.context import Place
from model.looped import LoopedTransformer


class Cache:
    """What earlier positions leave to later ones. Call `read` for the next tokens, as many at once as there are."""

    def __init__(self, model: LoopedTransformer, batch: int, capacity: int) -> None:
        """`capacity` positions at most. ConfigError where that is more than the model has rotary positions for."""
        config = model.config
        if capacity > config.max_length:
            raise ConfigError(
                f"{capacity} positions are more than 'model.max_length', {config.max_length}",
                "give a shorter prompt, ask for fewer tokens, or use a model for longer sequences",
            )
        self._model, self._config, self.capacity, self.length = model, config, capacity, 0
        weight = model.embedding.weight
        shape = (config.layers, 2, batch, capacity, config.groups, config.head_dim)
        self._first = torch.empty(shape, dtype=weight.dtype, device=weight.device)
        self._local: dict[Place, tuple[Tensor, Tensor]] = {}
        self._states: dict[int, Tensor] = {}
        self.positions_BT = torch.empty(batch, 0, dtype=torch.long, device=weight.device)

    @property
    def num_bytes(self) -> int:
        """Bytes that the positions so far take."""
        kept = [*self._states.values(), *(x for pair in self._local.values() for x in pair)]
        first = self._first[:, :, :, : self.length]
        return sum(x.numel() * x.element_size() for x in (first, *kept))

    @torch.no_grad()
    def read(self, tokens_BT: Tensor) -> Tensor:
        """Logits [B, T, V] of the next `tokens_BT`, which become part of what later ones see."""
        batch, new = tokens_BT.shape
        if self.length + new > self.capacity:
            raise ConfigError(f"the cache holds {self.capacity} positions, and {self.length + new} were given")
        places_T = torch.arange(self.length, self.length + new, device=tokens_BT.device)
        self.positions_BT = places_T.expand(batch, new)
        states_BTD = self._model.read(self._model.states_in(tokens_BT, self)[-1])
        self.length += new
        return states_BTD @ self._model.readout.T

    def carry(self, state_BTD: Tensor, loop: int) -> Tensor:
        if not self._config.loop_shift:
            return state_BTD
        before_B1D = self._states.get(loop, torch.zeros_like(state_BTD[:, :1]))
        self._states[loop] = state_BTD[:, -1:].clone()
        return torch.cat([before_B1D, state_BTD[:, :-1]], dim=1)

    def attend(self, place: Place, q_BTHd: Tensor, k_BTGd: Tensor, v_BTGd: Tensor, gate_BTHx: Tensor | None) -> Tensor:
        new = q_BTHd.shape[1]
        k1_BSGd, v1_BSGd = self._first[place.layer, :, :, : self.length + new]
        if gate_BTHx is None:
            k1_BSGd[:, self.length :], v1_BSGd[:, self.length :] = k_BTGd, v_BTGd
        global_BTHd = _attend(q_BTHd, k1_BSGd, v1_BSGd, self._sees(0, None))
        if gate_BTHx is None:
            return global_BTHd
        return torch.lerp(self._attend_locally(place, q_BTHd, k_BTGd, v_BTGd), global_BTHd, torch.sigmoid(gate_BTHx))

    def _attend_locally(self, place: Place, q_BTHd: Tensor, k_BTGd: Tensor, v_BTGd: Tensor) -> Tensor:
        """Attention to the window, of which the last positions of the passes before are kept."""
        config = self._config
        if place in self._local:
            k_before, v_before = self._local[place]
            k_BTGd, v_BTGd = torch.cat([k_before, k_BTGd], dim=1), torch.cat([v_before, v_BTGd], dim=1)
        keep = config.window - 1 if config.window_self else config.window
        begin = max(k_BTGd.shape[1] - keep, 0)
        # Copies: a view would keep all of a long prompt.
        self._local[place] = (k_BTGd[:, begin:].clone(), v_BTGd[:, begin:].clone())
        nearest = 0 if config.window_self else 1
        sees_TS = self._sees(nearest, nearest + config.window)[:, -k_BTGd.shape[1] :]
        some_T = sees_TS.any(1)
        # A query with an empty window looks at something, and what it sees is dropped.
        out_BTHd = _attend(q_BTHd, k_BTGd, v_BTGd, sees_TS | ~some_T[:, None])
        return out_BTHd * some_T[None, :, None, None]

    def _sees(self, nearest: int, farthest: int | None) -> Tensor:
        """[T, S]: whether a new position sees one so far: from `nearest` positions behind it to below `farthest`."""
        query_T = self.positions_BT[0]
        behind_TS = query_T[:, None] - torch.arange(int(self.length + len(query_T)), device=query_T.device)
        sees_TS = behind_TS >= nearest
        return sees_TS if farthest is None else sees_TS & (behind_TS < farthest)


def _attend(q_BTHd: Tensor, k_BSGd: Tensor, v_BSGd: Tensor, sees_TS: Tensor) -> Tensor:
    q, k, v = (x.transpose(1, 2) for x in (q_BTHd, k_BSGd, v_BSGd))
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=sees_TS, enable_gqa=q.shape[1] != k.shape[1])
    return out.transpose(1, 2)


def generate(
    model: LoopedTransformer,
    prompt_BT: Tensor,
    tokens: int,
    *,
    temperature: float = 0.0,
    seed: int = 0,
    stop: Collection[int] = (),
) -> list[list[int]]:
    """What follows each prompt, at most `tokens` each, up to and without the first token of `stop`.

    Temperature 0 takes the likeliest token; otherwise tokens are drawn from softmax(logits / temperature) by `seed`.
    ConfigError for an empty prompt, or one that leaves no room before `model.max_length`.
    """
    batch, length = prompt_BT.shape
    if length == 0:
        raise ConfigError("the prompt is empty", "give at least one token, such as the end of a text")
    generator = torch.Generator(prompt_BT.device).manual_seed(seed)
    cache = Cache(model, batch, length + max(tokens - 1, 0))
    new_BT, chosen = prompt_BT, []
    for _ in range(tokens):
        chosen.append(_choose(cache.read(new_BT)[:, -1], temperature, generator))
        new_BT = chosen[-1]
        if all(not set(stop).isdisjoint(row) for row in torch.cat(chosen, 1).tolist()):
            break
    rows: list[list[int]] = torch.cat(chosen, dim=1).tolist() if chosen else [[] for _ in range(batch)]
    return [list(takewhile(lambda token: token not in stop, row)) for row in rows]


def _choose(logits_BV: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    if temperature == 0.0:
        return logits_BV.argmax(-1, keepdim=True)
    return torch.multinomial((logits_BV.float() / temperature).softmax(-1), 1, generator=generator)


def cache_bytes(config: ModelConfig, length: int, element_bytes: int = 2) -> dict[str, int]:
    """Bytes of the cache of one sequence: of this model, and of a dense one whose layers are all its passes."""
    layer = 2 * config.groups * config.head_dim * element_bytes
    window = config.window - 1 if config.window_self else config.window
    later = (config.loops - 1) * config.layers * layer * min(window, length)
    shifts = (config.loops - 1) * config.dim * element_bytes * config.loop_shift
    looped = config.layers * layer * length + later + shifts
    return {"looped": looped, "unrolled": config.loops * config.layers * layer * length}
