"""``Expert``: solves most task types of ``turnwise/MiniWoB-v0`` from what the agent is shown, with one call a turn.

It reads the observation and the goal in their default form (accessibility tree, BrowserGym's calls with ids and coordinates) and knows of
the private task only its type, so its episodes are demonstrations that a policy which reads text can learn from.
"""

from __future__ import annotations

from ....records import Observation, Task
from ...base import Rng
from . import experts_clicks, experts_dates, experts_drawing, experts_forms, experts_mail, experts_menus, experts_text
from .plans import PLANS, Plan, wait
from .reading import read_page

SOLVED: tuple[str, ...] = tuple(sorted(PLANS))
"""The task types that it has a plan for."""
GROUPS = (experts_clicks, experts_dates, experts_drawing, experts_forms, experts_mail, experts_menus, experts_text)
"""The modules that the plans are in."""


class Expert:
    """Follows the plan of the task's type, again from the start when it is lost or changes nothing; without a plan it waits."""

    def __init__(self) -> None:
        self._kind = ""
        self._goal = ""
        self._plan: Plan | None = None

    def reset(self, task: Task, rng: Rng) -> None:
        del rng
        self._kind, self._goal, self._plan = str(task.data["type"]), "", None

    def act(self, observation: Observation) -> str:
        page = read_page(observation[-1].text if observation else "", self._goal)
        self._goal = page.goal
        for _ in range(2):
            try:
                if self._plan is not None:
                    return self._plan.send(page)
                if self._kind in PLANS:
                    self._plan = PLANS[self._kind](page)
                    return next(self._plan)
            except (LookupError, ValueError, StopIteration):
                # The page is not as the plan takes it to be, or goes on after its last step: once more from the start.
                self._plan = None
        return wait(100)
