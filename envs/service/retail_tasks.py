"""What a shop's customers want: templates of requests, with gold calls and the rows that must change."""

from __future__ import annotations

from collections.abc import Sequence

from ..search.world import SplitName
from ..tools.database import Rows
from ..users.user import Change, Fact
from .retail_world import CITIES, PRODUCTS, REASONS, STATUSES, STREETS, Customer, Item, Method, Order, Shop, new_zip, shop, shop_database
from .tasks import Case, Draft, GoldCall, ServiceTasks, Template, fact, introduced, money
from .world import Edit

ENV_ID = "turnwise/Retail-v0"
ShopCase = Case[Customer]


def _orders(case: ShopCase, status: str) -> list[Order]:
    return [o for o in case.person.orders if o.status == status and o.id not in case.used]


def _take(case: ShopCase, status: str) -> Order | None:
    orders = _orders(case, status)
    if not orders:
        return None
    order: Order = case.pick(orders)
    case.used.add(order.id)
    return order


def _by_id(order: Order) -> Fact:
    return fact(f"The order is {order.id}.", "order")


def _paid(order: str, method: Method, cents: int) -> list[Edit]:
    """Rows of a payment: ``cents`` are charged, or given back where negative."""
    edits: list[Edit] = [{"table": "payments", "insert": {"order_id": order, "method": method.id, "amount": cents}}]
    if method.kind == "gift card":
        edits.append({"table": "methods", "where": {"id": method.id}, "add": {"balance": -cents}})
    return edits


def _cancelling(order: Order, reason: str) -> tuple[list[GoldCall], list[Edit]]:
    edits: list[Edit] = [{"table": "orders", "where": {"id": order.id}, "set": {"status": "cancelled", "reason": reason}}]
    return [("cancel_order", {"order_id": order.id, "reason": reason})], [*edits, *_paid(order.id, order.method, -order.total)]


def _why(reason: str) -> Fact:
    return fact("I no longer need it." if reason == REASONS[0] else "I ordered it by mistake.", "reason", "why")


def cancel(case: ShopCase) -> Draft | None:
    """Cancel a pending order."""
    order = _take(case, "pending")
    if order is None:
        return None
    reason = case.pick(REASONS)
    facts = {"order": _by_id(order), "reason": _why(reason)}
    change: Change | None = None
    if case.turns():
        facts["reason"] = _why(next(r for r in REASONS if r != reason))
        change = {"say": f"Wait, I gave you the wrong reason. {_why(reason)['say']}", "facts": {"reason": _why(reason)}}
    writes, edits = _cancelling(order, reason)
    say = ["I want to cancel an order.", "Please cancel one of my orders.", "I need an order cancelled."]
    return Draft(say=say, facts=facts, reads=[_read(order)], writes=writes, edits=edits, change=change)


def cancel_described(case: ShopCase) -> Draft | None:
    """Cancel a pending order that is named by what is in it."""
    unique = [(o, i) for o in _orders(case, "pending") for i in o.items if _only_one(case, i)]
    if not unique:
        return None
    order, item = case.pick(unique)
    case.used.add(order.id)
    reason = case.pick(REASONS)
    writes, edits = _cancelling(order, reason)
    facts = {"order": fact(f"It is the order with the {item.product}.", "order"), "reason": _why(reason)}
    say = ["I want to cancel an order that has not been sent yet.", "Please cancel one of my pending orders."]
    return Draft(say=say, facts=facts, reads=[_look_up(case), _read(order)], writes=writes, edits=edits)


def _only_one(case: ShopCase, item: Item) -> bool:
    """Whether the customer has ordered this product once only, so that its name means one order."""
    return sum(i.product == item.product for o in case.person.orders for i in o.items) == 1


def _look_up(case: ShopCase) -> GoldCall:
    return "get_customer", {"customer_id": case.person.id}


def _read(order: Order) -> GoldCall:
    return "get_order", {"order_id": order.id}


def _new_address(case: ShopCase) -> dict[str, str]:
    city = case.pick([c for c in CITIES if c != case.person.city])
    return {"street": case.pick(STREETS), "city": city, "zip": new_zip(case.rng)}


def _address_fact(address: dict[str, str]) -> Fact:
    return fact(f"The new address is {address['street']}, {address['city']}, {address['zip']}.", "address")


def address(case: ShopCase) -> Draft | None:
    """Send a pending order somewhere else."""
    order = _take(case, "pending")
    if order is None:
        return None
    new = _new_address(case)
    facts = {"order": _by_id(order), "address": _address_fact(new)}
    change: Change | None = None
    if case.turns():
        facts["address"] = _address_fact(_new_address(case))
        change = {"say": f"No, I have thought about it again. {_address_fact(new)['say']}", "facts": {"address": _address_fact(new)}}
    edits: list[Edit] = [{"table": "orders", "where": {"id": order.id}, "set": new}]
    writes: list[GoldCall] = [("change_order_address", {"order_id": order.id, **new})]
    say = ["I want an order sent to another address.", "Please change where an order goes."]
    return Draft(say=say, facts=facts, reads=[_read(order)], writes=writes, edits=edits, change=change)


def home(case: ShopCase) -> Draft | None:
    """Change the address of the account."""
    if case.person.id in case.used:
        return None
    case.used.add(case.person.id)
    new = _new_address(case)
    edits: list[Edit] = [{"table": "customers", "where": {"id": case.person.id}, "set": new}]
    writes: list[GoldCall] = [("change_customer_address", {"customer_id": case.person.id, **new})]
    say = ["I have moved. Please change the address of my account.", "My account has an old address; please change it."]
    return Draft(say=say, facts={"address": _address_fact(new)}, writes=writes, edits=edits)


def payment(case: ShopCase) -> Draft | None:
    """Pay a pending order by something else."""
    order = _take(case, "pending")
    if order is None:
        return None
    method: Method = case.pick([m for m in case.person.methods if m.id != order.method.id and m.kind != "gift card"])
    edits: list[Edit] = [{"table": "orders", "where": {"id": order.id}, "set": {"method": method.id}}]
    edits += [*_paid(order.id, order.method, -order.total), *_paid(order.id, method, order.total)]
    facts = {"order": _by_id(order), "payment": fact(f"I want to pay with my {method.kind}.", "payment", "pay")}
    writes: list[GoldCall] = [("change_order_payment", {"order_id": order.id, "payment_id": method.id})]
    say = ["I want to pay an order differently.", "Please change how I pay for an order."]
    return Draft(say=say, facts=facts, reads=[_look_up(case), _read(order)], writes=writes, edits=edits)


def _swap(case: ShopCase, status: str, cheapest: bool = False) -> tuple[Order, Item, Item, Method] | None:
    """An order, an item of it, another version in stock, and a method for the difference."""
    order = _take(case, status)
    if order is None:
        return None
    item: Item = case.pick(order.items)
    others = [i for i in case.world.items[item.product] if i.stock and i.id != item.id]
    new: Item = min(others, key=lambda i: i.price) if cheapest else case.pick(others)
    method: Method = case.pick([m for m in case.person.methods if m.kind != "gift card"])
    return order, item, new, method


def _swapped(order: Order, item: Item, new: Item, method: Method, state: str, status: str) -> list[Edit]:
    old_row = {"order_id": order.id, "item": item.id}
    edits: list[Edit] = [{"table": "orders", "where": {"id": order.id}, "set": {"status": status}}]
    if state == "ordered":
        edits.append({"table": "order_items", "where": old_row, "set": {"item": new.id, "price": new.price}})
    else:
        edits.append({"table": "order_items", "where": old_row, "set": {"state": state}})
        added = {"order_id": order.id, "item": new.id, "price": new.price, "state": "to be sent"}
        edits.append({"table": "order_items", "insert": added})
    return [*edits, *_paid(order.id, method, new.price - item.price)]


def _swap_draft(case: ShopCase, found: tuple[Order, Item, Item, Method] | None, tool: str, wish: str, say: list[str]) -> Draft | None:
    if found is None:
        return None
    order, item, new, method = found
    pending = tool == "change_order_item"
    edits = _swapped(order, item, new, method, *(("ordered", "pending (changed)") if pending else ("exchanged", "exchange requested")))
    facts = {
        "order": _by_id(order),
        "item": fact(f"Instead of the {item.product} I want {wish.format(new=new)}.", "item", "version", "instead"),
        "payment": fact(f"The difference goes by my {method.kind}.", "payment", "pay", "difference"),
    }
    values = {"order_id": order.id, "item_id": item.id, "new_item_id": new.id, "payment_id": method.id}
    reads: list[GoldCall] = [_look_up(case), _read(order), ("get_product", {"product": item.product})]
    return Draft(say=say, facts=facts, reads=reads, writes=[(tool, values)], edits=edits)


def change_item(case: ShopCase) -> Draft | None:
    """Another version in a pending order."""
    say = ["I want another version of something I ordered.", "Please change an item of an order that has not been sent."]
    return _swap_draft(case, _swap(case, "pending"), "change_order_item", "the version {new.style}, {new.version}", say)


def exchange(case: ShopCase) -> Draft | None:
    """Another version for something delivered."""
    say = ["I want to exchange something that has come.", "Please exchange an item of a delivered order."]
    return _swap_draft(case, _swap(case, "delivered"), "exchange_item", "the version {new.style}, {new.version}", say)


def exchange_cheapest(case: ShopCase) -> Draft | None:
    """The cheapest other version that is in stock, for something delivered."""
    say = ["I want to exchange something that has come for a cheaper one.", "Please exchange an item of a delivered order."]
    found = _swap(case, "delivered", cheapest=True)
    return _swap_draft(case, found, "exchange_item", "the cheapest other version that you have in stock", say)


def _returning(case: ShopCase, order: Order, items: Sequence[Item], what: str) -> Draft:
    """Items go back, and the money to the method the order was paid with."""
    edits: list[Edit] = [{"table": "orders", "where": {"id": order.id}, "set": {"status": "return requested"}}]
    edits += [{"table": "order_items", "where": {"order_id": order.id, "item": i.id}, "set": {"state": "returned"}} for i in items]
    edits += _paid(order.id, order.method, -sum(i.price for i in items))
    values = {"order_id": order.id, "item_ids": [i.id for i in items], "payment_id": order.method.id}
    facts = {
        "order": _by_id(order),
        "items": fact(f"I want to return {what}.", "item", "return"),
        "payment": fact("Please refund it to what I paid with.", "payment", "refund"),
    }
    say = ["I want to return something.", "Please take something back."]
    return Draft(say=say, facts=facts, reads=[_read(order)], writes=[("return_items", values)], edits=edits)


def return_item(case: ShopCase) -> Draft | None:
    """One item of a delivered order goes back."""
    order = _take(case, "delivered")
    if order is None:
        return None
    item: Item = case.pick(order.items)
    return _returning(case, order, [item], f"the {item.product}")


def return_all(case: ShopCase) -> Draft | None:
    """A whole delivered order goes back."""
    order = _take(case, "delivered")
    return None if order is None else _returning(case, order, order.items, "everything in it")


def total(case: ShopCase) -> Draft | None:
    """What an order cost."""
    order = _take(case, case.pick(STATUSES))
    if order is None:
        return None
    say = ["How much was one of my orders in all?", "I want to know the total of an order."]
    return Draft(say=say, facts={"order": _by_id(order)}, reads=[_read(order)], inform=[money(order.total)])


def price(case: ShopCase) -> Draft | None:
    """What a version of a product costs."""
    item: Item = case.pick(case.world.items[case.pick(list(PRODUCTS))])
    if item.id in case.used:
        return None
    case.used.add(item.id)
    facts = {"item": fact(f"The {item.product}, {item.style}, {item.version}.", "item", "product", "version")}
    say = ["What does a certain item cost?", "I want to know the price of something."]
    return Draft(say=say, facts=facts, reads=[("get_product", {"product": item.product})], inform=[money(item.price)])


def _refused(case: ShopCase, status: str, say: list[str]) -> Draft | None:
    """A wish that the policy forbids, about an order named by what is in it."""
    unique = [(o, i) for o in _orders(case, status) for i in o.items if _only_one(case, i)]
    if not unique:
        return None
    order, item = case.pick(unique)
    case.used.add(order.id)
    facts = {"order": fact(f"It is the order with the {item.product}.", "order")}
    writes: list[GoldCall] = [("transfer_to_human", {"about": order.id, "reason": "against_policy"})]
    edits: list[Edit] = [{"table": "transfers", "insert": {"about": order.id, "reason": "against_policy"}}]
    return Draft(say=say, facts=facts, reads=[_look_up(case), _read(order)], writes=writes, edits=edits)


def cancel_shipped(case: ShopCase) -> Draft | None:
    """Cancel an order that is on its way: not allowed."""
    return _refused(case, "shipped", ["I want to cancel an order.", "Please cancel one of my orders."])


def return_shipped(case: ShopCase) -> Draft | None:
    """Return an order that has not come yet: not allowed."""
    return _refused(case, "shipped", ["I want to return a whole order.", "Please take a whole order back."])


TEMPLATES: dict[str, tuple[SplitName, Template]] = {
    "cancel": ("train", cancel),
    "address": ("train", address),
    "payment": ("train", payment),
    "change_item": ("train", change_item),
    "return_item": ("train", return_item),
    "total": ("train", total),
    "cancel_shipped": ("train", cancel_shipped),
    "home": ("validation", home),
    "price": ("validation", price),
    "exchange": ("validation", exchange),
    "cancel_described": ("test", cancel_described),
    "return_all": ("test", return_all),
    "exchange_cheapest": ("test", exchange_cheapest),
    "return_shipped": ("test", return_shipped),
}


class RetailTasks(ServiceTasks):
    env_id = ENV_ID
    templates = TEMPLATES

    def world(self, split: SplitName, number: int) -> Shop:
        return shop(split, number)

    def start(self, split: SplitName, number: int) -> tuple[bytes, Rows]:
        return shop_database(split, number)

    def people(self, world: Shop) -> Sequence[Customer]:
        return world.customers

    def introduction(self, case: ShopCase) -> tuple[dict[str, Fact], GoldCall]:
        c = case.person
        facts = {
            "name": fact(f"My name is {c.first_name} {c.last_name}.", "name"),
            "zip": fact(f"My zip code is {c.zip}.", "zip"),
        }
        found = ("find_customer_by_name", {"first_name": c.first_name, "last_name": c.last_name, "zip": c.zip})
        return introduced(case, self.identity, (facts, found))
