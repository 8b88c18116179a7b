import pytest
from turnwise.envs.gui import actions as a
from turnwise.envs.gui.browsergym import SIGNATURES, SUBSETS, BrowserGymSyntax

ALL = BrowserGymSyntax(SUBSETS, multi=True)
ONE = BrowserGymSyntax(SUBSETS)

LITERAL = {
    "noop()": a.Noop(1000.0),
    "noop(500)": a.Noop(500.0),
    "send_msg_to_user('It was built in 1751.')": a.SendMessage("It was built in 1751."),
    "report_infeasible('There is no email field.')": a.ReportInfeasible("There is no email field."),
    "scroll(-50.2, -100.5)": a.Scroll(-50.2, -100.5),
    "fill('237', 'example value')": a.Fill("237", "example value"),
    r'fill("a5", "multi-line\nexample")': a.Fill("a5", "multi-line\nexample"),
    r'fill("a12", "example with \"quotes\"")': a.Fill("a12", 'example with "quotes"'),
    "fill('b534', 'Montre', True)": a.Fill("b534", "Montre", True),
    "fill(bid='b534', value='Montre', enable_autocomplete_menu=True)": a.Fill("b534", "Montre", True),
    "select_option('a48', 'blue')": a.SelectOption("a48", ("blue",)),
    "select_option('c48', ['red', 'green', 'blue'])": a.SelectOption("c48", ("red", "green", "blue")),
    "click('a51')": a.Click("a51"),
    "click('b22', button='right')": a.Click("b22", "right"),
    "click('48', button='middle', modifiers=['Shift'])": a.Click("48", "middle", ("Shift",)),
    "dblclick('178', 'middle', ['ControlOrMeta', 'Alt'])": a.Click("178", "middle", ("ControlOrMeta", "Alt"), 2),
    "hover('b8')": a.Hover("b8"),
    "press('a26', 'Control+a')": a.Press("a26", "Control+a"),
    "press('88', 'Backspace')": a.Press("88", "Backspace"),
    "focus('b455')": a.Focus("b455"),
    "clear('996')": a.Clear("996"),
    "check('55')": a.Check("55"),
    "uncheck('a5289')": a.Uncheck("a5289"),
    "drag_and_drop('56', '498')": a.DragAndDrop("56", "498"),
    "upload_file('572', 'my_receipt.pdf')": a.UploadFile("572", ("my_receipt.pdf",)),
    "upload_file('63', [])": a.UploadFile("63", ()),
    "scroll_at(10, 20, 0, -100)": a.ScrollAt(10.0, 20.0, 0.0, -100.0),
    "mouse_move(65.2, 158.5)": a.MouseMove(65.2, 158.5),
    "mouse_up(47, 252, 'right')": a.MouseUp(47.0, 252.0, "right"),
    "mouse_down(458, 254.5, 'middle')": a.MouseDown(458.0, 254.5, "middle"),
    "mouse_click(887.2, 68)": a.MouseClick(887.2, 68.0),
    "mouse_click(10, 20, button='right')": a.MouseClick(10.0, 20.0, "right"),
    "mouse_dblclick(87.5, 354, 'right')": a.MouseClick(87.5, 354.0, "right", 2),
    "mouse_drag_and_drop(10.7, 325, 235.6, 24.54)": a.MouseDrag(10.7, 325.0, 235.6, 24.54),
    "mouse_upload_file(328, 812, ['a.jpg', 'b.zip'])": a.MouseUploadFile(328.0, 812.0, ("a.jpg", "b.zip")),
    "keyboard_down('Shift')": a.KeyDown("Shift"),
    "keyboard_up('c')": a.KeyUp("c"),
    "keyboard_press('Meta+Shift+t')": a.KeyPress("Meta+Shift+t"),
    "keyboard_type('Hello world!')": a.TypeText("Hello world!"),
    "keyboard_insert_text('Hello world!')": a.InsertText("Hello world!"),
    "goto('http://www.example.com')": a.Goto("http://www.example.com"),
    "go_back()": a.GoBack(),
    "go_forward()": a.GoForward(),
    "tab_close()": a.CloseTab(),
    "tab_focus(2)": a.FocusTab(2),
    "new_tab()": a.NewTab(),
}


@pytest.mark.parametrize("text", LITERAL)
def test_each_call_has_its_action(text):
    assert ONE.parse(text) == a.Parsed(actions=(LITERAL[text],))
    assert ONE.parse(ONE.write([LITERAL[text]])).actions == (LITERAL[text],)


def test_each_signature_has_an_example():
    assert {text.split("(")[0] for text in LITERAL} == {signature.name for signature in SIGNATURES}


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (a.Click("a1"), "click('a1')"),
        (a.Click("a1", modifiers=("Shift",)), "click('a1', modifiers=['Shift'])"),
        (a.Click("a1", "right", count=2), "dblclick('a1', 'right')"),
        (a.Fill("a1", "it's"), "fill('a1', \"it's\")"),
        (a.MouseClick(10.0, 20.5), "mouse_click(10, 20.5)"),
        (a.SelectOption("a1", ("x",)), "select_option('a1', 'x')"),
        (a.SelectOption("a1", ("x", "y")), "select_option('a1', ['x', 'y'])"),
        (a.Noop(), "noop()"),
    ],
)
def test_calls_are_written_short(action, text):
    assert ONE.write([action]) == text


def test_several_calls_need_multi():
    text = "I do both.\nclick('1'); fill('2', 'a;b')\nclick('3')"
    actions = (a.Click("1"), a.Fill("2", "a;b"), a.Click("3"))
    assert ALL.parse(text) == a.Parsed(actions=actions, thought="I do both.")
    assert ALL.write(actions, "I do both.") == "I do both.\n```\nclick('1')\nfill('2', 'a;b')\nclick('3')\n```"
    problem = "3 actions were found in the message; one is allowed. Write only what is to be done next."
    assert ONE.parse(text) == a.Parsed(thought="I do both.", problem=problem)
    assert ALL.parse("click('1')\n" * 33).problem.startswith("33 actions were found in the message; at most 32 are allowed.")


def test_one_unreadable_call_spoils_the_others():
    parsed = ALL.parse("click('1')\nclick(2)")
    assert parsed.actions == ()
    assert "click(2) cannot be read: bid is an element's id in quotes, such as '12', not 2. Write it as click(bid: str, " in parsed.problem


def test_calls_outside_an_empty_block_are_found():
    assert ONE.parse("```json\n{\"plan\": 1}\n```\nclick('1')").actions == (a.Click("1"),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("clik('12')", "There is no action 'clik'. Did you mean click? Allowed: noop, "),
        ("Click('12')", "Did you mean click?"),
        ("mouse_click(1, 2)", "The action mouse_click is not allowed here. Allowed: noop, send_msg_to_user, "),
        ("I press the button.", "No action was found in 'I press the button.'. Allowed: "),
        ("fill('a5')", "fill('a5') cannot be read: value is missing. Write it as fill(bid: str, value: str, "),
        ("fill('a5', 5)", "value is a text in quotes, not 5."),
        ("click()", "bid is missing"),
        ("click('')", "bid is an element's id as the page lists it, not ''"),
        ("click('1\\n')", r"bid is an element's id as the page lists it, not '1\n'"),
        ("click('1', 'left', [], 1)", "4 given, at most 3 taken"),
        ("go_back(1)", "1 given, at most 0 taken"),
        ("click('1', bid='2')", "bid is given twice"),
        ("click('1', buton='left')", "there is no argument 'buton'. Did you mean button? Write it as"),
        ("click('1', 'rigth')", "button is one of 'left', 'middle', 'right', not 'rigth'. Did you mean right? Write it as"),
        ("click('1', modifiers='Shift')", "modifiers is a list such as ['Shift'], not 'Shift'"),
        ("click('1', modifiers=['Ctrl'])", "'Shift', not 'Ctrl'"),
        ("press('1', 'Entr')", "key_comb: there is no key 'Entr'. Did you mean Enter?"),
        ("scroll(True, 0)", "delta_x is a number, not True"),
        ("fill('1', 'a', 1)", "enable_autocomplete_menu is True or False, not 1"),
        ("select_option('1', [1])", "options is a text in quotes or a list of them, not [1]"),
        ("tab_focus(-1)", "index is a whole number from 0, not -1"),
        ("tab_focus(1.0)", "index is a whole number from 0, not 1.0"),
        ("noop(10001)", "wait_ms is from 0 to 10000 milliseconds, not 10001"),
        ("click(10**10000)", "'*' where a plain value"),
        ("fill('1', '\x1b[0m", r"fill('1', '\x1b[0m cannot be read: the text"),
    ],
)
def test_problems_say_what_was_seen_and_what_to_write(text, problem):
    parsed = BrowserGymSyntax().parse(text)
    assert problem in parsed.problem
    assert parsed.actions == ()


def test_subsets_are_those_of_browsergym():
    def names(*subsets):
        return [signature.name for signature in BrowserGymSyntax(subsets).allowed]

    assert names("nav") == ["noop", "goto", "go_back", "go_forward"]
    assert names("coord")[:3] == ["noop", "scroll_at", "mouse_move"]
    assert names("tab", "chat", "infeas") == ["noop", "send_msg_to_user", "report_infeasible", "tab_close", "tab_focus", "new_tab"]
    assert len(names(*SUBSETS)) == len(SIGNATURES) == 35
    with pytest.raises(ValueError, match=r"no action subset 'coords'\. Did you mean coord\?"):
        BrowserGymSyntax(("bid", "coords"))


def test_points_outside_a_known_screen_are_a_problem():
    bounded = BrowserGymSyntax(("coord",), screen=(320, 240))
    assert bounded.parse("mouse_click(320, 240)").actions == (a.MouseClick(320.0, 240.0),)
    outside = bounded.parse("mouse_drag_and_drop(0, 0, 320.5, 1)")
    assert "the point (320.5, 1) is outside the screen; allowed: x from 0 to 320, y from 0 to 240" in outside.problem
    assert BrowserGymSyntax(("coord",)).parse("mouse_move(-5, 9000)").actions == (a.MouseMove(-5.0, 9000.0),)


def test_instructions_hold_each_allowed_signature():
    text = BrowserGymSyntax(("nav",)).instructions()
    assert "goto(url: str)  # go to an address\ngo_back()  # go back in the history\n" in text
    assert "exactly one call:\n```\ngo_back()\n```" in text
    assert "bid" not in text
    assert "one a line (at most 32" in ALL.instructions()
    button = "button: 'left' | 'middle' | 'right' = 'left'"
    assert f"mouse_click(x: float, y: float, {button})  # click at a point" in ALL.instructions()


def test_actions_outside_the_subsets_cannot_be_written():
    with pytest.raises(ValueError, match="subsets nav have no call for Click"):
        BrowserGymSyntax(("nav",)).write([a.Click("1")])
    with pytest.raises(ValueError, match="no call for Finish"):
        ALL.write([a.Finish("42")])
    with pytest.raises(ValueError, match="no call for Click"):
        ALL.write([a.Click("1", count=3)])
