"""Rewards of pointing that need no label: what a whole group of answers agrees on.

rubric: {gui_rcpo: 0.5}   in the training configuration; the group's answers are in the measures of its turns
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import nan

from ..records import Trajectory, Turn
from .boxes import Box
from .gui_vote import region, voting_rewards
from .rubric import RewardValues

SCREEN = ("width", "height")
POINT, BOX = ("x", "y"), ("x1", "y1", "x2", "y2")


def answer_of(turn: Turn) -> tuple[float, ...] | None:
    """The answer that a turn's ``measures`` hold: a box (x1, y1, x2, y2), a point (x, y), or None."""
    for names in (BOX, POINT):
        if all(name in turn.measures for name in names):
            return tuple(turn.measures[name] for name in names)
    return None


def screen_of(turn: Turn) -> tuple[int, int] | None:
    """The screenshot's (width, height) in pixels, where the turn measured it."""
    if not all(name in turn.measures for name in SCREEN):
        return None
    return (round(turn.measures["width"]), round(turn.measures["height"]))


class GuiRcpo:
    """A ``RewardFn``: GUI-RCPO (arXiv 2508.05615), how much the last answer of an episode agrees with those of its group.

    The group are the episodes of the same task. A point votes with a square of ``side`` pixels about it; an answer that could not be read
    votes for nothing and gets 0. ``least_area`` (square pixels) closes the hole that tiny boxes are always right, see ``voting_rewards``;
    0, the paper's, leaves it open. Only last turns are scored, and of these only such as measured the screen. Raises ``ValueError`` for a
    ``side`` or ``least_area`` that is negative, and when no turn at all measured a screen: the environment then is none of pointing.
    """

    def __init__(self, *, side: float = 50.0, least_area: float = 0.0, name: str = "gui_rcpo") -> None:
        region((0.0, 0.0), side=side)
        voting_rewards([], 1, 1, least_area=least_area)
        self.side, self.least_area, self.name = side, least_area, name

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[RewardValues]:
        groups: Mapping[str, list[int]] = defaultdict(list)
        for place, trajectory in enumerate(trajectories):
            if trajectory.turns and screen_of(trajectory.turns[-1]) is not None:
                groups[trajectory.task.hash].append(place)
        if trajectories and not groups:
            raise ValueError(f"{self.name}: no turn measured {' and '.join(SCREEN)}; it scores environments of pointing, such as Ground-v0")
        found: dict[int, float] = {}
        for places in groups.values():
            found |= dict(zip(places, self._group([trajectories[place].turns[-1] for place in places]), strict=True))
        return [
            RewardValues(turns=[nan] * (len(t.turns) - 1) + [found.get(place, nan)] if t.turns else [])
            for place, t in enumerate(trajectories)
        ]

    def _group(self, turns: Sequence[Turn]) -> list[float]:
        boxes: list[Box] = [region(answer_of(turn), side=self.side) for turn in turns]
        width, height = screen_of(turns[0]) or (1, 1)
        return voting_rewards(boxes, width, height, least_area=self.least_area)
