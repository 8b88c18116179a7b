"""Information gain: a turn is worth what it adds to the policy's own probability of the gold answer.

    context after turn t + "<think> ... </think> <answer> GOLD </answer>"  ->  p_t  ->  r_t = p_t - p_{t-1}

IGPO, arXiv 2510.14967. Contexts are the exact tokens of the episode, never encoded again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from ..agents.history import place_images
from ..agents.images import ImageReader, Placed
from ..agents.models import base_model
from ..agents.render import Renderer
from ..records import ImagePart, Trajectory
from ..rewards.rubric import RewardValues
from .assemble import Sample
from .forward import hidden_states
from .head import token_logprobs
from .pack import pack, use_packed_attention

BEFORE = "<think>\nNow there's enough information to answer\n</think>\n<answer>\n"


Kind = Literal["prob_diff", "log_prob_diff"]


def gains(mean_logprobs: Sequence[float], kind: Kind = "prob_diff") -> list[float]:
    """T-1 gains of the T states of one episode, each given by the mean log-probability of the gold answer's tokens in it.

    "prob_diff": p_t - p_{t-1} with p = exp(mean), the length-normalised probability; "log_prob_diff": of the means themselves.
    """
    values = [math.exp(m) for m in mean_logprobs] if kind == "prob_diff" else mean_logprobs
    return [after - before for before, after in pairwise(values)]


class InformationGain:
    """``RewardFn``: r_t = p_t - p_{t-1} for every turn but the last, which is left to the outcome (NaN).

    p_t is the length-normalised probability of the first gold answer after turn t's observation, p_0 before any action.
    ``kind``: see ``gains``. ``before``: the text that is put between context and answer; its tokens are not scored.
    ``images``: what reads the images of episodes that saw some.
    ``answer_key``: where ``task.data`` holds the gold answer or a list of them. An episode without gold answer, without
    tokens, or of a single turn is not scored. No gradients; the model's adapters and weights as they are when it is called.
    Raises ``ValueError`` for an unknown ``kind``, for a gold answer that gives no tokens, and when no task has a gold answer.
    """

    name = "information_gain"

    def __init__(
        self,
        model: Any,
        renderer: Renderer,
        *,
        kind: Kind = "prob_diff",
        before: str = BEFORE,
        answer_key: str = "answers",
        temperature: float = 1.0,
        token_budget: int = 16384,
        images: ImageReader | None = None,
    ) -> None:
        if kind not in ("prob_diff", "log_prob_diff"):
            raise ValueError(f"kind is {kind!r}; allowed: prob_diff, log_prob_diff")
        use_packed_attention(base_model(model))
        self.model, self.renderer, self.kind, self.answer_key = model, renderer, kind, answer_key
        self.temperature, self.token_budget, self.images = temperature, token_budget, images
        self._before = tuple(renderer.tokenizer.encode(before, add_special_tokens=False))

    def __call__(self, trajectories: Sequence[Trajectory]) -> list[RewardValues]:
        if trajectories and not any(self.answer_key in t.task.data for t in trajectories):
            task = trajectories[0].task
            raise ValueError(
                f"information gain needs gold answers under {self.answer_key!r}, but no task has them (the data of {task.id!r} holds "
                f"{sorted(task.data)}); name the right answer_key, or leave information gain out for {task.env_id}"
            )
        probes: list[Sample] = []
        states: list[int] = []  # of each episode
        for trajectory in trajectories:
            contexts = self._contexts(trajectory)
            answer = self._answer(trajectory) if contexts else []
            states.append(len(contexts))
            probes += [self._probe(ids, images, answer, len(probes) + n) for n, (ids, images) in enumerate(contexts)]
        means = np.split(self._mean_logprobs(probes), np.cumsum(states)[:-1]) if states else []
        found = [gains(own.tolist(), self.kind) for own in means]
        return [RewardValues(turns=[*g, *[math.nan] * (len(t.turns) - len(g))]) for t, g in zip(trajectories, found, strict=True)]

    def _answer(self, trajectory: Trajectory) -> list[int]:
        """Tokens of the first gold answer."""
        gold = trajectory.task.data[self.answer_key]
        text = gold if isinstance(gold, str) else str(gold[0])
        ids = self.renderer.tokenizer.encode(text, add_special_tokens=False)
        if not ids:
            raise ValueError(f"task {trajectory.task.id!r}: gold answer {text!r} gives no tokens; remove the task or correct its answer")
        return list(ids)

    def _contexts(self, trajectory: Trajectory) -> list[tuple[list[int], list[Placed]]]:
        """Histories (tokens, images) at which the answer is probed: before turn 1, ..., before turn T; none if it cannot be scored."""
        if not trajectory.task.data.get(self.answer_key) or len(trajectory.turns) < 2 or not trajectory.outcome.valid:
            return []
        history: list[int] = []
        images: list[Placed] = []
        shown: list[ImagePart] = []
        contexts: list[tuple[list[int], list[Placed]]] = []
        for turn in trajectory.turns:
            if turn.tokens is None:
                return []
            if turn.tokens.restart:
                history, images = [], []
            images = [*images, *place_images(turn, len(history), shown, trajectory.task.id)]
            history = [*history, *turn.tokens.context_ids]
            contexts.append((list(history), images))
            history += turn.tokens.action_ids
        return contexts

    def _probe(self, context: list[int], images: Sequence[Placed], answer: list[int], number: int) -> Sample:
        ids = np.asarray([*context, *self._before, *answer], np.int64)
        scored = np.zeros(len(ids), np.bool_)
        scored[len(ids) - len(answer) :] = True
        flat = np.zeros(len(ids), np.float32)
        return Sample(ids, scored, flat, flat, flat, number, tuple(images))

    @torch.no_grad()
    def _mean_logprobs(self, probes: list[Sample]) -> npt.NDArray[np.float64]:
        """Mean log-probability of the answer's tokens, one number per probe; contexts that probes share are computed once."""
        total, count = np.zeros(len(probes)), np.zeros(len(probes))
        base = base_model(self.model)
        device = next(base.parameters()).device
        was_training = base.training
        base.eval()
        for one in pack(probes, self.token_budget, device=device):
            hidden = hidden_states(base, one, self.images)
            head = base.get_output_embeddings()
            logprobs, _ = token_logprobs(head, hidden.index_select(0, one.before), one.target, temperature=self.temperature)
            number = one.given[one.sample].cpu().numpy()
            np.add.at(total, number, logprobs.double().cpu().numpy())
            np.add.at(count, number, 1.0)
        base.train(was_training)
        return total / count
