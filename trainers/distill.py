"""Sample routing (SRPO): episodes that succeeded learn from their advantage, those that failed from the policy as it would act if it
knew how a sibling succeeded.

    failed episode + actions of a sibling that succeeded -> the same tokens under a told context -> log-probs and entropies of the teacher
    -> advantages of its tokens, in place of the estimator's

Source: SRPO, arXiv 2604.02288. The self-teacher's term there is a divergence of distributions; here it is the reverse KL(policy ||
teacher), on the sampled tokens alone: they are samples of the policy, so that A_t = log pi_teacher - log pi (detached) times the gradient
of log pi is an unbiased estimate of its gradient at each token, while the forward KL would need samples of the teacher. It goes through
the same loss as every other advantage, clipped ratios included, and shares its denominator.

Letters: E episodes, N action tokens of all episodes, M those of distilled ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from ..agents.render import Renderer
from ..records import Message, Observation, TextPart, TokenTrace, Trajectory, Turn
from .assemble import Sample, assemble
from .crediting import token_counts

Floats = npt.NDArray[np.float64]
Scores = Callable[[Sequence[Sample]], Sequence[Sequence[torch.Tensor]]]
"""(log-probs, entropies) of each sample's action tokens under the policy as it is: ``Learner.scores``."""
FEEDBACK = "\n\nAn attempt at this task that succeeded went like this, turn by turn:\n{actions}\n\nNow do it yourself."
"""How a success is told; the wording is this project's own."""


def routed(correct: npt.ArrayLike, informed: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """[E] which episodes are distilled: those that failed and for which there is teacher information; the rest keep their advantage."""
    return ~np.asarray(correct, np.bool_) & np.asarray(informed, np.bool_)


def entropy_weights(entropy: npt.ArrayLike, beta: float = 1.0) -> Floats:
    """[M] exp(-beta H) over its mean: where the teacher is unsure it teaches less. ``entropy`` [M] H of the teacher, in nats."""
    raw = np.exp(-beta * np.asarray(entropy, np.float64))
    return raw / raw.mean() if len(raw) else raw


def distillation_advantages(teacher: npt.ArrayLike, policy: npt.ArrayLike, weights: npt.ArrayLike) -> Floats:
    """[M] w (log pi_teacher - log pi): minus the reverse KL on the sampled token, weighted."""
    return np.asarray(weights, np.float64) * (np.asarray(teacher, np.float64) - np.asarray(policy, np.float64))


def teachers(trajectories: Sequence[Trajectory]) -> list[Trajectory | None]:
    """For every episode the sibling that it is told of: None if it succeeded or is void, or no other of its group succeeded.

    The failures of a group take its successes in turn, so that no single one teaches all.
    """
    successes: dict[Hashable, list[Trajectory]] = defaultdict(list)
    for t in trajectories:
        if t.outcome.success:
            successes[t.task.hash, t.env_seed].append(t)
    groups = [(t.task.hash, t.env_seed) for t in trajectories]
    correct = [t.outcome.success or not t.outcome.valid for t in trajectories]
    told_before: dict[Hashable, int] = defaultdict(int)
    found: list[Trajectory | None] = []
    for group, distilled in zip(groups, routed(correct, [group in successes for group in groups]), strict=True):
        found.append(successes[group][told_before[group] % len(successes[group])] if distilled else None)
        told_before[group] += bool(distilled)
    return found


def told(trajectory: Trajectory, teacher: Trajectory, renderer: Renderer, feedback: str = FEEDBACK) -> Trajectory:
    """The episode with the very actions it took, in a context whose first observation also tells what ``teacher`` did.

    Wherever the context was rebuilt in the episode it is rebuilt here.
    """
    actions = "\n".join(f"{turn.index + 1}. {turn.action.text}" for turn in teacher.turns)
    messages: list[Message] = []
    turns: list[Turn] = []
    for turn in trajectory.turns:
        messages += turn.observation if turns else _with(turn.observation, feedback.format(actions=actions))
        trace = cast("TokenTrace", turn.tokens)
        if trace.restart:
            context = renderer.context(messages)
            trace = replace(trace, context_ids=context.ids, images=tuple(p.span for p in context.images))
        turns.append(replace(turn, tokens=trace))
        messages.append(turn.action)
    return replace(trajectory, turns=tuple(turns))


def _with(observation: Observation, text: str) -> Observation:
    """``text`` at the end of the last user message, or as one of its own."""
    users = [n for n, message in enumerate(observation) if message.role == "user"]
    if not users:
        return (*observation, Message(role="user", content=text.strip()))
    last = observation[users[-1]]
    content = last.content + text if isinstance(last.content, str) else (*last.content, TextPart(text=text))
    return (*observation[: users[-1]], replace(last, content=content), *observation[users[-1] + 1 :])


class Routing:
    """``Routing(scores, renderer)(trajectories, advantages) -> (advantages, counts)``, one number per action token each.

    ``scores``: log-probs and entropies under the policy as it is. ``beta``: see ``entropy_weights`` (SRPO: 1). ``max_tokens``: a told
    episode that is longer than this keeps its advantages, and is counted in ``srpo_too_long``. Failures without a success in their group
    keep theirs too (``srpo_untold``). The policy's log-probs are the sampler's.
    """

    def __init__(self, scores: Scores, renderer: Renderer, *, beta: float = 1.0, max_tokens: int, feedback: str = FEEDBACK) -> None:
        self._scores, self.renderer, self.beta, self.max_tokens, self.feedback = scores, renderer, beta, max_tokens, feedback

    def __call__(self, trajectories: Sequence[Trajectory], advantages: Floats) -> tuple[Floats, dict[str, float]]:
        chosen = teachers(trajectories)
        views = [None if t is None else told(own, t, self.renderer, self.feedback) for own, t in zip(trajectories, chosen, strict=True)]
        fits = [v is not None and max((len(s.ids) for s in assemble([v])), default=0) <= self.max_tokens for v in views]
        places = [n for n, (view, fit) in enumerate(zip(views, fits, strict=True)) if view is not None and fit]
        failed = sum(t.outcome.valid and not t.outcome.success for t in trajectories)
        counts = {
            "srpo_distilled": float(len(places)),
            "srpo_untold": float(failed - sum(view is not None for view in views)),
            "srpo_too_long": float(sum(view is not None for view in views) - len(places)),
        }
        samples = assemble([cast("Trajectory", views[n]) for n in places])
        if not samples:
            return advantages, {**counts, "srpo_kl": 0.0, "srpo_entropy": 0.0}
        teacher, entropy = (torch.cat(list(x)).double().cpu().numpy() for x in zip(*self._scores(samples), strict=True))
        policy = np.concatenate([s.logprobs[s.action] for s in samples]).astype(np.float64)
        out = advantages.copy()
        out[self._tokens(trajectories, places)] = distillation_advantages(teacher, policy, entropy_weights(entropy, self.beta))
        return out, {**counts, "srpo_kl": float((policy - teacher).mean()), "srpo_entropy": float(entropy.mean())}

    @staticmethod
    def _tokens(trajectories: Sequence[Trajectory], places: Sequence[int]) -> npt.NDArray[np.bool_]:
        """[N] which tokens are those of the trained turns of the episodes at ``places``."""
        among = set(places)
        turns = [n in among and turn.trained for n, t in enumerate(trajectories) for turn in t.turns]
        return np.repeat(np.asarray(turns, np.bool_), token_counts(trajectories))
