"""What branching saves: groups of trees against groups of as many independent episodes, with the built-in policy on Search.

    OMP_NUM_THREADS=1 python benchmarks/trees.py [--groups 8] [--repeats 3]

The policy has random weights, so that every episode takes all turns and all tokens of a turn: the saving is that of the method, not of
episodes that happen to be short. Times are medians of ``--repeats`` runs that alternate.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from turnwise.agents.branching import Entropy
from turnwise.agents.policy import PolicyAgent
from turnwise.agents.rollout import rollout
from turnwise.agents.tiny import build_model, build_tokenizer
from turnwise.agents.trees import Tree
from turnwise.envs.search.env import Search
from turnwise.records import Task

TREES: dict[str, Tree | None] = {
    "independent": None,
    "uniform 4 + 1 x 12": Tree(trunks=4, branches=12),
    "entropy 4 + 2 x 6": Tree(trunks=4, branches=6, rounds=2, branching=Entropy()),
    "uniform 4 + 1 x 12, replay": Tree(trunks=4, branches=12, restore="replay"),
}
SIZE = 16


def measure(make: Callable[[], Any], agent: PolicyAgent, tasks: list[Task], tree: Tree | None) -> dict[str, float]:
    decoder = agent.decoder
    before = decoder.sampled_tokens, decoder.prefilled_tokens, decoder.shared_tokens
    started = time.perf_counter()
    done = rollout(make, agent, tasks, group_size=SIZE, tree=tree, concurrency=128)
    seconds = time.perf_counter() - started
    after = decoder.sampled_tokens, decoder.prefilled_tokens, decoder.shared_tokens
    sampled, prefilled, shared = (b - a for a, b in zip(before, after, strict=True))
    assert len(done) == len(tasks) * SIZE
    turns = sum(len(t.turns) for t in done)
    return {"seconds": seconds, "sampled": sampled, "prefilled": prefilled, "copied": shared, "turns": turns}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    world = {"train": 200, "validation": 12, "test": 12}
    make = partial(Search, world=world, max_turns=6, instructions="Search, then answer.", topk=1)
    tasks = make().tasks.get_task_range("train", 0, arguments.groups)
    tokenizer = build_tokenizer([m.text for task in tasks for m in task.prompt], vocab_size=2048)
    agent = PolicyAgent(build_model(len(tokenizer), hidden=128, layers=4, heads=2), tokenizer, max_new_tokens=32)
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in TREES}
    for _ in range(arguments.repeats):
        for name, tree in TREES.items():
            rows[name].append(measure(make, agent, tasks, tree))
    base = statistics.median(r["seconds"] for r in rows["independent"])
    print(f"{arguments.groups} groups of {SIZE} episodes, {arguments.repeats} runs")
    for name, measured in rows.items():
        row = {key: statistics.median(r[key] for r in measured) for key in measured[0]}
        low, high = min(r["seconds"] for r in measured), max(r["seconds"] for r in measured)
        share = row["sampled"] / rows["independent"][0]["sampled"]
        print(
            f"{name:<28} {row['turns']:.0f} turns  sampled {row['sampled']:.0f} ({share:.2f})  prefilled {row['prefilled']:.0f}  "
            f"copied {row['copied']:.0f}  {row['seconds']:.2f} s [{low:.2f}, {high:.2f}] ({row['seconds'] / base:.2f})"
        )


if __name__ == "__main__":
    main()
