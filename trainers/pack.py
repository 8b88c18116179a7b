"""Samples to packs: no padding, and prefixes that samples share are computed once.

    [Sample] -> sort -> trie of shared prefixes, cut at the token budget -> Pack -> packed_attention inside the model

A pack is one sequence of N different tokens. Only attention sees whole samples: it gathers each sample's tokens into a row
[B, W], attends causally and scatters back; every other layer works on the N tokens. Sharing costs nothing in exactness:
the gradient of a shared token is the sum over the rows it occurs in. A prefix is shared where ids and images are equal.

Letters: B samples, W tokens of the longest, N packed tokens, M trained tokens, K image tokens, H heads, D dimension.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..agents.images import Placed
from ..agents.vision import rope_positions
from .assemble import Sample

IMPLEMENTATION = "turnwise_packed"


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Which packed token stands where. ``rows`` [B*W] packed index of every row position (0 where a row is padded);
    ``owner`` [N] the row position whose output a packed token takes."""

    rows: torch.Tensor
    owner: torch.Tensor
    shape: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class PackedImages:
    """``distinct``: the images of a pack, each once; ``mask`` [1, N] where an image token stands; ``rows`` [K] which row it
    takes of the features of all distinct images, one after the other."""

    distinct: tuple[Placed, ...]
    mask: torch.Tensor
    rows: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """One forward pass. ``ids`` [1, N], ``positions`` [1, N] ([3, 1, N] with images); the rest [M], one entry per trained token.

    ``before``: packed index of the token whose hidden state predicts; ``target``: the id it should predict.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    layout: Layout
    before: torch.Tensor
    target: torch.Tensor
    advantage: torch.Tensor
    logprobs: torch.Tensor
    weight: torch.Tensor
    turn: torch.Tensor
    """Turns, numbered through the pack."""
    sample: torch.Tensor
    """Samples, numbered through the pack."""
    given: torch.Tensor
    """[B] which of the samples that were packed each of this pack's samples is."""
    tokens: int
    """Tokens of the samples; N is smaller by what is shared."""
    images: PackedImages | None = None


def pack(samples: Sequence[Sample], token_budget: int, *, share: bool = True, device: Any = "cpu") -> Iterator[Pack]:
    """Packs of at most ``token_budget`` packed tokens (a longer sample gets a pack of its own).

    ``share=False`` repeats shared prefixes (same result; for tests and comparison).
    """
    places = range(len(samples))
    order = sorted(places, key=lambda n: _key(samples[n]).tolist()) if share else sorted(places, key=lambda n: len(samples[n].ids))
    batch: list[tuple[Sample, int]] = []  # sample, tokens shared with the one before it
    used = begun = 0
    for number, place in enumerate(order):
        sample = samples[place]
        shared = _common(batch[-1][0], sample) if batch and share else 0
        if batch and used + len(sample.ids) - shared > token_budget:
            yield _build(batch, order[begun:number], device)
            batch, used, shared, begun = [], 0, 0, number
        batch.append((sample, shared))
        used += len(sample.ids) - shared
    if batch:
        yield _build(batch, order[begun:], device)


def _key(sample: Sample) -> np.ndarray[Any, Any]:
    """The ids, with a number of the image itself (60 bits of its digest, negative) in place of its tokens."""
    if not sample.images:
        return sample.ids
    key = sample.ids.copy()
    for p in sample.images:
        key[p.span.start : p.span.end] = -1 - int(p.span.digest[:15], 16)
    return key


def _common(a: Sample, b: Sample) -> int:
    """Length of the common prefix."""
    length = min(len(a.ids), len(b.ids))
    differ = np.flatnonzero(_key(a)[:length] != _key(b)[:length])
    return int(differ[0]) if len(differ) else length


def _turns(samples: Sequence[Sample]) -> list[np.ndarray[Any, Any]]:
    """For each sample the numbers of its trained tokens' turns, going on where the sample before stopped."""
    numbers, begun = list[np.ndarray[Any, Any]](), 0
    for sample in samples:
        own = np.zeros(int(sample.action.sum()), np.int64) if sample.turn is None else sample.turn[sample.action]
        numbers.append(own + begun)
        begun += int(own.max(initial=-1)) + 1
    return numbers


def _build(batch: list[tuple[Sample, int]], given: list[int], device: Any) -> Pack:
    width = max(len(s.ids) for s, _ in batch)
    rows = np.zeros((len(batch), width), np.int64)
    ids, positions, owner, before = [], [], [], []
    placed: list[Placed] = []
    spatial = any(s.images for s, _ in batch)
    count = 0
    for row, (sample, shared) in enumerate(batch):
        length = len(sample.ids)
        fresh = length - shared
        rows[row, :shared] = rows[row - 1, :shared]
        rows[row, shared:length] = np.arange(count, count + fresh)
        count += fresh
        ids.append(sample.ids[shared:])
        fresh_at = np.arange(shared, length)
        positions.append(rope_positions([p.span for p in sample.images], shared, length) if spatial else fresh_at)
        placed += [p.shifted(count - length) for p in sample.images if p.span.start >= shared]
        owner.append(row * width + fresh_at)
        before.append(rows[row, np.flatnonzero(sample.action) - 1])
    trained = [s.action for s, _ in batch]

    def values(name: str) -> torch.Tensor:
        parts = [getattr(s, name)[mask] for (s, _), mask in zip(batch, trained, strict=True)]
        return torch.from_numpy(np.concatenate(parts)).to(device)

    def tensor(parts: list[np.ndarray[Any, Any]]) -> torch.Tensor:
        return torch.from_numpy(np.concatenate(parts, -1)).to(device)

    return Pack(
        ids=tensor(ids)[None],
        positions=tensor(positions)[:, None] if spatial else tensor(positions)[None],
        layout=Layout(torch.from_numpy(rows.reshape(-1)).to(device), tensor(owner), (len(batch), width)),
        before=tensor(before),
        target=values("ids"),
        advantage=values("advantage"),
        logprobs=values("logprobs"),
        weight=values("weight"),
        turn=tensor(_turns([s for s, _ in batch])),
        sample=tensor([np.full(int(mask.sum()), row) for row, mask in enumerate(trained)]),
        given=torch.tensor(given, device=device),
        tokens=sum(len(s.ids) for s, _ in batch),
        images=_images(placed, count, device) if placed else None,
    )


def _images(placed: list[Placed], count: int, device: Any) -> PackedImages:
    """``placed`` by packed index, in order; ``count`` is N."""
    mask, rows = np.zeros((1, count), np.bool_), list[np.ndarray[Any, Any]]()
    first: dict[str, int] = {}
    distinct: list[Placed] = []
    held = 0
    for p in placed:
        size = p.span.end - p.span.start
        if p.span.digest not in first:
            first[p.span.digest] = held
            distinct.append(p)
            held += size
        mask[0, p.span.start : p.span.end] = True
        rows.append(first[p.span.digest] + np.arange(size))
    return PackedImages(tuple(distinct), torch.from_numpy(mask).to(device), torch.from_numpy(np.concatenate(rows)).to(device))


def packed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    layout: Layout | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each sample of a pack, [1, H, N, D] -> [1, N, H, D]; without a layout, transformers' own.

    Padded row ends come after every real token of their row, so a causal mask is all that is needed and the fused
    kernels apply.
    """
    if layout is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs)
    b, w = layout.shape
    q, k, v = (_spread(x, layout.rows).view(b, w, x.shape[1], x.shape[3]).transpose(1, 2) for x in (query, key, value))
    out = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, dropout_p=dropout, is_causal=True, scale=scaling, enable_gqa=q.shape[1] != k.shape[1]
    )
    flat = out.transpose(1, 2).reshape(b * w, -1)
    return flat.index_select(0, layout.owner).view(1, -1, query.shape[1], value.shape[3]), None


def _spread(x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """[1, H, N, D] -> [B*W, H*D]."""
    return x[0].transpose(0, 1).flatten(1).index_select(0, rows)


def use_packed_attention(model: Any) -> None:
    """Let ``model`` (a transformers causal LM, or the language model of a vision-language one) run packs.

    Calls without a layout behave as with "sdpa"; a vision tower keeps the attention it has.

    Raises ``ValueError`` for sliding-window layers, which packs do not model.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    text = model.config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"}:
        raise ValueError(f"the model has layers of type {sorted(kinds)}; only full_attention can be trained here")
    AttentionInterface.register(IMPLEMENTATION, packed_attention)
    AttentionMaskInterface.register(IMPLEMENTATION, sdpa_mask)
    model.set_attn_implementation(IMPLEMENTATION if text is model.config else {"text_config": IMPLEMENTATION})
