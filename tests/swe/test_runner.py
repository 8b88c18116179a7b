"""Tests of repositories run in real sandboxes, and what is reported of them."""

import base64
import json
import zlib
from hashlib import blake2b

import pytest
from turnwise.envs.sandbox.base import Limits, SandboxError
from turnwise.envs.sandbox.make import make_sandbox
from turnwise.envs.sandbox.tree import File
from turnwise.envs.swe import runner
from turnwise.envs.swe.canary import make_canaries
from turnwise.envs.swe.instance import WORK
from turnwise.envs.swe.runner import Guard, configuration, run_tests
from turnwise.envs.swe.toolchain import PACKAGES, binds, cache_folder, toolchain

KINDS = """
import os, sys, unittest
import pytest
from pkg.a import plus

def test_ok(): assert plus(1) == 2
def test_bad(): assert plus(1) == 3
@pytest.mark.skip(reason="later")
def test_skipped(): pass
@pytest.mark.xfail
def test_expected(): assert False
@pytest.mark.xfail
def test_unexpected(): pass
@pytest.mark.parametrize("n", [1, 2])
def test_many(n): assert plus(n) == 2
@pytest.fixture
def broken(): raise ValueError("no fixture")
def test_error(broken): pass
@pytest.fixture
def late():
    yield
    raise KeyError("late")
def test_late(late): pass
class TestOld(unittest.TestCase):
    def test_equal(self): self.assertEqual([1, 2], [1, 3])
    def test_fine(self): self.assertTrue(True)
def test_surroundings(tmp_path, monkeypatch):
    assert os.environ["PYTHONHASHSEED"] == "0"
    assert os.getcwd() == "/testbed" and sys.argv == ["pytest"] and quit
    assert "site-packages" not in "".join(sys.path) and "dist-packages" not in "".join(sys.path)
    assert not [m for m in sys.modules if m.startswith("turnwise")]
"""
TREE = {
    "pkg/__init__.py": File(b""),
    "pkg/a.py": File(b"def plus(x):\n    return x + 1\n"),
    "tests/test_kinds.py": File(KINDS.encode()),
    "tests/test_broken.py": File(b"import nothing_of_that_name\n"),
    "tests/sub/test_deep.py": File(b"def test_deep():\n    assert True\n"),
}
T = "tests/test_kinds.py::"
ENDS = {
    "test_ok": "PASSED",
    "test_bad": "FAILED",
    "test_skipped": "SKIPPED",
    "test_expected": "XFAIL",
    "test_unexpected": "XPASS",
    "test_many[1]": "PASSED",
    "test_many[2]": "FAILED",
    "test_error": "ERROR",
    "test_late": "ERROR",
    "TestOld::test_equal": "FAILED",
    "TestOld::test_fine": "PASSED",
    "test_surroundings": "PASSED",
}


@pytest.fixture(scope="module")
def box():
    with make_sandbox(tree=TREE, work=WORK, binds=binds()) as made:
        yield made


def run(tree, tests, timeout_s=60.0, guard=None, limits=None, **options):
    with make_sandbox(tree={path: File(text.encode()) for path, text in tree.items()}, work=WORK, binds=binds(), limits=limits) as box:
        return run_tests(box, tests, timeout_s=timeout_s, guard=guard, **options)


@pytest.mark.parametrize("guard", [None, Guard()])
def test_every_way_to_end(box, guard):
    report = run_tests(box, ["tests/test_kinds.py", "tests/test_broken.py", "tests/none.py"], guard=guard)
    assert report.statuses == {T + name: status for name, status in ENDS.items()}
    assert report.messages[T + "test_bad"] == "assert 2 == 3\n +  where 2 = plus(1)"
    assert report.messages[T + "test_error"] == "ValueError: no fixture"
    assert report.messages[T + "test_skipped"] == "Skipped: later"
    assert "No module named 'nothing_of_that_name'" in report.messages["tests/test_broken.py"]
    assert set(report.seconds) == set(report.statuses)
    assert (report.problem, report.tampering, report.evidence) == ("", (), ())


def test_what_is_asked_for_is_run(box):
    def ran(*tests):
        return list(run_tests(box, tests).statuses)

    assert ran(T + "test_many", T + "test_ok") == [T + "test_ok", T + "test_many[1]", T + "test_many[2]"]
    assert ran(T + "test_many[2]") == [T + "test_many[2]"]
    assert ran(T + "TestOld", "tests/sub") == [T + "TestOld::test_equal", T + "TestOld::test_fine", "tests/sub/test_deep.py::test_deep"]
    assert ran(T + "test_none") == []
    assert run_tests(box, []).problem == "no test was asked for"


def test_paths_and_configuration():
    tree = {
        "src/pkg.py": "x = 1",
        "test_a.py": "import pkg\ndef check_x(): assert pkg.x == 1",
        "pytest.ini": "[pytest]\npython_functions = check_*\naddopts = --cov=pkg -n 4\nrequired_plugins = pytest-cov\nminversion = 99\n",
    }
    assert run(tree, ["test_a.py"], paths=("src",), config="pytest.ini").statuses == {"test_a.py::check_x": "PASSED"}
    assert run(tree, ["test_a.py"], paths=("src",)).statuses == {}


def test_modes_of_import_and_doctests_are_followed():
    tree = {
        "tests/a/test_x.py": "def test_a(): pass",
        "tests/b/test_x.py": "def test_b(): pass",
        "pkg.py": '"""\n>>> 1 + 1\n2\n"""',
        "setup.cfg": "[tool:pytest]\naddopts = --import-mode=importlib --doctest-modules\n",
    }
    report = run(tree, ["tests", "pkg.py"], config="setup.cfg")
    assert report.statuses == dict.fromkeys(["tests/a/test_x.py::test_a", "tests/b/test_x.py::test_b", "pkg.py::pkg"], "PASSED")


@pytest.mark.parametrize(
    ("tree", "name"),
    [
        ({"pytest.ini": "", "tox.ini": "[pytest]"}, "pytest.ini"),
        ({"pyproject.toml": "[tool.pytest.ini_options]", "setup.cfg": "[tool:pytest]"}, "pyproject.toml"),
        ({"pyproject.toml": "[project]", "setup.cfg": "[tool:pytest]"}, "setup.cfg"),
        ({"pyproject.toml": "[project]", "docs/pytest.ini": ""}, ""),
    ],
)
def test_configuration(tree, name):
    assert configuration({path: File(text.encode()) for path, text in tree.items()}) == name


def test_a_repository_may_be_what_the_runner_needs():
    tree = {
        "packaging/__init__.py": "mine = True",
        "iniconfig.py": "mine = True",
        "test_a.py": "def test_x():\n    import iniconfig, packaging\n    assert iniconfig.mine and packaging.mine",
    }
    assert run(tree, ["test_a.py"]).statuses == {"test_a.py::test_x": "PASSED"}


def test_endless_test_is_stopped_and_what_ran_is_kept():
    tree = {"test_a.py": "def test_a(): pass\ndef test_b():\n    while True: pass\ndef test_c(): pass"}
    report = run(tree, ["test_a.py"], timeout_s=6.0, guard=Guard())
    assert report.statuses == {"test_a.py::test_a": "PASSED"}
    assert (report.problem, report.timed_out) == ("the tests took longer than allowed and were stopped, in test_a.py::test_b", True)
    assert report.tampering == ()
    assert 6.0 <= report.total_s < 10.0


def test_endless_import_is_named():
    for limit in (3.0, 40.0):  # the second where the machine is busy with other things
        report = run({"test_a.py": "while True: pass"}, ["test_a.py"], timeout_s=limit, guard=Guard())
        if report.tampering:
            break
    assert (report.statuses, report.tampering) == ({}, ("starved",))


def test_a_machine_without_time_is_no_tampering():
    _, report, _ = read([], killed="time", cpu=0.4, exit=-9)
    assert (report([]).problem, report([]).tampering) == (
        "the tests took longer than allowed and were stopped, while modules were imported",
        (),
    )
    _, report, _ = read([], killed="time", cpu=1.1, exit=-9)
    assert report([]).tampering == ("starved",)


def test_a_process_that_ends_early():
    tree = {"test_a.py": "import os\ndef test_a(): pass\ndef test_b(): os._exit(0)\ndef test_c(): pass"}
    report = run(tree, ["test_a.py"], guard=Guard())
    assert report.statuses == {"test_a.py::test_a": "PASSED"}
    assert report.problem == "the process of the tests ended early (exit code 0), in test_a.py::test_b"
    assert report.tampering == ("early_exit",)


def test_a_crash_is_no_tampering():
    tree = {"test_a.py": "import os\ndef test_a(): os.kill(os.getpid(), 11)"}
    report = run(tree, ["test_a.py"], guard=Guard())
    assert (report.statuses, report.tampering) == ({}, ())
    assert "exit code -11" in report.problem


def test_memory_files_and_output_end_a_run_and_nothing_else():
    limits = Limits(memory_mb=256, disk_mb=16, max_files=2000, file_size_mb=4)
    hog = run({"test_a.py": "def test_a(): x = [bytearray(2**20) for _ in range(1000)]\ndef test_b(): pass"}, ["test_a.py"], limits=limits)
    assert hog.statuses == {"test_a.py::test_a": "FAILED", "test_a.py::test_b": "PASSED"}
    disk = run({"test_a.py": MANY_FILES}, ["test_a.py"], limits=limits)
    assert disk.statuses.get("test_a.py::test_a") != "PASSED"


MANY_FILES = """
def test_a(tmp_path):
    for n in range(99999):
        (tmp_path / str(n)).write_text("x")
"""
FLOOD = """
import os
while True:
    for fd in range(5, 40):
        try:
            if os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:"):
                os.write(fd, b"x" * 60_000)
        except OSError:
            pass
"""


def test_a_flood_of_output_ends_a_run():
    report = run({"conftest.py": FLOOD, "test_a.py": ""}, ["test_a.py"], guard=Guard(), flood_mb=1)
    assert report.statuses == {}
    assert report.problem == "the tests wrote too much and were stopped, while modules were imported"
    assert "starved" in report.tampering


def test_what_is_left_running_does_not_hold_the_run():
    tree = {"test_a.py": "import subprocess\ndef test_a(): subprocess.Popen(['sleep', '60'])"}
    report = run(tree, ["test_a.py"])
    assert report.statuses == {"test_a.py::test_a": "PASSED"}
    assert report.total_s < 50.0


def test_without_the_toolchain():
    with make_sandbox(tree=TREE, work=WORK) as box, pytest.raises(SandboxError, match="binds=toolchain"):
        run_tests(box, ["tests/test_kinds.py"])


def test_answers_need_the_key():
    key = b"k" * 32
    body = base64.b64encode(zlib.compress(json.dumps({"said": []}).encode()))
    mac = blake2b(body, key=key, digest_size=32).hexdigest().encode()
    assert runner._answer(mac + b" " + body + b"\n", key) == {"said": []}
    for bad in (b"", b"PASSED\n", mac + b" " + body[:-4] + b"\n", b"0" * 64 + b" " + body, mac + b" " + body + b"\nmore"):
        assert runner._answer(bad, key) is None
    assert runner._answer(mac + b" " + body, b"x" * 32) is None


def read(said, wanted=("a.py::test_a",), **answer):
    import numpy as np

    rng = np.random.default_rng(3)
    canaries = make_canaries(wanted, rng)
    sung = [["result", "::" + name, status, 0.0, "", status == "PASSED"] for name, status in canaries.expected.items()]
    given = {"exit": 0, "killed": "", "forged": 0, "cpu": 0.1, "output": "", "seconds": 0.1, **answer}
    return canaries, lambda more: runner._Reading({**given, "said": [*said, *more]}, canaries).report(wanted), sung


def test_canaries_that_end_otherwise_are_named():
    said = [["collected", 13], ["result", "a.py::test_a", "PASSED", 0.1, "", True], ["end", 0, 0.1]]
    canaries, report, sung = read(said)
    assert sorted(canaries.places.values()) == [0] * 4 + [1] * 4 + [2] * 4
    assert sorted(canaries.expected.values()) == ["FAILED"] * 6 + ["PASSED"] * 3 + ["SKIPPED"] * 3
    assert (report(sung).statuses, report(sung).tampering) == ({"a.py::test_a": "PASSED"}, ())
    assert report(sung[1:]).tampering == ("canary",)
    failing = next(i for i, s in enumerate(sung) if s[2] == "FAILED")
    changed = [*sung[:failing], [*sung[failing][:2], "PASSED", *sung[failing][3:]], *sung[failing + 1 :]]
    assert report(changed).tampering == ("canary",)


def test_messages_that_do_not_fit_together_are_named():
    result = ["result", "a.py::test_a", "PASSED", 0.1, "", True]
    collected, end = ["collected", 13], ["end", 0, 0.1]
    _, report, sung = read([collected, result, result, end])
    assert report(sung).tampering == ("forged_report",)
    _, report, sung = read([collected, [*result[:5], False], end])
    assert (report(sung).statuses, report(sung).tampering) == ({}, ("not_run",))
    _, report, sung = read([collected, result, ["end", 1, 0.1]])
    assert report(sung).tampering == ("early_exit",)
    _, report, sung = read([collected, result, end], forged=1)
    assert report(sung).tampering == ("forged_report",)


def test_the_toolchain_is_made_once_and_readable_by_all():
    folder = toolchain()
    assert toolchain() == folder
    assert folder.parent == cache_folder()
    assert {p.name for p in folder.iterdir()} >= {"pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "turnwise_inside.py"}
    assert all(p.stat().st_mode & 0o444 == 0o444 for p in folder.rglob("*"))
    assert len(PACKAGES) == 5


def test_a_cache_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("TURNWISE_CACHE", str(tmp_path / "a" / "b"))
    assert cache_folder() == tmp_path / "a" / "b"
    toolchain.cache_clear()
    try:
        made = toolchain()
        assert list((tmp_path / "a" / "b").iterdir()) == [made]
    finally:
        toolchain.cache_clear()
