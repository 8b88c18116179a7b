"""Customer-service worlds with scripted agent and user: turns a second on one core, snapshot and restore, memory of 1,000 episodes.

OMP_NUM_THREADS=1 python benchmarks/service.py [turnwise/Retail-v0 ...]
"""

from __future__ import annotations

import resource
import statistics
import sys
import time

import numpy as np
from turnwise import make
from turnwise.envs.service.scripts import Gold

EPISODES = 1000


def turns_per_second(env_id: str) -> tuple[float, int]:
    """Gold agent and scripted user over ``EPISODES`` test tasks, world generation included; (turns a second, episodes won)."""
    env = make(env_id)
    tasks = env.tasks.get_task_range("test", 0, EPISODES)
    turns, won = 0, 0.0
    started = time.perf_counter()
    for seed, task in enumerate(tasks):
        script = Gold()
        observation, _ = env.reset(seed=seed, options={"task": task})
        script.reset(task, np.random.default_rng(seed))
        while not env.done:
            observation, _, _, _, info = env.step(script.act(observation))
            turns += 1
        won += info["outcome"].score
    elapsed = time.perf_counter() - started
    env.close()
    return turns / elapsed, int(won)


def snapshot_and_restore(env_id: str) -> float:
    """Median milliseconds of a snapshot and a restore in mid-conversation."""
    env = make(env_id)
    times: list[float] = []
    for index in range(100):
        task = env.tasks.get_task("test", index)
        script = Gold()
        observation, _ = env.reset(seed=index, options={"task": task})
        script.reset(task, np.random.default_rng(index))
        for _ in range(3):
            observation, *_ = env.step(script.act(observation))
        started = time.perf_counter()
        env.restore(env.snapshot())
        times.append(time.perf_counter() - started)
    env.close()
    return 1e3 * statistics.median(times)


def memory_of_episodes(env_id: str) -> float:
    """Megabytes that ``EPISODES`` episodes under way add to the process."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    envs = []
    for index in range(EPISODES):
        env = make(env_id)
        env.reset(seed=index, options={"split": "test", "index": index})
        env.step("Please tell me your name.")
        envs.append(env)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    for env in envs:
        env.close()
    return used / 1024


def main() -> None:
    for env_id in sys.argv[1:] or ["turnwise/Retail-v0"]:
        memory = memory_of_episodes(env_id)
        rates = [turns_per_second(env_id) for _ in range(3)]
        best = max(rate for rate, _ in rates)
        print(
            f"{env_id}: {best:,.0f} turns/s (best of 3, worst {min(r for r, _ in rates):,.0f}), gold wins {rates[0][1]} of {EPISODES}; "
            f"snapshot + restore {snapshot_and_restore(env_id):.2f} ms; 1,000 episodes under way add {memory:,.0f} MB"
        )


if __name__ == "__main__":
    main()
