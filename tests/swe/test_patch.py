import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.envs.sandbox.tree import File, apply, difference, put_tree, tree_of
from turnwise.envs.swe.patch import git_diff

NEEDS_GIT = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def applied(base, patch, folder):
    """What ``git apply`` makes of ``base``."""
    folder.mkdir()
    put_tree(base, folder)
    subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True)
    done = subprocess.run(["git", "apply", "--whitespace=nowarn", "-"], input=patch.encode(), cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr.decode() + patch
    shutil.rmtree(folder / ".git")
    return tree_of(folder)


@NEEDS_GIT
def test_a_change_reads_as_git_writes_it():
    base, new = {"a.py": File(b"x = 1\ny = 2\n")}, b"x = 1\ny = 3\n"
    assert git_diff(base, {"a.py": File(new)}) == (
        "diff --git a/a.py b/a.py\n"
        f"index {blob(base['a.py'].data)}..{blob(new)} 100644\n"
        "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n x = 1\n-y = 2\n+y = 3\n"
    )
    assert git_diff(base, {"a.py": base["a.py"]}) == ""
    assert "\n--- /dev/null\n+++ b/b\n@@ -0,0 +1,2 @@\n+1\n+2\n" in git_diff({}, {"b": File(b"1\n2\n")})


def blob(data):
    return subprocess.run(["git", "hash-object", "--stdin"], input=data, capture_output=True, check=True).stdout.decode().strip()


CASES = {
    "deleted": ({"a": File(b"1\n2\n")}, {"a": None}),
    "new": ({}, {"folder/b.txt": File(b"hello\nworld\n")}),
    "empty file made": ({}, {"e": File()}),
    "emptied": ({"e": File(b"1\n")}, {"e": File()}),
    "empty file deleted": ({"e": File()}, {"e": None}),
    "no newline at the end, before": ({"a": File(b"1\n2")}, {"a": File(b"1\n2\n")}),
    "no newline at the end, after": ({"a": File(b"1\n2\n")}, {"a": File(b"1\n3")}),
    "CRLF": ({"a": File(b"1\r\n2\r\n3\r\n")}, {"a": File(b"1\r\ntwo\r\n3\r\n")}),
    "to LF": ({"a": File(b"1\r\n2\r\n")}, {"a": File(b"1\n2\n")}),
    "a lone CR": ({"a": File(b"1\r2\n")}, {"a": File(b"1\r3\n")}),
    "binary": ({"a": File(bytes(range(256)) * 3)}, {"a": File(bytes(reversed(range(256))) * 5)}),
    "binary made": ({}, {"logo.png": File(b"\x89PNG\x00" + b"abc" * 100)}),
    "latin-1": ({"a": File("é\n".encode("latin-1"))}, {"a": File("è\n".encode("latin-1"))}),
    "executable": ({"a": File(b"#!/bin/sh\n")}, {"a": File(b"#!/bin/sh\n", executable=True)}),
    "executable and changed": ({"a": File(b"1\n")}, {"a": File(b"2\n", executable=True)}),
    "link": ({"a": File(b"1\n")}, {"l": File(link="a")}),
    "a link instead of a file": ({"a": File(b"1\n"), "b": File(b"2\n")}, {"b": File(link="a")}),
    "odd names": ({"ä b.py": File(b"1\n")}, {"ä b.py": File(b"2\n"), 'q"\\t.py': File(b"3\n"), "a b": File(b"4\n")}),
    "far apart": (
        {"a": File(b"".join(b"%d\n" % n for n in range(100)))},
        {"a": File(b"".join(b"%d\n" % (n if n not in (3, 50, 99) else -n) for n in range(100)))},
    ),
    "a huge change": (
        {"a": File(b"top\n" * 5 + b"".join(b"%d\n" % n for n in range(9000)) + b"end\n" * 5)},
        {"a": File(b"top\n" * 5 + b"".join(b"%d\n" % (n * 2) for n in range(7000)) + b"end\n" * 5)},
    ),
    "an equal line above and below": ({"a": File(b"a\nb\nb\nb\na\nb\n")}, {"a": File(b"b\nb\nb\nb\na\nb\n")}),
}


@NEEDS_GIT
@pytest.mark.parametrize("name", CASES)
def test_git_makes_of_the_patch_what_was_changed(name, tmp_path):
    base, changes = CASES[name]
    patch = git_diff(base, changes)
    assert patch.startswith("diff --git ")
    assert applied(base, patch, tmp_path / "work") == apply(base, changes)


TEXTS = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\r\n", b"\n", b"x"]), max_size=12).map(b"".join) | st.binary(max_size=40)
TREES = st.dictionaries(st.sampled_from(["a", "b/c", "d e"]), st.builds(File, TEXTS, st.booleans()), max_size=3)


@NEEDS_GIT
@settings(max_examples=40, deadline=None)
@given(before=TREES, after=TREES)
def test_any_two_trees(before, after, tmp_path_factory):
    patch = git_diff(before, difference(before, after))
    assert (patch == "") == (before == after)
    if patch:
        assert applied(before, patch, tmp_path_factory.mktemp("apply") / "work") == dict(sorted(after.items()))
