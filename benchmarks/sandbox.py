"""What sandboxes cost: a new one with its first command, later calls, 64 at once; beside a bare bwrap and mini-swe-agent.

    python benchmarks/sandbox.py [--mini-python PATH/TO/VENV/bin/python] [--calls 200] [--episodes 40]

Containers: sandbox_docker.py.

``mini-swe-agent`` lives in a virtual environment of its own. The peers start a process for each call and keep no variables; its
bubblewrap environment shares network and processes with the host and has no limits.
The order of the subjects changes from round to round, so that what else the machine does falls on all of them.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from turnwise.envs.sandbox.make import make_sandbox, sandbox_maker
from turnwise.envs.sandbox.tree import File

BARE = ["bwrap", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--symlink", "usr/bin",
        "/bin", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--unshare-all"]  # fmt: skip
TREE = {f"package/part{n % 10}/module{n}.py": File(b"x = 1  # line\n" * 1000) for n in range(150)}
"""150 files, 2.1 MB."""
MINI = """
import os, sys, time
os.environ["MSWEA_SILENT_STARTUP"] = "1"
from minisweagent.environments.local import LocalEnvironment
from minisweagent.environments.extra.bubblewrap import BubblewrapEnvironment
kinds = {"local": LocalEnvironment, "bubblewrap": BubblewrapEnvironment}
for line in sys.stdin:
    kind, command = line.strip().split(" ", 1)
    began = time.perf_counter()
    env = kinds[kind]()
    out = env.execute({"command": command})
    took = time.perf_counter() - began
    assert out["returncode"] == 0, out
    if kind == "bubblewrap":
        env.cleanup()
    print(took, flush=True)
"""
ROUNDS = 5
MANY = 64


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def bare(episodes: int, found: dict[str, list[float]]) -> None:
    for command in ("true", "python3 -c pass"):
        argv = [*BARE, *command.split(" ", 2)]
        found.setdefault(f"bare bwrap --unshare-all {command}", []).extend(
            timed(lambda argv=argv: subprocess.run(argv, check=True)) for _ in range(episodes)
        )


def turnwise(episodes: int, calls: int, found: dict[str, list[float]]) -> None:
    """New sandboxes, with their first command or Python call; then later calls."""

    def note(name: str, call: Callable[[], object], times: int = 1) -> None:
        found.setdefault(f"turnwise bubblewrap: {name}", []).extend(timed(call) for _ in range(times))

    for _ in range(episodes):
        with make_sandbox("bubblewrap") as box:
            note("create and exec true", lambda: box.exec(["true"]))
        with make_sandbox("bubblewrap", tree=TREE) as box:
            note("create with 150 files and exec true", lambda: box.exec(["true"]))
            note("changes of 150 files", box.changes)
        with make_sandbox("bubblewrap") as box:
            note("create and shell true", lambda: box.shell("true"))
        with make_sandbox("bubblewrap") as box:
            note("create and python pass", lambda: box.python("pass"))
            box.shell("true")
            each = max(1, calls // episodes)
            note("later exec true", lambda: box.exec(["true"]), each)
            note("later shell true", lambda: box.shell("true"), each)
            note("later shell /bin/true", lambda: box.shell("/bin/true"), each)
            note("later python pass", lambda: box.python("pass"), each)
            note("close", box.close)


def many(count: int, found: dict[str, list[float]]) -> float:
    """Start ``count`` sandboxes with a tree from as many threads, a command in each; the megabytes that all of them take."""
    maker = sandbox_maker("bubblewrap", tree=TREE)
    with contextlib.ExitStack() as stack:
        boxes = [stack.enter_context(maker()) for _ in range(count)]
        before = available_mb()
        with ThreadPoolExecutor(count) as threads:
            began = time.perf_counter()
            assert all(done.ok for done in threads.map(lambda box: box.shell("python3 -c pass", 60), boxes))
            found.setdefault(f"turnwise bubblewrap: {count} at once with 150 files, shell python3 -c pass", []).append(
                time.perf_counter() - began
            )
        return before - available_mb()


def available_mb() -> float:
    text = Path("/proc/meminfo").read_text()
    return int(text.split("MemAvailable:")[1].split()[0]) / 1024


def mini(python: str, calls: int, found: dict[str, list[float]]) -> None:
    with subprocess.Popen([python, "-c", MINI], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as peer:
        assert peer.stdin is not None
        assert peer.stdout is not None
        for kind in ("local", "bubblewrap"):
            for command in ("true", "python3 -c pass"):
                for _ in range(calls):
                    peer.stdin.write(f"{kind} {command}\n")
                    peer.stdin.flush()
                    found.setdefault(f"mini-swe-agent {kind}: create and {command}", []).append(float(peer.stdout.readline()))
        peer.stdin.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mini-python", default="", help="python of a virtual environment that has mini-swe-agent")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--episodes", type=int, default=40)
    args = parser.parse_args()
    found: dict[str, list[float]] = {}
    share, episodes = max(1, args.calls // ROUNDS), max(1, args.episodes // ROUNDS)
    subjects: list[Callable[[], object]] = [
        lambda: bare(episodes, found),
        lambda: turnwise(episodes, share, found),
    ]
    if args.mini_python:
        subjects.append(lambda: mini(args.mini_python, share, found))
    for turn in range(ROUNDS):
        for place in range(len(subjects)):
            subjects[(place + turn) % len(subjects)]()
    megabytes = [many(MANY, found) for _ in range(ROUNDS)]
    print("| | n | p50 ms | p95 ms |\n|---|---|---|---|")
    for name in sorted(found):
        low, high = np.percentile(found[name], [50, 95]) * 1e3
        print(f"| {name} | {len(found[name])} | {low:.2f} | {high:.2f} |")
    print(f"\nMemory of {MANY} at once: {np.median(megabytes):.0f} MB")


if __name__ == "__main__":
    sys.exit(main())
