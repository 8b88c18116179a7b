"""The main job: warm start, evaluate, reinforcement learning turn by turn, evaluate again.

    teacher -> warm start -> evaluate ("before") -> [collect -> assemble -> Learner.update -> checkpoint]* -> evaluate ("after")

A critic, where there is one, gives values to the credit and learns in the same step.

Everything random follows from ``config.seed`` and the step, so a killed run goes on from its last checkpoint and, on a CPU,
ends with the weights of a run that was never killed.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..agents.models import base_model, pick_device, recompute_activations
from ..agents.policy import PolicyAgent
from ..agents.vision import image_reader
from ..envs.registry import make
from ..envs.tasks import TaskSet
from ..records import Task, Trajectory
from . import checkpoint
from .collect import Collected, collect, play_groups
from .config import TrainConfig
from .crediting import Estimated
from .critic import Critic, StepValues
from .demonstrate import demonstrations, teacher_agent
from .evaluate import evaluate
from .information_gain import InformationGain
from .kl_reward import KlReward
from .learn import Lessons
from .learner import Learner
from .policies import open_policy, open_reference
from .progress import Clock, Display
from .report.write import write_report
from .runs import RunFolder, derived_seed
from .shaping import Shaping
from .step import measures, save_step, tree_measures
from .warmstart import demonstration_samples, minibatches, warm_step

WARM_CHECKPOINT = 100
"""Warm-start steps between checkpoints."""


@dataclass(slots=True)
class Cursor:
    """Where a run stands; saved with every checkpoint."""

    warm: int = 0
    """Warm-start steps taken."""
    warmed: bool = False
    """The warm start is over."""
    step: int = 0
    """Steps of reinforcement learning taken."""
    tasks: int = 0
    """Train tasks drawn."""
    rollouts: int = 0
    """Episodes played for training, replaced groups included."""
    seconds: float = 0.0
    """Wall clock of all sessions up to the last checkpoint."""


class Training:
    """One run: ``Training(run).run(display)`` plays it from where its folder stands to its end."""

    def __init__(self, run: RunFolder) -> None:
        self.run_folder = run
        self.config: TrainConfig = run.config
        self.config.check_estimator()
        self.config.loss_options()
        self.cursor = Cursor()
        self.clock = Clock()
        self._started = time.monotonic()
        self._instance = self._make()
        self.tasks: TaskSet = self._instance.unwrapped.tasks
        self._tree = None if self.config.tree is None else self.config.tree.build(lambda: teacher_agent(self.config))
        self._check_settings()
        self._shaping = Shaping(self.config, self._instance.unwrapped)
        self._demonstrations: list[Trajectory] | None = None
        self._critic: Critic | None = None
        self._saving = 0.0  # seconds of the last checkpoint, shown in the row after it
        latest = run.latest_checkpoint()
        self._state = None if latest is None else checkpoint.load_state(latest)
        self.model, self.tokenizer = open_policy(run, latest, self.demonstrations)
        if self.config.gradient_checkpointing:
            recompute_activations(base_model(self.model))
        if self._state is not None:
            self.cursor = Cursor(**self._state["cursor"])

    def _make(self) -> Any:
        return make(self.config.env, **self.config.env_args)

    def _check_settings(self) -> None:
        """What can be wrong is found before anything runs."""
        c = self.config
        if self.tasks.split(c.train_split).type == "test":
            raise ValueError(f"split {c.train_split!r} is a test split; training refuses it. Set train_split to a train split")
        if self.tasks.split(c.eval_split).type == "train" and not c.allow_train:
            raise ValueError(f"split {c.eval_split!r} is a train split; evaluate a held-out split, or set allow_train")
        count = self._train_count()
        if c.groups > count:
            raise ValueError(f"groups is {c.groups}, but only {count} train tasks may be drawn; lower groups or raise train_tasks")
        if self._tree is not None:
            self._tree.check(self._instance)

    def _train_count(self) -> int:
        count = self.tasks.num_tasks(self.config.train_split)
        return min(count, self.config.train_tasks or count)

    def agent(self, temperature: float | None = None) -> PolicyAgent:
        c = self.config
        agent = PolicyAgent(
            base_model(self.model),
            self.tokenizer,
            temperature=c.temperature if temperature is None else temperature,
            max_new_tokens=c.max_new_tokens,
            max_context=c.max_context,
        )
        agent.version = self.cursor.step
        return agent

    # ---- warm start ------------------------------------------------------------------------------------------------

    def demonstrations(self) -> list[Trajectory]:
        """The teacher's episodes, played or read once."""
        if self._demonstrations is None:
            self._demonstrations = demonstrations(self.config, self._make, self.tasks, self._train_count())
        return self._demonstrations

    def warm(self, display: Display) -> None:
        """Play what is left of the warm start, if anything is."""
        if self.cursor.warmed:
            return
        if self.config.warm_episodes:
            self._warm_start(display)
        self.cursor.warmed = True
        self._save(None)

    def _warm_start(self, display: Display) -> None:
        c = self.config
        agent = self.agent()
        samples = demonstration_samples(self.demonstrations(), agent.renderer)
        per_epoch = -(-len(samples) // c.warm_batch)
        total = per_epoch * c.warm_epochs
        learner = self._learner(lr=c.warm_lr, optimizer=c.warm_optimizer, schedule="cosine", warmup=min(20, total), total_steps=total)
        self._restore(learner)
        display.say(f"warm start: {len(samples)} demonstrations, {total} steps, from step {self.cursor.warm}")
        with display.bar("warm start", total) as advance, self.clock("warm"):
            for number, part in enumerate(minibatches(samples, epochs=c.warm_epochs, batch=c.warm_batch, seed=c.seed)):
                advance()
                if number < self.cursor.warm:
                    continue
                display.check()
                metrics = warm_step(learner, part)
                self.cursor.warm += 1
                if self.cursor.warm % 20 == 0 or self.cursor.warm == total:
                    self.run_folder.log({"phase": "warm", "step": self.cursor.warm, **metrics})
                if self.cursor.warm % WARM_CHECKPOINT == 0 and self.cursor.warm < total:
                    self._save(learner)

    # ---- reinforcement learning ------------------------------------------------------------------------------------

    def _learner(self, **options: Any) -> Learner:
        c = self.config
        return Learner(
            self.model,
            temperature=c.temperature,
            token_budget=c.token_budget,
            max_grad_norm=c.max_grad_norm,
            seed=derived_seed(c.seed, 2),
            images=image_reader(self.tokenizer),
            **options,
        )

    def _task_stream(self) -> Iterator[Task]:
        """Train tasks in a new random order every pass, from where the cursor stands."""
        count = self._train_count()
        while True:
            lap, place = divmod(self.cursor.tasks, count)
            rng = np.random.default_rng(np.random.SeedSequence([self.config.seed, 3, lap]))
            for index in rng.permutation(count)[place:]:
                self.cursor.tasks += 1
                yield self.tasks.get_task(self.config.train_split, int(index))

    def _open_critic(self) -> Critic | None:
        """Of the policy as it is now, after the warm start; a checkpoint's state is laid over it."""
        c = self.config
        if c.critic is None:
            return None
        options: dict[str, Any] = {"minibatches": c.minibatches, "max_grad_norm": c.max_grad_norm, "token_budget": c.token_budget}
        return Critic(self.model, c.critic, seed=derived_seed(c.seed, 5), images=image_reader(self.tokenizer), **options)

    def _collect(self, learner: Learner, stream: Iterator[Task], agent: PolicyAgent, credit: Estimated, display: Display) -> Collected:
        c, clock = self.config, self.clock

        def play(tasks: Sequence[Task], number: int) -> list[list[Trajectory]]:
            display.check()
            seed = derived_seed(c.seed, 4, self.cursor.step, number)
            with clock("rollout"), display.bar(f"step {self.cursor.step + 1} rollouts", len(tasks) * c.group_size) as advance:
                return play_groups(
                    self._make,
                    agent,
                    tasks,
                    c.group_size,
                    seed=seed,
                    concurrency=c.concurrency,
                    timeout=c.episode_timeout,
                    progress=advance,
                    tree=self._tree,
                )

        kl = KlReward(learner.reference_logprobs, c.kl) if c.kl_in == "reward" else None
        return collect(
            play,
            stream,
            c.groups,
            rewards=self._shaping.of_step(self._information_gain(agent), kl),
            credit=credit,
            rounds=c.replace_rounds,
            clock=clock,
            drop=credit.dropped,
            gamma=c.estimator_args.get("gamma", 1.0),
        )

    def _information_gain(self, agent: PolicyAgent) -> InformationGain | None:
        """By the policy as it is now."""
        c = self.config
        if c.information_gain == 0:
            return None
        reader = image_reader(self.tokenizer)
        return InformationGain(self.model, agent.renderer, temperature=c.temperature, token_budget=c.token_budget, images=reader)

    def _step(self, learner: Learner, stream: Iterator[Task], display: Display) -> None:
        c = self.config
        self.clock = Clock()
        agent = self.agent()
        values = None if self._critic is None else StepValues(self._critic)
        credit = Estimated(c.estimator, c.estimator_args, c.modifiers, values=values, trees=c.tree is not None)
        got = self._collect(learner, stream, agent, credit, display)
        learned = Lessons(c, learner, self._critic)(got, credit, agent, self.clock, step=self.cursor.step)
        self.cursor.step += 1
        self.cursor.rollouts += len(got.played)
        if self.cursor.step % c.save_every == 0 or self.cursor.step in (1, c.steps):
            save_step(self.run_folder.path / "trajectories", self.cursor.step, learned.got, learned.used, c.estimator)
        self.clock.seconds["save"] = self._saving
        row = {"phase": "rl", "step": self.cursor.step, "rollouts": self.cursor.rollouts, **measures(got), "restarts": agent.restarts}
        if c.tree is not None:
            row |= tree_measures(got, c.tree.trunks)
        row |= {**self._shaping.counts, **credit.counts, **learned.row, "seconds": dict(self.clock.seconds)}
        # The row comes before the checkpoint: a row too many is dropped on resume, a row too few could never be had again.
        self.run_folder.log(row)
        if self.cursor.step % c.checkpoint_every == 0 or self.cursor.step == c.steps:
            started = time.perf_counter()
            self._save(learner)
            self._saving = time.perf_counter() - started
        display.step(row, c.steps)

    # ---- what is written -------------------------------------------------------------------------------------------

    def _save(self, learner: Learner | None) -> None:
        cursor = {name: getattr(self.cursor, name) for name in Cursor.__slots__}
        cursor["seconds"] = self._seconds()
        state = {"cursor": cursor, "learner": None if learner is None else learner.state_dict()}
        state["critic"] = None if self._critic is None else self._critic.state_dict()
        where = ("step", self.cursor.step) if self.cursor.warmed else ("warm", self.cursor.warm)
        self.run_folder.save_checkpoint(*where, lambda folder: checkpoint.save(folder, self.model, state))

    def _restore(self, learner: Learner) -> None:
        if self._state is not None and self._state["learner"] is not None:
            learner.load_state_dict(self._state["learner"])
        if self._critic is not None and self._state is not None and self._state["critic"] is not None:
            self._critic.load_state_dict(self._state["critic"])
        self._state = None

    def evaluate(self, name: str, display: Display) -> dict[str, Any]:
        """Held-out results at the training temperature and greedy; written to ``eval/NAME-*`` and ``NAME.json``."""
        c = self.config
        path = self.run_folder.path / f"{name}.json"
        if path.exists():
            return json.loads(path.read_text())
        count = min(c.eval_tasks, self.tasks.num_tasks(c.eval_split))
        results: dict[str, Any] = {}
        for label, temperature in (("sampled", c.temperature), *([("greedy", 0.0)] if c.eval_greedy else [])):
            display.check()
            with display.bar(f"evaluate {name} ({label})", count) as advance, self.clock("evaluate"):
                results[label] = evaluate(
                    self._make,
                    self.agent(temperature),
                    c.eval_split,
                    n_tasks=count,
                    seed=c.eval_seed,
                    out=self.run_folder.path / "eval" / f"{name}-{label}",
                    allow_train=c.allow_train,
                    concurrency=c.concurrency,
                    timeout=c.episode_timeout,
                    progress=advance,
                )
            low, mean, high = (results[label]["success"][k] for k in ("low", "mean", "high"))
            display.say(f"{name:>10} {label:<8} success {mean:.3f} [{low:.3f}, {high:.3f}] on {count} {c.eval_split} tasks")
        path.write_text(json.dumps(results) + "\n")
        return results

    def _seconds(self) -> float:
        return self.cursor.seconds + time.monotonic() - self._started

    # ---- the whole -------------------------------------------------------------------------------------------------

    def run(self, display: Display) -> dict[str, Any]:
        """Play the run to its end; the summary that ``turnwise train`` prints as its last line."""
        with display.interruptible():
            return self._run(display)

    def _run(self, display: Display) -> dict[str, Any]:
        c = self.config
        display.say(f"run {self.run_folder.path}  device {pick_device(c.device)}  policy {c.policy}  {self._size():,} parameters")
        self.run_folder.rewind_metrics(warm=self.cursor.warm, rl=self.cursor.step)
        self.warm(display)
        before = self.evaluate("before", display)
        learner = self._learner(
            lr=c.lr,
            optimizer=c.optimizer,
            schedule=c.schedule,
            warmup=c.warmup_steps,
            total_steps=(c.steps - (c.critic.warmup_steps if c.critic is not None else 0)) * c.minibatches,
            reference=open_reference(self.run_folder, self.model),
            loss=c.loss_options(),
            minibatches=c.minibatches,
        )
        self._critic = self._open_critic()
        self._restore(learner)
        stream = self._task_stream()
        while self.cursor.step < c.steps:
            self._step(learner, stream, display)
            if c.eval_every and self.cursor.step % c.eval_every == 0 and self.cursor.step < c.steps:
                self.evaluate(f"step-{self.cursor.step:05d}", display)
        after = self.evaluate("after", display)
        display.say(f"report {write_report(self.run_folder.path)}")
        return {
            "before": before["sampled"]["success"]["mean"],
            "after": after["sampled"]["success"]["mean"],
            "rollouts": self.cursor.rollouts,
            "seconds": round(self._seconds(), 1),
            "peak_mb": peak_mb(),
            "run": str(self.run_folder.path),
        }

    def save_policy(self, folder: Path) -> None:
        """The policy as it is, adapter merged, with its tokenizer: a folder that ``policy`` may name."""
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        merged = self.model.merge_and_unload() if self.config.lora is not None else base_model(self.model)
        merged.save_pretrained(part)
        self.tokenizer.save_pretrained(part)
        part.rename(folder)

    def _size(self) -> int:
        return sum(p.numel() for p in self.model.parameters())


def peak_mb() -> int:
    """Peak resident memory of this process in MiB."""
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))


def train(config: TrainConfig, folder: str | Path, display: Display | None = None) -> dict[str, Any]:
    """Start a run in a new folder and play it to its end. Ctrl-C leaves it resumable with ``resume``."""
    with display or Display() as shown:
        return Training(RunFolder.create(folder, config)).run(shown)


def resume(folder: str | Path, display: Display | None = None) -> dict[str, Any]:
    """Go on with a run that was stopped or killed."""
    with display or Display() as shown:
        return Training(RunFolder.open(folder)).run(shown)
