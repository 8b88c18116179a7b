"""Task sets of repositories: those that come with Turnwise, and files that ``turnwise swe make`` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ...records import Message, Task
from ..tasks import ListTaskSet, SplitType
from .instance import Instance
from .packages import SPLITS, Package, packages
from .stored import to_data

ENV_ID = "turnwise/SWE-v0"


class ShippedTasks(ListTaskSet):
    """The tasks of real packages. Splits go by package, so those of validation and test are unseen in training.

    ``only``: these packages; ``difficulty``: "easy", "medium" or "hard", default all. The packages' files are downloaded when a task is
    first used. Raises ``ValueError`` for what there is not.
    """

    def __init__(self, only: Sequence[str] | None = None, difficulty: str | None = None) -> None:
        known = packages()
        unknown = [name for name in only or () if name not in known]
        if unknown:
            raise ValueError(f"there are no tasks of {', '.join(unknown)}; there are: {', '.join(known)}")
        if difficulty not in (None, "easy", "medium", "hard"):
            raise ValueError(f"difficulty is {difficulty!r}; allowed: 'easy', 'medium', 'hard'")
        chosen = [package for name, package in known.items() if only is None or name in only]
        found: dict[str, list[Task]] = {split: [] for split in SPLITS}
        for package in chosen:
            found[package.split] += [_task(package, task) for task, made in package.tasks.items() if difficulty in (None, made.difficulty)]
        super().__init__({split: (cast("SplitType", split), tasks) for split, tasks in found.items() if tasks})


def _task(package: Package, task: str) -> Task:
    statement = package.tasks[task].statement
    return Task(id=task, env_id=ENV_ID, split=package.split, prompt=(Message(role="user", content=statement),), data=package.data(task))


def row(instance: Instance, split: str = "train") -> dict[str, Any]:
    """A line of a file of tasks."""
    return {"split": split, "data": to_data(instance)}


def from_jsonl(path: str | Path) -> ListTaskSet:
    """The tasks of a file that ``turnwise swe make`` wrote. Raises ``ValueError`` with the number of a line that is none."""
    if not Path(path).is_file():
        raise ValueError(
            f"there is no file {str(path)!r} with tasks; turnwise swe make writes one, 'shipped' is the set that is there already"
        )
    found: dict[str, list[Task]] = {}
    with Path(path).open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                task = _of_row(json.loads(line))
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {error}") from error
            found.setdefault(task.split, []).append(task)
    if not found:
        raise ValueError(f"{path} holds no tasks")
    order = [split for split in SPLITS if split in found]
    return ListTaskSet({split: (cast("SplitType", split), found[split]) for split in order})


def _of_row(given: object) -> Task:
    row: Mapping[str, Any] = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    data: Any = row.get("data")
    if set(row) != {"split", "data"} or row["split"] not in SPLITS or not isinstance(data, dict):
        raise ValueError(f"a task is an object of split ({', '.join(SPLITS)}) and data, as turnwise swe make writes it")
    stored = cast("dict[str, Any]", data)
    statement = (Message(role="user", content=str(stored.get("statement", ""))),)
    return Task(id=str(stored.get("id", "")), env_id=ENV_ID, split=row["split"], prompt=statement, data=stored)
