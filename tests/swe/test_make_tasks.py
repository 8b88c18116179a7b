"""From a project to tasks, in real sandboxes: what is kept, what is dropped and why, and that a seed fixes it all."""

import json

import pytest
from turnwise.envs.sandbox.tree import File, difference
from turnwise.envs.swe.instance import WORK
from turnwise.envs.swe.make.bench import Bench
from turnwise.envs.swe.make.cut import function_of
from turnwise.envs.swe.make.errors import NeedsPackages, NeedsPython, NoTests, SuiteFails
from turnwise.envs.swe.make.mutate import mutate, mutations
from turnwise.envs.swe.make.sources import project
from turnwise.envs.swe.make.statement import leak
from turnwise.envs.swe.make.tasks import Factory, instance
from turnwise.envs.swe.make.validate import Bounds, Dropped, Found, Maker
from turnwise.envs.swe.stored import from_data, to_data

from .projects import CODE, FILES, TESTS

CODE_PATH, TEST_PATH = "src/shop/__init__.py", "tests/test_shop.py"


def shop(**changed):
    named = {"code": CODE_PATH, "tests": TEST_PATH, "conftest": "tests/conftest.py", "about": "PKG-INFO", "more": "tests/test_more.py"}
    files = FILES | {named[name]: text for name, text in changed.items()}
    return project("shop", {path: File(text if isinstance(text, bytes) else text.encode()) for path, text in files.items()})


@pytest.fixture(scope="module")
def factory():
    with Factory(shop(), seed=1, workers=2) as made:
        yield made


@pytest.fixture(scope="module")
def found(factory):
    return list(factory.tasks(8, hard=0.25))


def edit(old, new):
    """The mutation of the shop that makes this edit."""
    return next(m for m in mutations(CODE_PATH, CODE.encode()) if (m.old, m.new) == (old, new))


def test_the_baseline_is_all_of_it(factory):
    assert len(factory.baseline.passing) == 10
    assert dict(factory.baseline.excluded) == {}
    assert 0 < factory.baseline.suite_s < 30


def test_tests_are_known_by_the_lines_they_run(factory):
    line = next(n for n, text in enumerate(CODE.splitlines(), 1) if "raise KeyError" in text)
    assert factory._lines[CODE_PATH][line] == {f"{TEST_PATH}::TestCart::test_unknown"}


def test_tasks_are_what_they_should_be(factory, found):
    assert [len(task.mutations) > 1 for task in found] == [False] * 6 + [True] * 2
    assert {task.difficulty for task in found} <= {"easy", "medium", "hard"}
    assert [task.difficulty for task in found[6:]] == ["hard", "hard"]
    for task in found:
        made = instance(factory.project, factory.baseline.passing, task)
        assert set(made.fail_to_pass) | set(made.pass_to_pass) == set(factory.baseline.passing)
        assert made.project == "shop"
        assert made.statement == task.statement
        assert leak(task.statement, factory.project.tree, task.mutations, task.withheld) == ""
        assert from_data(json.loads(json.dumps(to_data(made)))) == made
        assert made.held == {TEST_PATH: File(TESTS.encode())}
        assert set(difference(factory.project.tree, made.base)) == {CODE_PATH, TEST_PATH}
        assert {**made.base, **made.gold, **made.held} == dict(factory.project.tree)
        functions, withheld = ({function_of(test) for test in tests} for tests in (made.fail_to_pass, made.withheld))
        assert len(withheld) == (len(functions) + 1) // 2
        shown = made.base[TEST_PATH].data.decode()
        assert all(f"def {name.rsplit('.')[-1]}(" not in shown for _, name in withheld)
        lines = made.base[CODE_PATH].data.decode().splitlines()
        for at, mutation in zip(made.locations, sorted(task.mutations, key=lambda m: m.line), strict=True):
            assert at.function == mutation.function
            assert "\n".join(lines[at.first - 1 : at.last]).find(mutation.new) >= 0


def test_tasks_fail_and_pass_as_recorded(factory, found):
    with Bench(factory.project) as bench:
        for task in found:
            statuses = bench.test(mutate(factory.project.tree, task.mutations)).statuses
            assert {test for test in factory.baseline.passing if statuses.get(test) != "PASSED"} == set(task.failing)


def test_a_seed_fixes_the_tasks_whatever_runs_at_once(factory, found):
    with Factory(shop(), seed=1, workers=1) as again:
        assert list(again.tasks(8, hard=0.25)) == found
    with Factory(shop(), seed=2, workers=2) as other:
        assert [task.mutations for task in other.tasks(3)] != [task.mutations for task in found[:3]]


def test_counts_add_up(factory, found):
    tally = factory.tally
    assert sum(tally.kept.values()) >= len(found)
    assert sum(tally.tried.values()) == sum(tally.kept.values()) + sum(n for why, n in tally.dropped.items() if why != "does not parse")


@pytest.fixture(scope="module")
def maker(factory):
    with Bench(factory.project) as bench:
        yield Maker(bench, factory.baseline, factory._lines, seed=0)


def test_a_wrong_result_is_told_by_its_call(maker):
    result = maker.try_mutations([edit("len(items)", "len(items) - 1")])
    assert isinstance(result, Found)
    assert (result.failing, result.withheld, result.difficulty) == ((f"{TEST_PATH}::test_pages",),) * 2 + ("medium",)
    assert "from shop import pages" in result.statement
    assert "pages('abcde', 2)" in result.statement
    assert "['ab', 'cd', 'e']" in result.statement
    assert "['ab', 'cd']" in result.statement


def test_a_missing_error_is_told(maker):
    guard = next(m for m in mutations(CODE_PATH, CODE.encode()) if m.kind == "deleted_guard" and m.function == "discount")
    result = maker.try_mutations([guard])
    assert isinstance(result, Found)
    assert result.failing == (f"{TEST_PATH}::test_discount_refuses",)
    assert result.statement.startswith("`discount` accepts what it should refuse")
    assert "discount(1, -1)" in result.statement
    assert "ValueError: percent" in result.statement


def test_an_endless_loop_is_a_timeout(maker, monkeypatch):
    monkeypatch.setattr(Maker, "_limit", lambda self: 2.0)
    code = "def count(n):\n    while n != 0:\n        n -= 1\n    return True\n"
    test = "tests/test_more.py::test_count"
    tree = shop(more="from count import count\n\n\ndef test_count():\n    assert count(3)\n").tree
    with Bench(project("shop", {**tree, "src/count.py": File(code.encode())})) as bench:
        loop = next(m for m in mutations("src/count.py", code.encode()) if (m.old, m.new) == ("-", "+"))
        assert Maker(bench, maker.baseline, {"src/count.py": {3: frozenset([test])}}).try_mutations([loop]) == Dropped("timeout")
        assert bench.test({}, only=[test]).statuses == {test: "PASSED"}


def test_what_no_test_notices_and_what_breaks_too_much(maker):
    survivor = next(m for m in mutations(CODE_PATH, CODE.encode()) if (m.kind, m.function, m.new) == ("default", "Cart.add", "2"))
    assert maker.try_mutations([survivor]) == Dropped("survived")
    tight = Maker(maker.bench, maker.baseline, maker.lines, bounds=Bounds(most_failing=1))
    several = next(m for m in mutations(CODE_PATH, CODE.encode()) if m.function == "Cart.add" and m.kind == "lost_statement")
    assert tight.try_mutations([several]) == Dropped("broke everything")


def test_the_sandbox_is_as_before_after_each_run(maker):
    broken = {CODE_PATH: File(b"raise SystemExit\n"), "new.py": File(b"")}
    assert maker.bench.test(broken).problem == "no test ran"
    assert maker.bench.test({}).failing() == set()
    assert set(maker.bench.test({}).statuses) == set(maker.baseline.passing)


COINS = """
import os
import pytest


@pytest.mark.parametrize("n", range(8))
def test_coin(n):
    assert os.urandom(1)[0] % 2


def test_wrong():
    assert False


def test_skipped():
    pytest.skip("no")
"""


def test_flaky_tests_and_failing_ones_are_left_out():
    with Factory(shop(more=COINS)) as made:
        excluded = dict(made.baseline.excluded)
        assert set(made.baseline.passing) >= {f"{TEST_PATH}::test_label", f"{TEST_PATH}::test_pages"}
    assert excluded["tests/test_more.py::test_wrong"] == "failing"
    assert excluded["tests/test_more.py::test_skipped"] == "skipped"
    assert "flaky" in excluded.values()  # one time in 65,536 all eight coins fall three times the same way


def test_a_test_file_that_cannot_be_read_is_left_out():
    with Factory(shop(more="def test_x(:\n")) as made:
        assert (len(made.baseline.passing), dict(made.baseline.excluded)) == (10, {"tests/test_more.py": "unreadable"})


def test_sources_that_do_not_parse_and_other_encodings():
    latin = "# coding: latin-1\r\n" + CODE.replace("\n", "\r\n").replace("A shop.", "Ein Geschäft.")
    with Factory(shop(code=latin.encode("latin-1"), tests=TESTS.replace("\n", "\r\n"))) as made:
        made.project.tree["src/broken.py"] = File(b"def (\n")
        tasks = list(made.tasks(2))
        assert len(tasks) == 2
        for task in tasks:
            base = instance(made.project, made.baseline.passing, task).base
            for path in (CODE_PATH, TEST_PATH):
                assert base[path].data.count(b"\n") == base[path].data.count(b"\r\n") > 0
            assert b"Gesch\xe4ft" in base[CODE_PATH].data


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        (
            {"tests": TESTS.replace("assert ", "assert not ").replace("raises(", "raises(Warning, match=")},
            SuiteFails,
            "0 tests pass|fail; tasks are made of",
        ),
        ({"tests": "import numpy_of_mars\n" + TESTS}, NeedsPackages, "import numpy_of_mars"),
        ({"tests": "x = 1\n"}, NoTests, "collects no tests"),
        ({"tests": "import os\n\n\ndef test_x():\n    os._exit(0)\n"}, SuiteFails, "did not come to its end|did not run"),
        ({"about": "Name: shop\nVersion: 1\nRequires-Python: >=3.99\n"}, NeedsPython, "asks for Python >=3.99, and the sandbox has 3"),
    ],
    ids=["failing", "packages", "no tests", "ends early", "python"],
)
def test_projects_that_will_not_do(changed, error, message):
    with pytest.raises(error, match=message):
        Factory(shop(**changed))


def test_an_old_way_of_asking_for_a_python_is_no_obstacle():
    with Factory(shop(about="Name: shop\nVersion: 1\nRequires-Python: 3.x or so\n"), workers=1) as made:
        assert len(made.baseline.passing) == 10


@pytest.mark.parametrize(("count", "hard"), [(0, 0.0), (1, 1.5), (1, -0.1)])
def test_counts_that_make_no_sense(factory, count, hard):
    with pytest.raises(ValueError, match="expected at least 1, and a share"):
        list(factory.tasks(count, hard))
    with pytest.raises(ValueError, match="at least 1"):
        Factory(shop(), workers=0)


def test_a_stopped_factory_can_go_on(factory):
    tasks = factory.tasks(4)
    first = next(tasks)
    tasks.close()
    assert next(factory.tasks(4)) == first


def test_the_work_folder_is_the_one_of_instances(factory):
    assert instance(factory.project, factory.baseline.passing, next(factory.tasks(1))).work == WORK
