from turnwise.envs.sandbox.make import make_sandbox
from turnwise.envs.sandbox.tree import File
from turnwise.envs.swe.memo import remembered

BASE = {"a.py": File(b"x = 1\n")}


def test_the_same_tests_on_the_same_files_are_run_once():
    asked = []

    def run(box, tests, timeout_s):
        asked.append((box.read("a.py"), tuple(tests), timeout_s))
        return "[timed out]" if "slow" in tests else f"{len(asked)} passed"

    with make_sandbox(tree=BASE, work="/testbed") as one, make_sandbox(tree=BASE, work="/testbed") as other:
        first = remembered(run, "one", BASE)
        assert first(one, [], 5.0) == "1 passed"
        assert remembered(run, "one", dict(BASE))(other, [], 9.0) == "1 passed"
        other.write("a.py", b"x = 2\n")
        assert first(other, [], 5.0) == "2 passed"
        assert first(one, ["t.py"], 5.0) == "3 passed"
        assert remembered(run, "two", BASE)(one, [], 5.0) == "4 passed"
        other.write("a.py", b"x = 1\n")
        assert first(other, [], 5.0) == "1 passed"
        assert [first(one, ["slow"], 1.0) for _ in range(2)] == ["[timed out]"] * 2
    assert [tests for _, tests, _ in asked] == [(), (), ("t.py",), (), ("slow",), ("slow",)]
