"""Tasks of ``turnwise/Ground-v0``: a page made from a seed, and an instruction that exactly one of its elements fits."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ....records import Message, Task
from ...tasks import Split, TaskSet
from . import dense, layouts
from .sheet import LARGEST, SMALLEST, THEMES, Item, Sheet, Theme
from .words import SPLITS

ENV_ID = "turnwise/Ground-v0"
LAYOUTS: Mapping[str, Callable[[Sheet], str]] = {
    "form": layouts.form,
    "settings": layouts.settings,
    "menu": layouts.menu,
    "toolbar": layouts.toolbar,
    "calendar": layouts.calendar,
    "table": dense.table,
    "files": dense.files,
    "spreadsheet": dense.spreadsheet,
    "workbench": dense.workbench,
}
DENSE = ("spreadsheet", "workbench")

RULES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("text", ("text",), ("Click the {role} “{text}”.", "Select the {role} that says “{text}”.", "“{text}”")),
    ("text", ("label",), ("Click into the {role} “{label}”.", "The {role} labelled “{label}”")),
    ("icon", ("icon",), ("Click the icon that shows {icon}.", "Point at {icon}.", "The icon with {icon}")),
    ("look", ("look",), ("Click {look}.", "Select {look}.")),
    ("function", ("does",), ("{Does}.", "Click where you would {does}.", "I want to {does}.")),
    ("function", ("shortcut",), ("Choose {shortcut}.", "Click {shortcut}.")),
    ("position", ("part", "place"), ("Click {placed}.", "Point at {placed}.")),
    ("relation", ("part", "owner"), ("Click the {part} of “{owner}”.", "“{owner}”: click its {part}.")),
    ("relation", ("role", "beside"), ("Click the {role} {beside}.", "The {role} that is {beside}")),
)
"""(kind, the facts that single the element out, ways to say it)."""
KINDS = tuple(dict.fromkeys(kind for kind, _, _ in RULES))


@dataclass(frozen=True, slots=True)
class Described:
    """An element, the facts that no other element of its page has together, and an instruction that names them."""

    key: str
    kind: str
    facts: Mapping[str, str]
    instruction: str


def make_page(layout: str, theme: Theme, split: str, seed: int, size: tuple[int, int]) -> tuple[str, list[Item]]:
    """HTML of a page and its elements. Equal arguments, equal page."""
    rng = np.random.default_rng(np.random.SeedSequence([SPLITS.index(split), seed, list(LAYOUTS).index(layout), THEMES.index(theme)]))
    sheet = Sheet(rng, split, theme, size, dense=layout in DENSE)
    return LAYOUTS[layout](sheet), sheet.items


def describe(items: Sequence[Item], kind: str, rng: np.random.Generator) -> Described | None:
    """An instruction of ``kind`` that exactly one of ``items`` fits, for one drawn at random; None if no element has one."""
    rules = [rule for rule in RULES if rule[0] == kind]
    found: list[tuple[Item, tuple[str, ...], tuple[str, ...]]] = []
    for _, names, ways in rules:
        having = [(item, "\0".join([item.facts[n] for n in names])) for item in items if all(n in item.facts for n in names)]
        seen = Counter([values for _, values in having])
        found += [(item, names, ways) for item, values in having if seen[values] == 1]
    if not found:
        return None
    # Every role is as likely as any other: a table has many cells and few buttons.
    roles = sorted({item.facts.get("role", "") for item, _, _ in found})
    role = roles[int(rng.integers(len(roles)))]
    own = [one for one in found if one[0].facts.get("role", "") == role]
    item, names, ways = own[int(rng.integers(len(own)))]
    return Described(item.key, kind, {n: item.facts[n] for n in names}, _say(ways[int(rng.integers(len(ways)))], item.facts))


def _say(way: str, facts: Mapping[str, str]) -> str:
    does = facts.get("does", "")
    place, part = facts.get("place", ""), facts.get("part", "")
    placed = place if place.startswith("the ") else f"the {part} {place}"
    return way.format(**{**facts, "Does": does[:1].upper() + does[1:], "placed": placed})


def known(names: str | Sequence[str], allowed: Sequence[str], what: str) -> tuple[str, ...]:
    """``names`` as a tuple; ``ValueError`` for one that is not allowed, and for none."""
    given = (names,) if isinstance(names, str) else tuple(names)
    for name in given:
        if name not in allowed:
            close = difflib.get_close_matches(str(name), allowed, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"there is no {what} {name!r}; allowed: {', '.join(allowed)}.{hint}")
    if not given:
        raise ValueError(f"no {what} is named; allowed: one or several of {', '.join(allowed)}")
    return given


class GroundTasks(TaskSet):
    """``count`` tasks in each split. Splits differ in words and layouts' seeds; a layout in ``held_out`` is in the test split alone,
    which then has no other. Size and scale are drawn for each task from ``sizes`` and ``scales``."""

    def __init__(
        self,
        *,
        layouts: Sequence[str],
        held_out: Sequence[str],
        themes: Sequence[Theme],
        kinds: Sequence[str],
        sizes: Sequence[tuple[int, int]],
        scales: Sequence[float],
        count: int,
    ) -> None:
        train = tuple(name for name in layouts if name not in held_out)
        if not train:
            raise ValueError("held_out leaves no layout for training; hold out fewer")
        if count < 1:
            raise ValueError(f"tasks is {count}; it must be at least 1")
        for width, height in sizes:
            if not (SMALLEST[0] <= width <= LARGEST[0] and SMALLEST[1] <= height <= LARGEST[1]):
                raise ValueError(f"size {width} x {height}; pages fit screens from {SMALLEST} to {LARGEST} CSS pixels")
        self.layouts = {"train": train, "validation": train, "test": tuple(held_out) or train}
        self.themes, self.kinds, self.sizes, self.scales, self.count = tuple(themes), tuple(kinds), tuple(sizes), tuple(scales), count

    def list_splits(self) -> list[Split]:
        return [Split(name=name, type=name, num_tasks=self.count) for name in SPLITS]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        number = SPLITS.index(split)
        own = self.layouts[split]
        layout = own[index % len(own)]
        for attempt in range(100):
            rng = np.random.default_rng(np.random.SeedSequence([number, index, attempt]))
            theme = self.themes[int(rng.integers(len(self.themes)))]
            width, height = self.sizes[int(rng.integers(len(self.sizes)))]
            scale = self.scales[int(rng.integers(len(self.scales)))]
            seed, kind = int(rng.integers(2_147_483_647)), self.kinds[int(rng.integers(len(self.kinds)))]
            _, items = make_page(layout, theme, split, seed, (width, height))
            found = describe(items, kind, rng)
            if found is not None:
                data: dict[str, Any] = {
                    "layout": layout, "theme": theme, "words": split, "seed": seed, "size": [width, height], "scale": scale,
                    "target": found.key, "kind": kind, "facts": dict(found.facts),
                }  # fmt: skip
                prompt = (Message(role="user", content=found.instruction),)
                return Task(id=f"{split}-{index}", env_id=ENV_ID, split=split, prompt=prompt, data=data, seed=seed)
        raise ValueError(f"no element of the layout {layout!r} has an instruction of the kinds {', '.join(self.kinds)}; allow more kinds")


@lru_cache(maxsize=64)
def page_of(layout: str, theme: Theme, split: str, seed: int, size: tuple[int, int]) -> str:
    """HTML of the page of a task."""
    return make_page(layout, theme, split, seed, size)[0]
