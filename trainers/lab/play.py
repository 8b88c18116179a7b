"""Playing a lab: tuning runs, then every cell, each as soon as its warm start is made; what is there already is left as it is.

OUT/lab.yaml  OUT/warm/ENV/{policy/, before.json}  OUT/runs/ENV/METHOD/seed-N/  OUT/tuned.json  OUT/lab.html  OUT/lab.md
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ..config import TrainConfig
from .curves import read_curve
from .grid import Cell, Lab, cell_config, cells, shapes_warm_start, trials, warm_config, warm_path

if TYPE_CHECKING:
    from ..progress import Display

Say = Callable[[str], None]
ERROR = "error.txt"


@dataclass(frozen=True, slots=True)
class Job:
    """A run for a worker: a warm start, or one that begins ``after`` the warm start of that name."""

    name: str
    folder: Path
    config: TrainConfig
    after: str | None = None
    before: Path | None = None
    """A folder that holds its first evaluation already."""

    def done(self) -> bool:
        """Whether all that it is to leave is there, from this lab or from an earlier call."""
        wanted = ("policy", "before.json") if self.after is None else ("after.json",)
        return all((self.folder / name).exists() for name in wanted)


def play_lab(lab: Lab, folder: Path, jobs: int, say: Say) -> list[str]:
    """Play what is left of ``lab`` in ``folder``; names of the runs that failed, whose traceback is in their folder's ``error.txt``.

    Raises ``ValueError`` where the folder holds runs with other settings. Ctrl-C stops at the next safe point; the same call goes on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lab.yaml").write_text(yaml.safe_dump(lab.model_dump(exclude_none=True), sort_keys=False))
    warm = [Job(_warm_name(path), folder / path, config) for path, config in _warm_starts(lab).items()]
    tuning = [_job(lab, folder, cell, {}) for cell in trials(lab)]
    _refuse_other_settings([*warm, *tuning])
    stop, halt = _Call(), _Call()
    pool = _pool(jobs, stop, halt)
    try:
        failed = _play(pool, jobs, [*warm, *tuning], say) if tuning else []
        chosen = choose(lab, folder)
        due = [_job(lab, folder, cell, chosen.get((cell.environment, cell.method), {})) for cell in cells(lab)]
        _refuse_other_settings(due)
        rest = [job for job in (*warm, *due) if job.name not in failed and job.after not in failed]
        return failed + _play(pool, jobs, rest, say)
    except KeyboardInterrupt:
        try:
            stop.give()
            say("\nstopping at the next safe point; Ctrl-C again stops at once")
            pool.shutdown(cancel_futures=True)
        except KeyboardInterrupt:
            halt.give()
        raise
    except BrokenProcessPool as error:
        raise RuntimeError("a run's process was killed, or ran out of memory; the same command goes on from its last checkpoint") from error
    finally:
        pool.shutdown(cancel_futures=True)
        stop.give()
        halt.give()


def _warm_name(path: Path) -> str:
    return f"warm start / {path.name}"


def _warm_starts(lab: Lab) -> dict[Path, TrainConfig]:
    return {warm_path(lab, cell): warm_config(lab, cell) for cell in [*trials(lab), *cells(lab)]}


def choose(lab: Lab, folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """For each environment and method the settings with the greatest area under the curve of their tuning run; kept in ``tuned.json``."""
    best: dict[tuple[str, str], tuple[float, dict[str, Any]]] = {}
    tried: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for cell in trials(lab):
        curve = read_curve(folder / cell.path)
        if curve is None:
            continue
        key, area = (cell.environment, cell.method), curve.area()
        tried.setdefault(key, []).append({"settings": dict(cell.tuned), "area": round(area, 6)})
        if key not in best or area > best[key][0]:
            best[key] = (area, dict(cell.tuned))
    if best:
        rows = [{"environment": e, "method": m, "chosen": best[e, m][1], "tried": tried[e, m]} for e, m in best]
        (folder / "tuned.json").write_text(json.dumps(rows, indent=1) + "\n")
    return {key: settings for key, (_, settings) in best.items()}


def _job(lab: Lab, folder: Path, cell: Cell, chosen: Mapping[str, Any]) -> Job:
    warm = folder / warm_path(lab, cell)
    config = cell_config(lab, cell, chosen)
    own = config.model_copy(update={"policy": str(warm / "policy"), "warm_episodes": 0})
    name = " / ".join(cell.path.parts[1:])
    same = cell.trial is None and warm_config(lab, cell).eval_split == config.eval_split
    return Job(name, folder / cell.path, own, _warm_name(warm), warm if same else None)


def _refuse_other_settings(jobs: Sequence[Job]) -> None:
    from ..runs import RunFolder

    for job in jobs:
        if not (job.folder / "config.yaml").exists():
            continue
        there, wanted = (c.model_dump(exclude={"policy"}) for c in (RunFolder.open(job.folder).config, job.config))
        counts = [key for key in wanted if job.after is not None or shapes_warm_start(key)]
        changed = [f"{key}: {there[key]!r} there, {wanted[key]!r} now" for key in counts if there[key] != wanted[key]]
        if changed:
            raise ValueError(f"{job.folder} was run with other settings ({'; '.join(changed)}); remove it, or choose another --out")


def _play(pool: ProcessPoolExecutor, at_once: int, jobs: Sequence[Job], say: Say) -> list[str]:
    """Play ``jobs`` in their order, but none before its warm start, or without it; names of those that failed."""
    waiting, running = list(jobs), dict[Future[str], Job]()
    made, failed = set[str | None]({None}), list[str]()
    started, played = time.monotonic(), 0
    while waiting or running:
        for job in [job for job in waiting if job.after in made][: at_once - len(running)]:
            waiting.remove(job)
            running[pool.submit(_warm_up if job.after is None else _train, job)] = job
        for future in wait_for(running, return_when=FIRST_COMPLETED).done:
            job, told = running.pop(future), future.result()
            if told.startswith("FAILED"):
                failed.append(job.name)
                waiting = [other for other in waiting if other.after != job.name]
            else:
                made.add(job.name)
            if told:
                played += 1
                rest = [*waiting, *running.values()]
                minutes = minutes_left(rest, played, time.monotonic() - started)
                say(f"[{len(jobs) - len(rest):>3}/{len(jobs)}] {job.name:<48} {told}   about {minutes:.0f} min left")
    return failed


def minutes_left(rest: Sequence[Job], played: int, seconds: float) -> float:
    """What ``rest`` will take if each takes as long as the ``played`` ones did; runs that an earlier call finished take nothing."""
    return sum(not job.done() for job in rest) * seconds / played / 60


_SPAWN = multiprocessing.get_context("spawn")


class _Call:
    """Tells every worker one thing, once: with the sending end closed, the receiving end is ready in all of them."""

    def __init__(self) -> None:
        self.heard, self._said = _SPAWN.Pipe(duplex=False)

    def give(self) -> None:
        self._said.close()


class _Worker:
    """What a worker knows of itself: the display of the run it is at, and whether another may begin."""

    display: Display | None = None
    stopping = False


def _pool(jobs: int, stop: _Call, halt: _Call) -> ProcessPoolExecutor:
    if jobs < 1:
        raise ValueError(f"jobs is {jobs}; at least one run has to go on at a time")
    threads = max(1, (os.cpu_count() or 1) // jobs)
    return ProcessPoolExecutor(jobs, mp_context=_SPAWN, initializer=_begin, initargs=(threads, stop.heard, halt.heard))


def _begin(threads: int, stop: Connection, halt: Connection) -> None:
    """In a worker: its share of the cores (unless OMP_NUM_THREADS says otherwise), and an end with its parent, however that ends.

    Ctrl-C reaches workers through the parent alone: the terminal's signal would let a worker go on with the next run in the queue.
    """
    import torch

    from ..progress import quiet

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(threads)
    quiet()
    signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN, which processes started from here would inherit
    parent = multiprocessing.parent_process()
    assert parent is not None
    last = [parent.sentinel, halt]

    def watch() -> None:
        if all(one is stop for one in wait([*last, stop])):
            _Worker.stopping = True
            if _Worker.display is not None:
                _Worker.display.interrupt()
            wait(last)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _warm_up(job: Job) -> str:
    """Make the policy and its evaluation, unless they are there."""
    if job.done():
        return ""

    def make(training: Any, display: Any) -> str:
        training.warm(display)
        result = training.evaluate("before", display)
        if not (job.folder / "policy").exists():
            training.save_policy(job.folder / "policy")
        return f"success {result['sampled']['success']['mean']:.3f}"

    return _run(job, make)


def _train(job: Job) -> str:
    if job.done():
        return ""

    def make(training: Any, display: Any) -> str:
        summary = training.run(display)
        return f"success {summary['before']:.3f} -> {summary['after']:.3f}, {summary['rollouts']:,} rollouts, {summary['seconds']:.0f} s"

    return _run(job, make)


def _run(job: Job, make: Callable[[Any, Any], str]) -> str:
    """Open or create the run and give it to ``make``; everything it prints goes to ``log.txt``. One run's failure is told, not raised.

    Raises ``KeyboardInterrupt`` where the lab is to stop, before or at a safe point of the run.
    """
    from rich.console import Console

    from ..loop import Training
    from ..progress import Display
    from ..runs import RunFolder

    if _Worker.stopping:
        raise KeyboardInterrupt
    try:
        run = RunFolder.open(job.folder) if (job.folder / "config.yaml").exists() else RunFolder.create(job.folder, job.config)
        if job.before is not None and not (job.folder / "before.json").exists():
            shutil.copytree(job.before / "eval", job.folder / "eval", dirs_exist_ok=True)
            shutil.copy(job.before / "before.json", job.folder / "before.json")
        with (job.folder / "log.txt").open("a", buffering=1) as log, Display(Console(file=log, width=160)) as display:
            _Worker.display = display
            if _Worker.stopping:  # it may have come while the run was opened
                raise KeyboardInterrupt
            told = make(Training(run), display)
        (job.folder / ERROR).unlink(missing_ok=True)
    except Exception as error:  # a worker tells of it and goes on with the next run
        job.folder.mkdir(parents=True, exist_ok=True)
        (job.folder / ERROR).write_text(traceback.format_exc())
        return f"FAILED: {error}"
    return told
