from __future__ import annotations

import io
import re
import time
from collections.abc import Callable

import pytest
from turnwise.envs.gui import actions as a
from turnwise.envs.gui.browser import Browser, Tab
from turnwise.envs.gui.marks import draw_marks, marked

from ..conftest import id_of, page_of

Show = Callable[[str], Tab]


def test_the_tree_of_a_form(show: Show) -> None:
    tab = show(
        "<title>Form</title><h1>Sign up</h1><form><label for=n>Name</label><input id=n value=Ann required>"
        "<label><input type=checkbox checked>News</label><select><option>red<option selected>blue</select>"
        "<button disabled>Send</button><a href='/x'>Terms</a><span onclick='1' class='icon trash'></span></form><p>Some   text</p>"
    )
    # where it is follows from the fonts of the machine
    assert re.sub(r"at \(\d+, \d+\) size \d+x\d+", "at (X, Y) size WxH", tab.look().axtree).splitlines() == [
        "RootWebArea 'Form'",
        "\t[5] heading 'Sign up', level=1",
        "\t[6] form",
        "\t\t[7] LabelText, clickable",
        "\t\t\tStaticText 'Name'",
        "\t\t[8] textbox 'Name', value='Ann', required",
        "\t\t[10] checkbox 'News', checked=true",
        "\t\t[11] combobox, value='blue', expanded=false",
        "\t\t\t[12] option 'red', selected=false",
        "\t\t\t[13] option 'blue', selected=true",
        "\t\t[14] button 'Send', disabled",
        "\t\t[15] link 'Terms'",
        "\t\t[16] generic (icon trash), clickable",
        "\t[17] paragraph 'Some text', at (X, Y) size WxH",
    ]
    assert "[14] button 'Send', disabled, at (351, 91)" in tab.look(boxes=True).axtree


def test_ids_stay_with_their_elements_and_are_never_given_twice(show: Show) -> None:
    tab = show("<ul id=l><li>a</li><li>b</li></ul>")
    before = {e.attributes.get("id") or e.tag: e.id for e in tab.look().dom.elements}
    second = id_of(tab, "li", 1)
    tab.evaluate("l.removeChild(l.firstChild), l.append(Object.assign(document.createElement('li'), {textContent: 'c'}))")
    dom = tab.look().dom
    items = [e.id for e in dom.elements if e.tag == "li"]
    assert items[0] == second
    assert int(items[1]) == max(int(e.id) for e in dom.elements)
    assert items[1] not in before.values()
    assert before["html"] == "0"


def test_equal_episodes_show_equal_text(tab: Tab) -> None:
    html = "<button>a</button><div onclick=1>b</div><input value=c>"
    texts = set[tuple[str, str]]()
    for _ in range(3):
        tab.load(page_of(html))
        view = tab.look()
        texts.add((view.axtree, view.html))
    assert len(texts) == 1


def test_boxes_are_css_pixels_of_the_screen_at_any_scale(browser) -> None:  # type: ignore[no-untyped-def]
    html = "<div style='height:900px'></div><button style='position:absolute;left:20px;top:500px;width:60px;height:30px'>b</button>"
    for scale in (1.0, 2.0):
        tab = browser.tab(size=(200, 300), scale=scale)
        tab.load(page_of(html, "scrollTo(0, 400)"))
        view = tab.look(screenshot=True)
        button = next(e for e in view.dom.elements if e.tag == "button")
        assert button.box == (20, 100, 80, 130)
        from PIL import Image

        assert Image.open(io.BytesIO(view.screenshot)).size == (200 * scale, 300 * scale)
        tab.close()


def test_text_of_all_kinds(show: Show) -> None:
    tab = show("<p>it's \\ <b>שלום</b> 😀 مرحبا</p><button>ok ' \" \\</button>")
    tree = tab.look().axtree
    assert "StaticText 'it\\'s \\\\'" in tree
    assert "שלום" in tree
    assert "😀 مرحبا" in tree
    assert "button 'ok \\' \" \\\\'" in tree


def test_a_huge_page_is_cut_and_says_so(tab: Tab) -> None:
    tab.load(page_of("<div id=d></div>", "(() => { d.innerHTML = '<p><b>x</b></p>'.repeat(50000); })()"), seconds=20)
    started = time.monotonic()
    view = tab.look()
    lines = view.axtree.splitlines()
    assert lines[0] == "The page has 100005 elements, too many for its accessibility tree; this is its HTML."
    assert len(lines) == 1503
    assert lines[-2].startswith("... and ")
    assert lines[-1] == "... and 80005 further elements that were not looked at"
    assert time.monotonic() - started < 30
    assert tab.perform(a.Click(id_of(tab, "b"))) == ""


def test_html_is_pruned(show: Show) -> None:
    tab = show(
        "<style>p{}</style><script>1</script><div hidden>no</div><p id=p class=k data-x=1>a <b>b</b> c<br><input type=text value=v></p>"
    )
    lines = [line.strip() for line in tab.look().html.splitlines()]
    assert [line.split(' bid="')[0] for line in lines] == [
        "<html",
        "<body",
        "<p",
        "a",
        "<b",
        "c",
        "<br",
        "<input",
        "</p>",
        "</body>",
        "</html>",
    ]
    assert 'id="p" class="k"' in lines[2]
    assert 'type="text" value="v"' in lines[7]


def test_typed_values_are_shown_and_not_the_first_ones(show: Show) -> None:
    tab = show("<input value=old>")
    assert tab.perform(a.Fill(id_of(tab, "input"), "new")) == ""
    view = tab.look()
    assert "value='new'" in view.axtree
    assert 'value="new"' in view.html


def test_nothing_is_waited_for_on_a_quiet_page_and_everything_that_comes_soon(show: Show) -> None:
    tab = show(
        "<button onclick='first()'>b</button><p id=p>soon</p><script>"
        "function first() { setTimeout(() => { p.textContent = 'late'; setTimeout(second, 120); }, 150); }"
        "function second() { p.textContent += 'r'; }</script>"
    )
    assert tab.perform(a.Click(id_of(tab, "button"))) == ""
    assert "'later'" in tab.look(settle=2.0).axtree


def test_a_clock_or_a_game_is_not_waited_for_for_ever(show: Show) -> None:
    tab = show(
        "<p id=p>0</p><script>setInterval(() => p.textContent++, 20); (function f() { requestAnimationFrame(f); })();"
        "(function g() { setTimeout(g, 10); })();</script>"
    )
    tab.settle(0.3)
    time.sleep(0.3)
    started = time.monotonic()
    for _ in range(5):
        tab.settle(0.3)
    assert time.monotonic() - started < 1.2  # each of them would take 0.3


def test_marks_name_what_can_be_acted_on(tab: Tab) -> None:
    pytest.importorskip("PIL")
    tab.load(
        page_of("<p>text</p><button>one</button><a href=x>two</a><div onclick=1><button>three</button></div><button hidden>4</button>")
    )
    view = tab.look(screenshot=True)
    assert [(e.tag) for e in marked(view)] == ["button", "a", "button"]
    drawn = draw_marks(view)
    assert drawn != view.screenshot
    assert drawn[:8] == b"\x89PNG\r\n\x1a\n"


def test_elements_without_a_name_say_what_a_person_sees(show: Show) -> None:
    tab = show(
        "<style>i, b {display:inline-block;width:12px;height:12px}</style>"
        "<i class=red style='background:red' onclick=1></i><i style='background:#00f' onclick=1></i>"
        "<span tabindex=0 class=handle>&nbsp;</span><textarea>x</textarea><button style='background:lime'></button>"
        "<p><b class=block style='background:#7fb0ff'></b><b class=block style='background:#7fb0ff'></b>"
        "<b class=block style='background:#7fb0ff'></b></p>"
    )
    assert [line.strip() for line in tab.look().axtree.splitlines()[1:]] == [
        "[5] generic (red), clickable, #ff0000",
        "[6] generic, clickable, #0000ff",
        "[7] generic (handle), focusable",
        "[8] textbox, value='x', multiline",
        "[9] button, #00ff00",
        "3 x generic (block), #7fb0ff",
    ]


def test_what_can_be_dragged_says_where_it_is(show: Show) -> None:
    tab = show(
        "<style>ul,li{margin:0;padding:0;height:20px;list-style:none} div{position:absolute}</style>"
        "<ul onmousedown=1><li>one<li>two</ul><ol><li>three</ol>"
        "<div style='left:100px;top:100px;width:16px;height:16px;cursor:se-resize'></div>"
        "<div style='left:200px;top:100px;width:16px;height:16px;cursor:nw-resize'></div>"
    )
    assert [line.strip() for line in tab.look().axtree.splitlines()[1:]] == [
        "[5] list",
        "[6] listitem 'one', at (200, 18) size 384x20",
        "[7] listitem 'two', at (200, 38) size 384x20",
        "[9] listitem 'three'",
        "[10] generic, se-resize at (108, 108) size 16x16",
    ]


def test_the_middle_of_a_long_text_is_left_out(show: Show) -> None:
    tab = show("<textarea></textarea>")
    assert tab.perform(a.Fill(id_of(tab, "textarea"), "a" * 600 + "end")) == ""
    assert f"value='{'a' * 340}... (603 characters) ...{'a' * 57}end'" in tab.look().axtree


def test_buttons_that_are_hidden_from_the_tree_are_still_buttons(show: Show) -> None:
    tab = show("<a class=up role=button aria-hidden=true tabindex=-1 style='display:inline-block;width:20px;height:20px'></a>")
    assert "[4] generic (up), clickable" in tab.look().axtree


def test_text_of_a_drawing_may_be_in_parts(show: Show) -> None:
    tab = show("<svg width=90 height=40><text y=20 fill=red>a<tspan>b</tspan></text></svg>")
    assert "text 'a b' fill=red" in tab.look().axtree


def test_a_screenshot_shows_the_page_that_was_just_loaded(browser: Browser) -> None:
    """Also when its frame was made before, while nothing was to be seen in it."""
    from PIL import Image

    tab = browser.tab(size=(160, 160))
    for red, green in [(200, 10), (10, 200)] * 5:
        tab.load(page_of(f"<body style='background:rgb({red},{green},7)'>"))
        image = Image.open(io.BytesIO(tab.look(screenshot=True).screenshot)).convert("RGB")
        assert image.getpixel((20, 20)) == (red, green, 7)
        time.sleep(0.06)
    tab.close()
