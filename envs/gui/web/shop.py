"""The kinds of task in the shop: each function drafts one task from the records of a world."""

from __future__ import annotations

from .draft import Draft, Row, added, kinds_of, money
from .shop_world import GOODS, REASONS, REVIEWS, SHIPPING, Shop, settle

LIST, CART, CHECKOUT = "Products", "Cart*", "Go to checkout"
KINDS, kind = kinds_of("shop")


def words_of(line: Row) -> str:
    """in blue, size M"""
    return f"in {line['colour']}" + (f", size {line['size']}" if line["size"] else "")


def open_product(w: Shop, d: Draft, id: str) -> None:
    """By the search box: several products have the model's name."""
    name = w.products[id]["name"]
    d.link(LIST)
    d.fill("Search the shop", name)
    d.button("Search")
    d.link(name)


def to_cart(w: Shop, d: Draft, id: str, line: Row) -> None:
    if line["size"]:
        d.select("Size", line["size"])
    d.select("Colour", line["colour"])
    if line["quantity"] != 1:
        d.select("Quantity", str(line["quantity"]))
    d.button("Add to cart")


def cart_key(id: str, line: Row) -> str:
    return " ".join(filter(None, (id, line["size"], line["colour"])))


def check_out(w: Shop, d: Draft, items: list[tuple[str, Row]], place: Row, *, shipping: str, coupon: str = "", gift: bool = False) -> None:
    """The goals of an order, and the steps from the cart on."""
    lines: list[Row] = []
    for id, line in items:
        p = w.products[id]
        lines.append({"product": id, **line, "name": p["name"], "price": p["price"]})
    where = {k: {"text": place[k]} for k in ("name", "street", "city", "postcode")}
    order = added("orders", lines={"same": lines}, shipping=shipping, coupon=coupon, gift=gift, status="processing", **where)
    for id, line in items:
        d.goal(f"{id} in the cart", added("cart", product=id, **line), order, required=False)
    if coupon:
        d.goal("coupon used", added("coupons", code=coupon), order, required=False, weight=0.5)
    d.goal("order placed", order, weight=2.0)
    d.link(CART)
    if coupon:
        d.fill("Coupon code", coupon)
        d.button("Apply coupon")
    d.link(CHECKOUT)
    known = next((a for a in w.addresses.values() if a == place), None)
    if known is None:
        d.select("Deliver to", "Another address")
        for label in ("Name", "Street and number", "City", "Postcode"):
            d.fill(label, place[{"Street and number": "street"}.get(label, label.lower())])
    elif known["label"] != "Home":
        d.select("Deliver to", f"{known['label']}: {known['name']}, {known['street']}, {known['city']}")
    text, cost = SHIPPING[shipping]
    d.tick(f"{text} ({money(cost)})", "radio")
    if gift:
        d.tick("Wrap as a gift")
    d.button("Place order")


@kind("cart")
def cart(w: Shop, d: Draft) -> None:
    id, line = w.item()
    d.words = {"name": w.products[id]["name"], "options": words_of(line), "quantity": line["quantity"]}
    d.look(f"/product/{id}")
    d.new("cart", product=id, **line)
    open_product(w, d, id)
    to_cart(w, d, id, line)


@kind("buy")
def buy(w: Shop, d: Draft) -> None:
    id, line = w.item()
    place = w.pick(list(w.addresses.values()))
    shipping = w.pick(("standard", "express"))
    d.words = {
        "name": w.products[id]["name"],
        "options": words_of(line),
        "quantity": line["quantity"],
        "label": place["label"],
        "shipping": shipping,
    }
    open_product(w, d, id)
    to_cart(w, d, id, line)
    check_out(w, d, [(id, line)], place, shipping=shipping)


@kind("coupon")
def coupon(w: Shop, d: Draft) -> None:
    id, line = w.item()
    line["quantity"] = 1
    code = w.pick(list(w.settings["codes"]))
    d.words = {"name": w.products[id]["name"], "options": words_of(line), "code": code}
    open_product(w, d, id)
    to_cart(w, d, id, line)
    check_out(w, d, [(id, line)], w.addresses["a1"], shipping="standard", coupon=code)


@kind("gift")
def gift(w: Shop, d: Draft) -> None:
    id, line = w.item()
    line["quantity"] = 1
    place = {**w.address(), "name": f"{w.name()} {w.name()}"}
    d.words = {
        "person": place["name"],
        **{k: place[k] for k in ("street", "postcode", "city")},
        "name": w.products[id]["name"],
        "options": words_of(line),
    }
    open_product(w, d, id)
    to_cart(w, d, id, line)
    check_out(w, d, [(id, line)], place, shipping="express", gift=True)


@kind("cheapest")
def cheapest(w: Shop, d: Draft) -> None:
    category, _, sizes = w.pick(GOODS)
    rows = [(id, p) for id, p in w.products.items() if p["category"] == category]
    low = min(rows, key=lambda row: row[1]["price"])
    for id, p in rows:
        p["rating"] = 3.4 if id == low[0] else max(p["rating"], 4.1)
    id, best = min((row for row in rows if row[0] != low[0]), key=lambda row: row[1]["price"])
    size, colour = (w.pick(sizes) if sizes else ""), w.pick(best["colours"])
    line = {"size": size, "colour": colour, "quantity": 1}
    d.words = {"category": category, "stars": 4, "colour": colour, "size": f", size {size}" if size else ""}
    d.look(f"/product/{id}")
    d.new("cart", product=id, **line)
    d.link(LIST)
    d.select("Category", category)
    d.select("Rating", "4 stars or more")
    d.select("Sort by", "Price, lowest first")
    d.link(best["name"])
    to_cart(w, d, id, line)


@kind("edit_cart")
def edit_cart(w: Shop, d: Draft) -> None:
    ids = w.some(list(w.products), 3)
    lines = [{**w.item(name=w.products[id]["name"])[1], "quantity": 2} for id in ids]
    for id, line in zip(ids, lines, strict=True):
        w.put(id, line)
    count = w.pick((1, 3, 4, 5))
    first, second = w.called(ids[0], lines[0]), w.called(ids[1], lines[1])
    d.words = {"first": first, "second": second, "count": count}
    d.row("cart", cart_key(ids[0], lines[0]), quantity=count)
    d.gone("cart", cart_key(ids[1], lines[1]))
    d.link(CART)
    d.select(f"Quantity of {first}", str(count))
    d.button(f"Remove {second}")


@kind("return")
def send_back(w: Shop, d: Draft) -> None:
    number, order = w.order("delivered")
    place = int(w.rng.integers(len(order["lines"])))
    line, reason = order["lines"][place], w.pick(REASONS)
    refund, text, said = w.pick(
        (("original", "Back to the way you paid", "my money back the way I paid"), ("credit", "Store credit", "store credit"))
    )
    d.words = {"name": line["name"], "number": number, "reason": reason.lower(), "refund": said}
    d.look(f"/order/{number}")
    d.look(f"/return/{number}/{place}")
    d.new("returns", order=number, product=line["product"], reason=reason, refund=refund)
    for name in ("Orders", f"Order {number}", f"Return {line['name']}"):
        d.link(name)
    d.select("Reason", reason)
    d.tick(text, "radio")
    d.button("Send return request")


@kind("cancel")
def cancel(w: Shop, d: Draft) -> None:
    number, order = w.order("processing")
    line = order["lines"][0]
    for other, o in w.orders.items():
        if other != number:
            o["lines"] = [x for x in o["lines"] if x["product"] != line["product"]] or [_other_line(w, line["product"])]
            settle(o)
    d.words = {"name": line["name"]}
    d.look(f"/order/{number}")
    d.row("orders", number, status="cancelled")
    for name in ("Orders", f"Order {number}"):
        d.link(name)
    d.button("Cancel order")
    d.button("Yes, cancel the order")


def _other_line(w: Shop, product: str) -> Row:
    id = w.pick([p for p in w.products if p != product])
    p = w.products[id]
    return {
        "product": id,
        "size": (p["sizes"] or [""])[0],
        "colour": p["colours"][0],
        "quantity": 1,
        "name": p["name"],
        "price": p["price"],
    }


@kind("again")
def again(w: Shop, d: Draft) -> None:
    number, order = w.order(w.pick(("delivered", "shipped")))
    place = w.pick(list(w.addresses.values())[1:])
    shipping = w.pick(("standard", "express"))
    d.words = {"number": number, "label": place["label"], "shipping": shipping}
    items = [(line["product"], {k: line[k] for k in ("size", "colour", "quantity")}) for line in order["lines"]]
    d.look(f"/order/{number}")
    for name in ("Orders", f"Order {number}"):
        d.link(name)
    d.button("Buy these items again")
    check_out(w, d, items, place, shipping=shipping)


@kind("review")
def review(w: Shop, d: Draft) -> None:
    number, order = w.order("delivered")
    line = w.pick(order["lines"])
    stars, text = w.pick((1, 2, 3, 4, 5)), w.pick(REVIEWS)
    d.words = {"name": line["name"], "number": number, "stars": stars, "text": text}
    d.look(f"/product/{line['product']}")
    d.new("reviews", product=line["product"], stars=stars, text={"text": text})
    for name in ("Orders", f"Order {number}", w.called(line["product"], line)):
        d.link(name)
    d.link("Write a review")
    d.select("Stars", str(stars))
    d.fill("Your review", text)
    d.button("Send review")


@kind("wishes")
def wishes(w: Shop, d: Draft) -> None:
    ids = w.some(list(w.products), 3)
    w.tables["wishlist"][ids[2]] = {"product": ids[2]}
    d.words = {"first": w.products[ids[0]]["name"], "second": w.products[ids[1]]["name"]}
    for id in ids[:2]:
        d.new("wishlist", product=id)
        open_product(w, d, id)
        d.button("Add to wishlist")


@kind("address")
def address(w: Shop, d: Draft) -> None:
    id = w.pick(list(w.addresses))
    label, street = w.addresses[id]["label"], w.address()["street"]
    d.words = {"label": label, "street": street}
    d.look(f"/address/{id}")
    d.row("addresses", id, street={"text": street})
    for name in ("Account", f"Edit {label}"):
        d.link(name)
    d.fill("Street and number", street)
    d.button("Save address")


@kind("total")
def total(w: Shop, d: Draft) -> None:
    number = w.pick(list(w.orders))
    paid = money(w.orders[number]["total"])
    d.words = {"number": number}
    d.look(f"/order/{number}", required=True)
    d.reply(paid, never=w.totals())
    for name in ("Orders", f"Order {number}"):
        d.link(name)


@kind("better")
def better(w: Shop, d: Draft) -> None:
    category = w.pick(GOODS)[0]
    rows = [(id, p) for id, p in w.products.items() if p["category"] == category]
    (a, first), (b, second) = w.some(rows, 2)
    second["rating"] = first["rating"] - 0.3 if first["rating"] > 3.0 else first["rating"] + 0.4
    second["rating"] = round(second["rating"], 1)
    best, worse = (first, second) if first["rating"] > second["rating"] else (second, first)
    d.words = {"first": first["name"], "second": second["name"]}
    for id in (a, b):
        d.look(f"/product/{id}", "/list", required=True)
        open_product(w, d, id)
    d.reply(best["name"], f"{best['rating']:.1f}", never=[f"{worse['rating']:.1f}"])


@kind("sold_out")
def sold_out(w: Shop, d: Draft) -> None:
    id, line = w.item()
    w.products[id]["stock"] = 0
    d.words = {"name": w.products[id]["name"], "colour": line["colour"]}
    d.cannot(f"/product/{id}", "/list")
    open_product(w, d, id)


@kind("too_late")
def too_late(w: Shop, d: Draft) -> None:
    number, order = next(iter(w.orders.items()))
    order["closed"] = True
    d.words = {"name": order["lines"][0]["name"], "number": number}
    d.cannot(f"/order/{number}")
    for name in ("Orders", f"Order {number}"):
        d.link(name)


@kind("exchange")
def exchange(w: Shop, d: Draft) -> None:
    number, order = w.order("delivered")
    id, line = w.item(category="Shirts")
    p = w.products[id]
    size = w.pick([s for s in p["sizes"] if s != line["size"]])
    order["lines"] = [{"product": id, **line, "quantity": 1, "name": p["name"], "price": p["price"]}]
    settle(order)
    d.words = {"name": p["name"], "number": number, "size": size, "colour": line["colour"]}
    d.look(f"/order/{number}")
    d.new("returns", order=number, product=id, reason="Wrong size", refund="credit")
    d.new("cart", product=id, size=size, colour=line["colour"], quantity=1)
    for name in ("Orders", f"Order {number}", f"Return {p['name']}"):
        d.link(name)
    d.select("Reason", "Wrong size")
    d.tick("Store credit", "radio")
    d.button("Send return request")
    d.link(w.called(id, line))
    to_cart(w, d, id, {"size": size, "colour": line["colour"], "quantity": 1})
