"""Play the scripted experts of turnwise/MiniWoB-v0 and print how often they succeed, as a Markdown table.

python benchmarks/miniwob_experts.py --seeds 50 --output table.md
python benchmarks/miniwob_experts.py --types click-test,login-user --seeds 5 --failures
"""

from __future__ import annotations

import argparse
import queue
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from turnwise.envs.gui.miniwob.env import MiniWoB
from turnwise.envs.gui.miniwob.experts import Expert
from turnwise.envs.gui.miniwob.plans import PLANS
from turnwise.envs.gui.miniwob.tasks import ENV_ID, TEST_TYPES, TRAIN_TYPES, TYPES
from turnwise.records import Outcome, Task


@dataclass
class Result:
    successes: int = 0
    raw: list[float] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    faults: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.successes / max(1, len(self.raw))


def play(env: MiniWoB, kind: str, seed: int) -> tuple[Outcome, list[str]]:
    """One episode of the expert: its outcome and what was said."""
    expert = Expert()
    task = Task(id=f"{kind}-{seed}", env_id=ENV_ID, split="test", data={"type": kind, "seed": seed})
    observation, _ = env.reset(options={"task": task})
    expert.reset(task, np.random.default_rng(seed))
    said = [observation[-1].text]
    while True:
        action = expert.act(observation)
        said.append(f">>> {action}")
        observation, _, terminated, truncated, info = env.step(action)
        said.append("\n".join(message.text for message in observation))
        if terminated or truncated:
            return info["outcome"], said


def work(jobs: queue.SimpleQueue[tuple[str, int]], results: dict[str, Result], lock: threading.Lock, show: bool, end: float) -> None:
    env = MiniWoB(task="all")
    while True:
        try:
            kind, seed = jobs.get_nowait()
        except queue.Empty:
            break
        if time.perf_counter() > end:
            break
        result = results[kind]
        try:
            outcome, said = play(env, kind, seed)
        except Exception as error:  # the reset of a page failed; the table counts it
            with lock:
                result.faults += 1
                result.notes.append(f"seed {seed}: {error}")
            continue
        with lock:
            result.faults += not outcome.valid
            result.successes += bool(outcome.success)
            result.raw.append(outcome.components.get("raw", 0.0))
            result.turns.append(sum(part.startswith(">>> ") for part in said))
            if not outcome.success:
                result.notes.append(f"seed {seed}: {outcome.components or 'cut off'} {outcome.note}")
                if show:
                    print(f"##### {kind} seed {seed}: {outcome}\n" + "\n".join(said), flush=True)
    env.close()


def table(results: dict[str, Result]) -> str:
    lines = ["| type | split | episodes | success | mean raw reward | turns | faults |", "|---|---|---|---|---|---|---|"]
    for kind, result in results.items():
        split = "train" if kind in TRAIN_TYPES else "test" if kind in TEST_TYPES else "none"
        turns = f"{np.mean(result.turns):.1f}" if result.turns else ""
        raw = f"{np.mean(result.raw):.2f}" if result.raw else ""
        lines.append(f"| {kind} | {split} | {len(result.raw)} | {result.rate:.0%} | {raw} | {turns} | {result.faults} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--types", help="comma-separated; default: all that have a plan ('all': every type)")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=20_000_000, help="the first seed")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--failures", action="store_true", help="print the episodes that failed")
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no episode after so many minutes; seeds are played in order")
    parser.add_argument("--output", type=Path, help="write the table here too")
    given = parser.parse_args()
    types = [t for t in TYPES if t in PLANS] if not given.types else list(TYPES) if given.types == "all" else given.types.split(",")
    results = {kind: Result() for kind in types}
    jobs: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
    for seed in range(given.first, given.first + given.seeds):
        for kind in types:
            jobs.put((kind, seed))
    began, lock = time.perf_counter(), threading.Lock()
    threads = [
        threading.Thread(target=work, args=(jobs, results, lock, given.failures, began + 60 * given.minutes)) for _ in range(given.threads)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    good = sum(result.rate >= 0.95 for result in results.values())
    text = table(results) + f"\n\n{good} of {len(results)} types at 95% or better"
    print(text, f"({time.perf_counter() - began:.0f} s)")
    for kind, result in results.items():
        if result.notes and not given.failures:
            print(kind, "; ".join(result.notes[:3]))
    if given.output:
        given.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
