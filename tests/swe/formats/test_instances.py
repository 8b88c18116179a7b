"""Hand-made instances of every format, graded in real sandboxes."""

import pytest
from turnwise.envs.base import EnvFault
from turnwise.envs.sandbox.tree import File
from turnwise.envs.swe.formats.tasks import load_image_instance


def load(form, row):
    return load_image_instance({"kind": "image", "format": form, "row": row})


def python(*named):
    """Changes that write these Python files: (path without .py, text), ..."""
    return {f"{path}.py": File(text.encode()) for path, text in named}


@pytest.fixture
def instance(row):
    return load(*row)


@pytest.fixture
def bench(make):
    return load(*make("swe-bench"))


@pytest.fixture
def gold(bench):
    """The gold change as an agent makes it."""
    source = bench.spec.repository["widget.py"].data
    return {"widget.py": File(source.replace(b"[:-1]", b""))}


def test_the_gold_change_scores_one_and_none_scores_zero(instance):
    with instance.open() as box:
        assert box.changes() == {}
        assert box.exec(["bash", "-c", instance.fix]).ok
        changes = box.changes()
    assert list(changes) == ["widget.py"]
    found = instance.grade(changes)
    assert (found.score, found.resolved, found.valid, found.dropped) == (1.0, "FULL", True, {}), found
    none = instance.grade({})
    assert (none.score, none.valid) == (0.0, True), none


def test_a_part_of_the_fix_is_partial(bench):
    source = bench.spec.repository["widget.py"].data
    half = {"widget.py": File(source.replace(b"sum(numbers[:-1])", b"7 if numbers else 0"))}
    found = bench.grade(half)
    assert (found.resolved, found.score, found.fail_to_pass, found.pass_to_pass) == ("PARTIAL", 0.0, 0.5, 1.0)
    assert found.fraction == 0.75
    assert found.statuses["tests/test_widget.py::test_total"] == "FAILED"


def test_a_test_that_does_not_run_fails_in_swe_bench_and_passes_in_swe_smith(make, gold):
    never = ["tests/test_widget.py::test_never"]
    assert load(*make("swe-bench", PASS_TO_PASS=never)).grade(gold).resolved == "NO"
    form, row = make("swe-smith", PASS_TO_PASS=never)
    assert load(form, row).grade(gold).resolved == "FULL"


def test_expected_failures_and_skips(make, make_diff):
    old = "def test_a():\n    pass\n"
    new = "import pytest\n\n@pytest.mark.xfail\ndef test_a(): assert 0\n\n@pytest.mark.skip\ndef test_b(): pass\n\n"
    new += "def test_c(): pass\n"
    files = {"a.py": "x = 1\n", "test_a.py": old}
    first = ["test_a.py::test_a", "test_a.py::test_b"]
    verbose = "python3 -m pytest --no-header -rA -v -p no:cacheprovider"
    common = {"repository": files, "patch": make_diff("a.py", "x = 1\n", "x = 2\n"), "test_patch": make_diff("test_a.py", old, new)}
    bench = load(*make("swe-bench", FAIL_TO_PASS=first, PASS_TO_PASS=["test_a.py::test_c"], test_cmd=verbose, **common)).grade({})
    assert (bench.fail_to_pass, bench.pass_to_pass) == (0.5, 1.0)  # XFAIL is right, SKIPPED is not
    kept = load(*make("swe-bench", FAIL_TO_PASS=["test_a.py::test_a"], PASS_TO_PASS=first[1:], test_cmd=verbose, **common)).grade({})
    assert (kept.fail_to_pass, kept.pass_to_pass) == (1.0, 1.0)  # a test that is kept may be skipped
    config = {"test_cmd": verbose, "log_parser": "parse_log_pytest"}
    row = make("swe-rebench-v2")[1] | common | {"FAIL_TO_PASS": first, "PASS_TO_PASS": ["test_a.py::test_c"], "install_config": config}
    literal = load("swe-rebench-v2", row).grade({})
    assert (literal.fail_to_pass, literal.pass_to_pass) == (0.0, 1.0)


def test_r2e_wants_expected_failures_to_fail(make):
    instance = load(*make("r2e-gym"))
    equal = "class Equal:\n    __eq__ = lambda a, b: True\n\ntotal = double = lambda x: Equal()\n"
    every = python(("widget", equal))
    found = instance.grade(every)
    assert (found.score, found.fail_to_pass, found.pass_to_pass) == (0.0, 1.0, 0.0)


def test_the_agents_copy_has_no_hidden_tests_and_no_later_history(make):
    with load(*make("swe-smith")).open() as box:
        assert "tests/test_widget.py" not in box.tree()
        assert box.shell("git log --all --format=%s; git stash list; git tag; git remote").stdout == b"base\n"
        assert box.shell("git log -p --all | grep -c 'sum(numbers)'").stdout == b"0\n"
        assert box.shell("git fsck --unreachable --no-reflogs; git status --porcelain").stdout.strip() == b""
    with load(*make("r2e-gym")).open() as box:
        assert [p for p in box.tree() if p.startswith("r2e_tests") or p == "run_tests.sh"] == []


HISTORY = """
git init -q -b main . && git config user.name a && git config user.email a@b.c
git add -A && git commit -qm first && git tag old && echo more >> README.md && git commit -qam second && git rev-parse HEAD > /tmp/base
sed -i 's/numbers\\[:-1\\]/numbers/' widget.py && git commit -qam 'the fix' && git tag v2 && git branch later
git remote add origin https://example.org/x.git && git update-ref refs/remotes/origin/main HEAD
git reset -q --hard HEAD~1 && echo x >> widget.py && git stash -q && cat /tmp/base
"""


def test_history_tags_and_reflogs_after_the_base_commit_are_stripped(make, bench):
    with bench.open() as box:  # any sandbox will do to make a repository with a past and a future
        box.exec(["rm", "-rf", ".git"])
        done = box.exec(["bash", "-c", HISTORY])
        assert done.ok, done
        tree = box.tree()
    commit = done.stdout.decode().split()[-1]
    form, row = make("swe-bench", base_commit=commit)
    instance = load(form, row)
    object.__setattr__(instance.spec, "repository", tree)
    with instance.open() as box:
        log = box.exec(["git", "-c", "safe.directory=*", "log", "--all", "--reflog", "--format=%s"]).stdout.decode()
        assert log.split("\n")[:-1] == ["second", "first"]
        assert box.exec(["git", "-c", "safe.directory=*", "tag"]).stdout == b"old\n"
        assert box.exec(["git", "-c", "safe.directory=*", "remote"]).stdout == b""
        found = box.exec(
            ["bash", "-c", "git -c safe.directory='*' cat-file --batch-all-objects --batch-check --unordered | grep -c commit"]
        )
        assert found.stdout == b"2\n"
        assert box.exec(["bash", "-c", instance.fix]).ok
        changes = box.changes()
    assert instance.grade(changes).score == 1.0
    missing = load(*make("swe-bench", base_commit="f" * 40))
    object.__setattr__(missing.spec, "repository", tree)
    with pytest.raises(EnvFault, match="does not have the base commit ffff"):
        missing.open()


def test_an_instance_that_does_not_fit_its_repository_is_a_fault(make, make_diff):
    wrong = make_diff("tests/test_widget.py", "no such line\n", "another\n")
    with pytest.raises(EnvFault, match="its test patch cannot be put into the repository"):
        load(*make("swe-bench", test_patch=wrong)).grade({})
    with pytest.raises(EnvFault, match="its bug cannot be put into the repository"):
        load(*make("swe-smith", patch=make_diff("widget.py", "no\n", "yes\n"))).open()
    form, row = make("swe-bench")
    del row["repository"]
    with pytest.raises(ValueError, match="needs the backend docker"):
        load(form, row).open("bubblewrap")


FAKE = "PASSED tests/test_widget.py::test_total\nPASSED tests/test_widget.py::test_one\n"
FAKES = FAKE + "PASSED tests/test_widget.py::test_double\nPASSED tests/test_widget.py::test_empty\n"
EXIT = "import os\nos._exit(0)\n"
PRINT = f"import os\nos.write(1, {FAKES.encode()!r})\n"
BEHIND = f"""import os
for number in range(3, 40):
    try:
        os.write(number, {(FAKES + "====== 4 passed in 0.01s ======" + chr(10)).encode()!r})
    except OSError:
        pass
"""
MARKED = f"import os\nos.write(1, {('>>>>> Start Test Output' + chr(10) + FAKES + '>>>>> End Test Output' + chr(10)).encode()!r})\n"
PASSING = "def test_total(): pass\ndef test_one(): pass\ndef test_double(): pass\ndef test_empty(): pass\n"
HOOK = """import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    out = yield
    out.get_result().outcome = "passed"
"""
ATTACKS = {
    "tests overwritten": python(("tests/test_widget", PASSING)),
    "tests folder replaced by a file": {"tests": File(PASSING.encode())},
    "conftest that passes everything": python(("conftest", HOOK), ("tests/conftest", HOOK)),
    "runner configured": {"setup.cfg": File(b"[tool:pytest]\naddopts = -p hook\n"), **python(("hook", HOOK))},
    "pytest.ini": {"pytest.ini": File(b"[pytest]\naddopts = -p hook\n"), **python(("hook", HOOK))},
    "pyproject": {"pyproject.toml": File(b"[tool.pytest.ini_options]\naddopts = '-p hook'\n"), **python(("hook", HOOK))},
    "exit at import": python(("widget", EXIT)),
    "exit at import after writing results": python(("widget", PRINT + EXIT)),
    "results written past the runner": python(("widget", BEHIND + EXIT)),
    "fixed markers": python(("widget", MARKED + EXIT)),
    "sys.exit at import": python(("widget", "import sys\nsys.exit(0)\n")),
    "sitecustomize": python(("sitecustomize", PRINT)),
    "pytest replaced": python(("pytest", PRINT + EXIT), ("_pytest/__init__", PRINT)),
    "pluggy replaced": python(("pluggy/__init__", PRINT + EXIT)),
    "path file": {"x.pth": File(b"import os\n")},
    "git attributes": {".gitattributes": File(b"tests/*.py working-tree-encoding=UTF-16\n")},
    "git hook": {".git/hooks/post-checkout": File(b"#!/bin/sh\nexit 0\n", True)},
    "link to the outside": {"tests2": File(link="/etc")},
    "a compiled file": {"__pycache__/widget.cpython-311.pyc": File(b"x")},
}


QUICK = ("tests overwritten", "exit at import after writing results", "sitecustomize")


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in sorted(ATTACKS)])
def test_attacks_score_the_floor(bench, name):
    found = bench.grade(ATTACKS[name])
    assert found.score == 0.0, found
    assert found.note


def test_what_was_tried_is_told(bench, gold):
    tried = {**gold, **ATTACKS["sitecustomize"], **ATTACKS["pytest replaced"], **ATTACKS["link to the outside"], "../x.py": File(b"")}
    found = bench.grade(tried)
    assert found.tampering == ("link_out", "path_out", "runner_shadowed", "startup_hook")
    assert (found.score, found.fail_to_pass) == (0.0, 1.0)
    assert sorted(found.dropped) == ["../x.py", "_pytest/__init__.py", "pytest.py", "sitecustomize.py", "tests2"]
    more = python(("tests/test_widget", PASSING), ("conftest", HOOK), ("tests/test_more", "def test_more(): pass\n"))
    honest = bench.grade({**gold, **more})
    assert (honest.score, honest.tampering, sorted(honest.dropped)) == (1.0, (), ["conftest.py", "tests/test_widget.py"])


def test_code_that_could_forge_a_log_is_tampering_unless_the_gold_change_has_it_too(make, make_diff, bench):
    found = bench.grade(ATTACKS["results written past the runner"])
    assert found.tampering == ("descriptors", "forged_output", "process_exit")
    source = make("swe-bench")[1]["repository"]["widget.py"]
    both = "import os\n" + source.replace("[:-1]", "") + "\n\ndef stop():\n    os._exit(1)\n"
    agents = python(("widget", both.replace("stop", "halt")))
    assert bench.grade(agents).tampering == ("process_exit",)
    same = load(*make("swe-bench", patch=make_diff("widget.py", source, both))).grade(agents)
    assert (same.score, same.tampering) == (1.0, ())


def test_missing_tests_do_not_pass_in_swe_smith_when_nothing_ran(make):
    instance = load(*make("swe-smith"))
    for name in ("exit at import", "sys.exit at import"):
        found = instance.grade(ATTACKS[name])
        assert (found.score, found.valid) == (0.0, False), found


def test_tests_that_never_end_score_the_floor(bench):
    object.__setattr__(bench.spec, "timeout_s", 2.0)
    found = bench.grade(python(("widget", "while True: pass\n")))
    assert (found.score, found.note) == (0.0, "the tests took longer than 2 s")


def test_more_output_than_is_kept_is_no_grade(bench, gold):
    noisy = {"widget.py": File(b"import os\nfor _ in range(400): os.write(2, b'x' * 99999 + b'\\n')\n" + gold["widget.py"].data)}
    object.__setattr__(bench.spec, "command", bench.spec.command + " -s")
    found = bench.grade(noisy)
    assert (found.score, found.valid) == (0.0, False), found


def test_sources_that_are_not_utf8(bench, gold):
    latin = b"# -*- coding: latin-1 -*-\nNAME = 'caf\xe9'\n"
    object.__setattr__(bench.spec, "repository", {**bench.spec.repository, "latin.py": File(latin)})
    with bench.open() as box:
        assert box.read("latin.py") == latin
        box.put({**gold, "latin.py": File(latin + b"OTHER = '\xe8'\n")})
        changes = box.changes()
    assert changes == {**gold, "latin.py": File(latin + b"OTHER = '\xe8'\n")}
    assert bench.grade(changes).score == 1.0
