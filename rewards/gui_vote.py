"""Voting: where many sampled boxes agree (GUI-RC), how much each agrees with the others (GUI-RCPO), and judges that vote (ZeroGUI).

voting_rewards([[2, 2, 6, 6], [3, 3, 7, 7], [2, 2, 6, 6]], 10, 10)  # [0.854, 0.708, 0.854]
votes([1, 1, None, 0], "majority")  # True

Letters: K samples of one task; v the number of boxes that cover a pixel, V the highest. Pixels are never laid out: corners cut the image
into at most 2K + 1 by 2K + 1 cells of equal v, so the size of the image costs nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from .boxes import Box, Point, around, centre, is_coordinates, normalised

Ints: TypeAlias = "npt.NDArray[np.int64]"
Rule: TypeAlias = Literal["all", "majority"]

LARGEST_SIDE = 1_000_000
"""Of an image, in pixels, so that sums of votes over areas stay whole numbers of 64 bits."""
NO_BOX: Box = (0.0, 0.0, 0.0, 0.0)

_SCORE = re.compile(r"SCORE:\s*([+-]?[0-9]+(?:\.[0-9]+)?)(?![0-9a-zA-Z])")


# ---- boxes that vote -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VoteGrid:
    """The votes of an image in cells. Row r spans the pixels y[r] <= y < y[r + 1], column c those x[c] <= x < x[c + 1]."""

    x: Ints
    """[columns + 1], rising from 0 to the width."""
    y: Ints
    """[rows + 1], rising from 0 to the height."""
    votes: Ints
    """[rows, columns]"""
    boxes: Ints
    """[K, 4], in whole pixels and cut to the image; without area where a box casts no vote."""

    @property
    def highest(self) -> int:
        """V; 0 where no box has area."""
        return int(self.votes.max())

    def pixels(self) -> Ints:
        """[height, width], for looking at."""
        return np.repeat(np.repeat(self.votes, np.diff(self.y), axis=0), np.diff(self.x), axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consensus:
    """Where most boxes agree. The ``point``, the centre of ``box``, may lie outside a region that is not convex."""

    point: Point
    box: Box
    votes: int
    area: int
    """Pixels of the region, which may be fewer than its bounding ``box`` has."""


def region(numbers: Sequence[float] | None, *, side: float = 50.0) -> Box:
    """What a sample votes for: 4 numbers are a box, 2 a point with a square of ``side`` pixels about it, anything else ``NO_BOX``.

    GUI-RC's code has 25 px to each side (50, as here), GUI-RCPO's 50 px (100). Raises ``ValueError`` for a side that is no length, never
    for the numbers.
    """
    if numbers is not None and is_coordinates(numbers, 4):
        return normalised(numbers)
    return around(numbers, side) if numbers is not None and is_coordinates(numbers, 2) else NO_BOX


def vote_grid(boxes: Sequence[Sequence[float]], width: int, height: int) -> VoteGrid:
    """How many of the boxes [K] cover each pixel of an image. Coordinates are cut to whole numbers (towards 0), then to the image.

    Raises ``ValueError`` for coordinates that are not finite (see ``region``), and for an image without pixels.
    """
    if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE):
        raise ValueError(f"the image is {width} by {height} pixels; both are from 1 to {LARGEST_SIDE}")
    corners = np.array([normalised(box) for box in boxes], dtype=np.float64).reshape(-1, 4)
    whole = np.clip(np.trunc(corners), 0, np.array([width, height, width, height])).astype(np.int64)
    kept = whole[(whole[:, 0] < whole[:, 2]) & (whole[:, 1] < whole[:, 3])]
    x = np.unique(np.concatenate([[0, width], kept[:, 0], kept[:, 2]])).astype(np.int64)
    y = np.unique(np.concatenate([[0, height], kept[:, 1], kept[:, 3]])).astype(np.int64)
    change = np.zeros((len(y), len(x)), dtype=np.int64)
    left, top, right, bottom = _places(x, y, kept)
    for row, column, step in ((top, left, 1), (top, right, -1), (bottom, left, -1), (bottom, right, 1)):
        np.add.at(change, (row, column), step)
    counts = change.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]
    return VoteGrid(x=x, y=y, votes=counts, boxes=whole)


def voting_rewards(boxes: Sequence[Sequence[float]], width: int, height: int, *, least_area: float = 0.0) -> list[float]:
    """GUI-RCPO's label-free reward (arXiv 2508.05615), one per box [K]: the mean of v over its pixels divided by V, in 0..1.

    A box without a pixel in the image: 0. The reward has a hole: large boxes lose by their rim, while any box within the densest region
    earns 1, however small, so a policy can shrink all its boxes to one pixel. ``least_area`` (square pixels, 0: off, as in the paper)
    closes it with a prior on size: the reward of a smaller box is multiplied by its share of that area, counted within the image.
    """
    if not 0.0 <= least_area < math.inf:
        raise ValueError(f"least_area is {least_area}; it is an area in square pixels, at least 0")
    grid = vote_grid(boxes, width, height)
    whole, highest = grid.boxes, grid.highest
    if highest == 0:
        return [0.0 for _ in boxes]
    weighted = grid.votes * np.diff(grid.y)[:, None] * np.diff(grid.x)[None, :]
    sums = np.zeros((len(grid.y), len(grid.x)), dtype=np.int64)  # over everything above and to the left
    sums[1:, 1:] = weighted.cumsum(axis=0).cumsum(axis=1)
    areas = (whole[:, 2] - whole[:, 0]) * (whole[:, 3] - whole[:, 1])
    left, top, right, bottom = _places(grid.x, grid.y, np.where(areas[:, None] > 0, whole, 0))
    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    rewards = inside / (highest * np.maximum(areas, 1))
    if least_area > 0.0:
        rewards = rewards * (np.minimum(areas, least_area) / least_area)
    return [float(value) for value in rewards]


def consensus(boxes: Sequence[Sequence[float]], width: int, height: int) -> Consensus | None:
    """GUI-RC's answer at test time (arXiv 2508.05615): the centre of the largest region that the most boxes cover. None without votes.

    Regions are the 4-connected components of v = V; of equal areas, the first from the top, then from the left. The answer is the centre
    of the region's bounding box, half-open as all boxes are.
    """
    grid = vote_grid(boxes, width, height)
    highest = grid.highest
    if highest == 0:
        return None
    areas = np.diff(grid.y)[:, None] * np.diff(grid.x)[None, :]
    best: list[tuple[int, int]] = []
    size = 0
    for cells in _components(grid.votes == highest):
        total = sum(int(areas[cell]) for cell in cells)
        if total > size:
            best, size = cells, total
    rows, columns = [r for r, _ in best], [c for _, c in best]
    left, right = float(grid.x[min(columns)]), float(grid.x[max(columns) + 1])
    top, bottom = float(grid.y[min(rows)]), float(grid.y[max(rows) + 1])
    box = (left, top, right, bottom)
    return Consensus(point=centre(box), box=box, votes=highest, area=size)


def _places(x: Ints, y: Ints, boxes: Ints) -> tuple[Any, Any, Any, Any]:
    """Where the boxes' left, top, right and bottom stand among the edges of the cells."""
    columns, rows = np.searchsorted(x, boxes[:, ::2]), np.searchsorted(y, boxes[:, 1::2])
    return columns[:, 0], rows[:, 0], columns[:, 1], rows[:, 1]


def _components(mask: npt.NDArray[np.bool_]) -> list[list[tuple[int, int]]]:
    """4-connected cells, components in reading order of their first cell. Cells touch as the pixels in them do, as none is empty."""
    left = {(int(r), int(c)): None for r, c in np.argwhere(mask)}
    found: list[list[tuple[int, int]]] = []
    while left:
        first = next(iter(left))
        del left[first]
        cells = [first]
        for r, c in cells:  # grows while it is walked
            for near in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
                if near in left:
                    del left[near]
                    cells.append(near)
        found.append(cells)
    return found


# ---- judges that vote ------------------------------------------------------------------------------------------------------------------


def parse_score(text: str) -> float | None:
    """The number after the last ``SCORE:`` that is followed by one, as ZeroGUI (arXiv 2505.23762) asks its judge for; None without."""
    found = _SCORE.findall(text)
    value = float(found[-1]) if found else math.inf
    return value if math.isfinite(value) else None


def votes(scores: Sequence[float | None], rule: Rule = "all", *, quorum: int = 1) -> bool | None:
    """The verdict of several judgements of one episode (ZeroGUI): a score of 1 says success; None could not be read, and is dropped.

    "all": every vote left says success (the paper's, with four judgements at temperature 1, against false successes); "majority": more
    than half of them, rounded down. None: fewer than ``quorum`` votes are left, so there is no verdict; with 1, as in the paper, a single
    readable vote is unanimous. The episode's outcome is then void, not a failure.
    Raises ``ValueError`` for another rule, a quorum below 1 or a score that is NaN.
    """
    if rule not in ("all", "majority"):
        raise ValueError(f"rule is {rule!r}; allowed: 'all', 'majority'")
    if quorum < 1:
        raise ValueError(f"quorum is {quorum}; at least one vote is needed for a verdict")
    valid = [score for score in scores if score is not None]
    if any(map(math.isnan, valid)):
        raise ValueError(f"scores are {list(scores)}; a judgement that could not be read is None")
    if len(valid) < quorum:
        return None
    yes = sum(score == 1.0 for score in valid)
    return yes == len(valid) if rule == "all" else yes > len(valid) // 2


def soft_verdict(positive: float, negative: float) -> float:
    """P(positive) / (P(positive) + P(negative)) from two logits (or log-probs) of a judge's next token, in 0..1.

    The soft form of what GUI-Shepherd (arXiv 2509.23738) trains its step judge for and UI-Genie-RM (arXiv 2505.21496) its judge of steps
    and tasks; taken over both tokens alone, which is our reading of both. One logit may be infinite (a token that cannot be);
    raises ``ValueError`` for NaN and for two infinite logits of the same sign, which say nothing.
    """
    gap = positive - negative
    if math.isnan(gap):
        raise ValueError(f"the logits are {positive} and {negative}; they must be numbers, at most one of them -inf")
    small = math.exp(-abs(gap))
    return 1.0 / (1.0 + small) if gap >= 0.0 else small / (1.0 + small)
