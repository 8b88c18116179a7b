"""Scripted agents for ``turnwise/Memory-v0``; expert, blind and random ones play both forms."""

from __future__ import annotations

import json
from typing import Any, cast

from ...records import Observation, Task
from ..base import Rng
from ..tools.dialects import DIALECTS
from .env import ONE_SHOT_RULES


class Expert:
    """Reads the needed sessions one by one, then answers."""

    def __init__(self, dialect: str = "hermes") -> None:
        self._dialect = DIALECTS[dialect]()

    def reset(self, task: Task, rng: Rng) -> None:
        self.rng, self.data, self.number = rng, task.data, 0
        self.gold = cast("list[str]", task.data["gold"])
        self.ids = [str(s["id"]) for s in cast("list[dict[str, Any]]", task.data["sessions"])]
        self.one_shot = False

    def act(self, observation: Observation) -> str:
        self.one_shot = self.one_shot or any(m.text == ONE_SHOT_RULES for m in observation)
        self.number += 1
        return self.play()

    def play(self) -> str:
        if self.one_shot or self.number > len(self.gold):
            return self.answer(self.gold, self.right())
        return self.call("read_session", session=self.gold[self.number - 1])

    def right(self) -> str:
        answer = self.data["answer"]
        return ", ".join(cast("list[str]", answer)) if isinstance(answer, list) else str(answer)

    def call(self, name: str, **arguments: Any) -> str:
        return self._dialect.write([(name, arguments)])

    def answer(self, selected: list[str], text: str) -> str:
        if self.one_shot:
            return json.dumps({"selected_memory": selected, "answer": text})
        return self.call("answer", selected_memory=selected, answer=text)


class Searcher(Expert):
    """Searches with the question, reads everything found in one message, and answers rightly if all that is needed was among it."""

    def act(self, observation: Observation) -> str:
        self.found = [line.partition(":")[0] for m in observation for line in m.text.splitlines() if line.startswith("session_")]
        return super().act(observation)

    def play(self) -> str:
        if self.number == 1:
            return self.call("search", query=str(self.data["question"]))
        if self.number == 2:
            self.read = self.found
            return self._dialect.write([("read_session", {"session": id}) for id in self.read])
        return self.answer(self.read, self.right() if set(self.gold) <= set(self.read) else "unknown")


class RandomReader(Expert):
    """Reads random sessions and answers at random."""

    def play(self) -> str:
        session = self.ids[int(self.rng.integers(len(self.ids)))]
        if not self.one_shot and self.rng.random() < 0.7:
            return self.call("read_session", session=session)
        guesses = ("A", "B", "A, B, C, D", "7", "2022-01-01")
        return self.answer([session], guesses[int(self.rng.integers(len(guesses)))])


class Spam(Expert):
    """Calls every tool in every message, but answers nothing that could be read."""

    def play(self) -> str:
        reads = [("read_session", {"session": id}) for id in self.ids[:3]]
        return self._dialect.write([("list_sessions", {}), ("search", {"query": "the"}), *reads, ("answer", {}), ("cheat", {})])


class Blind(Expert):
    """Answers without having read anything, as rightly as a lucky guess; in the one-shot form repeats the question."""

    def play(self) -> str:
        return self.answer(self.ids[:1], str(self.data["question"]) if self.one_shot else self.right())
