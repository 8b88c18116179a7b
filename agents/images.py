"""Image files to pixels: one defined conversion, done once per distinct image, the same bits for whoever asks.

    ImagePart -> decode -> upright 8-bit RGB -> image processor of the checkpoint (Pillow, never torchvision) -> Pixels

The sampler and the trainer of a run share one ``ImageReader``, so there is one resizing and nothing to drift. What is kept
in trajectories, samples and caches is the image *file*; pixels are made from it where they are needed.
"""

from __future__ import annotations

import io
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..records import ImagePart, ImageSpan

CACHE_BYTES = 1 << 30
"""Pixels a reader keeps (1 GiB)."""


class ImageError(ValueError):
    """An image that cannot be shown to a policy; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An image and where its tokens stand."""

    span: ImageSpan
    image: ImagePart

    def shifted(self, by: int) -> Placed:
        return replace(self, span=replace(self.span, start=self.span.start + by))


@dataclass(frozen=True, slots=True)
class Context:
    """Token ids and the images among them, in order."""

    ids: tuple[int, ...]
    images: tuple[Placed, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """What the vision tower reads of one image: ``values`` [P, C] float32, one row per patch; ``grid`` (time, height, width) in patches."""

    values: npt.NDArray[np.float32]
    grid: tuple[int, int, int]


def decode_image(image: ImagePart) -> Any:
    """The image as an 8-bit RGB ``PIL.Image``.

    Palettes, grey (16-bit grey too, its upper 8 bits) and CMYK are converted, what is transparent lies on white, a turned
    photograph (EXIF) is set upright. Raises ``ImageError`` for what is damaged, empty, animated, of an unknown format or
    larger than Pillow's limit against decompression bombs (89 million pixels).
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    name = f"image {image.digest[:12]} ({image.mime}, {len(image.data)} bytes)"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = Image.open(io.BytesIO(image.data))
        frames = getattr(opened, "n_frames", 1)
        if frames > 1:
            raise ImageError(f"{name} is animated ({frames} frames); send one frame as PNG")
        opened.load()
        return _rgb(ImageOps.exif_transpose(opened))
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is no image file that can be read; send PNG, JPEG, WebP or BMP") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{name} is too large: {error}; send a smaller one") from error
    except ImageError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, OverflowError) as error:
        raise ImageError(f"{name} is damaged: {error}; send it again whole") from error


def _rgb(image: Any) -> Any:
    from PIL import Image

    if image.mode.startswith("I"):  # 16-bit grey; convert() would clip it
        grey = np.asarray(image, np.int64).clip(0, 65535) >> 8
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


@dataclass(slots=True)
class ImageReader:
    """Pixels and token counts of images for one image processor (transformers', Pillow backend).

    ``cache_bytes`` bounds the pixels that are kept; an image that was dropped is made again, bit for bit.
    Counter: ``made``, how often pixels were computed.
    """

    image_processor: Any
    cache_bytes: int = CACHE_BYTES
    made: int = 0
    _grids: dict[str, tuple[int, int, int]] = field(default_factory=lambda: dict[str, tuple[int, int, int]]())
    _cache: OrderedDict[str, Pixels] = field(default_factory=lambda: OrderedDict[str, Pixels]())
    _held: int = 0

    def pixels(self, image: ImagePart) -> Pixels:
        """Raises ``ImageError`` when the image cannot be decoded or resized."""
        digest = image.digest
        found = self._cache.get(digest)
        if found is None:
            found = self._cache[digest] = self._make(image)
            self._held += found.values.nbytes
            while self._held > self.cache_bytes and len(self._cache) > 1:
                self._held -= self._cache.popitem(last=False)[1].values.nbytes
        self._cache.move_to_end(digest)
        return found

    def span(self, image: ImagePart, start: int) -> ImageSpan:
        """The place the image takes from ``start``. Raises ``ImageError`` as ``pixels`` does."""
        digest, merge = image.digest, int(self.image_processor.merge_size)
        _, height, width = self._grids.get(digest) or self.pixels(image).grid
        return ImageSpan(digest=digest, start=start, height=height // merge, width=width // merge)

    def checked(self, placed: Sequence[Placed]) -> list[Pixels]:
        """Pixels of placed images. Raises ``ValueError`` where an image takes another number of tokens now than it did."""
        for p in placed:
            now = self.span(p.image, p.span.start)
            if now != p.span:
                raise ValueError(
                    f"image {p.span.digest[:12]} stood for {p.span.height} x {p.span.width} tokens when it was seen and is "
                    f"{now.height} x {now.width} now; train with the image processor and the pixel limits that it was sampled with"
                )
        return [self.pixels(p.image) for p in placed]

    def _make(self, image: ImagePart) -> Pixels:
        decoded = decode_image(image)
        try:
            made = self.image_processor(images=[decoded], return_tensors="np")
        except ValueError as error:
            raise ImageError(f"image {image.digest[:12]} of {decoded.width} x {decoded.height} pixels is refused: {error}") from error
        self.made += 1
        t, h, w = (int(n) for n in made["image_grid_thw"][0])
        values = np.ascontiguousarray(made["pixel_values"], np.float32)
        values.setflags(write=False)  # shared by all who ask
        self._grids[image.digest] = (t, h, w)
        return Pixels(values, (t, h, w))
