"""``turnwise/ToolCalls-v0``: one turn of tool use, graded by ToolRL's format and correctness; and the loader of ToolRL's rows.

env = ToolCalls(); env.reset(seed=0); env.step('<think>...</think>\\n<tool_call>\\n{"name": "wake", "parameters": {...}}\\n</tool_call>')
load_toolrl("rlla_4k/train.parquet", split="train")
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ...records import Message, Outcome, Task
from ...rewards.tools import Call, correctness, tool_format
from ..base import Env, Manifest, Rng, TurnResult
from ..scripts import ECHO, NULL, RANDOM
from ..search.rows import BadRow, LoadReport, Row, parsed, read_rows, text_field
from ..tasks import ListTaskSet, TaskSet
from ..tools.values import read_json
from .requests import ENV_ID, Requests

MAX_CALLS = 32
DEFAULT_WEIGHTS: Mapping[str, float] = {"format": 1.0, "correctness": 1.0}


class ToolCalls(Env):
    """Make the calls that a user's request needs. Nothing is executed.

    Actions: ``<think>...</think>``, then ``<tool_call>`` with one JSON object {"name", "parameters"} a line, and ``<response>`` where
    the row wants one (the layout of ToolRL, arXiv 2504.13958); native calls are understood. Rewards: ``format`` in {0, 1} and
    ``correctness`` in [-3, 3], ToolRL's, by default unweighted. Outcome: 1 if format is 1 and correctness 3, which is to say that
    exactly the wanted calls are made, in whatever order; a row that wants no call is judged by format alone, as in ToolRL. Start: the
    row's prompt. End: after one turn. Arguments: ``tasks``, a file of rows (see ``load_toolrl``), a ``TaskSet``, or how many tasks a
    split of made-up requests has; ``weights``. Version 0.
    """

    def __init__(self, tasks: str | Path | TaskSet | int = 1000, *, weights: Mapping[str, float] | None = None) -> None:
        chosen = DEFAULT_WEIGHTS if weights is None else weights
        unknown = sorted(set(chosen) - set(DEFAULT_WEIGHTS))
        if unknown:
            raise ValueError(f"unknown turn reward {unknown}; allowed: {', '.join(DEFAULT_WEIGHTS)}")
        if isinstance(tasks, int):
            tasks = Requests(tasks)
        super().__init__(tasks if isinstance(tasks, TaskSet) else load_toolrl(tasks), max_turns=1)
        self.weights = {name: weight for name, weight in chosen.items() if weight}

    def act(self, action: Message) -> TurnResult:
        assert self.task is not None
        wanted = [(row["name"], row["parameters"]) for row in self.task.data["calls"]]
        response = bool(self.task.data["response"])
        made = calls_of(action)
        if action.tool_calls:
            shaped = float(bool(wanted) and (bool(action.text.strip()) or not response))
        else:
            shaped = tool_format(action.text, calls=bool(wanted), response=response)
        right = correctness(made, wanted)
        best = not wanted or right > 3.0 - 1e-9
        values = {"format": shaped, "correctness": right}
        components = {name: weight * values[name] for name, weight in self.weights.items()}
        return TurnResult(
            observation=(Message(role="user", content=_told(made, bool(shaped))),),
            reward=sum(components.values()) if components else None,
            components=components,
            action_valid=made is not None and bool(shaped),
            outcome=Outcome(score=float(best and shaped == 1.0), components=values),
        )


def _told(made: Sequence[Call] | None, shaped: bool) -> str:
    if made is None:
        return 'The calls could not be read: between <tool_call> and </tool_call> stands one JSON object {"name", "parameters"} a line.'
    count = "No call was" if not made else "One call was" if len(made) == 1 else f"{len(made)} calls were"
    return f"{count} noted." + ("" if shaped else " The message does not have the layout that was asked for.")


def calls_of(message: Message) -> list[Call] | None:
    """The calls of a message, native ones first; None if there are some that cannot be read."""
    try:
        if message.tool_calls:
            return [(call.name, _object(read_json(call.arguments or "{}"))) for call in message.tool_calls[:MAX_CALLS]]
        return read_calls(message.text)
    except ValueError:
        return None


def read_calls(text: str) -> list[Call]:
    """The calls in the first <tool_call> block, one JSON object {"name", "parameters"} a line (Hermes' "arguments" will do); none without
    a block. Raises ``ValueError`` for what cannot be read."""
    if "<tool_call>" not in text:
        return []
    block = text.split("<tool_call>", 1)[1].split("</tool_call>", 1)[0]
    lines = [line for line in block.strip().splitlines() if line.strip()]
    if len(lines) > MAX_CALLS:
        raise ValueError(f"{len(lines)} calls, more than {MAX_CALLS}")
    calls: list[Call] = []
    for line in lines:
        row = _object(read_json(line))
        name, parameters = row.get("name"), row.get("parameters", row.get("arguments", {}))
        if not isinstance(name, str) or not name:
            raise ValueError("a call needs the text 'name'")
        calls.append((name, _object(parameters)))
    return calls


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"a JSON object is needed, not a {type(value).__name__}")
    return cast("dict[str, Any]", value)


def load_toolrl(path: str | Path, split: str = "train", *, skip_bad: bool = False, report: LoadReport | None = None) -> ListTaskSet:
    """ToolRL's rows as tasks: .jsonl, .json or .parquet, one split a file.

    A row is {prompt: [messages], reward_model: {ground_truth}} as the training files have it, or {instruction, input, output} as the raw
    ones. The ground truth is a model's reply: its <tool_call> block holds the wanted calls, and whether it has a <response> says whether
    one is wanted. Raises ``ValueError`` for a bad row (with file and line; ``skip_bad`` counts it in ``report`` instead), and for none.
    """
    if split not in ("train", "validation", "test"):
        raise ValueError(f"there is no split {split!r}; allowed: train, validation, test")
    rows = parsed(read_rows(path), _from_row, report or LoadReport(source=str(path)), skip_bad=skip_bad)
    tasks = [Task(id=f"{split}-{n}", env_id=ENV_ID, split=split, prompt=prompt, data=data) for n, (prompt, data) in enumerate(rows)]
    if not tasks:
        raise ValueError(f"{path}: no rows")
    return ListTaskSet({split: (split, tasks)})


def _from_row(row: Row) -> tuple[tuple[Message, ...], dict[str, Any]]:
    if "prompt" in row:
        model = row.get("reward_model")
        if not isinstance(model, dict):
            raise BadRow("reward_model is no object with a ground_truth")
        truth = text_field(cast("Row", model), "ground_truth")
        prompt = _messages(row["prompt"])
    else:
        truth = text_field(row, "output")
        prompt = (
            Message(role="system", content=text_field(row, "instruction")),
            Message(role="user", content=text_field(row, "input")),
        )
    try:
        calls = read_calls(truth)
    except ValueError as error:
        raise BadRow(f"the calls of its ground truth cannot be read: {error}") from None
    if "<tool_call>" in truth and not calls:
        raise BadRow("its ground truth has an empty <tool_call>")
    wanted = [{"name": name, "parameters": dict(parameters)} for name, parameters in calls]
    return prompt, {"calls": wanted, "response": "<response>" in truth}


def _messages(given: object) -> tuple[Message, ...]:
    if not isinstance(given, list) or not given:
        raise BadRow("prompt is no list of messages")
    messages: list[Message] = []
    for item in cast("list[object]", given):
        if not isinstance(item, dict):
            raise BadRow("a message of the prompt is no object")
        fields = cast("Row", item)
        role = fields.get("role")
        if role not in ("system", "user", "assistant", "tool"):
            raise BadRow(f"a message has the role {role!r}")
        messages.append(Message(role=role, content=text_field(fields, "content", empty=True)))
    return tuple(messages)


def write(calls: Sequence[Mapping[str, Any]], *, response: bool = False, thought: str = "The request names all that is needed.") -> str:
    """A message in ToolRL's layout."""
    parts = [f"<think>{thought}</think>"]
    if calls:
        lines = "\n".join(json.dumps({"name": call["name"], "parameters": call["parameters"]}, ensure_ascii=False) for call in calls)
        parts.append(f"<tool_call>\n{lines}\n</tool_call>")
    if response:
        parts.append("<response>Done.</response>")
    return "\n".join(parts)


class Expert:
    """Makes the wanted calls."""

    def reset(self, task: Task, rng: Rng) -> None:
        self.rng = rng
        self.calls = cast("list[dict[str, Any]]", task.data["calls"])
        self.response = bool(task.data["response"])

    def act(self, observation: Sequence[Message]) -> str:
        del observation
        return write(self.calls, response=self.response)


class Spam(Expert):
    """Makes the wanted calls, each twice, and one more."""

    def act(self, observation: Sequence[Message]) -> str:
        del observation
        return write([*self.calls, *self.calls, {"name": "anything", "parameters": {}}], response=self.response)


class ResponseOnly(Expert):
    """Says that it is done and calls nothing."""

    def act(self, observation: Sequence[Message]) -> str:
        del observation
        return write([], response=True)


class OneShort(Expert):
    """Makes the wanted calls with one value off."""

    def act(self, observation: Sequence[Message]) -> str:
        del observation
        *rest, last = self.calls
        changed = {**last["parameters"], next(iter(last["parameters"])): "?"}
        return write([*rest, {"name": last["name"], "parameters": changed}], response=self.response)


MANIFEST = Manifest(
    description="One turn of tool use, graded by ToolRL's format and correctness.",
    turn_reward_range=(-3.0, 4.0),
    max_turns=1,
    random_score=0.0,
    scripts={
        "expert": f"{__name__}:Expert",
        "random": RANDOM,
        "hack_spam": f"{__name__}:Spam",
        "hack_answer": f"{__name__}:ResponseOnly",
        "hack_one_off": f"{__name__}:OneShort",
        "null": NULL,
        "echo": ECHO,
    },
    tools=True,
)
