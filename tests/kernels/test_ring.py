"""Rows spread over two and four processes against one process, in fp64 and by the kernels in fp32."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from kernels.documents import Documents
from kernels.implementations import has_triton
from kernels.pieces import Plain, merge
from kernels.reference import causal_reference
from kernels.ring_layout import Ring
from model.injection import shift
from tests.kernels.examples import NAMES, assert_close, expected, ids_of, inputs, upstream
from tests.kernels.ring_ranks import run


def ring(T: int, rank: int, ranks: int, ids: Tensor | None = None) -> Ring:
    ids = torch.zeros(1, T, dtype=torch.int64) if ids is None else ids
    return Ring(Documents.of(ids), rank, ranks, None, 2, Plain())


def case(x: dict[str, Tensor], ids: Tensor, window: int | None, window_self: bool = False, by: str = "plain") -> Any:
    return {"x": x, "ids": ids, "window": window, "window_self": window_self, "by": by}


def whole(shares: list[dict[str, Any]], name: str) -> Tensor:
    """The tensor of whole rows from the ranks' shares."""
    spans = [
        (span, part)
        for share in shares
        for span, part in zip(share["spans"], share[name].split([b - a for a, b in share["spans"]], dim=1), strict=True)
    ]
    return torch.cat([part for _, part in sorted(spans, key=lambda pair: pair[0])], dim=1)


def causal(x: dict[str, Tensor], ids: Tensor) -> dict[str, Tensor]:
    leaves = [x[name].clone().requires_grad_() for name in NAMES[:3]]
    out = causal_reference(*leaves, Documents.of(ids))
    return {"out": out.detach(), **dict(zip(NAMES, torch.autograd.grad(out, leaves, upstream(x)), strict=False))}


CASES = [
    case(inputs(65, rows=1), ids_of([65]), 16),
    case(inputs(64, G=2, H=4, gate_width=4), ids_of([64], [1, 30, 1, 32]), 64, True),
    case(inputs(33), ids_of([33], [20, 13]), 1),
    case(inputs(5, rows=1), ids_of([5]), 3, True),
    case(inputs(1, rows=1), ids_of([1]), 2),
    case(inputs(40, rows=1), ids_of([40]), 0),
    case(inputs(50), ids_of([50], [1, 48, 1]), None),
]
FUSED = case({n: v.float() for n, v in inputs(40, d=16, rows=1).items()}, ids_of([9, 31]), 12, False, "fused")


@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_ranks_together_compute_what_one_process_computes(ranks: int, tmp_path: Path) -> None:
    cases = CASES + ([FUSED] if has_triton() and ranks == 2 else [])
    results = run(ranks, cases, tmp_path)
    for each, shares in zip(cases, results, strict=True):
        x, ids, window = each["x"], each["ids"], each["window"]
        oracle = causal(x, ids) if window is None else expected(x, ids, window, each["window_self"])
        found = {name: whole(shares, name) for name in oracle}
        assert_close(found, oracle, 5e-6 if each["by"] == "fused" else 1e-12)
    for share in results[0]:
        # 65 positions: the own ones, one piece that is computed with and one that arrives.
        assert share["own"] < share["held"] < 65
        # Halo and first piece are under way before anything is computed, and computed with before they are waited for.
        assert share["log"][:3] == ["post", "post", "forward"]


SHIFTS: list[dict[str, Any]] = [
    {"x": inputs(T, rows=1), "ids": ids_of(lengths), "distance": distance}
    for T, lengths, distance in ((40, [40], 1), (41, [10, 1, 30], 1), (3, [3], 1), (40, [40], 13))
]


@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_what_moves_on_along_a_row_crosses_the_ranks(ranks: int, tmp_path: Path) -> None:
    for each, shares in zip(SHIFTS, run(ranks, SHIFTS, tmp_path), strict=True):
        own, documents = each["x"]["q"].flatten(2), Documents.of(each["ids"])
        leaf = own.clone().requires_grad_()
        moved = shift(leaf, documents, each["distance"])
        assert torch.equal(whole(shares, "out"), moved)
        assert torch.equal(whole(shares, "q"), torch.autograd.grad(moved, leaf, own)[0])


def test_each_rank_holds_one_span_from_each_end() -> None:
    assert [ring(16, rank, 2).spans(rank) for rank in (0, 1)] == [[(0, 4), (12, 16)], [(4, 8), (8, 12)]]
    assert ring(16, 1, 2).pieces(1) == [(4, 6), (6, 8), (8, 10), (10, 12)]
    assert ring(3, 0, 2).spans(0) == [(0, 0), (2, 3)]
    assert ring(16, 0, 2).share(torch.arange(16)[None]).tolist() == [[0, 1, 2, 3, 12, 13, 14, 15]]


def pairs(T: int, ranks: int) -> list[int]:
    """How many pairs of a query and a key each rank computes with, blocks under the mask's edge counted whole."""
    rings = [ring(T, rank, ranks) for rank in range(ranks)]
    keys = [span for rank in range(ranks) for span in rings[0].pieces(rank)]
    return [sum((rows.stop - rows.start) * (b - a) for a, b in keys for rows, _ in r.seen((a, b))) for r in rings]


def test_all_ranks_have_alike_work_under_a_causal_mask() -> None:
    work = pairs(256, 4)
    assert max(work) - min(work) <= 0.05 * max(work)


def test_documents_that_lie_elsewhere_are_not_computed_with() -> None:
    own = ring(16, 0, 2, ids_of([12, 4]))
    assert [rows for rows, _ in own.seen((4, 6))] == []
    assert [rows for rows, _ in own.seen((12, 14))] == [slice(4, 8)]
    assert [rows for rows, _ in own.seen((2, 4))] == [slice(0, 4)]


@pytest.mark.parametrize(
    ("window", "needed"), [((2, False), [(2, 4), (6, 8)]), ((3, True), [(2, 4), (6, 8)]), ((0, True), [])]
)
def test_a_halo_is_what_the_window_reaches(window: tuple[int, bool], needed: list[tuple[int, int]]) -> None:
    found = [halo.span for halo in ring(16, 1, 2).halos(window) if halo.receiver == 1]
    assert found == needed


def test_a_window_wider_than_a_span_takes_its_halo_from_several() -> None:
    found = [(halo.owner, halo.span) for halo in ring(16, 0, 2).halos((9, False)) if halo.receiver == 0]
    assert found == [(0, (3, 4)), (1, (4, 8)), (1, (8, 12))]


def test_a_share_of_the_wrong_size_is_refused() -> None:
    from kernels.ring import ring_causal_attention

    x = torch.zeros(1, 7, 2, 4)
    with pytest.raises(ValueError, match=r"rank 1 of 2 holds \(1, 8\) positions, not \(1, 7\)"):
        ring_causal_attention(x, x, x, ring(16, 1, 2))


def test_outputs_on_two_sets_of_keys_are_merged_into_that_on_both() -> None:
    x, by = inputs(6, rows=1), Plain()
    own = ring(6, 0, 1)
    out, lse = by.attend(x["q"], x["k1"], x["v1"], own.piece((0, 6), (0, 6)))
    first, last = (
        by.attend(x["q"], x["k1"][:, a:b], x["v1"][:, a:b], own.piece((0, 6), (a, b))) for a, b in ((0, 2), (2, 6))
    )
    assert last[1][0, 0, 0] == -torch.inf
    merged = merge(*first, *last)
    torch.testing.assert_close(merged[0], out)
    torch.testing.assert_close(merged[1], lse)
