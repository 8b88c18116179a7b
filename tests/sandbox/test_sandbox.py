import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.envs.sandbox import bubblewrap
from turnwise.envs.sandbox.base import Limits, SandboxError, SandboxUnavailable, visible
from turnwise.envs.sandbox.make import make_sandbox
from turnwise.envs.sandbox.process import Command, DriverSandbox


@pytest.fixture(params=["bubblewrap", "local"])
def box(request):
    with make_sandbox(request.param, limits=Limits(timeout_s=3), files={"data/a.txt": b"one\ntwo\n"}) as box:
        yield box


def test_variables_last_and_the_last_expression_is_shown(box):
    assert box.starts == 0
    assert box.python("x = 20").output == b""
    assert box.python("def f(n):\n    return n + x\nf(22)").output == b"42\n"
    assert box.python("print('a'); 'b'; None").output == b"a\n"
    assert box.python("import sys; print('err', file=sys.stderr); print('out')\n_ = 3").output == b"err\nout\n"
    result = box.python("def g():\n    return 1 / 0\ng()")
    assert result.output == (
        b'Traceback (most recent call last):\n  File "<cell 5>", line 3, in <module>\n    g()\n'
        b'  File "<cell 5>", line 2, in g\n    return 1 / 0\n           ~~^~~\nZeroDivisionError: division by zero\n'
    )
    assert (result.raised, result.problem) == (True, "")
    assert b"SyntaxError: '(' was never closed" in box.python("print(").output
    assert b"SystemExit: 3" in box.python("import sys; sys.exit(3)").output
    assert b"null bytes" in box.python("x = '\0'").output
    assert box.python("len('\ud800é')").output == b"2\n"  # half a pair is sent as an escape
    assert box.python("x").output == b"20\n"
    assert box.starts == 1


def test_files_go_in_and_out(box):
    assert box.python("print(open('data/a.txt').read().split())").output == b"['one', 'two']\n"
    box.write("b/c.bin", b"\x00\xff" * 100_000)
    assert box.read("b/c.bin") == b"\x00\xff" * 100_000
    box.python("import os; os.mkfifo('pipe'); os.symlink('/dev/zero', 'zeros')")
    for name in ("nothing", "b", "pipe", "zeros"):
        with pytest.raises(FileNotFoundError, match=f"{name}' cannot be read"):
            box.read(name)
    box.python("open('large', 'wb').truncate(32 * 2**20); open('large', 'ab').write(b'x')")
    with pytest.raises(OSError, match="cannot be written"):
        box.write("data", b"")


def test_commands_run_to_their_end(box):
    result = box.exec(["sh", "-c", "cat; echo problem >&2; exit 3"], stdin=b"x" * 200_000)
    assert (result.exit_code, result.stdout, result.stderr, result.ok) == (3, b"x" * 200_000, b"problem\n", False)
    assert box.exec(["pwd"]).ok
    assert box.exec(["sh", "-c", "echo $ONE"], environ={"ONE": "1"}).stdout == b"1\n"
    missing = box.exec(["no-such-program"])
    assert missing.exit_code == 127
    assert b"Error" in missing.stderr  # PermissionError, where a folder of the PATH is closed
    slow = box.exec(["sleep", "60"], timeout_s=0.2)
    assert (slow.timed_out, slow.exit_code, slow.problem) == (True, -9, "it took longer than 0.2 s and was killed")
    assert box.exec(["sh", "-c", "sleep 60 & echo started"]).stdout == b"started\n"
    assert box.exec(["sh", "-c", "kill -11 $$"]).exit_code == -11
    assert "not run" in box.exec([]).problem
    flood = box.exec(["sh", "-c", "yes"])
    assert "more than 8 MB" in flood.problem
    assert flood.truncated
    box.python("x = 1")
    assert box.exec(["true"]).ok
    assert box.python("x").output == b"1\n"  # the interpreter outlives commands


def test_an_interpreter_that_ends_during_a_command_is_told(box):
    box.python("import os, threading, time\nthreading.Thread(target=lambda: (time.sleep(0.2), os._exit(5))).start()")
    assert box.exec(["sleep", "0.5"]).ok
    result = box.python("1")
    assert "all variables are gone" in result.problem
    assert box.python("print(open('data/a.txt').read())").output == b"one\ntwo\n\n"
    assert box.starts == 1


def test_a_closed_sandbox_says_so(box):
    box.python("1")
    box.close()
    box.close()
    with pytest.raises(SandboxError, match="was closed"):
        box.python("1")


def test_limits_are_checked():
    with pytest.raises(ValueError, match="timeout_s is 0; it must be above 0"):
        Limits(timeout_s=0)
    with pytest.raises(ValueError, match="memory_mb is 0, processes is -1"):
        Limits(memory_mb=0, processes=-1)
    with pytest.raises(ValueError, match="allowed: auto, bubblewrap, docker, local"):
        make_sandbox("chroot")


def test_without_a_sandbox_nothing_runs(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    for backend, told in (
        ("auto", ("apt-get install bubblewrap", "docker: no docker daemon answers at unix://", "protects nothing")),
        ("docker", ("docker:",)),
    ):
        with pytest.raises(SandboxUnavailable) as error:
            make_sandbox(backend)
        assert all(text in str(error.value) for text in told)


def test_a_bwrap_that_cannot_work_is_told(monkeypatch, tmp_path):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'No permissions to create a new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    tmp_path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    bubblewrap.compiled.cache_clear()
    try:
        with pytest.raises(SandboxUnavailable, match="cannot make a sandbox here"):
            make_sandbox("bubblewrap")
    finally:
        bubblewrap.compiled.cache_clear()


def hostile_driver(code):
    return DriverSandbox("local", lambda _: Command(argv=[sys.executable, "-S", "-c", code], environ={}), Limits(timeout_s=0.1), {})


def test_a_driver_that_cannot_start_is_a_fault():
    with pytest.raises(SandboxError, match=r"did not start .*no such luck"):
        hostile_driver("import sys; sys.exit('no such luck')").python("1")


READY = "import os, struct; h = struct.pack('!IiIQQI', 0, 0, 0, 0, 0, 0); os.write(1, struct.pack('!I', len(h)) + h); os.read(0, 9); "


@settings(max_examples=12)
@given(st.binary(max_size=60))
def test_whatever_a_driver_says_is_a_result(data):
    box = hostile_driver(f"{READY}os.write(1, {data!r})")
    assert "the whole sandbox was destroyed" in box.python("1").problem
    box.close()


@pytest.mark.parametrize(
    "frame",
    ["b'\\xff' * 4", "struct.pack('!I', 3) + b'abc'", "struct.pack('!I', len(h)) + h", "struct.pack('!I', 32) + b'\\xff' * 32"],
)
def test_frames_that_are_none_are_refused(frame):
    box = hostile_driver(f"{READY}os.write(1, {frame})")
    assert "the whole sandbox was destroyed" in box.exec(["true"]).problem
    with pytest.raises(FileNotFoundError, match="was destroyed"):
        box.read("x")
    box.close()


@settings(max_examples=60)
@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")))
def test_any_text_is_run_and_shown(code):
    result = any_box().python(code, timeout_s=2)
    shown = visible(result.output)
    assert all(c.isprintable() or c in "\n\t" or c.isspace() for c in shown)


def any_box(_made=[]):  # noqa: B006
    if not _made:
        _made.append(make_sandbox("bubblewrap"))
    return _made[0]


@given(st.binary(max_size=400), st.integers(10, 50))
def test_shown_text_has_no_tags_and_a_bound(data, most):
    shown = visible(data, most)
    assert "</tool_response" not in shown
    assert "<|" not in shown
    assert len(shown) <= most + 60


def test_everything_ends_with_the_host():
    code = textwrap.dedent("""
        import sys, threading
        from turnwise.envs.sandbox.make import make_sandbox
        box = make_sandbox("bubblewrap")
        box.python("1")
        threading.Thread(target=lambda: box.python("while True: pass", timeout_s=60), daemon=True).start()
        print(box._session.driver[0], flush=True)
        import time; time.sleep(60)
    """)
    host = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(host.stdout.readline())
    time.sleep(0.3)
    assert Path(f"/proc/{pid}").exists()
    host.send_signal(signal.SIGKILL)
    host.wait()
    host.stdout.close()
    for _ in range(100):
        if not running(pid):
            return
        time.sleep(0.05)
    raise AssertionError("the sandbox outlived the process that made it")


def running(pid):
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().split()[2] != "Z"
    except OSError:
        return False


def test_a_forgotten_sandbox_leaves_nothing():
    make_sandbox("bubblewrap").python("1")  # one maker of sandboxes and its connection stay for all that follow
    before = set(os.listdir("/proc/self/fd"))
    box = make_sandbox("bubblewrap")
    box.python("1")
    pid = box._session.driver[0]
    del box
    assert not running(pid)
    assert set(os.listdir("/proc/self/fd")) == before
