"""What holds for every way of writing actions: any text is read, in bounded time, and what is written is read back."""

import dataclasses
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.envs.gui import actions as a
from turnwise.envs.gui.browsergym import SIGNATURES, SUBSETS, BrowserGymSyntax
from turnwise.envs.gui.keys import NAMED, check_keys
from turnwise.envs.gui.miniwob_actions import MiniWobSyntax
from turnwise.envs.gui.uitars import UiTarsSyntax

SYNTAXES = {
    "browsergym": BrowserGymSyntax(SUBSETS, multi=True),
    "browsergym one": BrowserGymSyntax(SUBSETS, screen=(320, 240)),
    "miniwob": MiniWobSyntax([("user", "bob")], multi=True),
    "miniwob one": MiniWobSyntax(),
    "uitars": UiTarsSyntax(1280, 720),
    "uitars absolute": UiTarsSyntax(1920, 1080, coordinates="absolute", multi=False),
}
CUT = 2_000
"""No message to an agent is longer."""

TEXT = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(
    [
        "",
        "\n",
        "a'b\"c\\",
        "\\n",
        "'''",
        '"""',
        "Action: click('1')",
        "```\nclick('9')\n```",
        "</action>",
        "\0\x1b\u202e\ufeff",
        "😀",
        "{",
        "%s",
    ]
)
ID = st.text("abcZ019", min_size=1, max_size=5)
XY = st.integers(0, 160_000).map(lambda n: n / 1000)
DELTA = st.floats(-1e5, 1e5)
BUTTON = st.sampled_from(a.BUTTONS)
MODIFIERS = st.lists(st.sampled_from(a.MODIFIERS), max_size=3).map(tuple)
FILES = st.lists(TEXT, max_size=3).map(tuple)
KEY = st.sampled_from([*NAMED, *map(chr, range(33, 127))])
PLAIN = [m for m in a.MODIFIERS if m != "ControlOrMeta"]
KEYS = st.builds(lambda held, key: "+".join([*held, key]), st.lists(st.sampled_from(PLAIN), max_size=3), KEY)

COMMON = [
    st.builds(a.MouseMove, XY, XY),
    st.builds(a.MouseClick, XY, XY, st.just("left"), st.sampled_from([1, 2])),
    st.builds(a.KeyPress, KEYS),
    st.builds(a.TypeText, TEXT),
]
STRATEGIES = {
    "browsergym": st.one_of(
        *COMMON,
        st.builds(a.Click, ID, BUTTON, MODIFIERS, st.sampled_from([1, 2])),
        *(st.builds(made, ID) for made in (a.Hover, a.Focus, a.Clear, a.Check, a.Uncheck)),
        st.builds(a.Fill, ID, TEXT, st.booleans()),
        st.builds(a.SelectOption, ID, FILES),
        st.builds(a.Press, ID, KEYS),
        st.builds(a.DragAndDrop, ID, ID),
        st.builds(a.Scroll, DELTA, DELTA),
        st.builds(a.UploadFile, ID, FILES),
        st.builds(a.MouseDown, XY, XY, BUTTON),
        st.builds(a.MouseUp, XY, XY, BUTTON),
        st.builds(a.MouseClick, XY, XY, BUTTON, st.sampled_from([1, 2])),
        st.builds(a.MouseDrag, XY, XY, XY, XY),
        st.builds(a.ScrollAt, XY, XY, DELTA, DELTA),
        st.builds(a.MouseUploadFile, XY, XY, FILES),
        st.builds(a.KeyDown, KEY),
        st.builds(a.KeyUp, KEY),
        st.builds(a.InsertText, TEXT),
        st.builds(a.Goto, TEXT),
        st.sampled_from([a.GoBack(), a.GoForward(), a.NewTab(), a.CloseTab(), a.FocusTab(3)]),
        st.builds(a.SendMessage, TEXT),
        st.builds(a.ReportInfeasible, TEXT),
        st.builds(a.Noop, st.floats(0, 10_000)),
    ),
    "miniwob": st.one_of(
        *COMMON,
        st.builds(a.Click, st.integers(-999_999, 999_999).map(str)),
        st.builds(a.MouseDown, XY, XY),
        st.builds(a.MouseUp, XY, XY),
        st.builds(a.ScrollAt, XY, XY, st.just(0.0), st.sampled_from([-50.0, 50.0])),
        st.just(a.Noop(0.0)),
    ),
    "uitars": st.one_of(
        *COMMON,
        st.builds(a.MouseClick, XY, XY, st.just("right")),
        st.builds(a.MouseDrag, XY, XY, XY, XY),
        st.builds(a.ScrollAt, XY, XY, st.sampled_from([-500.0, 500.0]), st.just(0.0)),
        st.builds(a.Scroll, st.just(0.0), st.sampled_from([-500.0, 500.0])),
        st.just(a.Noop(5000.0)),
        st.builds(a.Finish, TEXT),
        st.builds(a.ReportInfeasible, TEXT),
    ),
}
PIECES = st.lists(
    st.sampled_from(
        [
            *(f"{s.name}(" for s in SIGNATURES),
            *(
                "type(content=",
                "drag(start_box=",
                "hotkey(key=",
                "finished(",
                "Action:",
                "Thought:",
                "<point>1 2</point>",
                "'(1,2)'",
                "(1,2)",
            ),
            *('{"action_type": ', '"CLICK_ELEMENT"', "8", ', "ref": 1', ', "coords": [1,', ', "key": "C-', "}", "[", "]", "{", ":", '"'),
            *("'", '"', "'a'", '"b"', "'''", "\\", ")", "(", ",", "=", "bid=", "button='left'", "1e9", "-", "None", "#", ";", "\n", " "),
            *("```", "\n```\n", "<action>", "</action>", "\0", "\ud800", "\u202e", "9" * 30),
        ]
    ),
    max_size=25,
).map("".join)


def checked(syntax, text):
    parsed = syntax.parse(text)
    assert bool(parsed.actions) != bool(parsed.problem)
    assert len(parsed.problem) <= CUT
    assert parsed.problem.isprintable()
    if parsed.actions:
        assert len(parsed.actions) <= 2 * (a.MAX_ACTIONS if syntax.multi else 1)
        for action in parsed.actions:
            json.dumps(dataclasses.asdict(action), ensure_ascii=False, allow_nan=False).encode()
    return parsed


@pytest.mark.parametrize("name", SYNTAXES)
@given(text=st.text(st.characters(exclude_categories=[])) | PIECES)
@settings(max_examples=150, deadline=None)
def test_any_text_is_read(name, text):
    checked(SYNTAXES[name], text)


@pytest.mark.parametrize("name", STRATEGIES)
@given(data=st.data(), thought=TEXT)
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read_back(name, data, thought):
    written = data.draw(st.lists(STRATEGIES[name], min_size=1, max_size=4))
    parsed = SYNTAXES[name].parse(SYNTAXES[name].write(written, thought))
    assert (parsed.actions, parsed.problem) == (tuple(written), "")


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_thought_is_what_stands_before(name):
    syntax = SYNTAXES[name]
    action = a.TypeText("x")
    assert syntax.parse(syntax.write([action], "The field has the focus.")) == a.Parsed(
        actions=(action,), thought="The field has the focus."
    )
    assert syntax.parse(syntax.write([action])) == a.Parsed(actions=(action,))


HOSTILE = {
    "letters": "a" * 200_000,
    "spaces": " " * 200_000,
    "line feeds": "\n" * 200_000,
    "null": "click('1\0')\0" * 10_000,
    "surrogates": "\ud800\udc00\udfff" * 60_000,
    "brackets": "click(" + "[" * 190_000,
    "calls in calls": "click(" * 33_000,
    "braces": "{" * 200_000,
    "objects in objects": '{"action_type":' * 13_000,
    "lists in an object": '{"action_type": "CLICK_COORDS", "coords": ' + "[" * 90_000 + "]" * 90_000 + "}",
    "open texts": "click('" * 28_000,
    "open texts after backslashes": "fill('" + "\\" * 199_001,
    "open long texts": "fill('''" * 25_000,
    "quotes": "fill(" + "'" * 199_001,
    "adjacent texts": "fill('1', " + "'a' " * 40_000,
    "arguments": "click(" + "1," * 90_000 + ")",
    "minus": "click(" + "-" * 190_000 + "1)",
    "attributes": "click(a" + ".b" * 90_000 + ")",
    "digits": "mouse_click(" + "9" * 190_000 + ", 1)",
    "JSON digits": '{"action_type": ' + "9" * 190_000 + "}",
    "power": "click(10**10000)",
    "fences": "```\n" * 50_000,
    "tags": "<action>\n" * 22_000,
    "Action": "Action:\n" * 25_000,
    "unknown calls": "foo(1)\n" * 28_000,
    "known calls": "click('1')\n" * 18_000,
    "points": "click(start_box='" + "1 " * 90_000 + "')",
    "box tokens": "click(start_box='" + "<|box_start|>" * 15_000 + "')",
    "keys": "hotkey(key='" + "a+" * 90_000 + "')",
    "unescaped": "type(content='it" + "'s x) " * 33_000,
    "unescaped and open": "type(content='it's" + "' " * 90_000,
    "stars": "*" * 199_000 + "action",
    "spaces after Action": ("action" + " " * 100) * 1_800,
    "escapes in open texts": "click('" * 100 + "\\a" * 99_000,
    "too long": "click('1')" * 30_000,
}


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("name", SYNTAXES)
def test_long_and_deep_texts_are_refused_in_bounded_time(name, hostile):
    begun = time.process_time()
    parsed = checked(SYNTAXES[name], HOSTILE[hostile])
    assert time.process_time() - begun < 2.0
    assert parsed.problem


@pytest.mark.parametrize("name", SYNTAXES)
def test_an_empty_message_says_what_to_write(name):
    assert "The message is empty. " in SYNTAXES[name].parse(" \n").problem
    assert "rite " in SYNTAXES[name].parse("").problem


@pytest.mark.parametrize("name", SYNTAXES)
def test_what_cannot_be_written_is_refused(name):
    with pytest.raises(ValueError, match="0 actions"):
        SYNTAXES[name].write([])
    with pytest.raises(ValueError, match="33 actions" if SYNTAXES[name].multi else "33 actions for one message; allowed: 1 "):
        SYNTAXES[name].write([a.TypeText("x")] * 33)
    with pytest.raises(ValueError, match="Scroll"):
        SYNTAXES[name].write([a.Scroll(1.0, 2.0, id="3")])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("", "there is no key ''"),
        ("Entr", "Did you mean Enter?"),
        ("ctrl", "Did you mean Control?"),
        ("Control+", "there is no key ''"),
        ("é", "there is no key 'é'"),
        ("\n", r"there is no key '\n'"),
        ("a+b+c+d+e+f", "6 keys; allowed: 5"),
        ("\ud800", "half of a surrogate pair"),
        ("x" * 300, "300 characters"),
    ],
)
def test_keys_that_no_keyboard_has(keys, message):
    with pytest.raises(a.Unreadable) as caught:
        check_keys(keys)
    assert message in str(caught.value)


def test_keys_are_those_of_playwright():
    assert [check_keys(k) for k in ("a", "Enter", "Control++", "+", "Control+Shift+t", " ", "Shift+ ")] == [
        *("a", "Enter", "Control++", "+", "Control+Shift+t", "Space", "Shift+Space")
    ]
    assert len(NAMED) == len(set(NAMED))


def test_messages_are_cut_and_escaped():
    assert a.shown("a\x1b\n" + "b" * 500, 10) == r"'a\x1b\nbbbbbbb…' (503 characters)"
    assert a.shown("\u202e\ud800") == r"'\u202e\ud800'"
    assert a.shown([1] * 100, 10) == "[1, 1, 1, … (300 characters)"
    assert a.escaped("tab\there\0") == r"tab\there\x00"
