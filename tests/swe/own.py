"""A package of our own, with a bug and everything that is awkward in it."""

from turnwise.envs.sandbox.tree import File
from turnwise.envs.swe.instance import Instance, Location
from turnwise.envs.swe.stored import to_data
from turnwise.records import Message, Task

CORE = b"""class Stack:
    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.insert(0, item)

    def pop(self):
        return self.items.pop()
"""
FIXED = CORE.replace(b"self.items.insert(0, item)", b"self.items.append(item)")
TESTS = """from stack.core import Stack


def test_empty():
    assert Stack().items == []


def test_pop():
    s = Stack()
    s.push(1)
    s.push(2)
    assert s.pop() == 2
"""
HIDDEN = f"""{TESTS}

def test_order():
    s = Stack()
    for n in range(3):
        s.push(n)
    assert s.items == [0, 1, 2]
"""
LINE = "        self.items.append(item)"


def stack(**options):
    base = {
        "stack/__init__.py": File(),
        "stack/core.py": File(CORE),
        "stack/old.py": File(b"# coding: latin-1\nname = '\xe9'\n"),
        "dos.txt": File(b"a\r\nb\r\n"),
        "logo.bin": File(bytes(range(256))),
        "tests/test_core.py": File(TESTS.encode()),
    }
    given = {
        "id": "stack-1",
        "project": "stack",
        "statement": "Stack.pop gives the first item, not the last.",
        "base": base,
        "held": {"tests/test_core.py": File(HIDDEN.encode())},
        "fail_to_pass": ("tests/test_core.py::test_pop", "tests/test_core.py::test_order"),
        "pass_to_pass": ("tests/test_core.py::test_empty",),
        "withheld": ("tests/test_core.py::test_order",),
        "gold": {"stack/core.py": File(FIXED)},
        "locations": (Location(path="stack/core.py", first=6, last=6, function="Stack.push"),),
    }
    made = Instance(**(given | options))
    return Task(
        id=made.id, env_id="turnwise/SWE-v0", split="train", prompt=(Message(role="user", content=made.statement),), data=to_data(made)
    )
