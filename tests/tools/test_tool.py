import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.envs.tools.tool import MAX_RESULT_CHARS, Toolbox, ToolError, tool
from turnwise.records import ToolCall


class Shop:
    def __init__(self):
        self.orders = {"W1": 2}

    @tool
    def find_order(self, order_id: str) -> dict:
        """Look up an order.

        The id begins with W.

        Args:
            order_id: The order's id, such as W1.
        """
        if order_id not in self.orders:
            raise ToolError(f"there is no order {order_id!r}")
        return {"id": order_id, "items": self.orders[order_id]}

    @tool
    def rate(self, stars: int, how: Literal["post", "web"] = "web", tags: list[str] | None = None, title: str = "") -> str:
        """Rate the shop."""
        return f"{stars} {how} {tags} {title}"

    @tool
    def wait(self) -> None:
        """Do nothing."""

    @tool
    def broken(self) -> str:
        """Fail."""
        return str(1 / 0)

    @tool
    def flood(self, size: int) -> str:
        """Say much."""
        return "x" * size

    def secret(self) -> str:
        return "not a tool"


BOX = Toolbox(Shop())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=8
)


def test_the_schema_comes_from_signature_and_docstring():
    assert BOX.names == ("find_order", "rate", "wait", "broken", "flood")
    assert BOX.schemas[0] == {
        "type": "function",
        "function": {
            "name": "find_order",
            "description": "Look up an order.\n\nThe id begins with W.",
            "parameters": {
                "type": "object",
                "properties": {"order_id": {"type": "string", "description": "The order's id, such as W1."}},
                "required": ["order_id"],
                "additionalProperties": False,
            },
        },
    }
    rate = BOX.specs[1].parameters
    assert rate["required"] == ["stars"]
    assert rate["properties"]["how"] == {"type": "string", "enum": ["post", "web"], "default": "web"}
    assert rate["properties"]["title"] == {"type": "string", "default": ""}
    assert BOX.specs[2].parameters == {"type": "object", "properties": {}, "additionalProperties": False}


def test_calls_that_work():
    assert BOX.call("find_order", {"order_id": "W1"}).text == '{"id": "W1", "items": 2}'
    assert BOX.call("rate", '{"stars": 5, "tags": ["a"]}').text == "5 web ['a'] "
    assert BOX.run(ToolCall(id="0", name="wait", arguments="")).text == "done"


@pytest.mark.parametrize(
    ("name", "arguments", "failure", "text"),
    [
        (
            "find_ordr",
            {},
            "unknown_tool",
            "Error: there is no tool 'find_ordr'. Did you mean 'find_order'? The tools are: find_order, rate,",
        ),
        ("secret", {}, "unknown_tool", "there is no tool 'secret'"),
        ("find_order", {}, "invalid_arguments", "order_id is missing. Parameters: order_id: string."),
        ("find_order", {"order_id": 1}, "invalid_arguments", "order_id: Input should be a valid string (seen: 1)"),
        ("find_order", {"order_id": "W1", "x": 1}, "invalid_arguments", "x is not a parameter"),
        ("find_order", {"order_id": "W9"}, "refused", "Error: there is no order 'W9'"),
        ("rate", {"stars": "5"}, "invalid_arguments", "stars: Input should be a valid integer (seen: '5')"),
        ("rate", {"stars": 1, "how": "fax"}, "invalid_arguments", "how: Input should be 'post' or 'web'"),
        ("rate", {"stars": 1, "tags": ["a", 2]}, "invalid_arguments", "tags.1: Input should be a valid string"),
        ("rate", "[1]", "invalid_arguments", "wrong arguments for rate"),
        ("rate", "{", "invalid_arguments", "they are not JSON"),
        ("rate", {"stars": {1}}, "invalid_arguments", "they are not JSON"),
        ("rate", '{"stars": 1e999}', "invalid_arguments", "stars"),
        ("find_order", {"order_id": "x" * 200_000}, "invalid_arguments", "more than 100000"),
        ("wait", {"x": 1}, "invalid_arguments", "x is not a parameter. Parameters: none."),
    ],
)
def test_what_is_wrong_with_a_call_is_told(name, arguments, failure, text):
    result = BOX.call(name, arguments)
    assert (result.ok, result.failure) == (False, failure)
    assert text in result.text
    assert len(result.text) < 600


def test_a_tool_that_breaks_is_the_environments_fault():
    with pytest.raises(ZeroDivisionError):
        BOX.call("broken", {})


def test_long_results_are_cut_and_say_so():
    assert BOX.call("flood", {"size": MAX_RESULT_CHARS}).text == "x" * MAX_RESULT_CHARS
    cut = BOX.call("flood", {"size": MAX_RESULT_CHARS + 7}).text
    assert cut.endswith(f"[cut: 7 of {MAX_RESULT_CHARS + 7} characters left out]")


@given(st.sampled_from([*BOX.names[:3], "", "Find_Order"]) | st.text(), st.text() | st.dictionaries(st.text(), JSON) | JSON.map(json.dumps))
def test_any_call_gives_a_result(name, arguments):
    if name in ("broken", "flood"):
        return
    result = BOX.call(name, arguments)
    assert isinstance(result.text, str)
    assert result.ok == (not result.text.startswith("Error: "))


def test_functions_that_cannot_be_tools():
    def untyped(x):
        return x

    def anything(*xs: int):
        return xs

    def same(x: int):
        return x

    for function, message in ((untyped, "parameter x has no type"), (anything, r"parameter \*xs takes any")):
        with pytest.raises(TypeError, match=message):
            tool(function)
    with pytest.raises(ValueError, match="two tools are called 'same'"):
        Toolbox([same, same])
    with pytest.raises(ValueError, match="object has no tools"):
        Toolbox(object())
    assert Toolbox([same]).call("same", {"x": 3}).value == 3
    assert Toolbox([Shop().find_order]).call("find_order", {"order_id": "W1"}).value == {"id": "W1", "items": 2}
