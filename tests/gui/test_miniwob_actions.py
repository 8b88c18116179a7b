import json

import pytest
from turnwise.envs.gui import actions as a
from turnwise.envs.gui.miniwob_actions import ACTION_TYPES, KEYS, MiniWobSyntax

SYNTAX = MiniWobSyntax([("user", "bob"), ("password", "x1")])
MULTI = MiniWobSyntax(multi=True)

LITERAL = [
    ({"action_type": "NONE"}, [a.Noop(0.0)]),
    ({"action_type": "MOVE_COORDS", "coords": [10, 20.5]}, [a.MouseMove(10.0, 20.5)]),
    ({"action_type": "CLICK_COORDS", "coords": [10, 20]}, [a.MouseClick(10.0, 20.0)]),
    ({"action_type": "DBLCLICK_COORDS", "coords": [160, 210]}, [a.MouseClick(160.0, 210.0, count=2)]),
    ({"action_type": "MOUSEDOWN_COORDS", "coords": [0, 0]}, [a.MouseDown(0.0, 0.0)]),
    ({"action_type": "MOUSEUP_COORDS", "coords": [1, 2]}, [a.MouseUp(1.0, 2.0)]),
    ({"action_type": "SCROLL_UP_COORDS", "coords": [1, 2]}, [a.ScrollAt(1.0, 2.0, 0.0, -50.0)]),
    ({"action_type": "SCROLL_DOWN_COORDS", "coords": [1, 2]}, [a.ScrollAt(1.0, 2.0, 0.0, 50.0)]),
    ({"action_type": "CLICK_ELEMENT", "ref": 5}, [a.Click("5")]),
    ({"action_type": "PRESS_KEY", "key": "C-a"}, [a.KeyPress("Control+a")]),
    ({"action_type": "TYPE_TEXT", "text": "a\n"}, [a.TypeText("a\n")]),
    ({"action_type": "TYPE_FIELD", "field": "user"}, [a.TypeText("bob")]),
    ({"action_type": "FOCUS_ELEMENT_AND_TYPE_TEXT", "ref": -3, "text": ""}, [a.Click("-3"), a.TypeText("")]),
    ({"action_type": "FOCUS_ELEMENT_AND_TYPE_FIELD", "ref": 2, "field": 1}, [a.Click("2"), a.TypeText("x1")]),
]


@pytest.mark.parametrize(("value", "actions"), LITERAL)
def test_each_type_has_its_actions(value, actions):
    by_number = {**value, "action_type": ACTION_TYPES.index(value["action_type"])}
    for text in (json.dumps(value), json.dumps(by_number), json.dumps({**value, "action_type": value["action_type"].lower()})):
        assert SYNTAX.parse(text) == a.Parsed(actions=tuple(actions))
    if "field" not in value:
        assert json.loads(SYNTAX.write(actions)) == value


def test_types_and_keys_are_those_of_the_package():
    assert len(LITERAL) == len(ACTION_TYPES) == 14
    assert (KEYS[0], KEYS[11], KEYS[48], KEYS[74], KEYS[-1], len(KEYS)) == ("<Enter>", "[", "a", "C-a", "Z", 104)
    constants = pytest.importorskip("miniwob.constants")
    action = pytest.importorskip("miniwob.action")
    assert KEYS == constants.DEFAULT_ALLOWED_KEYS
    assert list(ACTION_TYPES) == [t.value for t in action.ActionSpaceConfig.get_preset("all_supported").action_types]


@pytest.mark.parametrize("number", range(104))
def test_each_key_has_a_name_of_playwright(number):
    (press,) = SYNTAX.parse(json.dumps({"action_type": "PRESS_KEY", "key": number})).actions
    assert SYNTAX.parse(json.dumps({"action_type": "PRESS_KEY", "key": KEYS[number]})).actions == (press,)
    assert json.loads(SYNTAX.write([press]))["key"] == KEYS[number]


@pytest.mark.parametrize(
    ("key", "press"),
    [
        ("<Enter>", "Enter"),
        ("Enter", "Enter"),
        ("S-<Tab>", "Shift+Tab"),
        ("C-S-t", "Control+Shift+t"),
        ("C--", "Control+-"),
        ("C-+", "Control++"),
        ("<", "<"),
        ("<Numpad0>", "Numpad0"),
    ],
)
def test_keys(key, press):
    assert SYNTAX.parse(json.dumps({"action_type": "PRESS_KEY", "key": key})).actions == (a.KeyPress(press),)


def test_a_thought_and_a_block_around_the_object():
    parsed = SYNTAX.parse('I see {it}.\n```json\n{"action_type": "CLICK_ELEMENT", "ref": "7"}\n```')
    assert parsed == a.Parsed(actions=(a.Click("7"),), thought="I see {it}.")
    assert SYNTAX.parse('Now {it}: {"action_type": "NONE"} done').actions == (a.Noop(0.0),)
    assert SYNTAX.parse('The form is {"user": "bob"}. {"action_type": "NONE"}').actions == (a.Noop(0.0),)


def test_several_objects_need_multi():
    text = '[{"action_type": "NONE"}, {"action_type": "CLICK_ELEMENT", "ref": 1}]'
    assert MULTI.parse(text) == a.Parsed(actions=(a.Noop(0.0), a.Click("1")))
    assert MULTI.parse(text[1:-1]).actions == (a.Noop(0.0), a.Click("1"))
    assert SYNTAX.parse(text).problem == "2 actions were found in the message; one is allowed. Write only what is to be done next."
    assert MULTI.write([a.Noop(0.0), a.Click("1")]) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("click 5", "No JSON object was found in 'click 5'. Write one JSON object, for example {"),
        ("{'action_type': 'NONE'}", "(Expecting property name enclosed in double quotes)"),
        ('{"ref": 5}', '{"ref": 5} cannot be read: the object has no action_type.'),
        ('{"action_type": "CLIK_ELEMENT"}', "there is no action_type 'CLIK_ELEMENT'. Did you mean CLICK_ELEMENT? The types: NONE, "),
        ('{"action_type": 14}', "there is no action_type 14"),
        ('{"action_type": true}', "there is no action_type True"),
        ('{"action_type": ["NONE"]}', "there is no action_type ['NONE']"),
        ('{"action_type": "CLICK_ELEMENT"}', "CLICK_ELEMENT needs ref; ref is missing"),
        ('{"action_type": "CLICK_ELEMENT", "ref": "a"}', "ref is an element's number as the page lists it, not 'a'"),
        ('{"action_type": "CLICK_ELEMENT", "ref": 1.5}', "not 1.5"),
        ('{"action_type": "CLICK_ELEMENT", "ref": 10000000}', "not 10000000"),
        ('{"action_type": "CLICK_COORDS", "coords": [1]}', "coords are two numbers [x, y], not [1]"),
        ('{"action_type": "CLICK_COORDS", "coords": [1, "2"]}', "coords are two numbers [x, y], not [1, '2']"),
        ('{"action_type": "CLICK_COORDS", "coords": [1, NaN]}', "not [1, nan]"),
        ('{"action_type": "CLICK_COORDS", "coords": [1, 1e999]}', "not [1, inf]"),
        ('{"action_type": "CLICK_COORDS", "coords": {"x": 1}}', "not {'x': 1}"),
        ('{"action_type": "CLICK_COORDS", "coords": [161, 0]}', "the point (161, 0) is outside the screen; allowed: x from 0 to 160,"),
        ('{"action_type": "PRESS_KEY", "key": "<Entr>"}', "there is no key 'Entr'. Did you mean Enter?"),
        ('{"action_type": "PRESS_KEY", "key": "C-"}', "there is no key 'C-'"),
        ('{"action_type": "PRESS_KEY", "key": 104}', "or a number from 0 to 103, not 104"),
        ('{"action_type": "TYPE_TEXT", "text": 5}', "text is a text in double quotes, not 5"),
        ('{"action_type": "TYPE_TEXT", "text": "\\ud800"}', "half of a surrogate pair is no text"),
        ('{"action_type": "TYPE_FIELD", "field": "usr"}', "field is one of 'user, password', or its number from 0 to 1, not 'usr'"),
        ('{"action_type": "TYPE_FIELD", "field": 2}', "from 0 to 1, not 2"),
    ],
)
def test_problems_say_what_was_seen_and_what_to_write(text, problem):
    parsed = SYNTAX.parse(text)
    assert problem in parsed.problem
    assert parsed.actions == ()


def test_a_task_without_fields_has_none_to_type():
    assert "this task has no fields" in MULTI.parse('{"action_type": "TYPE_FIELD", "field": 0}').problem
    assert "FIELD" not in MULTI.instructions()
    assert '{"action_type": "TYPE_FIELD", "field": "..."}' in SYNTAX.instructions()
    assert 'field is one of "user", "password"; its value is typed.' in SYNTAX.instructions()


def test_instructions_hold_each_type():
    for name in ACTION_TYPES:
        assert f'{{"action_type": "{name}"' in SYNTAX.instructions()
    assert '{"action_type": "CLICK_COORDS", "coords": [x, y]}' in SYNTAX.instructions()
    assert "x from 0 to 160 and y from 0 to 210" in SYNTAX.instructions()


@pytest.mark.parametrize(
    "action",
    [
        a.Click("a5"),
        a.Click("05"),
        a.Click("5", "right"),
        a.Click("5", count=2),
        a.MouseDown(1.0, 2.0, "right"),
        a.ScrollAt(1.0, 2.0, 0.0, 51.0),
        a.KeyPress("a+b"),
        a.KeyPress("ControlOrMeta+a"),
        a.Noop(),
    ],
)
def test_what_the_types_cannot_say_is_refused(action):
    with pytest.raises(ValueError, match=r"MiniWoB\+\+ has no way to write"):
        SYNTAX.write([action])
