"""Where documents lie in a batch: what every attention of one forward pass shares, computed once a batch.

Enters: document ids [B, T], equal along a document, different between neighbours. Leaves: positions that restart at
each document, where documents begin and end (all that the fused kernels ask for), and two layouts. *Lanes*: documents
sorted into batches of like length, so that causal attention needs no mask and costs the squares of the documents'
lengths, not of the row's. *Bands*: blocks of queries beside the keys that a window lets them see, so that local
attention costs T·(W + block), not T². Own work; FlashAttention's varlen layout is the same thought for lanes. Limit:
ids are read on the host once a batch (one synchronisation on a GPU).

Legend: B batch, T positions, N = B·T, M slots of all lanes, n blocks a row, C queries a block, K keys a block.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

# Shorter documents share one lane: below this length a call costs more than the padding.
_SHORTEST_LANE = 32
# Blocks of queries: measured on two cores at W = 64, 32 and 64 are alike, 16 and 128 slower.
_SMALLEST_BLOCK, _LARGEST_BLOCK = 32, 128


@dataclass(frozen=True)
class Lanes:
    """Documents of like length side by side. Slot m holds token `take_M[m]`; token i lies in slot `slot_N[i]`.

    `shapes` gives (documents, length) of each lane, in the order of slots. Slots beyond a document's end repeat its
    last token: causal attention never looks at them, and what they compute is dropped.
    """

    take_M: Tensor
    slot_N: Tensor
    shapes: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Band:
    """What a window lets see: `bias_nCK` [B·n, 1, C, K] is 0 or −inf, `seen_BT` is 0 where the window is empty.

    A query with an empty window looks at itself, so that no softmax is taken over nothing; its result is multiplied
    by `seen_BT`. Keys of block i are blocks i − `reach` to i.
    """

    bias_nCK: Tensor
    seen_BT: Tensor
    block: int
    reach: int


@dataclass(frozen=True)
class Documents:
    """The documents of a batch. Build it by `Documents.of`; `lanes` is None where every row is one document.

    `begins_BT` and `ends_BT` (int32): at each position the first of its document, and the first after it.
    """

    ids_BT: Tensor
    positions_BT: Tensor
    begins_BT: Tensor
    ends_BT: Tensor
    lanes: Lanes | None
    _bands: dict[tuple[int, bool, torch.dtype], Band] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, ids_BT: Tensor) -> "Documents":
        """Layouts of the documents in `ids_BT` (integers); a change of id along a row begins a document."""
        if ids_BT.ndim != 2 or ids_BT.is_floating_point():
            raise ValueError(f"document ids must be integers [B, T], not {ids_BT.dtype} {tuple(ids_BT.shape)}")
        starts_BT = torch.ones_like(ids_BT, dtype=torch.bool)
        starts_BT[:, 1:] = ids_BT[:, 1:] != ids_BT[:, :-1]
        index_T = torch.arange(ids_BT.shape[1], device=ids_BT.device)
        begins_BT = torch.where(starts_BT, index_T, 0).cummax(dim=1).values
        lasts_BT = torch.ones_like(starts_BT)
        lasts_BT[:, :-1] = starts_BT[:, 1:]
        ends_BT = torch.where(lasts_BT, index_T + 1, ids_BT.shape[1]).flip(1).cummin(dim=1).values.flip(1)
        bounds = (begins_BT.to(torch.int32), ends_BT.to(torch.int32))
        # Numbered anew, so that an id that returns later in a row is another document.
        return cls(starts_BT.cumsum(dim=1), index_T - begins_BT, *bounds, _lanes(starts_BT))

    @classmethod
    def whole(cls, rows: int, length: int, device: torch.device | str = "cpu") -> "Documents":
        """Every row is one document."""
        return cls.of(torch.zeros(rows, length, dtype=torch.int64, device=device))

    def band(self, window: int, window_self: bool, dtype: torch.dtype) -> Band:
        """The local mask for `window` keys, the last of them the position itself or (strict) the one before it."""
        key = (window, window_self, dtype)
        if key not in self._bands:
            self._bands[key] = _band(self.ids_BT, window, window_self, dtype)
        return self._bands[key]


def _lane_length(length: int) -> int:
    """The next of 32, 48, 64, 96, 128, 192, …: at most half of a lane's row is padding, mostly far less."""
    lane = _SHORTEST_LANE
    while lane < length:
        lane = lane * 3 // 2 if lane & (lane - 1) == 0 else lane * 4 // 3
    return lane


def _lanes(starts_BT: Tensor) -> Lanes | None:
    rows, positions = starts_BT.shape
    begins_D = starts_BT.flatten().nonzero().flatten().cpu()
    if len(begins_D) == rows:
        return None
    ends_D = torch.cat([begins_D[1:], torch.tensor([rows * positions])])
    lengths = (ends_D - begins_D).tolist()
    lane_D = torch.tensor([min(_lane_length(n), positions) for n in lengths])
    takes, shapes = [], []
    slot_N = torch.empty(rows * positions, dtype=torch.int64)
    used = 0
    for lane in sorted(set(lane_D.tolist())):
        chosen = lane_D == lane
        take_DL = begins_D[chosen, None] + torch.arange(lane)
        real_DL = take_DL < ends_D[chosen, None]
        slots_DL = used + torch.arange(take_DL.numel()).view_as(take_DL)
        slot_N[take_DL[real_DL]] = slots_DL[real_DL]
        takes.append(torch.minimum(take_DL, ends_D[chosen, None] - 1).flatten())
        shapes.append((len(take_DL), lane))
        used += take_DL.numel()
    device = starts_BT.device
    return Lanes(torch.cat(takes).to(device), slot_N.to(device), tuple(shapes))


def _band(ids_BT: Tensor, window: int, window_self: bool, dtype: torch.dtype) -> Band:
    positions = ids_BT.shape[1]
    nearest = 0 if window_self else 1
    farthest = nearest + window - 1
    block = min(_LARGEST_BLOCK, max(_SMALLEST_BLOCK, 1 << max(window - 1, 0).bit_length()))
    blocks = -(-positions // block)
    reach = min(-(-max(farthest, 0) // block), blocks - 1)
    query_nC1 = torch.arange(blocks * block, device=ids_BT.device).view(blocks, block, 1)
    key_n1K = (query_nC1[:, :1] - reach * block) + torch.arange((reach + 1) * block, device=ids_BT.device)
    distance_nCK = query_nC1 - key_n1K
    last = positions - 1
    same_BnCK = ids_BT[:, query_nC1.clamp(max=last)] == ids_BT[:, key_n1K.clamp(0, last)]
    inside_nCK = (distance_nCK >= nearest) & (distance_nCK <= farthest) & (key_n1K >= 0) & (key_n1K <= last)
    seen_BnCK = same_BnCK & inside_nCK
    some_BnC = seen_BnCK.any(-1)
    allowed_BnCK = seen_BnCK | (~some_BnC[..., None] & (distance_nCK == 0))
    bias_BnCK = torch.zeros(allowed_BnCK.shape, dtype=dtype, device=ids_BT.device)
    bias_BnCK.masked_fill_(~allowed_BnCK, float("-inf"))
    seen_BT = some_BnC.flatten(1)[:, :positions].to(dtype)
    return Band(bias_BnCK.flatten(0, 1).unsqueeze(1), seen_BT, block, reach)
