"""Sums, means and deviations over groups, and returns over episodes, on numpy arrays and torch tensors alike.

Every function loops at most over the turn position, never over turns or episodes. torch is used only if it made the input.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""A numpy array or a torch tensor."""


def is_torch(x: Array) -> bool:
    return type(x).__module__.startswith("torch")


def zeros(count: int, like: Array) -> Array:
    """``count`` zeros of the dtype and device of ``like``."""
    return like.new_zeros(count) if is_torch(like) else np.zeros(count, like.dtype)


def where(condition: Array, x: Array, y: Array | float) -> Array:
    if is_torch(x):
        import torch

        return torch.where(condition, x, y if isinstance(y, torch.Tensor) else torch.full_like(x, y))
    return np.where(condition, x, y)


def as_float(mask: Array, like: Array) -> Array:
    return mask.to(like.dtype) if is_torch(mask) else mask.astype(like.dtype)


def drop_rounding(differences: Array, of: Array) -> Array:
    """``differences`` [N] with those exactly 0 that are only the rounding of sums as large as ``of`` [N].

    Two routes to one total differ in the last bit; dividing by their deviation, or asking whether a group has any signal,
    would make that bit count.
    """
    return where(abs(differences) > 1e-12 * (1.0 + abs(of)), differences, 0.0)


def segment_sum(values: Array, ids: Array, count: int) -> Array:
    """[count] sums of ``values`` [N] by ``ids`` [N] in 0..count-1."""
    if is_torch(values):
        return values.new_zeros(count).index_add_(0, ids, values)
    return np.bincount(ids, weights=values, minlength=count)


def segment_max(values: Array, ids: Array, count: int, start: float = 0) -> Array:
    """[count] maxima of ``values`` [N] by ``ids``, at least ``start``, which an empty segment has."""
    if is_torch(values):
        return values.new_full((count,), start).scatter_reduce_(0, ids, values, "amax")
    out = np.full(count, start, values.dtype)
    np.maximum.at(out, ids, values)
    return out


def segment_rank(values: Array, ids: Array, count: int, member: Array) -> Array:
    """[N] how many members (``member`` [N]) of its segment have a smaller value; equal values have equal ranks."""
    counts = as_float(member, values)
    order = stable_order(ids, values)
    group, ordered, counted = ids[order], values[order], counts[order].cumsum(0) - counts[order]
    fresh = group == group
    fresh[1:] = (group[1:] != group[:-1]) | (ordered[1:] != ordered[:-1])
    block = fresh.cumsum(0) - 1
    first = segment_max(where(fresh, counted, 0.0), block, max(1, len(block)))
    before = zeros(count + 1, counts)
    before[1:] = segment_sum(counts, ids, count).cumsum(0)
    rank = zeros(len(values), counts)
    rank[order] = first[block] - before[group]
    return rank


def standardize(
    values: Array,
    ids: Array,
    count: int,
    member: Array,
    *,
    weights: Array | None = None,
    std: bool,
    ddof: int,
    eps: float,
    floor: float = 0.0,
    inner_eps: float = 0.0,
    singleton: str = "zero",
) -> Array:
    """(x - mean) / (max(sqrt(var + inner_eps), floor) + eps) of [N] values within their pool; pools are the segments.

    ``member`` [N]: who enters the statistics (everybody gets a value). ``weights`` [N] count a value several times.
    ``std=False`` only centres. A pool with fewer than two members gives 0 ("zero") or the value itself ("raw").
    Equal values give exactly 0. Raises ``ValueError`` for another ``singleton``.
    """
    if singleton not in ("zero", "raw"):
        raise ValueError(f"singleton is {singleton!r}; allowed: zero, raw")
    inside = as_float(member, values)
    share = inside if weights is None else inside * as_float(weights, values)
    size = segment_sum(share, ids, count)
    people = segment_sum(inside, ids, count)
    safe = where(size > 0, size, 1.0)
    mean = segment_sum(values * share, ids, count) / safe
    centred = drop_rounding(values - mean[ids], values)
    out = centred
    if std:
        degrees = where(size > ddof, size - ddof, 1.0)
        variance = segment_sum(centred * centred * share, ids, count) / degrees
        deviation = (variance + inner_eps) ** 0.5
        deviation = where(deviation > floor, deviation, floor)
        out = centred / (deviation + eps)[ids] if eps or floor or inner_eps else centred / where(deviation > 0, deviation, 1.0)[ids]
    return where((people > 1)[ids], out, values if singleton == "raw" else 0.0)


def returns_to_go(rewards: Array, offsets: Array, gamma: float) -> Array:
    """[T] discounted returns R_t = r_t + gamma R_{t+1} within each episode."""
    lengths = offsets[1:] - offsets[:-1]
    out = rewards.clone() if is_torch(rewards) else rewards.copy()
    if not len(lengths):
        return out
    order = (-lengths).argsort()
    starts = offsets[:-1][order]
    # reach[p]: how many episodes have a turn p + 1, longest episodes first
    longest = int(lengths.max())
    counts = segment_sum(as_float(lengths >= 0, rewards), lengths, longest + 1)
    tail = counts.flip(0).cumsum(0).flip(0) if is_torch(counts) else counts[::-1].cumsum()[::-1]
    reach = [int(n) for n in tail.tolist()]
    for position in range(longest - 2, -1, -1):
        here = starts[: reach[position + 2]] + position
        out[here] += gamma * out[here + 1]
    return out


def gae(rewards: Array, values: Array, offsets: Array, gamma: float, lam: float) -> Array:
    """[T] generalised advantages A_t = d_t + gamma lam A_{t+1}, d_t = r_t + gamma V_{t+1} - V_t, within each episode; V is 0 after its end.

    Source: Schulman et al., arXiv 1506.02438. Steps may be turns or action tokens: what lies between them is no step and is skipped.
    """
    later = zeros(len(values), values)
    later[:-1] = values[1:]
    nonempty = offsets[1:] > offsets[:-1]
    later[offsets[1:][nonempty] - 1] = 0.0
    return returns_to_go(rewards + gamma * later - values, offsets, gamma * lam)


def stable_order(*keys: Array) -> Array:
    """Indices that sort by the first key, then the second, and so on; equal ones stay in order."""
    order = numbers(keys[0])
    for key in reversed(keys):
        given = key[order]
        order = order[given.argsort(stable=True) if is_torch(given) else given.argsort(kind="stable")]
    return order


def exp(x: Array) -> Array:
    return x.exp() if is_torch(x) else np.exp(x)


def repeat(values: Array, counts: Array) -> Array:
    """[sum of counts] every one of ``values`` [N] as often as ``counts`` [N] says."""
    return values.repeat_interleave(counts) if is_torch(values) else np.repeat(values, counts)


def boundaries(counts: Array) -> Array:
    """[N+1] where each of segments of ``counts`` [N] entries begins, and where the last one ends."""
    out = zeros(len(counts) + 1, counts)
    out[1:] = counts.cumsum(0)
    return out


def relabel(values: Array) -> tuple[Array, int]:
    """Equal ``values`` [N] as equal numbers from 0, and how many there are."""
    found, labels = values.unique(return_inverse=True) if is_torch(values) else np.unique(values, return_inverse=True)
    return labels, len(found)


def numbers(like: Array) -> Array:
    """0 .. N-1 for [N]."""
    if is_torch(like):
        import torch

        return torch.arange(len(like), device=like.device)
    return np.arange(len(like))
