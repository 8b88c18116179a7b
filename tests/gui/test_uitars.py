import pytest
from turnwise.envs.gui import actions as a
from turnwise.envs.gui.uitars import UiTarsSyntax

RELATIVE = UiTarsSyntax(1920, 1080)
ABSOLUTE = UiTarsSyntax(1920, 1080, coordinates="absolute")

LITERAL = {
    "click(start_box='<|box_start|>(500,250)<|box_end|>')": a.MouseClick(960.0, 270.0),
    "click(start_box='(500,250)')": a.MouseClick(960.0, 270.0),
    "click(start_box='(500, 250)')": a.MouseClick(960.0, 270.0),
    "click(point='<point>500 250</point>')": a.MouseClick(960.0, 270.0),
    "click(start_box='[400, 200, 600, 300]')": a.MouseClick(960.0, 270.0),
    "click(start_box='(600,300),(400,200)')": a.MouseClick(960.0, 270.0),
    "click(start_box='<bbox>400 200 600 300</bbox>')": a.MouseClick(960.0, 270.0),
    "click(start_box=[400, 200, 600, 300])": a.MouseClick(960.0, 270.0),
    "click((500, 250))": a.MouseClick(960.0, 270.0),
    "click(start_box='(0.5,1000)')": a.MouseClick(0.96, 1080.0),
    "left_single(start_box='(500,250)')": a.MouseClick(960.0, 270.0),
    "left_double(start_box='(500,250)')": a.MouseClick(960.0, 270.0, count=2),
    "right_single(start_box='(500,250)')": a.MouseClick(960.0, 270.0, "right"),
    "hover(start_box='(500,250)')": a.MouseMove(960.0, 270.0),
    "drag(start_box='(0,0)', end_box='(1000,500)')": a.MouseDrag(0.0, 0.0, 1920.0, 540.0),
    "drag(start_point='<point>0 0</point>', end_point='<point>1000 500</point>')": a.MouseDrag(0.0, 0.0, 1920.0, 540.0),
    "select(start_box='(0,0)', end_box='(1000,500)')": a.MouseDrag(0.0, 0.0, 1920.0, 540.0),
    "hotkey(key='ctrl c')": a.KeyPress("Control+c"),
    "hotkey(key='Ctrl+Shift+T')": a.KeyPress("Control+Shift+T"),
    "hotkey(key='ctrl +')": a.KeyPress("Control++"),
    "hotkey(key='pagedown')": a.KeyPress("PageDown"),
    "hotkey(key='arrowleft')": a.KeyPress("ArrowLeft"),
    "hotkey(key='left')": a.KeyPress("ArrowLeft"),
    "hotkey(hotkey='esc')": a.KeyPress("Escape"),
    "hotkey(key='space')": a.KeyPress("Space"),
    r"type(content='it\'s\n')": a.TypeText("it's\n"),
    r"type(content='it's \"me\"\n')": a.TypeText('it\'s "me"\n'),
    "type(content='Action: click(1)')": a.TypeText("Action: click(1)"),
    "scroll(start_box='(500,250)', direction='down')": a.ScrollAt(960.0, 270.0, 0.0, 500.0),
    "scroll(point='<point>500 250</point>', direction='left')": a.ScrollAt(960.0, 270.0, -500.0, 0.0),
    "scroll(direction='Up')": a.Scroll(0.0, -500.0),
    "wait()": a.Noop(5000.0),
    "finished()": a.Finish(""),
    "finished(content='42')": a.Finish("42"),
    "call_user()": a.ReportInfeasible(""),
}


@pytest.mark.parametrize("call", LITERAL)
def test_each_call_has_its_action(call):
    expected = a.Parsed(actions=(LITERAL[call],), thought="I go on.")
    assert RELATIVE.parse(f"Thought: I go on.\nAction: {call}") == expected
    assert RELATIVE.parse(f"Thought: I go on.\n\nAction:\n{call}\n") == expected
    assert RELATIVE.parse(call).actions == (LITERAL[call],)
    assert RELATIVE.parse(RELATIVE.write([LITERAL[call]], "I go on.")) == expected


def test_an_action_that_the_thought_looks_back_on_is_not_done_again():
    text = "Thought: last time\nAction: click(start_box='(1,1)')\nmissed, so again.\nAction: click(start_box='(0,0)')"
    thought = "last time\nAction: click(start_box='(1,1)')\nmissed, so again."
    assert RELATIVE.parse(text) == a.Parsed(actions=(a.MouseClick(0.0, 0.0),), thought=thought)
    assert RELATIVE.parse("**Now**\n**Action:** wait()").thought == "**Now**"
    broken = "Action: click(start_box='(1,1)'\n\nwait()"
    assert "click(start_box='(1,1)' cannot be read: 'wait' where a plain value" in RELATIVE.parse(broken).problem


def test_absolute_coordinates_are_pixels_of_the_resized_image():
    assert ABSOLUTE.space == (1932, 1092)
    (click,) = ABSOLUTE.parse("Action: click(start_box='<|box_start|>(960,540)<|box_end|>')").actions
    assert click == a.MouseClick(954.037, 534.066)
    assert (click.x / 1920, click.y / 1080) == pytest.approx((0.496894, 0.494505), abs=1e-6)
    assert ABSOLUTE.parse("Action: click(start_box='(1932,1092)')").actions == (a.MouseClick(1920.0, 1080.0),)


def test_a_screenshot_of_another_size_than_the_screen():
    retina = UiTarsSyntax(960, 540, coordinates="absolute", image=(1920, 1080))
    assert retina.space == (1932, 1092)
    assert retina.parse("Action: click(start_box='(966,546)')").actions == (a.MouseClick(480.0, 270.0),)


@pytest.mark.parametrize(
    ("pixels", "decimals", "written"),
    [
        ((960.0, 270.0), None, "(500,250)"),
        ((50.0, 50.0), None, "(26.0417,46.296)"),
        ((50.0, 50.0), 0, "(26,46)"),
        ((50.0, 50.0), 1, "(26.0,46.3)"),
    ],
)
def test_coordinates_are_written_as_short_as_allowed(pixels, decimals, written):
    syntax = UiTarsSyntax(1920, 1080, decimals=decimals)
    assert syntax.write([a.MouseClick(*pixels)]) == f"Action: click(start_box='<|box_start|>{written}<|box_end|>')"


@pytest.mark.parametrize(
    "text",
    [
        "Action: click(start_box='(0,0)')\n\ntype(content='a')",
        "Action: click(start_box='(0,0)')\nAction: type(content='a')",
        "Thought: Action: wait() is no use\nAction: click(start_box='(0,0)')\n\n\ntype(content='a')\n",
    ],
)
def test_several_actions(text):
    actions = (a.MouseClick(0.0, 0.0), a.TypeText("a"))
    assert RELATIVE.parse(text).actions == actions
    assert UiTarsSyntax(10, 10, multi=False).parse(text).problem.startswith("2 actions were found in the message; one is allowed.")
    assert RELATIVE.write(actions) == "Action: click(start_box='<|box_start|>(0,0)<|box_end|>')\n\ntype(content='a')"


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ("lick(start_box='(1,2)')", "There is no action 'lick'. Did you mean click? Allowed: click, left_double, "),
        ("press_home()", "There is no action 'press_home'. Allowed: click, "),
        ("I look around.", "No action was found in 'Action: I look around.'. Allowed: "),
        ("click()", "click() cannot be read: start_box is missing. Write it as click(start_box='(x,y)')."),
        ("click(start_box='(1,2)', point='(1,2)')", "start_box is given twice"),
        ("click(box='(1,2)')", "there is no argument 'box'"),
        ("click(start_box='OK button')", "a point is written '(x,y)', not 'OK button'"),
        ("click(start_box='(1,2,3)')", "a point has 2 numbers and a box 4, '(1,2,3)' has 3"),
        ("click(start_box='')", "'' has 0"),
        ("click(start_box=5)", "a point is written '(x,y)', not 5"),
        ("click(start_box=['1', '2'])", "a point is written '(x,y)', not ['1', '2']"),
        ("click(start_box='(1001,2)')", "the point (1001, 2) is outside the screen; allowed: x from 0 to 1000, y from 0 to 1000"),
        ("click(start_box='(-1,2)')", "the point (-1, 2) is outside the screen"),
        (f"click(start_box='({'9' * 150},2)')", "is too large; the most is 1000000"),
        (f"click(start_box='({'9' * 250},2)')", "a point is written '(x,y)', not '(999"),
        ("drag(start_box='(1,2)')", "end_box is missing. Write it as drag(start_box='(x,y)', end_box='(x,y)')."),
        ("scroll(start_box='(1,2)', direction='in')", "direction is one of up, down, left, right, not 'in'"),
        ("hotkey(key='ctrl foo')", "there is no key 'foo'"),
        ("hotkey(key=' ')", "key is empty"),
        ("hotkey(key='a b c d e f')", "6 keys; allowed: 5"),
        ("type(content=5)", "content is a text in quotes, not 5"),
        ("type(content='a", "the text \"'a\" is not closed by '"),
        (r"type(content='\ud800')", "half of a surrogate pair is no text"),
        ("wait(5)", "1 given, at most 0 taken"),
    ],
)
def test_problems_say_what_was_seen_and_what_to_write(call, problem):
    parsed = RELATIVE.parse(f"Thought: t\nAction: {call}".replace("Thought: t\nAction: I", "Action: I"))
    assert problem in parsed.problem
    assert parsed.actions == ()


def test_instructions_hold_each_action_and_the_range():
    for name in ("click", "left_double", "right_single", "hover", "drag", "hotkey", "type", "scroll", "wait", "finished", "call_user"):
        assert f"\n{name}(" in ABSOLUTE.instructions()
    assert "x runs from 0 (left) to 1932, y from 0 (top) to 1092." in ABSOLUTE.instructions()
    assert "separated by blank lines" not in UiTarsSyntax(10, 10, multi=False).instructions()


@pytest.mark.parametrize(
    "action",
    [
        a.Click("5"),
        a.MouseClick(1.0, 2.0, "middle"),
        a.MouseClick(1.0, 2.0, "right", 2),
        a.Noop(1.0),
        a.ScrollAt(1.0, 2.0, 3.0, 4.0),
        a.GoBack(),
    ],
)
def test_what_the_syntax_cannot_say_is_refused(action):
    with pytest.raises(ValueError, match="UI-TARS has no call for"):
        RELATIVE.write([action])
    with pytest.raises(ValueError, match="outside the screen of 1920 x 1080"):
        RELATIVE.write([a.MouseMove(1921.0, 0.0)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0, "height": 5}, "a screen of 0 x 5 pixels"),
        ({"width": 5, "height": 5, "coordinates": "percent"}, "coordinates 'percent'"),
        ({"width": 5, "height": 5000, "coordinates": "absolute"}, "sides are at least 1"),
    ],
)
def test_screens_that_are_none(arguments, message):
    with pytest.raises(ValueError, match=message):
        UiTarsSyntax(**arguments)
