"""What an airline's customer service can read, and what its changes are made of.

AirlineReader(Database(snapshot)).search_flights("ALD", "BRK", "2030-06-17")
"""

from __future__ import annotations

from typing import Any

from ..tools.tool import ToolError, tool
from .airline_world import COLUMN, DAYS
from .tasks import money
from .world import ServiceWorld

MAX_BAGS, MAX_NAME = 20, 60
_LEGS = (
    "SELECT l.flight, l.price, f.*, a.city AS from_city, b.city AS to_city FROM legs l JOIN flights f ON f.id = l.flight "
    "JOIN airports a ON a.code = f.origin JOIN airports b ON b.code = f.destination WHERE l.reservation = ? ORDER BY l.rowid"
)


class AirlineReader(ServiceWorld):
    """Tools that read the airline's database, and the parts that ``AirlineWorld`` changes it with."""

    @tool
    def find_customer_by_email(self, email: str) -> dict[str, Any]:
        """Find a customer by email.

        Args:
            email: Email address.
        """
        return self.customer_found("email = ?", (email,), f"email {email[:60]!r}")

    @tool
    def find_customer_by_name(self, first_name: str, last_name: str, born: str) -> dict[str, Any]:
        """Find a customer by name and date of birth.

        Args:
            first_name: First name.
            last_name: Last name.
            born: Date of birth, such as 1980-12-31.
        """
        where = "first_name = ? AND last_name = ? AND born = ?"
        return self.customer_found(where, (first_name, last_name, born), "that name and date of birth")

    @tool
    def find_customer_by_number(self, customer_id: str) -> dict[str, Any]:
        """Find a customer by customer number.

        Args:
            customer_id: Id such as C123-456.
        """
        return self.customer_found("id = ?", (customer_id,), "that number")

    @tool
    def get_customer(self, customer_id: str) -> dict[str, Any]:
        """Read a customer's membership level, payment methods and reservations with their routes.

        Args:
            customer_id: Id such as C123-456.
        """
        found = self.the_customer(customer_id)
        methods = self.db.query("SELECT id, kind, balance FROM methods WHERE customer = ? ORDER BY rowid", customer_id)
        shown = [
            {"id": m["id"], "kind": m["kind"], **({"balance": money(m["balance"])} if m["kind"] == "voucher" else {})} for m in methods
        ]
        # With a bare min(), SQLite takes the other columns from the row that holds the minimum: the first flight.
        trips = self.db.query(
            "SELECT r.id, r.status, a.city AS from_city, b.city AS to_city, f.date, min(l.rowid) FROM reservations r "
            "JOIN legs l ON l.reservation = r.id JOIN flights f ON f.id = l.flight JOIN airports a ON a.code = f.origin "
            "JOIN airports b ON b.code = f.destination WHERE r.customer = ? GROUP BY r.id ORDER BY r.rowid",
            customer_id,
        )
        reservations = [
            {"reservation_id": t["id"], "status": t["status"], "from": t["from_city"], "to": t["to_city"], "date": t["date"]} for t in trips
        ]
        return {**found, "payment_methods": shown, "reservations": reservations}

    @tool
    def get_reservation(self, reservation_id: str) -> dict[str, Any]:
        """Read a reservation: flights, passengers, cabin, bags, insurance, when it was booked, what was paid.

        Args:
            reservation_id: Id such as R123-456.
        """
        found = self.reservation(reservation_id)
        return {
            "reservation_id": reservation_id,
            "status": found["status"],
            "booked": found["booked"],
            "cabin": found["cabin"],
            "insured": bool(found["insured"]),
            "bags": found["bags"],
            "passengers": self.passengers(reservation_id),
            "flights": [
                {"flight_id": f["flight"], "from": f"{f['from_city']} ({f['origin']})", "to": f"{f['to_city']} ({f['destination']})"}
                | {key: f[key] for key in ("date", "departs", "arrives", "status")}
                | {"price": money(f["price"])}
                for f in self.legs(reservation_id)
            ],
            "paid": money(self.paid(reservation_id)),
            "payment_id": found["method"],
        }

    @tool
    def list_airports(self) -> dict[str, str]:
        """Codes of all airports with their cities."""
        return {row["code"]: row["city"] for row in self.db.query("SELECT code, city FROM airports ORDER BY code")}

    @tool
    def search_flights(self, origin: str, destination: str, date: str) -> list[dict[str, Any]]:
        """All flights between two airports on a day, with the price for one passenger and the free seats in each cabin.

        Args:
            origin: Airport code such as ALD.
            destination: Airport code.
            date: Day such as 2030-06-17.
        """
        for code in (origin, destination):
            if self.db.one("SELECT code FROM airports WHERE code = ?", code) is None:
                raise ToolError(f"there is no airport {code[:40]!r}; list_airports names their codes")
        sql = "SELECT * FROM flights WHERE origin = ? AND destination = ? AND date = ? ORDER BY rowid"
        flights = self.db.query(sql, origin, destination, date)
        if not flights:
            raise ToolError(f"there are no flights from {origin} to {destination} on {date[:40]!r}; bookable days are {', '.join(DAYS)}")
        return [_flight_shown(flight) for flight in flights]

    @tool
    def get_flight(self, flight_id: str) -> dict[str, Any]:
        """Read one flight: times, status (scheduled, delayed, cancelled, landed), prices and seats.

        Args:
            flight_id: Id such as F123-456.
        """
        return _flight_shown(self.flight(flight_id))

    # ---- parts -----------------------------------------------------------------------------------------------------

    def customer_found(self, where: str, values: tuple[str, ...], how: str) -> dict[str, Any]:
        customer = self.db.one(f"SELECT id, first_name, last_name FROM customers WHERE {where}", *values)
        if customer is None:
            raise ToolError(f"there is no customer with {how}; ask again, or try another way to find them")
        self.identified(str(customer["id"]))
        return customer

    def the_customer(self, customer_id: str) -> dict[str, Any]:
        found = self.db.one("SELECT * FROM customers WHERE id = ?", customer_id)
        if found is None:
            raise ToolError(f"there is no customer {customer_id[:40]!r}; find_customer_by_email and find_customer_by_name give the id")
        self.private(customer_id)
        return found

    def reservation(self, reservation_id: str) -> dict[str, Any]:
        found = self.db.one("SELECT * FROM reservations WHERE id = ?", reservation_id)
        if found is None:
            raise ToolError(f"there is no reservation {reservation_id[:40]!r}; get_customer lists the customer's reservations")
        self.private(str(found["customer"]))
        return found

    def active(self, reservation_id: str) -> dict[str, Any]:
        found = self.reservation(reservation_id)
        if found["status"] != "active":
            raise ToolError(f"{reservation_id} is {found['status']}; only an active reservation can be changed")
        return found

    def legs(self, reservation_id: str) -> list[dict[str, Any]]:
        return self.db.query(_LEGS, reservation_id)

    def passengers(self, reservation_id: str) -> list[str]:
        return [row["name"] for row in self.db.query("SELECT name FROM passengers WHERE reservation = ? ORDER BY rowid", reservation_id)]

    def flight(self, flight_id: str) -> dict[str, Any]:
        flight = self.db.one("SELECT * FROM flights WHERE id = ?", flight_id)
        if flight is None:
            raise ToolError(f"there is no flight {flight_id[:40]!r}; search_flights lists the flights of a route and day")
        return flight

    def trip(self, flight_ids: list[str]) -> list[dict[str, Any]]:
        """One flight, or the way there and back."""
        if not 1 <= len(flight_ids) <= 2:
            raise ToolError(f"there are {len(flight_ids)} flights; give one, or the way there and the way back")
        flights = [self.flight(id) for id in flight_ids]
        there, back = flights[0], flights[-1]
        if len(flights) == 2 and ((back["origin"], back["destination"]) != (there["destination"], there["origin"])):
            raise ToolError(f"{flight_ids[1]} is no way back from {there['destination']} to {there['origin']}; search_flights lists some")
        if len(flights) == 2 and back["date"] <= there["date"]:
            raise ToolError(f"{flight_ids[1]} leaves on {back['date']}; the way back must be on a later day than the way there")
        return flights

    def paid(self, reservation_id: str) -> int:
        found = self.db.one("SELECT sum(amount) AS paid FROM payments WHERE reservation = ?", reservation_id)
        return int(found["paid"] or 0) if found else 0

    def method(self, payment_id: str, customer: str, amount: int) -> dict[str, Any]:
        """A payment method of the customer that can pay ``amount``."""
        method = self.db.one("SELECT * FROM methods WHERE id = ? AND customer = ?", payment_id, customer)
        if method is None:
            raise ToolError(f"the customer has no payment method {payment_id[:40]!r}; get_customer lists them")
        if method["kind"] == "voucher" and method["balance"] < amount:
            raise ToolError(f"the voucher {payment_id} holds {money(method['balance'])}, less than {money(amount)}; use another method")
        return method

    def card(self, payment_id: str, customer: str, amount: int) -> None:
        """``_method`` for what the policy wants paid by card."""
        if self.method(payment_id, customer, amount)["kind"] == "voucher":
            self.violations.add("payment")

    def next_id(self) -> str:
        """Ids of new reservations count up from R001-001; those of the world begin at R100-100."""
        made = self.db.query("SELECT id FROM reservations WHERE id < 'R100'")
        return f"R{len(made) // 1000 + 1:03}-{len(made) % 1000 + 1:03}"

    def take_seats(self, flight_id: str, cabin: str, count: int) -> None:
        column = f"{COLUMN[cabin]}_seats"
        self.db.change(f"UPDATE flights SET {column} = {column} - ? WHERE id = ?", count, flight_id)

    def pay(self, reservation_id: str, payment_id: str, amount: int) -> None:
        """Charge ``amount`` cents, or give it back where negative; nothing is written for nothing."""
        if amount:
            self.db.change("INSERT INTO payments VALUES (?, ?, ?)", reservation_id, payment_id, amount)
            self.db.change("UPDATE methods SET balance = balance - ? WHERE id = ? AND kind = 'voucher'", amount, payment_id)


def _flight_shown(flight: dict[str, Any]) -> dict[str, Any]:
    plain = {"flight_id": flight["id"], "from": flight["origin"], "to": flight["destination"]}
    times = {key: flight[key] for key in ("date", "departs", "arrives", "status")}
    fares = {c: {"price": money(flight[f"{k}_price"]), "seats": flight[f"{k}_seats"]} for c, k in COLUMN.items()}
    return {**plain, **times, "cabins": fares}


def check_seats(flight: dict[str, Any], cabin: str, seats: int) -> None:
    if flight["status"] != "scheduled":
        raise ToolError(f"{flight['id']} is {flight['status']}; only seats on scheduled flights can be had")
    free = int(flight[f"{COLUMN[cabin]}_seats"])
    if free < seats:
        raise ToolError(f"{flight['id']} has {free} seats left in {cabin}, not {seats}; search_flights lists other flights")


def check_name(name: str) -> None:
    if not (3 <= len(name) <= MAX_NAME and name.isprintable() and len(name.split()) >= 2):
        raise ToolError(f"{name[:MAX_NAME]!r} is no passenger's name; give first and last name, at most {MAX_NAME} characters")


def check_bags(now: int, bags: int, charged: int, *, least: int) -> None:
    if not least <= bags <= MAX_BAGS:
        raise ToolError(f"the number of bags must be {least} to {MAX_BAGS}, counting those that are there already")
    if not 0 <= charged <= bags - now:
        raise ToolError(f"charged_bags must be 0 to {bags - now}, the bags that are added")
