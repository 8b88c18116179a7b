"""Parts of the configuration that are mappings of their own: the gate, what a policy sees, the critic, trees, preferences."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..agents.branching import STRATEGIES
from ..agents.trees import Tree
from ..rewards.gated import Gate

if TYPE_CHECKING:
    from ..agents.base import Agent


class GateConfig(BaseModel):
    """Gated accumulation of turn rewards (G-RA): see ``rewards.gated.Gate``, which takes these arguments."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    levels: list[str | list[str]]
    """Names of turn reward components, "outcome" or "outcome.NAME", the most important level first."""
    thresholds: list[float]
    """One for each level but the last."""
    strict: bool = True
    """A level must exceed its threshold; False: reach it."""

    @model_validator(mode="after")
    def _fits(self) -> GateConfig:
        self.build()
        return self

    def build(self) -> Gate:
        return Gate(self.levels, self.thresholds, strict=self.strict)


class VisionConfig(BaseModel):
    """What a vision-language policy sees and whether its eyes learn; see ``docs/vision.md``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_pixels: int | None = Field(default=None, ge=1)
    """Images below this area are enlarged to it; None: the checkpoint's limit."""
    max_pixels: int | None = Field(default=None, ge=1)
    """Images above this area are shrunk to it, which bounds their tokens; None: the checkpoint's limit."""
    keep_images: int | None = Field(default=None, ge=1)
    """How many of an episode's images stay in context, the newest; None: all. A turn that loses one begins a new sample."""
    freeze: bool = False
    """Leave the vision tower (merger included) as it is; only the language model trains."""


class CriticConfig(BaseModel):
    """A model of what a state is worth, trained beside the policy; see docs/credit.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trunk: Literal["policy", "separate"] = "policy"
    """What the value head sits on: the policy's own hidden states, or those of a second model, which begins as a copy of the policy as it
    is after the warm start and is trained whole (with LoRA: its adapter)."""
    level: Literal["turn", "token"] = "turn"
    """A value for every turn, of what the policy saw before its first token; or one before every action token."""
    hidden: int = Field(default=0, ge=0)
    """Units of the head's hidden layer; 0: a linear head."""
    lr: float = Field(default=1e-3, gt=0)
    """Of the head, and of the separate trunk: a pretrained one wants about 1e-5."""
    coef: float = Field(default=0.0, ge=0)
    """Weight of the value loss in the policy's own gradient, for ``trunk: policy``; 0: the head learns and the trunk does not notice."""
    clip: float | None = Field(default=None, gt=0)
    """How far a value may move from what it was in the step before its loss stops falling (PPO's value clipping); None: any far."""
    warmup_steps: int = Field(default=0, ge=0)
    """The first so many of ``steps`` train the critic alone. ``coef`` has no effect in them."""
    epochs: int = Field(default=1, ge=1)
    """Passes over a step's values, each in ``minibatches`` optimizer steps."""

    @model_validator(mode="after")
    def _fits(self) -> CriticConfig:
        if self.coef > 0 and self.trunk == "separate":
            raise ValueError(f"coef is {self.coef}, which is for trunk: policy; leave it out, a separate trunk is trained by lr")
        if self.coef > 0 and self.epochs > 1:
            raise ValueError(
                f"epochs is {self.epochs}, but with coef above 0 the critic learns in the policy's one pass; set epochs to 1, or coef to 0"
            )
        return self


class PreferenceConfig(BaseModel):
    """Learning from pairs (DPO, IPR) in place of the policy gradient: ``trainers.preference``; see docs/credit.md.

    A turn is worth its advantage by the ``estimator``: "vine" orders the turns of a state as IPR's step rewards do.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pairs: list[Literal["outcome", "step"]] = Field(default=["outcome", "step"], min_length=1)
    """Whole episodes of a task, the better against the worse; and the best turn of a state against its worst."""
    most: int | None = Field(default=None, ge=1)
    """Pairs of each kind and task that are learned from, drawn at random; None: all."""
    same: Literal["prefix", "anchor"] = "prefix"
    """What one state is: the very tokens up to the turn, or the environment's key of it."""
    extent: Literal["turn", "suffix"] = "suffix"
    """What a step pair compares: the turn alone, or with all that follows (IPR)."""
    margin: float = Field(default=0.01, ge=0)
    """A turn is better if its advantage is more than this above the other's."""
    outcome_margin: float = Field(default=0.01, ge=0)
    """An episode is better if its outcome is more than this above the other's."""
    step_outcome_margin: float | None = 0.01
    """The better turn's episode must also have an outcome more than this above the other's (IPR); None: it may have any."""
    beta: float = Field(default=0.1, gt=0)
    """DPO's temperature."""
    sft: float = Field(default=0.0, ge=0)
    """Weight of the likelihood of what is preferred (IPR: 1)."""


UNREAD = (
    *("critic", "srpo_beta", "loss_weight", "signal_every", "entropy_coef", "aggregate", "aggregate_length", "ratio", "objective"),
    *("clip_low", "clip_high", "dual_clip", "correction", "correction_low", "correction_high", "gvpo_beta", "gvpo_anchor", "minibatches"),
)
"""Settings that learning from pairs does not read."""
FORKING = ("tree_rpo", "tree_grpo", "at2po")
"""Estimators of episodes that fork."""


class TreeConfig(BaseModel):
    """How the episodes of a group branch off each other: ``agents.trees.Tree``; see docs/credit.md.

    group_size = trunks + rounds * branches.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: Literal["uniform", "entropy", "arpo", "expert"] = "uniform"
    """At which turns; ``agents.branching`` says how each draws them. ``expert``: the one trunk is the ``teacher``'s, not trained."""
    strategy_args: dict[str, float] = Field(default_factory=dict)
    """``entropy``: penalty; ``arpo``: base, gain."""
    trunks: int = Field(ge=1)
    """Episodes from the start."""
    branches: int = Field(default=0, ge=0)
    """Forks of each round."""
    rounds: int = Field(default=1, ge=1)
    """A later round forks the forks of those before it too."""
    probes: int = Field(default=0, ge=0)
    """Further episodes from the state before every turn, whose mean return is its value (VinePPO); never trained."""
    restore: Literal["snapshot", "replay"] = "snapshot"
    """``replay`` does the actions again, for environments without snapshots that follow from seed and actions alone."""

    @model_validator(mode="after")
    def _fits(self) -> TreeConfig:
        if self.strategy == "expert" and self.trunks != 1:
            raise ValueError(f"trunks is {self.trunks}, but an expert's episodes are all the same; set trunks to 1")
        try:
            STRATEGIES[self.strategy](**self.strategy_args)
        except TypeError as error:
            raise ValueError(f"strategy {self.strategy!r} does not take {self.strategy_args} ({error})") from None
        return self

    def build(self, expert: Callable[[], Agent]) -> Tree:
        """The tree; ``expert`` makes the agent that the strategy of that name takes."""
        return Tree(
            trunks=self.trunks,
            branches=self.branches,
            rounds=self.rounds,
            branching=STRATEGIES[self.strategy](**self.strategy_args),
            restore=self.restore,
            expert=expert() if self.strategy == "expert" else None,
            probes=self.probes,
        )
