"""What an episode of MiniWoB costs: a reset and a click with an observation, one episode at a time; memory of many; beside the peers.

    python benchmarks/gui.py [--peer-python PATH/TO/VENV/bin/python] [--rounds 20] [--tasks click-test click-button ...]
    python benchmarks/gui.py --many 32 [--peer-python ...]
    python benchmarks/gui.py --resets 10000

The peers (``browsergym-miniwob``, ``miniwob`` with Selenium and chromedriver, a bare Playwright loop without isolation) live in a virtual
environment of their own, see gui_peers.py. The subjects take turns, episode by episode, so that what else the machine does falls on all of
them. Every subject keeps its environment from one episode of a task to the next; the first two episodes of each task are not counted.
Memory is PSS (pages shared by processes count once), of all processes that a subject started.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from turnwise.envs.gui.browser import close_shared, shared_browser
from turnwise.envs.gui.miniwob.env import MiniWoB

TASKS = ("click-test", "click-button", "click-dialog", "enter-text", "click-checkboxes", "login-user")
PEERS = ("playwright", "selenium", "selenium-screenshots", "browsergym")
_UNCOUNTED = 2
_FIRST = {"button", "input", "a", "textarea"}


class Ours:
    def __init__(self, observation: str) -> None:
        self.observation = observation
        self.envs: dict[str, MiniWoB] = {}

    def episode(self, task: str, seed: int) -> tuple[float, float]:
        if task not in self.envs:
            self.envs[task] = MiniWoB(task, observation=self.observation.split("+"))
        env = self.envs[task]
        began = time.perf_counter()
        env.reset(options={"split": "train", "index": seed})
        between = time.perf_counter()
        element = next(e for e in env.view.dom.elements if e.tag in _FIRST or "alink" in e.attributes.get("class", ""))
        chosen = time.perf_counter()
        _, _, _, _, info = env.step(f"click('{element.id}')")
        ended = time.perf_counter()
        assert info["turn"]["action_valid"], (task, seed)
        return between - began, ended - chosen

    def close(self) -> None:
        for env in self.envs.values():
            env.close()


class Peer:
    def __init__(self, python: str, kind: str) -> None:
        command = [python, str(Path(__file__).parent / "gui_peers.py"), kind]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit(f"{kind} did not start; run {' '.join(command)} to see why")

    def episode(self, task: str, seed: int) -> tuple[float, float]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{task} {seed}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a peer ended in {task}, seed {seed}")
        reset, step = json.loads(line)
        return reset, step

    def close(self) -> None:
        # Some peers leave their browsers running; nothing of theirs outlives the benchmark.
        started = [*descendants(self.process.pid), self.process.pid]
        for pid in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(30)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


def side_by_side(tasks: list[str], rounds: int, python: str | None) -> None:
    subjects: dict[str, Any] = {"turnwise axtree": Ours("axtree"), "turnwise axtree+screenshot": Ours("axtree+screenshot")}
    if python:
        subjects |= {kind: Peer(python, kind) for kind in PEERS}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in subjects}
    memory: dict[str, float] = {}
    try:
        for task in tasks:
            for number in range(rounds):
                for name, subject in subjects.items():
                    times = subject.episode(task, number)
                    if number >= _UNCOUNTED:
                        found[name].append(times)
        for name, subject in subjects.items():
            if isinstance(subject, Peer):
                memory[name] = pss(subject.process.pid) / 1e6
    finally:
        for subject in subjects.values():
            subject.close()
        close_shared()
    print("| subject | reset p50 | p90 | click and observation p50 | p90 | MB with one episode |\n|---|---|---|---|---|---|")
    for name, times in found.items():
        reset, step = np.array(times).T * 1000
        figures = [f"{np.percentile(x, q):.1f}" for x in (reset, step) for q in (50, 90)]
        print(f"| {name} | {' | '.join(figures)} | {memory.get(name, float('nan')):.0f} |")


def many(count: int, python: str | None) -> None:
    """Memory with ``count`` episodes under way at once."""
    envs = [MiniWoB(TASKS[n % len(TASKS)]) for n in range(count)]

    def open_one(number: int) -> None:
        envs[number].reset(options={"split": "train", "index": number})

    began = time.perf_counter()
    threads = [threading.Thread(target=open_one, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    browser = pss(os.getpid(), itself=False) / 1e6
    print(f"{count} episodes at once: all reset after {took:.1f} s; browser {browser:.0f} MB, {browser / count:.0f} MB an episode")
    for env in envs:
        env.close()
    close_shared()
    if python:
        for kind in ("selenium", "browsergym"):
            peer = Peer(python, kind)
            peer.episode("click-test", 0)
            print(f"{kind}: {pss(peer.process.pid) / 1e6:.0f} MB an episode")
            peer.close()


def resets(count: int) -> None:
    """Memory, processes and file handles over ``count`` resets."""
    env = MiniWoB(list(TASKS))
    print("| resets | browser MB | processes | our MB | our file handles | ms a reset |\n|---|---|---|---|---|---|")
    began, last = time.perf_counter(), 0
    for number in range(count + 1):
        env.reset(options={"split": "train", "index": number % 6000})
        if number % max(1, count // 20) == 0:
            pid = os.getpid()
            spent = (time.perf_counter() - began) / max(1, number - last) * 1000
            mine = [f"{pss(pid, itself=False) / 1e6:.0f}", str(len(descendants(pid))), f"{resident() / 1e6:.0f}"]
            print(f"| {number} | {' | '.join(mine)} | {len(os.listdir('/proc/self/fd'))} | {spent:.1f} |", flush=True)
            began, last = time.perf_counter(), number
    print(shared_browser(env.browser_options).counters)
    env.close()
    close_shared()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descendants(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry))
    found, new = list[int](), [pid]
    while new:
        new = [child for parent in new for child in parents.get(parent, [])]
        found += new
    return found


def pss(pid: int, *, itself: bool = True) -> int:
    total = 0
    for one in [*descendants(pid), *([pid] if itself else [])]:
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", help="Python of the virtual environment that holds the peers")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--many", type=int)
    parser.add_argument("--resets", type=int)
    given = parser.parse_args()
    if given.many:
        many(given.many, given.peer_python)
    elif given.resets:
        resets(given.resets)
    else:
        side_by_side(given.tasks, given.rounds, given.peer_python)


if __name__ == "__main__":
    main()
