"""The stockroom behind the built-in MCP server, and the tasks it is played with. Knows nothing of MCP.

room = Stockroom(); room.load(items, stock, orders); room.ship("W-3", "L-20", "east", 4); room.export()
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from ...records import Message, Task
from ..search.world import SPLITS, SplitName, word
from ..tasks import Split, TaskSet
from ..tools.database import Database
from ..tools.tool import ToolError

ENV_ID = "turnwise/MCP-v0"
PLACES = ("east", "west", "north", "south")
KINDS = ("lamp", "chair", "kettle", "rug", "clock", "vase")
HIDDEN = ("load", "export")
"""Tools of the server that only the environment uses."""
_SCHEMA = """
CREATE TABLE items (item_id TEXT PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL);
CREATE TABLE stock (item_id TEXT NOT NULL REFERENCES items, place TEXT NOT NULL, quantity INTEGER NOT NULL, PRIMARY KEY (item_id, place));
CREATE TABLE lines (order_id TEXT NOT NULL, item_id TEXT NOT NULL REFERENCES items, quantity INTEGER NOT NULL);
CREATE TABLE shipments (order_id TEXT NOT NULL, item_id TEXT NOT NULL REFERENCES items, place TEXT NOT NULL, quantity INTEGER NOT NULL);
"""
Row = dict[str, Any]


class Stockroom:
    """Items, how many of them lie where, orders, and what was shipped. What cannot be done raises ``ToolError``."""

    def __init__(self) -> None:
        self.db = Database(_SCHEMA)

    def load(self, items: list[Row], stock: list[Row], orders: list[Row]) -> str:
        """Replace everything: rows {item_id, name, price}, {item_id, place, quantity} and {order_id, item_id, quantity}."""
        self.db.close()
        self.db = Database(_SCHEMA)
        for row in items:
            self.db.change("INSERT INTO items VALUES (?, ?, ?)", row["item_id"], row["name"], row["price"])
        for row in stock:
            self.db.change("INSERT INTO stock VALUES (?, ?, ?)", row["item_id"], row["place"], row["quantity"])
        for row in orders:
            self.db.change("INSERT INTO lines VALUES (?, ?, ?)", row["order_id"], row["item_id"], row["quantity"])
        return "loaded"

    def export(self) -> Row:
        """Stock and shipments, in order."""
        return {
            "stock": self.db.query("SELECT * FROM stock ORDER BY item_id, place"),
            "shipments": self.db.query("SELECT * FROM shipments ORDER BY order_id, item_id, place, quantity"),
        }

    def find_items(self, text: str) -> list[Row]:
        escaped = text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
        return self.db.query("SELECT * FROM items WHERE name LIKE ? ESCAPE '!' ORDER BY item_id", f"%{escaped}%")

    def stock_of(self, item_id: str) -> Row:
        self._item(item_id)
        rows = self.db.query("SELECT place, quantity FROM stock WHERE item_id = ? ORDER BY place", item_id)
        return {row["place"]: row["quantity"] for row in rows}

    def read_order(self, order_id: str) -> list[Row]:
        rows = self.db.query("SELECT item_id, quantity FROM lines WHERE order_id = ? ORDER BY item_id", order_id)
        if not rows:
            known = ", ".join(r["order_id"] for r in self.db.query("SELECT DISTINCT order_id FROM lines ORDER BY order_id"))
            raise ToolError(f"there is no order {order_id[:40]!r}; the orders are {known}")
        return rows

    def move(self, item_id: str, source: str, target: str, quantity: int) -> str:
        with self.db.atomic():
            self._take(item_id, source, quantity)
            self._put(item_id, target, quantity)
        return f"moved {quantity} of {item_id} from {source} to {target}"

    def receive(self, item_id: str, place: str, quantity: int) -> str:
        self._item(item_id)
        if not 0 < quantity <= 10_000:
            raise ToolError(f"quantity is {quantity}; it must be 1 to 10000")
        self._put(item_id, place, quantity)
        return f"received {quantity} of {item_id} at {place}"

    def ship(self, order_id: str, item_id: str, place: str, quantity: int) -> str:
        self.read_order(order_id)
        with self.db.atomic():
            self._take(item_id, place, quantity)
            self.db.change("INSERT INTO shipments VALUES (?, ?, ?, ?)", order_id, item_id, place, quantity)
        return f"shipped {quantity} of {item_id} from {place} for {order_id}"

    def _item(self, item_id: str) -> None:
        if self.db.one("SELECT 1 FROM items WHERE item_id = ?", item_id) is None:
            raise ToolError(f"there is no item {item_id[:40]!r}; find_items finds items by name")

    def _take(self, item_id: str, place: str, quantity: int) -> None:
        self._item(item_id)
        held = self.stock_of(item_id).get(place, 0)
        if not 0 < quantity <= held:
            raise ToolError(f"quantity is {quantity}, but {place[:40]!r} holds {held} of {item_id}; take 1 to that many")
        self.db.change("UPDATE stock SET quantity = quantity - ? WHERE item_id = ? AND place = ?", quantity, item_id, place)
        self.db.change("DELETE FROM stock WHERE quantity = 0")

    def _put(self, item_id: str, place: str, quantity: int) -> None:
        if place not in PLACES:
            raise ToolError(f"there is no place {place[:40]!r}; the places are {', '.join(PLACES)}")
        added = "INSERT INTO stock VALUES (?, ?, ?) ON CONFLICT (item_id, place) DO UPDATE SET quantity = quantity + excluded.quantity"
        self.db.change(added, item_id, place, quantity)


class StockTasks(TaskSet):
    """``count`` tasks a split, of three kinds in turn: ship an order, gather an item in one place, take in a delivery and count.

    Every one changes the stock and asks for a number. Names of different splits are made of different words.
    """

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"tasks is {count}; it must be at least 1")
        self.count = count

    def list_splits(self) -> list[Split]:
        return [Split(name=name, type=name, num_tasks=self.count) for name in SPLITS]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        rng = np.random.default_rng(np.random.SeedSequence([SPLITS.index(cast("SplitName", split)), index, 77]))
        scene = _scene(cast("SplitName", split), index, rng)
        prompt, gold, answer = _ASKED[index % len(_ASKED)](scene, rng)
        room = Stockroom()
        room.load(**scene)
        for call in gold:
            getattr(room, call["name"])(**call["arguments"])
        state = room.export()
        room.db.close()
        data = {
            "setup": [{"name": "load", "arguments": scene}],
            "checks": [{"name": "export", "arguments": {}, "equals": state}],
            "gold": gold,
            "answer": answer,
        }
        messages = (Message(role="user", content=prompt),)
        return Task(id=f"{split}-{index}", env_id=ENV_ID, split=split, prompt=messages, data=data)


def _scene(split: SplitName, index: int, rng: np.random.Generator) -> dict[str, list[Row]]:
    ids = [f"L-{n}" for n in sorted(int(n) for n in rng.choice(90, size=5, replace=False) + 10)]
    items = [
        {"item_id": item, "name": f"{word(split, index * 5 + n, 0)} {rng.choice(KINDS)}", "price": int(rng.integers(3, 90))}
        for n, item in enumerate(ids)
    ]
    stock: list[Row] = []
    for item in ids:
        places = sorted(str(p) for p in rng.choice(PLACES, size=int(rng.integers(2, 4)), replace=False))
        amounts = sorted(int(n) for n in rng.choice(50, size=len(places), replace=False) + 5)
        stock += [{"item_id": item, "place": p, "quantity": int(q)} for p, q in zip(places, rng.permutation(amounts), strict=True)]
    orders: list[Row] = []
    for number in rng.choice(900, size=3, replace=False) + 100:
        chosen = sorted(str(i) for i in rng.choice(ids, size=2, replace=False))
        orders += [{"order_id": f"W-{number}", "item_id": item, "quantity": int(rng.integers(1, 5))} for item in chosen]
    return {"items": items, "stock": stock, "orders": orders}


def _call(name: str, **arguments: Any) -> Row:
    return {"name": name, "arguments": arguments}


def _held(scene: dict[str, list[Row]], item_id: str) -> dict[str, int]:
    return {row["place"]: row["quantity"] for row in scene["stock"] if row["item_id"] == item_id}


def _ship_order(scene: dict[str, list[Row]], rng: np.random.Generator) -> tuple[str, list[Row], str]:
    order = str(rng.choice(sorted({row["order_id"] for row in scene["orders"]})))
    lines = [row for row in scene["orders"] if row["order_id"] == order]
    prices = {item["item_id"]: item["price"] for item in scene["items"]}
    gold = [_call("read_order", order_id=order), _call("find_items", text="")]
    for line in lines:
        held = _held(scene, line["item_id"])
        fullest = max(held, key=held.__getitem__)
        gold.append(_call("stock_of", item_id=line["item_id"]))
        gold.append(_call("ship", order_id=order, item_id=line["item_id"], place=fullest, quantity=line["quantity"]))
    total = sum(prices[line["item_id"]] * line["quantity"] for line in lines)
    prompt = f"Ship order {order}: each of its lines from the place that holds most of the item. What is the order worth in all?"
    return prompt, gold, str(total)


def _gather(scene: dict[str, list[Row]], rng: np.random.Generator) -> tuple[str, list[Row], str]:
    item = scene["items"][int(rng.integers(len(scene["items"])))]
    held = _held(scene, item["item_id"])
    target = str(rng.choice(PLACES))
    gold = [_call("find_items", text=item["name"]), _call("stock_of", item_id=item["item_id"])]
    for place, quantity in held.items():
        if place != target:
            gold.append(_call("move", item_id=item["item_id"], source=place, target=target, quantity=quantity))
    return f"Bring every {item['name']} to {target}. How many are there then?", gold, str(sum(held.values()))


def _deliver(scene: dict[str, list[Row]], rng: np.random.Generator) -> tuple[str, list[Row], str]:
    item = scene["items"][int(rng.integers(len(scene["items"])))]
    held = _held(scene, item["item_id"])
    place, quantity = str(rng.choice(PLACES)), int(rng.integers(2, 40))
    item_id = item["item_id"]
    gold = [_call("find_items", text=item["name"]), _call("receive", item_id=item_id, place=place, quantity=quantity)]
    gold.append(_call("stock_of", item_id=item_id))
    prompt = f"{quantity} pieces of {item['name']} came to {place}; take them in. How many do we then hold in all places together?"
    return prompt, gold, str(sum(held.values()) + quantity)


_ASKED: tuple[Callable[[dict[str, list[Row]], np.random.Generator], tuple[str, list[Row], str]], ...] = (_ship_order, _gather, _deliver)
