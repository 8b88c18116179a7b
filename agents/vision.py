"""Vision-language policies: images in messages, in token histories and in front of the language model.

    messages -> VisionRenderer -> Context(ids with image tokens, images placed) -> Decoder / Sample -> trunk_inputs -> language model

What was settled, and holds from sampling to the loss:

* **Images live in the messages** of the trajectory, as encoded files. ``TokenTrace.context_ids`` holds the expanded image
  tokens and ``TokenTrace.images`` says which image (by digest) stands where and how many tokens high and wide. Nothing is
  rendered or encoded again after sampling; assembly finds the files by digest and hands each sample its placed images.
* **Pixels are made by one reader** (``images.ImageReader``) once per distinct image, for the sampler and the trainer alike.
* **An image stands where its span says**, not where an image token is found: a policy that samples ``<|image_pad|>`` or a
  page that contains it as text shows nothing and breaks nothing.
* **Positions** (M-RoPE, arXiv 2409.12191, section 2.1) follow from the spans alone: ``rope_positions``. They depend only on
  what came before, so they can be continued turn by turn in the key-value cache and shared between samples with a common prefix.
* **The vision tower runs once per distinct image** of a training pack, or of what the sampler prefills; features are gathered
  to wherever the image stands. Gradients flow into the tower unless it is frozen.
* **Common prefixes** need equal ids and equal images. The language model is run by its own class with packed attention, the
  tower by its own class with whatever attention it was loaded with; neither needs FlashAttention.
* **keep_images** forgets all but the last N images of an episode. That rewrites history, so the turn at which one is dropped
  restarts: a fork, as for a template that rewrites history.

Letters: B rows, Q tokens of a row, K image tokens, D hidden dimension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..records import ImagePart, ImageSpan, Message, Observation, TextPart
from .images import Context, ImageReader, Pixels, Placed
from .render import Renderer, TemplateError

MODEL_TYPES = ("qwen2_5_vl", "qwen3_vl")
"""Families whose placing of images and positions is the one written here (and tested against transformers' own)."""
OPTIONS = ("min_pixels", "max_pixels", "keep_images", "freeze")
FORGOTTEN = "[earlier image]"
"""Stands for an image that ``keep_images`` no longer shows."""


class VisionProcessor:
    """Tokenizer and image processor of a checkpoint; wherever a tokenizer is asked for, this may be given.

    ``min_pixels``, ``max_pixels``: images are scaled to an area between them before they are cut into patches (defaults:
    the checkpoint's); an image costs about area / (patch * merge)^2 tokens. ``keep_images``: how many of an episode's
    images stay in context, the newest; None: all.
    Raises ``ValueError`` for limits that are out of order and a tokenizer without image token.
    """

    def __init__(
        self,
        tokenizer: Any,
        image_processor: Any,
        *,
        min_pixels: int | None = None,
        max_pixels: int | None = None,
        keep_images: int | None = None,
    ) -> None:
        self.tokenizer, self.image_processor, self.keep_images = tokenizer, image_processor, keep_images
        low, high = (int(image_processor.size[edge]) for edge in ("shortest_edge", "longest_edge"))
        low, high = low if min_pixels is None else min_pixels, high if max_pixels is None else max_pixels
        if not 0 < low <= high:
            raise ValueError(f"min_pixels is {low} and max_pixels {high}; give 0 < min_pixels <= max_pixels")
        if keep_images is not None and keep_images < 1:
            raise ValueError(f"keep_images is {keep_images}; it must be at least 1, or None to keep all")
        image_processor.size = {"shortest_edge": low, "longest_edge": high}
        self.reader = ImageReader(image_processor)
        self.image_token = str(getattr(tokenizer, "image_token", None) or "<|image_pad|>")
        (ids,) = (tokenizer.encode(self.image_token, add_special_tokens=False),)
        if len(ids) != 1:
            raise ValueError(f"the tokenizer has no image token {self.image_token!r} (it becomes {len(ids)} tokens)")
        self.image_token_id = int(ids[0])

    @classmethod
    def from_pretrained(cls, name: str | Path, **options: Any) -> VisionProcessor:
        """Of a folder or a hub name. Raises ``OSError`` where there is none."""
        from transformers import AutoTokenizer, ProcessorMixin

        # Both families' own, on Pillow always: pixels must not depend on whether torchvision happens to be installed.
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

        tokenizer = AutoTokenizer.from_pretrained(name)
        image_processor = Qwen2VLImageProcessorPil.from_pretrained(name)
        own = ProcessorMixin.get_processor_dict(name)[0].get("chat_template")
        if own is not None:  # a processor's template knows images, where the tokenizer's may not
            tokenizer.chat_template = own
        return cls(tokenizer, image_processor, **options)

    def save_pretrained(self, folder: str | Path) -> None:
        """Both parts, with the pixel limits in force."""
        self.tokenizer.save_pretrained(folder)
        self.image_processor.save_pretrained(folder)


class VisionRenderer(Renderer):
    """Renders messages with images; see ``Renderer``. Raises ``images.ImageError`` for one that cannot be shown."""

    def __init__(self, processor: VisionProcessor) -> None:
        self.processor = processor
        self.reader = processor.reader
        self._guard = "\ue0f0"  # stands for the image token's text where it is only text; private use, lengthened if it is taken
        super().__init__(processor.tokenizer)

    def _content(self, message: Message) -> Any:
        if isinstance(message.content, str):
            return self._guarded(message.content)
        if not any(isinstance(part, ImagePart) for part in message.content):
            return self._guarded(message.text)
        return [
            {"type": "image"} if isinstance(part, ImagePart) else {"type": "text", "text": self._guarded(part.text)}
            for part in message.content
        ]

    def _plain(self, message: Message) -> dict[str, Any]:
        calls = tuple(replace(c, name=self._guarded(c.name), arguments=self._guarded(c.arguments)) for c in message.tool_calls)
        return super()._plain(replace(message, tool_calls=calls) if calls else message)

    def _guarded(self, text: str) -> str:
        return text.replace(self.processor.image_token, self._guard)

    def _place(self, text: str, images: Sequence[ImagePart]) -> Context:
        """Ids of a rendered text in which every image is one image token."""
        token = self.processor.image_token
        pieces = text.split(token)
        if len(pieces) != len(images) + 1:
            raise TemplateError(f"the chat template shows {len(pieces) - 1} of {len(images)} images; it has to know image parts")
        ids = list(self._encode(pieces[0].replace(self._guard, token)))
        placed: list[Placed] = []
        for image, piece in zip(images, pieces[1:], strict=True):
            span = self.reader.span(image, len(ids))
            placed.append(Placed(span, image))
            ids += [self.processor.image_token_id] * (span.end - span.start)
            ids += self._encode(piece.replace(self._guard, token))
        return Context(tuple(ids), tuple(placed))

    def _unused_guard(self, messages: Sequence[Message]) -> None:
        texts = [text for m in messages for text in (m.text, *(c.name + c.arguments for c in m.tool_calls))]
        while any(self._guard in text for text in texts):
            self._guard += "\ue0f0\ue0f1"

    def context(self, messages: Sequence[Message]) -> Context:
        shown = self.shown(messages)
        self._unused_guard(shown)
        return self._place(self._text(shown, prompt=True), _images(shown))

    def continuation(self, observation: Observation, *, ended: bool) -> Context:
        self._unused_guard(observation)
        tail = self._tail(*observation)
        return self._place(tail[len(self._eos_text) :] if ended else tail, _images(observation))

    def full(self, messages: Sequence[Message]) -> tuple[int, ...]:
        return self.context(messages).ids

    def bridge(self, observation: Observation, *, ended: bool) -> tuple[int, ...]:
        return self.continuation(observation, ended=ended).ids

    def can_append(self, history: Sequence[Message]) -> bool:
        """As ``Renderer.can_append``; False also where the newest messages push an image out of what ``keep_images`` keeps."""
        return super().can_append(history) and not self._forgets(history)

    def _forgets(self, history: Sequence[Message]) -> bool:
        keep = self.processor.keep_images
        if keep is None:
            return False
        said = [number for number, m in enumerate(history) if m.role == "assistant"]
        seen = history[: said[-1] + 1] if said else ()
        return max(0, len(_images(history)) - keep) > max(0, len(_images(seen)) - keep)

    def shown(self, messages: Sequence[Message]) -> list[Message]:
        """The messages with all but the last ``keep_images`` images replaced by ``FORGOTTEN``."""
        keep = self.processor.keep_images
        drop = 0 if keep is None else max(0, len(_images(messages)) - keep)
        out: list[Message] = []
        for message in messages:
            own = len(_images([message]))
            out.append(_without(message, min(drop, own)) if drop and own else message)
            drop = max(0, drop - own)
        return out


def _images(messages: Sequence[Message]) -> list[ImagePart]:
    return [p for m in messages if not isinstance(m.content, str) for p in m.content if isinstance(p, ImagePart)]


def _without(message: Message, count: int) -> Message:
    """The message without its first ``count`` images."""
    parts: list[TextPart | ImagePart] = []
    for part in message.content if not isinstance(message.content, str) else ():
        forgotten = isinstance(part, ImagePart) and count > 0
        count -= forgotten
        parts.append(TextPart(text=FORGOTTEN) if forgotten else part)
    return replace(message, content=tuple(parts))


def open_renderer(tokenizer: Any) -> Renderer:
    """The renderer for a tokenizer or a ``VisionProcessor``."""
    return VisionRenderer(tokenizer) if isinstance(tokenizer, VisionProcessor) else Renderer(tokenizer)


def image_reader(tokenizer: Any) -> ImageReader | None:
    """The reader of a ``VisionProcessor``; None for a tokenizer."""
    return tokenizer.reader if isinstance(tokenizer, VisionProcessor) else None


def rope_positions(spans: Sequence[ImageSpan], start: int, stop: int) -> npt.NDArray[np.int64]:
    """[3, stop - start] positions (time, height, width) of tokens ``start`` to ``stop`` of a sequence with images at ``spans``.

    Text counts on by one in all three; an image lies at one time, its tokens at their row and column, and what follows it
    goes on after its longer side (Qwen2-VL, arXiv 2409.12191, section 2.1). Equal to transformers' ``get_rope_index``.
    """
    behind = sum(s.end - s.start - max(s.height, s.width) for s in spans if s.end <= start)  # how far positions lag behind indices
    out = np.tile(np.arange(start - behind, stop - behind, dtype=np.int64), (3, 1))
    for span in spans:
        if span.end <= start or span.start >= stop:
            continue
        low, high = max(span.start, start), min(span.end, stop)
        own, first = np.arange(low, high) - span.start, span.start - behind
        out[:, low - start : high - start] = first + np.stack([np.zeros_like(own), own // span.width, own % span.width])
        behind += span.end - span.start - max(span.height, span.width)
        out[:, high - start :] = np.arange(high, stop) - behind
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Of several images one after the other: ``tokens`` [K, D] and, for DeepStack (Qwen3-VL), ``deep`` [K, D] per early layer."""

    tokens: Any
    deep: tuple[Any, ...] = ()


def image_features(model: Any, pixels: Sequence[Pixels]) -> Features:
    """What the vision tower makes of images; without gradient if the tower is frozen."""
    import torch

    tower = model.model.visual
    place = next(tower.parameters()).device
    values = torch.from_numpy(np.concatenate([p.values for p in pixels])).to(place)
    grids = torch.tensor([p.grid for p in pixels], device=place)
    trains = torch.is_grad_enabled() and any(p.requires_grad for p in tower.parameters())
    with torch.set_grad_enabled(trains):
        out = model.model.get_image_features(values, grids, return_dict=True)
    deep = getattr(out, "deepstack_features", None) or ()
    # Split by image or whole, as the version of transformers has it.
    whole = [x if isinstance(x, torch.Tensor) else torch.cat(list(x)) for x in (out.pooler_output, *deep)]
    return Features(whole[0], tuple(whole[1:]))


def trunk_inputs(model: Any, ids: Any, mask: Any, features: Features, rows: Any = None) -> dict[str, Any]:
    """Arguments for the language model in place of ``input_ids``: ``ids`` [B, Q] with images where ``mask`` [B, Q] is True.

    ``features`` in the order of the mask (row by row); ``rows`` [K]: take these rows of them instead.
    """
    tokens, deep = features.tokens, features.deep
    if rows is not None:
        tokens, deep = tokens.index_select(0, rows), tuple(layer.index_select(0, rows) for layer in deep)
    embedded = model.get_input_embeddings()(ids)
    out: dict[str, Any] = {"inputs_embeds": embedded.masked_scatter(mask[..., None], tokens.to(embedded.dtype))}
    if deep:
        out |= {"visual_pos_masks": mask, "deepstack_visual_embeds": list(deep)}
    return out


def freeze_tower(model: Any) -> None:
    """Keep the vision tower (its merger included) as it is; only the language model trains."""
    model.model.visual.requires_grad_(False)


def check_options(options: Mapping[str, Any]) -> None:
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise ValueError(f"vision has no option {', '.join(unknown)}; allowed: {', '.join(OPTIONS)}")
