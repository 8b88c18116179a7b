"""``turnwise/Recommend-v0``: find out what somebody likes, recommend items that fit, say true things about them, foresee the choice.

env = Recommend(); env.reset(seed=0); env.step("Which colour do you like?"); env.step('<tool_call>{"name": "recommend", ...}</tool_call>')
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from pydantic import BaseModel, ConfigDict

from ...records import Json, Message, Observation, Outcome, Task, canonical_json
from ...rewards.combine import product
from ...rewards.users import factual_consistency, instruction_following, relevance
from ..base import Manifest, Rng
from ..scripts import ECHO, NULL
from ..search.world import SPLITS, SplitName
from ..tasks import Split, TaskSet
from ..tools.dialects import Said
from ..tools.env import ToolEnv
from ..tools.tool import ToolError, ToolResult, tool
from .catalogue import BOUNDS, KINDS, STRENGTHS, Catalogue, Item, Value, best_liking, catalogue, choice, liking, obeys
from .played import user_of
from .talk import Talk
from .user import Fact, Goal, ScriptedUser, User, asked_for

ENV_ID = "turnwise/Recommend-v0"
Combine: TypeAlias = Literal["product", "mean"]
MAX_TURNS = 15
PAGE = 20
"""Items a search shows at most."""
CLAIMS = 2
"""Claims wanted for each recommended item."""
MOST = 10
"""Items and claims per item that a recommendation may have at most."""
DEFAULT_WEIGHTS: Mapping[str, float] = {"information": 1.0}


class Claim(BaseModel):
    """What is said of an item."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    item_id: str
    attribute: str
    value: str | int | float


class Shop(Talk):
    """The tools, and what is known of one episode. ``data`` is the task's."""

    def __init__(self, user: User, items: Catalogue, data: Mapping[str, Any]) -> None:
        super().__init__(user)
        self.items, self.data = items, data
        self.found: set[str] = set()
        self.done: dict[str, Any] | None = None
        """Arguments of ``recommend``."""

    @property
    def tastes(self) -> dict[str, list[str | int]]:
        return self.data["tastes"]

    @property
    def facts(self) -> dict[str, Fact]:
        return cast("Goal", self.data["user"])["requests"][0]["facts"]

    @tool
    def search(self, attribute: str = "", value: str = "", max_price: float | int = 1_000_000) -> str:
        """List items by price: id, name, price, rating.

        Args:
            attribute: Only items that have ``value`` as this attribute.
            value: The value.
            max_price: Only items that cost no more.
        """
        allowed = next(iter(self.items.values()))
        if attribute and attribute not in allowed:
            raise ToolError(f"items have no {attribute[:40]!r}; they have: {', '.join(allowed)}")
        found = [i for i, item in self.items.items() if float(item["price"]) <= max_price and (not attribute or item[attribute] == value)]
        found.sort(key=lambda i: float(self.items[i]["price"]))
        lines = [f"{i} {self.items[i]['name']}, {self.items[i]['price']} euros, rated {self.items[i]['rating']}" for i in found[:PAGE]]
        rest = [f"({len(found) - PAGE} more; search for less)"] if len(found) > PAGE else []
        return "\n".join([*lines, *rest]) or "Nothing found."

    @tool
    def read(self, item_id: str) -> Item:
        """Everything the catalogue has on an item.

        Args:
            item_id: Id of the item.
        """
        return self.items[self._known(item_id)]

    @tool
    def recommend(self, item_ids: list[str], claims: list[Claim], prediction: str) -> str:
        """Recommend items to the user. This ends the conversation.

        Args:
            item_ids: The items, each once.
            claims: True statements on the recommended items, two for each: attribute (or price, or rating) and value.
            prediction: Id of the item that the user will take, or "none".
        """
        for item_id in item_ids:
            self._known(item_id)
        if not item_ids or len(set(item_ids)) < len(item_ids) or len(item_ids) > MOST:
            raise ToolError(f"recommend 1 to {MOST} different items; these are {len(item_ids)}, {len(set(item_ids))} of them different")
        if len(claims) > MOST * len(item_ids):
            raise ToolError(f"{len(claims)} claims on {len(item_ids)} items; the most is {MOST} for each")
        if prediction != "none" and prediction not in item_ids:
            raise ToolError(f"prediction is {prediction[:40]!r}; allowed: none, {', '.join(item_ids)}")
        self.done = {"item_ids": item_ids, "claims": [claim.model_dump() for claim in claims], "prediction": prediction}
        taken = choice(self.items, item_ids, self.data["rules"], self.tastes)
        return f"The user takes {taken}." if taken != "none" else "The user takes none of them."

    def listen(self, text: str, answer: str) -> None:
        asked = [name for name in asked_for(self.facts, text) if name in self.tastes]
        self.found |= {name for name in asked if re.search(rf"(?<!\w){self.tastes[name][0]}(?!\w)", answer, re.IGNORECASE)}

    def _known(self, item_id: str) -> str:
        if item_id not in self.items:
            raise ToolError(f"there is no item {item_id[:40]!r}; search shows the ids")
        return item_id


class Recommend(ToolEnv):
    """Recommend items of a catalogue to somebody whose tastes are hidden.

    Actions: plain text or ``ask`` for the user, ``search``, ``read``, and ``recommend`` once, with claims about the items and a
    prediction. Observations: answers and results. Rewards: ``information``, share of the user's tastes, by weight, that the turn's
    answers told for the first time, 1 over an episode that finds all; ``format``; ``executed``. Outcome: a vector of four in
    ``components``, each 0 to 1: ``instruction_following`` (number of items, and each item's conditions), ``factual_consistency`` (claims
    that agree with the catalogue, of two per item or of those made), ``relevance`` (liking over the best possible liking; items against
    the instruction count 0) and ``predicted_behaviour`` (1 if the user takes what was predicted). The score is their product, so 0 in
    one is 0, or with ``combine`` "mean" their mean. Start: an instruction. End: ``recommend``; truncated after ``max_turns`` with 0.
    Arguments: ``size`` of the catalogue (16 to 64), ``combine``, ``user`` ("scripted", or a mapping, see ``user_of``), ``tasks`` per
    split, ``dialect``, ``weights``, ``max_turns``. Version 0.
    """

    components = ("format", "executed", "information")

    def __init__(
        self,
        size: int = 24,
        *,
        combine: Combine = "product",
        user: str | Mapping[str, Any] = "scripted",
        tasks: int = 1000,
        dialect: str = "hermes",
        weights: Mapping[str, float] | None = None,
        max_turns: int = MAX_TURNS,
    ) -> None:
        if not 16 <= size <= 64:
            raise ValueError(f"size is {size}; allowed: 16 to 64")
        if combine not in ("product", "mean"):
            raise ValueError(f"combine is {combine!r}; allowed: product, mean")
        super().__init__(
            Customers(size, tasks), dialect=dialect, weights=DEFAULT_WEIGHTS if weights is None else weights, max_turns=max_turns
        )
        self.combine: Combine = combine
        self._user = user_of(user)
        self.waits = not isinstance(self._user, ScriptedUser)
        self._shop = Shop(self._user, {}, {})
        self._before = 0.0

    def start(self, task: Task) -> Observation:
        system = super().start(task)[0]
        reply = self._user.begin(cast("Goal", task.data["user"]), self.np_random)
        return (system, Message(role="user", content=reply.text))

    def open(self, task: Task) -> tuple[object, str]:
        self._shop = Shop(self._user, _items(task.data["shop"]), task.data)
        self._before = 0.0
        attributes = KINDS[str(task.data["kind"])]
        rules = (
            "Recommend items from the catalogue. Keep the user's instruction, and find out by questions what they like best among the "
            f"items that keep it. Items have {', '.join(attributes)}, price and rating. A taste that goes above all counts 3, what "
            "somebody would rather have 2, what should be if possible 1; an item is liked by the sum of the tastes it meets. Say two "
            "true things about every item you recommend, and predict what the user takes: of the items that keep the instruction the "
            "best liked, of equals the cheapest, or none if they like none."
        )
        return self._shop, rules

    def hear(self, text: str) -> str:
        return self._shop.say(text)

    def scored(self, said: Said, results: Sequence[ToolResult]) -> Mapping[str, float]:
        del said, results
        before, self._before = self._before, self.potential()
        return {"information": self._before - before}

    def verdict(self) -> Outcome | None:
        shop, done = self._shop, self._shop.done
        if done is None:
            return None
        offered, rules = cast("list[str]", done["item_ids"]), cast("dict[str, Value]", shop.data["rules"])
        kept = [obeys(shop.items[i], rules) for i in offered]
        likes = [liking(shop.items[i], shop.tastes) if ok else 0 for i, ok in zip(offered, kept, strict=True)]
        claims = cast("list[dict[str, Value]]", done["claims"])
        right = {(c["item_id"], c["attribute"]) for c in claims if c["item_id"] in offered and _true(shop.items, c)}
        parts = {
            "instruction_following": instruction_following(kept, int(rules["count"])),
            "factual_consistency": factual_consistency(len(right), len(claims), CLAIMS * len(offered)),
            "relevance": relevance(likes, best_liking(shop.items, rules, shop.tastes), int(rules["count"])),
            "predicted_behaviour": float(done["prediction"] == choice(shop.items, offered, rules, shop.tastes)),
        }
        return Outcome(score=product(parts) if self.combine == "product" else sum(parts.values()) / len(parts), components=parts)

    # ---- capabilities ----------------------------------------------------------------------------------------------

    def anchor(self) -> str:
        """The tastes that have been found out, and the user's mood."""
        state = [sorted(self._shop.found), cast("Json", self._user.state())]
        return hashlib.sha256(canonical_json(state).encode()).hexdigest()

    def potential(self) -> float:
        """Share of the tastes, by weight, that has been found out."""
        weights = {name: int(weight) for name, (_, weight) in self._shop.tastes.items()}
        return sum(weights[name] for name in self._shop.found) / sum(weights.values())

    def snapshot(self) -> bytes:
        shop = self._shop
        state: dict[str, Any] = {"data": dict(shop.data), "found": sorted(shop.found), "user": self._user.state()}
        state |= {"gone": shop.gone, "recommended": shop.done, "turn": self.turn_index, "done": self.done}
        return json.dumps(state).encode()

    def restore(self, snapshot: bytes) -> None:
        saved = json.loads(snapshot)
        self._user.resume(saved["data"]["user"], saved["user"])
        self._shop = Shop(self._user, _items(saved["data"]["shop"]), saved["data"])
        self._shop.found, self._shop.gone, self._shop.done = set(saved["found"]), saved["gone"], saved["recommended"]
        self._before = self.potential()
        self.attach(self._shop)
        self.turn_index, self.done = saved["turn"], saved["done"]


def _true(items: Catalogue, claim: Mapping[str, Value]) -> bool:
    """Whether the catalogue says what a claim says; numbers may be texts, letters any case."""
    actual = items[str(claim["item_id"])].get(str(claim["attribute"]))
    claimed = str(claim["value"]).strip().casefold()
    if isinstance(actual, str):
        return claimed == actual.casefold()
    try:
        return actual is not None and float(claimed) == float(actual)
    except ValueError:
        return False


def _items(shop: Sequence[Any]) -> Catalogue:
    split, group, size = shop
    return catalogue(split, group, size)


class Customers(TaskSet):
    """``count`` tasks a split; every eight share a catalogue. Names of different splits are made of different words."""

    def __init__(self, size: int, count: int) -> None:
        if count < 1:
            raise ValueError(f"tasks is {count}; it must be at least 1")
        self.size, self.count = size, count

    def list_splits(self) -> list[Split]:
        return [Split(name=name, type=name, num_tasks=self.count) for name in SPLITS]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        name = cast("SplitName", split)
        shop = catalogue(name, index // 8, self.size)
        rng = np.random.default_rng(np.random.SeedSequence([SPLITS.index(name), index, self.size, 22]))
        kind = str(next(iter(shop.values()))["kind"])
        rules, tastes = _customer(shop, kind, rng)
        instruction = _instruction(kind, rules)
        user: Goal = {"opening": [""], "facts": {}, "requests": [{"say": [instruction], "facts": _facts(kind, rules, tastes)}]}
        data = {"shop": [split, index // 8, self.size], "kind": kind, "rules": rules, "tastes": tastes, "user": user}
        prompt = (Message(role="user", content=instruction),)
        return Task(id=f"{split}-{self.size}-{index}", env_id=ENV_ID, split=split, prompt=prompt, data=data)


def _customer(shop: Catalogue, kind: str, rng: Rng) -> tuple[dict[str, Value], dict[str, list[str | int]]]:
    """An instruction that several items keep, and tastes that some of those meet."""
    for _ in range(1000):  # every draw has a good chance: a third of the items has the value, three quarters the price
        fixed, *others = (str(a) for a in rng.permutation(list(KINDS[kind])))
        prices = sorted(float(item["price"]) for item in shop.values())
        rules: dict[str, Value] = {"count": int(rng.integers(2, 4)), "max_price": int(prices[int(len(prices) * 0.75)])}
        rules |= {"min_rating": float(rng.choice([0.0, 3.2, 3.5])), fixed: str(rng.choice(KINDS[kind][fixed]))}
        weights = rng.permutation([3, 2, 1])[: int(rng.integers(2, 4))]
        chosen = zip(others, weights, strict=False)
        tastes: dict[str, list[str | int]] = {a: [str(rng.choice(KINDS[kind][a])), int(w)] for a, w in chosen}
        kept = [liking(item, tastes) for item in shop.values() if obeys(item, rules)]
        if len(kept) > int(rules["count"]) and len([n for n in kept if n]) >= int(rules["count"]) and min(kept) < max(kept):
            return rules, tastes
    raise RuntimeError(f"nobody found who wants one of {len(shop)} items; the catalogue is at fault")


def _instruction(kind: str, rules: Mapping[str, Value]) -> str:
    plural = kind if kind.endswith("s") else "watches" if kind == "watch" else f"{kind}s"
    fixed = next(name for name in rules if name not in BOUNDS)
    rated = f", rated {rules['min_rating']} or better" if rules["min_rating"] else ""
    return f"Recommend me {rules['count']} {plural} for at most {rules['max_price']} euros each{rated}. The {fixed} must be {rules[fixed]}."


def _facts(kind: str, rules: Mapping[str, Value], tastes: Mapping[str, Sequence[str | int]]) -> dict[str, Fact]:
    facts: dict[str, Fact] = {}
    for name in KINDS[kind]:
        say = f"The {name} does not matter to me."
        if name in rules:
            say = f"The {name} must be {rules[name]}, as I said."
        if name in tastes:
            value, weight = tastes[name]
            say = STRENGTHS[int(weight)].format(attribute=name, value=value)
        facts[name] = Fact(say=say, asked=[name])
    return facts


_SCRIPTS = f"{__name__}_scripts"
MANIFEST = Manifest(
    description="Recommend items to somebody whose tastes are hidden; the outcome is a vector of four.",
    turn_reward_range=(0.0, 1.0),
    max_turns=MAX_TURNS,
    random_score=0.4,
    scripts={
        "expert": f"{_SCRIPTS}:Advise",
        "random": f"{_SCRIPTS}:RandomPick",
        "unasked": f"{_SCRIPTS}:Unasked",
        "hack_spam": f"{_SCRIPTS}:Spam",
        "hack_blind": f"{_SCRIPTS}:Blind",
        "hack_claimless": f"{_SCRIPTS}:Claimless",
        "hack_none": f"{_SCRIPTS}:Nothing",
        "null": NULL,
        "echo": ECHO,
    },
    anchors=True,
    potentials=True,
    snapshots=True,
    tools=True,
)
