"""One configuration for the whole main job; defaults are declared here and nowhere else."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .config_parts import FORKING, UNREAD, CriticConfig, GateConfig, PreferenceConfig, TreeConfig, VisionConfig
from .credit.modifiers import Modifiers
from .credit.registry import check_critic, check_parameters, reads_turn_rewards
from .crediting import Estimated

if TYPE_CHECKING:
    from .loss import LossOptions

M = TypeVar("M", bound=BaseModel)
RECIPES = Path(__file__).parent.parent / "recipes"


class TrainConfig(BaseModel):
    """Everything that decides a run; dumped into the run folder as it took effect. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    env: str = "turnwise/Search-v0"
    env_args: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the environment's constructor."""
    policy: str = "tiny"
    """``tiny``, ``tiny-vlm`` (Qwen3-VL), ``tiny-vlm-2.5`` (Qwen2.5-VL), a local folder, or a hub name."""
    tiny: dict[str, int] = Field(default_factory=dict)
    """Sizes of the built-in policy: ``hidden``, ``layers``, ``vocab_size``, ``heads``; with eyes ``vision_hidden``, ``vision_layers`` and
    ``patch`` (pixels)."""
    vision: VisionConfig | None = None
    """How a vision-language policy sees; None: as its checkpoint says."""
    lora: dict[str, Any] | None = None
    """Arguments of ``peft.LoraConfig`` over the defaults of ``agents.models``; None trains every weight."""
    device: str | None = None
    """``cpu``, ``cuda``, ...; None: a GPU if there is one."""
    dtype: Literal["float32", "bfloat16"] | None = None
    """None: float32 on a CPU, bfloat16 on a GPU."""
    seed: int = 0

    train_split: str = "train"
    train_tasks: int | None = Field(default=None, ge=1)
    """Only the first so many train tasks; None: all of the split."""
    teacher: str = "expert"
    """Name of the environment's script that demonstrates, or a trajectories .jsonl file."""
    teacher_args: dict[str, Any] = Field(default_factory=dict)
    warm_episodes: int = Field(default=0, ge=0)
    """Demonstrations of the warm start; 0 skips it."""
    warm_epochs: int = Field(default=1, ge=1)
    warm_batch: int = Field(default=16, ge=1)
    """Demonstrations per optimizer step."""
    warm_lr: float = Field(default=4e-3, gt=0)
    warm_optimizer: Literal["adamw", "muon"] = "muon"

    estimator: str = "turn_rloo"
    estimator_args: dict[str, Any] = Field(default_factory=dict)
    modifiers: list[str | dict[str, dict[str, Any]]] = Field(default_factory=list)
    """What is done before and after the estimator, in order: names, or {name: {its arguments}}; see docs/credit.md."""

    critic: CriticConfig | None = None
    """Where the values of the estimator come from, if it reads any; None: from nowhere."""
    information_gain: float = Field(default=0.0, ge=0)
    """Weight of the policy's own information gain (IGPO) as a further turn reward; 0: not computed."""
    rubric: dict[str, float | dict[str, Any]] = Field(default_factory=dict)
    """Further turn rewards by name: a weight, or {weight: ..., and its arguments}. ``trainers.shaping.FUNCTIONS`` are known."""
    gate: GateConfig | None = None
    """Which turn rewards count only where more important ones were good enough; None: all count."""
    preference: PreferenceConfig | None = None
    """Learn from pairs of episodes and turns (DPO, IPR) instead of by a policy gradient; None: the gradient."""
    steps: int = Field(default=50, ge=0)
    groups: int = Field(default=16, ge=1)
    """Tasks per step."""
    group_size: int = Field(default=8, ge=1)
    """Rollouts per task."""
    tree: TreeConfig | None = None
    """How the rollouts of a task branch off each other; None: they are independent."""
    replace_rounds: int = Field(default=1, ge=0)
    """How often groups without signal are replaced by new tasks before the step is taken without them."""
    lr: float = Field(default=3e-4, ge=0)
    optimizer: Literal["adamw", "muon"] = "adamw"
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_steps: int = Field(default=0, ge=0)
    minibatches: int = Field(default=1, ge=1)
    """Optimizer steps per step."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    kl_coef: float = Field(default=0.0, ge=0)
    """Weight of the divergence from the policy as it was before reinforcement learning."""
    kl: Literal["k1", "k2", "k3"] = "k3"
    """Its estimator."""
    kl_in: Literal["loss", "reward"] = "loss"
    """Where it is charged: per token in the loss, or, summed over a turn's tokens, in the turn's reward before credit is given."""
    ratio: Literal["token", "turn", "turn_sum", "sequence"] = "token"
    """What the ratio of the loss is taken of; see ``LossOptions``."""
    objective: Literal["clip", "cispo", "gvpo"] = "clip"
    clip_low: float = Field(default=0.2, ge=0)
    clip_high: float = Field(default=0.28, ge=0)
    dual_clip: float | None = Field(default=None, gt=1)
    """An advantage below 0 costs at most this many times its size."""
    aggregate: Literal["token", "rollout", "constant"] = "token"
    """What counts the same in the loss: every token, every episode, or every token with the sum divided by a constant (Dr. GRPO)."""
    aggregate_length: int | None = Field(default=None, ge=1)
    """Tokens that "constant" divides an episode's sum by; ``max_new_tokens`` times the turns of an episode is usual."""
    entropy_coef: float = Field(default=0.0, ge=0)
    """Weight of the policy's entropy per token, which the loss rewards."""
    correction: Literal["none", "token", "sequence", "geometric"] = "none"
    """How probabilities of the sampler that differ from the learner's are dealt with: not at all, weights of tokens that are truncated
    above, weights of episodes that are masked outside of bounds, or episodes that are masked by their tokens' geometric mean."""
    correction_low: float | None = Field(default=None, ge=0)
    """Ratios of episodes below are masked; None: 0, and 0.99 for "geometric"."""
    correction_high: float | None = Field(default=None, gt=0)
    """Where ratios are truncated, or above which episodes are masked; None: 2, 3 and 1.01 for token, sequence and geometric."""
    gvpo_beta: float = Field(default=0.1, gt=0)
    """Weight of an episode's log-ratio against its advantage, for the objective "gvpo"."""
    gvpo_anchor: Literal["reference", "sampler"] = "reference"
    """What that log-ratio is to: the policy as it was before reinforcement learning, or the one that sampled the episode."""
    srpo_beta: float | None = Field(default=None, ge=0)
    """Episodes that failed where a sibling succeeded learn from the policy that is told of it, token by token weighted by exp(-this times
    the told policy's entropy) (SRPO: 1); None: from their advantage, as all others."""
    overlong: Literal["keep", "mask", "penalty"] = "keep"
    """Episodes that a limit of turns or tokens cut off: trained on like others, or left out of the loss though not of the baselines; or
    every long episode's outcome is lowered (DAPO's soft punishment)."""
    overlong_max: int | None = Field(default=None, ge=1)
    """Action tokens of an episode at which "penalty" has reached -1."""
    overlong_cache: int | None = Field(default=None, ge=1)
    """Tokens before ``overlong_max`` at which it begins."""
    loss_weight: str = ""
    """A measure of an episode's last turn, such as ``difficulty`` of Ground-v0 (GUI-G1), that its loss is multiplied by, over its mean in
    the step. Empty: all episodes weigh the same."""
    gradient_checkpointing: bool = False

    temperature: float = Field(default=1.0, gt=0)
    max_new_tokens: int = Field(default=64, ge=1)
    """Tokens of one turn."""
    max_context: int | None = Field(default=None, ge=16)
    """Tokens of one episode; None: what the model's positions allow."""
    concurrency: int = Field(default=128, ge=1)
    """Episodes played at the same time."""
    episode_timeout: float | None = Field(default=None, gt=0)
    """Seconds per episode."""
    token_budget: int = Field(default=8192, ge=64)
    """Tokens of one training pack."""

    checkpoint_every: int = Field(default=1, ge=1)
    save_every: int = Field(default=10, ge=1)
    """Steps between trajectory files in the run folder."""
    eval_split: str = "test"
    eval_tasks: int = Field(default=200, ge=1)
    eval_seed: int = 1000
    eval_every: int = Field(default=0, ge=0)
    """Steps between evaluations on ``eval_split`` during training; 0: only before and after."""
    eval_greedy: bool = True
    """Evaluate greedily too, and not only at the training temperature."""
    signal_every: int = Field(default=0, ge=0)
    """Steps between measurements of the gradient's signal and noise, each another backward pass over the step's episodes; 0: never."""
    allow_train: bool = False
    """Permit a train split for evaluation."""

    def loss_options(self) -> LossOptions:
        """The loss of these settings. Raises ``ValueError`` where they do not go together."""
        from .loss import LossOptions

        if self.srpo_beta is not None and self.objective == "gvpo":
            raise ValueError(
                "srpo_beta routes episodes out of their group, whose weights the objective gvpo balances; leave one of them out"
            )
        return LossOptions(
            ratio=self.ratio,
            objective=self.objective,
            clip_low=self.clip_low,
            clip_high=self.clip_high,
            dual_clip=self.dual_clip,
            kl=self.kl,
            kl_coef=self.kl_coef if self.kl_in == "loss" else 0.0,
            entropy_coef=self.entropy_coef,
            correction=self.correction,
            correction_low=self.correction_low,
            correction_high=self.correction_high,
            aggregate=self.aggregate,
            aggregate_length=self.aggregate_length,
            gvpo_beta=self.gvpo_beta,
            gvpo_anchor=self.gvpo_anchor,
        )

    @property
    def needs_reference(self) -> bool:
        """Whether the policy as it was before reinforcement learning is needed."""
        return self.kl_coef > 0 or self.preference is not None or self.loss_options().needs_reference

    def check_estimator(self) -> None:
        """Raise ``ValueError`` if the estimator or a modifier is unknown, does not take its arguments, or does not go with the critic or
        the loss: told before anything is built."""
        c = self.critic
        if c is not None:
            check_critic(self.estimator, c.level)
            if 0 < self.steps <= c.warmup_steps:
                raise ValueError(
                    f"critic.warmup_steps is {c.warmup_steps} of {self.steps} steps, so the policy would never move; "
                    "lower it, or give more steps"
                )
            if self.objective == "gvpo" and c.coef > 0:
                raise ValueError(f"critic.coef is {c.coef}, but gvpo has no gradient to add to; set coef to 0")
        self._check_tree()
        self._check_preference()
        valued = "turn" if self.tree is not None and self.tree.probes else None
        check_parameters(self.estimator, self.estimator_args, valued if c is None else c.level)
        Estimated(self.estimator, self.estimator_args, self.modifiers)
        if self.signal_every and self.objective == "gvpo":
            raise ValueError("signal_every measures the gradient of ratios, which gvpo has not; leave signal_every out")
        if self.kl_in == "reward" and self.kl_coef == 0:
            raise ValueError("kl_in is 'reward', but kl_coef is 0; set kl_coef, or leave kl_in out")
        if self.kl_in == "reward" and not reads_turn_rewards(self.estimator, self.estimator_args):
            raise ValueError(
                f"kl_in is 'reward', but {self.estimator} reads outcomes alone; use kl_in loss, or turn_rloo or another of turns"
            )

    def _check_preference(self) -> None:
        if self.preference is None:
            return
        unread = [name for name in UNREAD if getattr(self, name) != type(self).model_fields[name].default]
        unread += ["kl_coef"] if self.kl_coef > 0 and self.kl_in == "loss" else []
        if unread:
            raise ValueError(f"preference learns from pairs and does not read {', '.join(unread)}; leave them out, or preference")

    def _check_tree(self) -> None:
        tree, names = self.tree, {self.estimator, self.estimator_args.get("base")}
        if tree is not None and self.group_size != tree.trunks + tree.rounds * tree.branches:
            raise ValueError(
                f"group_size is {self.group_size}, but tree.trunks + tree.rounds * tree.branches is "
                f"{tree.trunks} + {tree.rounds} * {tree.branches}; make them equal"
            )
        for name in names & set(FORKING):
            if tree is None or not tree.branches:
                raise ValueError(f"estimator {name!r} compares episodes that fork; set tree, for example tree: {{trunks: 4, branches: 4}}")
        if "vine" in names and (tree is None or not tree.probes):
            raise ValueError(
                "estimator 'vine' needs states valued by rollouts from them; set tree.probes, for example "
                f"tree: {{trunks: {self.group_size}, probes: 4}}"
            )
        if tree is not None and self.critic is not None:
            raise ValueError("critic and tree are both set; take one of them, as values are of episodes that do not share turns")
        if tree is not None and (filters := [name for name, _ in Modifiers(self.modifiers).of("filter")]):
            raise ValueError(f"modifiers: {', '.join(filters)} would drop episodes that others were forked from; leave them out, or tree")


def find_recipe(name: str) -> Path:
    """The recipe file ``name`` means: a path, or the name of a recipe that ships. ``ValueError`` names those that do."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.exists():
            raise ValueError(f"there is no recipe file {name}; shipped recipes: {', '.join(_shipped())}")
        return path
    if name not in _shipped():
        close = difflib.get_close_matches(name, _shipped(), 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"there is no recipe {name!r}; shipped: {', '.join(_shipped())}, or give a .yaml file.{hint}")
    return RECIPES / f"{name}.yaml"


def _shipped() -> list[str]:
    return sorted(p.stem for p in RECIPES.glob("*.yaml"))


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """``["lr=1e-4", "tiny={hidden: 64}"]`` as a mapping; values are YAML."""
    out: dict[str, Any] = {}
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign or not key:
            raise ValueError(f"setting {setting!r} is not KEY=VALUE")
        out[key] = _number(yaml.safe_load(value))
    return out


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-4 as text; a person means a number."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


QUICK = {"warm_episodes": 9600, "warm_epochs": 1, "steps": 5, "groups": 8, "group_size": 8, "eval_tasks": 48}
"""What ``--quick`` lays over a recipe that asks for more: every phase of the job, in two or three minutes."""


def quickened(config: TrainConfig, given: Collection[str]) -> TrainConfig:
    """``config`` with at most what ``QUICK`` says of everything but the keys that were ``given`` by hand."""
    fixed = {*given, "group_size"} if config.tree is not None else given  # a tree says how large its groups are
    return config.model_copy(update={key: min(most, getattr(config, key)) for key, most in QUICK.items() if key not in fixed})


def read_mapping(path: str | Path, what: str) -> dict[str, Any]:
    """The YAML mapping in a file; an empty file is an empty one. Raises ``ValueError`` that names the file for anything else."""
    values = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    if not isinstance(values, dict):
        raise ValueError(f"{path}: a {what} is a mapping of keys to values, this is a {type(values).__name__}")
    return cast("dict[str, Any]", values)


def validated(model: type[M], values: dict[str, Any], where: str) -> M:
    """``values`` as a ``model``. Raises ``ValueError`` that says ``where``, which key, what was seen and what is allowed."""
    allowed = list(model.model_fields)
    for key in values:
        if key not in allowed:
            close = difflib.get_close_matches(str(key), allowed, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"{where}: unknown key {key!r}.{hint} Allowed: {', '.join(allowed)}")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'all'}: {e['msg']} (seen: {e.get('input')!r:.300})" for e in error.errors()]
        raise ValueError(f"{where}: " + "; ".join(lines)) from None


def load_config(path: str | Path | None, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """Read a YAML recipe and lay ``overrides`` over it. Raises ``ValueError`` that names the key, what is allowed and the file."""
    values = {**({} if path is None else read_mapping(path, "recipe")), **(overrides or {})}
    if "environments" in values and "methods" in values:
        raise ValueError(f"{path}: this is a lab and not a recipe; play it with: turnwise lab {path}")
    config = validated(TrainConfig, values, str(path or "options"))
    config.check_estimator()
    return config
