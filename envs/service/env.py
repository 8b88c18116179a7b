"""``ServiceEnv``: a customer-service agent between a user, a policy and a database.

message -> calls -> tools change the database, or text -> user answers -> progress, correctness, violations -> outcome as in tau-bench
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from ...records import Message, Observation, Outcome, Task, canonical_json
from ...rewards.tools import Call, match_score, state_progress
from ..base import Manifest
from ..scripts import ECHO, NULL
from ..search.world import SplitName
from ..tools.database import Change, Database, Rows, changes
from ..tools.dialects import Said
from ..tools.env import ToolEnv
from ..tools.tool import ToolResult
from ..users.played import user_of
from ..users.user import Goal, ScriptedUser, User
from .tasks import Holdout, Identity, ServiceTasks
from .world import ServiceWorld, expected_changes

DEFAULT_WEIGHTS: Mapping[str, float] = {"progress": 0.5, "correctness": 0.5, "violations": 0.2}
MAX_STATEMENT = 600
"""Characters of a message in which required information counts: dumping whole results is no answer."""
WORST_PROGRESS = -1.0
_WORD = re.compile(r"[\w.-]*\w")


class ServiceEnv(ToolEnv):
    """Base of Retail, Airline and Desk: tool calls change the database, text goes to the user.

    Rewards: ``progress``, change of the share of expected row changes made, less half for every other change, not below -1;
    ``correctness``, change of ToolRL's match between the calls that ran and the gold calls, over the episode at most the width of
    ``correctness_range``; ``violations``, minus the kinds of policy violations that are new; ``informed``, change of the share of
    required information given; ``executed`` and ``format``. Outcome (tau-bench, arXiv 2406.12045): 1 if the rows equal the
    expected ones, all required information was said and no rule of the policy was broken, else 0; an episode cut off scores 0.
    End: the user leaves, or the conversation is handed over.

    Arguments: ``tasks`` per split, ``requests`` per conversation (1 to 3), ``user`` ("scripted"; "told": says everything at once and
    agrees in advance; or what ``user_of`` takes), ``identity`` ("mixed": people say who they are in several ways; "number": by number),
    ``holdout`` ("entity" or "template"), ``templates`` to restrict the kinds of request, ``minds`` (chance of a change of mind),
    ``instructions`` in place of policy and signatures, ``dialect``, ``weights``, ``correctness_range`` (ToolRL's own is -3 to 3),
    ``max_turns`` (default ``turns``).
    """

    source: type[ServiceTasks]
    world: type[ServiceWorld]
    turns: int = 30

    components = ("format", "executed", "progress", "correctness", "violations", "informed")
    policy: str = ""
    """The document that the agent must obey."""
    consent_rule: str = "- Before you change anything, say what you are going to do and wait until the user says yes."

    breakdown = ("templates",)

    def __init__(
        self,
        *,
        tasks: int | Mapping[str, int] = 1000,
        requests: int = 1,
        user: str | Mapping[str, Any] | User = "scripted",
        identity: Identity = "mixed",
        holdout: Holdout = "entity",
        templates: Sequence[str] | None = None,
        minds: float = 0.25,
        instructions: str | None = None,
        dialect: str = "hermes",
        weights: Mapping[str, float] | None = None,
        correctness_range: Sequence[float] = (0.0, 1.0),
        max_turns: int | None = None,
    ) -> None:
        low, high = correctness_range
        if not low < high:
            raise ValueError(f"correctness_range is {low} to {high}; the second must be larger (ToolRL: -3 and 3)")
        source = self.source(tasks, requests=requests, identity=identity, holdout=holdout, templates=templates, minds=minds)
        weights = DEFAULT_WEIGHTS if weights is None else weights
        super().__init__(source, dialect=dialect, weights=weights, max_turns=self.turns if max_turns is None else max_turns)
        self.user: User = user_of(user)
        self.waits = not isinstance(self.user, ScriptedUser)
        self.instructions = instructions
        self._width = high - low
        self._tasks = source
        self._world: ServiceWorld | None = None
        self._begin([], Counter(), {})

    # ---- the episode -----------------------------------------------------------------------------------------------

    def start(self, task: Task) -> Observation:
        first = super().start(task)[0]
        greeting = self.user.begin(cast("Goal", task.data["user"]), self.np_random)
        assert self._world is not None
        self._world.agreed = greeting.agreed
        system = first if self.instructions is None else Message(role="system", content=self.instructions)
        return (system, Message(role="user", content=greeting.text))

    def open(self, task: Task) -> tuple[object, str]:
        split, number = cast("tuple[SplitName, int]", task.data["world"])
        snapshot, rows = self._tasks.start(split, number)
        if self._world is None:
            self._world = self.world(Database(snapshot))
        else:
            self._world.db.restore(snapshot)
            self._world = self.world(self._world.db)
        gold = [cast("list[Any]", task.data["find"]), *(c for s in task.data["steps"] for c in (*s["reads"], *s["writes"]))]
        self._begin([(str(name), arguments) for name, arguments in gold], expected_changes(self._world.db, task.data["edits"]), rows)
        self._writes = self._world.db.writes  # restored just now: nothing has changed
        self._needed = [str(text) for step in task.data["steps"] for text in step["inform"]]
        rules = f"{self.policy}\n{self.consent_rule}" if self.user.tell == "when_asked" else self.policy
        return self._world, rules

    def _begin(self, gold: Sequence[Call], wanted: Counter[Change], rows: Rows) -> None:
        self._gold, self._wanted, self._rows = gold, wanted, rows
        self._made: list[Call] = []
        self._needed: list[str] = []
        self._told: set[str] = set()
        self._share_told = 0.0
        self._writes: int = -1
        self._changes: Counter[Change] = Counter()
        self._progress = state_progress(self._changes, wanted)
        self._match = 0.0
        self._noted = 0
        self._left = False

    def hear(self, text: str) -> str:
        assert self._world is not None
        if len(text) <= MAX_STATEMENT:
            said = _words(text)
            self._told |= {needed for needed in self._needed if needed not in self._told and _contains(said, needed)}
        reply = self.user.hear(text)
        self._world.agreed = reply.agreed
        self._left = reply.over
        return reply.text

    def scored(self, said: Said, results: Sequence[ToolResult]) -> Mapping[str, float]:
        assert self._world is not None
        before = (self._progress, self._match, self._noted, self._share_told)
        self._look()
        made = [(c.name, _arguments(c.arguments)) for c, r in zip(said.calls, results, strict=False) if r.ok]
        if made:
            self._made += made
            score, highest = match_score(self._made, self._gold)
            self._match = score / highest
        self._noted = len(self._world.violations)
        told, self._share_told = before[3], len(self._told) / len(self._needed) if self._needed else 0.0
        return {
            "progress": self._progress - before[0],
            "correctness": self._width * (self._match - before[1]),
            "violations": float(before[2] - self._noted),
            "informed": self._share_told - told,
        }

    def _look(self) -> None:
        """Bring the row changes up to date, if anything was written."""
        assert self._world is not None
        if self._world.db.writes != self._writes:
            self._writes = self._world.db.writes
            self._changes = changes(self._rows, self._world.db.rows())
            self._progress = max(WORST_PROGRESS, state_progress(self._changes, self._wanted))

    def verdict(self) -> Outcome | None:
        if self._world is None or not (self._left or self._world.transferred):
            return None
        return self._judge(cut=False)

    def outcome(self) -> Outcome:
        return self._judge(cut=True)

    def _judge(self, *, cut: bool) -> Outcome:
        assert self._world is not None
        self._look()
        parts = {
            "database": float(self._changes == self._wanted),
            "informed": float(len(self._told) == len(set(self._needed))),
            "policy": float(not self._world.violations),
        }
        notes = ["the conversation was cut off"] * cut + [f"policy: {v}" for v in sorted(self._world.violations)]
        return Outcome(score=float(all(parts.values()) and not cut), components=parts, note="; ".join(notes))

    # ---- capabilities ----------------------------------------------------------------------------------------------

    def anchor(self) -> str:
        """Row changes, what the tools' guards know, where the user stands, and which calls have run."""
        assert self._world is not None
        self._look()
        made = sorted(canonical_json([n, dict(a)]) for n, a in self._made)
        key = [sorted(map(repr, self._changes.items())), self._world.state(), self.user.state(), made]
        return hashlib.sha256(canonical_json(key).encode("utf-8", "replace")).hexdigest()

    def potential(self) -> float:
        """Share of the expected row changes made, less half for every other change."""
        self._look()
        return self._progress

    def snapshot(self) -> bytes:
        assert self._world is not None
        assert self.task is not None
        state: dict[str, Any] = {
            "world": list(self.task.data["world"]),
            "gold": self._gold,
            "wanted": [[t, s, list(row), n] for (t, s, row), n in self._wanted.items()],
            "goal": self.task.data["user"],
            "guards": self._world.state(),
            "user": self.user.state(),
            "made": self._made,
            "needed": self._needed,
            "told": sorted(self._told),
            "share": self._share_told,
            "match": self._match,
            "noted": self._noted,
            "left": self._left,
            "turn": self.turn_index,
            "done": self.done,
        }
        head = json.dumps(state).encode()
        return len(head).to_bytes(8, "big") + head + self._world.db.snapshot()

    def restore(self, snapshot: bytes) -> None:
        length = int.from_bytes(snapshot[:8], "big")
        state = json.loads(snapshot[8 : 8 + length])
        if self._world is None:
            self._world = self.world(Database(snapshot[8 + length :]))
        else:
            self._world.db.restore(snapshot[8 + length :])
        self._world.resume(state["guards"])
        self.attach(self._world)
        wanted = Counter({(t, s, tuple(row)): n for t, s, row, n in state["wanted"]})
        self._begin([(n, a) for n, a in state["gold"]], wanted, self._tasks.start(*state["world"])[1])
        self._made = [(n, a) for n, a in state["made"]]
        self._needed, self._told, self._share_told = state["needed"], set(state["told"]), state["share"]
        self._match, self._noted, self._left = state["match"], state["noted"], state["left"]
        self._look()
        self.user.resume(state["goal"], state["user"])
        self.turn_index, self.done = state["turn"], state["done"]

    def close(self) -> None:
        if self._world is not None:
            self._world.db.close()
            self._world = None
        super().close()


def _arguments(text: str) -> dict[str, Any]:
    """Arguments of a call that ran, so they are a JSON object; no text at all means none."""
    return json.loads(text) if text.strip() else {}


def _words(text: str) -> str:
    """Lower case, without the commas inside numbers, between spaces: required information has to stand there as whole words."""
    plain = re.sub(r"(?<=\d),(?=\d)", "", text.lower())
    return f" {' '.join(_WORD.findall(plain))} "


@lru_cache(maxsize=4096)
def _needle(needed: str) -> str:
    return _words(needed)


def _contains(said: str, needed: str) -> bool:
    return _needle(needed) in said


def service_manifest(description: str, *, turns: int = 30, lowest: float = -2.5) -> Manifest:
    """What all customer-service worlds promise."""
    scripts = "turnwise.envs.service.scripts"
    return Manifest(
        description=description,
        turn_reward_range=(lowest, 2.5),
        max_turns=turns,
        random_score=0.1,
        scripts={
            "expert": f"{scripts}:Gold",
            "erring": f"{scripts}:Erring",
            "random": f"{scripts}:Calls",
            "hack_spam": f"{scripts}:Spam",
            "hack_talk": f"{scripts}:Talker",
            "null": NULL,
            "echo": ECHO,
        },
        anchors=True,
        potentials=True,
        snapshots=True,
        tools=True,
    )
