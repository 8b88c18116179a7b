"""``turnwise/BFCL-v0``: the Berkeley Function Calling Leaderboard's multi-turn tasks, checked after every request of the user.

env = BFCL(load_bfcl("BFCL_v4_multi_turn_base.json", "possible_answer/BFCL_v4_multi_turn_base.json", classes=CLASSES), classes=CLASSES)
CLASSES = {"TicketAPI": "bfcl_eval.eval_checker.multi_turn_eval.func_source_code.ticket_api:TicketAPI", ...}
"""

from __future__ import annotations

import ast
import copy
import hashlib
import inspect
import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias, cast

from ...records import Message, Outcome, Task, ToolCall
from ...rewards.tools import missing_results
from ..base import EnvFault, Manifest
from ..scripts import ECHO, NULL
from ..search.rows import BadRow, LoadReport, Row, parsed, read_rows, text_field
from ..tasks import ListTaskSet, SplitType, TaskSet
from ..tools.dialects import Said
from ..tools.env import ToolEnv
from ..tools.tool import Toolbox, ToolResult, ToolSpec, no_such_tool, render
from .calendar import ENV_ID, Conversations

Instances: TypeAlias = dict[str, Any]
OWN_CLASSES: Mapping[str, str] = {"Calendar": f"{__name__.rsplit('.', 1)[0]}.calendar:Calendar"}
OVER = "The conversation is over."
DEFAULT_WEIGHTS: Mapping[str, float] = {"check": 1.0, "format": 0.02}


class BFCL(ToolEnv):
    """Serve a user who asks for one thing after the other.

    Actions: calls of the methods of the task's classes, by default as ``[f(x=1), g()]``; a message without a call ends the turn of the
    user. Observations: results of the calls, then the next request. After each request the gold calls are run on instances of their own;
    the turn passes if all public attributes of all instances are equal, and the results of the gold calls are among the results of all
    calls so far, each as often; where there are gold calls, at least one call must have been made. Rewards: ``check``, 1 / number of
    requests for each that passed; ``format``; ``executed``. Outcome: 1 if all passed. Start: the first request. End: the first request
    that fails, or the last one; truncated after ``max_turns`` messages with outcome 0. Arguments: ``tasks``, a ``TaskSet`` (see
    ``load_bfcl``) or how many tasks a split of made-up ones has; ``classes``, name to "module:Class"; ``irrelevance``, fail a
    request without gold calls if any call was made (the leaderboard has such a check, and does not count it); ``dialect``;
    ``weights``; ``max_turns``. Version 0.
    """

    components = ("format", "executed", "check")

    def __init__(
        self,
        tasks: TaskSet | int = 1000,
        *,
        classes: Mapping[str, str] | None = None,
        irrelevance: bool = False,
        dialect: str = "python",
        weights: Mapping[str, float] | None = None,
        max_turns: int = 30,
    ) -> None:
        given = Conversations(tasks) if isinstance(tasks, int) else tasks
        super().__init__(given, dialect=dialect, weights=DEFAULT_WEIGHTS if weights is None else weights, max_turns=max_turns)
        self.classes = {**OWN_CLASSES, **(classes or {})}
        self._irrelevance = irrelevance
        self._methods = Methods({}, ())
        self._gold: Instances = {}
        self._request = 0
        self._made = 0
        self._passed = 0.0
        self._over: Outcome | None = None

    def open(self, task: Task) -> tuple[object, str]:
        held_back = {name for names in task.data["missed"].values() for name in names}
        self._methods = Methods(self._instances(task), held_back)
        self._gold = self._instances(task)
        self._request, self._made, self._passed, self._over = 0, 0, 0.0, None
        return self._methods, "Do what the user asks, with the functions below. When a request is done, say so without a call."

    def _instances(self, task: Task) -> Instances:
        made: Instances = {}
        for name in task.data["classes"]:
            if name not in self.classes:
                raise EnvFault(f"task {task.id!r} needs the class {name}; name it in classes={{{name!r}: 'module:{name}'}}")
            module, _, attribute = self.classes[name].partition(":")
            made[name] = instance = getattr(import_module(module), attribute)()
            if hasattr(instance, "_load_scenario"):  # classes without state have none
                config = copy.deepcopy(task.data["config"].get(name, {}))
                instance._load_scenario(config, long_context="long_context" in task.id)
        return made

    def hear(self, text: str) -> str:
        """The end of the user's turn: it is checked, and the next request comes."""
        del text
        assert self.task is not None
        turns, gold = self.task.data["turns"], self.task.data["gold"][self._request]
        problem = self._problem(gold)
        if problem:
            self._over = Outcome(score=0.0, note=f"request {self._request + 1} of {len(turns)}: {problem}")
            return OVER
        self._passed = 1.0 / len(turns)
        self._request += 1
        self._made = 0
        if self._request == len(turns):
            self._over = Outcome(score=1.0)
            return OVER
        said = [message["content"] for message in turns[self._request]]
        added = self._methods.add(self.task.data["missed"].get(str(self._request), ()))
        if added:
            self.attach(self._methods)
            listed = "\n".join(json.dumps(spec.openai()["function"], ensure_ascii=False) for spec in added)
            said.append(f"You may also call these functions from now on; do what was not possible before:\n{listed}")
        return "\n\n".join(said)

    def _problem(self, gold: Sequence[str]) -> str:
        """What is wrong with the user's turn, or nothing. Runs its gold calls."""
        wanted = [run_gold(call, self._gold) for call in gold]
        if not gold:
            return "a call was made where none was wanted" if self._irrelevance and self._made else ""
        if not self._made:
            return "no call was made"
        for name, instance in self._gold.items():
            other = state_of(self._methods.instances[name])
            unequal = [attribute for attribute, value in state_of(instance).items() if other.get(attribute) != value]
            if unequal:
                return f"{name} differs in {', '.join(unequal)}"
        missing = missing_results(self._methods.results, wanted)
        return f"the result {missing[0][:200]} is missing" if missing else ""

    def scored(self, said: Said, results: Sequence[ToolResult]) -> Mapping[str, float]:
        del said
        self._made += len(results)
        passed, self._passed = self._passed, 0.0
        return {"check": passed}

    def verdict(self) -> Outcome | None:
        return self._over

    def anchor(self) -> str | None:
        """The state and the request; None for classes whose state is no JSON."""
        try:
            state = [state_of(instance) for instance in self._methods.instances.values()]
            return hashlib.sha256(json.dumps([self._request, state], sort_keys=True).encode()).hexdigest()
        except (TypeError, ValueError):
            return None

    def potential(self) -> float:
        """Share of the requests that passed."""
        return self._request / len(self.task.data["turns"]) if self.task is not None else 0.0

    def snapshot(self) -> bytes:
        held = (self._methods.instances, self._methods.hidden, self._methods.results, self._gold)
        own = (self._request, self._made, self._over, self.turn_index, self.done, self.task)
        return pickle.dumps((held, own))

    def restore(self, snapshot: bytes) -> None:
        (instances, hidden, results, self._gold), own = pickle.loads(snapshot)
        self._methods = Methods(instances, hidden)
        self._methods.results = results
        self._request, self._made, self._over, self.turn_index, self.done, self.task = own
        self.attach(self._methods)


class Methods:
    """The public methods of some instances as tools. ``results`` are the texts of all results so far."""

    def __init__(self, instances: Instances, hidden: Sequence[str] | set[str]) -> None:
        self.instances, self.hidden = instances, set(hidden)
        self.results: list[str] = []
        self._toolbox = self._box()

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        return self._toolbox.specs if self._toolbox is not None else ()

    def add(self, names: Sequence[str]) -> tuple[ToolSpec, ...]:
        """Stop hiding some functions; what they are."""
        self.hidden -= set(names)
        self._toolbox = self._box()
        return tuple(spec for spec in self.specs if spec.name in names)

    def _box(self) -> Toolbox | None:
        methods = [method for name, method in methods_of(self.instances).items() if name not in self.hidden]
        return Toolbox(methods) if methods else None

    def run(self, call: ToolCall) -> ToolResult:
        if self._toolbox is None:
            return no_such_tool(call.name, ())
        try:
            result = self._toolbox.run(call)
            text = as_text(result.value) if result.ok else result.text
        except Exception as error:  # as in the leaderboard, whatever a class raises is the result of the call
            result = ToolResult(text=f"Error during execution: {error}", failure="refused")
            text = result.text
        self.results.append(text)
        return ToolResult(text=render(text), value=result.value, failure=result.failure)


def methods_of(instances: Instances) -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {}
    for instance in instances.values():
        found |= {name: method for name, method in inspect.getmembers(instance, inspect.ismethod) if not name.startswith("_")}
    return found


def state_of(instance: object) -> dict[str, Any]:
    """The public attributes, which is what the leaderboard compares."""
    return {name: value for name, value in vars(instance).items() if not name.startswith("_")}


def as_text(value: object) -> str:
    """A result as the leaderboard compares it: texts as they are, dicts as JSON, all else as Python writes it."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value) if isinstance(value, dict) else str(value)
    except (TypeError, ValueError):
        return str(cast("object", value))


def parse_gold(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    """(function, positional arguments, named arguments) of a gold call such as "mv('a', target='b')". Raises ``ValueError`` for anything
    but one call with plain values: gold calls are read, never evaluated."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or any(k.arg is None for k in node.keywords):
            raise ValueError("it is no call function(value, name=value)")
        return node.func.id, [ast.literal_eval(a) for a in node.args], {str(k.arg): ast.literal_eval(k.value) for k in node.keywords}
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(f"gold call {text[:80]!r} cannot be read: {error}") from None


def run_gold(text: str, instances: Instances) -> str:
    """The result of a gold call, as text."""
    name, positional, named = parse_gold(text)
    method = methods_of(instances).get(name)
    if method is None:
        raise EnvFault(f"gold call {text[:80]!r}: none of {', '.join(instances)} has a method {name}")
    try:
        return as_text(method(*positional, **named))
    except Exception as error:  # as for the agent's calls
        return f"Error during execution: {error}"


def load_bfcl(
    questions: str | Path,
    answers: str | Path | None = None,
    split: SplitType = "test",
    *,
    skip_bad: bool = False,
    report: LoadReport | None = None,
) -> ListTaskSet:
    """Multi-turn tasks of the leaderboard: one JSON object a line with id, question, initial_config, involved_classes, and missed_function
    where functions come later; ``answers`` has id and ground_truth (or the questions have it). Raises ``ValueError`` for a bad row (with
    file and line; ``skip_bad`` counts it in ``report`` instead), and for none."""
    report = report or LoadReport(source=str(questions))
    truths: dict[str, Any] = {}
    if answers is not None:
        pairs = parsed(read_rows(answers), lambda row: (text_field(row, "id"), row.get("ground_truth")), LoadReport(source=str(answers)))
        truths = dict(pairs)

    def parse(row: Row) -> Task:
        id = text_field(row, "id")
        return _task(row, id, truths.get(id, row.get("ground_truth")), split)

    tasks = list(parsed(read_rows(questions), parse, report, skip_bad=skip_bad))
    if not tasks:
        raise ValueError(f"{questions}: no tasks")
    return ListTaskSet({split: (split, tasks)})


def _task(row: Row, id: str, truth: object, split: str) -> Task:
    turns, config, classes = row.get("question"), row.get("initial_config", {}), row.get("involved_classes")
    missed: object = row.get("missed_function") or {}
    for name, value, kind in (("question", turns, list), ("ground_truth", truth, list), ("involved_classes", classes, list)):
        if not isinstance(value, kind) or not value:
            raise BadRow(f"task {id!r}: {name} is no list with something in it")
    if not isinstance(config, dict) or not isinstance(missed, dict):
        raise BadRow(f"task {id!r}: initial_config or missed_function is no object")
    requests, gold = cast("list[list[Row]]", turns), cast("list[list[str]]", truth)
    if len(requests) != len(gold):
        raise BadRow(f"task {id!r}: {len(requests)} requests, but gold calls for {len(gold)}")
    messages = [[{"role": text_field(m, "role"), "content": text_field(m, "content", empty=True)} for m in request] for request in requests]
    try:
        for call in (call for calls in gold for call in calls):
            parse_gold(call)
    except ValueError as error:
        raise BadRow(f"task {id!r}: {error}") from None
    prompt = tuple(Message(role="system" if m["role"] == "system" else "user", content=m["content"]) for m in messages[0])
    data: dict[str, Any] = {"turns": messages, "config": config, "classes": classes, "gold": gold, "missed": missed}
    return Task(id=id, env_id=ENV_ID, split=split, prompt=prompt, data=data)


_SCRIPTS = f"{__name__.rsplit('.', 1)[0]}.scripts"
MANIFEST = Manifest(
    description="Multi-turn function calling as in the Berkeley leaderboard, checked after every request.",
    turn_reward_range=(0.0, 1.02),
    max_turns=30,
    random_score=0.05,
    scripts={
        "expert": f"{_SCRIPTS}:GoldCalls",
        "random": f"{_SCRIPTS}:RandomGoldCalls",
        "hack_spam": f"{_SCRIPTS}:EveryFunction",
        "hack_answer": f"{_SCRIPTS}:AllDone",
        "null": NULL,
        "echo": ECHO,
    },
    anchors=True,
    potentials=True,
    snapshots=True,
    tools=True,
)
