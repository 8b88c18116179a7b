"""Every instruction fits exactly one element: read again from the rendered page, by what is seen where, not by what the layout says."""

import re

import pytest
from turnwise.envs.gui.browser import BrowserOptions, shared_browser
from turnwise.envs.gui.ground.icons import ICONS
from turnwise.envs.gui.ground.pages import document_of, measured, size_of
from turnwise.envs.gui.ground.sheet import THEMES, ordinal
from turnwise.envs.gui.ground.tasks import KINDS, LAYOUTS, GroundTasks

READ = """(() => {
  const box = (e) => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
  const key = (e) => { const o = e.closest('[data-t]'); return o ? o.dataset.t : 'none'; };
  const texts = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.nodeValue.trim(), range = document.createRange();
    range.selectNodeContents(walk.currentNode);
    const r = range.getBoundingClientRect();
    if (text) texts.push([text, key(walk.currentNode.parentElement), [r.left, r.top, r.right, r.bottom]]);
  }
  const icons = [...document.querySelectorAll('svg[data-i]')].map((e) => [e.dataset.i, key(e), box(e)]);
  const parts = [...document.querySelectorAll('[data-t]')].map((e) => [e.dataset.t, e.dataset.part || '', box(e)]);
  const shapes = [...document.querySelectorAll('circle[data-t], rect[data-t]')].map((e) => [e.tagName, e.getAttribute('fill'), key(e)]);
  const names = [...document.querySelectorAll('[aria-label]')].map((e) => [e.getAttribute('aria-label'), key(e)]);
  return {texts, icons, parts, shapes, names, rtl: document.documentElement.dir === 'rtl'};
})()"""
HUES = {
    "red": "#e23b3b",
    "green": "#2f9e44",
    "blue": "#2f6fe0",
    "orange": "#f08c00",
    "purple": "#8f44d6",
    "pink": "#ec5fa5",
    "brown": "#8a5a33",
}
NUMBERS = {ordinal(n): n for n in range(60)}
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@pytest.fixture(scope="module")
def tab():
    tab = shared_browser(BrowserOptions(fast_frames=True)).tab()
    yield tab
    tab.close()


def middle(box):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def distinct(values, apart=4.0):
    """Sorted values, those nearer than ``apart`` once."""
    kept = []
    for value in sorted(values):
        if not kept or value - kept[-1] > apart:
            kept.append(value)
    return kept


def near(values, value):
    return min(range(len(values)), key=lambda n: abs(values[n] - value))


def fitting(page, facts):
    """Keys of the elements that the facts of an instruction fit."""
    if "text" in facts:
        return [key for text, key, _ in page["texts"] if text == facts["text"]]
    if "label" in facts:
        assert sum(text == facts["label"] for text, _, _ in page["texts"]) == 1
        return [key for name, key in page["names"] if name == facts["label"]]
    if "icon" in facts:
        return [key for name, key, _ in page["icons"] if ICONS[name][0] == facts["icon"]]
    if "look" in facts:
        colour, shape = facts["look"].split()[1:3]
        tag = {"circle": "circle", "square": "rect"}[shape]
        return [key for seen, fill, key in page["shapes"] if (seen, fill) == (tag, HUES[colour])]
    if "shortcut" in facts:
        keys = facts["shortcut"].split()[-1]
        return [key for text, key, _ in page["texts"] if text == keys]
    if "owner" in facts:
        return owned(page, facts["part"], facts["owner"])
    if "beside" in facts:
        return beside(page, facts["beside"])
    if "place" in facts:
        return placed(page, facts["part"], facts["place"])
    return None


def owned(page, part, owner):
    """What is nearest to the owner's name, of those on its height."""
    names = [box for text, _, box in page["texts"] if text == owner]
    assert len(names) == 1
    x, y = middle(names[0])
    same = [(abs(middle(box)[0] - x), key) for key, own, box in page["parts"] if own == part and box[1] - 2 <= y <= box[3] + 2]
    return [min(same)[1]]


def beside(page, said):
    side = re.search(r"directly to the (left|right) of", said)[1]
    quoted = re.search("“(.*)”", said)
    if quoted:
        anchors = [key for text, key, _ in page["texts"] if text == quoted[1]]
        if "the tab “" in said:
            anchors = [key for key, part, _ in page["parts"] if part == "tab" and key in anchors]
    else:
        anchors = [key for name, key, _ in page["icons"] if said.endswith(" " + ICONS[name][0])]
    assert len(anchors) == 1
    boxes = {key: box for key, _, box in page["parts"]}
    x, y = middle(boxes[anchors[0]])
    gaps = [((middle(b)[0] - x) * (1 if side == "right" else -1), key) for key, b in boxes.items() if b[1] < y < b[3]]
    return [min(gap for gap in gaps if gap[0] > 1)[1]]


def placed(page, part, place):
    own = [(key, middle(box)) for key, seen, box in page["parts"] if seen == part]
    if found := re.search(r"row (\d+)$", place):  # a spreadsheet's rows have numbers
        return [sorted(own, key=lambda one: one[1][1])[int(found[1]) - 1][0]]
    words = [NUMBERS[word] for word in re.findall(r"[\w-]+", place) if word in NUMBERS]
    found = re.search(r"the \w+ (\w+) of \w+$", place)
    if found and found[1][:3] in DAYS:
        columns = distinct((x for _, (x, _) in own), 20)
        week = DAYS.index(found[1][:3])
        column = columns[len(columns) - 1 - week if page["rtl"] else week]
        return [sorted((one for one in own if abs(one[1][0] - column) < 20), key=lambda one: one[1][1])[words[0]][0]]
    if place.startswith("on the"):  # an event on a day of the month
        day = next(box for text, key, box in page["texts"] if text == str(words[0] + 1))
        days = [middle(box) for _, seen, box in page["parts"] if seen == "day"]
        mine = min(days, key=lambda d: abs(d[0] - middle(day)[0]) + abs(d[1] - middle(day)[1]))
        return [key for key, (x, y) in own if nearest_day(days, x, y, page["rtl"]) == mine]
    if "tool palette" in place:
        rows = distinct(y for _, (_, y) in own)
        line = sorted((x, key) for key, (x, y) in own if near(rows, y) == words[0])
        return [line[0 if place.endswith("left") else -1][1]]
    if "from the" in place:
        rows = distinct(y for _, (_, y) in own)
        line = sorted(((x, key) for key, (x, y) in own if near(rows, y) == words[0]), reverse=place.endswith("right"))
        return [line[words[1]][1]]
    if "row of" in place:
        every = own
        if "settings" in place:
            every = [(key, middle(box)) for key, seen, box in page["parts"] if seen in ("switch", "Change button")]
        rows = distinct((y for _, (_, y) in every), 8)
        return [key for key, (_, y) in own if near(rows, y) == words[0]]
    if "toolbar line" in place:
        rows = distinct(y for _, (_, y) in own)
        line = sorted(((x, key) for key, (x, y) in own if near(rows, y) == words[1]), reverse=page["rtl"])
        return [line[words[0]][1]]
    ordered = sorted(own, key=lambda one: (round(one[1][1] / 8), -one[1][0] if page["rtl"] else one[1][0]))
    return [ordered[words[0]][0]]


def nearest_day(days, x, y, rtl):
    """The day whose cell holds a point: the lowest of those above it, and in its line the last one that begins before it."""
    above = [d for d in days if d[1] < y]
    top = max(d[1] for d in above)
    line = [d for d in above if top - d[1] < 6]
    before = [d for d in line if (d[0] > x - 20 if rtl else d[0] < x + 20)]
    return min(before, key=lambda d: abs(d[0] - x))


def check(tab, task):
    size, scale = size_of(task)
    tab.resize(size, scale)
    found = measured(tab.load(document_of(task)))
    assert found.whole, (task.id, task.data, found)
    page = tab.evaluate(READ)
    facts = task.data["facts"]
    keys = fitting(page, facts)
    if keys is None:
        assert "does" in facts
        named = [name for name, key in page["names"] if key == task.data["target"]]
        keys = [key for name, key in page["names"] if name in named] if named else [task.data["target"]]
    assert set(keys) == {task.data["target"]}, (task.id, task.prompt[0].text, task.data)


def tasks_of(layouts, kinds=KINDS, sizes=((1024, 768),), scales=(1.0,), count=100_000):
    return GroundTasks(layouts=layouts, held_out=(), themes=THEMES, kinds=kinds, sizes=sizes, scales=scales, count=count)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_exactly_one_element_fits_and_is_seen_whole(tab, layout):
    tasks = tasks_of([layout])
    for index in range(24):
        check(tab, tasks.get_task("train", index))
    sizes = tasks_of([layout], sizes=((640, 480), (800, 600), (1280, 1024), (1920, 1080), (2560, 1440)), scales=(1.0, 1.5, 2.0))
    for index in range(10):
        check(tab, sizes.get_task("test", index))


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_exactly_one_element_fits_in_many(tab, layout):
    tasks = tasks_of([layout], sizes=((640, 480), (1024, 768), (1600, 900)))
    for index in range(60):
        check(tab, tasks.get_task("validation", index))
