import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.envs.tools.env import ToolEnv
from turnwise.envs.tools.tool import Toolbox, ToolResult, Tools, ToolSpec
from turnwise.envs.tools.values import read_json


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NaN", "NaN is no JSON value"),
        ("[1e400]", "."),
        ("[" * 60 + "]" * 60, "nested more than 50 deep"),
        ("[" * 100_000, "nested more than 50 deep|Expecting"),
        ("9" * 5000, "."),
        (" " * 100_001, "100001 characters"),
        ("{", "."),
    ],
)
def test_what_cannot_be_used_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        read_json(text)


@given(st.text())
def test_whatever_is_read_can_be_written_as_utf8(text):
    try:
        value = read_json(text)
    except ValueError:
        return
    assert json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def test_tools_may_come_from_anywhere():
    class Echo:
        specs = (ToolSpec(name="echo", description="", parameters={"type": "object", "properties": {}}),)

        def run(self, call):
            return ToolResult(text=call.arguments)

    def function(x: int) -> int:
        return x

    env = ToolEnv.__new__(ToolEnv)
    env._dialect_name = "hermes"
    assert env.attach(Echo()) == env.tools == Echo.specs
    assert isinstance(Toolbox([function]), Tools)
    assert env.attach([function])[0].name == "function"
