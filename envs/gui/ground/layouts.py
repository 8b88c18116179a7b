"""Layouts of everyday pages: forms, settings, menus, editors with toolbars, calendars. Each fills a ``Sheet`` and gives the page's HTML."""

from __future__ import annotations

from html import escape

from .icons import ICONS, icon, shows
from .sheet import ORDINALS, Sheet, ordinal

DOES = {
    "search": "search the page",
    "disk": "save the document",
    "printer": "print the document",
    "bell": "see the notifications",
    "envelope": "send the page by mail",
    "house": "go to the start page",
    "star": "add the page to the favourites",
    "padlock": "protect the document with a password",
    "camera": "take a photo",
    "folder": "open another file",
    "clip": "attach a file",
    "cart": "see what is in the shopping cart",
    "undo": "undo the last change",
    "redo": "do the undone change again",
    "reload": "load the page again",
    "play": "start the playback",
    "pause": "halt the playback for a while",
    "speaker": "change the volume",
    "microphone": "record speech",
    "funnel": "filter what is shown",
    "bubble": "write a comment",
    "download": "download the file",
    "upload": "upload a file",
    "chain": "insert a link",
    "scissors": "cut out the selection",
    "chart": "insert a chart",
    "picture": "insert a picture",
    "globe": "change the language",
    "person": "open the own account",
    "question": "get help",
    "gear": "open the settings",
    "moon": "switch to the dark theme",
    "pin": "show the place on a map",
    "phone": "call somebody",
    "clock": "see the history",
}
"""What buttons with these icons do."""

_FIELDS = [
    "Name", "Email", "Phone", "Address", "City", "Country", "Company", "Password", "Website", "Department", "Nickname", "Postcode",
    "Street", "Birthday", "Occupation", "Remarks",
]  # fmt: skip
_SETTINGS = [
    "Language", "Time zone", "Theme", "Font size", "Startup page", "Date format", "Currency", "Auto save", "Spelling", "Animations",
    "Location", "Cookies", "Backups", "Two-step login", "Key sounds", "Vibration", "Do not disturb", "Previews", "Subtitles",
    "Battery saver", "Updates", "Telemetry", "Sync", "Mobile data", "Proxy", "Download folder",
]  # fmt: skip
_SECTIONS = ("General", "Privacy", "Security", "Sounds", "Accounts", "Network", "Display", "Storage", "Keyboard", "About")


def form(s: Sheet) -> str:
    """One or two columns of labelled fields, options, and buttons at the end."""
    s.keep_icons(["question", "eye", "person"])
    label, gap = s.f + 8, 12
    columns = 2 if s.width >= 760 and s.maybe() else 1
    # The title with its margins, the panel's padding, a line of options and the line of buttons.
    room = s.height - (s.f * 2 + 30) - 2 * 20 - (s.h + gap) * 2 - 24
    count = min(len(_FIELDS), max(2, room // (s.h + label + gap)) * columns)
    names = s.some(_FIELDS, count)
    helps = set(s.some(names, max(1, count // 3)))
    fields: list[str] = []
    for n, name in enumerate(names):
        text = s.words.label(name)
        helper = ""
        if name in helps:
            helper = s.icon_button(
                "question", f"Help: {name}", size=13, style=f"width:{label}px;height:{label}px", part="help icon", owner=text
            )
        value = {"Name": s.words.person(), "City": s.words.place()}.get(name, "") if s.maybe(0.4) else ""
        order = {"part": "field", "place": f"the {ORDINALS[n]} field of the form"} if columns == 1 and n < len(ORDINALS) else {}
        facts = {"role": "field", "label": text, **order}
        box = s.item(
            f'<span class="cut">{escape(value)}</span>', cls="in", attributes=f'role="textbox" aria-label="{escape(text)}"', facts=facts
        )
        if name == "Password":
            eye = s.icon_button("eye", "Show password", size=15, cls="i boxed", does="show the password")
            box = f'<div class="row">{box}{eye}</div>'
        head = f'<div class="row" style="height:{label}px;gap:4px"><span class="mute">{escape(text)}</span>{helper}</div>'
        fields.append(f'<div style="min-width:0">{head}{box}</div>')
    options = s.some(("Remember me", "Send me news", "Private entry", "Urgent", "Send a copy", "Keep a draft"), 2 + (s.width > 800))
    checks = "".join(s.check(text, on=s.maybe()) for text in options)
    ends = s.line([(s.words.label(t), "") for t in s.some(("Save", "Cancel", "Reset", "Print", "Help"), 3)])
    width = min(s.width - 40, 460 * columns)
    title = s.words.title()
    grid = f'<div style="display:grid;grid-template-columns:repeat({columns},1fr);gap:{gap}px 20px">{"".join(fields)}</div>'
    panel = (
        f'<div class="panel" style="width:{width}px;padding:20px;margin:0 auto">{grid}<div class="row" style="gap:20px;margin-top:{gap}px">'
        f'{checks}</div><div class="row" style="margin-top:{gap}px">{ends}</div></div>'
    )
    return s.document(f'<h1 style="width:{width}px;margin:{12}px auto 10px;height:{s.f * 2}px" class="cut">{escape(title)}</h1>{panel}')


def settings(s: Sheet) -> str:
    """A list of sections, and rows of settings with a switch or a button each."""
    s.keep_icons(["search"])
    row = s.h + 16
    sections = s.some(_SECTIONS, min(len(_SECTIONS), (s.height - 60) // (s.h + 10)))
    current = int(s.rng.integers(len(sections)))
    icons = s.new_icons(len(sections))
    side = ""
    for n, (name, drawn) in enumerate(zip(sections, icons, strict=True)):
        text = s.words.label(name)
        on = "background:var(--hover);" if n == current else ""
        inner = f"{icon(drawn, 16)}{escape(text)}"
        facts = {
            "role": "section",
            "text": text,
            "icon": shows(drawn),
            "part": "section",
            "place": f"the {ORDINALS[n]} section in the list",
        }
        side += s.item(inner, cls="row cut", style=f"{on}height:{s.h + 6}px;padding:0 10px;border-radius:var(--r)", facts=facts)
    count = max(2, min(len(_SETTINGS), (s.height - s.h - 90) // row))
    rows = ""
    for n, name in enumerate(s.some(_SETTINGS, count)):
        text = s.words.label(name)
        place = {"place": f"in the {ORDINALS[n]} row of settings"} if n < len(ORDINALS) else {}
        if s.maybe(0.55):
            on = s.maybe()
            does = f"{'turn off' if on else 'turn on'} “{text}”"
            kind = f'role="switch" aria-checked="{str(on).lower()}" aria-label="{escape(text)}"'
            facts = {"role": "switch", "part": "switch", "owner": text, "does": does, **place}
            control = s.item("", cls=f"sw{' on' if on else ''}", attributes=kind, facts=facts)
        else:
            # Written the same in every row, so never asked for by its text.
            facts = {"role": "button", "part": "Change button", "owner": text, **place}
            control = s.item(escape(s.words.label("Change")), tag="button", cls="b", facts=facts)
        rows += (
            f'<div class="row under" style="height:{row}px;padding:0 12px">'
            f'<span class="cut grow">{escape(text)}</span>'
            f'<span class="mute cut" style="width:24%">{escape(s.words.text(2))}</span>{control}</div>'
        )
    ends = s.line([(s.words.label(t), "") for t in s.some(("Save", "Cancel", "Reset", "Export"), 2)])
    find = s.item(f'{icon("search", 15)}', cls="in", style="width:200px", attributes='role="searchbox" aria-label="Find"', facts={
        "role": "field", "icon": shows("search"), "does": "search the settings"})  # fmt: skip
    title = f'<span class="strong grow cut">{escape(s.words.title())}</span>'
    return s.document(
        f'<div class="bar">{title}{find}</div><div class="row grow whole">'
        f'<div class="col side" style="width:190px;padding:8px;gap:4px">{side}</div>'
        f'<div class="col grow" style="padding:10px"><div class="panel">{rows}</div>'
        f'<div class="row" style="margin-top:10px">{ends}</div></div></div>'
    )


_MENUS = ("File", "Edit", "View", "Insert", "Format", "Tools", "Window", "Help")
_ENTRIES = (
    ("Undo", "undo", "Ctrl+Z"), ("Redo", "redo", "Ctrl+Y"), ("Cut", "scissors", "Ctrl+X"), ("Paste", "clip", "Ctrl+V"),
    ("Print", "printer", "Ctrl+P"), ("Save", "disk", "Ctrl+S"), ("Open", "folder", "Ctrl+O"), ("Search", "search", "Ctrl+F"),
    ("Share", "upload", ""), ("Export", "download", ""), ("Delete", "bin", "Del"), ("Rename", "pencil", "F2"), ("Lock", "padlock", ""),
    ("Insert link", "chain", "Ctrl+K"), ("Insert picture", "picture", ""), ("Add comment", "bubble", ""), ("Zoom in", "plus", "Ctrl++"),
    ("Close", "cross", "Ctrl+W"), ("Statistics", "chart", ""), ("Translate", "globe", ""), ("History", "clock", ""),
    ("Filter", "funnel", ""),
)  # fmt: skip


def menu(s: Sheet) -> str:
    """A menu bar with an open menu, an open submenu in it, over a page of text."""
    bars = s.some(_MENUS, min(len(_MENUS), (s.width - 20) // 84))
    opened = int(s.rng.integers(min(len(bars), max(1, (s.width - 520) // 84 + 1))))
    bar = ""
    for n, name in enumerate(bars):
        on = ";background:var(--accent);color:var(--on)" if n == opened else ""
        facts = {"role": "menu", "text": s.words.label(name), "part": "menu", "place": f"the {ORDINALS[n]} menu of the menu bar"}
        inner = f'<span class="cut">{escape(facts["text"])}</span>'
        bar += s.item(inner, tag="button", cls="i", style=f"width:84px{on}", attributes='role="menuitem"', facts=facts)
    row = s.h + 2
    count = max(4, min(13, (s.height - s.h - 60) // row - 1))
    chosen = s.some([str(n) for n in range(len(_ENTRIES))], len(_ENTRIES))
    sub = int(s.rng.integers(1, count - 2))
    first = _entries(s, [_ENTRIES[int(n)] for n in chosen[:count]], row, "menu", sub)
    more = min(count - sub, 6, len(_ENTRIES) - count)
    second = _entries(s, [_ENTRIES[int(n)] for n in chosen[count : count + more]], row, "submenu") if more > 1 else ""
    start, top = 10 + 84 * opened, s.h + 10
    inset = f"inset-inline-start:{start}px;top:{top}px"
    inset2 = f"inset-inline-start:{start + 236}px;top:{top + sub * row}px"
    box = "position:absolute;width:240px;padding:4px;box-shadow:0 4px 14px #0006"
    shown = f'<div class="panel" style="{box};{inset}" role="menu">{first}</div>'
    shown += f'<div class="panel" style="{box};{inset2}" role="menu">{second}</div>' if second else ""
    lines = (s.height - s.h - 90) // (s.f + 12)
    text = "".join(
        f'<p class="cut" style="height:{s.f + 12}px">{escape(s.words.text(int(s.rng.integers(8, 16))))}</p>' for _ in range(lines)
    )
    return s.document(
        f'<div class="row under thin" style="height:{s.h + 8}px;padding:0 10px">{bar}'
        f'</div><div class="grow mute" style="padding:24px 40px"><h1 style="margin-bottom:10px">{escape(s.words.title())}</h1>'
        f"{text}</div>{shown}"
    )


def _entries(s: Sheet, entries: list[tuple[str, str, str]], row: int, where: str, opened: int = -1) -> str:
    html = ""
    for n, (name, drawn, keys) in enumerate(entries):
        text = s.words.label(name)
        hint = f'<span class="mute" style="font-size:.85em">{keys}</span>' if keys and not s.rtl else ""
        arrow = icon("first" if s.rtl else "last", 11) if n == opened else ""
        inner = f'{icon(drawn, 15)}<span class="grow cut">{escape(text)}</span>{hint}{arrow}'
        does = {"shortcut": f"the entry with the shortcut {keys}"} if hint else {}
        facts = {"role": "menu entry", "text": text, "icon": shows(drawn), "part": f"{where} entry", **does}
        facts["place"] = f"the {ORDINALS[n]} entry of the open {where}"
        on = ";background:var(--hover)" if n == opened else ""
        html += s.item(inner, cls="row", style=f"height:{row}px;padding:0 8px{on}", attributes='role="menuitem"', facts=facts)
    return html


def toolbar(s: Sheet) -> str:
    """An editor: two lines of icon buttons, a page of text, a rail of icons, a status bar."""
    per = max(6, (s.width - 140) // (s.h + 10))
    names = s.some(list(DOES), min(len(DOES), per * 2))
    s.keep_icons(names)
    lines = [names[:per], names[per:]]
    bars = ""
    for n, line in enumerate(lines):
        made = ""
        for m, name in enumerate(line):
            if m and m % 5 == 0:
                made += '<span class="sep"></span>'
            beside = f"directly to the {s.side(after=True)} of {shows(line[m - 1])}" if m % 5 else ""
            place = f"the {ORDINALS[m]} icon of the {ORDINALS[n]} toolbar line" if m < len(ORDINALS) else ""
            does = DOES[name]
            made += s.icon_button(name, does.capitalize(), does=does, beside=beside, part="icon", place=place)
        bars += f'<div class="bar" style="gap:6px">{made}</div>'
    rail = ""
    others = [name for name in s.new_icons(12) if name not in names][: max(0, (s.height - 3 * s.h - 80) // (s.h + 8))]
    for n, name in enumerate(others[: len(ORDINALS)]):
        place = f"the {ORDINALS[n]} icon of the bar at the {s.side(after=False)} edge"
        rail += s.icon_button(name, ICONS[name][0].capitalize(), part="rail icon", place=place)
    lines_of_text = max(1, (s.height - 4 * s.h - 150) // (s.f + 12))
    text = "".join(
        f'<p class="cut" style="height:{s.f + 12}px">{escape(s.words.text(int(s.rng.integers(8, 16))))}</p>' for _ in range(lines_of_text)
    )
    head = f'<h1 class="cut" style="margin-bottom:10px">{escape(s.words.title())}</h1>'
    page = f'<div class="panel grow" style="padding:20px;margin:12px 8%;overflow:hidden">{head}{text}</div>'
    ends = s.line([(s.words.label(t), "") for t in s.some(("Close", "Rename", "Copy", "Cancel", "Today"), 3)])
    return s.document(
        f'{bars}<div class="row grow whole"><div class="col side" style="padding:6px;gap:6px">{rail}</div>{page}</div>'
        f'<div class="bar"><span class="mute cut grow">'
        f"{escape(s.words.text(4))}</span>{ends}</div>"
    )


_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]


def calendar(s: Sheet) -> str:
    """A month of days with events in some of them."""
    s.keep_icons(["first", "last", "plus", "search"])
    first, length = int(s.rng.integers(7)), int(s.rng.choice([28, 30, 31]))
    weeks = -(-(first + length) // 7)
    month, year = s.pick(_MONTHS), int(s.rng.integers(2019, 2031))
    cell = (s.height - 2 * s.h - 46 - s.f - 10) // weeks
    events = max(1, min(3, (cell - s.f - 12) // (s.f + 8)))
    earlier, later = ("last", "first") if s.rtl else ("first", "last")
    back = s.icon_button(earlier, "Previous month", does="go to the month before")
    forth = s.icon_button(later, "Next month", does="go to the month after")
    views = s.line([(s.words.label(t), "") for t in ("Day", "Week", "Month", "Year")[: 2 + (s.width > 800) * 2]])
    new = s.button(s.words.label("New"), icon_name="plus", does="add an event")
    top = f'{back}{forth}<h1 class="grow cut">{month} {year}</h1>{views}{new}'
    grid = "".join(f'<div class="mute" style="padding:2px 6px;height:{s.f + 8}px">{name[:3]}</div>' for name in _DAYS)
    for place in range(weeks * 7):
        day = place - first + 1
        inside = 1 <= day <= length
        shown = ""
        for _ in range(int(s.rng.integers(0, events + 1)) if inside and s.maybe(0.45) else 0):
            title = s.words.topic()
            facts = {"role": "event", "text": title, "part": "event", "place": f"on the {ordinal(day - 1)}"}
            shown += s.item(escape(title), cls="cut event", style=f"height:{s.f + 6}px", facts=facts)
        number = ""
        if inside:
            weekday = f"the {ORDINALS[(day - 1) // 7]} {_DAYS[place % 7]} of {month}"
            facts = {"role": "day", "text": str(day), "part": "day", "place": weekday}
            number = s.item(str(day), tag="button", style=f"padding:0 6px;height:{s.f + 6}px;min-width:{s.f + 12}px", facts=facts)
        grid += f'<div style="border:1px solid var(--line);padding:2px;overflow:hidden;background:var(--panel)">{number}{shown}</div>'
    rows = f"grid-template:{s.f + 10}px repeat({weeks},{cell}px)/repeat(7,minmax(0,1fr))"
    return s.document(f'<div class="bar">{top}</div><div style="display:grid;{rows};margin:10px">{grid}</div>')
