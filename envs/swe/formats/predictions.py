"""Prediction files in SWE-bench's form, read and graded.

    report = grade_predictions("preds.json", tasks, backend="docker", workers=4)
    report.resolved            # ids; report.grades[id].note, report.faults[id] say the rest

Forms: a JSON list, JSON lines, or mini-swe-agent's object by id, of ``{instance_id, model_name_or_path, model_patch}``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ....records import Task
from ...base import EnvFault
from ...sandbox.base import Limits, SandboxError
from ...tasks import TaskSet
from .base import FormatGrade
from .rules import no_grade
from .tasks import KIND, load_image_instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """``patch``: ``None`` where the model gave none."""

    id: str
    patch: str | None
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionReport:
    """``grades`` by instance; ``faults``: those that could not be graded, with the reason, which says nothing about the patch;
    ``unknown``: predictions for no task; ``missing``: tasks without a prediction."""

    grades: Mapping[str, FormatGrade]
    faults: Mapping[str, str]
    unknown: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def resolved(self) -> tuple[str, ...]:
        return tuple(id for id, grade in self.grades.items() if grade.score == 1)

    @property
    def share(self) -> float:
        """Resolved ones of all tasks that were graded or have no prediction; faults are left out. 0 where there are none."""
        counted = len(self.grades) + len(self.missing)
        return len(self.resolved) / counted if counted else 0.0


def read_predictions(path: str | Path) -> list[Prediction]:
    """Raises ``FileNotFoundError``, and ``ValueError`` with the place for what is not a prediction, or two of one instance."""
    file = Path(path)
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: it is not UTF-8 (byte {error.object[error.start]:#04x} at {error.start}); save it as UTF-8") from None
    found: dict[str, Prediction] = {}
    for where, value in _entries(file, text):
        one = _prediction(where, value)
        if one.id in found:
            raise ValueError(f"{where}: there is a second prediction for {one.id!r}; keep one of each instance")
        found[one.id] = one
    return list(found.values())


def grade_predictions(
    path: str | Path,
    tasks: TaskSet | Iterable[Task],
    *,
    split: str | None = None,
    backend: str = "auto",
    limits: Limits | None = None,
    workers: int = 1,
) -> PredictionReport:
    """Grade the predictions of a file for the tasks (of ``split``; without it of all splits), ``workers`` at a time.

    A patch that is empty, does not apply or breaks everything is a grade of 0 with a note. Raises what ``read_predictions`` does, and
    ``ValueError`` for tasks that are not of an outside format.
    """
    predictions = {one.id: one for one in read_predictions(path)}
    chosen = _tasks(tasks, split)
    other = next((task for task in chosen.values() if task.data.get("kind") != KIND), None)
    if other is not None:
        raise ValueError(f"task {other.id!r} is of kind {other.data.get('kind')!r}; predictions are graded for the outside formats only")
    ids = [id for id in chosen if id in predictions]

    def grade(id: str) -> FormatGrade | str:
        patch = predictions[id].patch
        if patch is None:
            return no_grade("the prediction has no patch", valid=True)
        try:
            return load_image_instance(chosen[id].data).grade_patch(patch, backend, limits)
        except (EnvFault, SandboxError) as error:
            return str(error)

    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        results = dict(zip(ids, pool.map(grade, ids), strict=True))
    return PredictionReport(
        grades={id: found for id, found in results.items() if not isinstance(found, str)},
        faults={id: found for id, found in results.items() if isinstance(found, str)},
        unknown=tuple(id for id in predictions if id not in chosen),
        missing=tuple(id for id in chosen if id not in predictions),
    )


def _tasks(tasks: TaskSet | Iterable[Task], split: str | None) -> dict[str, Task]:
    if isinstance(tasks, TaskSet):
        names = [split] if split is not None else [s.name for s in tasks.list_splits()]
        listed = [task for name in names for task in tasks.list_tasks(name)]
    else:
        listed = [task for task in tasks if split is None or task.split == split]
    return {task.id: task for task in listed}


def _entries(file: Path, text: str) -> list[tuple[str, object]]:
    """(place, value) of each prediction."""
    try:
        whole = cast(object, json.loads(text))
    except (ValueError, RecursionError) as error:
        found: list[tuple[str, object]] = []
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                try:
                    found.append((f"{file}:{number}", json.loads(line)))
                except (ValueError, RecursionError):
                    raise ValueError(f"{file}:{number}: neither this line nor the file is JSON ({error})") from None
        return found
    if isinstance(whole, list):
        return [(f"{file}[{number}]", value) for number, value in enumerate(cast("list[object]", whole))]
    if isinstance(whole, dict) and "instance_id" not in whole:
        return [(f"{file}[{id!r}]", _named(id, value)) for id, value in cast("dict[str, object]", whole).items()]
    return [(str(file), whole)]


def _named(id: str, value: object) -> object:
    return {"instance_id": id, **cast("dict[str, object]", value)} if isinstance(value, dict) else value


def _prediction(where: str, value: object) -> Prediction:
    given = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    id, patch, model = given.get("instance_id"), given.get("model_patch"), given.get("model_name_or_path")
    if not isinstance(id, str) or not id:
        raise ValueError(
            f"{where}: it is {str(cast(object, value))[:80]!r}; a prediction is an object with 'instance_id' and 'model_patch'"
        )
    if patch is not None and not isinstance(patch, str):
        raise ValueError(f"{where}: 'model_patch' is a {type(patch).__name__}; it must be a text or null")
    return Prediction(id=id, patch=patch, model=model if isinstance(model, str) else "")
