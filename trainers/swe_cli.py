"""``turnwise swe``: make tasks of a Python project, fetch the packages of the shipped ones, check that every task can be solved."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

if TYPE_CHECKING:
    from ..envs.swe.instance import Instance
    from ..envs.swe.make.tasks import Factory, Found

swe_app = typer.Typer(help="Software-engineering tasks.", no_args_is_help=True)


@swe_app.command("make")
def make_command(
    source: Annotated[str, typer.Argument(help="A folder, a git checkout (its HEAD), or a package as name or name==version.")],
    out: Annotated[Path, typer.Option(help="File of tasks: .jsonl (complete, appended to), or .json for a package (without its files).")],
    count: Annotated[int, typer.Option(help="Tasks wanted.")] = 20,
    seed: Annotated[int, typer.Option(help="The same seed makes the same tasks.")] = 0,
    hard: Annotated[float, typer.Option(help="Share of them with two or three faults.")] = 0.2,
    workers: Annotated[int, typer.Option(help="Sandboxes at once.")] = 2,
    per_function: Annotated[int, typer.Option(help="Tasks of one function at most.")] = 3,
    slow: Annotated[float | None, typer.Option(help="Leave out tests that take longer than this, in seconds.")] = None,
    split: Annotated[str, typer.Option(help="Which split they are for: train, validation or test; a project belongs into one.")] = "train",
) -> None:
    """Make tasks by small wrong edits that some tests notice. Stops early with Ctrl-C; what is made is kept."""
    from ..envs.swe.make.sources import read_source
    from ..envs.swe.make.tasks import Factory
    from ..envs.swe.packages import SPLITS

    if out.suffix not in (".json", ".jsonl"):
        raise ValueError(f"--out is {str(out)!r}; end it in .jsonl, or in .json for a package of the index")
    if split not in SPLITS:
        raise ValueError(f"--split is {split!r}; allowed: {', '.join(SPLITS)}")
    console = Console()
    project = read_source(source)
    console.print(f"{project.name} {project.version}: {len(project.tests)} test files, running them", markup=False, highlight=False)
    with Factory(project, seed=seed, workers=workers, per_function=per_function, slow_s=slow) as factory:
        tests = factory.baseline
        left_out = ", ".join(f"{number} {reason}" for reason, number in tests.counts().items()) or "none"
        console.print(f"{len(tests.passing)} tests pass in {tests.suite_s:.1f} s; left out: {left_out}", markup=False, highlight=False)
        made: list[Found] = []
        try:
            for found in _written(factory, factory.tasks(count, hard), out, split):
                made.append(found)
                where = ", ".join(f"{m.kind} in {m.function}" for m in found.mutations)
                console.print(
                    f"{len(made)}/{count} {found.difficulty}: {where}, {len(found.failing)} tests fail", markup=False, highlight=False
                )
        except KeyboardInterrupt:
            console.print(f"stopped; {len(made)} tasks are in {out}", markup=False, highlight=False)
        _print_tally(console, factory)
    if not made:
        raise typer.Exit(1)


def _written(factory: Factory, tasks: Iterator[Found], out: Path, split: str) -> Iterator[Found]:
    """The tasks, each after it is in the file; what is in a .jsonl file already is not written again."""
    from ..envs.swe.make.tasks import instance
    from ..envs.swe.packages import write_package
    from ..envs.swe.tasks_shipped import row

    out.parent.mkdir(parents=True, exist_ok=True)
    there: set[str] = set()
    if out.suffix == ".jsonl" and out.exists():
        with out.open(encoding="utf-8") as file:
            there = {json.loads(line)["data"]["id"] for line in file if line.strip()}
    made: list[Found] = []
    for found in tasks:
        made.append(found)
        if out.suffix == ".json":
            write_package(out, factory.project, factory.baseline, split, made)
        else:
            timeout_s = max(60.0, 20 * factory.baseline.suite_s)
            task = instance(factory.project, factory.baseline.passing, found, timeout_s)
            if task.id not in there:
                with out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row(task, split)) + "\n")
        yield found


def _print_tally(console: Console, factory: Factory) -> None:
    tally = factory.tally
    table = Table("kind of edit", Column("tried", justify="right"), Column("kept", justify="right"))
    for kind, tried in sorted(tally.tried.items()):
        table.add_row(kind, str(tried), str(tally.kept[kind]))
    console.print(table)
    dropped = ", ".join(f"{number} {reason}" for reason, number in tally.dropped.most_common()) or "none"
    console.print(f"dropped: {dropped}", markup=False, highlight=False)


@swe_app.command("build")
def build_command() -> None:
    """Download the packages of the shipped tasks, and check their hashes."""
    from ..envs.swe.packages import packages, source

    table = Table("package", "version", "licence", "split", Column("tasks", justify="right"), Column("tests", justify="right"))
    for package in packages().values():
        source(package)
        table.add_row(package.name, package.version, package.licence, package.split, str(len(package.tasks)), str(len(package.passing)))
    Console().print(table)


@swe_app.command("check")
def check_command(
    tasks: Annotated[str, typer.Argument(help="'shipped', or a .jsonl file of tasks.")] = "shipped",
    package: Annotated[str | None, typer.Option(help="Only the tasks of this package or project.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N of each project.")] = None,
    workers: Annotated[int, typer.Option(help="Grades at once; 0: one for each core.")] = 0,
) -> None:
    """Grade the fix of every task and no change at all: 1 and 0, or it is no task. Exit code 1 where that is not so."""
    from ..envs.swe.grade import Grader
    from ..envs.swe.packages import build
    from ..envs.swe.stored import from_data
    from ..envs.swe.tasks_shipped import ShippedTasks, from_jsonl
    from ..envs.swe.verify import Verdict, verify_all

    if limit is not None and limit < 1:
        raise ValueError(f"--limit is {limit}; it must be at least 1")
    task_set = ShippedTasks() if tasks == "shipped" else from_jsonl(tasks)
    chosen: dict[str, list[Callable[[], Instance]]] = {}
    known: set[str] = set()
    for task in (task for split in task_set.list_splits() for task in task_set.list_tasks(split.name)):
        project = str(task.data.get("package") or task.data.get("project"))
        known.add(project)
        if package in (None, project):
            chosen.setdefault(project, []).append(partial(build if task.data["kind"] == "package" else from_data, task.data))
    if not chosen:
        raise ValueError(f"there are no tasks of {package!r}; there are: {', '.join(sorted(known))}")
    console, grader = Console(), Grader()
    table = Table("project", *(Column(name, justify="right") for name in ("tasks", "gold 1", "null 0", "seconds each")))
    wrong: list[Verdict] = []
    for project, makes in chosen.items():
        found: list[Verdict] = []
        for verdict in verify_all(makes[:limit], grader, workers):
            found.append(verdict)
            if not verdict.ok:
                console.print(f"{verdict.id}: {verdict.note}", markup=False, highlight=False, soft_wrap=True)
        seconds = sum(v.seconds for v in found) / len(found)
        table.add_row(
            project, str(len(found)), str(sum(v.gold == 1 for v in found)), str(sum(v.null == 0 for v in found)), f"{seconds:.2f}"
        )
        wrong += [v for v in found if not v.ok]
    console.print(table)
    console.print(f"{len(wrong)} tasks are wrong" if wrong else "every task is as it should be", highlight=False)
    if wrong:
        raise typer.Exit(1)
