"""The shop's records: products that differ by a word, orders in every state, saved addresses."""

from __future__ import annotations

from typing import Any

from .draft import Row, World, money

SHIPPING = {"standard": ("Standard, 5 days", 490), "express": ("Express, 2 days", 990), "pickup": ("Pick up in the store", 0)}
REASONS = ("Wrong size", "Damaged", "Not as described", "No longer needed")
COLOURS = ("black", "blue", "green", "grey", "red", "white")
GOODS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Lamps", "Desk Lamp", ()),
    ("Shirts", "Shirt", ("S", "M", "L", "XL")),
    ("Bags", "Backpack", ("20 litres", "30 litres")),
    ("Kitchen", "Kettle", ("1 litre", "2 litres")),
)
VARIANTS = ("", "Plus", "Light", "Classic")
REVIEWS = (
    "Works as described.",
    "Smaller than I had expected.",
    "A good present.",
    "The colour fades in the wash.",
    "Arrived quickly and well packed.",
    "I would buy it again.",
    "The handle feels loose.",
    "Good value for the price.",
)
STREETS = ("Mill Lane", "Harbour Road", "Church Street", "Park Avenue", "Station Road")
STATES = ("delivered", "delivered", "delivered", "shipped", "processing", "processing")
"""Of the orders, the oldest first."""


class Shop(World):
    """Products that differ by a word, orders in every state, saved addresses."""

    def fill(self) -> None:
        self.start = "/"
        self.brands = [self.name() for _ in range(3)]
        self.products: dict[str, Row] = {}
        ids = [f"p{n}" for n in self.numbers(16, 100, 1000)]
        for category, noun, sizes in GOODS:
            models = [self.name(), self.name()]
            names = [f"{models[0]} {noun} {v}".strip() for v in self.some(VARIANTS, 3)] + [f"{models[1]} {noun}"]
            prices = [self.amount(12, 140) + 10 * n for n in range(4)]
            for name, price in zip(names, self.some(sorted(set(prices)), 4), strict=False):
                self.products[ids[len(self.products)]] = self._product(category, name, price, sizes)
        self.settings = {
            "email": f"{self.name().lower()}@example.com",
            "today": "2026-07-01",
            "codes": {f"{self.name().upper()}{n}": n for n in (10, 15)},
            "next_order": int(self.rng.integers(7000, 8000)),
        }
        self.person = f"{self.name()} {self.name()}"
        self.addresses = {f"a{n}": {"label": label, **self.address()} for n, label in enumerate(("Home", "Office", "Parents"), 1)}
        self.orders: dict[str, Row] = {}
        for number, month, status in zip(self.numbers(6, 1000, 6000), range(6), STATES, strict=True):
            self.orders[str(number)] = self._order(status, self.day(1 + month))
        empty: dict[str, Row] = {}
        self.tables = {
            "products": self.products,
            "cart": empty,
            "coupons": {},
            "orders": self.orders,
            "returns": {},
            "wishlist": {},
            "reviews": {},
            "addresses": self.addresses,
            "subscriptions": {},
            "surveys": {},
        }

    def _product(self, category: str, name: str, price: int, sizes: tuple[str, ...]) -> Row:
        return {
            "name": name,
            "category": category,
            "brand": self.pick(self.brands),
            "price": price,
            "rating": int(self.rng.integers(24, 50)) / 10,
            "reviews": int(self.rng.integers(3, 400)),
            "stock": int(self.rng.integers(1, 40)),
            "sizes": list(sizes),
            "colours": sorted(self.some(COLOURS, 3)),
            "text": " ".join(self.some(REVIEWS, 2)),
        }

    def address(self) -> Row:
        street = f"{self.pick(STREETS)} {int(self.rng.integers(1, 190))}"
        return {"name": self.person, "street": street, "city": self.name(), "postcode": str(int(self.rng.integers(10000, 99999)))}

    def _order(self, status: str, day: str) -> Row:
        lines: list[Row] = []
        for id in self.some(list(self.products), int(self.rng.integers(1, 4))):
            p = self.products[id]
            size = self.pick(p["sizes"]) if p["sizes"] else ""
            lines.append(
                {
                    "product": id,
                    "size": size,
                    "colour": self.pick(p["colours"]),
                    "quantity": int(self.rng.integers(1, 3)),
                    "name": p["name"],
                    "price": p["price"],
                }
            )
        shipping = self.pick(list(SHIPPING))
        place = self.pick(list(self.addresses.values()))
        where = {k: place[k] for k in ("name", "street", "city", "postcode")}
        order: Row = {
            "date": day,
            "status": status,
            "lines": lines,
            "shipping": shipping,
            **where,
            "coupon": "",
            "gift": False,
            "closed": False,
        }
        settle(order)
        return order

    # ---- choosing --------------------------------------------------------------------------------------------------------------

    def item(self, **where: Any) -> tuple[str, Row]:
        """A product, with a size and a colour chosen: an id and {"size", "colour", "quantity"}."""
        choices = [id for id, p in self.products.items() if all(p[k] == v for k, v in where.items()) and p["stock"]]
        id = self.pick(choices)
        p = self.products[id]
        line = {
            "size": self.pick(p["sizes"]) if p["sizes"] else "",
            "colour": self.pick(p["colours"]),
            "quantity": int(self.rng.integers(1, 4)),
        }
        return id, line

    def order(self, status: str) -> tuple[str, Row]:
        return self.pick([(n, o) for n, o in self.orders.items() if o["status"] == status])

    def put(self, id: str, line: Row) -> None:
        """Start with something in the cart."""
        key = " ".join(filter(None, (id, line["size"], line["colour"])))
        self.tables["cart"][key] = {"product": id, **line}

    def called(self, id: str, line: Row) -> str:
        return ", ".join(filter(None, (self.products[id]["name"], line["size"], line["colour"])))

    def totals(self) -> list[str]:
        return [money(o["total"]) for o in self.orders.values()]


def settle(order: Row) -> None:
    """The total of an order whose lines have changed."""
    order["total"] = sum(line["price"] * line["quantity"] for line in order["lines"]) + SHIPPING[order["shipping"]][1]
