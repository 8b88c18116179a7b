"""The pool, many sandboxes at once, and what is left when they, their threads or their process end."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from turnwise.envs.sandbox import bubblewrap
from turnwise.envs.sandbox.base import Limits, SandboxError
from turnwise.envs.sandbox.make import make_sandbox, sandbox_maker
from turnwise.envs.sandbox.pool import SandboxPool
from turnwise.envs.sandbox.tree import File

TREE = {f"pkg/m{n}.py": File(b"x = %d\n" % n) for n in range(20)}


def sandboxes(host):
    """Processes of sandboxes that this host process has: all that descend from it, by the kernel's account."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            words = path.read_text(errors="replace").rpartition(")")[2].split()
            if words[0] != "Z":
                parents[int(path.parent.name)] = int(words[1])
    found = {host}
    while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return found - {host}


def mounts():
    return len(Path("/proc/self/mountinfo").read_text().splitlines())


def folders():
    return sorted(path.name for path in Path("/tmp").glob("turnwise-local-*") if path.stat().st_uid == os.getuid())


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("backend", ["bubblewrap", "local"])
def test_takes_are_fresh_and_counted(backend):
    with SandboxPool(sandbox_maker(backend, tree=TREE), size=2) as pool:
        assert until(lambda: pool.ready == 2)
        assert (pool.made, pool.taken, pool.waited) == (2, 0, 0)
        seen = set()
        for _ in range(5):
            with pool.take() as box:
                assert box.starts == 1  # it runs already
                assert box.changes() == {}
                assert box.shell("echo [$x]; ls").stdout == b"[]\npkg\n"
                box.shell("x=1; rm -r pkg; echo > mine")
                seen.add(box)
        assert len(seen) == 5
        assert pool.taken == 5
        assert 5 <= pool.made <= 7
        assert pool.waited <= 3
        assert until(lambda: pool.ready == 2)
        assert pool.made == 7


def test_many_threads_take_from_one_pool():
    taken, errors = [], []

    def work():
        try:
            with pool.take() as box:
                taken.append((box, box.shell("echo $$ > mine; ls").stdout))
        except SandboxError as error:
            errors.append(error)

    with SandboxPool(sandbox_maker("bubblewrap"), size=3) as pool:
        threads = [threading.Thread(target=work) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []
    assert [out for _, out in taken] == [b"mine\n"] * 20
    assert len({id(box) for box, _ in taken}) == 20


def test_a_pool_that_ends_says_so_and_leaves_nothing():
    make_sandbox("bubblewrap").exec(["true"])
    before = descriptors()
    pool = SandboxPool(sandbox_maker("bubblewrap"), size=3)
    assert until(lambda: pool.ready == 3)
    given = pool.take()
    pool.close()
    pool.close()
    assert given.exec(["true"]).ok  # it belongs to its taker
    given.close()
    with pytest.raises(SandboxError, match="the pool was closed"):
        pool.take()
    assert descriptors() == before
    SandboxPool(sandbox_maker("bubblewrap"), size=2)  # nobody holds it
    assert until(lambda: descriptors() == before)
    with pytest.raises(ValueError, match="size is 0"):
        SandboxPool(sandbox_maker("bubblewrap"), size=0)


def test_a_sandbox_that_does_not_start_is_told_to_who_wants_it():
    broken = [True]

    def make():
        if broken:
            raise OSError("no room")
        return make_sandbox("bubblewrap")

    with SandboxPool(make, size=2) as pool:
        with pytest.raises(SandboxError, match="no sandbox is ready: no room"):
            pool.take()
        broken.clear()
        with pool.take() as box:
            assert box.exec(["true"]).ok
        assert (pool.taken, pool.waited) == (1, 2)


def test_a_take_that_waits_is_ended_by_close():
    held = threading.Event()

    def make():
        held.wait(5)
        return make_sandbox("bubblewrap")

    pool = SandboxPool(make, size=1)
    errors = []

    def wait():
        try:
            pool.take()
        except SandboxError as error:
            errors.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    assert until(lambda: pool.waited == 1)
    with pytest.raises(SandboxError, match=r"none came within 0\.1 s"):
        pool.take(timeout_s=0.1)
    closing = threading.Thread(target=pool.close)
    closing.start()
    thread.join(5)
    held.set()
    closing.join(5)
    assert errors == ["the pool was closed; make another one"]


def test_a_forked_process_has_no_part_in_it():
    with make_sandbox("bubblewrap") as box, SandboxPool(sandbox_maker("bubblewrap"), size=1) as pool:
        box.shell("x=1")
        assert until(lambda: pool.ready == 1)
        read, write = os.pipe()
        child = os.fork()
        if not child:
            said = []
            for call in (lambda: pool.take(), lambda: box.shell("x=2")):
                try:
                    call()
                except SandboxError as error:
                    said.append(str(error))
            with make_sandbox("bubblewrap") as own:  # of its own, it may
                said.append(own.shell("echo own").stdout.decode())
            pool.close()
            box.close()
            os.write(write, "|".join(said).encode())
            os._exit(0)
        os.close(write)
        os.waitpid(child, 0)
        said = os.read(read, 1000).decode().split("|")
        os.close(read)
        assert "belongs to the process that made it" in said[0]
        assert "belongs to the process that started it" in said[1]
        assert said[2] == "own\n"
        assert box.shell("echo $x").stdout == b"1\n"
        with pool.take() as taken:
            assert taken.shell("echo fine").stdout == b"fine\n"


def test_close_is_not_held_up_by_a_forked_process():
    box = make_sandbox("bubblewrap")
    box.shell("true")
    pid = box._session.driver[0]
    child = os.fork()  # it has copies of all descriptors
    if not child:
        time.sleep(20)
        os._exit(0)
    try:
        began = time.monotonic()
        box.close()
        assert time.monotonic() - began < 1
        assert not Path(f"/proc/{pid}/root").exists()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


HOST = """
    import sys, threading, time
    from turnwise.envs.sandbox.make import make_sandbox, sandbox_maker
    from turnwise.envs.sandbox.pool import SandboxPool
    boxes = [make_sandbox(kind, work="/testbed") for kind in ("bubblewrap", "local") for _ in range(3)]
    pool = SandboxPool(sandbox_maker("bubblewrap"), size=2)
    def work(box):
        box.shell("sleep 1000 & cd /tmp")
        box.python("1")
        threading.Thread(target=lambda: box.shell("sleep 500", 60), daemon=True).start()
    for box in boxes:
        work(box)
    while pool.ready < 2:
        time.sleep(0.01)
    print(*[box._session.driver[0] for box in boxes], flush=True)
    {end}
"""


@pytest.mark.parametrize("end", ["killed", "interrupted", "exits"])
def test_nothing_is_left_when_the_host_ends(end):
    before = mounts(), folders()
    code = textwrap.dedent(HOST).format(end="time.sleep(0.3)" if end == "exits" else "time.sleep(60)")
    host = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    drivers = [int(word) for word in host.stdout.readline().split()]
    assert len(drivers) == 6
    inside = sandboxes(host.pid)
    assert set(drivers) <= inside
    assert len(inside) > 12
    if end != "exits":
        host.send_signal(signal.SIGKILL if end == "killed" else signal.SIGINT)
    host.wait(20)
    host.stdout.close()
    assert until(lambda: not any(alive(pid) for pid in inside))
    assert until(lambda: (mounts(), folders()) == before)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_server_of_forks_that_was_killed_comes_back():
    with make_sandbox("bubblewrap", work="/killed") as box:
        assert box.shell("x=1; echo made > made").ok
        server = next(iter(s for kind, s in bubblewrap._SERVERS._found.items() if kind[0] == "/killed"))
        for pid in sandboxes(server.close.peek()[2][1].pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert "the whole sandbox was destroyed" in box.shell("echo $x").problem
        assert box.shell("echo [$x]; ls").stdout == b"[]\n"
        assert box.starts == 2


@pytest.fixture(params=["fork", "direct"])
def walls(request, monkeypatch):
    """A sandbox of each way of starting: as a fork, and where namespaces within namespaces are not allowed."""
    if request.param == "direct":
        monkeypatch.setattr(bubblewrap._SERVERS, "fork", lambda *_: None)
    with make_sandbox("bubblewrap", limits=Limits(timeout_s=5, processes=20), work="/testbed", tree=TREE) as box:
        yield box


def test_both_ways_of_starting_give_the_same_walls(walls):
    user = os.getuid() or 65534
    status = walls.python("print(open('/proc/self/status').read())").output.decode()
    for line in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert f"{line}:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    assert (
        walls.python("import os; print(os.getuid(), os.getpid() > 1, os.getppid(), os.uname().nodename)").output
        == b"%d True 1 sandbox\n" % user
    )
    mounted = sorted(line.split()[1] for line in walls.shell("cat /proc/mounts").stdout.decode().splitlines())
    assert {"/", "/usr", "/proc", "/dev", "/dev/pts", "/dev/shm", "/tmp", "/testbed"} <= set(mounted)
    writable = "for d in / /usr /etc /dev /dev/shm /tmp /testbed /proc /proc/sys /opt; do touch $d/x 2>/dev/null && echo $d; done"
    assert walls.shell(writable).stdout == b"/dev/shm\n/tmp\n/testbed\n"
    assert walls.shell("ls /driver.pyc; ls -A /home /root /etc/passwd /etc/shadow 2>/dev/null").stdout == b"/driver.pyc\n"
    assert walls.shell("ls -d /proc/[0-9]* | wc -l; wc -l < /proc/net/dev").stdout == b"5\n3\n"  # 1, interpreter, shell, ls, wc; lo alone
    assert walls.shell("umount /tmp; mount -t tmpfs x /tmp; unshare -U true; chroot / true; hostname other").exit_code != 0
    assert b"seccomp" not in walls.shell("grep -s . /proc/1/environ /proc/1/mem; ls /proc/1/fd").stdout
    assert walls.shell("cat /proc/1/environ /proc/1/mem; ls /proc/1/fd /proc/1/root").stdout.count(b"Permission denied") == 4
    assert walls.shell("ulimit -u").stdout == b"20\n"
    assert walls.python("import os; a, b = os.openpty(); print(os.ttyname(b))").output == b"/dev/pts/0\n"
    assert walls.python("import os; sorted(os.listdir('/proc/self/fd'))[:3]").output == b"['0', '1', '2']\n"
    assert walls.changes() == {"x": File()}


def test_one_fork_does_not_see_another():
    with make_sandbox("bubblewrap") as one, make_sandbox("bubblewrap") as other:
        one.shell("echo secret > /tmp/f; echo secret > /dev/shm/f; sleep 50 & exec 3<>/dev/ptmx")
        one.python(
            "import socket; s = socket.socket(socket.AF_UNIX); s.bind('\\0here'); s.listen(); t = socket.create_server(('127.0.0.1', 5555))"
        )
        assert other.shell("ls /tmp/f /dev/shm/f").exit_code == 2
        assert other.shell("ls /dev/pts").stdout == b"ptmx\n"
        assert b"sleep" not in other.shell("cat /proc/[0-9]*/comm").stdout
        assert b"Refused" in other.python("import socket\nsocket.create_connection(('127.0.0.1', 5555), 1)").output
        assert b"Refused" in other.python("socket.socket(socket.AF_UNIX).connect('\\0here')").output
        assert (
            one.shell("readlink /proc/self/ns/{net,pid,mnt,ipc,user,uts}").stdout
            != other.shell("readlink /proc/self/ns/{net,pid,mnt,ipc,user,uts}").stdout
        )


@pytest.mark.slow
def test_sixty_four_at_once():
    maker = sandbox_maker("bubblewrap", tree=TREE, work="/testbed")
    with maker() as first:
        first.exec(["true"])
    before = sandboxes(os.getpid()), mount_namespaces(), mounts(), descriptors(), folders()
    outputs = {}

    def work(number, box):
        outputs[number] = box.shell(f"echo {number} > n; python3 -c 'print({number} + 1)'", 60).stdout

    with contextlib.ExitStack() as stack:
        threads = [threading.Thread(target=work, args=(number, stack.enter_context(maker()))) for number in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert outputs == {number: b"%d\n" % (number + 1) for number in range(64)}
        inside = sandboxes(os.getpid()) - before[0]
        assert len(inside) == 128  # a driver and a shell each
        used = sum(proportional(pid) for pid in inside)
        assert used < 1 << 30, f"{used >> 20} MB"
        del threads
    assert until(lambda: (sandboxes(os.getpid()), mount_namespaces(), mounts(), descriptors(), folders()) == before)


def mount_namespaces():
    """How many this process and its children have."""
    found = set()
    for pid in {os.getpid(), *sandboxes(os.getpid())}:
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/{pid}/ns/mnt"))
    return len(found)


def proportional(pid):
    """Bytes of memory, shared ones divided by how many share them."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
