"""Unified diffs: the files they name."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.envs.swe.formats.patches import Touched, paths_of, touched

CHANGE = """diff --git a/src/a.py b/src/a.py
index 111..222 100644
--- a/src/a.py
+++ b/src/a.py
@@ -1,3 +1,3 @@
 keep
--- x
+++ y
 keep
"""
NEW = """diff --git a/tests/test_n.py b/tests/test_n.py
new file mode 100644
--- /dev/null
+++ b/tests/test_n.py
@@ -0,0 +1 @@
+x = 1
"""
GONE = """diff --git a/old.py b/old.py
deleted file mode 100644
--- a/old.py
+++ /dev/null
@@ -1 +0,0 @@
-x = 1
"""
RENAMED = """diff --git a/one name.py b/two name.py
similarity index 100%
rename from one name.py
rename to two name.py
"""
BINARY = """diff --git a/x.bin b/x.bin
new file mode 100644
index 0000000..1111111
GIT binary patch
literal 3
Kcmb2|=3

literal 0
HcmV?d00001

"""
PLAIN = "--- a/x.py\t2020-01-01\n+++ b/x.py\t2020-01-02\n@@ -1 +1 @@\n-a\n+b\n--- a/y.py\n+++ b/y.py\n@@ -1 +1 @@\n-a\n+b\n"


@pytest.mark.parametrize(
    ("text", "files"),
    [
        (CHANGE, [Touched("src/a.py", "src/a.py")]),
        (NEW, [Touched(None, "tests/test_n.py")]),
        (GONE, [Touched("old.py", None)]),
        (RENAMED, [Touched("one name.py", "two name.py")]),
        (BINARY, [Touched(None, "x.bin")]),
        (PLAIN, [Touched("x.py", "x.py"), Touched("y.py", "y.py")]),
        (CHANGE + NEW + GONE, [Touched("src/a.py", "src/a.py"), Touched(None, "tests/test_n.py"), Touched("old.py", None)]),
        (CHANGE.replace("\n", "\r\n"), [Touched("src/a.py", "src/a.py")]),
        ('diff --git "a/caf\\303\\251.py" "b/caf\\303\\251.py"\nnew file mode 100644\n', [Touched(None, "café.py")]),
        ("no patch at all", []),
        ("", []),
    ],
)
def test_the_files_of_a_diff(text, files):
    assert touched(text) == files


def test_lines_taken_away_that_look_like_headers_name_no_file():
    assert paths_of(CHANGE + NEW) == (["src/a.py"], ["tests/test_n.py"])


PIECES = [*"".join((CHANGE, NEW, RENAMED, BINARY, PLAIN)).split("\n"), '--- "a/\\9', "@@ -1,99 +1 @@"]


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(max_size=200),
        st.lists(
            st.sampled_from([*"".join((CHANGE, NEW, RENAMED, BINARY, PLAIN)).split("\n"), '--- "a/\\9', "@@ -1,99 +1 @@"]), max_size=20
        ).map("\n".join),
    )
)
def test_any_text_is_read(text):
    for one in touched(text):
        assert one.old or one.new
