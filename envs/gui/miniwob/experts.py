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


class Expert:
    """Follows the plan of the task's type; without one, or when the plan is lost, it waits."""

    def __init__(self) -> None:
        self._kind = ""
        self._goal = ""
        self._plan: Plan | None = None

    def reset(self, task: Task, rng: Rng) -> None:
        del rng
        self._kind, self._goal, self._plan = str(task.data["type"]), "", None

    def act(self, observation: Observation) -> str:
        page = read_page(observation[-1].text if observation else "", self._goal)
        try:
            if not self._goal:
                self._goal = page.goal
                self._plan = PLANS[self._kind](page) if self._kind in PLANS else None
                return next(self._plan) if self._plan is not None else wait(100)
            return self._plan.send(page) if self._plan is not None else wait(100)
        except (LookupError, ValueError, StopIteration):  # the page is not as the plan takes it to be, or the plan is at its end
            self._plan = None
            return wait(100)
