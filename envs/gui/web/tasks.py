"""The tasks of ``turnwise/WebTasks-v0``: three apps, over fifty kinds, wording and records that no two splits share.

    (split, index) -> kind -> World (records) -> Draft (goals, gold steps) -> Task(prompt, data)

``Task.data``: ``app``, ``kind``, ``config`` (for ``app.setup``), ``checks`` (for ``checks.judge``), ``steps`` (the gold steps).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, cast

import numpy as np

from ....records import Message, Task
from ...search.world import SPLITS, SplitName
from ...tasks import Split, TaskSet
from . import mail, shop, tracker
from .checks import Condition
from .draft import AppName, Draft, Kind, Row, World

ENV_ID = "turnwise/WebTasks-v0"
Holdout: TypeAlias = Literal["records", "kinds"]
APPS: dict[AppName, tuple[type[World], Sequence[Kind], Sequence[Condition], list[str]]] = {
    "shop": (shop.Shop, shop.KINDS, (), ["click", "link", "Home"]),
    "tracker": (tracker.Tracker, tracker.KINDS, (), ["click", "link", "Issues"]),
    "mail": (mail.Mail, mail.KINDS, mail.ALLOWED, ["click", "link", "Inbox*"]),
}
"""Name -> (its records, its kinds of task, changes that every task allows, the step to its first page)."""
KINDS: dict[str, Kind] = {f"{kind.app}/{kind.name}": kind for _, kinds, _, _ in APPS.values() for kind in kinds}
FRAMES: dict[SplitName, tuple[str, ...]] = {
    "train": ("{}", "Please do this: {}", "{} Thank you."),
    "validation": ("{}", "Next: {}"),
    "test": ("{}", "One more thing: {}"),
}
HALF_FILLED: dict[AppName, tuple[str, Row]] = {
    "shop": ("/address/new", {"label": "Holiday", "street": "Sea View 3"}),
    "tracker": ("/new", {"title": "An unfinished title"}),
    "mail": ("/compose", {"subject": "An unfinished message", "body": "Dear all,"}),
}
"""The page and the inputs with which an app starts in some tasks; leaving the page asks whether that is meant."""
THROW_AWAY = " (What is half entered on the open page can be thrown away.)"
POPUPS = ("newsletter", "cookies", "survey")


class WebTaskSet(TaskSet):
    """``tasks`` per split, in turn of every kind. ``apps`` and ``kinds`` ("shop/cart") restrict what there is.

    ``popups``, ``slow``, ``half_filled``: shares of tasks with a pop-up, with pages that load slowly, and that start on a half-filled form.
    ``holdout`` "records": names, numbers and wording differ between the splits; "kinds": so do the kinds (each fifth is validation's, the
    next test's). Raises ``ValueError`` for what is unknown, or if a split is left without a kind.
    """

    def __init__(
        self,
        tasks: int | Mapping[str, int] = 1000,
        *,
        apps: Sequence[str] | None = None,
        kinds: Sequence[str] | None = None,
        holdout: Holdout = "records",
        popups: float = 0.25,
        slow: float = 0.25,
        half_filled: float = 0.1,
    ) -> None:
        counts = dict.fromkeys(SPLITS, tasks) if isinstance(tasks, int) else dict(tasks)
        for what, given, allowed in (("split", counts, SPLITS), ("app", apps or (), APPS), ("kind", kinds or (), KINDS)):
            unknown = sorted(set(given) - set(allowed))
            if unknown:
                raise ValueError(f"there is no {what} {unknown}; allowed: {', '.join(allowed)}")
        if holdout not in ("records", "kinds"):
            raise ValueError(f"holdout is {holdout!r}; allowed: records, kinds")
        for name, share in (("popups", popups), ("slow", slow), ("half_filled", half_filled)):
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"{name} is {share}; it is a share of the tasks, in 0..1")
        chosen = [kind for name, kind in KINDS.items() if (apps is None or kind.app in apps) and (kinds is None or name in kinds)]
        turns = _in_turn(chosen)
        self._kinds: dict[SplitName, list[Kind]] = {
            split: [kind for n, kind in enumerate(turns) if holdout == "records" or _split_of(n) == split] for split in SPLITS
        }
        self._counts = {split: counts.get(split, 0) for split in SPLITS}
        for split, kinds_left in self._kinds.items():
            if self._counts[split] < 0 or (self._counts[split] and not kinds_left):
                raise ValueError(f"split {split!r} has {self._counts[split]} tasks and {len(kinds_left)} kinds; allow more kinds")
        self._popups, self._slow, self._half_filled = popups, slow, half_filled

    def list_splits(self) -> list[Split]:
        return [Split(name=name, type=name, num_tasks=self._counts[name]) for name in SPLITS]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        name = cast(SplitName, split)
        kinds = self._kinds[name]
        kind = kinds[index % len(kinds)]
        place = SPLITS.index(name)
        rng = np.random.default_rng(np.random.SeedSequence([place, index, 17]))
        make_world, _, allowed, home = APPS[kind.app]
        world = make_world(name, index, rng)
        draft = Draft(allowed=list(allowed))
        kind.make(world, draft)
        goal = world.pick(FRAMES[name]).format(kind.wordings[place].format(**draft.words))
        config = self._config(world)
        if rng.random() < self._half_filled:
            config["start"], config["inputs"] = HALF_FILLED[kind.app]
            draft.steps.insert(0, home)
            goal += THROW_AWAY
        checks = {"goals": draft.goals, "allowed": draft.allowed, "answer": draft.answer, "infeasible": draft.infeasible}
        data = {"app": kind.app, "kind": kind.name, "config": config, "checks": checks, "steps": draft.steps}
        prompt = (Message(role="user", content=goal),)
        return Task(id=f"{split}-{index}-{kind.app}-{kind.name}", env_id=ENV_ID, split=split, prompt=prompt, data=data)

    def _config(self, world: World) -> dict[str, Any]:
        rng = world.rng
        popups = [{"at": int(rng.integers(1, 4)), "kind": world.pick(POPUPS)}] if rng.random() < self._popups else []
        delays = [int(n) * 10 if n >= 10 else 0 for n in rng.integers(0, 41, 5)] if rng.random() < self._slow else []
        return {"tables": world.tables, "settings": world.settings, "start": world.start, "popups": popups, "delays": delays}


def _in_turn(kinds: Sequence[Kind]) -> list[Kind]:
    """One kind of each app after the other, so that a few tasks are of all apps."""
    by_app = [[kind for kind in kinds if kind.app == app] for app in APPS]
    return [group[n] for n in range(max(map(len, by_app), default=0)) for group in by_app if n < len(group)]


def _split_of(place: int) -> SplitName:
    return "validation" if place % 5 == 3 else "test" if place % 5 == 4 else "train"
