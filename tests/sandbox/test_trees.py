"""Trees in and out of sandboxes: byte for byte, only what changed, and whatever code did to the folder meanwhile."""

import os
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.envs.sandbox import process
from turnwise.envs.sandbox.base import Limits, SandboxError, Snapshot
from turnwise.envs.sandbox.inside_tree import RECORD
from turnwise.envs.sandbox.make import make_sandbox, sandbox_maker
from turnwise.envs.sandbox.transfer import Base, decode, records
from turnwise.envs.sandbox.tree import File, apply, difference, tree_of

LIMITS = Limits(timeout_s=5, disk_mb=32, max_files=400)
TREE = {
    "src/a.py": File(b"x = 1\r\ny = '\xe9'\n"),
    "src/deep/er/b.bin": File(bytes(range(256)) * 100),
    "run.sh": File(b"#!/bin/sh\necho ran\n", executable=True),
    "link": File(link="src/a.py"),
    "dangling": File(link="/no/such/place"),
    "empty": File(),
    "odd \udcff\n name": File(b"odd"),
    "ünï": File(b"code"),
}


@pytest.fixture(scope="module", params=["bubblewrap", "local"])
def make(request):
    maker = sandbox_maker(request.param, tree=TREE, work="/testbed", limits=LIMITS)
    with maker() as running:
        assert running.changes() == {}
        yield maker


@pytest.fixture
def box(make):
    with make() as box:
        yield box


def test_a_tree_goes_in_and_comes_out_byte_for_byte(box):
    assert box.tree() == TREE
    assert box.changes() == {}
    assert box.read("src/deep/er/b.bin") == bytes(range(256)) * 100
    assert box.shell("./run.sh; cat link | head -1; stat -c %a src/a.py run.sh src").stdout == b"ran\nx = 1\r\n644\n755\n755\n"
    assert list(box.tree()) == sorted(TREE)


def test_what_changed_is_told(box):
    box.shell("echo new > src/new.py; rm empty; chmod +x src/a.py; ln -sf run.sh link; mv ünï 'ö p'; mkdir -p hollow/low; git init -q sub")
    box.shell("rm -r src/deep; echo file > src/deep; printf '\\377\\0' > raw")
    changes = {path: file for path, file in box.changes().items() if not path.startswith("sub/")}
    assert changes == {
        "empty": None,
        "link": File(link="run.sh"),
        "raw": File(b"\xff\0"),
        "src/a.py": File(TREE["src/a.py"].data, executable=True),
        "src/deep": File(b"file\n"),
        "src/deep/er/b.bin": None,
        "src/new.py": File(b"new\n"),
        "ö p": File(b"code"),
        "ünï": None,
    }
    assert "sub/HEAD" in {path.replace("sub/.git/", "sub/") for path in box.changes()}
    assert apply(TREE, box.changes()) == box.tree()


def test_same_size_and_time_do_not_hide_a_change(box):
    box.shell("touch -r src/a.py ref; printf \"x = 2\\r\\ny = '\\351'\\n\" > src/a.py; touch -r ref src/a.py; rm ref")
    assert box.changes() == {"src/a.py": File(b"x = 2\r\ny = '\xe9'\n")}


def test_put_displaces_what_is_in_the_way_and_follows_no_link(box):
    box.shell(
        "mkdir outside; echo safe > outside/target; ln -s outside way; ln -s outside/target leaf; ln outside/target hard; chmod 600 run.sh"
    )
    changes = {
        "way/target": File(b"mine"),  # way was a link to a folder
        "leaf": File(b"mine"),  # a link to a file
        "hard": File(b"mine"),  # another name of a file
        "src": File(b"was a folder"),
        "empty/below": File(b"was a file"),
        "run.sh": File(b"not run", executable=False),
        "ünï": None,
        "no/such": None,
        "link": None,
    }
    before = box.tree()
    box.put(changes)
    assert box.tree() == apply(before, changes)
    assert box.read("outside/target") == b"safe\n"
    box.put({"src": None, "way/target": None})
    assert box.shell("test -e way || echo gone").stdout == b"gone\n"  # an empty folder goes with its last file
    box.put({})
    with pytest.raises(ValueError, match=r"'\.\./out' is not a path inside a tree"):
        box.put({"../out": File(b"")})


NAMES = st.sampled_from(["a", "b", "a/b", "a/c", "a/b/c", "d/e/f", "d/e", "\udcfe", "ü x"])
FILES = (
    st.none()
    | st.builds(File, st.binary(max_size=20), st.booleans())
    | st.builds(lambda to: File(link=to), st.sampled_from(["a", "/x", "d/e"]))
)


def sound(changes):
    """Whether no path of these is below another that is a file."""
    there = [path for path, file in changes.items() if file is not None]
    return not any(other.startswith(path + "/") for path in there for other in there)


CHANGES = st.dictionaries(NAMES, FILES, max_size=4).filter(sound)
_open = {}


def kept(backend):
    if backend not in _open:
        _open[backend] = make_sandbox(backend, tree={"a": File(b"1"), "d/e/f": File(b"2")}, work="/testbed")
    return _open[backend]


@pytest.fixture(scope="module", autouse=True)
def closed():
    yield
    for box in _open.values():
        box.close()


@pytest.mark.parametrize("backend", ["bubblewrap", "local"])
@settings(max_examples=25, deadline=None)
@given(first=st.lists(CHANGES, max_size=3), second=st.lists(CHANGES, max_size=3))
def test_put_is_apply_and_restore_undoes(backend, first, second):
    box = kept(backend)
    base = {"a": File(b"1"), "d/e/f": File(b"2")}
    box.restore(Snapshot(backend=backend))
    expected = base
    assert box.tree() == expected
    for changes in first:
        box.put(changes)
        expected = apply(expected, changes)
        assert box.tree() == expected
    snapshot = box.snapshot()
    assert snapshot.changes == difference(base, expected)
    for changes in second:
        box.put(changes)
    box.restore(snapshot)
    assert box.tree() == expected
    assert box.changes() == difference(base, expected)


def test_a_snapshot_starts_another_sandbox_and_outlives_a_crash(make, box):
    box.shell("x=1; echo changed > src/a.py; rm link")
    snapshot = box.snapshot()
    assert (snapshot.backend, snapshot.image) == (box.backend, "")
    assert snapshot.changes == {"src/a.py": File(b"changed\n"), "link": None}
    with make() as other:
        other.restore(snapshot)
        assert other.changes() == snapshot.changes
        assert other.shell("echo [$x]").stdout == b"[]\n"
        other.shell("rm -r src")
        other._session.close()  # as if code had destroyed it
        assert "destroyed" in other.shell("true").problem
        assert other.changes() == snapshot.changes
    with pytest.raises(ValueError, match="a snapshot of an image of docker"):
        box.restore(Snapshot(backend="docker", image="sha256:1"))


def test_pipes_sockets_and_closed_files_neither_hang_nor_break():
    with make_sandbox("bubblewrap", tree=TREE, work="/testbed", limits=LIMITS) as box:
        box.shell("mkfifo pipe; mkdir closed; echo x > closed/in; chmod 000 closed src/a.py; ln -s pipe topipe; ln -s / root; cd /")
        box.python("import socket; s = socket.socket(socket.AF_UNIX); s.bind('socket')")
        changes = box.changes()
        assert changes == {"src/a.py": None, "topipe": File(link="pipe"), "root": File(link="/")}
        assert box.unreadable == ("closed", "src/a.py")
        box.shell("chmod 755 /testbed/closed /testbed/src/a.py; chmod 000 /testbed")
        assert box.changes()["closed/in"] == File(b"x\n")
        assert box.unreadable == ()


def test_folders_that_are_too_much_are_refused(monkeypatch):
    with make_sandbox("local", limits=Limits(max_files=100)) as box:
        box.shell("for i in $(seq 101); do : > $i; done")
        with pytest.raises(ValueError, match="cannot be copied out: it holds more than 100 files"):
            box.tree()
    monkeypatch.setattr(process, "MAX_TREE_MB", 12)
    with make_sandbox("local") as box:
        box.shell("truncate -s 13M sparse")
        with pytest.raises(ValueError, match="it holds a file of 13 MB"):
            box.tree()
        box.shell("rm sparse; truncate -s 9M a; truncate -s 4M b")
        with pytest.raises(ValueError, match="it holds more than 12 MB"):
            box.tree()
        assert box.shell("rm b").ok
        assert len(box.tree()["a"].data) == 9 << 20


def test_a_deep_folder_is_told():
    with make_sandbox("bubblewrap", limits=Limits(max_files=3000)) as box:
        box.python("import os\nfor _ in range(2100):\n  os.mkdir('d')\n  os.chdir('d')\nopen('bottom', 'w').close()")
        assert box.tree() == {}
        assert len(box.unreadable) == 1  # longer than any path may be
        box.shell("mkdir -p d/x/0 d/1; touch d/x/0/f d/2; chmod 000 d/x")
        box.put({"d": File(b"")})
        assert box.tree() == {"d": File(b"")}


def test_a_race_with_what_runs_meanwhile_breaks_nothing(box):
    code = """
import os, threading
def churn():
    n = 0
    while True:
        n += 1
        try:
            os.rename('src', 'moved'); os.symlink('/usr', 'src'); os.remove('src'); os.rename('moved', 'src')
            os.makedirs(f'r/{n % 7}', exist_ok=True)
            open(f'r/{n % 7}/f', 'ab').write(b'x' * 1000)
            if n % 5 == 0: os.truncate(f'r/{n % 7}/f', 0)
            if n % 3 == 0: os.remove(f'r/{n % 7}/f'); os.rmdir(f'r/{n % 7}')
        except OSError: pass
threading.Thread(target=churn, daemon=True).start()
"""
    box.python(code)
    for _ in range(30):
        tree = box.tree()
        assert set(tree) >= {"run.sh", "empty"}
        assert not any(path.startswith(("src/bin", "src/lib")) for path in tree)
    assert box.starts == 1


def test_calls_from_many_threads_wait_for_each_other(box):
    found = []
    threads = [threading.Thread(target=lambda n=n: found.append((box.shell(f"echo {n}").stdout, n, box.tree() == TREE))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted((b"%d\n" % n, n, True) for n in range(8))


def test_room_is_beside_the_tree():
    tree = {f"f{n}": File(b"x" * 100_000) for n in range(300)}  # 30 MB in 300 files
    with make_sandbox("bubblewrap", tree=tree, limits=Limits(disk_mb=1, max_files=10, file_size_mb=1, timeout_s=5)) as box:
        assert box.tree() == tree
        assert box.shell("head -c 900000 /dev/zero > big").ok
        assert b"No space left" in box.shell("head -c 1000000 /dev/zero > big2").stdout
        with pytest.raises(OSError, match=r"cannot be written: OSError: No space left on device \('more'\)"):
            box.put({"more": File(b"x" * 2_000_000)})
        box.shell("rm big*")
        assert box.shell("for i in $(seq 7); do : > new$i; done").ok
        assert "made more than 10 files" in box.shell("for i in $(seq 20); do : > more$i; done; sleep 1").problem
    with pytest.raises(ValueError, match="the tree holds 300 MB; a sandbox takes 256 MB"):
        make_sandbox(tree={"f": File(bytes(300 << 20))})


def test_a_large_tree_goes_in_pieces():
    tree = {f"d{n % 10}/f{n}": File(os.urandom(1 << 20) if n < 40 else b"small") for n in range(1000)}
    assert len(list(records(tree))) >= 5
    with make_sandbox("bubblewrap", tree=tree) as box:
        assert box.tree() == tree
        box.shell("head -c 20000000 /dev/urandom > new; rm -r d1")
        changes = box.changes()
        assert len(changes) == 101
        assert len(changes["new"].data) == 20_000_000
        assert changes["d1/f1"] is None


def test_folders_of_the_host_are_bound_read_only(tmp_path):
    import tempfile

    with tempfile.TemporaryDirectory(prefix="turnwise-bind-") as folder:  # pytest's own folders are closed to others
        os.chmod(folder, 0o755)
        with open(f"{folder}/tool.py", "w") as file:
            file.write("print('bound')")
        with make_sandbox("bubblewrap", binds={"/opt/tools": folder}, work="/testbed") as box:
            assert box.shell("python3 /opt/tools/tool.py; echo x > /opt/tools/tool.py; echo $?").stdout.startswith(b"bound\nbash: ")
            assert box.tree() == {}
        with make_sandbox("bubblewrap", binds={"/testbed/vendor": folder}, work="/testbed") as box:  # within the work folder
            assert box.shell("python3 vendor/tool.py").stdout == b"bound\n"
            assert box.tree() == {}  # but not part of it
        with make_sandbox("bubblewrap", work="/testbed") as box:
            assert box.shell("ls /opt").exit_code != 0
        os.chmod(folder, 0o700)
        if os.getuid() == 0:  # else the sandbox runs as its owner
            with pytest.raises(ValueError, match=r"cannot be bound at '/opt/tools': .* is closed to others"):
                make_sandbox("bubblewrap", binds={"/opt/tools": folder})
    with pytest.raises(ValueError, match="is not an absolute path of a folder"):
        make_sandbox("bubblewrap", binds={"/opt/tools": folder})
    with pytest.raises(ValueError, match="cannot be bound without a sandbox"):
        make_sandbox("local", binds={"/opt/tools": folder})
    for path in ("relative", "/", "/usr", "/usr/x", "/a/../b", "/proc", "//x", "/tmp", "/x/"):
        with pytest.raises(ValueError, match="cannot be a folder of a sandbox"):
            make_sandbox("bubblewrap", work=path)


def test_variables_are_given(make):
    with make_sandbox("bubblewrap", environ={"ONE": "1 =\n2", "LANG": "C"}) as box:
        assert box.shell('echo "$ONE $LANG"').stdout == b"1 =\n2 C\n"
        assert box.exec(["printenv", "ONE"]).stdout == b"1 =\n2\n"
        assert box.python("import os; os.environ['ONE']").output == b"'1 =\\n2'\n"


def test_what_a_sandbox_says_of_its_files_is_not_believed():
    base = {"a": File(b"1")}

    def said(*parts):
        found, closed = {}, []
        decode(b"".join(parts), base, found, closed)
        return found

    assert said(RECORD.pack(4, 1, 0), b"a") == {"a": base["a"]}
    for data in (
        b"x",
        RECORD.pack(0, 1, 5) + b"a",
        RECORD.pack(0, 1, 1 << 60) + b"ab",
        RECORD.pack(9, 1, 0) + b"a",
        RECORD.pack(4, 1, 0) + b"b",  # "as you have it", of a file that is not known
        RECORD.pack(0, 4, 0) + b"../a",
        RECORD.pack(0, 2, 0) + b"/a",
        RECORD.pack(0, 0, 0),
        RECORD.pack(3, 1, 0) + b"a",
    ):
        with pytest.raises(ValueError):
            said(data)


def test_a_destroyed_sandbox_has_the_tree_it_starts_from():
    with make_sandbox("bubblewrap", tree=TREE) as box:
        box.shell("rm -r src")
        os.kill(box._session.driver[0], 9)
        time.sleep(0.1)
        assert box.tree() == TREE
        assert box.starts == 2
        box.close()
        with pytest.raises(SandboxError, match="was closed"):
            box.tree()


def test_the_tree_of_a_folder_is_the_tree_of_a_sandbox(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"\0")
    (tmp_path / "c").symlink_to("a/b")
    tree = tree_of(tmp_path)
    with make_sandbox("bubblewrap", tree=tree, files={"more.txt": b"m"}) as box:
        assert box.tree() == {**tree, "more.txt": File(b"m")}
        assert box.changes() == {}
    assert Base(tree).entries == 3
