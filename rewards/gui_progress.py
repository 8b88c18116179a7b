"""Turn rewards of long tasks on a screen: progress along what successful episodes have in common (ProgRM), novelty (ScreenExplorer).

progress_rewards(progress_labels("ABCDEH", ["ACEG"]))  # [0.25, 0, 0.25, 0, 0.25, 0]

Letters: T turns; r a recipe, the actions that successful episodes share; p_t the progress after turn t, p_0 = 0.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import reduce
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ..records import Trajectory, Turn
from .rubric import RewardValues

Actions: TypeAlias = Sequence[Hashable]
"""What was done, turn by turn; equal keys are equal actions, and None matches nothing."""
ActionKey: TypeAlias = Callable[[Turn], Hashable]


# ---- ProgRM ----------------------------------------------------------------------------------------------------------------------------


def common(a: Actions, b: Actions) -> tuple[Hashable, ...]:
    """A longest common subsequence; of several, the one that is found from the end. None is left out."""
    a, b = _counted(a), _counted(b)
    lengths = [[0] * (len(b) + 1)]
    for x in a:
        lengths.append(_next_row(lengths[-1], x, b))
    i, j, found = len(a), len(b), list[Hashable]()
    while i and j:
        if a[i - 1] == b[j - 1]:
            i, j = i - 1, j - 1
            found.append(a[i])
        elif lengths[i - 1][j] >= lengths[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return tuple(reversed(found))


def recipe(sequences: Sequence[Actions]) -> tuple[Hashable, ...]:
    """What successful action sequences share (ProgRM, arXiv 2505.18121): the longest common subsequence, folded.

    common(common(a, b), c), ..., the shortest first, equal lengths in the order given. A common subsequence of all; the longest one for
    two, for more perhaps a shorter one (the longest of many takes exponential time). () for none.
    """
    ordered = sorted(map(_counted, sequences), key=len)
    return reduce(common, ordered) if ordered else ()


def recipes(sequences: Sequence[Actions], *, kept: float = 0.5) -> list[tuple[Hashable, ...]]:
    """One recipe for each way of solving a task, so that two ways with nothing in common do not leave an empty one.

    The shortest sequence founds a recipe; each further one joins the recipe it shares most with if at least ``kept`` (0..1) of that
    recipe's founder is then left, and founds its own otherwise. The paper is said to cluster embeddings of actions by k-means; this needs
    neither a model nor a number of clusters. Sequences without an action are passed over. Raises ``ValueError`` for another ``kept``.
    """
    if not 0.0 <= kept <= 1.0:
        raise ValueError(f"kept is {kept}; it is a share in 0..1")
    found: list[tuple[int, tuple[Hashable, ...]]] = []
    for sequence in sorted(map(_counted, sequences), key=len):
        shared = [common(known, sequence) for _, known in found]
        best = max(range(len(found)), key=lambda k: len(shared[k]), default=None)
        if best is not None and shared[best] and len(shared[best]) >= kept * found[best][0]:
            found[best] = (found[best][0], shared[best])
        elif sequence:
            found.append((len(sequence), sequence))
    return [known for _, known in found]


def progress_labels(actions: Actions, recipes: Sequence[Actions], *, success: bool = False) -> list[float]:
    """p_0, ..., p_T of one episode: p_t = |LCS(actions 1..t, r)| / |r|, never falling, in 0..1. ProgRM's labels in our prefix form.

    Of several recipes the one that the whole episode matches best by share, then the longest, then the first. Empty ones are passed over;
    where none is left, p_t = 0 but for p_T = 1 after a ``success``. A failed episode keeps what it got done; doing an action twice
    earns nothing more unless the recipe has it twice.
    """
    usable = [r for r in map(_counted, recipes) if r]
    if not usable:
        return [0.0] * len(actions) + [1.0 if success and len(actions) else 0.0]
    curves = [([length / len(r) for length in _prefix_lengths(actions, r)], len(r)) for r in usable]
    return max(curves, key=lambda curve: (curve[0][-1], curve[1]))[0]


def progress_rewards(labels: Sequence[float]) -> list[float]:
    """r_t = p_t - p_{t-1} [T] from p_0, ..., p_T; they sum to p_T - p_0. Negative where a learned p falls.

    Raises ``ValueError`` for no label, or one that is not finite.
    """
    if not labels or not all(map(math.isfinite, labels)):
        raise ValueError(f"progress labels are {list(labels)}; give finite numbers, one before the first turn and one after each")
    return [b - a for a, b in pairwise(labels)]


def action_key(turn: Turn) -> Hashable:
    """A turn's native tool calls as written, or else its action's text without the space around it; None for an invalid or empty one.

    Texts that also hold thoughts are hardly ever equal: give ``Progrm`` a function that reads the action alone.
    """
    if not turn.action_valid:
        return None
    return tuple((call.name, call.arguments) for call in turn.action.tool_calls) or turn.action.text.strip() or None


class Progrm:
    """A ``RewardFn``: what each turn adds to the progress along the recipes of its task (ProgRM, arXiv 2505.18121).

    The recipes are made of the successful episodes of the same task among those given, and of ``demonstrations``: task id -> action
    sequences known to succeed. A task without either is not scored. ``key``: what of a turn makes two actions equal; None: an action
    that counts for nothing. ``kept``: as in ``recipes``. The outcome gets nothing.
    """

    def __init__(
        self,
        key: ActionKey = action_key,
        *,
        kept: float = 0.5,
        demonstrations: Mapping[str, Sequence[Actions]] | None = None,
        name: str = "progrm",
    ) -> None:
        recipes([], kept=kept)
        self.key, self.kept, self.demonstrations, self.name = key, kept, dict(demonstrations or {}), name

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[RewardValues]:
        done = [[self.key(turn) for turn in trajectory.turns] for trajectory in trajectories]
        solved: dict[str, list[Actions]] = defaultdict(list)
        for trajectory, actions in zip(trajectories, done, strict=True):
            if trajectory.outcome.success:
                solved[trajectory.task.hash].append(actions)
        made = {t.task.hash: [*self.demonstrations.get(t.task.id, []), *solved.get(t.task.hash, [])] for t in trajectories}
        known = {task: recipes(sequences, kept=self.kept) for task, sequences in made.items() if sequences}
        return [self._values(t, actions, known.get(t.task.hash)) for t, actions in zip(trajectories, done, strict=True)]

    def _values(self, trajectory: Trajectory, actions: Actions, known: Sequence[Actions] | None) -> RewardValues:
        if known is None:
            return RewardValues(turns=[math.nan] * len(actions))
        return RewardValues(turns=progress_rewards(progress_labels(actions, known, success=trajectory.outcome.success)))


def _counted(actions: Actions) -> tuple[Hashable, ...]:
    return tuple(action for action in actions if action is not None)


def _prefix_lengths(actions: Actions, known: tuple[Hashable, ...]) -> list[int]:
    """Length of the longest common subsequence of ``known`` and the first t actions, t = 0..T."""
    row, found = [0] * (len(known) + 1), [0]
    for action in actions:
        row = _next_row(row, action, known)
        found.append(row[-1])
    return found


def _next_row(row: list[int], x: Hashable, b: tuple[Hashable, ...]) -> list[int]:
    new = [0]
    for j, y in enumerate(b):
        new.append(row[j] + 1 if x == y else max(row[j + 1], new[j]))
    return new


# ---- ScreenExplorer --------------------------------------------------------------------------------------------------------------------


def change(before: npt.ArrayLike, after: npt.ArrayLike) -> float:
    """1 - cosine of two states' embeddings, flattened, in 0..2; 0 where nothing changed (ScreenExplorer, arXiv 2505.19095).

    Of the states before and after a turn it is the immediate reward; of the state after and a world model's prediction of it, the surprise.
    Zero vectors: two are equal (0), one beside another has nothing in common with it (1).
    Raises ``ValueError`` for different shapes, no number, or one that is not finite.
    """
    a, b = (np.asarray(x, dtype=np.float64) for x in (before, after))
    if a.shape != b.shape:
        raise ValueError(f"the states have shapes {a.shape} and {b.shape}; they must be equal")
    cosine = _cosines(np.stack([a.ravel(), b.ravel()]))[0, 1]
    return 0.0 if np.array_equal(a, b) else float(1.0 - cosine)


def sequence_novelty(states: npt.ArrayLike) -> list[float]:
    """How far an episode's states from each turn on are from all before it (ScreenExplorer): 1 - S_i for turn i = 1..T, in 0..2.

    ``states``: embeddings [T + 1, ...], the first before the first turn. S_i as in ``mean_similarities``.
    """
    rows = np.asarray(states, dtype=np.float64)
    if rows.ndim < 2:
        raise ValueError(f"the states have shape {rows.shape}; give one embedding for each of T + 1 states")
    return [1.0 - s for s in mean_similarities(_cosines(rows.reshape(len(rows), -1)))] if len(rows) else []


def mean_similarities(similarity: npt.ArrayLike) -> list[float]:
    """S_i = mean of similarity[0:i, i:n] for i = 1..n - 1, from the similarities [n, n] of an episode's states in order of time.

    Raises ``ValueError`` for what is not square or not finite.
    """
    cells = np.asarray(similarity, dtype=np.float64)
    if cells.ndim != 2 or cells.shape[0] != cells.shape[1] or not np.isfinite(cells).all():
        raise ValueError(f"similarities have shape {cells.shape}; they must be finite and square: every state beside every other")
    return [float(cells[:i, i:].mean()) for i in range(1, len(cells))]


def _cosines(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    if not rows.shape[1] or not np.isfinite(rows).all():
        raise ValueError(f"the states' embeddings have {rows.shape[1]} numbers; there must be one at least, all of them finite")
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scaled = rows / np.where(largest > 0.0, largest, 1.0)  # squares of very large or small numbers leave the range of floats
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    units = scaled / np.where(norms > 0.0, norms, 1.0)
    zero = (norms == 0.0).astype(np.float64)
    return np.clip(units @ units.T, -1.0, 1.0) + zero @ zero.T
