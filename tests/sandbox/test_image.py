"""A repository that lies in a docker image: real containers, where TURNWISE_DOCKER_IMAGE is set."""

import os
import subprocess
import sys
import textwrap
import threading

import pytest
from turnwise.envs.sandbox.base import Limits, SandboxError, SandboxUnavailable
from turnwise.envs.sandbox.daemon import client, labels, reap
from turnwise.envs.sandbox.image import ImageSandbox
from turnwise.envs.sandbox.tree import File, apply

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nothing_left")]
LIMITS = Limits(timeout_s=60, memory_mb=200, disk_mb=64, file_size_mb=16, processes=48, flood_mb=4, keep_kb=64)


@pytest.fixture
def box(repository):
    with ImageSandbox(repository, work="/testbed", limits=LIMITS) as box:
        yield box


def test_commands_run_to_their_end(box):
    result = box.exec(["sh", "-c", "cat; echo problem >&2; exit 3"], stdin=b"x" * 60_000)
    assert (result.exit_code, result.stdout, result.stderr, result.ok) == (3, b"x" * 60_000, b"problem\n", False)
    assert box.exec(["pwd"]).stdout == b"/testbed\n"
    assert box.exec(["sh", "-c", "echo $ONE"], environ={"ONE": "1"}).stdout == b"1\n"
    missing = box.exec(["no-such-program"])
    assert missing.exit_code == 127
    assert b"not found" in missing.stderr
    assert box.exec(["sh", "-c", "kill -11 $$"]).exit_code == -11
    assert box.exec(["sh", "-c", "(sleep 77; touch late) & setsid sleep 78 & echo started"]).stdout == b"started\n"
    # what is killed may take a moment to be gone
    found = [b"sleep 77"]
    while b"sleep 77" in found[-1] and len(found) < 50:
        found.append(box.exec(["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"]).stdout)
    assert b"sleep 77" not in found[-1]
    assert "not run" in box.exec([]).problem
    flood = box.exec(["yes"])
    assert "wrote more than 4 MB" in flood.problem
    assert (len(flood.stdout), flood.truncated) == (64 << 10, True)
    assert box.starts == 1


def test_the_shell_keeps_folder_variables_and_functions(box):
    assert box.shell("cd src; X=5; f() { echo $X; }; cat; echo err >&2; echo out; false").stdout == b"err\nout\n"
    result = box.shell("echo $?; f; pwd; ls | tr '\\n' ' '")
    assert (result.stdout, result.exit_code) == (b"1\n5\n/testbed/src\na.py b.py ", 0)
    assert box.shell("break; echo not reached").ok
    assert box.shell("sh -c 'exit 7'").exit_code == 7
    slow = box.exec(["sleep", "60"], timeout_s=0.3)
    assert (slow.timed_out, slow.exit_code, slow.problem) == (True, -9, "it took longer than 0.3 s and was killed")
    assert box.shell("f").stdout == b"5\n"
    assert box.shell("(sleep 0.2; echo background) &").ok
    assert box.shell("sleep 0.5").stdout == b"background\n"
    ended = box.shell("echo last; exit 4")
    assert ended.problem == "it ended the shell (exit code 4); a new shell starts in the work folder, what this one held is gone"
    assert box.shell("pwd; echo ${X-unset}").stdout == b"/testbed\nunset\n"
    slow = box.shell("touch made /tmp/made; echo start; sleep 60", timeout_s=0.5)
    assert (slow.timed_out, slow.stdout) == (True, b"start\n")
    assert box.shell("ls made /tmp/made; pwd").stdout == b"/tmp/made\nmade\n/testbed\n"
    assert box.shell("if").exit_code == 2
    assert box.shell("printf 'a\\0b\\0'").stdout == b"a\0b\0"
    assert box.starts == 1


def test_the_interpreter_keeps_variables(box):
    assert box.python("x = 41").output == b""
    assert box.exec(["sleep", "9"], timeout_s=0.2).timed_out
    assert box.python("import os\nprint(os.getcwd())\nx + 1").output == b"/testbed\n42\n"
    lost = box.python("while True: pass", timeout_s=0.5)
    assert "took longer than 0.5 s" in lost.problem
    assert b"NameError" in box.python("x").output


def test_files_go_in_and_out(box):
    data = bytes(range(256)) * 3000
    box.write("new/folder/x.bin", data)
    assert box.read("new/folder/x.bin") == data
    assert box.read("docs/index.md") == b"text\r\n"
    assert box.read("link") == b"one = 1\n"
    box.write("run.sh", b"echo other\n")
    assert box.exec(["./run.sh"]).ok  # what was executable stays so
    for name in ("nothing", "src"):
        with pytest.raises(FileNotFoundError, match=f"'{name}' cannot be read: there is no readable plain file"):
            box.read(name)
    box.exec(["truncate", "-s", "17M", "/tmp/large"])
    assert box.exec(["sh", "-c", "head -c 16777217 /dev/zero > big"]).exit_code != 0  # a file has 16 MB at most
    with pytest.raises(OSError, match="'docs' cannot be written"):
        box.write("docs", b"")


def test_changes_are_what_differs_from_the_image(box, repository, base_tree):
    assert box.tree() == base_tree
    assert box.changes() == {}
    box.shell(
        "echo 'three = 3' >> src/a.py; touch src/b.py; rm -r docs; mkdir docs; echo only > docs/new.md; chmod -x run.sh\n"
        "printf 'a\\r\\n\\377' > $'n\\xff\\xfe.txt'; ln -s /etc/passwd out; ln -s ../../.. up; ln src/a.py hard; mkfifo pipe; mkdir empty\n"
        "rm data.bin; mkdir data.bin; echo x > data.bin/inside; ln -sf src/b.py link; mkdir __pycache__; echo > '-rf'"
    )
    expected = {
        "src/a.py": File(b"one = 1\nthree = 3\n"),
        "docs/index.md": None,
        "docs/deep/page.md": None,
        "docs/new.md": File(b"only\n"),
        "run.sh": File(b"echo run\n"),
        "n\udcff\udcfe.txt": File(b"a\r\n\xff"),
        "out": File(link="/etc/passwd"),
        "up": File(link="../../.."),
        "hard": File(b"one = 1\nthree = 3\n"),
        "data.bin": None,
        "data.bin/inside": File(b"x\n"),
        "link": File(link="src/b.py"),
        "-rf": File(b"\n"),
    }
    assert box.changes() == dict(sorted(expected.items()))
    assert box.tree() == apply(base_tree, expected)
    with ImageSandbox(repository, work="/testbed", limits=LIMITS) as other:
        other.put(expected)
        assert other.changes() == box.changes()
        assert other.shell("ls -A | wc -l; stat -c %a run.sh").stdout == b"10\n644\n"


@pytest.mark.parametrize("breaking", ["rm /usr/bin/find", "rm /usr/bin/tar", "chmod 0 src/a.py", "printf '#!/bin/sh\\n' > /usr/bin/tar"])
def test_changes_are_seen_without_the_programs_of_the_image(box, breaking):
    box.shell(f"echo 'three = 3' >> src/a.py; rm docs/index.md; {breaking}")
    assert box.changes() == {"docs/index.md": None, "src/a.py": File(b"one = 1\nthree = 3\n")}


@pytest.mark.parametrize("breaking", ["rm -rf /testbed", "mv /testbed /gone; ln -s / /testbed", "rm -rf /testbed; echo > /testbed"])
def test_a_work_folder_that_is_gone_has_lost_all_files(box, base_tree, breaking):
    box.shell(f"cd /; {breaking}")
    assert box.changes() == dict.fromkeys(sorted(base_tree))
    assert box.exec(["pwd"]).ok


def test_snapshots_are_images_and_go_with_the_last_who_holds_them(box, repository):
    box.shell("echo first > first; echo 'x = 0' > src/a.py; echo system > /etc/changed")
    snapshot = box.snapshot()
    assert snapshot.changes == {"first": File(b"first\n"), "src/a.py": File(b"x = 0\n")}
    box.shell("rm -r src first; echo second > second")
    assert set(box.changes()) == {"second", "src/a.py", "src/b.py"}
    box.restore(snapshot)
    assert box.changes() == snapshot.changes
    box.shell("echo 'one = 1' > src/a.py")  # as in the original image
    assert box.changes() == {"first": File(b"first\n")}
    with ImageSandbox(repository, work="/testbed", limits=LIMITS) as other:
        other.restore(snapshot)
        assert other.shell("cat first /etc/changed").stdout == b"first\nsystem\n"
        second = other.snapshot()
        assert second.changes == snapshot.changes
    images = client().images(all=True, filters={"label": "turnwise.owner"}, quiet=True)
    assert {snapshot.image, second.image} <= set(images)
    gone = snapshot.image, second.image
    box.close()
    del snapshot, second
    images = client().images(all=True, filters={"label": "turnwise.owner"}, quiet=True)
    assert not set(gone) & set(images)


HANG_S = 3
FORKS = "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass"
KILLS_CAT = """import os
if os.fork():
  while True:
    try: os.fork()
    except OSError: pass
while True:
  for pid in open('/proc/1/task/1/children').read().split():
    try: os.kill(int(pid), 9)
    except ProcessLookupError: pass
"""
"""Process 1 cannot start another one in place of the one that was killed."""
HOSTILE = {
    "hang": ("while True: pass", "took longer than 3 s"),
    "fork bomb": (FORKS, "took longer than 3 s"),
    "fork bomb that kills": (KILLS_CAT, "took longer than 3 s"),
    "output": ("import os\nwhile True: os.write(1, b'y' * 65536)", "wrote more than 4 MB"),
    "memory": ("a = []\nwhile True: a.append(bytearray(10_000_000))", "more than 200 MB of memory"),
    "disk": ("for n in range(40): open(f'f{n}', 'wb').write(bytes(5_000_000))\nimport time; time.sleep(2)", "more than 64 MB to the disk"),
    "kills all": ("import os\nos.kill(-1, 9)", ""),
    "stops": ("import os, signal\nos.kill(os.getppid(), signal.SIGSTOP); os.kill(os.getpid(), signal.SIGSTOP)", "took longer than 3 s"),
    "pipes": ("import glob\nfor f in glob.glob('/proc/1/fd/*'):\n  try: open(f, 'wb', 0).write(bytes(99))\n  except OSError: pass", ""),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("way", ["exec", "shell"])
def test_hostile_code_is_contained(box, name, way):
    code, problem = HOSTILE[name]
    box.write("/tmp/hostile.py", code.encode())
    limit = HANG_S if "3 s" in problem else 60
    result = box.exec(["python3", "/tmp/hostile.py"], timeout_s=limit) if way == "exec" else box.shell("python3 /tmp/hostile.py", limit)
    assert problem in result.problem
    assert box.exec(["cat", "src/a.py"]).stdout == b"one = 1\n"
    assert box.shell("cat src/b.py").stdout == b"two = 2\n"


def test_there_is_no_way_out(box):
    code = textwrap.dedent("""
        import ctypes, os, socket
        libc = ctypes.CDLL(None, use_errno=True)
        def tried(name, call):
            try: print(name, call() or -ctypes.get_errno())
            except OSError as error: print(name, error.strerror)
        def c(call, *arguments):
            return lambda: "done" if getattr(libc, call)(*arguments) == 0 else None
        tried("mount", c("mount", b"none", b"/mnt", b"tmpfs", 0, None))
        tried("unshare", c("unshare", 0x10000000))
        tried("sethostname", c("sethostname", b"x", 1))
        tried("mknod", lambda: os.mknod("disk", 0o060600, os.makedev(254, 0)) or "done")
        tried("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1) and "done")
        tried("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW) and "done")
        tried("chroot", lambda: os.chroot("/tmp") or "done")
        tried("chown", lambda: os.chown("src/a.py", 1000, 1000) or "done")
        tried("setuid", lambda: os.setuid(1000) or "done")
        tried("sysctl", lambda: open("/proc/sys/kernel/core_pattern", "w") and "done")
        tried("connect", lambda: socket.create_connection(("1.1.1.1", 53), 1) and "done")
        print([name for _, name in socket.if_nameindex()])
    """)
    result = box.python(code).output.decode()
    denied = "Operation not permitted"
    assert result.splitlines() == [
        "mount -1", "unshare -1", "sethostname -1", f"mknod {denied}", f"raw {denied}", f"packet {denied}", f"chroot {denied}",
        f"chown {denied}", f"setuid {denied}", "sysctl Read-only file system", "connect Network is unreachable", "['lo']",
    ]  # fmt: skip
    status = box.exec(["cat", "/proc/self/status"]).stdout
    for line in (b"CapEff:\t0000000000000000", b"CapBnd:\t0000000000000000", b"NoNewPrivs:\t1", b"Seccomp:\t2"):
        assert line in status
    assert b"unset" in box.shell("echo ${DOCKER_HOST-unset}").stdout


def test_the_container_is_limited_and_labelled(box):
    box.start()
    about = client().inspect_container(box._container.id)
    host = about["HostConfig"]
    assert (host["Memory"] >> 20, host["PidsLimit"], host["CpuQuota"], host["NetworkMode"]) == (200 + 64 + 64, 48, 200_000, "none")
    assert (host["CapDrop"], host["SecurityOpt"], host["Privileged"]) == (["ALL"], ["no-new-privileges"], False)
    assert labels().items() <= about["Config"]["Labels"].items()
    assert box.shell("ulimit -f; ulimit -t; ulimit -c").stdout == b"16384\n120\n0\n"
    assert b"size=65536k" in box.exec(["grep", " /tmp ", "/proc/mounts"]).stdout


def test_folders_of_the_host_are_seen_read_only(repository, tmp_path):
    (tmp_path / "tool").write_text("tool")
    with ImageSandbox(repository, work="/testbed", binds={"/opt/tools": tmp_path}, environ={"TOOLS": "/opt/tools"}) as box:
        assert box.shell("cat $TOOLS/tool").stdout == b"tool"
        assert b"Read-only file system" in box.shell("echo x > /opt/tools/tool").stdout
    with pytest.raises(SandboxError, match=r"docker cannot make a container of .*: .*bind source path does not exist"):
        ImageSandbox(repository, work="/testbed", binds={"/opt/tools": tmp_path / "none"}).start()


@pytest.mark.parametrize("how", ["kill", "remove"])
@pytest.mark.parametrize("what", ["exec", "shell", "python", "nothing"])
def test_a_container_that_somebody_ends_is_a_fault(box, how, what):
    box.shell("echo made > made")
    name = box._container.id
    end = client().kill if how == "kill" else (lambda name: client().remove_container(name, force=True))
    calls = {
        "exec": lambda: box.exec(["sleep", "60"]),
        "shell": lambda: box.shell("sleep 60"),
        "python": lambda: box.python("import time; time.sleep(60)"),
        "nothing": lambda: box.exec(["true"]),
    }
    if what == "nothing":
        end(name)
    else:
        threading.Timer(0.5, end, [name]).start()
    with pytest.raises(SandboxError, match=r"the container was (killed|removed) from outside"):
        calls[what]()
    assert box.shell("cat made src/a.py").stdout == b"cat: made: No such file or directory\none = 1\n"
    assert box.starts == 2


def test_a_closed_sandbox_says_so(box):
    box.start()
    box.close()
    box.close()
    with pytest.raises(SandboxError, match="was closed"):
        box.exec(["true"])


def test_a_forgotten_sandbox_leaves_nothing(repository):
    box = ImageSandbox(repository, work="/testbed")
    box.start()
    name = box._container.id
    del box
    assert name not in [found["Id"] for found in client().containers(all=True)]


def test_eight_at_once_do_not_meet(repository):
    failed = []

    def work(number):
        with ImageSandbox(repository, work="/testbed", limits=Limits(timeout_s=60)) as box:
            for step in range(3):
                box.shell(f"echo {number} >> mine")
                lines = box.exec(["cat", "mine"]).stdout
                if lines != f"{number}\n".encode() * (step + 1) or set(box.changes()) != {"mine"}:
                    failed.append((number, step, lines))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_what_a_killed_process_leaves_is_reaped(repository):
    code = textwrap.dedent(f"""
        import os, signal
        from turnwise.envs.sandbox.image import ImageSandbox
        box = ImageSandbox({repository!r}, work="/testbed")
        box.shell("echo 1 > x; sleep 60 &")
        snapshot = box.snapshot()
        print(box._container.id, box._reference.id, snapshot.image, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    host = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    container, reference, image = host.stdout.split()
    api = client()
    state = next(iter(api.containers(all=True, filters={"id": container})))["State"]
    assert state in ("running", "exited")
    assert api.wait(container, timeout=10)["StatusCode"] == 0  # its input ended, so it did
    with ImageSandbox(repository, work="/testbed") as mine:
        mine.start()
        found = reap()
        assert (found.containers, found.images) == (2, 1)
        assert mine.exec(["true"]).ok
    left = {found["Id"] for found in (*api.containers(all=True), *api.images(all=True))}
    assert not left & {container, reference, image}


def test_an_image_that_is_missing_is_told():
    with pytest.raises(SandboxUnavailable, match="there is no image 'no/such:image'; get it with: docker pull no/such:image"):
        ImageSandbox("no/such:image", work="/testbed").start()
    with pytest.raises(SandboxUnavailable, match="docker cannot pull the image 'localhost:1/no/such:image'"):
        ImageSandbox("localhost:1/no/such:image", work="/testbed", pull=True).start()


def test_a_daemon_that_is_not_there_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with pytest.raises(SandboxUnavailable, match=r"no docker daemon answers at unix:///.*systemctl start docker"):
        ImageSandbox("any", work="/testbed").start()
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(SandboxUnavailable, match=r"the docker daemon at tcp://127\.0\.0\.1:9 does not answer"):
        ImageSandbox("any", work="/testbed").start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_socket_that_is_closed_to_the_user_is_told():
    code = textwrap.dedent("""
        import docker, os
        from turnwise.envs.sandbox.image import ImageSandbox
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        ImageSandbox("any", work="/testbed").start()
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "this user may not use the docker daemon at unix://" in done.stderr


def test_a_snapshot_of_another_kind_is_refused(box):
    with pytest.raises(ValueError, match="is no image"):
        box.restore(type(box.snapshot())(backend="bubblewrap"))
