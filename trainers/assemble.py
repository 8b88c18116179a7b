"""Turns to training samples: what was sampled is what is trained.

    Trajectory -> [context | action | context | action] (an exact-prefix merge; a restart begins a new sample) -> Sample

Letters: L tokens of one sample. Every per-token array has length L; position p describes token p, not its successor.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..agents.history import images_of, place_images
from ..agents.images import Placed
from ..records import ImagePart, Trajectory
from .crediting import to_tokens, token_counts

Floats = npt.NDArray[np.float32]
Aggregate = Literal["token", "rollout", "constant"]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One token sequence. Two turns, contexts c and actions a:

    ids=[c0 c0 a0 a0 c1 a1]  action=[F F T T F T]  advantage=[0 0 .5 .5 0 -1]  weight=[0 0 w w 0 w]
    """

    ids: npt.NDArray[np.int64]
    action: npt.NDArray[np.bool_]
    """True where the policy sampled the token: the only positions that are trained."""
    advantage: Floats
    logprobs: Floats
    """The sampler's natural log-probs, 0 off the actions."""
    weight: Floats
    """Share of the token in the loss; all weights of a batch sum to 1, but for the aggregate "constant"."""
    rollout: int
    """Position of the trajectory in the batch."""
    images: tuple[Placed, ...] = ()
    """Images among ``ids``, in order."""
    turn: npt.NDArray[np.int64] | None = None
    """Which of the sample's turns an action token belongs to, from 0; -1 elsewhere. None: all to one."""
    group: int = 0
    """Episodes of one task and environment seed have one number."""


def assemble(
    trajectories: Sequence[Trajectory],
    advantages: npt.ArrayLike | None = None,
    *,
    token_advantages: npt.ArrayLike | None = None,
    aggregate: Aggregate = "token",
    aggregate_length: int | None = None,
    leave_out: Collection[int] = (),
    merge: bool = True,
) -> list[Sample]:
    """Samples of a batch of trajectories; voided episodes give none and enter no weight.

    ``advantages``: one number per turn, trajectories in order, as ``credit.estimate`` returns them; None: all 1 (imitation).
    ``token_advantages``: instead, one number per action token (untrained turns included), in order.
    ``aggregate``: "token", every action token counts the same (DAPO, arXiv 2503.14476); "rollout", every episode counts the
    same; "constant", the sum over an episode's tokens is divided by ``aggregate_length`` tokens, however long it is, and by the number
    of episodes (Dr. GRPO, arXiv 2503.20783). Weights come from the episodes, never from how many samples an episode was cut into.
    ``leave_out``: positions of trajectories that give no samples and enter no weight, as voided ones do.
    ``merge=False`` makes one sample of every turn (same loss, more compute).
    A turn that is not trained may lack tokens (an expert's, before a fork), where the one after it restarts.
    Raises ``ValueError`` when another turn holds no tokens, its tokens do not hold the images it saw, the number of advantages
    is not the number of turns, or of tokens, or there is an ``aggregate_length`` for another aggregate than "constant" or none for it.
    """
    check_aggregate(aggregate, aggregate_length)
    for trajectory in trajectories:
        _check_tokens(trajectory)
    turns = iter(_of_turns(trajectories, advantages, token_advantages))
    counts = [0 if position in leave_out else _trained_tokens(t) for position, t in enumerate(trajectories)]
    total, episodes = sum(counts), sum(count > 0 for count in counts)
    groups: dict[tuple[str, int], int] = {}
    samples: list[Sample] = []
    for position, trajectory in enumerate(trajectories):
        own = list(islice(turns, len(trajectory.turns)))
        group = groups.setdefault((trajectory.task.hash, trajectory.env_seed), len(groups))
        count = counts[position]
        if not count:
            continue
        weight = 1.0 / total if aggregate == "token" else 1.0 / (episodes * (aggregate_length or count))
        samples += [replace(s, group=group) for s in _episode(trajectory, own, weight, position, merge)]
    return samples


def check_aggregate(aggregate: Aggregate, length: int | None) -> None:
    """Raise ``ValueError`` unless ``length`` (tokens) is given for the aggregate "constant" and for no other."""
    if (aggregate == "constant") != (length is not None):
        wants = "needs aggregate_length, the tokens an episode's sum is divided by" if length is None else "takes no aggregate_length"
        raise ValueError(f"aggregate {aggregate!r} {wants}; give it to aggregate 'constant' alone")
    if length is not None and length < 1:
        raise ValueError(f"aggregate_length is {length}; give at least 1 token")


def _of_turns(trajectories: Sequence[Trajectory], advantages: npt.ArrayLike | None, of_tokens: npt.ArrayLike | None) -> list[Floats]:
    """For every turn the advantages of its action tokens."""
    counts = token_counts(trajectories)
    if advantages is not None and of_tokens is not None:
        raise ValueError("both advantages and token_advantages are given; give one of them")
    if of_tokens is None:
        of_tokens = to_tokens(trajectories, np.ones(len(counts)) if advantages is None else advantages)
    flat = np.asarray(of_tokens, np.float32)
    if flat.shape != (counts.sum(),):
        raise ValueError(f"{flat.shape} token_advantages for {counts.sum()} action tokens; give one per token, trajectories in order")
    return np.split(flat, np.cumsum(counts)[:-1]) if len(counts) else []


def _trained_tokens(trajectory: Trajectory) -> int:
    turns = trajectory.turns if trajectory.outcome.valid else ()
    return sum(len(turn.tokens.action_ids) for turn in turns if turn.tokens is not None and turn.trained)


def _check_tokens(trajectory: Trajectory) -> None:
    for turn, after in zip_longest(trajectory.turns, trajectory.turns[1:]):
        taken_up = not turn.trained and (after is None or after.tokens is None or after.tokens.restart)
        if turn.tokens is None and not taken_up:
            raise ValueError(
                f"task {trajectory.task.id!r}, turn {turn.index}: no tokens were recorded, so it cannot be trained on; "
                "play it with PolicyAgent, or tokenise demonstrations with tokenize_demonstration"
            )


def _episode(trajectory: Trajectory, advantages: Sequence[Floats], weight: float, position: int, merge: bool) -> list[Sample]:
    history: list[int] = []
    pieces: list[tuple[int, tuple[int, ...], Floats, Floats]] = []  # (start of the action, action, log-probs, advantages)
    images: list[Placed] = []
    shown: list[ImagePart] = []  # every image of the episode so far
    samples: list[Sample] = []
    for turn, advantage in zip(trajectory.turns, advantages, strict=True):
        trace = turn.tokens
        if trace is None:
            shown += images_of(turn)
            continue
        if pieces and (trace.restart or not merge):
            samples.append(_sample(history, pieces, weight, position, images))
            pieces = []
        if trace.restart:
            history, images = [], []
        images = [*images, *place_images(turn, len(history), shown, trajectory.task.id)]
        history = [*history, *trace.context_ids]
        if turn.trained:
            pieces.append((len(history), trace.action_ids, np.asarray(trace.logprobs, np.float32), advantage))
        history += trace.action_ids
    if pieces:
        samples.append(_sample(history, pieces, weight, position, images))
    return samples


def _sample(
    history: list[int], pieces: list[tuple[int, tuple[int, ...], Floats, Floats]], weight: float, position: int, images: Sequence[Placed]
) -> Sample:
    length = len(history)
    action, advantage = np.zeros(length, np.bool_), np.zeros(length, np.float32)
    logprobs, weights = np.zeros(length, np.float32), np.zeros(length, np.float32)
    turn = np.full(length, -1, np.int64)
    for number, (start, ids, values, gain) in enumerate(pieces):
        span = slice(start, start + len(ids))
        action[span], advantage[span], logprobs[span], weights[span] = True, gain, values, weight
        turn[span] = number
    return Sample(np.asarray(history, np.int64), action, advantage, logprobs, weights, position, tuple(images), turn)


def scale(samples: Sequence[Sample], factor: float) -> list[Sample]:
    """The samples with every weight times ``factor`` (to make the weights of a mini-batch sum to 1 again)."""
    return [replace(s, weight=s.weight * np.float32(factor)) for s in samples]
