"""What a sandboxed call costs: the first of an episode and later ones, beside a bare bwrap, mini-swe-agent and ``docker exec``.

    python benchmarks/sandbox.py [--mini-python PATH/TO/VENV/bin/python] [--docker-image IMAGE] [--calls 200] [--episodes 40]

``mini-swe-agent`` lives in a virtual environment of its own. The peers start a process for each call and keep no variables.
The order of the subjects changes from round to round, so that what else the machine does falls on all of them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from turnwise.envs.sandbox.make import make_sandbox

BARE = ["bwrap", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--symlink", "usr/bin",
        "/bin", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--unshare-all", "python3", "-c", "pass"]  # fmt: skip
MINI = """
import os, sys, time
os.environ["MSWEA_SILENT_STARTUP"] = "1"
from minisweagent.environments.extra.bubblewrap import BubblewrapEnvironment
env = BubblewrapEnvironment()
for line in sys.stdin:
    began = time.perf_counter()
    out = env.execute({"command": line.strip()})
    assert out["returncode"] == 0, out
    print(time.perf_counter() - began, flush=True)
"""
ROUNDS = 5


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


class Turnwise:
    """First and later calls of ``python``, and commands, in one backend."""

    def __init__(self, backend: str, image: str = "") -> None:
        self.make = lambda: make_sandbox(backend, image=image) if image else make_sandbox(backend)
        self.backend = backend

    def measure(self, episodes: int, calls: int, found: dict[str, list[float]]) -> None:
        for _ in range(episodes):
            with self.make() as box:
                found.setdefault(f"turnwise {self.backend}: first python call", []).append(timed(lambda: box.python("pass")))
                later = found.setdefault(f"turnwise {self.backend}: later python call", [])
                later += [timed(lambda: box.python("pass")) for _ in range(calls // episodes)]
                commands = found.setdefault(f"turnwise {self.backend}: exec of true", [])
                commands += [timed(lambda: box.exec(["true"])) for _ in range(calls // episodes)]


def mini(python: str, calls: int, found: dict[str, list[float]]) -> None:
    with subprocess.Popen([python, "-c", MINI], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as peer:
        assert peer.stdin is not None
        assert peer.stdout is not None
        for name, command in (("exec of true", "true"), ("python3 -c pass", "python3 -c pass")):
            for _ in range(calls):
                peer.stdin.write(command + "\n")
                peer.stdin.flush()
                found.setdefault(f"mini-swe-agent bubblewrap: {name}", []).append(float(peer.stdout.readline()))
        peer.stdin.close()


def docker(image: str, calls: int, found: dict[str, list[float]]) -> None:
    started = subprocess.run(
        ["docker", "run", "-d", "--rm", "--network", "none", image, "sleep", "1000"], capture_output=True, text=True, check=True
    )
    name = started.stdout.strip()
    try:
        for label, command in (("true", ["true"]), ("python3 -c pass", ["python3", "-c", "pass"])):
            argv = ["docker", "exec", name, *command]
            found.setdefault(f"docker exec: {label}", []).extend(timed(lambda: subprocess.run(argv, check=True)) for _ in range(calls))  # noqa: B023
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mini-python", default="", help="python of a virtual environment that has mini-swe-agent")
    parser.add_argument("--docker-image", default="", help="an image with python3; measured only when given")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--episodes", type=int, default=40)
    args = parser.parse_args()
    found: dict[str, list[float]] = {}
    share, episodes = max(1, args.calls // ROUNDS), max(1, args.episodes // ROUNDS)
    subjects: list[Callable[[], object]] = [
        lambda: found.setdefault("bare bwrap python3 -c pass", []).extend(
            timed(lambda: subprocess.run(BARE, check=True)) for _ in range(episodes)
        ),
        lambda: Turnwise("bubblewrap").measure(episodes, args.calls, found),
    ]
    if args.mini_python:
        subjects.append(lambda: mini(args.mini_python, share, found))
    if args.docker_image:
        subjects.append(lambda: docker(args.docker_image, max(1, share // 5), found))
        subjects.append(lambda: Turnwise("docker", args.docker_image).measure(1, max(1, share // 5), found))
    for turn in range(ROUNDS):
        for place in range(len(subjects)):
            subjects[(place + turn) % len(subjects)]()
    print("| | n | p50 ms | p95 ms |\n|---|---|---|---|")
    for name in sorted(found):
        low, high = np.percentile(found[name], [50, 95]) * 1e3
        print(f"| {name} | {len(found[name])} | {low:.2f} | {high:.2f} |")


if __name__ == "__main__":
    sys.exit(main())
