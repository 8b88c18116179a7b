"""Mutations: what each kind edits, that nothing else changes, and sources that are not plain UTF-8 with line feeds."""

import ast
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.envs.sandbox.tree import File
from turnwise.envs.swe.make.mutate import KINDS, Mutation, mutate, mutations, parses
from turnwise.envs.swe.make.tasks import locations

SAMPLE = '''\
"""A module."""

LIMIT = 3


class Stack:
    def push(self, item, top=True):
        """Put it on."""
        if not self.open:
            raise ValueError("it is closed")  # stays
        if item is None and top or len(self.items) > LIMIT:
            return None
        self.items.append(item)
        self.count += 1
        return item

    def slice(self, low, high):
        found = [x for x in self.items[low:high] if x]
        for i in range(low, high):
            found[i - 1] = max(low, high)
        else:
            self.done = True
        return found
'''


def edits(source, kind=None, function=None):
    """old -> news, of the mutations of a function's source."""
    found = mutations("a.py", source.encode())
    return [(m.old, m.new) for m in found if kind in (None, m.kind) and function in (None, m.function)]


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("comparison", "return a < b", [("<", "<="), ("<", ">")]),
        ("comparison", "return a not in b", [("not in", "in")]),
        ("comparison", "return a is  not b", [("is  not", "is")]),
        ("comparison", "return a == b != a", [("==", "!="), ("!=", "==")]),
        ("arithmetic", "return a + b", [("+", "-")]),
        ("arithmetic", "return (a) // (b)", [("//", "/"), ("//", "%")]),
        ("arithmetic", "a -= b", [("-", "+")]),
        ("arithmetic", "return a + 'x'", []),
        ("boolean", "return a and b", [("and", "or")]),
        ("negation", "return not a", [("not a", "a")]),
        ("negation", "return [a] if a else b", [("a", "not a")]),
        ("off_by_one", "return a[1:]", [("1", "2"), ("1", "0")]),
        ("off_by_one", "return a[0]", [("0", "1")]),
        ("off_by_one", "return range(b)", [("b", "b + 1"), ("b", "b - 1")]),
        ("off_by_one", "return len(a) - 1", [("len(a) - 1", "len(a)")]),
        ("swapped_arguments", "return f(a,  b)", [("a,  b", "b,  a")]),
        ("swapped_arguments", "return f(*a, b)", []),
        (
            "removed_branch",
            "if a:\n        b = 1\n        a = 2\n    else:\n        b = 2",
            [("b = 1\n        a = 2", "pass"), ("b = 2", "pass")],
        ),
        ("deleted_guard", "if a:\n        return b\n    a.x()", [("if a:\n        return b", "pass")]),
        ("constant", "return True", [("True", "False")]),
        ("constant", "return 'abc'", [("'abc'", "'ab'")]),
        ("constant", "return b''", [("b''", "b' '")]),
        ("constant", "return 2", [("2", "3"), ("2", "1")]),
        ("constant", "return 0.5", [("0.5", "1.0")]),
        ("constant", "return 'a' 'b'", []),
        ("wrong_name", "f(a)", [("a", "b")]),
        ("wrong_name", "return a.x + a.y", [("x", "y"), ("a", "b"), ("y", "x"), ("a", "b")]),
        ("wrong_return", "return a", [("a", "b")]),
        ("wrong_function", "return min(a, b)", [("min", "max")]),
        ("wrong_function", "return a.strip()", [("strip", "rstrip")]),
        ("lost_statement", "a.x()\n    a.y = 1\n    b += 1\n    b = 2", [("a.x()", "pass"), ("a.y = 1", "pass"), ("b += 1", "pass")]),
    ],
)
def test_each_kind_edits_this(kind, body, expected):
    assert edits(f"def f(a, b):\n    {body}\n", kind) == expected


def test_defaults_are_mutated_and_probed_by_the_body():
    found = [m for m in mutations("a.py", b"def f(a, b=2,\n      c=None):\n    '''Text.'''\n    return a\n") if m.kind == "default"]
    assert [(m.old, m.new, m.probe, m.probe_last) for m in found] == [("2", "3", 3, 4), ("2", "1", 3, 4)]


def test_texts_of_errors_docstrings_and_annotations_are_left_alone():
    source = (
        'def f(a: int = 1) -> "str":\n    """Two words."""\n    x: "int"\n    if a:\n        raise ValueError("no")\n'
        '    assert a, "text"\n    return a\n'
    )
    assert not [m for m in mutations("a.py", source.encode()) if m.kind == "constant"]


def test_an_elif_keeps_its_else():
    source = "def f(a):\n    if a == 1:\n        b = 1\n    elif a:\n        return 2\n    return 3\n"
    guards = [m for m in mutations("a.py", source.encode()) if m.kind == "deleted_guard"]
    changed = mutate({"a.py": File(source.encode())}, guards)["a.py"].data.decode()
    assert changed == source.replace("return 2", "pass")


def test_methods_go_by_their_dotted_name():
    assert {m.function for m in mutations("a.py", SAMPLE.encode())} == {"Stack.push", "Stack.slice"}


def test_every_kind_is_reachable():
    source = SAMPLE + "\n\ndef g(a, b=1):\n    if a:\n        a = b\n    elif b:\n        return min(a, b)\n    a = 'text'\n    return a\n"
    assert {m.kind for m in mutations("a.py", source.encode())} == set(KINDS)


@given(st.data())
def test_a_mutation_changes_its_span_and_nothing_else(data):
    tree = {"a.py": File(SAMPLE.encode(), executable=True)}
    mutation = data.draw(st.sampled_from(mutations("a.py", SAMPLE.encode())))
    changed = mutate(tree, [mutation])["a.py"]
    lines = SAMPLE.splitlines(keepends=True)
    before = "".join(lines[: mutation.line - 1]) + lines[mutation.line - 1][: mutation.column]
    after = lines[mutation.end_line - 1][mutation.end_column :] + "".join(lines[mutation.end_line :])
    assert changed == File((before + mutation.new + after).encode(), executable=True)
    assert "# stays" in changed.data.decode() or "raise" in mutation.old
    assert parses(tree, mutation)
    assert Mutation.from_data(json.loads(json.dumps(mutation.to_data()))).to_data() == mutation.to_data()
    back = Mutation(**mutation.to_data() | {"old": mutation.new, "new": mutation.old, "end_line": 0, "end_column": 0})
    assert back.old == mutation.new


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"def f(a):\r\n    # \xc3\xa4\r\n    return a < 1\r\n", b"def f(a):\r\n    # \xc3\xa4\r\n    return a <= 1\r\n"),
        (
            b"# coding: latin-1\ndef f(a):\n    return '\xe9' < a\n",
            b"# coding: latin-1\ndef f(a):\n    return '\xe9' <= a\n",
        ),
        (b"\xef\xbb\xbfdef f(a):\n    return a < 1\n", b"\xef\xbb\xbfdef f(a):\n    return a <= 1\n"),
        (b"def f(a):\r    return a < 1\r", b"def f(a):\r    return a <= 1\r"),
        (b"\x0c\ndef f(a):\n    return '\xe2\x80\xa8', a < 1\n", b"\x0c\ndef f(a):\n    return '\xe2\x80\xa8', a <= 1\n"),
        (b"def f(a):\n    return '\xf0\x9f\x98\x80' < a", b"def f(a):\n    return '\xf0\x9f\x98\x80' <= a"),
    ],
    ids=["crlf", "latin-1", "bom", "cr", "form feed and U+2028", "astral"],
)
def test_encodings_and_line_ends_stay(data, expected):
    mutation = next(m for m in mutations("a.py", data) if m.new == "<=")
    assert mutate({"a.py": File(data)}, [mutation]) == {"a.py": File(expected)}


@pytest.mark.parametrize("data", [b"def f(:\n", b"x = '\xe9'\n", b"# coding: nonsense\n", b"x = 1\0\n"])
def test_what_is_no_python_is_refused(data):
    with pytest.raises(ValueError, match=r"not a readable Python source|does not parse"):
        mutations("a.py", data)


def test_several_in_one_file_and_their_places():
    source = b"def f(a):\n    if a:\n        return 1\n    return a < 2\n\n\ndef g(a):\n    return a + 1\n"
    tree = {"a.py": File(source)}
    found = {(m.kind, m.function, m.new): m for m in mutations("a.py", source)}
    chosen = [found["deleted_guard", "f", "pass"], found["comparison", "f", "<="], found["arithmetic", "g", "-"]]
    changed = mutate(tree, chosen)
    assert changed["a.py"].data == b"def f(a):\n    pass\n    return a <= 2\n\n\ndef g(a):\n    return a - 1\n"
    places = [(at.first, at.last, at.function) for at in locations(tree, changed, chosen)]
    assert places == [(2, 2, "f"), (3, 3, "f"), (7, 7, "g")]


def test_another_version_and_overlaps_are_refused():
    tree = {"a.py": File(b"def f(a):\n    if a < 1:\n        return 1\n    return 2\n")}
    found = mutations("a.py", tree["a.py"].data)
    guard, inner = (next(m for m in found if m.kind == kind) for kind in ("deleted_guard", "comparison"))
    with pytest.raises(ValueError, match="holds"):
        mutate(tree, [guard, inner])
    with pytest.raises(ValueError, match="another version"):
        mutate({"a.py": File(b"def f(a):\n    if a > 1:\n        return 1\n    return 2\n")}, [inner])
    with pytest.raises(ValueError, match="has 1 lines"):
        mutate({"a.py": File(b"x\n")}, [inner])
    with pytest.raises(ValueError, match="not among the files"):
        mutate({}, [inner])


def test_a_mutation_that_cannot_be_encoded_or_parsed_is_not_used():
    tree = {"a.py": File(b"def f(a):\n    return a < 1\n")}
    mutation = next(m for m in mutations("a.py", tree["a.py"].data) if m.new == "<=")
    broken = Mutation(**mutation.to_data() | {"new": "<<<"})
    assert parses(tree, mutation)
    assert not parses(tree, broken)


@pytest.mark.parametrize("change", [{"kind": 1}, {"line": "1"}, {"line": True}, {"more": 1}])
def test_data_that_is_no_mutation_is_refused(change):
    mutation = mutations("a.py", b"def f(a):\n    return a < 1\n")[0]
    with pytest.raises(ValueError, match="not a mutation"):
        Mutation.from_data(mutation.to_data() | change)


def test_the_sample_is_python():
    ast.parse(SAMPLE)
