import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.envs.gui.calls import action_part, choose, find_calls, unescaped

KNOWN = {"click", "fill"}


def one(text):
    (call,) = find_calls(text, KNOWN)
    return call


@pytest.mark.parametrize(
    "written",
    [
        "'a'",
        '"it\'s"',
        r"'it\'s'",
        "'a' \"b\"'c'",
        "'''it's\n'two' lines'''",
        '"""a"b"""',
        "''",
        "12",
        "-12.5",
        "+3",
        "1e3",
        ".5",
        "True",
        "None",
        "[]",
        "['a', 2, None,]",
        "(1, 2)",
        "('a',)",
        "('a')",
        r"'\x41\u00e9\U0001f600\101\t\\n'",
    ],
)
def test_values_are_those_of_python(written):
    value = ast.literal_eval(written)
    assert one(f"click({written})").args == ([*value] if isinstance(value, tuple) else value,)


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_is_read_as_python_reads_it(text):
    assert one(f"click({text!r}, x={text!r})").args == (text,)
    assert one(f"click({text!r}, x={text!r})").kwargs == {"x": text}


@pytest.mark.parametrize(
    ("inside", "meant"), [(r"\d\q", r"\d\q"), (r"\N{DIGIT ONE}", r"\N{DIGIT ONE}"), (r"\UFFFFFFFF", r"\UFFFFFFFF"), ("a\\\nb", "ab")]
)
def test_escapes_that_python_does_not_know_stay(inside, meant):
    assert unescaped(inside) == meant


def test_a_raw_line_feed_and_joined_surrogates_are_text():
    assert one("fill('1', \"two\nlines\")").args == ("1", "two\nlines")
    assert one(r"fill('1', '\ud83d\ude00')").args == ("1", "😀")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("click(", "the bracket is not closed by )"),
        ("click('1'", "the bracket is not closed by )"),
        ("click('1)", "the text \"'1)\" is not closed by '"),
        ("click(12a)", "'a' where a plain value or , or ) is expected; texts stand in quotes"),
        ("click(a12)", "'a12' where a plain value"),
        ("click(f'{x}')", "'f' where a plain value"),
        ("click(b'1')", "'b' where a plain value"),
        ("click({'a': 1})", "'{' where a plain value"),
        ("click(10**10000)", "'*' where a plain value"),
        ("click([[1]])", "'[' where a plain value"),
        ("click(1 2)", "'2' where a plain value"),
        ("click(a=1, 2)", "an argument without a name follows one with a name"),
        ("click(a=1, a=2)", "the argument 'a' is given twice"),
        ("click(1000001)", "the number 1000001 is too large; the most is 1000000"),
        ("click(1e999)", "the number 1e999 is too large"),
        ("click(" + "9" * 5000 + ")", "the number 99999999999999999999… is too large"),
        ("click(" + "1, " * 201 + ")", "over 200 arguments"),
        ("click([" + "1, " * 201 + "])", "a list of over 200 items"),
        (r"click('\ud800')", "half of a surrogate pair is no text"),
        ("click('\ud800')", "half of a surrogate pair is no text"),
        ("click(\x1b)", r"'\x1b' where a plain value"),
    ],
)
def test_arguments_that_are_no_plain_values(text, problem):
    call = find_calls(text, KNOWN)[0]
    assert problem in call.problem
    assert (call.args, call.kwargs) == ((), {})
    assert find_calls(text.replace("click", "prose"), KNOWN) == []


@pytest.mark.parametrize(
    ("text", "leading"),
    [
        ("click('1')", ["click"]),
        ("  - click('1')\n2. fill('2')\n>>> click('3')", ["click", "fill", "click"]),
        ("Action: click('1')", ["click"]),
        ("**Action:** `click('1')`", ["click"]),
        ("<action>click('1')</action>", ["click"]),
        ("click('1'); fill('2') fill('3'),click('4')", ["click", "fill", "fill", "click"]),
        ("I will click('1')", []),
        ("click('1') and then fill('2')", ["click"]),
        ("click('1')  # not fill('2')", ["click"]),
        ("# click('1')", []),
        ("page.click('1')", []),
        ("点击click('1')", []),
    ],
)
def test_calls_that_lead_their_line(text, leading):
    assert [call.name for call in find_calls(text, KNOWN) if call.leads] == leading


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("I could click('3').\nclick('4')", [("4",)]),
        ("In summary, the next action is ```click('12')```", [("12",)]),
        ("Element(5) is it, so click('5')", [("5",)]),
        ("pres('1')\nclick('2')", [("1",), ("2",)]),
        ("pres('1')", [("1",)]),
        ("the element(s) of f(x)", []),
        ("  # so click('1')", []),
        ("fill('1', 'then click(\\'2\\')')", [("1", "then click('2')")]),
    ],
)
def test_which_calls_are_meant(text, meant):
    assert [call.args for call in choose(find_calls(text, KNOWN), KNOWN)] == meant


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("click('1')", ("", "click('1')")),
        ("Why.\n```\nclick('1')\n```", ("Why.\n", "\nclick('1')\n")),
        ("Why.\n```python\nclick('1')\n```\nThat is all.", ("Why.\n", "\nclick('1')\n")),
        ("```\na\n```\nor\n```\nb\n```\n", ("```\na\n```\nor\n", "\nb\n")),
        ("an open\n```\nand\n```\nb\n```", ("an open\n```\nand\n", "\nb\n")),
        ("```\na\n```\nor\n```\nb", ("```\na\n```\nor\n", "\nb")),
        ("<think>x</think>\n<action>\nclick('1')\n</action>", ("<think>x</think>\n", "\nclick('1')\n")),
        ("<action>click('1')", ("", "click('1')")),
        ("```\na\n```\n<action>b</action> c", ("```\na\n```\n", "b")),
        ("it says ``` and ```", ("", "it says ``` and ```")),
    ],
)
def test_where_the_actions_stand(text, part):
    assert action_part(text) == part


def test_the_source_of_a_call_is_cut():
    assert one("so click('1')").source == "click('1')"
    assert one(f"click('{'x' * 200}')").source == f"click('{'x' * 73}…"
    assert find_calls("click(\nx", KNOWN)[0].source == "click("
