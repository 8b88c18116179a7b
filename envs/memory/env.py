"""``turnwise/Memory-v0``: temporal questions about a long dialogue in dated sessions, of which a few are needed (Memory-T1).

env = Memory(); env.reset(seed=0); env.step('<tool_call>{"name": "read_session", "arguments": {"session": "session_3"}}</tool_call>')
"""

from __future__ import annotations

import hashlib
import json
import math
import pickle
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal, cast

from ...records import Message, Observation, Outcome, StopReason, Task
from ...rewards import memory as rewards
from ...rewards.qa import token_f1
from ..base import Manifest, TurnResult
from ..scripts import ECHO, NULL
from ..tools.dialects import Said
from ..tools.env import ToolEnv
from ..tools.tool import ToolError, ToolResult, tool
from .dialogues import shown
from .tasks import Questions

DEFAULT_WEIGHTS: Mapping[str, float] = {"new_evidence": 0.5, "evidence": 0.2, "time": 0.2, "format": 0.02}
SEARCH_RESULTS = 5
_TOKEN = re.compile(r"[a-z0-9]+")
_ABOUT = (
    "Two people have talked with each other in many sessions, each with a date. Answer the question about what they told. Times are often "
    "told relative to the session's date, and some dates are corrected later. "
)
RULES = _ABOUT + (
    "Find and read the sessions that bear on it, then call answer with the sessions it rests on and the answer. There are {count} "
    "sessions, session_1 to session_{count}."
)
ONE_SHOT_RULES = _ABOUT + (
    'Reply with one JSON object and nothing else: {"selected_memory": ["session_k", ...], "answer": "..."}, where selected_memory are the '
    "sessions the answer rests on."
)


class Archive:
    """The tools, and what one episode has read and answered."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.sessions: dict[str, dict[str, Any]] = {s["id"]: s for s in cast("list[dict[str, Any]]", data["sessions"])}
        self.read: set[str] = set()
        self.answered: tuple[tuple[str, ...], str] | None = None
        self._words: dict[str, set[str]] = {}

    @tool
    def list_sessions(self) -> str:
        """List all sessions with their dates."""
        return "\n".join(f"{id}: {s['date']}" for id, s in self.sessions.items())

    @tool
    def read_session(self, session: str) -> str:
        """Read what was said in a session.

        Args:
            session: Id of the session, such as session_3.
        """
        self._known([session])
        self.read.add(session)
        return shown(self.sessions[session])

    @tool
    def search(self, query: str) -> str:
        """Find sessions in which words of the query occur, the best first. Tells ids and dates; read_session shows a session.

        Args:
            query: Words to look for.
        """
        wanted = set(_TOKEN.findall(query[:500].lower()))
        words = self._words = self._words or {
            id: set(_TOKEN.findall(" ".join(f"{a} {b}" for a, b in s["lines"]).lower())) for id, s in self.sessions.items()
        }
        found = Counter(w for have in words.values() for w in have & wanted)
        score = {id: sum(math.log(1 + len(words) / found[w]) for w in sorted(have & wanted)) for id, have in words.items()}
        best = sorted((id for id in words if score[id] > 0), key=lambda id: -score[id])[:SEARCH_RESULTS]
        return "\n".join(f"{id}: {self.sessions[id]['date']}" for id in best) or "No session has any of these words."

    @tool
    def answer(self, selected_memory: list[str], answer: str) -> str:
        """Answer the question. This ends the task.

        Args:
            selected_memory: Ids of the sessions that the answer rests on.
            answer: The answer, in the form the question asks for.
        """
        self._known(selected_memory)
        self.answered = (tuple(selected_memory), answer)
        return "done"

    def _known(self, ids: Sequence[str]) -> None:
        unknown = [id[:40] for id in ids if id not in self.sessions]
        if unknown:
            raise ToolError(f"there is no session {unknown[0]!r}; the sessions are session_1 to session_{len(self.sessions)}")


class Memory(ToolEnv):
    """Find the sessions of a long dialogue that a temporal question is about, and answer it.

    Actions: calls of ``list_sessions``, ``read_session``, ``search`` and ``answer``, written as ``dialect`` says; with
    ``form="one_shot"``, as in the paper, the whole dialogue is in the prompt and the only action is the JSON
    ``{"selected_memory": [...], "answer": "..."}``. Observations: the results.
    Rewards, weighted by ``weights`` (0 or left out: absent; empty: turns are not scored): ``new_evidence``, share of the needed sessions
    read for the first time; at the answer ``evidence`` and ``time``, Memory-T1's rewards of the sessions selected; ``format``, the message
    could be read; ``executed``, share of calls that ran (0).
    Outcome: ``outcome_metric`` "accuracy" (of the answer, by the kind of question), or "memory_t1" (0.6 accuracy + 0.2 evidence + 0.2
    time, -1 for no readable answer). Success is an accuracy of 1 either way. An answer given before any needed session was read is a
    guess: accuracy as a score and success are 0 then (not in the one-shot form, where everything is read). Components: ``accuracy``,
    ``evidence``, ``time``, ``memory_t1``. Text similarity, which the time reward needs, is token F1 with the question (ours).
    Start: a question. End: the answer; in the one-shot form, the first message. Truncated after ``max_turns``.
    Arguments: ``sessions`` of a dialogue (8 to 100), ``kinds`` of questions, ``tasks`` per split, ``form``, ``outcome_metric``,
    ``dialect``, ``weights``, ``max_turns``. Version 0.
    """

    components = ("new_evidence", "evidence", "time", "format", "executed")

    breakdown = ("kind",)

    def __init__(
        self,
        sessions: int = 16,
        *,
        kinds: Sequence[str] = (),
        tasks: int = 1000,
        form: Literal["tools", "one_shot"] = "tools",
        outcome_metric: Literal["accuracy", "memory_t1"] = "accuracy",
        dialect: str = "hermes",
        weights: Mapping[str, float] | None = None,
        max_turns: int = 12,
    ) -> None:
        for what, given, allowed in (("form", form, ("tools", "one_shot")), ("outcome_metric", outcome_metric, ("accuracy", "memory_t1"))):
            if given not in allowed:
                raise ValueError(f"{what} is {given!r}; allowed: {', '.join(allowed)}")
        weights = DEFAULT_WEIGHTS if weights is None else weights
        super().__init__(Questions(sessions, kinds, tasks), dialect=dialect, weights=weights, max_turns=max_turns)
        self.form, self.metric = form, outcome_metric
        self._archive = Archive({"sessions": []})
        self._data: Mapping[str, Any] = {}
        self._gold: set[str] = set()
        self._before = 0

    def start(self, task: Task) -> Observation:
        if self.form == "tools":
            return super().start(task)
        self.open(task)
        dialogue = "\n\n".join(shown(s) for s in self._archive.sessions.values())
        question = Message(role="user", content=f"{dialogue}\n\nQuestion: {task.data['question']}")
        return (Message(role="system", content=ONE_SHOT_RULES), question)

    def open(self, task: Task) -> tuple[object, str]:
        self._data, self._gold, self._before = task.data, set(cast("list[str]", task.data["gold"])), 0
        self._archive = Archive(task.data)
        return self._archive, RULES.format(count=len(self._archive.sessions))

    def act(self, action: Message) -> TurnResult:
        return super().act(action) if self.form == "tools" else self._one_shot(action.text)

    def _one_shot(self, text: str) -> TurnResult:
        parsed = read_output(text)
        self._archive.answered = parsed
        components = self._weigh(Said(text=text, problem="" if parsed else "no JSON", formatted=parsed is not None), ())
        reward = sum(components.values()) if components else None
        stop = None if parsed else StopReason.INVALID_ACTION
        return TurnResult(reward=reward, components=components, action_valid=parsed is not None, outcome=self.outcome(), stop=stop)

    def scored(self, said: Said, results: Sequence[ToolResult]) -> Mapping[str, float]:
        del results
        read = len(self._archive.read & self._gold)
        new, self._before = read - self._before, read
        values = {"new_evidence": new / len(self._gold)}
        if self.form == "tools" and not said.calls:
            values["format"] = 0.0  # nobody listens, and empty messages must not pay
        if self._archive.answered is not None:
            values |= self._selection(self._archive.answered[0])
        return values

    def _selection(self, selected: Sequence[str]) -> dict[str, float]:
        """Memory-T1's evidence and time rewards; ids of no session (possible in the one-shot form only) have no time."""
        gold = rewards.day_range(*cast("list[str]", self._data["range"]))
        question = str(self._data["question"])
        sessions = [self._archive.sessions[id] for id in dict.fromkeys(selected) if id in self._archive.sessions]
        timed = [
            (
                float(date.fromisoformat(s["date"]).toordinal()),
                [rewards.EventTime(token_f1(e["text"], question), rewards.day_range(e["start"], e["end"])) for e in s["events"]],
            )
            for s in sessions
        ]
        return {"evidence": rewards.evidence(selected, self._gold), "time": rewards.time_consistency(timed, gold)}

    def verdict(self) -> Outcome | None:
        return None if self._archive.answered is None else self.outcome()

    def outcome(self) -> Outcome:
        answered = self._archive.answered
        if answered is None:
            parts = {"accuracy": 0.0, "evidence": -1.0, "time": 0.0, "memory_t1": rewards.INVALID}
            return Outcome(score=rewards.INVALID if self.metric == "memory_t1" else 0.0, success=False, components=parts, note="no answer")
        accuracy = accuracy_of(str(self._data["kind"]), answered[1], self._data["answer"])
        parts = {"accuracy": accuracy, **self._selection(answered[0])}
        parts["memory_t1"] = rewards.memory_t1(accuracy, parts["evidence"], parts["time"])
        guessed = self.form == "tools" and not self._archive.read & self._gold
        earned = 0.0 if guessed else accuracy
        score = rewards.memory_t1(earned, parts["evidence"], parts["time"]) if self.metric == "memory_t1" else earned
        note = "answered before any session that bears on the question was read" if guessed else ""
        return Outcome(score=score, success=earned == 1.0, components=parts, note=note)

    def anchor(self) -> str:
        """The task and the sessions read."""
        key = [self.task.hash if self.task else "", *sorted(self._archive.read)]
        return hashlib.sha256("\n".join(key).encode()).hexdigest()

    def potential(self) -> float:
        """Share of the needed sessions that were read (the one-shot form: 1, all are in the prompt)."""
        if self.form == "one_shot":
            return 1.0
        return len(self._archive.read & self._gold) / len(self._gold) if self._gold else 0.0

    def snapshot(self) -> bytes:
        archive = self._archive
        return pickle.dumps((self.task, sorted(archive.read), archive.answered, self._before, self.turn_index, self.done))

    def restore(self, snapshot: bytes) -> None:
        """Unpickles: take only snapshots of your own."""
        self.task, read, answered, before, self.turn_index, self.done = pickle.loads(snapshot)
        assert self.task is not None
        self.open(self.task)
        self._archive.read, self._archive.answered, self._before = set(read), answered, before
        self.attach(self._archive)


def accuracy_of(kind: str, answer: str, gold: Any) -> float:
    """Memory-T1's accuracy by kind of question."""
    if kind == "days":
        return rewards.days_accuracy(answer, int(gold))
    if kind == "timeline":
        return rewards.timeline_accuracy(answer, cast("list[str]", gold))
    if kind in ("range", "first"):
        return rewards.set_accuracy(answer, cast("list[str]", gold) if isinstance(gold, list) else [str(gold)])
    return rewards.option_accuracy(answer, str(gold))


def read_output(text: str) -> tuple[tuple[str, ...], str] | None:
    """Sessions and answer of the one-shot form's JSON (after ``</think>``, in a code fence or bare), or None."""
    inside = text.rpartition("</think>")[2].strip()
    fence = re.fullmatch(r"```(?:json)?\s(.*)```", inside, re.DOTALL)
    try:
        value = json.loads(fence[1] if fence else inside)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    given = cast("dict[str, Any]", value)
    selected, answer = given.get("selected_memory"), given.get("answer")
    if isinstance(answer, int) and not isinstance(answer, bool):
        answer = str(answer)
    if not isinstance(selected, list) or not isinstance(answer, str):
        return None
    ids = cast("list[Any]", selected)
    return (tuple(ids), answer) if all(isinstance(id, str) for id in ids) else None


_SCRIPTS = "turnwise.envs.memory.scripts"
MANIFEST = Manifest(
    description="Temporal questions about a long dialogue in dated sessions; accuracy, evidence and time (Memory-T1).",
    turn_reward_range=(-0.35, 0.92),
    max_turns=12,
    random_score=0.4,
    scripts={
        "expert": f"{_SCRIPTS}:Expert",
        "searcher": f"{_SCRIPTS}:Searcher",
        "random": f"{_SCRIPTS}:RandomReader",
        "hack_spam": f"{_SCRIPTS}:Spam",
        "hack_blind": f"{_SCRIPTS}:Blind",
        "null": NULL,
        "echo": ECHO,
    },
    anchors=True,
    potentials=True,
    snapshots=True,
    tools=True,
)
