"""Layouts with many small things: tables, spreadsheets, file managers, the workbench of a professional tool."""

from __future__ import annotations

from html import escape

from .icons import ICONS, icon, shows
from .sheet import ORDINALS, Sheet, ordinal

_COLUMNS = ("Date", "Status", "Owner", "Price", "City", "Size")
_STATES = ("open", "paid", "late", "draft", "held", "sent")
_ACTIONS = (("pencil", "Edit"), ("bin", "Delete"), ("eye", "Show"), ("download", "Download"), ("bubble", "Comment"), ("star", "Favourite"))


def _value(s: Sheet, column: str) -> str:
    match column:
        case "Date":
            return f"{int(s.rng.integers(2019, 2030))}-{int(s.rng.integers(1, 13)):02}-{int(s.rng.integers(1, 29)):02}"
        case "Status":
            return s.pick(_STATES)
        case "Owner":
            return s.words.person()
        case "Price":
            return f"{s.rng.integers(100, 99_999) / 100:.2f}"
        case "City":
            return s.words.city()
        case _:
            return f"{int(s.rng.integers(1, 999))} kB"


def table(s: Sheet) -> str:
    """Rows with a checkbox, a name, values and small action icons; headings that sort, page numbers below."""
    row = s.h + 6
    count = max(2, (s.height - 2 * (s.h + 12) - s.h - 4) // row)
    columns = s.some(_COLUMNS, max(1, min(len(_COLUMNS), (s.width - 360) // 130)))
    actions = [_ACTIONS[int(n)] for n in s.some([str(n) for n in range(len(_ACTIONS))], 2 + (s.width > 900))]
    s.keep_icons([name for name, _ in actions] + ["search", "funnel", "plus", "first", "last"])
    find = s.item(icon("search", 15), cls="in", style="width:180px", attributes='role="searchbox" aria-label="Search"', facts={
        "role": "field", "icon": shows("search"), "does": "search the table"})  # fmt: skip
    bar = f'<h1 class="cut grow">{escape(s.words.title())}</h1>{find}'
    bar += s.icon_button("funnel", "Filter", cls="i boxed", does="filter the table") + s.button(s.words.label("New"), icon_name="plus")
    widths = f"34px minmax(120px,1.6fr) repeat({len(columns)},minmax(0,1fr)) {len(actions) * (s.h + 2)}px"
    line = f"display:grid;grid-template-columns:{widths};align-items:center;gap:8px;padding:0 10px;border-bottom:1px solid var(--line)"
    head = "<span></span>"
    for name in ("Name", *columns):
        text = s.words.label(name)
        facts = {"role": "heading", "text": text, "part": "column heading", "does": f"sort the table by “{text}”"}
        head += s.item(escape(text), tag="button", cls="cut strong", style="text-align:start;height:100%", facts=facts)
    body = f'<div style="{line};height:{s.h}px;background:var(--hover)">{head}<span></span></div>'
    for n in range(count):
        body += f'<div style="{line};height:{row}px">{_row(s, n, columns, actions)}</div>'
    pages = "".join(s.item(str(n), tag="button", cls="i", facts={"role": "page number", "text": str(n)}) for n in range(1, 6))
    back, forth = ("last", "first") if s.rtl else ("first", "last")
    below = s.icon_button(back, "Previous page", does="go to the previous page of the table") + pages
    below += s.icon_button(forth, "Next page", does="go to the next page of the table")
    return s.document(
        f'<div class="bar">{bar}</div><div class="grow" style="background:var(--panel);overflow:hidden">{body}</div>'
        f'<div class="bar" style="justify-content:end">{below}</div>'
    )


def _row(s: Sheet, n: int, columns: list[str], actions: list[tuple[str, str]]) -> str:
    name, on = s.words.title(), s.maybe(0.3)
    place = f"in the {ordinal(n)} row of the table"
    facts = {"role": "checkbox", "part": "checkbox", "owner": name, "place": place}
    kind = f'role="checkbox" aria-checked="{str(on).lower()}" aria-label="{escape(name)}"'
    html = s.item("", cls=f"tick{' on' if on else ''}", attributes=kind, facts=facts)
    html += f'<span class="cut">{s.link(name, part="link", place=place)}</span>'
    for column in columns:
        value = _value(s, column)
        if column == "Status":
            html += f'<span class="cut"><span class="tag">{value}</span></span>'
            continue
        facts = {"role": "cell", "text": value, "part": f"cell of the column “{s.words.label(column)}”", "place": place, "owner": name}
        html += s.item(escape(value), cls="cut", facts=facts)
    made = "".join(
        s.icon_button(drawn, f"{label} {name}", size=15, part=f"{label.lower()} icon ({shows(drawn)})", place=place, owner=name)
        for drawn, label in actions
    )
    return f'{html}<span class="row" style="gap:2px">{made}</span>'


def files(s: Sheet) -> str:
    """A file manager: places, a path, files in a list or as a grid of big icons."""
    s.keep_icons(["folder", "picture", "chart", "letter", "speaker"])
    side = ""
    for n, drawn in enumerate(s.new_icons(min(8, (s.height - 100) // (s.h + 8)))):
        text = s.words.place()
        facts = {"role": "place", "text": text, "icon": shows(drawn), "part": "place", "place": f"the {ORDINALS[n]} place at the side"}
        side += s.item(f"{icon(drawn, 16)}{escape(text)}", cls="row cut", style=f"height:{s.h + 4}px;padding:0 10px", facts=facts)
    tools = "".join(
        s.icon_button(name, label, cls="i boxed", does=does)
        for name, label, does in (
            ("upload", "Upload", "upload a file"),
            ("bin", "Delete", "delete the selected files"),
            ("plus", "New", "make a new folder"),
        )
    )
    inner, css = (_grid if s.maybe() else _list)(s)
    path = s.words.place(), s.words.place()
    crumbs = " / ".join(s.link(text) for text in path)
    return s.document(
        f'<div class="bar">{tools}<span class="grow cut">{crumbs}</span><span class="mute cut">{escape(s.words.text(2))}</span>'
        f'</div><div class="row grow whole"><div class="col side" style="width:170px;padding:8px;gap:2px">'
        f'{side}</div><div class="grow" style="{css}">{inner}</div></div>'
    )


_TYPES = (("folder", ""), ("picture", ".png"), ("chart", ".xlsx"), ("letter", ".txt"), ("speaker", ".mp3"))


def _grid(s: Sheet) -> tuple[str, str]:
    wide, high = 132, 92 + 2 * s.f
    across, down = (s.width - 170 - 24) // wide, (s.height - s.h - 12 - 24) // high
    html = ""
    for row in range(down):
        for column in range(across):
            drawn, ending = _TYPES[int(s.rng.integers(len(_TYPES)))]
            name = s.words.stem() + ending
            inner = f'{icon(drawn, 42)}<span class="names">{escape(name)}</span>'
            side = "from the right" if s.rtl else "from the left"
            facts = {"role": "file", "text": name, "part": "file", "place": f"in the {ordinal(row)} row, the {ordinal(column)} {side}"}
            style = f"align-items:center;justify-content:center;gap:6px;height:{high - 8}px;padding:4px;border-radius:var(--r)"
            html += s.item(inner, cls="col", style=style, facts=facts)
    return html, f"display:grid;grid-template-columns:repeat({across},{wide}px);align-content:start;gap:8px 0;padding:12px"


def _list(s: Sheet) -> tuple[str, str]:
    row, more = s.h, s.width > 760
    html = ""
    for n in range((s.height - s.h - 12 - 16) // row):
        drawn, ending = _TYPES[int(s.rng.integers(len(_TYPES)))]
        name, place = s.words.stem() + ending, f"in the {ordinal(n)} row of the list"
        facts = {"role": "file", "text": name, "part": "file name", "place": place}
        first = s.item(f'{icon(drawn, 15)}<span class="cut">{escape(name)}</span>', cls="row", style="height:100%", facts=facts)
        extra = f'<span class="mute cut">{_value(s, "Date")}</span><span class="mute cut">{_value(s, "Size")}</span>' if more else ""
        share = s.icon_button("chain", f"Link to {name}", size=14, style=f"height:{row - 2}px", part="link icon", place=place, owner=name)
        menu = s.icon_button(
            "dots", f"More about {name}", size=14, style=f"height:{row - 2}px", part="menu icon (three dots)", place=place, owner=name
        )
        columns = "minmax(0,1fr) 90px 70px auto auto" if more else "minmax(0,1fr) auto auto"
        style = f"display:grid;grid-template-columns:{columns};align-items:center;gap:10px;height:{row}px;padding:0 8px"
        html += f'<div style="{style};border-bottom:1px solid var(--line)">{first}{extra}{share}{menu}</div>'
    return html, "padding:8px"


def spreadsheet(s: Sheet) -> str:
    """A dense grid of cells with letters and numbers at its edges, sheets below."""
    names = s.new_icons(max(4, min(16, (s.width - 260) // 30)))
    bar = "".join(s.icon_button(name, ICONS[name][0].capitalize(), size=15, style="width:26px;height:26px") for name in names)
    wide, high, edge = int(s.rng.integers(66, 96)), int(s.rng.integers(19, 25)), 40
    across, down = min(26, (s.width - edge) // wide), (s.height - 2 * (s.h + 12) - high) // high
    letters = [chr(65 + n) for n in range(across)]
    base = "border:solid var(--line);border-width:0 1px 1px 0;font-size:12px;display:flex;align-items:center;padding:0 4px"
    shade = f"{base};background:var(--hover);justify-content:center"
    grid = f'<div style="{shade}"></div>'
    for letter in letters:
        facts = {"role": "heading", "text": letter, "part": "column heading", "does": f"select all of column {letter}"}
        grid += s.item(letter, style=shade, facts=facts)
    kinds = [s.pick(("Price", "City", "Size", "Empty", "Price")) for _ in letters]
    for n in range(1, down + 1):
        facts = {"role": "row number", "text": str(n), "part": "row number", "does": f"select all of row {n}"}
        grid += s.item(str(n), style=shade, facts=facts)
        for letter, kind in zip(letters, kinds, strict=True):
            value = "" if kind == "Empty" or s.maybe(0.2) else _value(s, kind)
            facts = {"role": "cell", "does": f"select the cell {letter}{n}", "part": f"cell of column {letter}", "place": f"in row {n}"}
            if value:
                facts["text"] = value
            align = "justify-content:flex-end;" if kind in ("Price", "Size") else ""
            grid += s.item(f'<span class="cut">{escape(value)}</span>', style=f"{align}{base}", facts=facts)
    tabs = ""
    sheets = [s.words.topic() for _ in range(3 + (s.width > 900))]
    for n, text in enumerate(sheets):
        facts = {"role": "tab", "text": text, "part": "tab", "place": f"the {ORDINALS[n]} tab at the bottom"}
        if n:
            facts["beside"] = f"directly to the {s.side(after=True)} of the tab “{sheets[n - 1]}”"
        tabs += s.item(escape(text), tag="button", cls="b", attributes='role="tab"', facts=facts)
    rows = f"grid-template:repeat({down + 1},{high}px)/{edge}px repeat({across},{wide}px)"
    return s.document(
        f'<div class="bar" style="gap:4px">{bar}<span class="cut mute grow">{escape(s.words.title())}</span></div>'
        f'<div class="grow" style="display:grid;{rows};background:var(--panel);align-content:start;overflow:hidden">{grid}</div>'
        f'<div class="bar">{tabs}</div>'
    )


_HUES = {
    "red": "#e23b3b",
    "green": "#2f9e44",
    "blue": "#2f6fe0",
    "orange": "#f08c00",
    "purple": "#8f44d6",
    "pink": "#ec5fa5",
    "brown": "#8a5a33",
}
_MENUS = ("File", "Edit", "View", "Insert", "Tools", "Window", "Help")
_VALUES = ("Width", "Height", "Opacity", "Rotation", "Contrast", "Hue", "Sharpness", "Spacing", "Blur", "Grain")


def workbench(s: Sheet) -> str:
    """A drawing tool as professionals use it: tiny icons all around a canvas, layers, number fields, a ruler of frames."""
    menus = "".join(
        s.item(f'<span class="cut">{escape(s.words.label(t))}</span>', tag="button", cls="i", style="width:58px;height:22px", facts={
            "role": "menu", "text": s.words.label(t), "part": "menu", "place": f"the {ORDINALS[n]} menu"})
        for n, t in enumerate(_MENUS)
    )  # fmt: skip
    s.keep_icons(["eye", "padlock", "plus", "bin", "first", "last", "play"])
    options = "".join(
        s.icon_button(name, ICONS[name][0].capitalize(), size=14, style="width:24px;height:24px")
        for name in s.new_icons(min(14, (s.width - 420) // 28))
    )
    tools = ""
    for n, name in enumerate(s.new_icons(min(28, 2 * ((s.height - 150) // 28)))):
        where = f"in the {ordinal(n // 2)} row of the tool palette, at the {s.side(after=n % 2 == 1)}"
        tools += s.icon_button(name, ICONS[name][0].capitalize(), size=15, style="width:26px;height:26px", part="tool", place=where)
    panel = 236
    count = max(2, min(12, (s.height - 330) // 24))
    layers = "".join(_layer(s, n) for n in range(count))
    buttons = s.icon_button("plus", "New layer", size=14, style="width:24px;height:24px", does="add a layer")
    buttons += s.icon_button("bin", "Delete layer", size=14, style="width:24px;height:24px", does="delete the selected layer")
    numbers = "".join(_number(s, name) for name in s.some(_VALUES, max(2, min(len(_VALUES), (s.height - 190 - count * 24) // 28))))
    wide, high = s.width - 64 - panel, s.height - 22 - 32 - 54
    frames = _frames(s, s.width)
    return s.document(
        f'<div class="row thin">{menus}<span class="mute cut">{escape(s.words.stem())}</span></div>'
        f'<div class="row strip" style="height:32px">{options}</div>'
        f'<div class="row grow whole"><div class="tools">{tools}</div>'
        f'<svg class="grow" style="background:var(--hover)" width="{wide}" height="{high}">{_canvas(s, wide, high)}</svg>'
        f'<div class="col" style="width:{panel}px;background:var(--panel);padding:4px;gap:4px">{numbers}'
        f'<div style="border-top:1px solid var(--line)">{layers}</div><div class="row" style="gap:4px">{buttons}</div></div></div>{frames}',
        css="body{font-size:12px}.num{width:86px;height:22px;flex:none}",
    )


def _layer(s: Sheet, n: int) -> str:
    name = s.words.topic()
    place = f"in the {ordinal(n)} row of the layers"
    small = "width:20px;height:20px"
    eye = s.icon_button(
        "eye", f"Show {name}", size=13, style=small, part="eye icon", owner=name, place=place, does=f"hide the layer “{name}”"
    )
    lock = s.icon_button(
        "padlock", f"Lock {name}", size=13, style=small, part="padlock icon", owner=name, place=place, does=f"lock the layer “{name}”"
    )
    text = s.item(escape(name), cls="cut grow", facts={"role": "layer", "text": name})
    return f'<div class="row" style="height:24px;gap:4px">{eye}{text}{lock}</div>'


def _number(s: Sheet, name: str) -> str:
    value = str(int(s.rng.integers(0, 400)))
    facts = {"role": "number field", "label": name, "text": value, "part": "number field", "owner": name}
    box = s.item(value, cls="in num", attributes=f'role="spinbutton" aria-label="{name}"', facts=facts)
    reset = s.icon_button("reload", f"Reset {name}", size=12, style="width:20px;height:20px", part="reset icon", owner=name)
    return f'<div class="row" style="height:24px;gap:6px"><span class="grow cut mute">{name}</span>{box}{reset}</div>'


def _canvas(s: Sheet, wide: int, high: int) -> str:
    """Coloured shapes, each in a cell of its own."""
    across, down = max(2, wide // 150), max(2, high // 150)
    cells = s.some([str(n) for n in range(across * down)], min(6, across * down))
    looks = s.some([f"{colour} {shape}" for colour in _HUES for shape in ("circle", "square")], len(cells))
    html = ""
    for cell, look in zip(cells, looks, strict=True):
        row, column = divmod(int(cell), across)
        size = float(s.rng.integers(26, 80))
        x = (column + 0.5) * wide / across + float(s.rng.uniform(-10, 10))
        y = (row + 0.5) * high / down + float(s.rng.uniform(-10, 10))
        colour, shape = look.split()
        if shape == "circle":
            attributes, tag = f'cx="{x:.0f}" cy="{y:.0f}" r="{size / 2:.0f}"', "circle"
        else:
            attributes, tag = f'x="{x - size / 2:.0f}" y="{y - size / 2:.0f}" width="{size:.0f}" height="{size:.0f}"', "rect"
        facts = {"role": "shape", "look": f"the {look} on the canvas"}
        html += s.item("", tag=tag, attributes=f'fill="{_HUES[colour]}" {attributes}', facts=facts)
    return html


def _frames(s: Sheet, width: int) -> str:
    html = s.icon_button("play", "Play", size=14, style="width:24px;height:24px", does="play the animation")
    count = min(40, (width - 60) // 36)
    for n in range(1, count + 1):
        facts = {"role": "frame", "text": str(n * 5), "does": f"go to frame {n * 5} of the animation"}
        html += s.item(str(n * 5), cls="frame", facts=facts)
    return f'<div class="row strip" style="height:54px">{html}</div>'
