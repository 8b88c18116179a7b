"""Scripts for ``turnwise/Ground-v0``: an expert that knows the target's box, and agents that do not look."""

from __future__ import annotations

from typing import cast

from ....records import Observation, Task
from ....rewards.boxes import Box, centre
from ...base import Rng
from .answers import Coordinates, Kind, write_answer
from .pages import size_of, target_box


class Expert:
    """Knows where the target is: from the private data of a ScreenSpot task, by rendering the page of a generated one itself.

    Arguments: ``answer`` and ``coordinates`` as the environment has them.
    """

    def __init__(self, answer: Kind = "point", coordinates: Coordinates = "pixels") -> None:
        self.answer: Kind = answer
        self.coordinates: Coordinates = coordinates
        self.screen = (0, 0)

    def reset(self, task: Task, rng: Rng) -> None:
        self.rng = rng
        if "screen" in task.data:
            self.screen = (int(task.data["screen"][0]), int(task.data["screen"][1]))
        else:
            (width, height), scale = size_of(task)
            self.screen = (round(width * scale), round(height * scale))
        self.task = task

    def act(self, observation: Observation) -> str:
        del observation
        box = self._box()
        if box is None:
            return "negative"
        return write_answer(box if self.answer == "box" else centre(box), self.screen, self.coordinates)

    def _box(self) -> Box | None:
        given = self.task.data["target"]
        if "screen" not in self.task.data:
            return target_box(self.task)
        return None if given is None else cast(Box, tuple(float(v) for v in given))


class Random(Expert):
    """A uniformly random point, or box."""

    def _box(self) -> Box:
        width, height = self.screen
        x1, x2 = (float(v) for v in self.rng.uniform(0, width, 2))
        y1, y2 = (float(v) for v in self.rng.uniform(0, height, 2))
        return (x1, y1, x1, y1) if self.answer == "point" else (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))


class Centre(Expert):
    """The centre of the screen."""

    def _box(self) -> Box:
        width, height = self.screen
        return (width / 2, height / 2, width / 2, height / 2)


class WholeScreen(Expert):
    """A box around everything, whatever is asked for."""

    def act(self, observation: Observation) -> str:
        del observation
        return write_answer((0.0, 0.0, float(self.screen[0]), float(self.screen[1])), self.screen, self.coordinates)
