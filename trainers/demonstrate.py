"""Demonstrations as exact tokens: a scripted or recorded trajectory, tokenised as the policy itself would have been.

Trajectory (text) -> Renderer.context / continuation for what is seen, encode + end token for what is done -> Trajectory (tokens)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..agents.base import Agent
from ..agents.render import Renderer
from ..agents.scripted import RecordedAgent, ScriptedAgent
from ..envs.registry import manifest
from ..envs.tasks import TaskSet
from ..records import Message, TokenTrace, Trajectory, Turn
from ..trajectory_io import read_trajectories
from .collect import play_groups
from .config import TrainConfig
from .runs import derived_seed


def tokenize_demonstration(trajectory: Trajectory, renderer: Renderer) -> Trajectory:
    """The same trajectory with a ``TokenTrace`` on every turn (log-probs 0: nobody sampled these tokens)."""
    messages: list[Message] = []
    turns: list[Turn] = []
    for turn in trajectory.turns:
        messages.extend(turn.observation)
        restart = not turns or not renderer.can_append(messages)
        context = renderer.context(messages) if restart else renderer.continuation(turn.observation, ended=True)
        action = (*renderer.tokenizer.encode(turn.action.text, add_special_tokens=False), renderer.eos_id)
        spans, flat = tuple(p.span for p in context.images), (0.0,) * len(action)
        trace = TokenTrace(context_ids=context.ids, action_ids=tuple(action), logprobs=flat, restart=restart, images=spans)
        turns.append(replace(turn, tokens=trace))
        messages.append(turn.action)
    return replace(trajectory, turns=tuple(turns))


def teacher_agent(config: TrainConfig) -> Agent:
    """Who demonstrates: a script of the environment, or who does again what a file holds. Raises ``ValueError`` for an unknown script."""
    c = config
    if c.teacher.endswith(".jsonl"):
        return RecordedAgent(read_trajectories(c.teacher), c.teacher)
    scripts = manifest(c.env).scripts
    if c.teacher not in scripts:
        raise ValueError(f"{c.env} has no script {c.teacher!r}; teacher can be one of {', '.join(scripts)}, or a .jsonl file")
    return ScriptedAgent(scripts[c.teacher], c.teacher, **c.teacher_args)


def demonstrations(config: TrainConfig, make_env: Callable[[], Any], tasks: TaskSet, available: int) -> list[Trajectory]:
    """The teacher's episodes on the first ``warm_episodes`` of ``available`` train tasks, or the recorded ones, in a fixed order.

    A copy of another task is passed over: it is played from the same seed, and its episode would be a copy too. Without a warm start,
    200 episodes: the built-in policy's tokenizer needs text. Raises ``ValueError`` for an unknown script, too few tasks, or a damaged file.
    """
    c = config
    if c.teacher.endswith(".jsonl"):
        return read_trajectories(c.teacher)[: c.warm_episodes or None]
    teacher = teacher_agent(c)
    if c.warm_episodes > available:
        raise ValueError(f"warm_episodes is {c.warm_episodes}, but there are {available} train tasks; lower it or make more tasks")
    chosen = tasks.get_task_range(c.train_split, 0, c.warm_episodes or min(200, available))
    distinct = {task.hash: task for task in chosen}
    groups = play_groups(make_env, teacher, list(distinct.values()), 1, seed=derived_seed(c.seed, 1), concurrency=16)
    return [group[0] for group in groups]
