"""Made-up shops: items of a kind with attributes, prices and ratings, and people with tastes.

shop = catalogue("test", 0, 24)      # {"K4821": {"kind": "lamp", "name": "Bavuno", "colour": "red", ..., "price": 74, "rating": 4.1}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from ..search.world import SPLITS, SplitName, word

Value: TypeAlias = "str | int | float"
Item: TypeAlias = dict[str, Value]
Catalogue: TypeAlias = dict[str, Item]

KINDS: dict[str, dict[str, tuple[str, ...]]] = {
    "lamp": {
        "colour": ("red", "white", "black", "green"),
        "material": ("glass", "steel", "paper", "wood"),
        "light": ("warm", "cold", "dimmed"),
        "stand": ("floor", "desk", "wall"),
    },
    "backpack": {
        "colour": ("grey", "blue", "orange", "black"),
        "fabric": ("cotton", "nylon", "leather", "felt"),
        "size": ("small", "medium", "large"),
        "closure": ("zip", "buckle", "cord"),
    },
    "kettle": {
        "colour": ("white", "copper", "black", "mint"),
        "material": ("steel", "glass", "enamel", "plastic"),
        "capacity": ("small", "medium", "large"),
        "control": ("dial", "button", "app"),
    },
    "headphones": {
        "colour": ("silver", "black", "beige", "blue"),
        "fit": ("over-ear", "on-ear", "in-ear", "open"),
        "sound": ("neutral", "deep", "bright"),
        "connection": ("cable", "radio", "both"),
    },
    "bicycle": {
        "colour": ("yellow", "white", "black", "turquoise"),
        "frame": ("steel", "carbon", "titanium", "bamboo"),
        "use": ("city", "gravel", "touring"),
        "brakes": ("disc", "rim", "drum"),
    },
    "chair": {
        "colour": ("brown", "black", "mustard", "white"),
        "material": ("oak", "beech", "rattan", "metal"),
        "style": ("plain", "classic", "playful"),
        "seat": ("soft", "firm", "woven"),
    },
    "watch": {
        "colour": ("gold", "silver", "black", "green"),
        "strap": ("leather", "steel", "rubber", "fabric"),
        "dial": ("round", "square", "digital"),
        "movement": ("quartz", "automatic", "solar"),
    },
    "tent": {
        "colour": ("olive", "red", "sand", "blue"),
        "shape": ("dome", "tunnel", "tipi", "ridge"),
        "season": ("summer", "winter", "all-year"),
        "entrance": ("front", "side", "double"),
    },
}
"""Kind -> attribute -> values. Every item also has a price and a rating."""
BOUNDS = ("max_price", "min_rating", "count")
"""What an instruction has besides values of attributes."""
STRENGTHS: dict[int, str] = {
    3: "Above all, the {attribute} should be {value}.",
    2: "As for the {attribute}, I would rather have {value}.",
    1: "If possible, {value} as {attribute}.",
}
"""Weight of a taste -> how it is told."""


@lru_cache(maxsize=256)
def catalogue(split: SplitName, group: int, size: int) -> Catalogue:
    """``size`` items of one kind, no two of one price, in random order. Names of different splits are made of different words."""
    rng = np.random.default_rng(np.random.SeedSequence([SPLITS.index(split), group, size, 21]))
    kind = list(KINDS)[group % len(KINDS)]
    numbers = rng.choice(np.arange(1000, 10_000), size=size, replace=False)
    prices = rng.choice(np.arange(20, 20 + 8 * size), size=size, replace=False)
    items: Catalogue = {}
    for n in range(size):
        item: Item = {"kind": kind, "name": word(split, group * 64 + n, 1)}
        item |= {attribute: str(rng.choice(values)) for attribute, values in KINDS[kind].items()}
        items[f"K{numbers[n]}"] = item | {"price": int(prices[n]), "rating": round(3 + 2 * float(rng.random()), 1)}
    return items


def obeys(item: Mapping[str, Value], rules: Mapping[str, Value]) -> bool:
    """Whether an item keeps an instruction: ``max_price``, ``min_rating``, and values of attributes."""
    bounds = float(item["price"]) <= float(rules["max_price"]) and float(item["rating"]) >= float(rules["min_rating"])
    return bounds and all(item[name] == value for name, value in rules.items() if name not in BOUNDS)


def liking(item: Mapping[str, Value], tastes: Mapping[str, Sequence[str | int]]) -> int:
    """How much somebody likes an item: the weights of the tastes that it meets. ``tastes``: attribute -> (value, weight)."""
    return sum(int(weight) for name, (value, weight) in tastes.items() if item[name] == value)


def choice(shop: Catalogue, offered: Sequence[str], rules: Mapping[str, Value], tastes: Mapping[str, Sequence[str | int]]) -> str:
    """The item somebody takes: of those offered that keep the instruction the best liked, of equals the cheapest; "none" if it likes
    none of them at all."""
    liked = [(-liking(shop[i], tastes), float(shop[i]["price"]), i) for i in offered if obeys(shop[i], rules)]
    best = min(liked, default=None)
    return best[2] if best is not None and best[0] < 0 else "none"


def best_liking(shop: Catalogue, rules: Mapping[str, Value], tastes: Mapping[str, Sequence[str | int]]) -> int:
    """The highest total liking that ``rules["count"]`` items can have which keep the instruction."""
    found = sorted((liking(item, tastes) for item in shop.values() if obeys(item, rules)), reverse=True)
    return sum(found[: int(rules["count"])])
