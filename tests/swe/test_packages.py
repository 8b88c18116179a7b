"""Tasks as small files of packages in an index, as complete lines of JSON, and the commands that make and check them."""

import hashlib
import json
import signal
import subprocess
import sys

import pytest
from turnwise.envs.sandbox.tree import File
from turnwise.envs.swe import packages as shipped
from turnwise.envs.swe.make.baseline import Baseline
from turnwise.envs.swe.make.errors import HashMismatch
from turnwise.envs.swe.make.mutate import mutations
from turnwise.envs.swe.make.sources import is_permissive, project, read_source
from turnwise.envs.swe.make.tasks import instance, task_id
from turnwise.envs.swe.make.validate import Found
from turnwise.envs.swe.packages import build, packages, read_package, write_package
from turnwise.envs.swe.tasks_shipped import ShippedTasks, from_jsonl, row
from turnwise.trainers.cli import app
from typer.testing import CliRunner

from .projects import CODE, FILES, archive, use_index, write

PASSING = tuple(
    f"tests/test_shop.py::{name}"
    for name in (
        "TestCart::test_add", "TestCart::test_limit", "TestCart::test_unknown", "test_discount[0-50]", "test_discount[10-45]",
        "test_discount[100-0]", "test_discount_refuses", "test_pages", "test_label", "test_no_label",
    )
)  # fmt: skip
BASELINE = Baseline(passing=PASSING, excluded={"tests/test_more.py::test_x": "flaky"}, suite_s=0.25)


def edit(old, new, function):
    return next(m for m in mutations("src/shop/__init__.py", CODE.encode()) if (m.old, m.new, m.function) == (old, new, function))


EASY = Found(
    mutations=(edit("-", "+", "discount"),),
    failing=PASSING[4:6],
    withheld=PASSING[4:6],
    statement="`discount` gives a wrong result\n",
)
HARD = Found(
    mutations=(edit("-", "+", "discount"), edit("not name", "name", "label")),
    failing=(*PASSING[4:6], *PASSING[8:]),
    withheld=PASSING[8:],
    statement="Several\n",
)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The shop as the only shipped package, with an index of its own."""
    data = archive(FILES)
    use_index(monkeypatch, tmp_path, {"shop-1.0.tar.gz": data})
    made = project("shop", {path: File(text.encode()) for path, text in FILES.items()}, "1.0", hashlib.sha256(data).hexdigest())
    (tmp_path / "tasks").mkdir()
    write_package(tmp_path / "tasks" / "shop.json", made, BASELINE, "validation", [EASY, HARD])
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "tasks")
    shipped.packages.cache_clear()
    shipped._source.cache_clear()
    yield packages()["shop"]
    shipped.packages.cache_clear()
    shipped._source.cache_clear()


def test_a_package_file_comes_back(package, tmp_path):
    assert (package.requirement, package.split, package.passing, package.timeout_s) == ("shop==1.0", "validation", PASSING, 60.0)
    assert dict(package.excluded) == {"tests/test_more.py::test_x": "flaky"}
    assert [(t.failing, t.withheld, t.statement, t.difficulty) for t in package.tasks.values()] == [
        (EASY.failing, EASY.withheld, EASY.statement, "medium"),
        (HARD.failing, HARD.withheld, HARD.statement, "hard"),
    ]
    text = (tmp_path / "tasks" / "shop.json").read_text()
    assert '"test_discount": ["0-50", "10-45", "100-0"]' in text
    assert '"fail_to_pass": ["tests/test_shop.py::test_discount[10-45]", "tests/test_shop.py::test_discount[100-0]"]' in text


def test_an_instance_is_built_from_the_index(package, monkeypatch):
    task = ShippedTasks().get_task("validation", 1)
    found = build(task.data)
    assert found.id == task.id == task_id(read_source("shop==1.0"), HARD.mutations)
    assert found.fail_to_pass == HARD.failing
    assert set(found.pass_to_pass) == set(PASSING) - set(HARD.failing)
    code = found.base["src/shop/__init__.py"].data.decode()
    assert code == CODE.replace("return total - total", "return total + total").replace("if not name:", "if name:")
    assert found.gold == {"src/shop/__init__.py": File(CODE.encode())}
    assert [at.function for at in found.locations] == ["discount", "label"]
    assert "def test_label" not in found.base["tests/test_shop.py"].data.decode()
    assert "def test_discount(" in found.base["tests/test_shop.py"].data.decode()
    assert task.prompt[0].text == "Several\n"


def test_another_archive_in_the_index_is_refused(package, tmp_path, monkeypatch):
    use_index(monkeypatch, tmp_path / "other", {"shop-1.0.tar.gz": archive({**FILES, "README.md": "Another.\n"})})
    with pytest.raises(HashMismatch, match="has the sha256"):
        build(ShippedTasks().get_task("validation", 0).data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "stored"}, "not a package's task"),
        ({"more": 1}, "not a package's task"),
        ({"package": "stall"}, "no tasks of the package 'stall'; there are: shop"),
        ({"version": "2"}, "not of shop==1.0"),
        ({"id": "x"}, "no task 'x' of shop==1.0"),
    ],
)
def test_data_of_no_task_is_refused(package, change, message):
    with pytest.raises(ValueError, match=message):
        build(package.data(next(iter(package.tasks))) | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("[", "is not JSON"),
        ("[]", "not a file of a package's tasks"),
        ({"split": "dev"}, "split is 'dev'"),
        ({"tests": {}}, "'tests/test_shop.py::test_discount.*' is not among"),
    ],
)
def test_a_file_that_is_no_package_is_refused(package, tmp_path, change, message):
    path = tmp_path / "tasks" / "shop.json"
    path.write_text(change if isinstance(change, str) else json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        read_package(path)


def test_a_folder_is_no_package(tmp_path):
    made = project("shop", {path: File(text.encode()) for path, text in FILES.items()})
    with pytest.raises(ValueError, match="is a folder"):
        write_package(tmp_path / "shop.json", made, BASELINE, "train", [EASY])


def test_complete_tasks_in_lines(tmp_path):
    made = project("shop", {path: File(text.encode()) for path, text in FILES.items()})
    rows = [row(instance(made, PASSING, EASY), "test"), row(instance(made, PASSING, HARD))]
    path = tmp_path / "tasks.jsonl"
    path.write_text("\n".join(json.dumps(r) for r in rows) + "\n\n")
    tasks = from_jsonl(path)
    assert [(s.name, s.type, s.num_tasks) for s in tasks.list_splits()] == [("train", "train", 1), ("test", "test", 1)]
    assert tasks.get_task("test", 0).id == instance(made, PASSING, EASY).id
    path.write_text(json.dumps(rows[0]) + "\n{}\n")
    with pytest.raises(ValueError, match="line 2: a task is an object"):
        from_jsonl(path)
    path.write_text("")
    with pytest.raises(ValueError, match="holds no tasks"):
        from_jsonl(path)


def test_shipped_tasks_can_be_chosen(package):
    assert [task.id for task in ShippedTasks(difficulty="hard").list_tasks("validation")] == [list(package.tasks)[1]]
    assert ShippedTasks(only=["shop"]).num_tasks("validation") == 2
    with pytest.raises(ValueError, match="no tasks of stall; there are: shop"):
        ShippedTasks(only=["stall"])
    with pytest.raises(ValueError, match="difficulty is 'x'"):
        ShippedTasks(difficulty="x")


def test_the_shipped_set_is_large_and_split_by_package():
    shipped_packages = packages()
    tasks = ShippedTasks()
    assert sum(len(package.tasks) for package in shipped_packages.values()) >= 300
    assert len(shipped_packages) >= 6
    assert sum(package.split == "test" for package in shipped_packages.values()) >= 2
    assert sum(package.split == "validation" for package in shipped_packages.values()) >= 1
    assert {split.name for split in tasks.list_splits()} == {"train", "validation", "test"}
    ids = [task.id for split in tasks.list_splits() for task in tasks.list_tasks(split.name)]
    assert len(ids) == len(set(ids))
    for package in shipped_packages.values():
        assert is_permissive(package.licence)
        assert len(package.sha256) == 64
        for task, found in package.tasks.items():
            assert task.startswith(f"{package.name}-{package.version}__")
            assert found.failing
            assert len(found.failing) <= len(package.passing) / 2
            assert set(found.withheld) <= set(found.failing)
            assert found.withheld
    assert sum(path.stat().st_size for path in shipped.FOLDER.glob("*.json")) < 1_000_000


def test_make_and_check_as_commands(tmp_path):
    folder, out = write(tmp_path / "shop", FILES), tmp_path / "out" / "tasks.jsonl"
    done = CliRunner().invoke(app, ["swe", "make", str(folder), "--out", str(out), "--count", "3", "--hard", "0", "--split", "test"])
    assert done.exit_code == 0, done.output
    assert "10 tests pass in" in done.output
    assert "3/3 " in done.output
    assert "dropped: " in done.output
    assert from_jsonl(out).num_tasks("test") == 3
    checked = CliRunner().invoke(app, ["swe", "check", str(out), "--limit", "2"])
    assert checked.exit_code == 0, checked.output
    assert "every task is as it should be" in checked.output


def test_ctrl_c_keeps_what_is_made_and_the_same_command_goes_on(tmp_path):
    folder, out = write(tmp_path / "shop", FILES), tmp_path / "tasks.jsonl"
    argv = [sys.executable, "-m", "turnwise", "swe", "make", str(folder), "--out", str(out), "--count", "6", "--hard", "0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if line.startswith("2/6"):
                running.send_signal(signal.SIGINT)
                break
        said = running.stdout.read()
    assert (running.returncode, "Traceback" in said) == (0, False), said
    assert "tasks are in" in said
    before = out.read_text()
    assert from_jsonl(out).num_tasks("train") >= 2
    subprocess.run(argv, check=True, capture_output=True, timeout=120)
    assert out.read_text().startswith(before)
    assert from_jsonl(out).num_tasks("train") == 6


def test_check_finds_a_task_that_is_none(tmp_path):
    made = project("shop", {path: File(text.encode()) for path, text in FILES.items()})
    wrong = row(instance(made, PASSING, EASY))
    wrong["data"]["gold"] = {"README.md": "Nothing.\n"}
    (tmp_path / "tasks.jsonl").write_text(json.dumps(wrong) + "\n")
    checked = CliRunner().invoke(app, ["swe", "check", str(tmp_path / "tasks.jsonl")])
    assert checked.exit_code == 1
    assert "1 tasks are wrong" in checked.output
    assert f"{wrong['data']['id']}: gold: " in checked.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["make", "x", "--out", "a.txt"], "end it in .jsonl"),
        (["make", "x", "--out", "a.json", "--split", "dev"], "--split is 'dev'"),
        (["check", "--package", "stall"], "no tasks of 'stall'; there are: cachetools, deepmerge, docstring_parser"),
        (["check", "none.jsonl"], "there is no file 'none.jsonl'"),
        (["check", "--limit", "0"], "--limit is 0"),
    ],
)
def test_arguments_that_make_no_sense(words, message):
    done = CliRunner().invoke(app, ["swe", *words])
    assert done.exit_code == 1
    assert message in str(done.exception)
