"""What becomes of a step's turn rewards before credit is given: the rubric adds to them, then the gate takes away.

episodes -> (information gain, ``rubric``, divergence, length) -> (``gate``) -> TurnBatch
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from ..records import Trajectory
from ..rewards.gated import UNGATED
from ..rewards.grounding import GuiRcpo
from ..rewards.gui_progress import Progrm
from ..rewards.overlong import Overlong
from ..rewards.rubric import ENVIRONMENT, RewardFn, Rubric
from ..rewards.swe import Verpo
from .code_similarity import code_similarity
from .collect import Rewards
from .config import TrainConfig
from .kl_reward import KlReward
from .screen_rewards import ScreenChange, ScreenJudge

FUNCTIONS: Mapping[str, Callable[..., RewardFn]] = {
    "code_similarity": code_similarity,
    "gui_rcpo": GuiRcpo,
    "progrm": Progrm,
    "screen_change": ScreenChange,
    "screen_judge": ScreenJudge,
    "verpo": Verpo,
}
"""What ``rubric`` may name, with its arguments."""
INFORMATION_GAIN = "information_gain"


class Shaping:
    """The further rewards and the gate of one run.

    Raises ``ValueError`` for a reward function or an argument of one that does not exist, and for a gate that names components that
    neither the environment (as it is weighted) nor the rubric gives.
    """

    def __init__(self, config: TrainConfig, env: Any) -> None:
        self._functions = [_function(name, given) for name, given in config.rubric.items()]
        self._overlong = _overlong(config)
        self._gain, self._kl_coef = config.information_gain, config.kl_coef
        self._gate = None if config.gate is None else config.gate.build()
        self.counts: dict[str, float] = {}
        """Of the step, for its row: turns each function scored, episodes punished for their length; with a gate, turns it took from and
        the mean turn reward without it."""
        if self._gate is not None:
            added = [function.name for function, _ in self._functions] + [INFORMATION_GAIN] * (self._gain > 0)
            self._gate.check([*(getattr(env, "weights", None) or [ENVIRONMENT]), *added])

    def of_step(self, gain: RewardFn | None, kl: KlReward | None = None) -> Rewards | None:
        """The rewards of one step; ``gain`` and ``kl`` are made anew for each, as they hold the policy. None: they stay as they are."""
        functions = [*self._functions, *([(gain, self._gain)] if gain is not None else [])]
        if kl is not None:
            functions.append((kl, self._kl_coef))
        self.counts = {f"{INFORMATION_GAIN}_turns": 0} | {f"{function.name}_turns": 0 for function, _ in functions}
        if self._overlong is not None:
            functions.append((self._overlong, 1.0))
            self.counts["overlong_punished"] = 0
        if self._gate is not None:
            self.counts |= {"gated_turns": 0, "ungated_turn_reward": 0.0}
        rubric, summed, episodes = Rubric(functions), 0.0, 0
        if not functions and self._gate is None:
            return None

        def shape(trajectories: list[Trajectory]) -> list[Trajectory]:
            nonlocal summed, episodes
            if functions:
                scored = rubric(trajectories)
                for function, _ in functions:
                    if function is self._overlong:
                        self.counts["overlong_punished"] += sum(function.name in s.added_outcome for s in scored)
                    else:
                        self.counts[f"{function.name}_turns"] += sum(s.counts[function.name] for s in scored)
                trajectories = [s.apply() for s in scored]
            if kl is not None:
                self.counts["kl"] = kl.per_token
            if self._gate is None:
                return trajectories
            valid = [t for t in trajectories if t.outcome.valid]
            summed, episodes = summed + sum(t.turn_reward_sum for t in valid), episodes + len(valid)
            gated = self._gate(trajectories)
            self.counts["gated_turns"] += sum(any(name.startswith(UNGATED) for name in turn.measures) for t in gated for turn in t.turns)
            self.counts["ungated_turn_reward"] = summed / max(1, episodes)
            return gated

        return shape


def _overlong(config: TrainConfig) -> Overlong | None:
    """The punishment of long episodes. Raises ``ValueError`` where its lengths are missing, or given for nothing."""
    lengths = (config.overlong_max, config.overlong_cache)
    if config.overlong != "penalty":
        if lengths != (None, None):
            raise ValueError(f"overlong_max and overlong_cache are for overlong 'penalty', not {config.overlong!r}; leave them out")
        return None
    if config.overlong_max is None or config.overlong_cache is None:
        raise ValueError(f"overlong 'penalty' needs overlong_max and overlong_cache (tokens of an episode); given: {lengths}")
    return Overlong(config.overlong_max, config.overlong_cache)


def _function(name: str, given: float | Mapping[str, Any]) -> tuple[RewardFn, float]:
    """A reward function and its weight, from the configuration."""
    if name not in FUNCTIONS:
        close = difflib.get_close_matches(name, FUNCTIONS, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"rubric: there is no reward function {name!r}.{hint} Allowed: {', '.join(FUNCTIONS)}")
    options = {"weight": given} if isinstance(given, int | float) else dict(given)
    weight = options.pop("weight", None)
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise ValueError(f"rubric: {name} has the weight {weight!r}; give a number, or {{weight: NUMBER, ...}} with its arguments")
    try:
        return FUNCTIONS[name](**options), float(weight)
    except TypeError as error:
        raise ValueError(f"rubric: {name} does not take {options} ({error})") from None
