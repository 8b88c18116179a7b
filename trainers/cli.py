"""The ``turnwise`` command. Every command imports what it needs when it runs, so ``turnwise envs`` loads no torch."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from .swe_cli import swe_app

if TYPE_CHECKING:
    from ..agents.base import Agent
    from ..records import Message

app = typer.Typer(help="A gym for language-model agents that act over many turns.", no_args_is_help=True, pretty_exceptions_enable=False)

serve_app = typer.Typer(help="Run a server.", no_args_is_help=True)
app.add_typer(serve_app, name="serve")
app.add_typer(swe_app, name="swe")

EnvId = Annotated[str, typer.Argument(help="Environment id, such as turnwise/Search-v0 (see `turnwise envs`).")]

EnvArgs = Annotated[
    str | None, typer.Option(help="Arguments of the environment: YAML such as '{max_turns: 5}', or a run folder to take its.")
]


def _env_arguments(text: str | None) -> dict[str, Any]:
    import yaml

    if text and (Path(text) / "config.yaml").exists():
        from .runs import RunFolder

        return dict(RunFolder.open(text).config.env_args)
    value = yaml.safe_load(text) if text else {}
    if not isinstance(value, dict):
        raise ValueError(f"--env-args is {text!r}; give a YAML mapping such as '{{max_turns: 5}}', or a run folder")
    return value


def main() -> None:
    """Entry point: errors a user can act on are one line, not a traceback."""
    sys.path.insert(0, str(Path.cwd()))  # environments of one's own, as module:id
    try:
        app()
    except (ValueError, TypeError, LookupError, ArithmeticError, ImportError, OSError, RuntimeError) as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(1) from None


@app.command()
def envs(
    env_id: Annotated[str | None, typer.Argument(help="Only this one, with its arguments, rewards and scripts.")] = None,
) -> None:
    """List the registered environments, or describe one."""
    import inspect

    from ..envs.registry import list_envs, make, manifest

    if env_id is not None:
        m, console = manifest(env_id), Console()
        env = make(env_id).unwrapped
        env.close()
        bases = list(type(env).__mro__)
        own = [cls for cls in bases[: next(i for i, cls in enumerate(bases) if cls.__name__ in ("ToolEnv", "Env"))] if cls.__doc__]
        console.print(f"{env_id}\n", markup=False)
        for cls in own:
            console.print(f"{inspect.getdoc(cls)}\n", markup=False, soft_wrap=True)
        console.print(f"at most {m.max_turns} turns; scripts: {', '.join(m.scripts)}", markup=False)
        console.print(f"offers: {', '.join(f for f in FLAGS if getattr(m, f)) or 'nothing optional'}", markup=False)
        return
    table = Table(Column("id", no_wrap=True), Column("turns", justify="right"), "description")
    for name in list_envs():
        m = manifest(name)
        table.add_row(name, str(m.max_turns), m.description)
    Console().print(table)
    Console().print("turnwise envs ID describes one: arguments, rewards, scripts")


FLAGS = ("anchors", "potentials", "snapshots", "images", "tools", "network", "sandbox")


@app.command()
def estimators() -> None:
    """List the estimators of credit, and the modifiers that work before and after them."""
    from .credit.modifiers import KINDS, list_modifiers, modifier, modifier_kind
    from .credit.registry import estimator, list_estimators, signature

    table = Table("estimator", "parameters")
    for name in list_estimators():
        table.add_row(name, signature(estimator(name)))
    Console().print(table)
    table = Table("modifier", "kind", "parameters")
    for name in sorted(list_modifiers(), key=lambda n: KINDS.index(modifier_kind(n))):
        table.add_row(name, modifier_kind(name), signature(modifier(name)))
    Console().print(table)
    Console().print(f"modifiers work in the order {', '.join(KINDS)}; formulas and sources: docs/credit.md")


@app.command()
def check(env_id: EnvId, env_args: EnvArgs = None) -> None:
    """Hold an environment to its manifest; fails if it breaks a promise."""
    from ..envs.check import iter_checks

    passed = True
    for result in iter_checks(env_id, **_env_arguments(env_args)):
        Console().print(str(result), markup=False)
        passed = passed and result.passed
    if not passed:
        raise typer.Exit(1)
    Console().print(f"{env_id}: all checks passed", markup=False)


@app.command()
def train(
    recipe: Annotated[str | None, typer.Argument(help="A recipe: a YAML file, or the name of one that ships (search-tiny).")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE laid over the recipe; repeatable.")] = None,
    out: Annotated[Path | None, typer.Option(help="New run folder; default runs/RECIPE-DATE-TIME.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with a run that was stopped or killed; takes no recipe.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A short run: every phase in two or three minutes.")] = False,
) -> None:
    """Warm-start a policy, train it with reinforcement learning, evaluate it before and after."""
    import json

    from .config import find_recipe, load_config, parse_settings, quickened

    if (recipe is None) == (resume is None):
        raise ValueError("give a recipe to start a run, or --resume RUN to go on with one, and not both")
    if resume is not None and (settings or quick or out):
        raise ValueError("--resume takes the settings of the run; leave out --set, --quick and --out")
    from .loop import Training
    from .progress import Display, quiet
    from .runs import RunFolder, new_run_folder
    from .stages import FILE, create_stages, read_stages, run_stages

    quiet()
    stages = None
    if recipe is None:
        assert resume is not None
        folder = resume
        staged = (resume / FILE).exists()
        run = None if staged else RunFolder.open(resume)
    else:
        path = find_recipe(recipe)
        folder = out or new_run_folder(path.stem)
        given = parse_settings(settings or [])
        stages = read_stages(path, given)
        staged = stages is not None
        if stages is not None:
            create_stages(folder, [(name, quickened(config, given) if quick else config) for name, config in stages])
            run = None
        else:
            config = load_config(path, given)
            run = RunFolder.create(folder, quickened(config, given) if quick else config)
    try:
        training = None if run is None else Training(run)
    except (ValueError, TypeError):
        if recipe is not None:
            shutil.rmtree(folder)  # nothing ran: the corrected command may use the same folder
        raise
    try:
        with Display(Console(stderr=False)) as display:
            summary = run_stages(folder, display) if training is None else training.run(display)
    except KeyboardInterrupt:
        Console(stderr=True).print(f"stopped; go on with: turnwise train --resume {folder}", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(130) from None
    print(json.dumps(summary), flush=True)


@app.command()
def lab(
    grid: Annotated[str, typer.Argument(help="A lab: a YAML file, or the name of one that ships (lab-quick).")],
    out: Annotated[Path | None, typer.Option(help="Folder of the lab; the same one goes on. Default: labs/NAME.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Runs at a time; default: one a core.")] = None,
    report_only: Annotated[bool, typer.Option("--report-only", help="Train nothing; write the report of what is finished.")] = False,
) -> None:
    """Compare ways of giving credit: environments x methods x seeds, one report. Stopped or killed, the same command goes on."""
    from .lab.grid import read_lab
    from .lab.play import play_lab
    from .lab.report import write_lab_report

    found, console = read_lab(grid), Console()
    folder = out or Path("labs") / Path(grid).stem

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    failed: list[str] = []
    try:
        failed = [] if report_only else play_lab(found, folder, jobs or os.cpu_count() or 1, say)
    except KeyboardInterrupt:
        Console(stderr=True).print("stopped; the same command goes on", markup=False)
        raise SystemExit(130) from None
    say(f"report {write_lab_report(found, folder)}")
    if failed:
        raise RuntimeError(f"{len(failed)} runs failed, see error.txt in their folders under {folder}: {', '.join(failed)}")


@app.command()
def report(run: Annotated[Path, typer.Argument(help="The folder of a run or of an evaluation.")]) -> None:
    """Write report.html into the folder of a run or of an evaluation."""
    from .report.write import write_report

    Console().print(str(write_report(run)), markup=False, highlight=False)


@app.command("eval")
def eval_command(
    env_id: EnvId,
    out: Annotated[Path, typer.Option(help="Folder for results; the same folder resumes.")],
    split: Annotated[str, typer.Option(help="Held-out split.")] = "test",
    agent: Annotated[str, typer.Option(help="Name of one of the environment's scripts; unused with --policy or --model.")] = "expert",
    policy: Annotated[
        str | None, typer.Option(help="A run folder (its newest checkpoint and environment), a model folder or a hub name.")
    ] = None,
    env_args: EnvArgs = None,
    model: Annotated[str | None, typer.Option(help="Model name at an OpenAI-compatible endpoint.")] = None,
    base_url: Annotated[str, typer.Option(help="Endpoint, ends in /v1. The key is read from OPENAI_API_KEY.")] = "http://127.0.0.1:8000/v1",
    temperature: Annotated[float, typer.Option(help="Sampling temperature with --policy or --model; 0 is greedy.")] = 1.0,
    n_tasks: Annotated[int | None, typer.Option(help="First N tasks; default all.")] = None,
    k: Annotated[int, typer.Option(help="Episodes per task.")] = 1,
    seed: int = 0,
    concurrency: int = 16,
    max_tokens: Annotated[int | None, typer.Option(help="Sampled tokens per episode.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds per episode.")] = None,
    allow_train: Annotated[bool, typer.Option("--allow-train", help="Permit a train split.")] = False,
) -> None:
    """Evaluate a script, a local policy or a served model."""
    from functools import partial

    from ..envs.registry import make
    from .evaluate import evaluate
    from .tables import result_tables

    if policy is not None and model is not None:
        raise ValueError("give --policy or --model, not both")
    arguments = _env_arguments(env_args)
    if policy is not None:
        from .policies import policy_agent
        from .progress import quiet

        quiet()
        player, own = policy_agent(policy, env_id, temperature)
        arguments = arguments or own
    elif model is None:
        player = _script_agent(env_id, agent)
    else:
        from ..agents.chat import ChatAgent

        player = ChatAgent(model, base_url, api_key=os.environ.get("OPENAI_API_KEY"), options={"temperature": temperature})
    limits: dict[str, Any] = {"concurrency": concurrency, "max_tokens": max_tokens, "timeout": timeout}
    results = evaluate(
        partial(make, env_id, **arguments), player, split, n_tasks=n_tasks, k=k, seed=seed, out=out, allow_train=allow_train, **limits
    )
    for table in result_tables(results):
        Console().print(table)


@app.command("compare")
def compare_command(
    a: Annotated[Path, typer.Argument(help="Evaluation folder A.")], b: Annotated[Path, typer.Argument(help="Evaluation folder B.")]
) -> None:
    """Compare two evaluations task by task (B minus A)."""
    from .evaluate import compare
    from .tables import interval

    result = compare(a, b)
    table = Table("measure", "A", "B", "B - A (95%)", "wins A/B/ties", "sign test p", title=f"{result['a']} against {result['b']}")
    for name in ("score", "success"):
        r = result[name]
        wins = f"{r['wins_a']}/{r['wins_b']}/{r['ties']}"
        table.add_row(name, f"{r['a']:.3f}", f"{r['b']:.3f}", interval(r["difference"]), wins, f"{r['p_value']:.4f}")
    Console().print(table)
    Console().print(f"{result['tasks']} shared tasks; only in A: {result['only_a']}, only in B: {result['only_b']}", highlight=False)


@app.command()
def play(
    env_id: EnvId,
    split: Annotated[str | None, typer.Option(help="Split; default a train split.")] = None,
    index: Annotated[int, typer.Option(help="Task number.")] = 0,
    script: Annotated[str | None, typer.Option(help="Let a script play; default: you type.")] = None,
    env_args: EnvArgs = None,
    seed: int = 0,
) -> None:
    """Play one episode in the terminal."""
    from ..envs.registry import make

    env = make(env_id, **_env_arguments(env_args))
    try:
        asyncio.run(_play(env, _task(env, split, index), None if script is None else _script_agent(env_id, script), seed))
    finally:
        env.close()


@serve_app.command("retriever")
def serve_retriever(
    corpus: Annotated[Path | None, typer.Option(help="Passages as JSON lines {id, contents}.")] = None,
    index: Annotated[Path | None, typer.Option(help="Folder of the BM25 index; built from --corpus if it is not there.")] = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    topk: Annotated[int, typer.Option(help="Passages per query where a request names no number.")] = 3,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave malformed passages out and count them.")] = False,
) -> None:
    """Answer Search-R1's POST /retrieve with BM25."""
    from ..envs.search.server import serve
    from ..envs.search.sources import open_retriever

    if corpus is None and index is None:
        raise ValueError("nothing to search was named; give --corpus FILE, --index FOLDER, or both")
    retriever = open_retriever(corpus=corpus, index=index, skip_bad=skip_bad)
    assert retriever is not None
    serve(retriever, host, port, topk)


@serve_app.command("mcp")
def serve_mcp(
    env_id: EnvId,
    split: Annotated[str | None, typer.Option(help="Split; default a train split.")] = None,
    index: Annotated[int, typer.Option(help="Task number.")] = 0,
    out: Annotated[Path, typer.Option(help="File of trajectories that the episode is appended to.")] = Path("episodes.jsonl"),
    http: Annotated[int | None, typer.Option(help="Port for streamable HTTP at /mcp; default: stdio.")] = None,
    host: str = "127.0.0.1",
    env_args: EnvArgs = None,
    seed: int = 0,
) -> None:
    """Offer an environment's tools to an MCP client, for one episode of a task."""
    from ..agents.mcp_server import ServedEpisode, serve
    from ..envs.registry import make

    env = make(env_id, **_env_arguments(env_args))
    try:
        serve(ServedEpisode(env, _task(env, split, index), seed), out, http, host)
    finally:
        env.close()


def _task(env: Any, split: str | None, index: int) -> Any:
    tasks = env.unwrapped.tasks
    name = split or next((s.name for s in tasks.list_splits() if s.type == "train"), tasks.list_splits()[0].name)
    tasks.check_index(name, index)
    return tasks.get_task(name, index)


async def _play(env: Any, task: Any, agent: Agent | None, seed: int) -> None:
    from ..agents.base import Episode
    from .typed import read_action, usage

    console, episode = Console(), Episode(task=task, rollout=0, policy_seed=seed)
    observation, info = env.reset(seed=seed, options={"task": task})
    tools, rules = getattr(env.unwrapped, "tools", ()), getattr(env.unwrapped, "rules", "")

    def show(who: str, text: str) -> None:
        below = who == "tool" and "\n" in text  # whose columns should stay in line
        console.print(f"[{who}]", text.expandtabs(4), sep="\n" if below else " ", markup=False, highlight=False, soft_wrap=True)

    while "outcome" not in info:
        for message in observation:
            if agent is None and tools and message.role == "system":
                show("system", f"{rules}\n{usage(tools)}")  # a person need not read schemas
            else:
                show(message.role, _seen(message))
        episode.messages.extend(observation)
        if agent is None:
            action = read_action(tools, _ask, typer.echo)
        else:
            action = (await agent.act(observation, episode)).message
            show("assistant", action.text)
        observation, _, _, _, info = env.step(action)
        console.print(f"    {_turn_line(info['turn'])}", markup=False, highlight=False)
    for message in observation:
        show(message.role, _seen(message))
    console.print(f"outcome {info['outcome'].score} ({info['stop'].value}) {info['outcome'].note}", markup=False, soft_wrap=True)


def _seen(message: Message) -> str:
    """The text of a message, and that there are images, which a terminal does not show."""
    from ..records import ImagePart

    images = [part for part in message.content if isinstance(part, ImagePart)]
    notes = [f"[image, {len(image.data) / 1000:.0f} kB; a terminal does not show it]" for image in images]
    return "\n".join([message.text, *notes]) if message.text else "\n".join(notes)


def _ask(prompt: str) -> str:
    """A line; an empty one only where lines of a text are read."""
    return typer.prompt(prompt, default="", show_default=False, prompt_suffix=" ") if prompt == "..." else typer.prompt(prompt)


def _turn_line(turn: dict[str, Any]) -> str:
    """What a turn was worth, for a person."""
    reward = "no reward" if turn["reward"] is None else f"reward {turn['reward']:.3g}"
    parts = ", ".join(f"{name} {value:.3g}" for name, value in turn["components"].items())
    return reward + (f" ({parts})" if parts else "") + ("" if turn["action_valid"] else ", not a valid action")


def _script_agent(env_id: str, name: str) -> Agent:
    from ..agents.scripted import ScriptedAgent
    from ..envs.registry import manifest

    scripts = manifest(env_id).scripts
    if name not in scripts:
        raise ValueError(f"{env_id} has no script {name!r}; it has: {', '.join(scripts) or 'none'} (or give --model)")
    return ScriptedAgent(scripts[name], name)
