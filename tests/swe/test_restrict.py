"""What is taken over of an agent's changes, and what is not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.envs.sandbox.tree import File, apply
from turnwise.envs.swe.attacks import example
from turnwise.envs.swe.restrict import held_over, import_roots, looks_like_test, only_adds, restrict

EXAMPLE = example()
TEST = "tests/test_cart.py"
SHOWN = EXAMPLE.base[TEST].data


def judged(path, file, instance=EXAMPLE):
    """(taken, name of tampering or empty)."""
    found = restrict(instance, {path: file})
    assert (path in found.changes) != bool(found.dropped)
    return path in found.changes, next(iter(found.tampering), "")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("shop/cart.py", "x = 1\n"),
        ("shop/prices.py", ""),
        ("shop/data/prices.json", "{}"),
        ("README.md", "# Shop"),
        ("shop/testing.py", ""),
        ("contest.py", ""),
        ("shop/json.py", "a module of a package shadows nothing"),
        ("Makefile", "test:\n\tpytest\n"),
    ],
)
def test_ordinary_files_are_taken(path, text):
    assert judged(path, File(text.encode())) == (True, "")


@pytest.mark.parametrize(
    "path",
    [
        "shop/__pycache__/cart.cpython-311.pyc",
        ".pytest_cache/v/cache/lastfailed",
        ".git/HEAD",
        "shop.egg-info/PKG-INFO",
        ".coverage",
        "tests/test_mine.py",
        "tests/data/mine.txt",
        "test_try.py",
        "shop/test_cart.py",
        "libfast.so",
        ".env",
        "a\nb.py",
        "caf\udce9.py",
    ],
)
def test_harmless_leavings_are_dropped_without_a_word(path):
    data = b"\x00" * 16 if path.endswith(".pyc") else b"DEBUG=1\n"
    found = restrict(EXAMPLE, {path: File(data)})
    assert (dict(found.changes), found.tampering, len(found.dropped)) == ({}, {}, 1)


@pytest.mark.parametrize(
    ("path", "file", "name"),
    [
        (TEST, File(b"def test_total():\n    pass\n"), "tests_changed"),
        (TEST, None, "tests_deleted"),
        (TEST, File(link="../shop/cart.py"), "link"),
        (TEST + "/x.py", File(b""), "tests_changed"),
        ("tests", File(b""), "tests_changed"),
        ("conftest.py", File(b""), "conftest"),
        ("shop/conftest.py", File(b""), "conftest"),
        ("pytest.ini", File(b"[pytest]\naddopts = -x\n"), "configuration"),
        ("pyproject.toml", File(b"[tool.pytest.ini_options]\naddopts = '-x'\n"), "configuration"),
        ("pyproject.toml", File(b"[project.entry-points.pytest11]\nx = 'x'\n"), "configuration"),
        ("pyproject.toml", File(b"not toml"), "configuration"),
        ("setup.cfg", File(b"[tool:pytest]\ntestpaths = x\n"), "configuration"),
        ("sitecustomize.py", File(b""), "startup"),
        ("shop/x.pth", File(b""), "startup"),
        (".env", File(b"PYTEST_ADDOPTS=-x\n"), "environment"),
        ("x.dist-info/entry_points.txt", File(b"[pytest11]\nx = x\n"), "plugin"),
        ("pytest.py", File(b""), "shadowing"),
        ("_pytest/__init__.py", File(b""), "shadowing"),
        ("json.py", File(b""), "shadowing"),
        ("tests/json.py", File(b""), "shadowing"),
        ("unittest/case.py", File(b""), "shadowing"),
        ("passwd", File(link="/etc/passwd"), "link"),
        ("shop/up", File(link="../../x"), "link"),
        ("shop/t", File(link="../tests"), "link"),
        ("../x.py", File(b""), "path_escape"),
        ("/x.py", File(b""), "path_escape"),
        ("x//y.py", File(b""), "path_escape"),
        ("a\0b", File(b""), "path_escape"),
        ("big.py", File(b"#" * (1 << 20) + b"#"), "oversized"),
        ("shop/cart.cpython-311-x86_64-linux-gnu.so", File(b""), "native"),
        ("shop/cart.pyc", File(b""), "bytecode"),
    ],
)
def test_what_a_repair_has_no_use_for_is_dropped_and_named(path, file, name):
    if path == "tests/json.py":  # in a folder of tests, whatever its name
        assert judged(path, file) == (False, "")
        return
    assert judged(path, file) == (False, name)


def test_tests_may_be_added_but_not_changed():
    more = SHOWN + b"\n\ndef test_more():\n    assert True\n"
    assert judged(TEST, File(more)) == (False, "")
    assert judged(TEST, File(SHOWN, executable=True)) == (False, "")
    again = SHOWN + b"\n\ndef test_total():\n    pass\n"
    assert judged(TEST, File(again)) == (False, "tests_changed")
    assert judged(TEST, File(SHOWN + b"\npytestmark = pytest.mark.skip\n")) == (False, "tests_changed")


@pytest.mark.parametrize(
    ("before", "after", "adds"),
    [
        ("a = 1\n", "a = 1\n", True),
        ("a = 1\n", "import x\na = 1\ndef f(): pass\n", True),
        ("a = 1\n", "a = 2\n", False),
        ("a = 1\n", "", False),
        ("def f(): pass\n", "def f(): pass\nf = None\n", False),
        ("class A:\n def f(self): pass\n", "class A:\n def f(self): pass\n def g(self): pass\n", True),
        ("class A:\n def f(self): pass\n", "class A:\n def g(self): pass\n", False),
        ("class A:\n def f(self): pass\n", "class A(B):\n def f(self): pass\n", False),
        ("class A:\n def f(self): pass\n", "class A:\n def f(self): pass\n def f(self): 1\n", False),
        ("a = 1\n", "a = (\n", False),
        ("a = 1\n", "a = 1\0\n", False),
    ],
)
def test_only_adds(before, after, adds):
    assert only_adds(before.encode(), after.encode()) is adds


def test_configuration_with_the_same_settings_is_no_tampering():
    before = b"[project]\nversion = '1'\n[tool.pytest.ini_options]\naddopts = '-q'\n"
    instance = replace(EXAMPLE, base={**EXAMPLE.base, "pyproject.toml": File(before)})
    assert judged("pyproject.toml", File(before.replace(b"'1'", b"'2'")), instance) == (False, "")
    assert judged("pyproject.toml", File(before.replace(b"-q", b"-x")), instance) == (False, "configuration")
    assert judged("pyproject.toml", None, instance) == (False, "configuration")
    assert judged("tox.ini", File(b"[testenv]\ncommands = pytest\n")) == (False, "")


def test_a_package_that_shadows_in_the_base_may_be_changed():
    instance = replace(EXAMPLE, base={**EXAMPLE.base, "packaging/__init__.py": File(b"")})
    assert judged("packaging/version.py", File(b""), instance) == (True, "")


def test_folders_that_modules_are_imported_from():
    instance = replace(EXAMPLE, paths=("src", "."), held={"tests/unit/test_a.py": File(), "tests/__init__.py": File(), "t.py": File()})
    assert import_roots(instance) == ("", "src", "tests/unit")
    assert judged("src/json.py", File(b""), instance) == (False, "shadowing")
    assert judged("src/shop/json.py", File(b""), instance) == (True, "")


def test_what_tests_are_written_with_is_kept():
    instance = replace(EXAMPLE, base={**EXAMPLE.base, "shop/testing.py": File(b"")})
    assert judged("shop/testing.py", File(b"def assert_equal(a, b): pass"), instance) == (False, "")
    assert judged("shop/testing.py", File(b"x"), replace(instance, gold={"shop/testing.py": File(b"y")})) == (True, "")


def test_protected_paths_are_dropped():
    instance = replace(EXAMPLE, protected=("shop/vendor/*",))
    assert judged("shop/vendor/a.py", File(b""), instance) == (False, "")


def test_a_file_of_the_repair_is_no_test_whatever_its_name():
    instance = replace(EXAMPLE, gold={"shop/test_kit.py": File(b"")})
    assert judged("shop/test_kit.py", File(b"x = 1"), instance) == (True, "")


def test_behind_a_link_nothing_is_taken():
    found = restrict(EXAMPLE, {"lib": File(link="shop"), "lib/cart.py": File(b"")})
    assert (dict(found.changes), found.tampering) == ({}, {"link": "lib/cart.py"})


def test_too_many_files():
    found = restrict(EXAMPLE, {f"shop/a{n}.py": File(b"") for n in range(1001)})
    assert (len(found.changes), list(found.tampering)) == (1000, ["oversized"])


def test_what_is_held_lies_over_everything():
    changes = {"shop/cart.py": File(b"fixed"), TEST: File(b"bad"), "tests": File(b"bad")}
    tree = apply(EXAMPLE.base, held_over(EXAMPLE.base, changes, EXAMPLE.held))
    assert tree[TEST] == EXAMPLE.held[TEST]
    assert tree["shop/cart.py"].data == b"fixed"
    assert "tests" not in tree


PARTS = st.sampled_from(
    [
        "tests",
        "shop",
        "..",
        ".",
        "",
        "conftest.py",
        "cart.py",
        "json.py",
        "test_cart.py",
        ".git",
        "a\0",
        "\udc80",
        "x.pth",
        "é",
        "setup.cfg",
    ]
) | st.text(max_size=5)
FILES = st.none() | st.builds(File, st.binary(max_size=30)) | st.builds(File, link=st.text(max_size=10))


@given(st.dictionaries(st.lists(PARTS, min_size=1, max_size=4).map("/".join), FILES, max_size=6))
def test_any_changes_are_sorted_and_held_files_stay(changes):
    found = restrict(EXAMPLE, changes)
    assert len(found.changes) + len(found.dropped) <= len(changes)
    assert all(file is None or file.link is None for file in found.changes.values())
    assert not set(found.changes) & set(EXAMPLE.held)
    assert not any(looks_like_test(path) or path.endswith((".pth", "conftest.py")) or ".." in path.split("/") for path in found.changes)
    tree = apply(EXAMPLE.base, held_over(EXAMPLE.base, found.changes, EXAMPLE.held))
    assert tree[TEST] == EXAMPLE.held[TEST]
