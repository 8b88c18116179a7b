"""Evaluation of an agent on held-out tasks, and comparison of two evaluations.

    evaluate(env, agent, split, n_tasks, k, seed, out) -> out/config.json, out/trajectories.jsonl, out/results.json

Every finished episode is written at once, so a killed evaluation continues where it stopped when called again. Episodes
in which the environment failed are counted apart and enter no score.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..agents.base import Agent
from ..agents.rollout import EnvSource, Progress, play_jobs
from ..envs.tasks import TaskSet
from ..records import Task, Trajectory
from ..trajectory_io import drop_torn_line, read_trajectories, write_trajectories
from .stats import cluster_bootstrap, mean_over_tasks, paired_difference, pass_at_k, pass_hat_k

SCHEMA = "turnwise.evaluation/1"


def evaluate(env: EnvSource, agent: Agent, split: str = "test", **options: Any) -> dict[str, Any]:
    """``evaluate_async`` for callers without an event loop."""
    import asyncio

    return asyncio.run(evaluate_async(env, agent, split, **options))


async def evaluate_async(
    env: EnvSource,
    agent: Agent,
    split: str = "test",
    n_tasks: int | None = None,
    k: int = 1,
    seed: int = 0,
    out: str | Path | None = None,
    *,
    allow_train: bool = False,
    progress: Progress | None = None,
    **rollout_options: Any,
) -> dict[str, Any]:
    """Play the first ``n_tasks`` tasks of a split ``k`` times each and return the results.

    ``out``: folder for the files; calling again with the same arguments (or larger ``n_tasks`` and ``k``) plays only
    what is missing. ``progress`` is called with every episode played. ``rollout_options``: concurrency, retries, max_tokens, timeout.
    """
    if k < 1:
        raise ValueError(f"k is {k}; play every task at least once")
    tasks, breakdown = _tasks(env, split, n_tasks, allow_train)
    config = {"schema": SCHEMA, "env": tasks[0].env_id, "split": split, "agent": agent.name, "seed": seed}
    wanted = {(task.hash, member): task for task in tasks for member in range(k)}
    if len(wanted) < len(tasks) * k:
        different = len({t.hash for t in tasks})
        raise ValueError(
            f"of the first {len(tasks)} tasks of split {split!r} only {different} are different, and a copy would count twice; "
            "remove copies, take fewer tasks, or let an environment that makes its tasks make more kinds of them"
        )
    played: dict[tuple[str, int], Trajectory] = {}
    log = None if out is None else Path(out) / "trajectories.jsonl"
    if log is not None:
        _open_folder(log.parent, config, rollout_options)
        drop_torn_line(log)
        kept = read_trajectories(log) if log.exists() else []
        played = {(t.task.hash, t.rollout): t for t in kept if (t.task.hash, t.rollout) in wanted}

    def keep(trajectory: Trajectory) -> None:
        played[trajectory.task.hash, trajectory.rollout] = trajectory
        if log is not None:
            write_trajectories(log, [trajectory])
        if progress is not None:
            progress(trajectory)

    jobs = [(task, member) for (digest, member), task in wanted.items() if (digest, member) not in played]
    await play_jobs(env, agent, jobs, seed=seed, progress=keep, **rollout_options)
    results = {**config, "k": k, **summarize([played[key] for key in wanted], breakdown)}
    if log is not None:
        _write_json(log.parent / "results.json", results)
    return results


def summarize(trajectories: Sequence[Trajectory], breakdown: Sequence[str] = ()) -> dict[str, Any]:
    """The numbers of a set of episodes: scores over valid ones, faults and stop reasons over all.

    ``breakdown``: keys of tasks' data, see ``Env.breakdown``.
    """
    groups: dict[str, list[Trajectory]] = {}
    for trajectory in trajectories:
        groups.setdefault(trajectory.task.hash, []).append(trajectory)
    valid = {digest: [t for t in group if t.outcome.valid] for digest, group in groups.items()}
    scored = [group for group in valid.values() if group]
    counts = [(len(group), sum(t.outcome.success for t in group)) for group in scored]
    flat = [t for group in scored for t in group]
    turns = [turn for t in flat for turn in t.turns]
    usage: Counter[str] = Counter()
    for trajectory in trajectories:
        usage.update(trajectory.usage)
    ks = range(1, max((n for n, _ in counts), default=0) + 1)
    return {
        "tasks": len(groups),
        "episodes": len(trajectories),
        "faults": len(trajectories) - len(flat),
        "tasks_without_verdict": len(groups) - len(scored),
        "retried": sum(t.attempts > 1 for t in trajectories),
        "score": asdict(cluster_bootstrap([[t.outcome.score for t in g] for g in scored])) if scored else None,
        "success": asdict(cluster_bootstrap([[float(t.outcome.success) for t in g] for g in scored])) if scored else None,
        "pass_at_k": {str(i): mean_over_tasks(counts, i, pass_at_k) for i in ks},
        "pass_hat_k": {str(i): mean_over_tasks(counts, i, pass_hat_k) for i in ks},
        "stop_reasons": dict(sorted(Counter(t.stop.value for t in trajectories).items())),
        "mean_turns": _mean([len(t.turns) for t in flat]),
        "mean_tokens": _mean([t.num_action_tokens or t.usage.get("completion_tokens", 0) for t in flat]),
        "mean_turn_reward_sum": _mean([t.turn_reward_sum for t in flat]),
        "invalid_action_rate": _mean([not turn.action_valid for turn in turns]),
        "usage": dict(usage),
        "by": {name: part for name in breakdown if (part := _by(name, scored))},
        "per_task": {digest: _task_summary(groups[digest][0].task, group) for digest, group in valid.items()},
    }


def compare(a: str | Path, b: str | Path) -> dict[str, Any]:
    """Paired comparison of two evaluation folders (or results.json files) on the tasks they share: B minus A."""
    first, second = _read_results(a), _read_results(b)
    for name in ("env", "split"):
        if first[name] != second[name]:
            raise ValueError(f"{a} has {name} {first[name]!r}, {b} has {second[name]!r}; compare evaluations of the same {name}")
    sides = [{d: t for d, t in r["per_task"].items() if t["episodes"]} for r in (first, second)]
    shared = sorted(sides[0].keys() & sides[1].keys())
    if not shared:
        raise ValueError(f"{a} and {b} share no task with a verdict; evaluate both on the same tasks")
    out: dict[str, Any] = {"a": first["agent"], "b": second["agent"], "env": first["env"], "split": first["split"], "tasks": len(shared)}
    out["only_a"], out["only_b"] = len(sides[0]) - len(shared), len(sides[1]) - len(shared)
    for name in ("score", "success"):
        left, right = ([side[d][name] for d in shared] for side in sides)
        out[name] = {"a": _mean(left), "b": _mean(right), **asdict(paired_difference(left, right))}
    return out


def _tasks(env: EnvSource, split: str, n_tasks: int | None, allow_train: bool) -> tuple[list[Task], tuple[str, ...]]:
    """The tasks, and what their results are broken down by."""
    instance = _make(env)
    try:
        source: TaskSet = instance.unwrapped.tasks
        chosen = source.split(split)
        if chosen.type == "train" and not allow_train:
            raise ValueError(f"split {split!r} is a train split; evaluate a held-out split, or pass allow_train=True (--allow-train)")
        count = chosen.num_tasks if n_tasks is None else n_tasks
        if not 1 <= count <= chosen.num_tasks:
            raise ValueError(f"n_tasks is {count}; split {split!r} has {chosen.num_tasks} tasks, so 1..{chosen.num_tasks} are allowed")
        return source.get_task_range(split, 0, count), instance.unwrapped.breakdown
    finally:
        instance.close()


def _make(env: EnvSource) -> Any:
    if not isinstance(env, str):
        return env()
    from ..envs.registry import make

    return make(env)


def _open_folder(folder: Path, config: dict[str, Any], limits: dict[str, Any]) -> None:
    path = folder / "config.json"
    config = {**config, "max_tokens": limits.get("max_tokens"), "timeout": limits.get("timeout")}
    if path.exists():
        before = json.loads(path.read_text())
        if before != config:
            changed = ", ".join(f"{n}: {before.get(n)!r} there, {v!r} now" for n, v in config.items() if before.get(n) != v)
            raise ValueError(f"{folder} holds another evaluation ({changed}); choose another folder, or the same settings to resume")
        return
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "trajectories.jsonl").exists():
        raise ValueError(f"{folder} holds trajectories without a config.json; choose another folder")
    _write_json(path, config)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(value, indent=1) + "\n")
    partial.replace(path)


def _read_results(path: str | Path) -> dict[str, Any]:
    path = Path(path) / "results.json" if Path(path).is_dir() else Path(path)
    if not path.exists():
        raise ValueError(f"{path} does not exist; give the folder of a finished evaluation")
    results = json.loads(path.read_text())
    if not isinstance(results, dict) or results.get("schema") != SCHEMA:
        raise ValueError(f"{path} is no evaluation result (schema {SCHEMA!r}); give the folder of a finished evaluation")
    return results


def _by(name: str, scored: Sequence[list[Trajectory]]) -> dict[str, dict[str, float | int | None]]:
    """Means over tasks for each value of the tasks' data under ``name``; tasks without it are left out."""
    keys = name.split("/")
    parts: dict[str, list[dict[str, Any]]] = {}
    for group in scored:
        values = [group[0].task.data.get(key) for key in keys]
        if None not in values:
            label = " / ".join("+".join(map(str, v)) if isinstance(v, (list, tuple)) else str(v) for v in values)
            parts.setdefault(label, []).append(_task_summary(group[0].task, group))
    return {
        label: {
            "tasks": len(tasks),
            **{name: _mean([task[name] for task in tasks]) for name in ("score", "success")},
        }
        for label, tasks in sorted(parts.items())
    }


def _task_summary(task: Task, valid: list[Trajectory]) -> dict[str, Any]:
    return {
        "id": task.id,
        "episodes": len(valid),
        "score": _mean([t.outcome.score for t in valid]),
        "success": _mean([t.outcome.success for t in valid]),
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(sum(values) / len(values)) if values else None
