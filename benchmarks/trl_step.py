"""Rollout plus update of a small policy: Turnwise against TRL's GRPOTrainer, in pairs on one machine.

    python benchmarks/trl_step.py --peer /path/to/venv-with-trl-and-turnwise/bin/python --out FOLDER

Both sides get the same weights, tokenizer, chat template (TRL's own of Qwen3-Instruct-2507, with its tool calls), tasks, group
size and learning rate, and one thread pool of the same size. A rollout searches a few times and then answers in plain text.
Sides take turns because machines drift. Prints seconds a step, sampled tokens a step and peak resident memory of every run,
and the ratios of the pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.search import experts
from turnwise.envs.search.env import Search
from turnwise.records import Message, Observation, Task, ToolCall
from turnwise.rewards import qa
from turnwise.trainers.loop import peak_mb

GROUPS, GROUP_SIZE, MAX_TURNS, MAX_NEW = 8, 8, 6, 64
LR = 1e-6
WORLD = {"train": 2000, "validation": 10, "test": 10, "size": 1000, "names": "pairs", "kinds": ["chain2", "chain3"]}


def search(query: str) -> str:
    """Look something up.

    Args:
        query: What to look for.

    Returns:
        The passages found.
    """
    raise NotImplementedError("only its signature is used, to write the tool's schema")


class ToolSearch(Search):
    """``Search-v0`` as TRL's tool loop plays it: a tool call searches, a message without one is the answer."""

    def act(self, action: Message) -> Any:
        name, arguments = "answer", json.dumps({"answer": action.text})
        if "<tool_call>" in action.text:
            name, arguments = "search", _arguments(action.text)
        return super().act(Message(role="assistant", content="", tool_calls=(ToolCall(id="0", name=name, arguments=arguments),)))


def _arguments(text: str) -> str:
    inside = text.partition("<tool_call>")[2].partition("</tool_call>")[0]
    try:
        return json.dumps(json.loads(inside)["arguments"])
    except (ValueError, KeyError, TypeError):
        return "null"


def make_env(instructions: str) -> ToolSearch:
    return ToolSearch(world=WORLD, dialect="json", instructions=instructions, topk=2, max_turns=MAX_TURNS, weights={"gold_passages": 0.5})


class ToolExpert(experts.Expert):
    """The expert in the tool loop's words."""

    def _search(self, query: str) -> str:
        return "<tool_call>\n" + json.dumps({"name": "search", "arguments": {"query": query}}) + "\n</tool_call>"

    def _answer(self, text: str) -> str:
        return text


def instructions_of(template: str) -> str:
    """What the template writes into the system message for the tool, so that both sides' prompts are the same."""
    from jinja2 import Environment
    from transformers.utils.chat_template_utils import get_json_schema

    environment = Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    text = environment.from_string(template).render(messages=[{"role": "user", "content": "?"}], tools=[get_json_schema(search)])
    return text.partition("<|im_start|>system\n")[2].partition("<|im_end|>")[0]


def prepare(out: Path, peer: str, warm_steps: int) -> None:
    """A policy that has learned the form of the calls, saved as an ordinary checkpoint."""
    import torch
    from turnwise.agents.render import Renderer
    from turnwise.agents.tiny import build_model, build_tokenizer
    from turnwise.trainers.collect import play_groups
    from turnwise.trainers.learner import Learner
    from turnwise.trainers.warmstart import demonstration_samples, minibatches, warm_step

    found = "import trl, pathlib; print(pathlib.Path(trl.__file__).parent / 'chat_templates' / 'qwen3_instruct_2507.jinja')"
    template = Path(subprocess.check_output([peer, "-c", found], text=True).splitlines()[-1]).read_text(encoding="utf-8")
    instructions = instructions_of(template)
    env = make_env(instructions)
    tasks = env.tasks.get_task_range("train", 0, 16 * warm_steps)
    agent = ScriptedAgent(ToolExpert, "tool expert")
    shown = [group[0] for group in play_groups(lambda: make_env(instructions), agent, tasks, 1, seed=0, concurrency=16)]
    texts = [m.text for t in shown for turn in t.turns for m in (*turn.observation, turn.action)]
    tokenizer = build_tokenizer(texts, vocab_size=1024)
    tokenizer.chat_template = template
    torch.manual_seed(0)
    model = build_model(len(tokenizer), seed=0, hidden=128, layers=4, heads=2)
    learner = Learner(model, lr=6e-3, optimizer="muon", schedule="cosine", warmup=20, total_steps=warm_steps)
    for part in minibatches(demonstration_samples(shown, Renderer(tokenizer)), epochs=1, batch=16, seed=0):
        loss = warm_step(learner, part)["loss"]
    print(f"warm start: loss {loss:.3f} after {warm_steps} steps")
    model.save_pretrained(out / "policy")
    tokenizer.save_pretrained(out / "policy")
    (out / "instructions.txt").write_text(instructions)


def turnwise_side(out: Path, steps: int) -> dict[str, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from turnwise.agents.policy import PolicyAgent
    from turnwise.trainers.assemble import assemble
    from turnwise.trainers.collect import credit, play_groups
    from turnwise.trainers.learner import Learner

    model = AutoModelForCausalLM.from_pretrained(out / "policy")
    tokenizer = AutoTokenizer.from_pretrained(out / "policy")
    instructions = (out / "instructions.txt").read_text()
    tasks = make_env(instructions).tasks
    learner = Learner(model, lr=LR, total_steps=steps)
    rows: list[dict[str, float]] = []
    for step in range(steps):
        started = time.perf_counter()
        chosen = tasks.get_task_range("train", step * GROUPS, (step + 1) * GROUPS)
        agent = PolicyAgent(model, tokenizer, temperature=1.0, max_new_tokens=MAX_NEW)
        groups = play_groups(lambda: make_env(instructions), agent, chosen, GROUP_SIZE, seed=step, concurrency=GROUPS * GROUP_SIZE)
        played = [t for group in groups for t in group]
        advantages = [value for values in credit(groups, "grpo", {}) for value in values]
        learner.update(assemble(played, advantages))
        turns = [turn for t in played for turn in t.turns]
        rows.append(
            {
                "seconds": time.perf_counter() - started,
                "sampled": sum(t.num_action_tokens for t in played),
                "turns": len(turns),
                "success": statistics.fmean(t.outcome.success for t in played),
            }
        )
    return {"rows": rows, "peak_mb": peak_mb()}


def _trl_config(out: Path, steps: int) -> Any:
    """The same step as on the other side, and nothing that costs time besides."""
    from trl import GRPOConfig

    return GRPOConfig(
        output_dir=str(out / "trl"),
        max_steps=steps,
        per_device_train_batch_size=GROUPS * GROUP_SIZE,
        num_generations=GROUP_SIZE,
        max_completion_length=1024,
        max_tool_calling_iterations=MAX_TURNS,
        learning_rate=LR,
        temperature=1.0,
        beta=0.0,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        shuffle_dataset=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def trl_side(out: Path, steps: int) -> dict[str, Any]:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import GRPOTrainer

    instructions = (out / "instructions.txt").read_text()
    tasks: list[Task] = make_env(instructions).tasks.get_task_range("train", 0, steps * GROUPS)

    class Tool:
        """One rollout's environment."""

        def __init__(self) -> None:
            self._env = make_env(instructions)
            self.calls = 0

        def reset(self, number: int, **_: Any) -> None:
            self._env.reset(options={"task": tasks[number]})
            self.calls = 0

        def search(self, query: str) -> str:
            self.calls += 1
            observation: Observation = self._env.step("<tool_call>" + json.dumps({"arguments": {"query": query}}) + "</tool_call>")[0]
            return observation[-1].text

    Tool.search.__doc__ = search.__doc__
    rows: list[dict[str, float]] = []

    def right(completions: list[Any], environments: list[Tool], number: list[int], **_: Any) -> list[float]:
        scores = [qa.exact_match(c[-1].get("content") or "", tasks[n].data["answers"]) for c, n in zip(completions, number, strict=True)]
        rows.append({"turns": sum(e.calls for e in environments) + len(completions), "success": statistics.fmean(scores)})
        return scores

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.started = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            rows[-1]["seconds"] = time.perf_counter() - self.started

        def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
            if "completions/mean_length" in logs:
                rows[-1]["sampled"] = logs["completions/mean_length"] * GROUPS * GROUP_SIZE

    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(out / "policy"),
        processing_class=AutoTokenizer.from_pretrained(out / "policy"),
        reward_funcs=right,
        train_dataset=Dataset.from_list(
            [{"prompt": [{"role": "user", "content": t.prompt[-1].text}], "number": n} for n, t in enumerate(tasks)]
        ),
        environment_factory=Tool,
        callbacks=[Clock()],
        args=_trl_config(out, steps),
    )
    trainer.train()
    return {"rows": rows, "peak_mb": peak_mb()}


SIDES: dict[str, Callable[[Path, int], dict[str, Any]]] = {"turnwise": turnwise_side, "trl": trl_side}


def measure(side: str, python: str, out: Path, steps: int, threads: int) -> dict[str, float]:
    """One side in a process of its own; the first step warms up and is left out."""
    command = [python, __file__, "--side", side, "--out", str(out), "--steps", str(steps)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TRL_EXPERIMENTAL_SILENCE": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    rows = result["rows"][1:]
    means = {key: statistics.fmean(row[key] for row in rows) for key in ("seconds", "sampled", "turns", "success")}
    means["peak_mb"] = result["peak_mb"]
    print(f"{side:<9}" + "  ".join(f"{key} {value:,.2f}" for key, value in means.items()), flush=True)
    return means


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--peer", help="Python of an environment with trl, peft, jmespath and turnwise")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--warm-steps", type=int, default=120)
    parser.add_argument("--side", choices=list(SIDES), help="internal: play one side")
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(SIDES[arguments.side](arguments.out, arguments.steps)))
        return
    if not arguments.peer:
        parser.error("--peer is missing: the Python of an environment with trl, peft, jmespath and turnwise")
    arguments.out.mkdir(parents=True, exist_ok=True)
    if not (arguments.out / "instructions.txt").exists():
        prepare(arguments.out, arguments.peer, arguments.warm_steps)
    pairs: list[dict[str, dict[str, float]]] = []
    for number in range(arguments.pairs):
        order = list(SIDES) if number % 2 == 0 else list(reversed(SIDES))
        pythons = {"turnwise": sys.executable, "trl": arguments.peer}
        pairs.append({side: measure(side, pythons[side], arguments.out, arguments.steps, arguments.threads) for side in order})
    for key, what in (("seconds", "wall time"), ("peak_mb", "peak memory")):
        ratios = [pair["trl"][key] / pair["turnwise"][key] for pair in pairs]
        print(f"TRL / Turnwise, {what}: " + ", ".join(f"{r:.2f}" for r in ratios) + f"; median {statistics.median(ratios):.2f}")
    per_token = [(p["trl"]["seconds"] / p["trl"]["sampled"]) / (p["turnwise"]["seconds"] / p["turnwise"]["sampled"]) for p in pairs]
    print("TRL / Turnwise, wall time a sampled token: " + ", ".join(f"{r:.2f}" for r in per_token))


if __name__ == "__main__":
    main()
