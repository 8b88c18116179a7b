"""Instances as JSON: nothing is lost, and whatever is not what it should be is named."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.envs.sandbox.tree import File
from turnwise.envs.swe.instance import Instance, Location
from turnwise.envs.swe.stored import from_data, to_data

BASE = {
    "a.py": File(b"x = 1\r\n"),
    "bin/run": File(b"#!/bin/sh\n", executable=True),
    "latin.py": File(b"# -*- coding: latin-1 -*-\ns = '\xe9'\n"),
    "link": File(link="a.py"),
    "tool": File(b"\xff\x00", executable=True),
}
INSTANCE = Instance(
    id="p__1",
    project="p",
    statement="It fails.",
    base=BASE,
    held={"test_a.py": File(b"def test_a(): pass\n")},
    fail_to_pass=("test_a.py::test_a",),
    pass_to_pass=("test_a.py::test_b",),
    withheld=("test_a.py::test_a",),
    gold={"a.py": File(b"x = 2\r\n"), "tool": None},
    locations=(Location(path="a.py", first=1, last=1, function="C.f"),),
    paths=("src", "."),
    protected=("docs/*",),
    timeout_s=2.5,
)

paths = st.lists(st.text(st.characters(exclude_characters="/\0"), min_size=1).filter(lambda p: p not in (".", "..")), min_size=1).map(
    "/".join
)
files = st.builds(File, st.binary(), st.booleans()) | st.builds(lambda link: File(link=link), st.text())
trees = st.dictionaries(paths, files, max_size=4)
texts = st.lists(st.text(), max_size=3, unique=True).map(tuple)
instances = st.builds(
    lambda failing, rest, **fields: Instance(
        fail_to_pass=failing, withheld=failing[1:], pass_to_pass=tuple(t for t in rest if t not in failing), **fields
    ),
    st.lists(st.text(), min_size=1, max_size=3, unique=True).map(tuple),
    texts,
    id=st.text(),
    project=st.text(),
    statement=st.text(),
    base=trees,
    held=trees,
    gold=st.dictionaries(paths, st.none() | files, max_size=3),
    locations=st.lists(st.builds(Location, path=paths, first=st.integers(1), last=st.integers(1), function=st.text()), max_size=2).map(
        tuple
    ),
    paths=texts,
    protected=texts,
    timeout_s=st.floats(0.001, 1e6),
    work=st.text(),
)


@given(instances)
def test_any_instance_survives_json(instance):
    assert from_data(json.loads(json.dumps(to_data(instance)))) == instance


def test_the_form_is_readable():
    data = to_data(INSTANCE)
    assert data["base"] == {
        "a.py": "x = 1\r\n",
        "bin/run": {"text": "#!/bin/sh\n", "executable": True},
        "latin.py": {"base64": "IyAtKi0gY29kaW5nOiBsYXRpbi0xIC0qLQpzID0gJ+knCg=="},
        "link": {"link": "a.py"},
        "tool": {"base64": "/wA=", "executable": True},
    }
    assert data["gold"] == {"a.py": "x = 2\r\n", "tool": None}
    assert (data["kind"], data["timeout_s"], data["paths"]) == ("stored", 2.5, ["src", "."])
    assert data["locations"] == [{"path": "a.py", "first": 1, "last": 1, "function": "C.f"}]


def test_what_has_a_default_may_be_left_out():
    data = to_data(INSTANCE)
    for key in ("withheld", "gold", "locations", "paths", "protected", "timeout_s", "work"):
        del data[key]
    found = from_data(data)
    assert (found.paths, found.timeout_s, found.work, found.gold) == ((".",), 60.0, "/testbed", {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "package"}, "kind is 'package'; expected 'stored'"),
        ({"colour": 1}, "unknown keys \\['colour'\\]"),
        ({"statement": 3}, "statement is 3; expected text"),
        ({"fail_to_pass": "a"}, "fail_to_pass is 'a'; expected a list"),
        ({"fail_to_pass": [1]}, "an item of .*fail_to_pass is 1"),
        ({"fail_to_pass": []}, "no test that fails"),
        ({"timeout_s": "1"}, "timeout_s is '1'; expected seconds"),
        ({"timeout_s": float("nan")}, "timeout_s is nan"),
        ({"timeout_s": True}, "timeout_s is True"),
        ({"base": []}, "base is \\[\\]; expected an object"),
        ({"base": {"../a": "x"}}, "'../a' is not a path inside"),
        ({"base": {"a": 1}}, "base\\['a'\\] is 1; expected text"),
        ({"base": {"a": None}}, "only gold deletes"),
        ({"base": {"a": {"text": "x", "mode": 1}}}, "keys \\['mode', 'text'\\]"),
        ({"base": {"a": {"text": "x", "executable": 1}}}, "executable is 1"),
        ({"base": {"a": {"base64": "?"}}}, "not base64"),
        ({"base": {"a": {"link": 1}}}, "link is 1"),
        ({"locations": [{}]}, "a location is {}"),
        ({"locations": [{"path": "a", "first": True, "last": 1, "function": ""}]}, "first of a location is True"),
    ],
)
def test_what_is_wrong_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        from_data(to_data(INSTANCE) | change)


def test_what_is_missing_is_named():
    data = to_data(INSTANCE)
    del data["base"], data["statement"]
    with pytest.raises(ValueError, match="lacks statement, base"):
        from_data(data)
