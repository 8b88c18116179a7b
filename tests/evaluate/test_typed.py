import json

import pytest
from turnwise.envs.tools.tool import Toolbox
from turnwise.trainers.typed import read_action, usage


def edit(path: str, start: int, end: int, text: str) -> str:
    """Replace lines."""
    return ""


def view(path: str, start: int = 1, end: int = 0) -> str:
    """Show."""
    return ""


def bash(command: str) -> str:
    """Run."""
    return ""


def submit() -> str:
    """End."""
    return ""


TOOLS = Toolbox([edit, view, bash, submit]).specs


def typed(*lines):
    """(tool, arguments) or text of what is typed, and what was complained of."""
    rest, told = iter(lines), []
    action = read_action(TOOLS, lambda prompt: next(rest), told.append)
    if isinstance(action, str):
        return action, told
    (call,) = action.tool_calls
    return (call.name, json.loads(call.arguments)), told


@pytest.mark.parametrize(
    ("lines", "action"),
    [
        (["view src/a.py"], ("view", {"path": "src/a.py"})),
        (["view src/a.py 10 20"], ("view", {"path": "src/a.py", "start": 10, "end": 20})),
        (["view src/a.py end=5"], ("view", {"path": "src/a.py", "end": 5})),
        (["view 'a b.py'"], ("view", {"path": "a b.py"})),
        (["submit"], ("submit", {})),
        (["bash grep -n 'a b' *.py | head"], ("bash", {"command": "grep -n 'a b' *.py | head"})),
        (["bash cat > a <<EOF", "1", "", "EOF"], ("bash", {"command": "cat > a <<EOF\n1\n\nEOF"})),
        (["bash <<END", "ls", "END"], ("bash", {"command": "ls\n"})),
        (["edit a.py 3 4 '    return 1'"], ("edit", {"path": "a.py", "start": 3, "end": 4, "text": "    return 1"})),
        (
            ["edit a.py 3 4 <<END", "    if a:", "", "        b()", "END"],
            ("edit", {"path": "a.py", "start": 3, "end": 4, "text": "    if a:\n\n        b()\n"}),
        ),
        (["edit a.py 3 4 ''"], ("edit", {"path": "a.py", "start": 3, "end": 4, "text": ""})),
        (['<tool_call>{"name": "submit"}</tool_call>'], '<tool_call>{"name": "submit"}</tool_call>'),
        ([" submit my order"], " submit my order"),
        (["hello view"], "hello view"),
    ],
)
def test_what_is_typed(lines, action):
    assert typed(*lines) == (action, [])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("view a.py ten", "start is 'ten'; it must be of type integer. The call is: view path [start] [end]"),
        ("view a.py 1 2 3", "'3' is one argument too many"),
        ("view 'a.py", "No closing quotation"),
        ("vew a.py", "There is no vew; did you mean view?"),
        ("edit a.py 1 1 x <<END", "all arguments are given"),
    ],
)
def test_what_is_mistyped_is_asked_again(line, told):
    action, complaints = typed(line, *(["END"] if "<<" in line else []), "submit")
    assert action == ("submit", {})
    assert told in complaints[0]


def test_how_calls_are_typed_is_shown():
    assert "  edit path start end text\n  view path [start] [end]\n  bash command\n  submit\n" in usage(TOOLS)
