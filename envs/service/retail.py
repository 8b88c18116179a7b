"""``turnwise/Retail-v0``: the customer service of a shop.

env = Retail(); observation, _ = env.reset(seed=0); env.step("Please tell me your name and your zip code.")
"""

from __future__ import annotations

from typing import Any, Literal

from ..tools.tool import ToolError, tool
from .env import ServiceEnv, service_manifest
from .retail_tasks import RetailTasks
from .tasks import money
from .world import ServiceWorld

POLICY = """You are the customer service agent of an online shop. You know nothing but what the functions return and the customer says.
Rules:
- First find the customer by email, by name and zip code, or by customer number.
- Serve one customer in a conversation, and only with their own data.
- A pending order can be cancelled, sent elsewhere, paid differently, or have items changed to other versions of the same product (once). \
Cancelling needs a reason: "no longer needed" or "ordered by mistake".
- Items of a delivered order can be returned, or exchanged for another version of the same product that is in stock.
- A refund goes to the payment method the order was paid with, or to a gift card of the customer.
- Nothing can be done about orders that are shipped. If a customer wants what these rules forbid, transfer to a human \
(reason "against_policy") with the id of the order.
- When all is done, tell the customer so, with everything they asked to know."""
Reason = Literal["no longer needed", "ordered by mistake"]


class ShopWorld(ServiceWorld):
    """Reading and changing the shop's database."""

    @tool
    def find_customer_by_email(self, email: str) -> dict[str, Any]:
        """Find a customer by email.

        Args:
            email: Email address.
        """
        return self._found(self.db.one("SELECT id, first_name, last_name FROM customers WHERE email = ?", email), f"email {email[:60]!r}")

    @tool
    def find_customer_by_name(self, first_name: str, last_name: str, zip: str) -> dict[str, Any]:
        """Find a customer by name and zip code.

        Args:
            first_name: First name.
            last_name: Last name.
            zip: Zip code.
        """
        sql = "SELECT id, first_name, last_name FROM customers WHERE first_name = ? AND last_name = ? AND zip = ?"
        return self._found(self.db.one(sql, first_name, last_name, zip), "that name and zip code")

    @tool
    def find_customer_by_number(self, customer_id: str) -> dict[str, Any]:
        """Find a customer by customer number.

        Args:
            customer_id: Id such as C123.
        """
        return self._found(self.db.one("SELECT id, first_name, last_name FROM customers WHERE id = ?", customer_id), "that number")

    @tool
    def get_customer(self, customer_id: str) -> dict[str, Any]:
        """Read a customer's address, payment methods and orders with their products.

        Args:
            customer_id: Id such as C123.
        """
        found = self.db.one("SELECT * FROM customers WHERE id = ?", customer_id)
        if found is None:
            raise ToolError(f"there is no customer {customer_id[:40]!r}; find_customer_by_name and find_customer_by_email give the id")
        self.private(customer_id)
        methods = self.db.query("SELECT id, kind, balance FROM methods WHERE customer = ?", customer_id)
        orders = self.db.query(
            "SELECT o.id, o.status, group_concat(i.product, ', ') AS products FROM orders o JOIN order_items l ON l.order_id = o.id "
            "JOIN items i ON i.id = l.item WHERE o.customer = ? GROUP BY o.id ORDER BY o.rowid",
            customer_id,
        )
        shown = [{"id": m["id"], "kind": m["kind"], **({"balance": money(m["balance"])} if m["balance"] else {})} for m in methods]
        return {**found, "payment_methods": shown, "orders": orders}

    @tool
    def get_order(self, order_id: str) -> dict[str, Any]:
        """Read an order: status, address, items with prices, total, payment.

        Args:
            order_id: Id such as O123.
        """
        order = self._order(order_id)
        lines = self._lines(order_id)
        items = [
            {
                "item_id": i["item"],
                "product": i["product"],
                "version": f"{i['style']}, {i['version']}",
                "price": money(i["price"]),
                "state": i["state"],
            }
            for i in lines
        ]
        shown = {name: order[name] for name in ("id", "status", "street", "city", "zip")}
        total = money(sum(i["price"] for i in lines if i["state"] != "to be sent"))
        return {**shown, "items": items, "total": total, "payment_id": order["method"]}

    @tool
    def list_products(self) -> list[str]:
        """Names of all products."""
        return [row["product"] for row in self.db.query("SELECT DISTINCT product FROM items ORDER BY product")]

    @tool
    def get_product(self, product: str) -> list[dict[str, Any]]:
        """Read all versions of a product: item ids, prices, stock.

        Args:
            product: Name of the product.
        """
        rows = self.db.query("SELECT id, style, version, price, stock FROM items WHERE product = ?", product)
        if not rows:
            raise ToolError(f"there is no product {product[:40]!r}; list_products names them all")
        shown = [{"item_id": r["id"], "version": f"{r['style']}, {r['version']}", "price": money(r["price"])} for r in rows]
        return [{**s, "stock": r["stock"]} for s, r in zip(shown, rows, strict=True)]

    @tool
    def get_item(self, item_id: str) -> dict[str, Any]:
        """Read one version of a product.

        Args:
            item_id: Id such as I123.
        """
        item = self._item(item_id)
        return {**item, "price": money(item["price"])}

    @tool
    def cancel_order(self, order_id: str, reason: Reason) -> str:
        """Cancel a pending order. The money goes back to where it came from.

        Args:
            order_id: Id of the order.
            reason: The customer's reason.
        """
        order = self._changeable(order_id, "pending")
        self.db.change("UPDATE orders SET status = 'cancelled', reason = ? WHERE id = ?", reason, order_id)
        self._pay(order_id, order["method"], -self._paid(order_id))
        return f"{order_id} is cancelled"

    @tool
    def change_order_address(self, order_id: str, street: str, city: str, zip: str) -> str:
        """Send a pending order to another address.

        Args:
            order_id: Id of the order.
            street: Street.
            city: City.
            zip: Zip code.
        """
        self._changeable(order_id, "pending")
        self.db.change("UPDATE orders SET street = ?, city = ?, zip = ? WHERE id = ?", street, city, zip, order_id)
        return f"{order_id} goes to {street}, {city}, {zip}"

    @tool
    def change_order_payment(self, order_id: str, payment_id: str) -> str:
        """Pay a pending order by another payment method of the customer.

        Args:
            order_id: Id of the order.
            payment_id: Id such as P123.
        """
        order = self._changeable(order_id, "pending")
        if order["method"] == payment_id:
            raise ToolError(f"{order_id} is paid with {payment_id} already; give another payment method")
        total = self._paid(order_id)
        self._method(payment_id, order["customer"], total)
        self.db.change("UPDATE orders SET method = ? WHERE id = ?", payment_id, order_id)
        self._pay(order_id, order["method"], -total)
        self._pay(order_id, payment_id, total)
        return f"{order_id} is paid with {payment_id}"

    @tool
    def change_order_item(self, order_id: str, item_id: str, new_item_id: str, payment_id: str) -> str:
        """Replace an item of a pending order by another version of the same product. Possible once for an order.

        Args:
            order_id: Id of the order.
            item_id: Item in the order.
            new_item_id: Version wanted.
            payment_id: Payment method for the difference in price.
        """
        order = self._changeable(order_id, "pending")
        difference, new = self._difference(order, item_id, new_item_id, payment_id)
        self.db.change("UPDATE orders SET status = 'pending (changed)' WHERE id = ?", order_id)
        self.db.change(
            "UPDATE order_items SET item = ?, price = ? WHERE order_id = ? AND item = ?", new["id"], new["price"], order_id, item_id
        )
        self._pay(order_id, payment_id, difference)
        return f"{order_id} has {new_item_id} instead of {item_id}; difference {money(difference)}"

    @tool
    def return_items(self, order_id: str, item_ids: list[str], payment_id: str) -> str:
        """Take back items of a delivered order.

        Args:
            order_id: Id of the order.
            item_ids: Items that go back.
            payment_id: Payment method for the refund.
        """
        order = self._changeable(order_id, "delivered")
        lines = {line["item"]: line for line in self._lines(order_id)}
        wrong = [id for id in item_ids if id not in lines]
        if wrong or not item_ids or len(set(item_ids)) < len(item_ids):
            raise ToolError(f"item_ids are {item_ids[:5]}; give items of {order_id}, each once: {', '.join(lines)}")
        method = self._method(payment_id, order["customer"], 0)
        if payment_id != order["method"] and method["kind"] != "gift card":
            self.violations.add("payment")
        self.db.change("UPDATE orders SET status = 'return requested' WHERE id = ?", order_id)
        for id in item_ids:
            self.db.change("UPDATE order_items SET state = 'returned' WHERE order_id = ? AND item = ?", order_id, id)
        refund = sum(lines[id]["price"] for id in item_ids)
        self._pay(order_id, payment_id, -refund)
        return f"{len(item_ids)} items of {order_id} go back; refund {money(refund)}"

    @tool
    def exchange_item(self, order_id: str, item_id: str, new_item_id: str, payment_id: str) -> str:
        """Exchange an item of a delivered order for another version of the same product.

        Args:
            order_id: Id of the order.
            item_id: Item that goes back.
            new_item_id: Version wanted.
            payment_id: Payment method for the difference in price.
        """
        order = self._changeable(order_id, "delivered")
        difference, new = self._difference(order, item_id, new_item_id, payment_id)
        self.db.change("UPDATE orders SET status = 'exchange requested' WHERE id = ?", order_id)
        self.db.change("UPDATE order_items SET state = 'exchanged' WHERE order_id = ? AND item = ?", order_id, item_id)
        self.db.change("INSERT INTO order_items VALUES (?, ?, ?, 'to be sent')", order_id, new["id"], new["price"])
        self._pay(order_id, payment_id, difference)
        return f"{item_id} is exchanged for {new_item_id}; difference {money(difference)}"

    @tool
    def change_customer_address(self, customer_id: str, street: str, city: str, zip: str) -> str:
        """Change the address of a customer's account. Orders keep theirs.

        Args:
            customer_id: Id of the customer.
            street: Street.
            city: City.
            zip: Zip code.
        """
        if self.db.one("SELECT id FROM customers WHERE id = ?", customer_id) is None:
            raise ToolError(f"there is no customer {customer_id[:40]!r}; find_customer_by_name and find_customer_by_email give the id")
        self.private(customer_id)
        self.consent()
        self.db.change("UPDATE customers SET street = ?, city = ?, zip = ? WHERE id = ?", street, city, zip, customer_id)
        return f"{customer_id} lives at {street}, {city}, {zip}"

    # ---- parts -----------------------------------------------------------------------------------------------------

    def _found(self, customer: dict[str, Any] | None, how: str) -> dict[str, Any]:
        if customer is None:
            raise ToolError(f"there is no customer with {how}; ask again, or try the other way to find them")
        self.identified(str(customer["id"]))
        return customer

    def _order(self, order_id: str) -> dict[str, Any]:
        order = self.db.one("SELECT * FROM orders WHERE id = ?", order_id)
        if order is None:
            raise ToolError(f"there is no order {order_id[:40]!r}; get_customer lists the customer's orders")
        self.private(str(order["customer"]))
        return order

    def _changeable(self, order_id: str, status: str) -> dict[str, Any]:
        """The order, if it has that status; about to be changed."""
        order = self._order(order_id)
        if order["status"] != status:
            raise ToolError(f"{order_id} is {order['status']}; this is possible for {status} orders only")
        self.consent()
        return order

    def _lines(self, order_id: str) -> list[dict[str, Any]]:
        sql = (
            "SELECT l.*, i.product, i.style, i.version FROM order_items l JOIN items i ON i.id = l.item WHERE order_id = ? ORDER BY l.rowid"
        )
        return self.db.query(sql, order_id)

    def _item(self, item_id: str) -> dict[str, Any]:
        item = self.db.one("SELECT * FROM items WHERE id = ?", item_id)
        if item is None:
            raise ToolError(f"there is no item {item_id[:40]!r}; get_product lists the items of a product")
        return item

    def _paid(self, order_id: str) -> int:
        return sum(line["price"] for line in self._lines(order_id))

    def _method(self, payment_id: str, customer: str, amount: int) -> dict[str, Any]:
        """A payment method of the customer that can pay ``amount``."""
        method = self.db.one("SELECT * FROM methods WHERE id = ? AND customer = ?", payment_id, customer)
        if method is None:
            raise ToolError(f"the customer has no payment method {payment_id[:40]!r}; get_customer lists them")
        if method["kind"] == "gift card" and method["balance"] < amount:
            raise ToolError(f"the gift card {payment_id} holds {money(method['balance'])}, less than {money(amount)}; use another method")
        return method

    def _difference(self, order: dict[str, Any], item_id: str, new_item_id: str, payment_id: str) -> tuple[int, dict[str, Any]]:
        """What the new item costs more, and the item; after every check."""
        line = next((x for x in self._lines(str(order["id"])) if x["item"] == item_id), None)
        if line is None:
            raise ToolError(f"{order['id']} has no item {item_id[:40]!r}; get_order lists its items")
        new = self._item(new_item_id)
        if new["product"] != line["product"]:
            raise ToolError(f"{new_item_id} is a {new['product']}, not a {line['product']}; get_product lists the versions")
        if new["id"] == item_id or not new["stock"]:
            reason = "is what the order has" if new["id"] == item_id else "is not in stock"
            raise ToolError(f"{new_item_id} {reason}; choose another version")
        difference = int(new["price"]) - int(line["price"])
        self._method(payment_id, str(order["customer"]), difference)
        return difference, new

    def _pay(self, order_id: str, payment_id: str, amount: int) -> None:
        """Charge ``amount`` cents, or give it back where negative."""
        self.db.change("INSERT INTO payments VALUES (?, ?, ?)", order_id, payment_id, amount)
        self.db.change("UPDATE methods SET balance = balance - ? WHERE id = ? AND kind = 'gift card'", amount, payment_id)


class Retail(ServiceEnv):
    """Serve customers of a shop: cancel, redirect, pay, change, return, exchange, inform, or refuse.

    Actions: calls of 17 tools, or text to the customer. Observations: results, or what the customer says. All else: see ``ServiceEnv``.
    Version 0.
    """

    policy = POLICY
    source = RetailTasks
    world = ShopWorld


MANIFEST = service_manifest("Customer service of a shop: tools on a database, a policy, a user with a goal.")
