"""Rewards from screens alone: a judge that sees the pictures (ZeroGUI), and how much the screen changed (ScreenExplorer).

rubric: {screen_judge: {weight: 1.0, url: "http://127.0.0.1:8000/v1", model: qwen3-vl}, screen_change: 0.1}
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import math
import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ..envs.endpoint import ChatEndpoint
from ..records import ImagePart, Message, Observation, TextPart, Trajectory
from ..rewards.gui_progress import change, sequence_novelty
from ..rewards.gui_vote import Rule, parse_score, votes
from ..rewards.rubric import RewardValues

_SYSTEM = (
    "You judge whether a task on a screen was completed. You see the task and the screens in order, the last one at the end. Judge by what "
    "the screens show and by nothing else: what cannot be seen did not happen. Say briefly what you see, then end with a last line that is "
    "exactly `SCORE: 1` if everything the task asks for is done, or `SCORE: 0` if anything is missing, wrong or too much."
)
_GOAL = re.compile(r"^Goal: (.*)$", re.MULTILINE)
_SIDE = 16
_WORDS = 256


class ScreenJudge:
    """A ``RewardFn``: whether the screens of an episode show success, by several votes of a model with image input (ZeroGUI, 2505.23762).

    The judge gets the task's text and the screens, never what the agent said or did. Each of ``judgements`` votes is asked for by itself;
    unreadable ones are dropped; ``rule`` "all" (the paper's) or "majority"; without ``quorum`` readable votes the episode gets nothing.
    ``last`` screens are shown (0: all); every further argument is one of ``ChatEndpoint``. The outcome gets 1 or 0, turns get nothing.
    Counters: ``asked``, ``unreadable``, ``unjudged`` (no verdict, or no screen). An endpoint that does not answer raises ``EnvFault``.
    """

    def __init__(
        self,
        *,
        judgements: int = 4,
        rule: Rule = "all",
        quorum: int = 1,
        last: int = 0,
        concurrency: int = 8,
        name: str = "screen_judge",
        **endpoint: Any,
    ) -> None:
        if judgements < 1 or concurrency < 1 or last < 0:
            raise ValueError(f"judgements {judgements}, concurrency {concurrency} (at least 1), last {last} (at least 0)")
        votes([], rule, quorum=quorum)
        self.name, self.judgements, self.rule, self.quorum, self.last = name, judgements, rule, quorum, last
        self._endpoint = ChatEndpoint.of({"temperature": 1.0, **endpoint})
        self._concurrency = concurrency
        self.asked = self.unreadable = self.unjudged = 0

    async def __call__(self, trajectories: Sequence[Trajectory], /) -> list[RewardValues]:
        turns_to_ask = asyncio.Semaphore(self._concurrency)
        return list(await asyncio.gather(*(self._judge(t, turns_to_ask) for t in trajectories)))

    async def _judge(self, trajectory: Trajectory, turns_to_ask: asyncio.Semaphore) -> RewardValues:
        silent = [math.nan] * len(trajectory.turns)
        screens = [image for observation in observations(trajectory) for image in images(observation)]
        if not screens:
            self.unjudged += 1
            return RewardValues(turns=silent)
        messages = self._question(trajectory, screens[-self.last :] if self.last else screens)

        async def vote() -> float | None:
            async with turns_to_ask:
                answer = await asyncio.to_thread(self._endpoint.complete, messages)
            score = parse_score(answer.text)
            self.asked += 1
            self.unreadable += score is None
            return score

        verdict = votes(await asyncio.gather(*(vote() for _ in range(self.judgements))), self.rule, quorum=self.quorum)
        self.unjudged += verdict is None
        return RewardValues(turns=silent, outcome=math.nan if verdict is None else float(verdict))

    def _question(self, trajectory: Trajectory, screens: Sequence[ImagePart]) -> tuple[Message, Message]:
        parts: list[TextPart | ImagePart] = [TextPart(text=f"Task: {goal(trajectory)}\nScreens, {len(screens)} in all:"), *screens]
        parts.append(TextPart(text="Was the task completed?"))
        return Message(role="system", content=_SYSTEM), Message(role="user", content=tuple(parts))


class ScreenChange:
    """A ``RewardFn``: how much each turn changed the screen, and how new what it led to is (ScreenExplorer, arXiv 2505.19095).

    Of every state an embedding is taken, ``of`` its "image" or its "text" or "both": immediate change 1 - cos(before, after), and the
    sequence term 1 - S_i, summed over the kinds and left out for an action that was not valid. The paper embeds with its policy's vision
    tower and a text model and adds a world model's surprise; here an image is its brightness on a grid of 16 x 16 around the mean, a text
    its words hashed into 256 numbers, and there is no world model. An episode whose states lack what is embedded gets nothing.
    """

    def __init__(self, *, of: Literal["image", "text", "both"] = "both", immediate: bool = True, sequence: bool = True) -> None:
        if of not in ("image", "text", "both") or not (immediate or sequence):
            raise ValueError(f"of is {of!r}; allowed: 'image', 'text', 'both'; and one of immediate, sequence")
        self.name = "screen_change"
        self._kinds = ("image", "text") if of == "both" else (of,)
        self.immediate, self.sequence = immediate, sequence

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[RewardValues]:
        return [self._values(t) for t in trajectories]

    def _values(self, trajectory: Trajectory) -> RewardValues:
        count = len(trajectory.turns)
        states = list(observations(trajectory))
        states += [()] * (count + 1 - len(states))
        total = np.full(count, np.nan)
        for kind in self._kinds:
            rows = _filled([_embedded(state, kind) for state in states])
            if rows is None:
                continue
            found = np.zeros(count)
            if self.immediate:
                found += [change(rows[i], rows[i + 1]) for i in range(count)]
            if self.sequence:
                found += sequence_novelty(np.stack(rows))
            total = found if np.isnan(total).all() else total + found
        valid = [turn.action_valid for turn in trajectory.turns]
        return RewardValues(turns=[float(value) if ok or math.isnan(value) else 0.0 for value, ok in zip(total, valid, strict=True)])


def observations(trajectory: Trajectory) -> list[Observation]:
    """What was seen before each turn and, if anything, after the last one."""
    return [turn.observation for turn in trajectory.turns] + ([trajectory.final_observation] if trajectory.final_observation else [])


def images(observation: Observation) -> list[ImagePart]:
    return [part for m in observation if not isinstance(m.content, str) for part in m.content if isinstance(part, ImagePart)]


def goal(trajectory: Trajectory) -> str:
    """The task's text: its line "Goal: ...", or else its prompt, or the first user message."""
    first = trajectory.turns[0].observation if trajectory.turns else ()
    texts = [m.text for m in (*trajectory.task.prompt, *first) if m.role == "user"]
    found = next((match[1] for text in texts if (match := _GOAL.search(text))), None)
    return found if found is not None else (texts[0] if texts else trajectory.task.id)


def _embedded(state: Observation, kind: str) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    if kind == "image":
        shots = images(state)
        return _pixels(shots[-1].data) if shots else None
    words = re.findall(r"\w+", " ".join(m.text for m in state if m.role != "system").lower())
    if not words:
        return None
    row = np.zeros(_WORDS)
    for word in words:
        row[int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "big") % _WORDS] += 1.0
    return row


def _pixels(data: bytes) -> np.ndarray[Any, np.dtype[np.float64]]:
    from PIL import Image

    small = Image.open(io.BytesIO(data)).convert("L").resize((_SIDE, _SIDE))
    grey = np.asarray(small, dtype=np.float64).ravel()
    return grey - grey.mean()


def _filled(rows: Sequence[Any]) -> list[Any] | None:
    """Where nothing was shown, the state is as it was before; None when nothing ever was."""
    filled, last = list[Any](), next((row for row in rows if row is not None), None)
    if last is None:
        return None
    for row in rows:
        last = last if row is None else row
        filled.append(last)
    return filled
