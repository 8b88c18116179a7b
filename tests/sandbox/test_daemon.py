"""A docker daemon that fails: one of its own is started for each test, on a small disk in memory."""

import gc
import os
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest
from turnwise.envs.sandbox.base import Limits, SandboxError, SandboxUnavailable
from turnwise.envs.sandbox.daemon import client, remove_own
from turnwise.envs.sandbox.image import ImageSandbox
from turnwise.envs.sandbox.make import make_sandbox
from turnwise.envs.sandbox.tree import File

SCRIPT = Path(__file__).parents[2] / ".ci" / "docker"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a daemon"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # sockets that the SDK forgets when a daemon dies
]


@pytest.fixture(scope="module")
def tarball(docker_image, tmp_path_factory):
    """What an image needs to run sh, bash and cat, so that it loads quickly."""
    path = tmp_path_factory.mktemp("image") / "small.tar"
    programs = "sh bash cat sleep rm id head find tar mkdir xargs"
    script = (
        f"cd /; for p in $(for n in {programs}; do command -v $n; ldd $(command -v $n) | grep -o '/[^ ]*'; done); do\n"
        "echo $(readlink -f $(dirname $p))/$(basename $p); readlink -f $p; done | sort -u | sed 's,^/,,' > /tmp/list\n"
        "tar --create --no-recursion --files-from=/tmp/list bin lib lib64 tmp home usr/lib64"
    )
    made = subprocess.run(
        ["docker", "run", "--rm", "--network", "none", docker_image, "bash", "-c", script], capture_output=True, check=True
    )
    path.write_bytes(made.stdout)
    return path


@pytest.fixture
def daemon(tarball, monkeypatch):
    """Its process; DOCKER_HOST names it. Its disk holds 60 MB."""
    folder = Path(tempfile.mkdtemp(prefix="turnwise-docker-"))  # short: sockets lie in it
    (folder / "data").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", folder / "data"], check=True)
    up = subprocess.run([SCRIPT, "up", "--folder", folder, "--image", tarball], capture_output=True, text=True)
    assert up.returncode == 0, up.stderr
    monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/docker.sock")
    yield int((folder / "docker.pid").read_text())
    down = subprocess.run([SCRIPT, "down", "--folder", folder], capture_output=True, text=True)
    assert (down.returncode, down.stderr) == (0, "")
    assert not folder.exists()
    gc.collect()  # what the SDK forgets is found here, not in the middle of another test
    assert str(folder) not in Path("/proc/mounts").read_text()


def test_a_full_disk_is_told(daemon):
    with ImageSandbox("turnwise/base:latest", work="/home", limits=Limits(disk_mb=500, file_size_mb=500)) as box:
        result = box.shell("head -c 100000000 /dev/zero > big")
        assert (result.exit_code, b"No space left on device" in result.stdout) == (1, True)
        assert box.shell("echo still here").stdout == b"still here\n"
        with pytest.raises(OSError, match=r"the disk of the daemon is full; make room \(docker system prune\)"):
            box.put({"more": File(bytes(1_000_000))})
        with pytest.raises(OSError, match="No space left on device"):
            box.write("more", bytes(1_000_000))
        with pytest.raises(SandboxError, match="the disk of the daemon is full"):
            box.snapshot()
        with pytest.raises(SandboxError, match="the disk of the daemon is full"):
            ImageSandbox("turnwise/base:latest", work="/home").start()
        box.shell("rm big")
        box.put({"more": File(b"fits")})
        assert box.read("more") == b"fits"
    assert client().containers(all=True) == []
    assert remove_own().containers == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_daemon_that_stops_in_the_middle_is_told(daemon, how):
    box = ImageSandbox("turnwise/base:latest", work="/home", limits=Limits(timeout_s=30))
    other = ImageSandbox("turnwise/base:latest", work="/home", limits=Limits(timeout_s=30))
    found = []

    def stopped(call):
        try:
            found.append(call())
        except SandboxError as error:
            found.append(str(error))

    box.shell("true")
    other.start()
    threads = [
        threading.Thread(target=stopped, args=(lambda: box.shell("sleep 20"),)),
        threading.Thread(target=stopped, args=(lambda: other.exec(["sleep", "20"]),)),
    ]
    for thread in threads:
        thread.start()
    time.sleep(1)
    os.kill(daemon, how)
    for thread in threads:
        thread.join()
    assert len(found) == 2
    known = ("went away", "no docker daemon answers", "from outside while it was used")
    assert all(any(words in text for words in known) for text in found), found
    with pytest.raises(SandboxError, match=r"no docker daemon answers|went away"):
        box.shell("true")
    box.close()
    other.close()
    with pytest.raises(SandboxUnavailable, match="no docker daemon answers"):
        make_sandbox("docker", image="turnwise/base:other")
