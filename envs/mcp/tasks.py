"""Tasks for an MCP server from a YAML or JSON-lines file.

- {split: test, prompt: "Bring every lamp to south. How many are there then?", answer: 90,
   setup: [{name: load, arguments: {...}}], gold: [{name: find_items, arguments: {text: lamp}}],
   checks: [{name: stock_of, arguments: {item_id: L-21}, equals: {south: 90}}]}
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, StrictFloat, StrictInt, StrictStr, ValidationError, model_validator

from ...records import Message, Task
from ..tasks import ListTaskSet, SplitType

Answer = StrictStr | StrictInt | StrictFloat


class CallRow(BaseModel):
    """A call of a tool of the server."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1)
    arguments: dict[str, JsonValue] = {}


class CheckRow(CallRow):
    """A call whose result must equal a JSON value, or hold a text; exactly one of the two is given."""

    equals: JsonValue = None
    contains: str | None = None

    @model_validator(mode="after")
    def _one(self) -> CheckRow:
        if len({"equals", "contains"} & self.model_fields_set) != 1:
            raise ValueError("give either equals or contains")
        return self


class MessageRow(BaseModel):
    model_config = ConfigDict(extra="forbid")
    role: Literal["system", "user", "assistant"]
    content: str


class TaskRow(BaseModel):
    """One task. ``answer``: the text or number to be answered, or a list of those that are right."""

    model_config = ConfigDict(extra="forbid")
    id: str | None = None
    split: Literal["train", "validation", "test"]
    prompt: str | list[MessageRow]
    answer: Answer | list[Answer] | None = None
    checks: list[CheckRow] = []
    gold: list[CallRow] = []
    setup: list[CallRow] = []

    @model_validator(mode="after")
    def _judged(self) -> TaskRow:
        if self.answer is None and not self.checks:
            raise ValueError("give answer or checks; without either nothing can be judged")
        return self

    def task(self, env_id: str, number: int) -> Task:
        """The task; ``number`` names it where the row has no id."""
        rows = [MessageRow(role="user", content=self.prompt)] if isinstance(self.prompt, str) else self.prompt
        answers: list[Answer] = [] if self.answer is None else self.answer if isinstance(self.answer, list) else [self.answer]
        data: dict[str, Any] = {
            "setup": [row.model_dump() for row in self.setup],
            "gold": [row.model_dump() for row in self.gold],
            "checks": [{"arguments": {}, **row.model_dump(exclude_unset=True)} for row in self.checks],
        }
        if self.answer is not None:
            data["answer"] = [str(a) for a in answers]
        prompt = tuple(Message(role=row.role, content=row.content) for row in rows)
        return Task(id=self.id or f"{self.split}-{number}", env_id=env_id, split=self.split, prompt=prompt, data=data)


def load_tasks(path: str | Path, env_id: str) -> ListTaskSet:
    """The tasks of a .yaml, .yml, .json (a list of rows) or .jsonl file (a row a line).

    Raises ``ValueError`` that names the file, the row and what is wrong with it, and for two tasks of one id.
    """
    path = Path(path)
    splits: dict[str, tuple[SplitType, list[Task]]] = {}
    seen: set[str] = set()
    for number, row in enumerate(_rows(path)):
        where = f"{path}: row {number + 1}"
        try:
            task = TaskRow.model_validate(row).task(env_id, number)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ValueError(f"{where}: {'.'.join(map(str, first['loc'])) or 'the row'}: {first['msg']}") from error
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        if task.id in seen:
            raise ValueError(f"{where}: the id {task.id!r} was given before; ids are unique in a file")
        seen.add(task.id)
        splits.setdefault(task.split, (cast("SplitType", task.split), []))[1].append(task)
    if not splits:
        raise ValueError(f"{path}: no tasks")
    return ListTaskSet(splits)


def _rows(path: Path) -> list[object]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        rows: list[object] = []
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                try:
                    rows.append(json.loads(line))
                except ValueError as error:
                    raise ValueError(f"{path}:{number}: not JSON: {error}") from error
        return rows
    try:
        value: object = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {error}") from error
    if not isinstance(value, list):
        raise ValueError(f"{path}: it holds a {type(value).__name__}; write a list of tasks")
    return cast("list[object]", value)
