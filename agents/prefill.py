"""The images of what a decoder feeds next: features once per distinct image and weight version, positions continued after them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .images import ImageReader, Placed
from .vision import Features, image_features, rope_positions, trunk_inputs

TOWER_PATCHES = 1 << 16
"""Patches of one call of the vision tower."""
FEATURE_BYTES = 1 << 28
"""Features kept for images that come again, such as the first one of a group's episodes (256 MiB)."""


class Prefill:
    """For one vision-language ``model`` whose images ``reader`` reads. Counter: ``encoded``, images the tower has run on."""

    def __init__(self, model: Any, reader: ImageReader) -> None:
        self.model, self.reader = model, reader
        self.encoded = 0
        self._features: OrderedDict[str, Features] = OrderedDict()

    def forget(self) -> None:
        """The weights changed."""
        self._features.clear()

    def inputs(self, plain: dict[str, torch.Tensor], rows: Sequence[tuple[Sequence[Placed], int]]) -> dict[str, Any]:
        """Arguments of the language model for ``plain`` ones (``input_ids``, ``position_ids`` [B, Q]).

        ``rows``: of each row the images of its whole history and where its new tokens start.
        """
        if not any(images for images, _ in rows):
            return dict(plain)
        ids, width = plain["input_ids"], plain["input_ids"].shape[1]
        mask = torch.zeros(ids.shape, dtype=torch.bool)
        new: list[Placed] = []
        own: list[np.ndarray[Any, Any]] = []
        for row, (images, start) in enumerate(rows):
            own.append(rope_positions([p.span for p in images], start, start + width))
            for p in images:
                if p.span.start >= start:
                    mask[row, p.span.start - start : p.span.end - start] = True
                    new.append(p)
        positions = torch.from_numpy(np.stack(own, axis=1)).to(ids.device)
        if not new:
            return {"input_ids": ids, "position_ids": positions}
        parts = self._encode(new)
        deep = zip(*(f.deep for f in parts), strict=True)
        features = Features(torch.cat([f.tokens for f in parts]), tuple(torch.cat(layer) for layer in deep))
        return {**trunk_inputs(self.model, ids, mask.to(ids.device), features), "position_ids": positions}

    def _encode(self, placed: Sequence[Placed]) -> list[Features]:
        missing = {p.span.digest: p for p in placed if p.span.digest not in self._features}
        found: dict[str, Features] = {d: self._features[d] for p in placed if (d := p.span.digest) in self._features}
        for batch in _batches(list(missing.values()), self.reader):
            made = image_features(self.model, self.reader.checked(batch))
            self.encoded += len(batch)
            sizes = [p.span.end - p.span.start for p in batch]
            layers = zip(made.tokens.split(sizes), *(layer.split(sizes) for layer in made.deep), strict=True)
            for p, (tokens, *deep) in zip(batch, layers, strict=True):
                found[p.span.digest] = Features(tokens, tuple(deep))
        for digest, features in found.items():
            self._features[digest] = features
            self._features.move_to_end(digest)
        while len(self._features) > 1 and sum(map(_size, self._features.values())) > FEATURE_BYTES:
            self._features.popitem(last=False)
        return [found[p.span.digest] for p in placed]


def _size(features: Features) -> int:
    return sum(t.numel() * t.element_size() for t in (features.tokens, *features.deep))


def _batches(placed: Sequence[Placed], reader: ImageReader) -> list[list[Placed]]:
    batches: list[list[Placed]] = []
    room = 0
    for p in placed:
        patches = len(reader.pixels(p.image).values)
        if not batches or patches > room:
            batches.append([])
            room = TOWER_PATCHES
        batches[-1].append(p)
        room -= patches
    return batches
