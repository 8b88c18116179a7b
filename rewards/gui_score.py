"""Where a model's coordinates lie on the screen, and how ScreenSpot, v2 and Pro count.

to_pixels((960, 540), 1920, 1080, "resized")  # (954.03..., 534.06...)
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, get_args

from .boxes import Point, as_point, centre, check_size, hit, is_coordinates

Space: TypeAlias = Literal["pixels", "share", "thousandths", "resized"]
"""How a model counts: pixels of the screenshot; 0..1; 0..1000 (UI-TARS 1, Qwen3-VL); pixels of the image as ``smart_resize`` shows it to
the model (UI-TARS 1.5, Qwen2.5-VL)."""
Verdict: TypeAlias = Literal["correct", "wrong", "wrong_format"]

ASPECT = 200.0
"""The longest image that ``smart_resize`` takes: its long side over its short one."""
LEAST_PIXELS, MOST_PIXELS = 100 * 28**2, 16384 * 28**2
"""Areas that ``smart_resize`` keeps within by default."""


def smart_resize(
    height: int, width: int, *, factor: int = 28, least_pixels: int = LEAST_PIXELS, most_pixels: int = MOST_PIXELS
) -> tuple[int, int]:
    """(height, width) in which Qwen2.5-VL and UI-TARS 1.5 see an image: multiples of ``factor`` within these areas, near its aspect.

    Both sides are rounded to multiples (halves to the even one); an area above ``most_pixels`` is scaled down and cut to multiples, one
    below ``least_pixels`` scaled up and filled to multiples. Raises ``ValueError`` for a side below 1, an aspect above 200, a factor
    below 1 or areas out of order.
    """
    if height < 1 or width < 1 or max(height, width) / min(height, width) > ASPECT:
        raise ValueError(f"the image is {width} by {height}; sides are at least 1 and one at most {ASPECT:g} times the other")
    if factor < 1 or not 0 < least_pixels <= most_pixels:
        raise ValueError(f"factor {factor}, areas from {least_pixels} to {most_pixels}; needed: factor >= 1 and 0 < least <= most")
    high, wide = (max(factor, round(side / factor) * factor) for side in (height, width))
    if high * wide > most_pixels:
        scale = math.sqrt(height * width / most_pixels)
        high, wide = (max(factor, math.floor(side / scale / factor) * factor) for side in (height, width))
    elif high * wide < least_pixels:
        scale = math.sqrt(least_pixels / (height * width))
        high, wide = (math.ceil(side * scale / factor) * factor for side in (height, width))
    return high, wide


def to_pixels(point: Sequence[float], width: int, height: int, space: Space | tuple[float, float]) -> Point:
    """A model's point in pixels of the screenshot, which is ``width`` by ``height``. Not rounded, and not cut to the screen.

    ``space``: a name, or (width, height) of the image as the model saw it, for a processor with limits other than ``smart_resize``'s.
    """
    x, y = as_point(point)
    across, down = _extent(width, height, space)
    return (x / across * width, y / down * height)


def from_pixels(point: Sequence[float], width: int, height: int, space: Space | tuple[float, float]) -> Point:
    """A point of the screenshot as the model would write it; the inverse of ``to_pixels``. Not rounded."""
    x, y = as_point(point)
    across, down = _extent(width, height, space)
    return (x / width * across, y / height * down)


def _extent(width: int, height: int, space: Space | tuple[float, float]) -> tuple[float, float]:
    check_size(width, height)
    if not isinstance(space, str):
        check_size(*space)
        return space
    if space == "resized":
        high, wide = smart_resize(height, width)
        return float(wide), float(high)
    known: Mapping[str, tuple[float, float]] = {"pixels": (width, height), "share": (1.0, 1.0), "thousandths": (1000.0, 1000.0)}
    if space not in known:
        raise ValueError(f"coordinates are {space!r}; allowed: {', '.join(get_args(Space))}")
    return known[space]


def click_point(numbers: Sequence[float] | None) -> Point | None:
    """Where an answer points: 2 numbers, or the centre of a box of 4; None for anything else, NaN and infinities included."""
    if numbers is None:
        return None
    return as_point(numbers) if is_coordinates(numbers, 2) else centre(numbers) if is_coordinates(numbers, 4) else None


def screenspot(answer: Sequence[float] | Literal["negative"] | None, target: Sequence[float] | None) -> Verdict:
    """The verdict on one sample of ScreenSpot, v2 or Pro: the point, or the centre of the box, lies in the target, edges included.

    ``answer``: 2 or 4 numbers in the target's units; "negative": the model says that the element is not there; None (and anything else):
    "wrong_format", which counts as wrong. ``target``: (x1, y1, x2, y2), or None for a negative sample, where only "negative" is correct.
    v1 and v2 store (x, y, width, height): see ``from_xywh``. Raises ``ValueError`` for a target that is no box.
    """
    if target is not None:
        centre(target)
    if isinstance(answer, str):
        return "wrong_format" if answer != "negative" else "correct" if target is None else "wrong"
    point = click_point(answer)
    if point is None:
        return "wrong_format"
    return "correct" if target is not None and hit(point, target) else "wrong"


def screenspot_accuracy(
    verdicts: Sequence[Verdict], ui_types: Sequence[str], groups: Sequence[str] | None = None
) -> dict[str, dict[str, float]]:
    """ScreenSpot-Pro's table: for "all" and each group "action_acc", "TYPE_acc" of each ui type ("text", "icon"), "wrong_format", "count".

    Accuracies are shares of all samples of that kind, with those of a wrong format; "wrong_format" is a share too. A type that a group
    does not have is not listed. ``ui_types``, ``groups``: one per verdict; raises ``ValueError`` for other lengths and for a group "all".
    """
    names = list(groups) if groups is not None else []
    if "all" in names:
        raise ValueError("a group is called 'all', which stands for the whole table; rename it")
    if len(ui_types) != len(verdicts) or (groups is not None and len(names) != len(verdicts)):
        raise ValueError(f"{len(verdicts)} verdicts, {len(ui_types)} ui types, {len(names)} groups; give one of each per sample")
    rows: dict[str, list[int]] = defaultdict(list)
    rows["all"] = list(range(len(verdicts)))
    for place, name in enumerate(names):
        rows[name].append(place)
    table: dict[str, dict[str, float]] = {}
    for name, places in rows.items():
        right = Counter(ui_types[p] for p in places if verdicts[p] == "correct")
        seen = Counter(ui_types[p] for p in places)
        count = max(1, len(places))
        table[name] = {
            "action_acc": right.total() / count,
            **{f"{kind}_acc": right[kind] / seen[kind] for kind in sorted(seen)},
            "wrong_format": sum(verdicts[p] == "wrong_format" for p in places) / count,
            "count": float(len(places)),
        }
    return table
