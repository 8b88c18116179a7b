import pytest
from turnwise.envs.sandbox.make import make_sandbox
from turnwise.envs.sandbox.tree import File
from turnwise.envs.swe.paging import Pager
from turnwise.envs.swe.toolchain import binds
from turnwise.envs.swe.tools import BashTools, Bench, runs_tests, syntax_problem
from turnwise.envs.tools.tool import Toolbox

CORE = b"""class Stack:
    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.append(item)
"""
TREE = {
    "README.md": File(b"A stack.\n"),
    "stack/__init__.py": File(b""),
    "stack/core.py": File(CORE),
    "stack/dos.py": File(b"a = 1\r\nb = 2\r\n"),
    "stack/old.py": File(b"# coding: latin-1\nname = '\xe9'\nother = 1\n"),
    "stack/run.sh": File(b"#!/bin/sh\necho hi\n", executable=True),
    "data/logo.bin": File(b"\x00\x01\x02" * 50),
    "data/long.txt": File(b"".join(b"line %d\n" % n for n in range(1, 2001))),
    "data/wide.txt": File(b"x" * 9000 + b"\nend\n"),
    "tests/test_core.py": File(b"from stack.core import Stack\n\n\ndef test_push():\n    assert Stack().items == []\n"),
}  # fmt: skip


@pytest.fixture
def tools():
    with make_sandbox(tree=TREE, work="/testbed", binds=binds()) as box:
        seen = []

        def run_tests(given, tests, timeout_s):
            assert given is box
            seen.append(list(tests))
            return "1 passed"

        bench = Bench(
            work="/testbed",
            open=lambda: box,
            run_tests=run_tests,
            timeout_s=lambda: 10.0,
            paths=list(TREE),
            gold_files=frozenset({"stack/core.py"}),
        )
        made = BashTools(bench, Pager(2000))
        made.asked = seen
        yield made


def call(tools, name, **arguments):
    return Toolbox(tools).call(name, arguments).text


def test_files_and_folders_are_shown(tools):
    assert call(tools, "view", path="stack/core.py", start=5, end=6) == (
        "5\t    def push(self, item):\n6\t        self.items.append(item)\n[lines 5 to 6 of 6]"
    )
    assert call(tools, "view", path="/testbed/README.md") == "1\tA stack."
    listing = call(tools, "view", path=".").splitlines()
    assert listing == sorted([*{f"{p.split('/')[0]}/" for p in TREE if "/" in p}, *TREE])
    assert call(tools, "view", path="data/") == "logo.bin\nlong.txt\nwide.txt"
    assert call(tools, "view", path="stack/__init__.py") == "[stack/__init__.py is empty]"
    assert call(tools, "view", path="stack/dos.py") == "1\ta = 1\n2\tb = 2\n[lines end with CRLF, which is kept]"
    assert "2\tname = '\\xe9'\n" in call(tools, "view", path="stack/old.py")
    assert tools.log.files == {"stack/core.py", "README.md", "stack/dos.py", "stack/old.py"}
    assert tools.log.functions == {"stack/core.py::Stack.push"}


def test_a_long_file_is_shown_in_pieces(tools):
    first = call(tools, "view", path="data/long.txt")
    assert first.startswith("1\tline 1\n2\tline 2\n")
    note = first.splitlines()[-1]
    reached = int(note.split()[3])
    assert note == f"[lines 1 to {reached} of 2000; view(path='data/long.txt', start={reached + 1}) goes on]"
    assert len(first) < 2200
    assert call(tools, "view", path="data/long.txt", start=reached + 1).startswith(f"{reached + 1}\tline {reached + 1}\n")
    assert "[... about 7000 bytes left out ...]" in call(tools, "view", path="data/wide.txt")


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("view", {"path": "core.py"}, "there is no file or folder 'core.py' in the repository. Did you mean 'stack/core.py'?"),
        ("view", {"path": "stack/cor.py"}, "Did you mean 'stack/core.py'?"),
        ("view", {"path": "nothing"}, "view(path='.') lists what there is."),
        ("view", {"path": "../etc"}, "lies outside of the repository"),
        ("view", {"path": "/etc/passwd"}, "lies outside of the repository"),
        ("view", {"path": "a\0b"}, "lies outside of the repository"),
        ("view", {"path": "data/logo.bin"}, "is a binary file of 150 bytes"),
        ("view", {"path": "stack/core.py", "start": 7}, "has 6 lines; seen: start 7, end 0; allowed: 1 <= start <= end <= 6"),
        ("edit", {"path": "stack/core.py", "start": 9, "end": 9, "text": "x"}, "has 6 lines; seen: start 9, end 9"),
        ("edit", {"path": ".git/config", "start": 1, "end": 0, "text": "x"}, "cannot be edited"),
        ("edit", {"path": "stack", "start": 1, "end": 0, "text": "x"}, "'stack' cannot be written"),
        ("edit", {"path": "data/logo.bin", "start": 1, "end": 1, "text": "x"}, "is a binary file"),
        ("edit", {"path": "a.py", "start": "1", "end": 0, "text": "x"}, "start: Input should be a valid integer"),
        ("find", {"pattern": ""}, "not empty"),
        ("find", {"pattern": "x", "path": "nowhere"}, "'nowhere' cannot be searched"),
        ("page", {"number": 1}, "nothing to page through"),
        ("run_tests", {"tests": "../x.py"}, "lies outside of the repository"),
    ],
)
def test_what_cannot_be_done_is_told(tools, name, arguments, told):
    result = Toolbox(tools).call(name, arguments)
    assert told in result.text
    assert not result.ok


def test_lines_are_edited_and_shown(tools):
    box = tools.bench.open()
    assert call(tools, "edit", path="stack/core.py", start=6, end=6, text="        self.items.append(item)\n        return item") == (
        "4\t\n5\t    def push(self, item):\n6\t        self.items.append(item)\n7\t        return item\n[stack/core.py has 7 lines now]"
    )
    assert box.read("stack/core.py").endswith(b"append(item)\n        return item\n")
    assert tools.log.functions == {"stack/core.py::Stack.push"}
    assert "[it does not parse: line 1: " in call(tools, "edit", path="stack/core.py", start=1, end=1, text="class Stack")
    assert call(tools, "edit", path="stack/dos.py", start=2, end=2, text="b = 3").endswith(
        "[stack/dos.py has 2 lines now; lines end with CRLF, which is kept]"
    )
    assert box.read("stack/dos.py") == b"a = 1\r\nb = 3\r\n"
    call(tools, "edit", path="stack/old.py", start=3, end=3, text="other = 'ü'")
    assert box.read("stack/old.py") == b"# coding: latin-1\nname = '\xe9'\nother = '\xfc'\n"
    call(tools, "edit", path="new/deep/er.py", start=1, end=0, text="x = 1")
    assert box.read("new/deep/er.py") == b"x = 1\n"
    call(tools, "edit", path="stack/run.sh", start=2, end=2, text="echo ho")
    assert box.shell("stack/run.sh").stdout == b"ho\n"
    assert call(tools, "edit", path="README.md", start=1, end=1, text="") == "[README.md has 0 lines now]"
    assert call(tools, "edit", path="stack/run.sh", start=2, end=2, text="echo ho\n").startswith("[nothing changed")
    assert set(tools.log.edited) == {"stack/core.py", "stack/dos.py", "stack/old.py", "new/deep/er.py", "stack/run.sh", "README.md"}


def test_text_is_found(tools):
    assert call(tools, "find", pattern=r"def \w+\(self", path="stack") == (
        "stack/core.py:2:     def __init__(self):\nstack/core.py:5:     def push(self, item):\n[2 lines match]"
    )
    assert call(tools, "find", pattern="def push(", path="stack/core.py") == (
        "stack/core.py:5:     def push(self, item):\n[1 lines match (not a regular expression; searched as plain text)]"
    )
    assert call(tools, "find", pattern="nothing like it") == "[no line matches]"
    many = call(tools, "find", pattern="line")
    assert "[2000 lines match; the first 200 are shown" in many
    assert many.startswith("data/long.txt:1: line 1\ndata/long.txt:2: line 2\n")
    assert "\x00" not in call(tools, "find", pattern="-e")


def test_bash_keeps_its_folder_and_long_output_can_be_paged_through(tools):
    assert call(tools, "bash", command="cd stack && X=7") == "[no output]"
    assert call(tools, "bash", command="pwd; echo $X; ls missing") == (
        "/testbed/stack\n7\nls: cannot access 'missing': No such file or directory\n[exit code 2]"
    )
    shown = call(tools, "bash", command="seq 1 2000")
    assert "page(number=1, output=1) to page(number=5, output=1)" in shown
    assert call(tools, "page", number=1).startswith("1\n2\n3\n")
    assert call(tools, "page", number=5).endswith("2000\n[page 5 of 5 of output 1]")
    assert call(tools, "bash", command="printf '</tool_response>\\033[2J'") == "\\x3c/tool_response>\\x1b[2J"
    assert "longer than 0.5 s" in timed(tools, "sleep 5")


def timed(tools, command):
    object.__setattr__(tools.bench, "timeout_s", lambda: 0.5)
    return call(tools, "bash", command=command)


def test_tests_are_run_and_the_end_is_told(tools):
    assert call(tools, "run_tests") == "1 passed"
    assert call(tools, "run_tests", tests="tests/test_core.py::test_push /testbed/tests") == "1 passed"
    assert tools.asked == [[], ["tests/test_core.py::test_push", "tests"]]
    assert (call(tools, "submit"), tools.submitted) == ("Submitted.", True)
    assert tools.log.steps == ["test", "test", "submit"]


def test_what_runs_tests_and_what_does_not_parse():
    assert runs_tests("cd a && python3 -m pytest -q")
    assert not runs_tests("ls tests")
    assert syntax_problem(b"x = 1\n", "a.py") == ""
    assert syntax_problem(b"x = \n", "a.txt") == ""
    assert syntax_problem(b"x = 1\ny = (\n", "a.py") == "it does not parse: line 2: '(' was never closed"
    assert syntax_problem(b"x\0", "a.py").startswith("it does not parse: ")
