import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.envs.tools.dialects import DIALECTS, MAX_CALLS, Hermes, JsonCalls, PythonCalls, Xml, answer
from turnwise.envs.tools.tool import Toolbox, ToolResult
from turnwise.records import Message, ToolCall


def book(id: int, note: str = "", seats: list[str] | None = None) -> str:
    """Book a flight."""
    return f"{id} {note} {seats}"


BOX = Toolbox([book])
VALUES = {
    "id": st.integers(),
    "note": st.text(st.characters(codec="utf-8", exclude_characters="<"), max_size=20),
    "seats": st.lists(st.text("ab")),
}
CALLS = st.lists(
    st.tuples(st.just("book"), st.fixed_dictionaries({"id": VALUES["id"]}, optional={k: VALUES[k] for k in ("note", "seats")})),
    min_size=1,
    max_size=4,
)


def make(name):
    return Xml(BOX.specs) if name == "xml" else DIALECTS[name]()


def said(text, *calls):
    return Message(role="assistant", content=text, tool_calls=calls)


def pairs(parsed):
    return [(call.name, json.loads(call.arguments)) for call in parsed.calls]


@pytest.mark.parametrize("name", DIALECTS)
@given(calls=CALLS)
def test_what_is_written_is_read_back(name, calls):
    dialect = make(name)
    parsed = dialect.parse(said(dialect.write(calls)))
    assert pairs(parsed) == calls
    assert (parsed.problem, parsed.formatted, parsed.text) == ("", True, "")
    assert [call.id for call in parsed.calls] == [str(n) for n in range(len(calls))]


@pytest.mark.parametrize("name", DIALECTS)
@given(
    text=st.text()
    | st.text('<>/{}[]()="\\,:fab1\n ')
    | st.lists(
        st.sampled_from(
            [
                "<tool_call>",
                "</tool_call>",
                "<function=f>",
                "</function>",
                "<parameter=a>",
                "</parameter>",
                '{"name": "f"',
                '"arguments": {}}',
                "[",
                "]",
                "f(",
                ")",
                "a=1",
            ]
        )
    ).map("".join)
)
def test_any_text_is_read(name, text):
    parsed = make(name).parse(said(text))
    assert not (parsed.calls and parsed.problem)
    for call in parsed.calls:
        assert isinstance(json.loads(call.arguments), dict)
        assert BOX.run(call).text


@pytest.mark.parametrize("name", DIALECTS)
def test_deep_and_long_texts_are_refused_quickly(name):
    for text in (
        "[" * 50_000,
        "{" * 50_000,
        "(" * 50_000,
        "f(" * 20_000,
        "<tool_call>" * 15_000,
        "<function=a>" * 15_000,
        f"[f(a={'-' * 150_000}1)]",
        f"[f(a={'+'.join('1' * 50_000)})]",
    ):
        assert make(name).parse(said(text)).calls == ()
    assert "the most is 200000" in make(name).parse(said("x" * 200_001)).problem


@pytest.mark.parametrize("name", DIALECTS)
def test_native_calls_come_first_and_plain_text_is_for_the_user(name):
    native = ToolCall(id="call_1", name="book", arguments='{"id": 1}')
    assert make(name).parse(said("Booking.", native)).calls == (native,)
    assert len(make(name).parse(said("", *[native] * 40)).calls) == MAX_CALLS
    plain = make(name).parse(said("Which flight?"))
    assert (plain.calls, plain.text, plain.problem, plain.formatted) == ((), "Which flight?", "", True)
    many = make(name).write([("book", {"id": 1})] * 33)
    assert "33 calls in one message; the most is 32" in make(name).parse(said(many)).problem
    assert "book" in make(name).instructions(BOX.specs)


@pytest.mark.parametrize(
    ("dialect", "text", "calls"),
    [
        (Hermes(), 'Wait.\n<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>\nDone.', [("f", {"a": 1})]),
        (Hermes(), '<tool_call>{"name": "f", "arguments": "{\\"a\\": 1}"}</tool_call>', [("f", {"a": 1})]),
        (JsonCalls(), '{"name": "f", "parameters": {"a": 1}}\n{"name": "g", "parameters": {}}', [("f", {"a": 1}), ("g", {})]),
        (JsonCalls(), '{"name": "f"}', [("f", {})]),
        (PythonCalls(), "f(a=-1, b=['x', None], c={'k': 1.5})", [("f", {"a": -1, "b": ["x", None], "c": {"k": 1.5}})]),
        (PythonCalls(), "[api.f(a=True)]", [("api.f", {"a": True})]),
        (
            Xml(BOX.specs),
            "<function=book>\n<parameter=id>7</parameter><parameter=note>7</parameter>\n</function>",
            [("book", {"id": 7, "note": "7"})],
        ),
    ],
)
def test_forms_found_in_the_wild(dialect, text, calls):
    assert pairs(dialect.parse(said(text))) == calls


@pytest.mark.parametrize(
    ("dialect", "text", "problem"),
    [
        (Hermes(), "<tool_call>{}", "is not closed"),
        (Hermes(), "<tool_call>{}</tool_call>", 'needs the text "name"'),
        (Hermes(), '<tool_call>{"name": "f", "arguments": 3}</tool_call>', 'needs the object "arguments"'),
        (Hermes(), "<tool_call>f(1)</tool_call>", "not one JSON object"),
        (JsonCalls(), '{"name": "f"', "not JSON"),
        (JsonCalls(), "[1]", "a JSON object with name and arguments"),
        (PythonCalls(), "[f(1)]", "Name every argument of f"),
        (PythonCalls(), "[f(**x)]", "Name every argument of f"),
        (PythonCalls(), "[f(a=g())]", "plain values"),
        (PythonCalls(), "[f(a={1})]", "plain values"),
        (PythonCalls(), "[1]", "Every item of the list is a call"),
        (PythonCalls(), "[f()()]", "called by its name"),
        (PythonCalls(), "[f(a=1]", "not a list of calls"),
        (Xml(), "<function=f>", "is not closed"),
    ],
)
def test_what_cannot_be_read_is_told(dialect, text, problem):
    parsed = dialect.parse(said(text))
    assert problem in parsed.problem
    assert (parsed.calls, parsed.formatted) == ((), False)


@pytest.mark.parametrize("depth", [10, 300, 900, 5_000, 50_000])
def test_chains_of_any_length_are_read_or_refused(depth):
    for text in (f"[f{'.a' * depth}(x=1)]", f"[f(x={'[' * depth}{']' * depth})]", f"[f(x={'-' * depth}1)]", f"[f(x={'1+' * depth}1)]"):
        parsed = PythonCalls().parse(said(text))
        assert bool(parsed.calls) != bool(parsed.problem)


def test_python_calls_execute_nothing(tmp_path):
    target = tmp_path / "touched"
    parsed = PythonCalls().parse(said(f"[f(a=open({str(target)!r}, 'w'))]"))
    assert (parsed.calls, target.exists()) == ((), False)


def test_results_are_answered_call_by_call():
    parsed = Hermes().parse(said(Hermes().write([("book", {"id": 1}), ("bok", {})])))
    results = [BOX.run(call) for call in parsed.calls]
    (message,) = answer(parsed, results)
    assert message.role == "user"
    assert message.text.startswith(
        "<tool_response>\n1  None\n</tool_response>\n<tool_response>\nError: there is no tool 'bok'. Did you mean 'book'?"
    )
    native = Hermes().parse(said("", *parsed.calls))
    assert [(m.role, m.tool_call_id, m.text) for m in answer(native, results)] == [("tool", str(n), r.text) for n, r in enumerate(results)]
    with pytest.raises(ValueError, match="zip"):
        answer(parsed, [ToolResult(text="one")])
