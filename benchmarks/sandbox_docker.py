"""What a call in a docker container costs: ours beside plain ``docker exec`` and mini-swe-agent's DockerEnvironment, in one run.

    .ci/docker run -- python benchmarks/sandbox_docker.py [--mini-python PATH/TO/VENV/bin/python] [--calls 100] [--starts 10]

"image" is a container of an image that holds the repository; "tree" one that is given its files, with the driver inside.
The order of the subjects changes from round to round, so that what else the machine does falls on all of them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from turnwise.envs.sandbox.image import ImageSandbox
from turnwise.envs.sandbox.make import make_sandbox

MINI = """
import os, subprocess, sys, time
os.environ["MSWEA_SILENT_STARTUP"] = "1"
from minisweagent.environments.docker import DockerEnvironment
for line in sys.stdin:
    calls = int(line)
    began = time.perf_counter()
    env = DockerEnvironment(image=sys.argv[1], cwd="/home", run_args=["--rm", "--network", "none"])
    assert env.execute({"command": "true"})["returncode"] == 0
    times = [time.perf_counter() - began]
    for _ in range(calls):
        began = time.perf_counter()
        assert env.execute({"command": "true"})["returncode"] == 0
        times.append(time.perf_counter() - began)
    subprocess.run(["docker", "rm", "--force", env.container_id], capture_output=True, check=True)
    env.container_id = None
    print("times", *times, flush=True)
"""
Found = dict[str, list[float]]


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def plain(image: str, calls: int, found: Found) -> None:
    def first() -> str:
        argv = ["docker", "run", "-d", "--rm", "--network", "none", image, "sleep", "1000"]
        name = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
        subprocess.run(["docker", "exec", name, "true"], check=True)
        return name

    names: list[str] = []
    found.setdefault("docker: run, first exec", []).append(timed(lambda: names.append(first())))
    argv = ["docker", "exec", names[0], "true"]
    found.setdefault("docker exec true", []).extend(timed(lambda: subprocess.run(argv, check=True)) for _ in range(calls))
    subprocess.run(["docker", "rm", "--force", names[0]], capture_output=True, check=True)


def ours(kind: str, image: str, calls: int, found: Found) -> None:
    box = ImageSandbox(image, work="/home") if kind == "image" else make_sandbox("docker", image=image)
    with box:
        found.setdefault(f"turnwise {kind}: start, first exec", []).append(timed(lambda: box.exec(["true"])))
        found.setdefault(f"turnwise {kind}: exec true", []).extend(timed(lambda: box.exec(["true"])) for _ in range(calls))
        box.shell("true")
        found.setdefault(f"turnwise {kind}: shell true", []).extend(timed(lambda: box.shell("true")) for _ in range(calls))
        found.setdefault(f"turnwise {kind}: shell /bin/true", []).extend(timed(lambda: box.shell("/bin/true")) for _ in range(calls))
        box.shell("echo 1 > changed")
        box.changes()
        found.setdefault(f"turnwise {kind}: changes", []).extend(timed(box.changes) for _ in range(max(1, calls // 5)))
        if kind == "image":
            snapshot = box.snapshot()
            found.setdefault("turnwise image: snapshot", []).append(timed(box.snapshot))
            found.setdefault("turnwise image: restore, first exec", []).append(timed(lambda: (box.restore(snapshot), box.exec(["true"]))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mini-python", default="", help="python of a virtual environment that has mini-swe-agent")
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--starts", type=int, default=10)
    args = parser.parse_args()
    image = os.environ.get("TURNWISE_DOCKER_IMAGE", "")
    if not image:
        sys.exit("TURNWISE_DOCKER_IMAGE names no image; run this by .ci/docker run -- python benchmarks/sandbox_docker.py")
    found: Found = {}
    share = max(1, args.calls // args.starts)
    with make_sandbox("docker", image=image) as box:  # what is done once per process and image
        box.exec(["true"])
    with ImageSandbox(image, work="/home") as box:
        box.start()
    subjects: list[Callable[[], None]] = [
        lambda: plain(image, share, found),
        lambda: ours("image", image, share, found),
        lambda: ours("tree", image, share, found),
    ]
    peer = None
    if args.mini_python:
        peer = subprocess.Popen([args.mini_python, "-c", MINI, image], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        stdin, stdout = peer.stdin, peer.stdout
        assert stdin is not None
        assert stdout is not None

        def mini() -> None:
            stdin.write(f"{share}\n")
            stdin.flush()
            line = next(line for line in stdout if line.startswith("times "))  # it logs on the same stream
            first, *later = map(float, line.split()[1:])
            found.setdefault("mini-swe-agent docker: start, first execute", []).append(first)
            found.setdefault("mini-swe-agent docker: execute true", []).extend(later)

        subjects.append(mini)
    for turn in range(args.starts):
        for place in range(len(subjects)):
            subjects[(place + turn) % len(subjects)]()
    if peer is not None:
        peer.communicate()
    print("| | n | p50 ms | p95 ms |\n|---|---|---|---|")
    for name in sorted(found):
        low, high = np.percentile(found[name], [50, 95]) * 1e3
        print(f"| {name} | {len(found[name])} | {low:.2f} | {high:.2f} |")


if __name__ == "__main__":
    sys.exit(main())
