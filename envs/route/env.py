"""``turnwise/Route-v0``: questions that other models have to be asked; which of them knows, and at what price, is described (Router-R1).

env = Route(); env.reset(seed=0); env.step("<think>A date.</think><search>Elm: birth year of Bomi Neru</search>")
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from ...records import Message, Observation, Outcome, StopReason, Task
from ...rewards import qa
from ...rewards import route as rewards
from ...rewards.search import new_sub_answers, turn_format
from ..base import Env, Manifest, TurnResult
from ..scripts import ECHO, NULL
from ..search.loaders import load_tasks
from ..search.world import Names
from ..tasks import ListTaskSet, SplitType, TaskSet
from .models import RoutedModel, SimulatedModel, endpoint_models
from .tasks import Questions

DEFAULT_WEIGHTS: Mapping[str, float] = {"found": 0.5, "cost": 0.2, "format": 0.02}
_METRICS = ("em", "f1")
_SHOWN = 60
_RULES = (
    "Answer the question. Think inside <think> and </think> first. You may ask other models: write <search>Name: query</search> with the "
    "name of one model and one question without a colon; what it says comes back between <information> and </information>. Models differ "
    "in price and in what they know, and some are wrong; you pay for their answers. Each message thinks, then asks one model or answers. "
    "When you know the answer, write only it between <answer> and </answer>.\n\nModels (price per million tokens):\n"
)
_HOW = "Nothing to do was found in that message. Write <search>Name: query</search> to ask a model or <answer>answer</answer> to answer."


class Route(Env):
    """Ask models, then answer.

    Actions: ``<think>..</think><search>Name: query</search>`` or ``<think>..</think><answer>..</answer>``; the first complete search
    or answer of a message counts. Observations: ``<information>..</information>`` with the model's words, or why there are none.
    Rewards, weighted by ``weights`` (0 or left out: absent; empty: turns are not scored): ``found``, share of the needed facts that
    a model named for the first time; ``cost``, the change of ``pool_cost_reward`` (0 or less; over an episode at least -1), where the
    most is the dearest single answer of the task's own pool; ``format``, the turn is one think, then one search or answer.
    Outcome: the answer's ``metric`` ("em" or "f1"), and 0 where ``router_format`` is -1 (unless ``format_gate`` is off). Cost is no part of
    it. Its components hold ``em``, ``f1``, ``format`` (0 or -1), ``cost`` (tokens times price) and ``calls``, from which
    ``rewards.route.RouterReward`` makes Router-R1's blended reward in the trainer.
    Start: a question and the pool of models. End: the answer; truncated after ``max_turns``.
    Arguments: ``hops`` (1, 2 or both), ``size`` and ``names`` of the worlds (see ``search.world``), ``tasks`` per split;
    ``instructions`` in place of the rules above the list of models; or ``path``, rows of a question-answering file in
    ``format`` of ``search.loaders``, one file (test) or one per split; ``models``, real ones: ``[{name, price, description, endpoint}]``
    (needed with ``path``); ``metric``, ``format_gate``, ``weights``, ``max_turns``. Version 0.
    """

    def __init__(
        self,
        hops: Sequence[int] = (1, 2),
        *,
        size: int = 400,
        names: Names = "made-up",
        tasks: int = 1000,
        instructions: str | None = None,
        path: str | Mapping[str, str] | None = None,
        format: str = "qa",
        models: Sequence[Mapping[str, Any]] | None = None,
        metric: Literal["em", "f1"] = "em",
        format_gate: bool = True,
        weights: Mapping[str, float] | None = None,
        max_turns: int = 6,
    ) -> None:
        weights = dict(DEFAULT_WEIGHTS if weights is None else weights)
        for what, given, allowed in (("turn reward", set(weights), DEFAULT_WEIGHTS), ("metric", {metric}, _METRICS)):
            if given - set(allowed):
                raise ValueError(f"unknown {what} {sorted(given - set(allowed))}; allowed: {', '.join(allowed)}")
        if path is not None and models is None:
            raise ValueError("path gives real questions, which simulated models know nothing of; give models= with endpoints too")
        super().__init__(Questions(hops, size, tasks, names) if path is None else _load(path, format), max_turns=max_turns)
        self.weights = {name: weight for name, weight in weights.items() if weight}
        self.metric, self.format_gate = metric, format_gate
        self.rules = _RULES if instructions is None else f"{instructions}\n"
        self._own = None if models is None else endpoint_models(models)
        self.waits = models is not None
        self._models: dict[str, RoutedModel] = {}
        self._wanted: list[str] = []
        self._answers: list[str] = []
        self._most = 0.0
        self._reset()

    def _reset(self) -> None:
        self._transcript: list[str] = []
        self._told: list[str] = []
        self._found: set[int] = set()
        self._cost, self._calls = 0.0, 0

    def start(self, task: Task) -> Observation:
        self._reset()
        self._open(task)
        pool = "\n".join(f"- {m.name} ({m.price:g}): {m.description}" for m in self._models.values())
        return (Message(role="system", content=self.rules + pool), *task.prompt)

    def _open(self, task: Task) -> None:
        models = self._own or simulated(task)
        self._models = {m.name.lower(): m for m in models}
        self._most = max(m.price * m.max_tokens for m in models)
        self._answers = [str(a) for a in task.data["answers"]]
        hops = cast("list[dict[str, Any]]", task.data.get("hops", []))
        self._wanted = [str(h["answer"]) for h in hops if h.get("answer")] or self._answers[:1]

    def act(self, action: Message) -> TurnResult:
        text = action.text
        self._transcript.append(text)
        formatted = turn_format(text)
        block = _first(text)
        if block is None:
            return self._turn(_HOW, {"format": formatted}, valid=False)
        kind, content = block
        if kind == "answer":
            components = self._components({"format": formatted})
            outcome = self._judge(content)
            stop = None if content else StopReason.GAVE_UP
            return TurnResult(reward=sum(components.values()) if components else None, components=components, outcome=outcome, stop=stop)
        return self._route(text, content, formatted)

    def _route(self, text: str, content: str, formatted: float) -> TurnResult:
        name, colon, query = (part.strip() for part in content.partition(":"))
        model = self._models.get(name.lower())
        if model is None or not any(c.isalnum() for c in query):
            problem = f"there is no model {name[:_SHOWN]!r}" if model is None else "the query is empty"
            names = ", ".join(m.name for m in self._models.values())
            how = f"Write <search>Name: query</search>; the models are {names}." if colon else f"Write Name: query; the models are {names}."
            return self._turn(self._inform(f"None ({problem})") + f"\n{how}", {"format": formatted}, valid=False)
        reply = model.ask(query)
        before = rewards.pool_cost_reward(self._cost, self._most)
        self._cost += reply.tokens * model.price
        self._calls += 1
        new = new_sub_answers([reply.text], self._found, self._wanted)
        self._found |= new
        values = {
            "found": len(new) / len(self._wanted),
            "cost": rewards.pool_cost_reward(self._cost, self._most) - before,
            "format": formatted,
        }
        self._told.append(f"{model.name}: {reply.text}")
        note = "\nOnly the first search of a message is carried out." if text.count("<search>") > 1 else ""
        return self._turn(self._inform(reply.text or "None (the model said nothing)") + note, values, valid=True)

    def _inform(self, text: str) -> str:
        block = f"<information>{text.replace('<', '(').replace('>', ')')}</information>"
        self._transcript.append(block)
        return block

    def _turn(self, text: str, values: Mapping[str, float], *, valid: bool) -> TurnResult:
        components = self._components(values)
        reward = sum(components.values()) if components else None
        return TurnResult(observation=(Message(role="user", content=text),), reward=reward, components=components, action_valid=valid)

    def _components(self, values: Mapping[str, float]) -> dict[str, float]:
        return {name: weight * values.get(name, 0.0) for name, weight in self.weights.items()}

    def outcome(self) -> Outcome:
        """No answer was given."""
        return self._judge("")

    def _judge(self, answer: str) -> Outcome:
        scores = {
            "em": qa.exact_match(answer, self._answers) if answer else 0.0,
            "f1": qa.hotpot_f1(answer, self._answers) if answer else 0.0,
        }
        form = rewards.router_format("\n".join(self._transcript), self._models)
        score = scores[self.metric] if form == 0.0 or not self.format_gate else 0.0
        note = "" if answer else "no answer was given"
        if answer and form < 0:
            note = "the episode does not keep to the format"
        components = {**scores, "format": form, "cost": self._cost, "calls": float(self._calls)}
        return Outcome(score=score, components=components, note=note)

    def anchor(self) -> str:
        """The task and what the models have said, whatever the order."""
        key = [self.task.hash if self.task else "", *sorted(self._told)]
        return hashlib.sha256("\n".join(key).encode("utf-8", "replace")).hexdigest()

    def potential(self) -> float:
        """The share of the needed facts that models have named."""
        return len(self._found) / len(self._wanted) if self._wanted else 0.0

    def snapshot(self) -> bytes:
        state = (self.task, self._transcript, self._told, self._found, self._cost, self._calls, self.turn_index, self.done)
        return pickle.dumps(state)

    def restore(self, snapshot: bytes) -> None:
        """Raises what ``pickle`` raises for bytes that are no snapshot; unpickles them, so take only snapshots of your own."""
        self.task, self._transcript, self._told, self._found, self._cost, self._calls, self.turn_index, self.done = pickle.loads(snapshot)
        if self.task is not None:
            self._open(self.task)


def simulated(task: Task) -> tuple[SimulatedModel, ...]:
    """The pool a generated task brings. Raises ``ValueError`` for a task without one."""
    rows, hops = cast("list[dict[str, Any]] | None", task.data.get("models")), task.data.get("hops")
    if not rows or not hops:
        raise ValueError(f"task {task.id!r} brings no simulated models; give models= with endpoints")
    return tuple(SimulatedModel(**row, hops=hops) for row in rows)


def _first(text: str) -> tuple[str, str] | None:
    """Tag and stripped content of the first complete search or answer."""
    found: list[tuple[int, str, str]] = []
    for tag in ("search", "answer"):
        start = text.find(f"<{tag}>")
        end = text.find(f"</{tag}>", start) if start >= 0 else -1
        if end >= 0:
            found.append((start, tag, text[start + len(tag) + 2 : end].strip()))
    return min(found)[1:] if found else None


def _load(path: str | Mapping[str, str], format: str) -> TaskSet:
    files: Mapping[str, str] = path if isinstance(path, Mapping) else {"test": path}
    unknown = sorted(set(files) - {"train", "validation", "test"})
    if unknown or not files:
        raise ValueError(f"splits are {unknown or 'missing'}; allowed: train, validation, test")
    loaded = {split: load_tasks(file, format=format, split=split)[0] for split, file in files.items()}
    return ListTaskSet({split: (cast("SplitType", split), found) for split, found in loaded.items()})


_SCRIPTS = "turnwise.envs.route.scripts"
MANIFEST = Manifest(
    description="Questions to be routed to models that differ in price and knowledge; format, answer and cost (Router-R1).",
    turn_reward_range=(-0.2, 0.52),
    max_turns=6,
    random_score=0.2,
    scripts={
        "expert": f"{_SCRIPTS}:Cheapest",
        "dearest": f"{_SCRIPTS}:Dearest",
        "erring": f"{_SCRIPTS}:Erring",
        "random": f"{_SCRIPTS}:RandomRoutes",
        "hack_spam": f"{_SCRIPTS}:Spam",
        "hack_blind": f"{_SCRIPTS}:Blind",
        "hack_inject": f"{_SCRIPTS}:Inject",
        "null": NULL,
        "echo": ECHO,
    },
    anchors=True,
    potentials=True,
    snapshots=True,
)
