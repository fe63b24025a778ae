"""Triton kernels of gated attention: one forward, one backward by queries, one backward by keys.

Enters: pointers to contiguous [B, T, heads, d]. Leaves: what is stored through them. Three modes, by two switches:
GLOBAL and LOCAL together are the full fusion; LOCAL alone takes the global output as given (the hybrid); GLOBAL alone
is plain causal attention, also on a piece of the keys that begins `shift` positions before the first query (the ring).
Only outputs and log-sum-exps are kept. With g = σ(a), U = dO·Vᵀ, D = rowsum(dO ∘ O) and O_l recomputed over the band,

    ρ_l = rowsum((1−g)dO ∘ O_l)   ρ_g = D − ρ_l   dS_g = P_g ∘ (g·U_g − ρ_g)   dS_l = P_l ∘ ((1−g)·U_l − ρ_l)
    da = (1−g)·dO ∘ (O − O_l), summed over the channels where the gate is one number a head.

Blocks as in FlashAttention-2 (Dao 2023), the gate's algebra our own. No atomics: a gradient is a sum in a fixed order.
Limit: a NaN in another document's keys reaches the queries that share a block with it, as 0·NaN.

Legend: M queries of a block, N keys of a block, P channels padded to a power of two, D channels, H query heads, G key
heads, T queries, S keys; `length_class` tells only the tuner how many these are. A query sees the keys low … high, and
a key is seen by the queries low … high.
"""

import triton
import triton.language as tl

_LOG2E = tl.constexpr(1.4426950408889634)
_LN2 = tl.constexpr(0.6931471805599453)


@triton.jit
def _load(ptr, first, limit, STRIDE: tl.constexpr, ROWS: tl.constexpr, D: tl.constexpr, P: tl.constexpr, CHECKED: tl.constexpr):  # fmt: skip # noqa: E501
    """Rows `first` … as [ROWS, P]: 0 beyond D and, where CHECKED, beyond `limit`."""
    row, column = tl.arange(0, ROWS)[:, None], tl.arange(0, P)[None, :]
    # 64 bits for the row that the block begins with; within a block 32 are enough.
    at = ptr + tl.cast(first, tl.int64) * STRIDE + row * STRIDE + column
    if CHECKED:
        tile = tl.load(at, mask=(first + row < limit) & (column < D), other=0.0)
    elif D != P:
        tile = tl.load(at, mask=column < D, other=0.0)
    else:
        tile = tl.load(at)
    return tile


@triton.jit
def _store(ptr, first, limit, tile, STRIDE: tl.constexpr, ROWS: tl.constexpr, D: tl.constexpr, P: tl.constexpr):
    row, column = tl.arange(0, ROWS)[:, None], tl.arange(0, P)[None, :]
    at = ptr + tl.cast(first, tl.int64) * STRIDE + row * STRIDE + column
    tl.store(at, tile.to(ptr.dtype.element_ty), mask=(first + row < limit) & (column < D))


@triton.jit
def _gate(ptr, first, limit, GATE: tl.constexpr, H: tl.constexpr, ROWS: tl.constexpr, D: tl.constexpr, P: tl.constexpr):
    """σ of the gate as [ROWS, 1] (GATE 1: one number a head) or [ROWS, P] (2: one a channel)."""
    if GATE == 1:
        row = first + tl.arange(0, ROWS)
        logit = tl.load(ptr + row.to(tl.int64) * H, mask=row < limit, other=0.0)[:, None]
    else:
        logit = _load(ptr, first, limit, H * D, ROWS, D, P, True)
    return tl.sigmoid(logit.to(tl.float32))


@triton.jit
def _keys_seen(begins_ptr, query_M, shift, S, LOCAL: tl.constexpr, NEAREST: tl.constexpr, FARTHEST: tl.constexpr):
    """The first and the last key that each query sees."""
    low_M = tl.maximum(tl.load(begins_ptr + query_M), 0)
    high_M = query_M + shift
    if LOCAL:
        low_M = tl.maximum(low_M, high_M - FARTHEST)
        high_M = high_M - NEAREST
    return low_M, tl.minimum(high_M, S - 1)


@triton.jit
def _queries_seen(ends_ptr, key_N, shift, T, LOCAL: tl.constexpr, NEAREST: tl.constexpr, FARTHEST: tl.constexpr):
    """The first and the last query that sees each key."""
    low_N = key_N - shift
    high_N = tl.minimum(tl.load(ends_ptr + key_N) - shift, T) - 1
    if LOCAL:
        high_N = tl.minimum(high_N, low_N + FARTHEST)
        low_N = low_N + NEAREST
    return tl.maximum(low_N, 0), high_N


@triton.jit
def _spans(low, high, BLOCK: tl.constexpr):
    """Where blocks of the other side begin and end, and between which of them (inner, outer) no mask is needed."""
    begin = tl.min(low) // BLOCK * BLOCK
    end = tl.max(high) + 1
    inner = tl.minimum(tl.cdiv(tl.max(low), BLOCK) * BLOCK, tl.maximum(end, begin))
    outer = tl.maximum(tl.maximum(tl.min(high) + 1, 0) // BLOCK * BLOCK, inner)
    return begin, inner, outer, end


@triton.jit
def _seen(first, low, high, BLOCK: tl.constexpr):
    other = (first + tl.arange(0, BLOCK))[None, :]
    return (other >= low[:, None]) & (other <= high[:, None])


@triton.jit
def _add_outputs(
    acc, total, top, q, k_ptr, v_ptr, begin, end, low_M, high_M, S, scale2,
    G: tl.constexpr, D: tl.constexpr, P: tl.constexpr, BLOCK_N: tl.constexpr, MASKED: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Online softmax over the keys from `begin` to `end`."""
    for n in range(begin, end, BLOCK_N):
        k = _load(k_ptr, n, S, G * D, BLOCK_N, D, P, MASKED)
        s = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale2
        if MASKED:
            s = tl.where(_seen(n, low_M, high_M, BLOCK_N), s, float("-inf"))
        higher = tl.maximum(top, tl.max(s, 1))
        # Under a mask a query may have met no key yet; −inf − −inf would be NaN.
        base = tl.where(higher == float("-inf"), 0.0, higher) if MASKED else higher
        p = tl.exp2(s - base[:, None])
        fade = tl.exp2(top - base)
        v = _load(v_ptr, n, S, G * D, BLOCK_N, D, P, MASKED)
        acc = tl.dot(p.to(v.dtype), v, acc * fade[:, None], input_precision=PRECISION)
        total = total * fade + tl.sum(p, 1)
        top = higher
    return acc, total, top


@triton.jit
def _attend(
    q, k_ptr, v_ptr, begins_ptr, query_M, shift, S, scale2, LOCAL: tl.constexpr, NEAREST: tl.constexpr,
    FARTHEST: tl.constexpr, G: tl.constexpr, D: tl.constexpr, P: tl.constexpr, BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Output [M, P] and log-sum-exp [M] of one part; 0 and −inf where a query sees no key."""
    low_M, high_M = _keys_seen(begins_ptr, query_M, shift, S, LOCAL, NEAREST, FARTHEST)
    begin, inner, outer, end = _spans(low_M, high_M, BLOCK_N)
    acc = tl.zeros([BLOCK_M, P], tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    top = tl.full([BLOCK_M], float("-inf"), tl.float32)
    if LOCAL:  # a band is all edge
        inner, outer = end, end
    acc, total, top = _add_outputs(
        acc, total, top, q, k_ptr, v_ptr, begin, inner, low_M, high_M, S, scale2, G, D, P, BLOCK_N, True, PRECISION
    )
    if not LOCAL:
        acc, total, top = _add_outputs(
            acc, total, top, q, k_ptr, v_ptr, inner, outer, low_M, high_M, S, scale2, G, D, P, BLOCK_N, False, PRECISION
        )
        acc, total, top = _add_outputs(
            acc, total, top, q, k_ptr, v_ptr, outer, end, low_M, high_M, S, scale2, G, D, P, BLOCK_N, True, PRECISION
        )
    some = tl.where(total == 0, 1.0, total)
    lse_M = tl.where(total == 0, float("-inf"), (top + tl.log2(some)) * _LN2)
    return acc / some[:, None], lse_M


@triton.jit(do_not_specialize=["length_class"])
def forward(
    q_ptr, k1_ptr, v1_ptr, k2_ptr, v2_ptr, gate_ptr, given_ptr, begins_ptr, out_ptr, lse1_ptr, lse2_ptr,
    T, S, length_class, shift, scale, GLOBAL: tl.constexpr, LOCAL: tl.constexpr, GATE: tl.constexpr,
    NEAREST: tl.constexpr, FARTHEST: tl.constexpr, H: tl.constexpr, G: tl.constexpr, D: tl.constexpr,
    P: tl.constexpr, PRECISION: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """One program a block of queries of one head, those with the most keys first."""
    first = (tl.num_programs(0) - 1 - tl.program_id(0)) * BLOCK_M
    h, b = tl.program_id(1), tl.program_id(2).to(tl.int64)
    rows, keys, statistics = (b * T * H + h) * D, (b * S * G + h // (H // G)) * D, (b * H + h) * T
    row_M = first + tl.arange(0, BLOCK_M)
    query_M = tl.minimum(row_M, T - 1)
    begins_ptr += b * T
    q = _load(q_ptr + rows, first, T, H * D, BLOCK_M, D, P, True)
    if LOCAL:
        gates = (b * T * H + h) * (D if GATE == 2 else 1)
        g = _gate(gate_ptr + gates, first, T, GATE, H, BLOCK_M, D, P)
        local, lse_M = _attend(
            q, k2_ptr + keys, v2_ptr + keys, begins_ptr, query_M, shift, S, scale * _LOG2E, True, NEAREST, FARTHEST,
            G, D, P, BLOCK_M, BLOCK_N, PRECISION,
        )  # fmt: skip
        tl.store(lse2_ptr + statistics + row_M, lse_M, mask=row_M < T)
    if GLOBAL:
        out, lse_M = _attend(
            q, k1_ptr + keys, v1_ptr + keys, begins_ptr, query_M, shift, S, scale * _LOG2E, False, NEAREST, FARTHEST,
            G, D, P, BLOCK_M, BLOCK_N, PRECISION,
        )  # fmt: skip
        tl.store(lse1_ptr + statistics + row_M, lse_M, mask=row_M < T)
    else:
        out = _load(given_ptr + rows, first, T, H * D, BLOCK_M, D, P, True).to(tl.float32)
    if LOCAL:
        out = g * out + (1 - g) * local
    _store(out_ptr + rows, first, T, out, H * D, BLOCK_M, D, P)


@triton.jit
def _probabilities(q, k, lse_M, scale2, seen, MASKED: tl.constexpr, PRECISION: tl.constexpr):
    """exp(q·k·scale − lse) as [M, N]; a query that sees nothing has lse = −inf and is masked."""
    exponent = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale2 - lse_M[:, None] * _LOG2E
    return tl.exp2(tl.where(seen, exponent, float("-inf")) if MASKED else exponent)


@triton.jit
def _add_local_outputs(
    acc, q, lse_M, k_ptr, v_ptr, begin, end, low_M, high_M, S, scale2,
    G: tl.constexpr, D: tl.constexpr, P: tl.constexpr, BLOCK_N: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """P·V over the keys from `begin` to `end`, with known log-sum-exps."""
    for n in range(begin, end, BLOCK_N):
        k = _load(k_ptr, n, S, G * D, BLOCK_N, D, P, True)
        v = _load(v_ptr, n, S, G * D, BLOCK_N, D, P, True)
        p = _probabilities(q, k, lse_M, scale2, _seen(n, low_M, high_M, BLOCK_N), True, PRECISION)
        acc = tl.dot(p.to(v.dtype), v, acc, input_precision=PRECISION)
    return acc


@triton.jit
def _add_query_gradients(
    dq, q, do, weight, lse_M, rho_M, k_ptr, v_ptr, begin, end, low_M, high_M, S, scale2,
    G: tl.constexpr, D: tl.constexpr, P: tl.constexpr, BLOCK_N: tl.constexpr, MASKED: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """dS·K over the keys from `begin` to `end`."""
    for n in range(begin, end, BLOCK_N):
        k = _load(k_ptr, n, S, G * D, BLOCK_N, D, P, MASKED)
        v = _load(v_ptr, n, S, G * D, BLOCK_N, D, P, MASKED)
        p = _probabilities(q, k, lse_M, scale2, _seen(n, low_M, high_M, BLOCK_N), MASKED, PRECISION)
        ds = p * (weight * tl.dot(do, tl.trans(v), input_precision=PRECISION) - rho_M[:, None])
        dq = tl.dot(ds.to(k.dtype), k, dq, input_precision=PRECISION)
    return dq


@triton.jit(do_not_specialize=["length_class"])
def backward_queries(
    q_ptr, k1_ptr, v1_ptr, k2_ptr, v2_ptr, gate_ptr, out_ptr, begins_ptr, lse1_ptr, lse2_ptr, do_ptr,
    dq_ptr, dgate_ptr, dgiven_ptr, rho1_ptr, rho2_ptr,
    T, S, length_class, shift, scale, GLOBAL: tl.constexpr, LOCAL: tl.constexpr, GATE: tl.constexpr,
    NEAREST: tl.constexpr, FARTHEST: tl.constexpr, H: tl.constexpr, G: tl.constexpr, D: tl.constexpr,
    P: tl.constexpr, PRECISION: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Gradients of queries and gate, and the ρ that `backward_keys` reads. `out` is O, or O_g where that was given."""
    first = (tl.num_programs(0) - 1 - tl.program_id(0)) * BLOCK_M
    h, b = tl.program_id(1), tl.program_id(2).to(tl.int64)
    rows, keys, statistics = (b * T * H + h) * D, (b * S * G + h // (H // G)) * D, (b * H + h) * T
    row_M = first + tl.arange(0, BLOCK_M)
    query_M = tl.minimum(row_M, T - 1)
    begins_ptr += b * T
    scale2 = scale * _LOG2E
    q = _load(q_ptr + rows, first, T, H * D, BLOCK_M, D, P, True)
    do = _load(do_ptr + rows, first, T, H * D, BLOCK_M, D, P, True)
    out = _load(out_ptr + rows, first, T, H * D, BLOCK_M, D, P, True).to(tl.float32)
    dq = tl.zeros([BLOCK_M, P], tl.float32)
    if LOCAL:
        gates = (b * T * H + h) * (D if GATE == 2 else 1)
        g = _gate(gate_ptr + gates, first, T, GATE, H, BLOCK_M, D, P)
        low_M, high_M = _keys_seen(begins_ptr, query_M, shift, S, True, NEAREST, FARTHEST)
        begin, inner, outer, end = _spans(low_M, high_M, BLOCK_N)
        lse_M = tl.load(lse2_ptr + statistics + query_M)
        local = _add_local_outputs(
            dq, q, lse_M, k2_ptr + keys, v2_ptr + keys, begin, end, low_M, high_M, S, scale2,
            G, D, P, BLOCK_N, PRECISION,
        )  # fmt: skip
        if not GLOBAL:
            _store(dgiven_ptr + rows, first, T, g * do, H * D, BLOCK_M, D, P)
            out = g * out + (1 - g) * local
        rho_M = tl.sum((1 - g) * do * local, 1)
        tl.store(rho2_ptr + statistics + row_M, rho_M, mask=row_M < T)
        da = (1 - g) * do * (out - local)
        if GATE == 1:
            tl.store(dgate_ptr + gates + row_M.to(tl.int64) * H, tl.sum(da, 1), mask=row_M < T)
            weight, do_l = 1 - g, do
        else:
            _store(dgate_ptr + gates, first, T, da, H * D, BLOCK_M, D, P)
            weight, do_l = 1.0, ((1 - g) * do).to(do.dtype)
        dq = _add_query_gradients(
            dq, q, do_l, weight, lse_M, rho_M, k2_ptr + keys, v2_ptr + keys, begin, end, low_M, high_M, S, scale2,
            G, D, P, BLOCK_N, True, PRECISION,
        )  # fmt: skip
    if GLOBAL:
        low_M, high_M = _keys_seen(begins_ptr, query_M, shift, S, False, NEAREST, FARTHEST)
        begin, inner, outer, end = _spans(low_M, high_M, BLOCK_N)
        lse_M = tl.load(lse1_ptr + statistics + query_M)
        weight = 1.0
        if LOCAL:
            rho_M = tl.sum(do * out, 1) - rho_M
            if GATE == 1:
                weight = g
            else:
                do = (g * do).to(do.dtype)
        else:
            rho_M = tl.sum(do * out, 1)
        tl.store(rho1_ptr + statistics + row_M, rho_M, mask=row_M < T)
        dq = _add_query_gradients(
            dq, q, do, weight, lse_M, rho_M, k1_ptr + keys, v1_ptr + keys, begin, inner, low_M, high_M, S, scale2,
            G, D, P, BLOCK_N, True, PRECISION,
        )  # fmt: skip
        dq = _add_query_gradients(
            dq, q, do, weight, lse_M, rho_M, k1_ptr + keys, v1_ptr + keys, inner, outer, low_M, high_M, S, scale2,
            G, D, P, BLOCK_N, False, PRECISION,
        )  # fmt: skip
        dq = _add_query_gradients(
            dq, q, do, weight, lse_M, rho_M, k1_ptr + keys, v1_ptr + keys, outer, end, low_M, high_M, S, scale2,
            G, D, P, BLOCK_N, True, PRECISION,
        )  # fmt: skip
    _store(dq_ptr + rows, first, T, dq * scale, H * D, BLOCK_M, D, P)


@triton.jit
def _add_key_gradients(
    dk, dv, k, v, q_ptr, do_ptr, gate_ptr, lse_ptr, rho_ptr, begin, end, low_N, high_N, T, scale2,
    LOCAL: tl.constexpr, GATE: tl.constexpr, H: tl.constexpr, D: tl.constexpr, P: tl.constexpr,
    BLOCK_M: tl.constexpr, MASKED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """dSᵀ·Q and Pᵀ·dO over the queries from `begin` to `end` of one head; tiles are [N, M]."""
    for m in range(begin, end, BLOCK_M):
        query_M = m + tl.arange(0, BLOCK_M)
        q = _load(q_ptr, m, T, H * D, BLOCK_M, D, P, MASKED)
        do = _load(do_ptr, m, T, H * D, BLOCK_M, D, P, MASKED)
        lse_M = tl.load(lse_ptr + query_M, mask=query_M < T, other=0.0)
        rho_M = tl.load(rho_ptr + query_M, mask=query_M < T, other=0.0)
        exponent = tl.dot(k, tl.trans(q), input_precision=PRECISION) * scale2 - lse_M[None, :] * _LOG2E
        if MASKED:
            exponent = tl.where(_seen(m, low_N, high_N, BLOCK_M), exponent, float("-inf"))
        p = tl.exp2(exponent)
        weight = tl.full([1, 1], 1.0, tl.float32)
        if GATE != 0:
            g = _gate(gate_ptr, m, T, GATE, H, BLOCK_M, D, P)
            g = 1 - g if LOCAL else g
            if GATE == 1:
                weight = tl.trans(g)
            else:
                do = (g * do).to(do.dtype)
        dv = tl.dot((weight * p).to(do.dtype), do, dv, input_precision=PRECISION)
        ds = p * (weight * tl.dot(v, tl.trans(do), input_precision=PRECISION) - rho_M[None, :])
        dk = tl.dot(ds.to(q.dtype), q, dk, input_precision=PRECISION)
    return dk, dv


@triton.jit(do_not_specialize=["length_class"])
def backward_keys(
    q_ptr, k_ptr, v_ptr, gate_ptr, ends_ptr, lse_ptr, rho_ptr, do_ptr, dk_ptr, dv_ptr,
    T, S, length_class, shift, scale, LOCAL: tl.constexpr, GATE: tl.constexpr, NEAREST: tl.constexpr,
    FARTHEST: tl.constexpr, H: tl.constexpr, G: tl.constexpr, D: tl.constexpr, P: tl.constexpr,
    PRECISION: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Gradients of a block of keys and values of one part: over the heads of the group, one after the other."""
    first = tl.program_id(0) * BLOCK_N
    group, b = tl.program_id(1), tl.program_id(2).to(tl.int64)
    keys = (b * S * G + group) * D
    k = _load(k_ptr + keys, first, S, G * D, BLOCK_N, D, P, True)
    v = _load(v_ptr + keys, first, S, G * D, BLOCK_N, D, P, True)
    dk, dv = tl.zeros([BLOCK_N, P], tl.float32), tl.zeros([BLOCK_N, P], tl.float32)
    key_N = tl.minimum(first + tl.arange(0, BLOCK_N), S - 1)
    low_N, high_N = _queries_seen(ends_ptr + b * S, key_N, shift, T, LOCAL, NEAREST, FARTHEST)
    begin, inner, outer, end = _spans(low_N, high_N, BLOCK_M)
    if LOCAL:
        inner, outer = end, end
    for member in range(H // G):
        h = group * (H // G) + member
        q, do, statistics = q_ptr + (b * T * H + h) * D, do_ptr + (b * T * H + h) * D, (b * H + h) * T
        gate = gate_ptr + (b * T * H + h) * (D if GATE == 2 else 1)
        lse, rho = lse_ptr + statistics, rho_ptr + statistics
        dk, dv = _add_key_gradients(
            dk, dv, k, v, q, do, gate, lse, rho, begin, inner, low_N, high_N, T, scale * _LOG2E,
            LOCAL, GATE, H, D, P, BLOCK_M, True, PRECISION,
        )  # fmt: skip
        if not LOCAL:
            dk, dv = _add_key_gradients(
                dk, dv, k, v, q, do, gate, lse, rho, inner, outer, low_N, high_N, T, scale * _LOG2E,
                LOCAL, GATE, H, D, P, BLOCK_M, False, PRECISION,
            )  # fmt: skip
            dk, dv = _add_key_gradients(
                dk, dv, k, v, q, do, gate, lse, rho, outer, end, low_N, high_N, T, scale * _LOG2E,
                LOCAL, GATE, H, D, P, BLOCK_M, True, PRECISION,
            )  # fmt: skip
    _store(dk_ptr + keys, first, S, dk * scale, G * D, BLOCK_N, D, P)
    _store(dv_ptr + keys, first, S, dv, G * D, BLOCK_N, D, P)
