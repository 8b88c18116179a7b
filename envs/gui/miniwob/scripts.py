"""Scripts of ``turnwise/MiniWoB-v0`` that know nothing of the task: an agent that clicks about, and one that claims to be done."""

from __future__ import annotations

import numpy as np

from ....records import Observation, Task
from ...base import Rng
from .plans import click, fill, wait
from .reading import Node, read_page

_FIELDS = ("textbox", "spinbutton", "combobox", "searchbox")
_WORDS = ("yes", "no", "1", "Ann", "hello")


class Random:
    """Clicks a random element of the page, or writes a random word into a random field. What it says can always be read."""

    def reset(self, task: Task, rng: Rng) -> None:
        del task
        self._rng = rng
        self._nodes: list[Node] = []

    def act(self, observation: Observation) -> str:
        page = read_page(observation[-1].text if observation else "")
        self._nodes = [node for node in page.nodes if node.id] or self._nodes
        if not self._nodes:
            return wait(10)
        fields = [node for node in self._nodes if node.role in _FIELDS]
        if fields and self._rng.random() < 0.3:
            return fill(self._pick(fields), str(self._rng.choice(np.array(_WORDS))))
        return click(self._pick(self._nodes))

    def _pick(self, nodes: list[Node]) -> Node:
        return nodes[int(self._rng.integers(len(nodes)))]


class Done:
    """Claims to be done without having done anything."""

    def reset(self, task: Task, rng: Rng) -> None:
        del task, rng

    def act(self, observation: Observation) -> str:
        del observation
        return "The goal has been reached.\n```\nnoop(10)\n```"
