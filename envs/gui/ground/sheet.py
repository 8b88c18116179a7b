"""The page that a layout fills: its theme and measures, and the elements that an instruction may ask for, with what is true of each.

A layout asks for sizes here and never for those of rendered text: rows have fixed heights, texts fixed widths, so that everything it puts
on the page is seen whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal, TypeAlias, get_args

import numpy as np

from .icons import ICONS, icon, shows
from .words import Script, Words

Theme: TypeAlias = Literal["light", "dark", "contrast", "rtl"]
THEMES: tuple[Theme, ...] = get_args(Theme)
SMALLEST, LARGEST = (640, 480), (3840, 2400)
"""Screens, in CSS pixels, that layouts fit."""

ORDINALS = (
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
)
_FONTS = ("'Liberation Sans',Arial,sans-serif", "'DejaVu Sans',Verdana,sans-serif", "'Liberation Sans Narrow','Liberation Sans',sans-serif")
_COLOURS: Mapping[Theme, str] = {
    "light": "--bg:{tint};--panel:#fff;--fg:#1d2127;--mute:#5d6673;--line:#d3d8df;--hover:{soft};--accent:{accent};--on:#fff",
    "dark": "--bg:#15181d;--panel:#1f242b;--fg:#e5e8ec;--mute:#9aa4b1;--line:#39414c;--hover:#2b323c;--accent:{bright};--on:#101317",
    "contrast": "--bg:#000;--panel:#000;--fg:#fff;--mute:#fff;--line:#fff;--hover:#222;--accent:#ff0;--on:#000",
    "rtl": "--bg:{tint};--panel:#fff;--fg:#1d2127;--mute:#5d6673;--line:#d3d8df;--hover:{soft};--accent:{accent};--on:#fff",
}
_CSS = """
*{box-sizing:border-box;margin:0;padding:0}
html,body{width:100%;height:100%;overflow:hidden}
body{background:var(--bg);color:var(--fg);font:var(--f)/1.25 var(--font);display:flex;flex-direction:column;cursor:default}
button,input{font:inherit;color:inherit;background:none;border:0;outline:0}
.ic{fill:none;stroke:currentColor;stroke-width:2;stroke-linecap:round;stroke-linejoin:round;flex:none;display:block}
.row,.bar{display:flex;align-items:center;gap:8px;flex:none;overflow:hidden}
.bar{height:calc(var(--h) + 12px);padding:0 10px;background:var(--panel);border-bottom:1px solid var(--line)}
.col{display:flex;flex-direction:column;min-width:0;min-height:0}
.grow{flex:1;min-width:0;min-height:0}
.panel{background:var(--panel);border:1px solid var(--line);border-radius:var(--r)}
.b{height:var(--h);padding:0 12px;border:1px solid var(--line);border-radius:var(--r);background:var(--panel);white-space:nowrap;
 display:inline-flex;align-items:center;justify-content:center;gap:6px;flex:none}
.b.main{background:var(--accent);color:var(--on);border-color:var(--accent);font-weight:600}
.i{width:var(--h);height:var(--h);display:inline-flex;align-items:center;justify-content:center;border-radius:var(--r);flex:none}
.i.boxed{border:1px solid var(--line)}
.in{height:var(--h);width:100%;padding:0 8px;border:1px solid var(--line);border-radius:var(--r);background:var(--panel);
 display:flex;align-items:center;overflow:hidden;white-space:nowrap}
.cut{overflow:hidden;text-overflow:ellipsis;white-space:nowrap;min-width:0}
.mute{color:var(--mute)}.strong{font-weight:600}
.a{color:var(--accent);white-space:nowrap}
.chk{display:inline-flex;align-items:center;gap:8px;height:var(--h);white-space:nowrap;flex:none}
.tick{width:15px;height:15px;border:1.5px solid var(--mute);border-radius:3px;flex:none;display:inline-flex;background:var(--panel)}
.tick.round{border-radius:50%}
.tick.on{background:var(--accent);border-color:var(--accent);box-shadow:inset 0 0 0 3px var(--panel)}
.sw{width:34px;height:18px;border-radius:9px;border:1px solid var(--mute);flex:none;position:relative;display:block}
.sw::after{content:'';position:absolute;top:2px;inset-inline-start:2px;width:12px;height:12px;border-radius:50%;background:var(--mute)}
.sw.on{background:var(--accent);border-color:var(--accent)}.sw.on::after{inset-inline-start:18px;background:var(--on)}
.tag{font-size:.85em;padding:1px 8px;border-radius:9px;border:1px solid var(--line);white-space:nowrap}
.sep{width:1px;height:60%;background:var(--line);flex:none}
.side{background:var(--panel);border-inline-end:1px solid var(--line)}
.under{border-bottom:1px solid var(--line)}
.whole{align-items:stretch;gap:0}
.names{max-width:100%;font-size:.9em;text-align:center;overflow-wrap:anywhere}
.event{background:var(--hover);margin-top:2px;padding:0 5px;border-radius:3px;border-inline-start:3px solid var(--accent)}
.frame{width:32px;height:34px;border:1px solid var(--line);font-size:10px;display:flex;align-items:end;justify-content:center;flex:none}
.tools{width:64px;display:grid;grid-template-columns:26px 26px;gap:2px;padding:4px;align-content:start;background:var(--panel)}
.thin{height:22px;gap:0;background:var(--panel)}
.strip{gap:4px;padding:0 8px;background:var(--panel);border:solid var(--line);border-width:1px 0}
h1{font-size:1.4em;font-weight:600;white-space:nowrap}
"""


def ordinal(number: int) -> str:
    """ "first", ... for ``number`` from 0; "17th" beyond the words."""
    if number < len(ORDINALS):
        return ORDINALS[number]
    last = (number + 1) % 10
    ending = "th" if (number + 1) % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(last, "th")
    return f"{number + 1}{ending}"


@dataclass(frozen=True, slots=True)
class Item:
    """An element that can be asked for: its ``key`` (``data-t`` in the page) and its ``facts``.

    ``role`` what it is; ``text`` what is written on it; ``label`` beside it; ``icon`` what it shows; ``does`` what a click on it would do,
    as a command; ``part`` and ``owner``, what it is of which row, card or label; ``part`` and ``place``, where it is in an order;
    ``beside``, next to what.
    """

    key: str
    facts: Mapping[str, str]


class Sheet:
    """One page in the making. ``width``, ``height`` in CSS pixels; ``h`` and ``f``: the heights of a control and of the letters."""

    def __init__(self, rng: np.random.Generator, split: str, theme: Theme, size: tuple[int, int], *, dense: bool = False) -> None:
        self.rng, self.theme, self.rtl = rng, theme, theme == "rtl"
        self.width, self.height = size
        script: Script = "latin" if not self.rtl else "arabic" if rng.random() < 0.5 else "hebrew"
        self.words = Words(split, script, rng)
        density = 0 if dense else int(rng.integers(3))
        self.h, self.f = ((24, 12), (30, 13), (36, 14))[density]
        hue = int(rng.integers(360))
        self.items: list[Item] = []
        self._icons = list(rng.permutation(list(ICONS)))
        colours = _COLOURS[theme].format(
            tint=f"hsl({hue} 20% 97%)", soft=f"hsl({hue} 40% 93%)", accent=f"hsl({hue} 65% 36%)", bright=f"hsl({hue} 75% 68%)"
        )
        radius = int(rng.choice([0, 3, 6, 10]))
        self._style = f":root{{{colours};--h:{self.h}px;--f:{self.f}px;--r:{radius}px;--font:{_FONTS[int(rng.integers(len(_FONTS)))]}}}"

    # ---- choices ---------------------------------------------------------------------------------------------------

    def maybe(self, share: float = 0.5) -> bool:
        return bool(self.rng.random() < share)

    def pick(self, values: Sequence[str]) -> str:
        return str(values[int(self.rng.integers(len(values)))])

    def some(self, values: Sequence[str], count: int) -> list[str]:
        """``count`` different ones, or all, in a random order."""
        return [str(values[i]) for i in self.rng.permutation(len(values))[:count]]

    def new_icons(self, count: int) -> list[str]:
        """Icons that the page does not have yet."""
        taken, self._icons = self._icons[:count], self._icons[count:]
        return taken

    def keep_icons(self, names: Sequence[str]) -> None:
        """Icons that the layout puts in itself, which ``new_icons`` then leaves out."""
        self._icons = [name for name in self._icons if name not in names]

    # ---- elements --------------------------------------------------------------------------------------------------

    def item(
        self,
        inner: str,
        *,
        tag: str = "div",
        cls: str = "",
        style: str = "",
        attributes: str = "",
        facts: Mapping[str, str],
    ) -> str:
        """An element that can be asked for. ``inner`` is HTML; empty ``facts`` are left out."""
        key = f"t{len(self.items)}"
        self.items.append(Item(key, {name: fact for name, fact in facts.items() if fact}))
        part = f' data-part="{escape(facts["part"])}"' if "part" in facts else ""
        styled = f' style="{style}"' if style else ""
        return f'<{tag} class="{cls}"{styled} data-t="{key}"{part} {attributes}>{inner}</{tag}>'

    def button(self, text: str, *, main: bool = False, icon_name: str = "", style: str = "", **facts: str) -> str:
        drawn = icon(icon_name, 16) if icon_name else ""
        given = {"role": "button", "text": text, **({"icon": shows(icon_name)} if icon_name else {}), **facts}
        return self.item(drawn + escape(text), tag="button", cls="b main" if main else "b", style=style, facts=given)

    def icon_button(self, name: str, label: str, *, size: int = 18, cls: str = "i", style: str = "", **facts: str) -> str:
        """A button without text; ``label`` is its accessible name."""
        given = {"role": "icon", "icon": shows(name), **facts}
        return self.item(icon(name, size), tag="button", cls=cls, style=style, attributes=f'aria-label="{escape(label)}"', facts=given)

    def link(self, text: str, **facts: str) -> str:
        return self.item(
            escape(text), tag="a", cls="a", attributes='role="link" tabindex="0"', facts={"role": "link", "text": text, **facts}
        )

    def check(self, text: str, *, round_: bool = False, on: bool = False, **facts: str) -> str:
        role = "option" if round_ else "checkbox"
        mark = f'<span class="tick{" round" if round_ else ""}{" on" if on else ""}"></span>'
        kind = f'role="{"radio" if round_ else "checkbox"}" aria-checked="{str(on).lower()}"'
        return self.item(f"{mark}{escape(text)}", cls="chk", attributes=kind, facts={"role": role, "text": text, **facts})

    def document(self, body: str, css: str = "") -> str:
        """The whole page as HTML."""
        lang = {"latin": "en", "arabic": "ar", "hebrew": "he"}[self.words.script]
        return (
            f'<!doctype html><html lang="{lang}" dir="{"rtl" if self.rtl else "ltr"}"><meta charset="utf-8"><title>Page</title>'
            f"<style>{self._style}{_CSS}{css}</style><body>{body}</body></html>"
        )

    # ---- what is beside what ---------------------------------------------------------------------------------------

    def side(self, *, after: bool) -> str:
        """Where what comes later (or earlier) in a line is seen."""
        return "right" if after != self.rtl else "left"

    def line(self, buttons: Sequence[tuple[str, str]], **facts: str) -> str:
        """Text buttons in a line, each known by its neighbours too: (text, icon or "")."""
        made: list[str] = []
        for n, (text, name) in enumerate(buttons):
            beside = ""
            if n:
                beside = f"directly to the {self.side(after=True)} of the button “{buttons[n - 1][0]}”"
            elif len(buttons) > 1:
                beside = f"directly to the {self.side(after=False)} of the button “{buttons[1][0]}”"
            more = {"beside": beside} if beside else {}
            made.append(self.button(text, icon_name=name, main=n == 0, **more, **facts))
        return "".join(made)
