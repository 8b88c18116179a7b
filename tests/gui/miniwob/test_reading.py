from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.envs.gui.axtree import MAX_LABEL, _quoted  # pyright: ignore[reportPrivateUsage]
from turnwise.envs.gui.miniwob.reading import Lost, read_page

PAGE = """Goal: Enter "Ann, B." and press Send.
A dialog (alert) said 'x'; it was accepted.
Page:
RootWebArea 'Form'
\t[5] form
\t\tStaticText 'Name:'
\t\t[8] textbox 'it\\'s', value='a, b=\\\\', focused, required
\t\t[10] checkbox (box-1 big), checked=true
\t\t[12] generic (color), clickable, #ff8000
\t2 x generic (addition-block), #7fb0ff
\t[14] listitem 'Ann', at (75, 70) size 134x26
\t[15] generic (ui-resizable-se), se-resize at (72.5, -117) size 16x16
\t[13] rect fill=red class=rect highlight-red x=28.6 points=1,2 3,4 at (38, 139) size 15x15
\t[16] text 'z' fill=green x=90 at (92, 162) size 5x11
... and 3 further lines: the page is too long to be shown at once"""


def test_every_kind_of_line_is_read() -> None:
    page = read_page(PAGE)
    assert page.goal == 'Enter "Ann, B." and press Send.'
    assert "A dialog" in page.notes
    assert [node.role for node in page.nodes] == [
        *("RootWebArea", "form", "StaticText", "textbox", "checkbox", "generic", "generic", "listitem", "generic", "rect", "text"),
    ]
    field, box, colour, blocks, item, handle, shape, letter = page.nodes[3:]
    assert (field.id, field.name, field.value, field.flags) == ("8", "it's", "a, b=\\", {"focused", "required"})
    assert (box.has("big"), box.states["checked"], page.nodes[box.parent].role) == (True, "true", "form")
    assert (colour.colour, colour.flags >= {"clickable"}) == ("#ff8000", True)
    assert (blocks.count, blocks.said, blocks.colour, blocks.id) == (2, "addition-block", "#7fb0ff", "")
    assert (item.name, item.place, item.size) == ("Ann", (75.0, 70.0), (134.0, 26.0))
    assert (handle.has("ui-resizable-se"), handle.place, "se-resize" in handle.flags) == (True, (72.5, -117.0), True)
    assert (shape.attribute("class"), shape.attribute("points"), shape.has("highlight-red")) == ("rect highlight-red", "1,2 3,4", True)
    assert (letter.name, letter.attribute("fill"), letter.place) == ("z", "green", (92.0, 162.0))


def test_nodes_are_found_by_role_name_class_and_the_text_in_them() -> None:
    page = read_page(PAGE)
    assert page.find("textbox").id == "8"
    assert page.find(said="box-1").id == "10"
    assert page.holder("Name:").id == "5"
    assert page.words(page.find("form")) == "Name: it's"
    assert [node.id for node in page.inside(page.find("form")) if node.id] == ["8", "10", "12"]
    with pytest.raises(Lost, match="no button"):
        page.button("Send")
    with pytest.raises(Lost, match="says no place"):
        _ = page.find("textbox").place


def test_the_goal_is_kept_and_a_message_without_a_page_has_no_nodes() -> None:
    assert read_page("Page:\n[3] button 'Ok'", "g").goal == "g"
    refused = read_page("Nothing was done. Write one call.", "g")
    assert (refused.nodes, refused.goal) == ((), "g")
    assert read_page("The action was not done. Element [3] is hidden.\nPage:\n[3] button 'Ok'").find("button").name == "Ok"


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    for node in read_page(f"Page:\n{text}").nodes:
        assert node.parent < node.index


@given(st.text(st.sampled_from("[]()'\\, =#x12 \t\nat size generic value"), max_size=60))
def test_any_text_of_the_signs_of_a_page_can_be_read(text: str) -> None:
    read_page(text)
    read_page(f"Goal: {text}\nPage:\n[1] {text}")


@given(st.text(st.characters(exclude_characters="\n"), min_size=1, max_size=MAX_LABEL), st.text(max_size=20), st.integers(0, 9999))
def test_names_and_values_come_back_as_they_were(name: str, value: str, number: int) -> None:
    node = read_page(f"Page:\n\t[{number}] textbox {_quoted(name)}, value={_quoted(value)}, disabled").nodes[0]
    assert (node.name, node.value, node.id, node.flags, node.depth) == (name, value, str(number), {"disabled"}, 1)
