"""Batched decoding for many live episodes, each with its own key-value cache kept between turns.

    open() -> slot;  await extend(slot, ids, ...) -> sampled ids and log-probs;  close(slot)

Every call of ``_step`` prefills what is new and decodes one token for all slots that are generating; a slot whose episode
waits for its environment costs nothing. Letters: S slots, B rows of one call, Q query tokens, L cached length, V vocabulary.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from .images import ImageReader, Placed
from .prefill import Prefill


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """Sampled ids with their natural log-probs at the sampling temperature (1 when greedy)."""

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: Literal["stop", "length"]


@dataclass(slots=True)
class _Slot:
    history: list[int] = field(default_factory=list[int])
    fed: int = 0  # how many of history's tokens are in the cache
    images: list[Placed] = field(default_factory=list[Placed])

    def key(self) -> tuple[object, ...]:
        """Equal for histories that have equal keys and values."""
        return (tuple(self.history), *(p.span for p in self.images))

    def shares(self, other: _Slot) -> int:
        """How many cached tokens are also those that ``other`` begins with; 0 where the images among them differ."""
        length = min(self.fed, len(other.history))
        if self.history[:length] != other.history[:length]:
            length = next(place for place, (a, b) in enumerate(zip(self.history, other.history, strict=False)) if a != b)
        mine, others = ([p.span for p in slot.images if p.span.start < length] for slot in (self, other))
        return length if mine == others else 0


@dataclass(slots=True, eq=False)
class _Request:
    slot: int
    uniforms: list[float]  # one per token that may be sampled, so a draw never depends on who else is in the batch
    eos_id: int
    future: asyncio.Future[Sampled]
    ids: list[int] = field(default_factory=list[int])
    logprobs: list[float] = field(default_factory=list[float])


class SlotCache:
    """Key-value store [S, heads, L, dim] per layer, written and read at the rows and positions of the current call."""

    is_compileable = False

    def __init__(self) -> None:
        self._store: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._rows = torch.empty(0, dtype=torch.long)
        self._positions = torch.empty(0, 0, dtype=torch.long)
        self._length = 0
        self._slots = 0

    def plan(self, rows: torch.Tensor, positions: torch.Tensor, length: int, slots: int) -> None:
        """Say where the next forward writes (``positions`` [B, Q] of ``rows`` [B]) and how much of the cache it reads."""
        self._rows, self._positions, self._length, self._slots = rows, positions, length, slots

    def _layer(self, index: int, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pair = self._store.get(index)
        if pair is None or pair[0].shape[0] < self._slots or pair[0].shape[2] < self._length:
            old = pair[0].shape if pair is not None else (0, 0, 0, 0)
            shape = (max(self._slots, old[0]), like.shape[1], max(-(-self._length // 64) * 64, old[2]), like.shape[3])
            grown = (like.new_zeros(shape), like.new_zeros(shape))
            if pair is not None:
                for new, previous in zip(grown, pair, strict=True):
                    new[: old[0], :, : old[2]] = previous
            pair = self._store[index] = grown
        return pair

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """transformers' hook: store keys and values [B, heads, Q, dim], return everything cached for these rows."""
        pair = self._layer(layer_idx, keys)
        rows = self._rows[:, None]
        for store, new in zip(pair, (keys, values), strict=True):
            store[rows, :, self._positions] = new.transpose(1, 2)
        whole = len(self._rows) == pair[0].shape[0]  # rows are sorted, so this is the identity: a view will do
        read = [s[:, :, : self._length] if whole else s[self._rows, :, : self._length] for s in pair]
        return read[0], read[1]

    def copy(self, source: int, targets: Sequence[int], length: int) -> None:
        """Give ``targets`` the first ``length`` positions of ``source``."""
        self._slots = max(self._slots, max(targets) + 1)
        for index, kept in tuple(self._store.items()):
            for store in self._layer(index, kept[0]):
                # Cloned: torch refuses a source that lies in the target, which it sees when the prefix fills the whole store.
                store[list(targets), :, :length] = store[source, :, :length].clone()

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return int(self._positions[0, 0]) if self._positions.numel() else 0


class Decoder:
    """Samples from ``model`` (a transformers causal LM, or a vision-language model with its ``reader``) for many slots at once.

    ``temperature`` 0 means greedy. Weights may change between calls if ``invalidate()`` is called: every cache is then
    rebuilt from the slot's token history, never reused.
    """

    def __init__(self, model: Any, *, temperature: float = 1.0, max_batch_tokens: int = 16384, reader: ImageReader | None = None) -> None:
        if temperature < 0:
            raise ValueError(f"temperature is {temperature}; it must be 0 (greedy) or positive")
        self.model = model
        self.temperature = temperature
        self.max_batch_tokens = max_batch_tokens
        self.device = next(model.parameters()).device
        self.prefilled_tokens = 0
        self.shared_tokens = 0
        self.sampled_tokens = 0
        self._trunk = model.get_decoder()
        self._head = model.get_output_embeddings()
        self._vision = None if reader is None else Prefill(model, reader)
        self._cache = SlotCache()
        self._slots: dict[int, _Slot] = {}
        self._free: list[int] = []
        self._waiting: list[_Request] = []
        self._running: list[_Request] = []
        self._driver: asyncio.Task[None] | None = None

    def open(self) -> int:
        """A new, empty slot."""
        slot = min(self._free) if self._free else len(self._slots)
        if self._free:
            self._free.remove(slot)
        self._slots[slot] = _Slot()
        return slot

    def fork(self, history: Sequence[int], images: Sequence[Placed] = (), source: int | None = None) -> int:
        """A new slot that goes on after ``history``, in which ``images`` are placed.

        Keys and values of the tokens with which the history of slot ``source`` begins too are copied from there; what is not is computed.
        """
        slot = self.open()
        state = self._slots[slot]
        state.history, state.images = list(history), list(images)
        if source is not None:
            length = self._slots[source].shares(state)
            if length:
                self._cache.copy(source, [slot], length)
                state.fed = length
                self.shared_tokens += length
        return slot

    def close(self, slot: int) -> None:
        """Give a slot back; a request still under way for it is cancelled."""
        for queue in (self._waiting, self._running):
            for request in [r for r in queue if r.slot == slot]:
                queue.remove(request)
                request.future.cancel()
        self._slots[slot] = _Slot()
        self._free.append(slot)

    def invalidate(self) -> None:
        """The weights changed: forget every cached key and value (token histories stay)."""
        for slot in self._slots.values():
            slot.fed = 0
        if self._vision is not None:
            self._vision.forget()

    def rewind(self, slot: int) -> None:
        """Empty a slot's history: the next ``extend`` brings the whole context."""
        self._slots[slot] = _Slot()

    def history(self, slot: int) -> tuple[int, ...]:
        return tuple(self._slots[slot].history)

    async def extend(
        self, slot: int, ids: Sequence[int], *, max_new_tokens: int, eos_id: int, rng: np.random.Generator, images: Sequence[Placed] = ()
    ) -> Sampled:
        """Append ``ids`` to the slot's history, then sample until ``eos_id`` or ``max_new_tokens``.

        ``images`` are placed among ``ids``; they need a decoder with a ``reader``.
        """
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {max_new_tokens}; it must be at least 1")
        if images and self._vision is None:
            raise ValueError("the context holds images, but the decoder has no reader for them; pass reader")
        state = self._slots[slot]
        state.images += [p.shifted(len(state.history)) for p in images]
        state.history.extend(ids)
        if state.fed == len(state.history):
            raise ValueError("nothing to continue from: the slot's history is empty or fully consumed; pass at least one new token")
        loop = asyncio.get_running_loop()
        request = _Request(slot=slot, uniforms=rng.random(max_new_tokens).tolist(), eos_id=eos_id, future=loop.create_future())
        self._waiting.append(request)
        if self._driver is None or self._driver.done():
            self._driver = loop.create_task(self._drive())
        return await request.future

    async def _drive(self) -> None:
        try:
            while self._waiting or self._running:
                await asyncio.sleep(0)  # let every episode that can hand in its next turn do so before the batch is formed
                self._step()
        except BaseException as error:
            for request in (*self._waiting, *self._running):
                if not request.future.done():
                    request.future.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            self._waiting.clear()
            self._running.clear()
            if not isinstance(error, Exception):
                raise

    @torch.no_grad()
    def _step(self) -> None:
        was_training = self.model.training
        self.model.eval()
        fresh = self._waiting  # stay there until they have run: whoever waits must hear of an error
        if self._running:
            self._advance(self._running)
        for batch in self._prefill_batches(fresh):
            self._advance(batch)
        self._waiting = []
        self._running = [r for r in (*self._running, *fresh) if not r.future.done()]
        self.model.train(was_training)

    def _prefill_batches(self, fresh: list[_Request]) -> list[list[_Request]]:
        """Requests in order of new length, cut so that padding and the batch stay small."""
        ordered = sorted(fresh, key=lambda r: (len(self._slots[r.slot].history) - self._slots[r.slot].fed, r.slot))
        batches: list[list[_Request]] = []
        for request in ordered:
            slot = self._slots[request.slot]
            new = len(slot.history) - slot.fed
            if batches and new * (len(batches[-1]) + 1) <= self.max_batch_tokens:
                batches[-1].append(request)
            else:
                batches.append([request])
        return batches

    def _advance(self, requests: list[_Request]) -> None:
        """Feed what each request's slot has not fed yet, sample one token each, finish those that are done."""
        leaders, followers = self._share(requests)
        logits = self._forward([r.slot for r in leaders])
        row_of = {r.slot: row for row, r in enumerate(leaders)}
        for source, slots in followers.items():
            length = self._slots[source].fed
            self._cache.copy(source, slots, length)
            for slot in slots:
                self._slots[slot].fed = length
                row_of[slot] = row_of[source]
                self.shared_tokens += length
        rows = torch.tensor([row_of[r.slot] for r in requests], device=logits.device)
        self._sample(requests, logits[rows])

    def _share(self, requests: list[_Request]) -> tuple[list[_Request], dict[int, list[int]]]:
        """Empty caches with equal histories (the prompts of a group) are computed once: the first leads, the rest copy."""
        leaders: list[_Request] = []
        first: dict[tuple[object, ...], int] = {}
        followers: dict[int, list[int]] = {}
        for request in requests:
            slot = self._slots[request.slot]
            if slot.fed == 0:
                source = first.setdefault(slot.key(), request.slot)
                if source != request.slot:
                    followers.setdefault(source, []).append(request.slot)
                    continue
            leaders.append(request)
        leaders.sort(key=lambda r: r.slot)
        return leaders, followers

    def _forward(self, slots: list[int]) -> torch.Tensor:
        """Logits [B, V] (float32) after the last history token of each slot."""
        states = [self._slots[s] for s in slots]
        counts = [len(s.history) - s.fed for s in states]
        width, length = max(counts), max(s.fed for s in states) + max(counts)
        length = max(length, max(len(s.history) for s in states))
        ids = torch.zeros(len(slots), width, dtype=torch.long)
        for row, (state, count) in enumerate(zip(states, counts, strict=True)):
            ids[row, :count] = torch.tensor(state.history[state.fed :])
        start = torch.tensor([s.fed for s in states])
        positions = start[:, None] + torch.arange(width)
        mask = torch.arange(length)[None, None, None, :] <= positions[:, None, :, None]  # [B, 1, Q, L]
        device = self.device
        rows = torch.tensor(slots, device=device)
        positions = positions.to(device)
        self._cache.plan(rows, positions, length, max(self._slots) + 1)
        inputs = {"input_ids": ids.to(device), "position_ids": positions}
        if self._vision is not None:
            inputs = self._vision.inputs(inputs, [(s.images, s.fed) for s in states])
        hidden = self._trunk(attention_mask=mask.to(device), past_key_values=self._cache, use_cache=True, **inputs).last_hidden_state
        last = torch.tensor([c - 1 for c in counts], device=device)
        logits = self._head(hidden[torch.arange(len(slots), device=device), last]).float()
        for state, count in zip(states, counts, strict=True):
            state.fed += count
        self.prefilled_tokens += sum(c for c in counts if c > 1)
        return logits

    def _sample(self, requests: list[_Request], logits: torch.Tensor) -> None:
        logprobs = torch.log_softmax(logits / (self.temperature or 1.0), dim=-1)
        if self.temperature == 0:
            chosen = logits.argmax(-1)
        else:
            # Inverse CDF in float64: one uniform per token makes a draw independent of the batch around it.
            cdf = logprobs.double().exp().cumsum(-1)
            draws = torch.tensor([r.uniforms[len(r.ids)] for r in requests], dtype=torch.float64, device=logits.device)
            chosen = torch.searchsorted(cdf, (draws * cdf[:, -1])[:, None], right=True)[:, 0].clamp_(max=logits.shape[-1] - 1)
        picked = logprobs.gather(-1, chosen[:, None])[:, 0].tolist()
        for request, token, logprob in zip(requests, chosen.tolist(), picked, strict=True):
            request.ids.append(token)
            request.logprobs.append(logprob)
            self._slots[request.slot].history.append(token)
            self.sampled_tokens += 1
            stopped = token == request.eos_id
            if (stopped or len(request.ids) == len(request.uniforms)) and not request.future.done():
                reason: Literal["stop", "length"] = "stop" if stopped else "length"
                request.future.set_result(Sampled(ids=tuple(request.ids), logprobs=tuple(request.logprobs), finish_reason=reason))
