from __future__ import annotations

from collections.abc import Callable

import pytest
from turnwise.envs.gui import actions as a
from turnwise.envs.gui.browser import Tab

from ..conftest import id_of, page_of

Show = Callable[[str], Tab]
LOG = """<script>
window.seen = [];
for (const kind of ['mousedown', 'mouseup', 'click', 'dblclick', 'contextmenu', 'keydown', 'keyup', 'input', 'change'])
  addEventListener(kind, (e) => seen.push([kind, e.target.id || e.target.tagName, e.key ?? e.button ?? '', e.ctrlKey ? 'ctrl' : '',
    e.shiftKey ? 'shift' : ''].filter((x) => x !== '').join(' ')), true);
</script>"""


def events(tab: Tab, *kinds: str) -> list[str]:
    return [seen for seen in tab.evaluate("seen") if seen.split()[0] in kinds]


def test_click_double_click_right_click_with_modifiers(show: Show) -> None:
    tab = show("<button id=b>Press</button>" + LOG)
    button = id_of(tab, "button")
    assert tab.perform(a.Click(button)) == ""
    assert events(tab, "mousedown", "mouseup", "click") == ["mousedown b 0", "mouseup b 0", "click b 0"]
    assert tab.perform(a.Click(button, count=2)) == ""
    assert events(tab, "dblclick") == ["dblclick b 0"]
    assert tab.perform(a.Click(button, button="right", modifiers=("Control",))) == ""
    assert events(tab, "contextmenu") == ["contextmenu b 2 ctrl"]


def test_an_element_out_of_sight_is_scrolled_to(show: Show) -> None:
    tab = show("<div style='height:5000px'></div><button id=far>Far</button>" + LOG)
    assert tab.perform(a.Click(id_of(tab, "button"))) == ""
    assert events(tab, "click") == ["click far 0"]


@pytest.mark.parametrize(
    ("html", "tag", "said"),
    [
        ("<button disabled>x</button>", "button", "is disabled"),
        ("<button style='visibility:hidden'>x</button>", "button", "is hidden"),
        ("<button style='display:none'>x</button>", "button", "is hidden"),
        ("<p style='width:0;height:0;overflow:hidden'>x</p>", "p", "has no area on the screen"),
        (
            "<button style='position:absolute;left:9px;top:9px'>x</button><h1 style='position:absolute;inset:0;margin:0'>On top</h1>",
            "button",
            'is covered by <h1> "On top"',
        ),
        ("<select><option>one<option>two</select>", "option", "use select_option on the list"),
        ("<button style='position:absolute;left:-500px'>x</button>", "button", "has no area on the screen"),
    ],
)
def test_what_cannot_be_clicked_says_why(show: Show, html: str, tag: str, said: str) -> None:
    tab = show(html)
    assert said in tab.perform(a.Click(id_of(tab, tag)))


def test_elements_that_are_gone_or_never_were(show: Show) -> None:
    tab = show("<button id=b>x</button><p>y</p>")
    button = id_of(tab, "button")
    tab.evaluate("document.getElementById('b').remove()")
    assert tab.perform(a.Click(button)) == f"Element [{button}] is no longer on the page."
    assert "There is no element '999' on the page" in tab.perform(a.Click("999"))
    tab.load(page_of("<p>another episode"))
    tab.look()
    assert "There is no element" in tab.perform(a.Click("50"))


def test_labels_and_children_count_as_the_element(show: Show) -> None:
    tab = show("<label><input type=checkbox id=c>Take it</label><button id=b><b>bold</b></button>" + LOG)
    assert tab.perform(a.Click(id_of(tab, "button"))) == ""
    assert tab.perform(a.Click(id_of(tab, "label"))) == ""
    assert tab.evaluate("document.getElementById('c').checked") is True


def test_fill_replaces_and_tells_the_page(show: Show) -> None:
    tab = show("<input id=i value=old><textarea id=t>a</textarea><div id=e contenteditable>c</div>" + LOG)
    for tag in ("input", "textarea", "div"):
        assert tab.perform(a.Fill(id_of(tab, tag), "new é 😀 עברית")) == ""
    assert tab.evaluate("[i.value, t.value, e.innerText]") == ["new é 😀 עברית"] * 3
    assert events(tab, "input", "change")[:2] == ["input i", "change i"]
    assert tab.perform(a.Clear(id_of(tab, "input"))) == ""
    assert tab.evaluate("i.value") == ""


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("date", "2020-02-03", ""),
        ("time", "13:05", ""),
        ("color", "#FF8800", ""),
        ("range", "7", ""),
        ("number", "12.5", ""),
        ("date", "3.2.2020", "of type date does not take"),
        ("color", "red", "of type color does not take"),
        ("range", "7000", "of type range does not take"),
        ("number", "many", "takes numbers"),
        ("checkbox", "x", "is no field for text"),
    ],
)
def test_fill_of_special_fields(show: Show, kind: str, value: str, said: str) -> None:
    tab = show(f"<input id=i type={kind} value=''>" + LOG)
    problem = tab.perform(a.Fill(id_of(tab, "input"), value))
    if said:
        assert said in problem
    else:
        assert problem == ""
        assert tab.evaluate("i.value") == value.lower()
        assert events(tab, "input") == ["input i"]


def test_autocomplete_types_the_last_character(show: Show) -> None:
    tab = show("<input id=i>" + LOG)
    assert tab.perform(a.Fill(id_of(tab, "input"), "abc", autocomplete=True)) == ""
    assert tab.evaluate("i.value") == "abc"
    assert events(tab, "keydown") == ["keydown i c"]


def test_select_check_and_uncheck(show: Show) -> None:
    tab = show(
        "<select id=s><option value=1>One<option value=2>Two &amp; more<option disabled>Off</select>"
        "<select id=m multiple><option>a<option>b<option>c</select>"
        "<input type=checkbox id=c><input type=radio name=r id=r1><input type=radio name=r id=r2>" + LOG
    )
    single, many = id_of(tab, "select"), id_of(tab, "select", 1)
    assert tab.perform(a.SelectOption(single, ("Two & more",))) == ""
    assert tab.evaluate("s.value") == "2"
    assert events(tab, "input", "change") == ["input s", "change s"]
    assert tab.perform(a.SelectOption(many, ("a", "c"))) == ""
    assert tab.evaluate("[...m.selectedOptions].map((o) => o.value)") == ["a", "c"]
    assert "has no option 'Three'; its options: 'One'".replace("'", '"') in tab.perform(a.SelectOption(single, ("Three",)))
    assert "takes one option, not 2" in tab.perform(a.SelectOption(single, ("One", "Two & more")))
    assert "is disabled" in tab.perform(a.SelectOption(single, ("Off",)))
    box, radio = id_of(tab, "input"), id_of(tab, "input", 2)
    assert tab.perform(a.Check(box)) == ""
    assert tab.perform(a.Check(box)) == ""
    assert tab.evaluate("c.checked") is True
    assert tab.perform(a.Uncheck(box)) == ""
    assert tab.evaluate("c.checked") is False
    assert tab.perform(a.Check(radio)) == ""
    assert "choose another one" in tab.perform(a.Uncheck(radio))


def test_keys_type_press_and_shift(show: Show) -> None:
    tab = show("<textarea id=t></textarea>" + LOG)
    area = id_of(tab, "textarea")
    assert tab.perform(a.Focus(area)) == ""
    assert tab.perform(a.TypeText("Hi! ~é\n2")) == ""
    assert tab.evaluate("t.value") == "Hi! ~é\n2"
    assert tab.perform(a.KeyPress("Shift+ArrowLeft")) == ""
    assert tab.perform(a.KeyPress("Backspace")) == ""
    assert tab.evaluate("t.value") == "Hi! ~é\n"
    assert tab.perform(a.KeyDown("Shift")) == ""
    assert tab.perform(a.KeyPress("a")) == ""
    assert tab.perform(a.KeyUp("Shift")) == ""
    assert tab.perform(a.KeyPress("a")) == ""
    assert tab.evaluate("t.value") == "Hi! ~é\nAa"
    assert tab.perform(a.Press(area, "Control+a")) == ""
    assert tab.perform(a.InsertText("all")) == ""
    assert tab.evaluate("t.value") == "all"


def test_every_named_key_can_be_pressed(show: Show) -> None:
    from turnwise.envs.gui.keys import NAMED

    tab = show("<input id=i>" + LOG)
    refused = {name: said for name in NAMED if (said := tab.perform(a.KeyPress(name)))}
    assert refused == {}


def test_copy_and_paste_stay_within_the_episode(show: Show) -> None:
    html = "<input id=one value='secret words'><input id=two>"
    tab = show(html)
    one, two = id_of(tab, "input"), id_of(tab, "input", 1)
    assert tab.perform(a.Press(one, "Control+a")) == ""
    assert tab.perform(a.KeyPress("Control+c")) == ""
    assert tab.perform(a.Press(two, "Control+v")) == ""
    assert tab.evaluate("two.value") == "secret words"
    assert tab.perform(a.Press(one, "Control+a")) == ""
    assert tab.perform(a.KeyPress("Control+x")) == ""
    assert tab.evaluate("one.value") == ""
    tab.load(page_of(html))
    tab.look()
    assert tab.perform(a.Press(id_of(tab, "input", 1), "Control+v")) == ""
    assert tab.evaluate("two.value") == ""


def test_held_keys_and_buttons_end_with_the_episode(show: Show) -> None:
    html = "<input id=i>" + LOG
    tab = show(html)
    assert tab.perform(a.KeyDown("Shift")) == ""
    assert tab.perform(a.MouseDown(5, 5)) == ""
    tab.load(page_of(html))
    tab.look()
    assert tab.perform(a.Focus(id_of(tab, "input"))) == ""
    assert tab.perform(a.TypeText("a")) == ""
    assert tab.evaluate("i.value") == "a"
    assert events(tab, "keydown") == ["keydown i a"]


DRAG = """<style>#d{position:absolute;left:10px;top:10px;width:40px;height:40px;background:red}</style><div id=d></div><p id=p>x</p><script>
let from = null; const d = document.getElementById('d');
d.addEventListener('mousedown', (e) => { from = [e.clientX - d.offsetLeft, e.clientY - d.offsetTop]; });
addEventListener('mousemove', (e) => {
  if (from) { d.style.left = e.clientX - from[0] + 'px'; d.style.top = e.clientY - from[1] + 'px'; } });
addEventListener('mouseup', () => { from = null; });
</script>"""


def test_drags_by_element_and_by_coordinates(show: Show) -> None:
    tab = show(DRAG)
    assert tab.perform(a.MouseDrag(30, 30, 130, 80)) == ""
    assert tab.evaluate("[d.offsetLeft, d.offsetTop]") == [110, 60]
    assert tab.perform(a.MouseDown(120, 70)) == ""
    assert tab.perform(a.MouseMove(20, 20)) == ""
    assert tab.perform(a.MouseUp(20, 20)) == ""
    assert tab.evaluate("[d.offsetLeft, d.offsetTop]") == [10, 10]


HTML5 = """<div id=d draggable=true style='width:50px;height:50px;background:red'>x</div>
<p id=p style='height:50px;background:#eee'>drop</p><script>
d.addEventListener('dragstart', (e) => e.dataTransfer.setData('text/plain', 'carried'));
p.addEventListener('dragover', (e) => e.preventDefault());
p.addEventListener('drop', (e) => { e.preventDefault(); window.got = e.dataTransfer.getData('text/plain'); });
</script>"""


def test_drag_and_drop_of_html5(show: Show) -> None:
    tab = show(HTML5)
    assert tab.perform(a.DragAndDrop(id_of(tab, "div"), id_of(tab, "p"))) == ""
    tab.settle()
    assert tab.evaluate("window.got") == "carried"


def test_scrolling_the_page_and_a_part_of_it(show: Show) -> None:
    tab = show("<div id=d style='height:50px;overflow:auto'><div style='height:999px'>x</div></div><div style='height:3000px'></div>")
    assert tab.perform(a.Scroll(0, 120, id_of(tab, "div"))) == ""
    assert tab.evaluate("[d.scrollTop, scrollY]") == [120, 0]
    assert tab.perform(a.ScrollAt(200, 250, 0, 90)) == ""
    assert tab.evaluate("[d.scrollTop, scrollY]") == [120, 90]


def test_coordinates_outside_the_screen(show: Show) -> None:
    tab = show("<p>x")
    said = "The point (401, 5) is outside the screen; allowed: x from 0 to 400, y from 0 to 300."
    assert tab.perform(a.MouseClick(401, 5)) == said
    assert "outside the screen" in tab.perform(a.MouseDrag(5, 5, -1, 5))
    assert tab.perform(a.MouseClick(400, 300)) == ""


def test_hover(show: Show) -> None:
    tab = show("<style>p{display:none} button:hover + p{display:block}</style><button>b</button><p>shown</p>")
    assert tab.perform(a.Hover(id_of(tab, "button"))) == ""
    assert "paragraph 'shown'" in tab.look().axtree


def test_tabs_files_and_addresses_that_are_not_there(show: Show) -> None:
    tab = show("<body style='line-height: 18px'><a href='#part'>x</a><p id=part>y</p>")
    assert "There is one tab" in tab.perform(a.NewTab())
    assert "no files to upload" in tab.perform(a.UploadFile("3", ("/etc/passwd",)))
    assert "is not part of this site" in tab.perform(a.Goto("http://example.com/"))
    assert "stands alone" in tab.perform(a.Goto("/two.html"))
    assert tab.perform(a.Click(id_of(tab, "a"))) == ""
    assert tab.look().axtree.splitlines()[-1] == "\t[5] paragraph 'y', at (200, 51) size 384x18"


def test_parts_of_a_page_with_an_address(tab: Tab) -> None:
    tab.load(page_of("<a href='#part'>x</a><p id=part>y</p>", inlined=False))
    assert tab.perform(a.Goto("#other")) == ""
    assert tab.evaluate("location.hash") == "#other"
    assert tab.perform(a.Click(id_of(tab, "a"))) == ""
    assert tab.evaluate("location.hash") == "#part"
    assert tab.perform(a.GoBack()) == ""
    tab.settle()
    assert tab.evaluate("location.hash") == "#other"


def test_going_through_a_site_and_back(tab: Tab) -> None:
    from turnwise.envs.gui.site import Document

    site = {"/a.html": b"<title>A</title><a href=b.html>to b</a>", "/b.html": b"<title>B</title><h1>B</h1>"}
    tab.load(Document(site, "/a.html", inlined=False))
    assert tab.perform(a.Click(id_of(tab, "a"))) == ""
    assert tab.look().axtree.startswith("RootWebArea 'B'")
    assert tab.perform(a.GoBack()) == ""
    assert tab.look().axtree.startswith("RootWebArea 'A'")
    assert tab.perform(a.GoForward()) == ""
    assert tab.look().axtree.startswith("RootWebArea 'B'")
    assert tab.perform(a.Goto("/a.html")) == ""
    assert tab.look().axtree.startswith("RootWebArea 'A'")
    assert "There is no page" in tab.perform(a.Goto("/c.html"))


def test_dialogs_are_answered_and_told(show: Show) -> None:
    tab = show("<button onclick=\"alert('one'); window.got = [confirm('two?'), prompt('three?', 'x')]\">b</button>")
    assert tab.perform(a.Click(id_of(tab, "button"))) == ""
    assert tab.evaluate("window.got") == [False, None]
    assert tab.look().notes == (
        "A dialog (alert) said 'one'; it was accepted.",
        "A dialog (confirm) said 'two?'; it was dismissed.",
        "A dialog (prompt) said 'three?'; it was dismissed.",
    )
    assert tab.look().notes == ()


def test_dialogs_may_be_accepted(tab: Tab) -> None:
    tab.load(page_of("<p>x", "[confirm('two?'), prompt('three?', 'x')]"), accept_dialogs=True)
    assert tab.load(page_of("<p>x", "[confirm('two?'), prompt('three?', 'x')]"), accept_dialogs=True) == [True, "x"]


def test_windows_and_downloads_are_refused(show: Show) -> None:
    tab = show(
        "<button onclick=\"window.opened = window.open('about:blank')\">w</button><a href='data:text/plain,x' download=f>d</a>"
        "<a href='about:blank' target=_blank>t</a>"
    )
    assert tab.perform(a.Click(id_of(tab, "button"))) == ""
    assert tab.look().notes == ("The page tried to open a window; windows stay closed here.",)
    assert tab.evaluate("window.opened") is None
    assert tab.perform(a.Click(id_of(tab, "a"))) == ""
    assert tab.perform(a.Click(id_of(tab, "a", 1))) == ""
    assert "button 'w'" in tab.look().axtree


def test_what_changes_under_the_mouse_is_clicked_once_it_is_there(show: Show) -> None:
    """A picture that is shown while the mouse is over it has no area until it has loaded."""
    tab = show(
        "<style>#b{display:block;width:40px;height:40px}</style><span id=b></span><p id=p>no</p><script>"
        "b.onclick = () => { p.textContent = 'clicked'; };"
        "b.addEventListener('mouseover', () => { b.style.width = '0';"
        "setTimeout(() => { b.style.width = '40px'; }, 80); }, { once: true });</script>"
    )
    assert tab.perform(a.Click(id_of(tab, "span"))) == ""
    assert "'clicked'" in tab.look().axtree


def test_the_mouse_leaves_with_a_small_step(show: Show) -> None:
    """Menus that open under a resting mouse tell by it that what lies there was not meant."""
    tab = show(
        "<button style='position:absolute;left:200px;top:200px;width:40px;height:40px'>b</button>"
        "<script>window.seen = []; onmousemove = (e) => seen.push([e.clientX, e.clientY]);</script>"
    )
    assert tab.perform(a.MouseMove(100.0, 100.0)) == ""
    tab.evaluate("seen = []")
    assert tab.perform(a.Hover(id_of(tab, "button"))) == ""
    assert tab.evaluate("seen") == [[101, 101], [220, 220]]


def test_a_click_comes_with_all_of_its_movements(show: Show) -> None:
    """They are sent together, and are still two movements, as pages see them from a hand."""
    tab = show(
        "<button style='position:absolute;left:200px;top:200px;width:40px;height:40px'>b</button><script>window.seen = [];"
        "for (const name of ['mousemove', 'pointerup', 'mousedown', 'mouseup', 'click'])"
        " addEventListener(name, (e) => seen.push([name, e.clientX, e.clientY]), true);</script>"
    )
    assert tab.perform(a.MouseMove(100.0, 100.0)) == ""
    tab.evaluate("seen = []")
    assert tab.perform(a.Click(id_of(tab, "button"))) == ""
    moves = [["mousemove", 101, 101], ["mousemove", 220, 220]]
    rest = [[name, 220, 220] for name in ("mousedown", "pointerup", "mouseup", "click")]
    assert tab.evaluate("seen") == [*moves, *rest]


def test_a_click_that_meets_something_else_is_kept_from_it(show: Show) -> None:
    """What comes between when the mouse does is not clicked; the element is, once it can be met again."""
    tab = show(
        "<style>#b,#c{position:absolute;left:50px;top:50px;width:40px;height:40px}</style><button id=b>b</button><p id=p></p>"
        "<script>b.onclick = () => { p.textContent += ' b'; };"
        "b.addEventListener('mouseover', () => { const c = document.createElement('div'); c.id = 'c'; document.body.append(c);"
        "for (const name of ['mousedown', 'mouseup', 'click']) c.addEventListener(name, () => { p.textContent += ' wrong'; });"
        "setTimeout(() => c.remove(), 60); }, { once: true });</script>"
    )
    assert tab.perform(a.Click(id_of(tab, "button"))) == ""
    tab.settle()
    assert tab.evaluate("p.textContent") == " b"


def test_a_menu_that_answers_at_once_answers_what_is_filled_in_and_then_the_last_key(show: Show) -> None:
    tab = show(
        "<input><p id=p>asked:</p><script>let t; document.querySelector('input').oninput = (e) => {"
        "clearTimeout(t); t = setTimeout(() => { p.textContent += ' ' + e.target.value; }, 0); };</script>"
    )
    assert tab.perform(a.Fill(id_of(tab, "input"), "abc", autocomplete=True)) == ""
    assert "'asked: ab abc'" in tab.look().axtree
