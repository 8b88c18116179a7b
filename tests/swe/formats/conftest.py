"""Hand-made instances of each format around one small repository, whose function ``total`` forgets the last number."""

import difflib

import pytest

SOURCE = 'def total(numbers):\n    """Sum of numbers."""\n    return sum(numbers[:-1])\n\n\ndef double(x):\n    return 2 * x\n'
FIXED = SOURCE.replace("numbers[:-1]", "numbers")
TESTS = """from widget import double, total


def test_double():
    assert double(2) == 4


def test_empty():
    assert total([]) == 0
"""
NEW_TESTS = TESTS + "\n\ndef test_total():\n    assert total([1, 2, 3]) == 6\n\n\ndef test_one():\n    assert total([7]) == 7\n"
FILES = {"widget.py": SOURCE, "tests/test_widget.py": TESTS, "README.md": "# widget\n", "setup.cfg": "[tool:pytest]\ntestpaths = tests\n"}
FIRST = ["tests/test_widget.py::test_total", "tests/test_widget.py::test_one"]
SECOND = ["tests/test_widget.py::test_double", "tests/test_widget.py::test_empty"]
COMMIT = "0123456789012345678901234567890123456789"
RUN = "python3 -m pytest --no-header -rA -p no:cacheprovider"


def diff(path: str, old: str, new: str) -> str:
    names = f"a/{path}" if old else "/dev/null", f"b/{path}" if new else "/dev/null"
    lines = difflib.unified_diff(old.splitlines(True), new.splitlines(True), *names)
    mode = "" if old and new else "new file mode 100644\n" if new else "deleted file mode 100644\n"
    return f"diff --git a/{path} b/{path}\n{mode}" + "".join(lines)


GOLD = diff("widget.py", SOURCE, FIXED)
TEST_PATCH = diff("tests/test_widget.py", TESTS, NEW_TESTS)
SCRIPT = f"""#!/bin/bash
set -uxo pipefail
git checkout -q HEAD -- tests/test_widget.py
git apply -v - <<'EOF_1'
{TEST_PATCH}
EOF_1
: '>>>>> Start Test Output'
{RUN} tests/test_widget.py
: '>>>>> End Test Output'
git checkout -q HEAD -- tests/test_widget.py
"""


def swe_bench(**more):
    return {
        "instance_id": "pallets__flask-1",
        "repo": "pallets/flask",
        "version": "3.0",
        "base_commit": COMMIT,
        "patch": GOLD,
        "test_patch": TEST_PATCH,
        "problem_statement": "total([1, 2, 3]) gives 3, not 6.",
        "FAIL_TO_PASS": FIRST,
        "PASS_TO_PASS": SECOND,
        "repository": FILES,
        **more,
    }


def swe_gym(**more):
    return swe_bench(instance_id="getmoto__moto-1", repo="getmoto/moto", test_cmd="pytest -rA", **more)


def swe_gym_script(**more):
    script = SCRIPT.replace(": '>>>>> End Test Output'", "code=$?\n: '>>>>> End Test Output'") + "exit $code\n"
    return swe_bench(instance_id="getmoto__moto-2", repo="getmoto/moto", eval_script=script, **more)


def swe_smith(**more):
    return {
        "instance_id": "acme__widget.01234567.lm_rewrite__1",
        "repo": "swesmith/acme__widget.01234567",
        "patch": diff("widget.py", FIXED, SOURCE),
        "problem_statement": "total forgets the last number.",
        "FAIL_TO_PASS": FIRST,
        "PASS_TO_PASS": [*SECOND, "tests/test_other.py::test_never_run"],
        "image_name": "swesmith.x86_64.acme__widget.01234567",
        "repository": {**FILES, "widget.py": FIXED, "tests/test_widget.py": NEW_TESTS},
        **more,
    }


def r2e_gym(**more):
    tests = "import unittest\nfrom widget import double, total\n" + NEW_TESTS.split("\n", 1)[1]
    case = "\n\nclass TestCase:\n    def test_known(self):\n        assert total([1]) == 2, 'never right'\n"
    return {
        "docker_image": "namanjain12/widget_final:0123",
        "repo_name": "widget",
        "commit_hash": COMMIT,
        "problem_statement": "Read this.\n[ISSUE]\ntotal([7]) gives 0.\n[/ISSUE]",
        "expected_output_json": '{"test_double": "PASSED", "test_empty": "PASSED", "test_total": "PASSED", "test_one": "PASSED", '
        '"TestCase.test_known": "FAILED"}',
        "parsed_commit_content": {
            "file_diffs": [
                {"header": {"file": {"path": "widget.py"}}, "old_file_content": SOURCE, "new_file_content": FIXED},
                {"header": {"file": {"path": "tests/test_widget.py"}}, "old_file_content": TESTS, "new_file_content": NEW_TESTS},
            ]
        },
        "repository": {
            **FILES,
            "r2e_tests/test_1.py": tests + case,
            "run_tests.sh": f"PYTHONPATH=$PYTHONPATH:. {RUN} --color=yes r2e_tests\n",
        },
        **more,
    }


def swe_rebench(**more):
    config = {"test_cmd": RUN, "log_parser": "parse_log_pytest", "install": "pip install -e ."}
    return swe_bench(instance_id="acme__widget-1", repo="acme/widget", install_config=config, **more)


def swe_rebench_v2(**more):
    """Its command writes what a runner of another language would: names with the time they took."""
    timed = "sed -nE -e 's/^PASSED (.*)/--- PASS: \\1 [1.34 ms] (0.00s)/p' -e 's/^FAILED ([^ ]*).*/--- FAIL: \\1 [2 ms] (0.00s)/p' /tmp/log"
    commands = ["code=0", f"{RUN} tests > /tmp/log || code=$?", timed, "tail -n 1 /tmp/log", "exit $code"]
    first = [f"{FIRST[0]} [7.7 ms]", f"{FIRST[1]} (3 s)"]
    row = {"instance_id": "acme__widget-2", "repo": "acme/widget", "image_name": "swerebenchv2/acme-widget:2", "FAIL_TO_PASS": first}
    return swe_bench(**row, install_config={"test_cmd": commands, "log_parser": "parse_log_gotest"}, **more)


ROWS = {
    "swe-bench": ("swe-bench", swe_bench),
    "swe-bench with a script": ("swe-bench", lambda **more: swe_bench(eval_script=SCRIPT, log_parser="parse_log_pytest", **more)),
    "swe-gym": ("swe-gym", swe_gym),
    "swe-gym with a script": ("swe-gym", swe_gym_script),
    "swe-smith": ("swe-smith", swe_smith),
    "r2e-gym": ("r2e-gym", r2e_gym),
    "swe-rebench": ("swe-rebench", swe_rebench),
    "swe-rebench-v2": ("swe-rebench-v2", swe_rebench_v2),
}


@pytest.fixture(params=sorted(ROWS))
def row(request):
    """(format, the row of a hand-made instance)"""
    form, make = ROWS[request.param]
    return form, make()


@pytest.fixture
def make():
    """``make(name, **fields)``: (format, row) of the hand-made instance of that name."""
    return lambda name, **fields: (ROWS[name][0], ROWS[name][1](**fields))


@pytest.fixture
def make_diff():
    return diff


@pytest.fixture(scope="session")
def built_rows():
    """The files of the hand-made repository."""
    return FILES
