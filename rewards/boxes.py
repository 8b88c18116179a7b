"""Points and boxes on a screen.

iou([0, 0, 10, 10], [5, 0, 15, 10])  # 0.333...

A box is (x1, y1, x2, y2) in pixels, x to the right and y down, half-open: it covers the pixels x1 <= x < x2, y1 <= y < y2, so that its
size is x2 - x1 by y2 - y1. ``hit`` alone counts all four edges as inside, as the benchmarks do. Boxes as shares of the image (0..1) work
wherever no size in pixels is named. Every function takes inverted boxes (x2 < x1) for the same box with its corners put in order, and
raises ``ValueError`` for what is not 4 (or 2) numbers of at most ``LIMIT``, NaN and infinities included.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import TypeAlias, cast

Point: TypeAlias = tuple[float, float]
Box: TypeAlias = tuple[float, float, float, float]

LIMIT = 1e9
"""The largest coordinate, either way: no screen is larger, and products of four such numbers are still finite."""


def is_coordinates(values: Sequence[object], count: int) -> bool:
    """Whether these are ``count`` finite numbers within ``LIMIT``. Never raises; for what an agent wrote."""
    if len(values) != count or any(isinstance(v, bool) or not isinstance(v, Real) for v in values):
        return False
    return all(-LIMIT <= v <= LIMIT for v in cast("Sequence[float]", values))  # false for NaN


def as_point(values: Sequence[float]) -> Point:
    """(x, y) as floats."""
    if not is_coordinates(values, 2):
        raise ValueError(f"{_seen(values)} is no point; give (x, y), two finite numbers of at most {LIMIT:g}")
    return (float(values[0]), float(values[1]))


def normalised(box: Sequence[float]) -> Box:
    """The box with x1 <= x2 and y1 <= y2."""
    if not is_coordinates(box, 4):
        raise ValueError(f"{_seen(box)} is no box; give (x1, y1, x2, y2), four finite numbers of at most {LIMIT:g}")
    x1, y1, x2, y2 = map(float, box)
    return (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))


def from_xywh(box: Sequence[float]) -> Box:
    """From (left, top, width, height), which ScreenSpot's first version and v2 use. A negative size inverts, see ``normalised``."""
    if not is_coordinates(box, 4):
        raise ValueError(f"{_seen(box)} is no box; give (x, y, width, height), four finite numbers of at most {LIMIT:g}")
    x, y, width, height = map(float, box)
    return normalised((x, y, x + width, y + height))


def around(point: Sequence[float], side: float = 50.0) -> Box:
    """The square of this side (>= 0) in pixels with the point at its centre, as far as coordinates go."""
    x, y = as_point(point)
    if not 0.0 <= side <= LIMIT:
        raise ValueError(f"side is {side}; it is a length in pixels, at least 0")
    half = side / 2
    return (max(x - half, -LIMIT), max(y - half, -LIMIT), min(x + half, LIMIT), min(y + half, LIMIT))


def size(box: Sequence[float], least: float = 1.0) -> tuple[float, float]:
    """(width, height), each at least ``least``: a point or a line counts as one pixel wide. ``least`` is from 1e-9 to ``LIMIT``."""
    x1, y1, x2, y2 = normalised(box)
    if not 1e-9 <= least <= LIMIT:
        raise ValueError(f"the least size is {least}; it must be from 1e-9 to {LIMIT:g}")
    return (max(least, x2 - x1), max(least, y2 - y1))


def clipped(box: Sequence[float], width: float, height: float) -> Box:
    """The part of the box that lies in an image of this size (> 0); a box beside it becomes one without area on the image's edge."""
    x1, y1, x2, y2 = normalised(box)
    check_size(width, height)
    return (min(max(x1, 0.0), width), min(max(y1, 0.0), height), min(max(x2, 0.0), width), min(max(y2, 0.0), height))


def centre(box: Sequence[float]) -> Point:
    """The middle of the box."""
    x1, y1, x2, y2 = normalised(box)
    return ((x1 + x2) / 2, (y1 + y2) / 2)


def area(box: Sequence[float]) -> float:
    """Square pixels; 0 for a point or a line."""
    x1, y1, x2, y2 = normalised(box)
    return (x2 - x1) * (y2 - y1)


def hit(point: Sequence[float], box: Sequence[float]) -> bool:
    """Whether the point lies in the box or on any of its edges."""
    x, y = as_point(point)
    x1, y1, x2, y2 = normalised(box)
    return x1 <= x <= x2 and y1 <= y <= y2


def iou(a: Sequence[float], b: Sequence[float], *, above: float = 0.0) -> float:
    """Intersection over union, in 0..1. Two boxes without area have 0, also if they are equal.

    ``above``: an overlap that is no wider or no higher than this many pixels counts as none. 1.0 is what an intersection of inclusive
    pixel corners comes to, see ``gui_g1``.
    """
    ax1, ay1, ax2, ay2 = normalised(a)
    bx1, by1, bx2, by2 = normalised(b)
    width, height = min(ax2, bx2) - max(ax1, bx1), min(ay2, by2) - max(ay1, by1)
    if width <= above or height <= above:
        return 0.0
    inter = width * height
    union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - inter
    return min(1.0, inter / union) if union > 0.0 else 0.0


def check_size(width: float, height: float) -> None:
    """Raise ``ValueError`` unless both are above 0 and at most ``LIMIT``."""
    if not (0.0 < width <= LIMIT and 0.0 < height <= LIMIT):
        raise ValueError(f"the image is {width} by {height}; both sides must be above 0 and at most {LIMIT:g}")


def _seen(values: object) -> str:
    return repr(values)[:80]
