"""``turnwise/Intent-v0``: find out what somebody who asked for too little wants, a question at a time.

env = Intent(); env.reset(seed=0); env.step("On which day?"); env.step('<tool_call>{"name": "submit", ...}</tool_call>')
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, cast

import numpy as np

from ...records import Json, Message, Observation, Outcome, Task, canonical_json
from ...rewards.users import intention
from ..base import Manifest, Rng
from ..scripts import ECHO, NULL
from ..search.world import SPLITS, SplitName, word
from ..tasks import Split, TaskSet
from ..tools.dialects import Said
from ..tools.env import ToolEnv
from ..tools.tool import ToolError, ToolResult, tool
from .domains import DOMAINS
from .played import user_of
from .talk import Talk
from .user import Fact, Goal, ScriptedUser, User, asked_for

ENV_ID = "turnwise/Intent-v0"
Holdout: TypeAlias = Literal["entity", "template"]
MAX_TURNS = 12
IMPORTANT = 2
"""From this importance on a detail must be in what is submitted."""
DEFAULT_WEIGHTS: Mapping[str, float] = {"intention": 1.0}
_IDLE = (
    "a an the at in on by for to of with about up most max maximum from until and i we my our it is be will us",
    "people persons guests nights days euros euro eur rooms inch inches gb kg seats tickets minutes years old street number row hours",
)
"""Words that say nothing of a value, and units."""
_NOTHING, _UNITS = (frozenset(words.split()) for words in _IDLE)


class Desk(Talk):
    """The tools, and what is known of one episode. ``data`` is the task's."""

    def __init__(self, user: User, data: Mapping[str, Any]) -> None:
        super().__init__(user)
        self.data = data
        self.found: set[str] = set()
        self.asked, self.new = 0, list[int]()
        """Of the present turn: how many details were asked for, and the importance of what was found."""
        self.submitted: dict[str, str] | None = None

    @property
    def fields(self) -> list[str]:
        return self.data["fields"]

    @property
    def facts(self) -> dict[str, Fact]:
        return cast("Goal", self.data["user"])["requests"][0]["facts"]

    @tool
    def submit(self, details: dict[str, str | int | float]) -> str:
        """Hand in what the user wants. This ends the conversation.

        Args:
            details: Field of the form -> value. Leave out what the user does not care about.
        """
        unknown = sorted(set(details) - set(self.fields))
        if unknown:
            raise ToolError(f"the form has no field {unknown[0][:40]!r}; its fields: {', '.join(self.fields)}")
        self.submitted = {name: str(value) for name, value in details.items() if str(value).strip()}
        return "submitted"

    def listen(self, text: str, answer: str) -> None:
        names = asked_for(self.facts, text)
        self.asked += len(names)
        for name in names:
            level = cast("dict[str, int]", self.data["missing"]).get(name)
            if level is not None and name not in self.found and _tells(answer, self.data["wanted"][name]):
                self.found.add(name)
                self.new.append(level)


class Intent(ToolEnv):
    """Clarify an ambiguous request: ask for what is missing, then submit what the user wants.

    Actions: plain text or ``ask`` for the user, ``submit`` once. Observations: the user's answers. Rewards: ``intention`` (UserRL, arXiv
    2509.19736), the worth of the most important missing detail that the turn's answers told (importance 3: 1, 2: 0.7, 1: 0.4) less 0.2
    for every further detail of the form asked for in the same turn; ``format``; ``executed``. Outcome: 1 if every important detail
    (importance 2 and 3) is submitted with its value and nothing else but right details, else 0. Start: the request, which gives some
    details. End: ``submit``; truncated after ``max_turns`` with 0. Arguments: ``user`` ("scripted", or a mapping, see ``user_of``);
    ``holdout``, what is new in test: "entity" (made-up names) or "template" (the domains too); ``domains`` in use; ``tasks`` per split;
    ``instructions`` in place of rules and signatures; ``dialect``, ``weights``, ``max_turns``. Version 0.
    """

    components = ("format", "executed", "intention")

    breakdown = ("domain",)

    def __init__(
        self,
        *,
        user: str | Mapping[str, Any] = "scripted",
        holdout: Holdout = "entity",
        domains: Sequence[str] | None = None,
        tasks: int = 1000,
        instructions: str | None = None,
        dialect: str = "hermes",
        weights: Mapping[str, float] | None = None,
        max_turns: int = MAX_TURNS,
    ) -> None:
        super().__init__(
            Wishes(tasks, holdout=holdout, domains=domains),
            dialect=dialect,
            weights=DEFAULT_WEIGHTS if weights is None else weights,
            max_turns=max_turns,
        )
        self.instructions = instructions
        self._user = user_of(user)
        self.waits = not isinstance(self._user, ScriptedUser)
        self._desk = Desk(self._user, {})

    def start(self, task: Task) -> Observation:
        first = super().start(task)[0]
        system = first if self.instructions is None else Message(role="system", content=self.instructions)
        reply = self._user.begin(cast("Goal", task.data["user"]), self.np_random)
        return (system, Message(role="user", content=reply.text))

    def open(self, task: Task) -> tuple[object, str]:
        self._desk = Desk(self._user, task.data)
        rules = (
            "The user has a wish and has told you too little. Find out what matters to them with questions, one thing at a time, and "
            f"submit exactly what they want. The form has these fields: {', '.join(self._desk.fields)}. Users do not care about all of "
            "them: leave those out, never guess a value. Write values as short as the user does."
        )
        return self._desk, rules

    def hear(self, text: str) -> str:
        return self._desk.say(text)

    def scored(self, said: Said, results: Sequence[ToolResult]) -> Mapping[str, float]:
        del said, results
        desk = self._desk
        worth = intention(desk.new, desk.asked)
        desk.asked, desk.new = 0, []
        return {"intention": worth}

    def verdict(self) -> Outcome | None:
        given = self._desk.submitted
        if given is None:
            return None
        wanted, important = cast("dict[str, str]", self._desk.data["wanted"]), cast("list[str]", self._desk.data["important"])
        right = {name for name, value in given.items() if name in wanted and same(value, wanted[name])}
        parts = {"complete": sum(name in right for name in important) / len(important), "exact": float(len(right) == len(given))}
        wrong = [f"{name}: {given[name][:40]!r}" for name in given if name not in right]
        notes = [f"missing {name}" for name in important if name not in given] + [f"not wanted {text}" for text in wrong]
        return Outcome(score=float(parts["complete"] == parts["exact"] == 1), components=parts, note="; ".join(notes))

    # ---- capabilities ----------------------------------------------------------------------------------------------

    def anchor(self) -> str:
        """What has been found out, and the user's mood."""
        state = [sorted(self._desk.found), cast("Json", self._user.state())]
        return hashlib.sha256(canonical_json(state).encode()).hexdigest()

    def potential(self) -> float:
        """Share of the missing details' importance that has been found out."""
        missing = cast("dict[str, int]", self._desk.data["missing"])
        return sum(missing[name] for name in self._desk.found) / sum(missing.values())

    def snapshot(self) -> bytes:
        desk = self._desk
        state: dict[str, Any] = {"data": dict(desk.data), "found": sorted(desk.found), "user": self._user.state()}
        state |= {"gone": desk.gone, "submitted": desk.submitted, "turn": self.turn_index, "done": self.done}
        return json.dumps(state).encode()

    def restore(self, snapshot: bytes) -> None:
        saved = json.loads(snapshot)
        self._user.resume(saved["data"]["user"], saved["user"])
        self._desk = Desk(self._user, saved["data"])
        self._desk.found, self._desk.gone, self._desk.submitted = set(saved["found"]), saved["gone"], saved["submitted"]
        self.attach(self._desk)
        self.turn_index, self.done = saved["turn"], saved["done"]


def same(value: str, wanted: str) -> bool:
    """Whether two values say the same: equal words in lower case, without articles, prepositions and units; "7 nights" is "7"."""
    left, right = _words(value), _words(wanted)
    return bool(left) and left == right


def _words(text: str) -> list[str]:
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text.casefold())
    words = cast("list[str]", re.findall(r"[^\W_]+(?:[.:'-][^\W_]+)*", plain))
    kept = [w.removesuffix(".0") for w in words if w not in _NOTHING]
    return [w for w in kept if w not in _UNITS] or kept


def _tells(answer: str, value: str) -> bool:
    """Whether the words of ``value`` stand in ``answer``, one after the other."""
    heard, wanted = _words(answer), _words(value)
    return any(heard[n : n + len(wanted)] == wanted for n in range(len(heard) - len(wanted) + 1))


class Wishes(TaskSet):
    """``count`` tasks a split, the domains in turn. Names of different splits are made of different words; under ``holdout`` "template"
    half of the domains are of train, a quarter each of validation and test. Raises ``ValueError`` for what is unknown, or leaves a split
    without a domain."""

    def __init__(self, count: int = 1000, *, holdout: Holdout = "entity", domains: Sequence[str] | None = None) -> None:
        if count < 1:
            raise ValueError(f"tasks is {count}; it must be at least 1")
        if holdout not in ("entity", "template"):
            raise ValueError(f"holdout is {holdout!r}; allowed: entity, template")
        names = list(DOMAINS if domains is None else domains)
        unknown = [name for name in names if name not in DOMAINS]
        if unknown or not names:
            raise ValueError(f"domains are {names}; allowed: at least one of {', '.join(DOMAINS)}")
        if holdout == "template" and len(names) < 4:
            raise ValueError(f"holdout 'template' divides the domains among the splits; {len(names)} are too few, name 4 or more")
        shares = {"train": names[::2], "validation": names[1::4], "test": names[3::4]}
        self.domains = {split: names if holdout == "entity" else shares[split] for split in SPLITS}
        self.count = count

    def list_splits(self) -> list[Split]:
        return [Split(name=name, type=name, num_tasks=self.count) for name in SPLITS]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        name = cast("SplitName", split)
        chosen = self.domains[name][index % len(self.domains[name])]
        rng = np.random.default_rng(np.random.SeedSequence([SPLITS.index(name), index, list(DOMAINS).index(chosen), 11]))
        data, opening = _wish(chosen, word(name, index, 0), rng)
        prompt = (Message(role="user", content=opening),)
        return Task(id=f"{split}-{chosen}-{index}", env_id=ENV_ID, split=split, prompt=prompt, data=data)


def _wish(chosen: str, name: str, rng: Rng) -> tuple[dict[str, Any], str]:
    """Private data of a task, and the request as it is worded. The made-up name and one more important detail are always missing."""
    domain = DOMAINS[chosen]
    values = {field: str(rng.choice(f.values)).format(name=name) for field, f in domain.fields.items()}
    named = next(field for field, f in domain.fields.items() if f.values == ("{name}",))
    order = [str(field) for field in rng.permutation([f for f in domain.fields if f != named])]
    second = next(field for field in order if domain.fields[field].importance == 3)
    order.remove(second)
    given, indifferent = order[:1], order[1 : 2 + int(rng.integers(2))]
    facts = {field: Fact(say=f.say.format(values[field]), asked=list(f.asked)) for field, f in domain.fields.items()}
    for field in indifferent:
        facts[field]["say"] = f"The {field} does not matter to me."
    missing = {field: f.importance for field, f in domain.fields.items() if field not in (*given, *indifferent)}
    wanted = {field: value for field, value in values.items() if field not in indifferent}
    opening = " ".join([str(rng.choice(domain.requests)), *(facts[field]["say"] for field in given)])
    user: Goal = {"opening": [""], "facts": {}, "requests": [{"say": [opening], "facts": facts}]}
    data: dict[str, Any] = {
        "domain": chosen,
        "fields": list(domain.fields),
        "user": user,
        "wanted": wanted,
        "missing": missing,
        "important": [field for field in wanted if domain.fields[field].importance >= IMPORTANT],
    }
    return data, opening


_SCRIPTS = f"{__name__}_scripts"
MANIFEST = Manifest(
    description="Clarify an ambiguous request; a turn is worth the most important detail it finds.",
    turn_reward_range=(-1.2, 1.0),
    max_turns=MAX_TURNS,
    random_score=0.4,
    scripts={
        "expert": f"{_SCRIPTS}:Clarify",
        "random": f"{_SCRIPTS}:RandomClerk",
        "erring": f"{_SCRIPTS}:Erring",
        "ask_all": f"{_SCRIPTS}:AskAll",
        "hack_spam": f"{_SCRIPTS}:Spam",
        "hack_guess": f"{_SCRIPTS}:Guess",
        "hack_skip": f"{_SCRIPTS}:Skip",
        "null": NULL,
        "echo": ECHO,
    },
    anchors=True,
    potentials=True,
    snapshots=True,
    tools=True,
)
