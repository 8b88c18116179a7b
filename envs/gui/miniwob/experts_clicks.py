"""Plans for pages on which the right things are to be clicked: buttons, links, boxes, tabs, sections, dialogs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .plans import Plan, click, press, quoted, said, select, solves, submit, wait
from .reading import Lost, Node, Page

COLOURS = {
    **{"black": "#000000", "white": "#ffffff", "aqua": "#00ffff", "cyan": "#00ffff", "blue": "#0000ff", "gray": "#808080"},
    **{"grey": "#808080", "green": "#008000", "lime": "#00ff00", "maroon": "#800000", "navy": "#000080", "olive": "#808000"},
    **{"purple": "#800080", "red": "#ff0000", "silver": "#c0c0c0", "teal": "#008080", "yellow": "#ffff00", "pink": "#ffc0cb"},
    **{"magenta": "#ff00ff", "gold": "#ffd700", "orange": "#ffa500"},
}
"""The names of colours in CSS."""
_SYNONYMS = """
big large huge enormous gigantic; small tiny little mini petite; red scarlet crimson vermillion; happy cheerful joyful gleeful delighted;
sad unhappy sorrowful miserable tragic; angry mad furious irritated; evil wicked immoral sinful corrupt depraved;
wrong incorrect mistaken erroneous; real genuine actual; strange odd peculiar unusual weird; stop cease halt end finish;
scared terrified panicked fearful frightened afraid; quiet calm peaceful serene mild; old aged archaic; love like adore favor;
kill murder assassinate; keep retain preserve sustain maintain; hide conceal camouflage; hate despise loathe detest dislike;
funny humorous amusing comical laughable; fat fleshy plump chubby; stupid dumb dull unwise; delicious savory delectable appetizing;
cut slice carve chop; brave courageous fearless; begin start initiate launch; answer reply response;
television televisions TV TVs; house home houses homes; fire flame fires flames; pig pork swine; rabbit rabbits bunny bunnies;
car cars automobile automobiles vehicle vehicles; water
"""
_MEANING = {word: number for number, group in enumerate(_SYNONYMS.split(";")) for word in group.split()}


@solves("click-test")
def click_test(page: Page) -> Plan:
    yield click(page.find("button"))


@solves("click-test-2", "click-test-transfer")
def click_named(page: Page) -> Plan:
    (name,) = said(r"Click button (\w+)", page.goal)
    page = yield click(page.button(name))
    # The other button may lie over it; keys reach it still.
    yield press(page.button(name), "Enter")


@solves("click-button", "unicode-test")
def click_quoted(page: Page) -> Plan:
    yield click(page.find("button", quoted(page.goal)[0]))


@solves("click-button-sequence")
def click_in_order(page: Page) -> Plan:
    # One may lie over the other; keys reach both.
    page = yield press(page.button("ONE"), "Enter")
    yield press(page.button("TWO"), "Enter")


@solves("button-delay")
def click_later(page: Page) -> Plan:
    (seconds,) = said(r"wait (\d+) seconds", page.goal)
    page = yield press(page.button("ONE"), "Enter")
    page = yield wait(int(seconds) * 1000 - 60)
    yield press(page.button("TWO"), "Enter")


@solves("click-link")
def click_link(page: Page) -> Plan:
    yield click(page.holder(quoted(page.goal)[0]))


@solves("focus-text")
def focus_text(page: Page) -> Plan:
    yield click(page.find("textbox"))


@solves("focus-text-2")
def focus_nth_text(page: Page) -> Plan:
    (place,) = said(r"(\d)\w\w input", page.goal)
    yield click(page.all("textbox")[int(place) - 1])


@solves("click-color")
def click_colour(page: Page) -> Plan:
    (name,) = said(r"on the (\w+) colored", page.goal)
    yield click(page.find(said="color", where=lambda node: node.colour == COLOURS[name]))


@solves("click-shades")
def click_shades(page: Page) -> Plan:
    (name,) = said(r"shades of (\w+)", page.goal)
    channel = ("red", "green", "blue").index(name)

    def is_shade(node: Node) -> bool:
        parts = [int(node.colour[i : i + 2], 16) for i in (1, 3, 5)] if node.colour else [0, 0, 0]
        return all(parts[channel] > part for i, part in enumerate(parts) if i != channel)

    for node in page.all("generic", where=is_shade):
        page = yield click(node)
    yield submit(page)


@solves("click-checkboxes", "click-checkboxes-large", "click-checkboxes-transfer")
def click_checkboxes(page: Page) -> Plan:
    (listed,) = said(r"Select (.*) and click Submit", page.goal)
    names = listed.split(", ")
    yield from _check(page, lambda node: node.name in names)


@solves("click-checkboxes-soft")
def click_similar(page: Page) -> Plan:
    (listed,) = said(r"similar to (.*) and click Submit", page.goal)
    meanings = {_MEANING[word] for word in listed.split(", ") if word in _MEANING}
    yield from _check(page, lambda node: _MEANING.get(node.name) in meanings)


def _check(page: Page, wanted: Callable[[Node], bool]) -> Plan:
    for box in page.all("checkbox", where=wanted):
        page = yield click(box)
    yield submit(page)


@solves("click-option")
def click_option(page: Page) -> Plan:
    (name,) = said(r"Select (.*) and click Submit", page.goal)
    page = yield click(page.find("radio", name))
    yield submit(page)


@solves("choose-list")
def choose_from_list(page: Page) -> Plan:
    (name,) = said(r"Select (.*) from the list", page.goal)
    page = yield select(page.find("combobox"), name)
    yield submit(page)


@solves("click-scroll-list")
def choose_several(page: Page) -> Plan:
    (names,) = said(r"Select (.*) from the scroll list", page.goal)
    page = yield select(page.find("listbox"), *_listed(names, [node.name for node in page.all("option")]))
    yield submit(page)


def _listed(names: str, known: Sequence[str]) -> list[str]:
    """The known names in ``names``, where commas stand between names and may stand in them."""
    found = list[str]()
    for name in sorted(known, key=len, reverse=True):
        if name in names:
            found.append(name)
            names = names.replace(name, "")
    return found


@solves("click-tab")
def click_tab(page: Page) -> Plan:
    (name,) = said(r"Click on (Tab #\d)", page.goal)
    yield click(page.find("link", name))


@solves("click-tab-2", "click-tab-2-easy", "click-tab-2-medium", "click-tab-2-hard")
def click_link_in_tab(page: Page) -> Plan:
    yield from _search(page, quoted(page.goal)[0], [tab.id for tab in page.all("tab")][1:])


@solves("click-collapsible-2", "click-collapsible-2-nodelay")
def click_link_in_section(page: Page) -> Plan:
    yield from _search(page, quoted(page.goal)[0], [tab.id for tab in page.all("tab")])


def _search(page: Page, text: str, places: Sequence[str]) -> Plan:
    """Open one place after the other until the link shows."""
    for place in places:
        if page.all(name=text, where=lambda node: node.role == "StaticText"):
            break
        page = yield f"click({place!r})"
    yield click(page.holder(text))


@solves("click-collapsible", "click-collapsible-nodelay")
def expand_and_submit(page: Page) -> Plan:
    page = yield click(page.find("tab"))
    yield submit(page)


@solves("click-dialog")
def close_dialog(page: Page) -> Plan:
    yield click(page.button("Close"))


@solves("click-dialog-2")
def click_in_dialog(page: Page) -> Plan:
    name = quoted(page.goal)[0]
    yield click(page.button("Close" if name == "x" else name))


@solves("click-widget")
def click_widget(page: Page) -> Plan:
    kind = quoted(page.goal)[0]
    for widget in page.all("generic", said="widget"):
        inside = next(iter(page.inside(widget)), None)
        if inside is None:
            continue
        lines = "textarea" if "multiline" in inside.flags else "text"
        if kind == (lines if inside.role == "textbox" else inside.role):
            yield click(widget)
            return
    raise Lost(f"there is no {kind} widget")
