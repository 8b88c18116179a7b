"""The Docker backend, where a daemon answers and TURNWISE_DOCKER_IMAGE names an image with python3."""

import os
import subprocess

import pytest
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.code.env import Code
from turnwise.envs.code.experts import Gold
from turnwise.envs.sandbox.base import Limits, SandboxUnavailable
from turnwise.envs.sandbox.daemon import labels
from turnwise.envs.sandbox.docker import probe
from turnwise.envs.sandbox.make import make_sandbox

IMAGE = os.environ.get("TURNWISE_DOCKER_IMAGE", "")
needs_docker = pytest.mark.skipif(not IMAGE or bool(probe(IMAGE)), reason="TURNWISE_DOCKER_IMAGE names no image of a running docker daemon")
LIMITS = Limits(timeout_s=3, memory_mb=200, disk_mb=16, file_size_mb=4, processes=24, max_files=500, flood_mb=4, keep_kb=64)

GARBAGE = """
import os
for n in range(100):
    try: os.write(os.open(f'/proc/1/fd/{n}', os.O_WRONLY), bytes(99))
    except OSError: pass
"""


@pytest.fixture(scope="module")
def box():
    with make_sandbox("docker", limits=LIMITS, files={"given.txt": b"given"}, image=IMAGE) as box:
        yield box


@pytest.mark.slow
@needs_docker
@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("while True: pass", "took longer than 3 s"),
        ("import os\nwhile True: os.write(1, b'y' * 65536)", "wrote more than 4 MB"),
        ("import mmap\nheld = []\nwhile True:\n  m = mmap.mmap(-1, 20_000_000)\n  m.write(b'x' * 20_000_000)\n  held.append(m)", "gone"),
        ("import os\nwhile True:\n  try: os.fork()\n  except OSError: pass", "took longer than 3 s"),
        ("import os\nos.kill(1, 9); os._exit(3)", "exit code 3"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", "took longer than 3 s"),
        (GARBAGE, ""),
        ("for n in range(10**6): open(f'f{n}', 'w').close()", "more than 500 files"),
    ],
)
def test_hostile_code_is_contained(box, code, problem):
    assert problem in box.python(code).problem
    assert box.python("print(open('given.txt').read(), 6 * 7)").output == b"given 42\n"


@pytest.mark.slow
@needs_docker
def test_variables_files_commands_and_walls(box):
    box.python("x = 41")
    assert box.python("x + 1").output == b"42\n"
    assert box.exec(["sh", "-c", "cat; exit 3"], stdin=b"in").stdout == b"in"
    box.write("a/b", b"data")
    assert box.read("a/b") == b"data"
    assert b"Read-only file system" in box.python("open('/usr/x', 'w')").output
    assert b"Network is unreachable" in box.python("import socket\nsocket.create_connection(('1.1.1.1', 53), 1)").output
    assert b"CapEff:\t0000000000000000" in box.python("print(open('/proc/self/status').read())").output
    assert box.python("import os; print(os.getuid(), os.getppid())").output == b"65534 1\n"


@pytest.mark.slow
@needs_docker
def test_the_environment_in_docker_and_nothing_left():
    def make():
        return Code(sandbox="docker", image=IMAGE)

    done = rollout(make, ScriptedAgent(Gold), make().tasks.get_task_range("test", 0, 4), concurrency=2)
    assert [t.outcome.score for t in done] == [1.0] * 4
    mine = f"label=turnwise.owner={labels()['turnwise.owner']}"
    left = subprocess.run(["docker", "ps", "--all", "--quiet", "--filter", mine], capture_output=True, text=True, check=True)
    assert len(left.stdout.split()) <= 1  # the fixture's


@needs_docker
def test_an_image_that_is_missing_is_told():
    with pytest.raises(SandboxUnavailable, match="there is no image 'no/such:image'; get it with: docker pull"):
        make_sandbox("docker", image="no/such:image")
