"""A pack through the model: hidden states of packed tokens, images included.

Pack -> (vision tower, once per distinct image) -> language model with packed attention -> [N, D]
"""

from __future__ import annotations

from typing import Any

import torch

from ..agents.images import ImageReader
from ..agents.vision import image_features, trunk_inputs
from .pack import Pack


def hidden_states(base: Any, one: Pack, reader: ImageReader | None = None) -> torch.Tensor:
    """[N, D] last hidden states of ``one`` under ``base``, a transformers model prepared by ``use_packed_attention``.

    ``reader`` reads the pack's images; ``ValueError`` if it has some and there is no reader.
    """
    # A 4-d mask is passed through untouched by every transformers model: packed attention needs none, and none is built.
    mask = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=one.ids.device)
    inputs: dict[str, Any] = {"input_ids": one.ids}
    if one.images is not None:
        if reader is None:
            raise ValueError("the samples hold images, but nothing was given to read them with; pass images=image_reader(processor)")
        features = image_features(base, reader.checked(one.images.distinct))
        inputs = trunk_inputs(base, one.ids, one.images.mask, features, one.images.rows)
    trunk = base.get_decoder()
    return trunk(position_ids=one.positions, attention_mask=mask, use_cache=False, layout=one.layout, **inputs).last_hidden_state[0]
