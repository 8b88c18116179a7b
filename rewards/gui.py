"""Rewards of pointing at things on a screen, and of single actions: GUI-G2, GUI-G1, distance, Mobile-R1.

gui_g2([110, 52, 150, 68], [100, 50, 140, 70])  # 1.839837

Boxes are (x1, y1, x2, y2) in pixels, see ``rewards/boxes.py``, which also has ``hit`` and ``iou``. All functions raise ``ValueError`` for
coordinates that are not finite numbers; what an agent wrote is read by ``parse_box``, which never does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, cast

from ..records import canonical_json
from .boxes import LIMIT, Box, as_point, centre, check_size, hit, iou, is_coordinates, normalised, size
from .tools import Call

Overlap: TypeAlias = Literal["inclusive", "plain"]

_NUMBER = r"\s*(-?[0-9]+(?:\.[0-9]+)?)\s*"
_BOX = re.compile(r"\[" + ",".join([_NUMBER] * 4) + r"\]")
_INTEGERS = re.compile(r"\[" + ",".join([r"\s*[0-9]+\s*"] * 4) + r"\]")
_TAGS = ("think", "action", "tool_call")
_MOBILE_R1 = re.compile(r"\s*<think>(.*?)</think>\s*<action>(.*?)</action>\s*<tool_call>(.*?)</tool_call>\s*", re.DOTALL)


# ---- boxes -----------------------------------------------------------------------------------------------------------------------------


def parse_box(text: str) -> Box | None:
    """The first ``[x1, y1, x2, y2]`` in a text, its corners put in order; None without one, or with coordinates beyond ``LIMIT``."""
    match = _BOX.search(text)
    values = [float(group) for group in match.groups()] if match else []
    return normalised(values) if is_coordinates(values, 4) else None


def box_format(text: str) -> float:
    """GUI-G2's format reward: 1 if the whole text is ``[x1, y1, x2, y2]`` in whole numbers, else 0."""
    return float(_INTEGERS.fullmatch(text) is not None)


def gui_g2_point(predicted: Sequence[float], target: Sequence[float], *, alpha: float = 0.5, least: float = 1.0) -> float:
    """R_p of GUI-G2 (arXiv 2507.15846): how near the centres are, in 0..1; 1 where they are equal.

    exp(-1/2 [(dx / sigma_x)^2 + (dy / sigma_y)^2]) with sigma = alpha times the target's width and height. Sizes below ``least`` pixels
    count as ``least``, so that a target without area is one pixel and no division by 0. Not rounded, unlike the paper's code.
    """
    _check_scale(alpha)
    px, py = centre(predicted)
    (tx, ty), (width, height) = centre(target), size(target, least)
    u, v = (px - tx) / (alpha * width), (py - ty) / (alpha * height)
    return math.exp(-0.5 * (u * u + v * v))


def gui_g2_coverage(predicted: Sequence[float], target: Sequence[float], *, alpha: float = 0.5, least: float = 1.0) -> float:
    """R_c of GUI-G2 (arXiv 2507.15846): the Bhattacharyya coefficient of the boxes as Gaussians, in 0..1, symmetric; 1 for equal boxes.

    Sigma = diag(alpha^2 width^2, alpha^2 height^2); D = 1/8 d' S^-1 d + 1/2 ln(det S / sqrt(det S_p det S_t)), S = (S_p + S_t) / 2;
    R_c = exp(-D). Computed as the equal product over both axes of sqrt(2 w_p w_t / (w_p^2 + w_t^2)) exp(-d^2 / (4 alpha^2 (w_p^2 +
    w_t^2))), which needs none of the code's small constants. ``least`` as in ``gui_g2_point``, for both boxes.
    """
    _check_scale(alpha)
    value = 1.0
    axes = zip(centre(predicted), centre(target), size(predicted, least), size(target, least), strict=True)
    for p, t, size_p, size_t in axes:
        d = (p - t) / (alpha * math.hypot(size_p, size_t))
        value *= math.sqrt(2.0 / (size_p / size_t + size_t / size_p)) * math.exp(-0.25 * d * d)
    return min(1.0, value)


def gui_g2(
    predicted: Sequence[float],
    target: Sequence[float],
    *,
    alpha: float = 0.5,
    nu: float = 1.0,
    gamma: float = 1.0,
    least: float = 1.0,
) -> float:
    """GUI-G2 (arXiv 2507.15846): nu R_p + gamma R_c, in 0..nu + gamma. Raises ``ValueError`` for a weight that is not finite."""
    if not (math.isfinite(nu) and math.isfinite(gamma)):
        raise ValueError(f"nu is {nu} and gamma {gamma}; weights must be finite")
    point = gui_g2_point(predicted, target, alpha=alpha, least=least)
    return nu * point + gamma * gui_g2_coverage(predicted, target, alpha=alpha, least=least)


def edge_agreement(predicted: Sequence[float], target: Sequence[float], width: float, height: float) -> float:
    """R_box of GUI-G1 (arXiv 2505.15810): harmonic mean of 1 - |edge distance| / image side over the four edges, in 0..1.

    0 as soon as one edge is off by the image's whole side or more (there the paper's code divides by 0, or averages negative numbers).
    """
    check_size(width, height)
    sides = (width, height, width, height)
    near = [1.0 - abs(p - t) / side for p, t, side in zip(normalised(predicted), normalised(target), sides, strict=True)]
    return 4.0 / sum(1.0 / d for d in near) if min(near) > 0.0 else 0.0


def gui_g1(
    predicted: Sequence[float],
    target: Sequence[float],
    width: float,
    height: float,
    *,
    overlap: Overlap = "inclusive",
    iou_weight: float = 0.25,
    box_weight: float = 0.125,
) -> float:
    """GUI-G1 (arXiv 2505.15810): R_hit + 0.25 IoU + 0.125 R_box, in 0..1.375 with the paper's weights.

    ``width``, ``height``: of the image. R_hit: the centre of the predicted box lies in the target. R_box: ``edge_agreement``.
    ``overlap``: "inclusive", as in the paper's code, where the intersection is taken of inclusive pixel corners and must extend in both
    directions, so that an overlap of one pixel's width counts 0; "plain", the usual IoU. Otherwise the two are equal.
    """
    if overlap not in ("inclusive", "plain"):
        raise ValueError(f"overlap is {overlap!r}; allowed: 'inclusive', 'plain'")
    if not (math.isfinite(iou_weight) and math.isfinite(box_weight)):
        raise ValueError(f"the weights are {iou_weight} and {box_weight}; they must be finite")
    shared = iou(predicted, target, above=1.0 if overlap == "inclusive" else 0.0)
    agreement = edge_agreement(predicted, target, width, height)
    return float(hit(centre(predicted), target)) + iou_weight * shared + box_weight * agreement


def difficulty(boxes: Sequence[Sequence[float]], sizes: Sequence[tuple[float, float]], *, highest: float = 40.0) -> list[float]:
    """How much each task of a data set counts: ~ 1 / sqrt(target area / image area), 1 on average; small targets weigh more.

    After GUI-G1 (arXiv 2505.15810), which multiplies each sample's loss by such a coefficient; its formula is not published, this one is
    ours. ``boxes``: targets [N], at least one pixel in each direction; ``sizes``: (width, height) of their images [N]. The raw weights
    are clipped to 1..``highest`` (the whole image, a share of 1 / highest^2) before they are divided by their mean.
    """
    raw = [rarity(box, width, height, highest=highest) for box, (width, height) in zip(boxes, sizes, strict=True)]
    mean = sum(raw) / len(raw) if raw else 1.0
    return [value / mean for value in raw]


def rarity(box: Sequence[float], width: float, height: float, *, highest: float = 40.0) -> float:
    """The weight of one target in ``difficulty`` before it is divided by the mean: 1 / sqrt(its share of the image), in 1..``highest``."""
    if not 1.0 <= highest <= LIMIT:
        raise ValueError(f"highest is {highest}; a target that fills the image has 1, so it is at least 1")
    check_size(width, height)
    across, down = size(box)
    return min(highest, max(1.0, math.sqrt(width / across * height / down)))


def distance(predicted: Sequence[float], target: Sequence[float], *, radius: float = 0.15) -> float:
    """(1 - d / radius)^2 where d < radius, else 0: NeMo Gym's gui_coordinate. In 0..1.

    d: Euclidean distance of two points, both as shares (0..1) of the image's width and height.
    """
    if not 0.0 < radius <= LIMIT:
        raise ValueError(f"radius is {radius}; it must be above 0")
    (px, py), (tx, ty) = as_point(predicted), as_point(target)
    return max(0.0, 1.0 - math.hypot(px - tx, py - ty) / radius) ** 2


def _check_scale(alpha: float) -> None:
    if not 1e-6 <= alpha <= 1e6:
        raise ValueError(f"alpha is {alpha}; it is the standard deviation in box sizes, from 1e-6 to 1e6")


# ---- actions ---------------------------------------------------------------------------------------------------------------------------


def action_match(made: Call | None, wanted: Call, boxes: Mapping[str, Sequence[float]] | None = None) -> float:
    """R_act of Mobile-R1 (arXiv 2506.20332): 1 if an action is the expert's, else 0.

    ``made``, ``wanted``: (name, arguments); ``made`` None: could not be read, 0. ``boxes``: for arguments that are points, the box that
    ``made``'s must lie in (edges included); ``wanted``'s value of such an argument is not looked at. Every other argument must be equal as
    JSON, and none may be missing or added. Never raises for what was made; ``ValueError`` for a box that is none, or one for an argument
    that the wanted action does not have.
    """
    places = {name: normalised(box) for name, box in (boxes or {}).items()}
    name, arguments = wanted
    strange = sorted(set(places) - set(arguments))
    if strange:
        raise ValueError(f"boxes for {strange}, but {name!r} has the arguments {sorted(arguments)}; a box belongs to one of them")
    if made is None or made[0] != name or set(made[1]) != set(arguments):
        return 0.0
    return float(all(_inside(made[1][n], places[n]) if n in places else _same(made[1][n], value) for n, value in arguments.items()))


def mobile_r1_format(text: str) -> float:
    """R_fmt of Mobile-R1: 1 for exactly ``<think>``, ``<action>``, ``<tool_call>``, in this order, each once and none empty, else 0."""
    once = all(text.count(f"<{tag}>") == text.count(f"</{tag}>") == 1 for tag in _TAGS)
    match = _MOBILE_R1.fullmatch(text) if once else None
    return float(match is not None and all(group.strip() for group in match.groups()))


def mobile_r1_action(text: str, made: Call | None, wanted: Call, boxes: Mapping[str, Sequence[float]] | None = None) -> float:
    """R_action of Mobile-R1 (arXiv 2506.20332, stage 2): R_act + R_fmt, so 0, 1 or 2. ``text``: all that the agent wrote in this turn.

    Its task-level reward (stage 3) has weights that are not published: combine an outcome and a format with ``weighted_sum``.
    """
    return action_match(made, wanted, boxes) + mobile_r1_format(text)


def _inside(value: Any, box: Box) -> bool:
    if not isinstance(value, list | tuple):
        return False
    values = cast("Sequence[Any]", value)
    return is_coordinates(values, 2) and hit(values, box)


def _same(made: Any, wanted: Any) -> bool:
    try:
        return canonical_json(made) == canonical_json(wanted)
    except (TypeError, ValueError, RecursionError):  # NaN, a loop, or what is no JSON
        return False
