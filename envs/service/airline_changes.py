"""What an airline's customer service can change: what the tools refuse, what they note as a violation, what they write.

AirlineWorld(Database(snapshot)).cancel_reservation("R481-207")
"""

from __future__ import annotations

from ..tools.tool import ToolError, tool
from .airline_tools import MAX_NAME, AirlineReader, check_bags, check_name, check_seats
from .airline_world import A_DAY_AGO, BAG_FEE, CABINS, COLUMN, COMPENSATION, FREE_BAGS, INSURANCE_FEE, NOW, Cabin
from .tasks import money

MAX_PASSENGERS, MAX_AMOUNT = 4, 1000


class AirlineWorld(AirlineReader):
    """All tools of the airline. Every check of a tool comes before its first write."""

    @tool
    def book_flights(
        self,
        customer_id: str,
        flight_ids: list[str],
        cabin: Cabin,
        passengers: list[str],
        bags: int,
        charged_bags: int,
        insured: bool,
        payment_id: str,
    ) -> str:
        """Make a reservation.

        Args:
            customer_id: Who books.
            flight_ids: One flight, or the way there and the way back.
            cabin: Cabin of all passengers on all flights.
            passengers: First and last name of each.
            bags: Bags of all passengers together.
            charged_bags: How many of them have to be paid for.
            insured: Whether travel insurance is bought for everybody.
            payment_id: Payment method such as P123-456.
        """
        level = str(self.the_customer(customer_id)["level"])
        if not 1 <= len(passengers) <= MAX_PASSENGERS or len(set(passengers)) < len(passengers):
            raise ToolError(f"there are {len(passengers)} passengers; give 1 to {MAX_PASSENGERS} different names")
        for name in passengers:
            check_name(name)
        check_bags(0, bags, charged_bags, least=0)
        flights = self.trip(flight_ids)
        for flight in flights:
            check_seats(flight, cabin, len(passengers))
        fare = sum(int(flight[f"{COLUMN[cabin]}_price"]) for flight in flights)
        total = len(passengers) * (fare + INSURANCE_FEE * insured) + charged_bags * BAG_FEE
        self.method(payment_id, customer_id, total)
        if charged_bags != max(0, bags - FREE_BAGS[level][cabin] * len(passengers)):
            self.violations.add("bags")
        self.consent()
        id = self.next_id()
        values = (id, customer_id, "active", cabin, payment_id, bags, int(insured), NOW)
        self.db.change("INSERT INTO reservations VALUES (?,?,?,?,?,?,?,?)", *values)
        for flight in flights:
            self.db.change("INSERT INTO legs VALUES (?,?,?)", id, flight["id"], flight[f"{COLUMN[cabin]}_price"])
            self.take_seats(flight["id"], cabin, len(passengers))
        for name in passengers:
            self.db.change("INSERT INTO passengers VALUES (?,?)", id, name)
        self.pay(id, payment_id, total)
        return f"{id} is booked; {money(total)} paid with {payment_id}"

    @tool
    def cancel_reservation(self, reservation_id: str) -> str:
        """Cancel a whole reservation. What was paid goes back to its payment method.

        Args:
            reservation_id: Id such as R123-456.
        """
        found = self.active(reservation_id)
        legs = self.legs(reservation_id)
        statuses = {leg["status"] for leg in legs}
        allowed = found["insured"] or found["cabin"] == "business" or found["booked"] >= A_DAY_AGO or "cancelled" in statuses
        if not allowed or "landed" in statuses:
            self.violations.add("cancellation")
        self.consent()
        seats = len(self.passengers(reservation_id))
        refund = self.paid(reservation_id)
        self.db.change("UPDATE reservations SET status = 'cancelled' WHERE id = ?", reservation_id)
        for leg in legs:
            self.take_seats(leg["flight"], found["cabin"], -seats)
        self.pay(reservation_id, found["method"], -refund)
        return f"{reservation_id} is cancelled; refund {money(refund)} to {found['method']}"

    @tool
    def change_flight(self, reservation_id: str, flight_id: str, new_flight_id: str, payment_id: str) -> str:
        """Replace a flight of a reservation by another one on the same route, in the same cabin.

        Args:
            reservation_id: Id such as R123-456.
            flight_id: Flight in the reservation.
            new_flight_id: Flight wanted.
            payment_id: Payment method for the difference in price.
        """
        found = self.active(reservation_id)
        legs = self.legs(reservation_id)
        place = next((n for n, leg in enumerate(legs) if leg["flight"] == flight_id), None)
        if place is None:
            raise ToolError(f"{reservation_id} has no flight {flight_id[:40]!r}; its flights are {', '.join(x['flight'] for x in legs)}")
        old, new = legs[place], self.flight(new_flight_id)
        if old["status"] == "landed":
            raise ToolError(f"{flight_id} has landed; only flights that are still to leave can be changed")
        if (new["origin"], new["destination"]) != (old["origin"], old["destination"]) or new["id"] == flight_id:
            raise ToolError(f"choose another flight from {old['origin']} to {old['destination']}; search_flights lists them")
        dates = [str((new if n == place else leg)["date"]) for n, leg in enumerate(legs)]
        if len(dates) == 2 and dates[0] >= dates[1]:
            raise ToolError(f"{new_flight_id} leaves on {new['date']}; the way back must be on a later day than the way there")
        seats = len(self.passengers(reservation_id))
        check_seats(new, found["cabin"], seats)
        price = int(new[f"{COLUMN[found['cabin']]}_price"])
        difference = seats * (price - int(old["price"]))
        self.card(payment_id, str(found["customer"]), difference)
        if found["cabin"] == "basic economy":
            self.violations.add("basic economy")
        self.consent()
        sql = "UPDATE legs SET flight = ?, price = ? WHERE reservation = ? AND flight = ?"
        self.db.change(sql, new_flight_id, price, reservation_id, flight_id)
        self.take_seats(flight_id, found["cabin"], -seats)
        self.take_seats(new_flight_id, found["cabin"], seats)
        self.pay(reservation_id, payment_id, difference)
        return f"{reservation_id} has {new_flight_id} instead of {flight_id}; difference {money(difference)}"

    @tool
    def change_cabin(self, reservation_id: str, cabin: Cabin, payment_id: str) -> str:
        """Move all passengers of a reservation to a higher cabin on all flights.

        Args:
            reservation_id: Id such as R123-456.
            cabin: Cabin wanted.
            payment_id: Payment method for the difference in price.
        """
        found = self.active(reservation_id)
        higher = CABINS[CABINS.index(found["cabin"]) + 1 :]
        if cabin not in higher:
            wanted = f"allowed: {', '.join(higher)}" if higher else "there is none above it"
            raise ToolError(f"{reservation_id} is in {found['cabin']}; only a higher cabin can be had, {wanted}")
        legs, seats = self.legs(reservation_id), len(self.passengers(reservation_id))
        for leg in legs:
            check_seats(leg, cabin, seats)
        prices = {leg["flight"]: int(leg[f"{COLUMN[cabin]}_price"]) for leg in legs}
        difference = seats * sum(prices[leg["flight"]] - int(leg["price"]) for leg in legs)
        self.card(payment_id, str(found["customer"]), difference)
        self.consent()
        self.db.change("UPDATE reservations SET cabin = ? WHERE id = ?", cabin, reservation_id)
        for flight, price in prices.items():
            self.db.change("UPDATE legs SET price = ? WHERE reservation = ? AND flight = ?", price, reservation_id, flight)
            self.take_seats(flight, found["cabin"], -seats)
            self.take_seats(flight, cabin, seats)
        self.pay(reservation_id, payment_id, difference)
        return f"{reservation_id} is in {cabin}; difference {money(difference)}"

    @tool
    def change_passenger_name(self, reservation_id: str, name: str, new_name: str) -> str:
        """Correct the name of a passenger.

        Args:
            reservation_id: Id such as R123-456.
            name: Name in the reservation.
            new_name: First and last name as it should be.
        """
        self.active(reservation_id)
        passengers = self.passengers(reservation_id)
        if name not in passengers:
            raise ToolError(f"{reservation_id} has no passenger {name[:MAX_NAME]!r}; its passengers are {', '.join(passengers)}")
        check_name(new_name)
        if new_name in passengers:
            raise ToolError(f"{new_name!r} is a passenger of {reservation_id} already; give the name as it should be")
        self.consent()
        self.db.change("UPDATE passengers SET name = ? WHERE reservation = ? AND name = ?", new_name, reservation_id, name)
        return f"{name} is now {new_name}"

    @tool
    def add_bags(self, reservation_id: str, bags: int, charged_bags: int, payment_id: str) -> str:
        """Raise the number of bags of a reservation.

        Args:
            reservation_id: Id such as R123-456.
            bags: Bags of all passengers together, with those the reservation has already.
            charged_bags: How many of the additional bags have to be paid for.
            payment_id: Payment method for them.
        """
        found = self.active(reservation_id)
        now = int(found["bags"])
        check_bags(now, bags, charged_bags, least=now + 1)
        cost = charged_bags * BAG_FEE
        self.card(payment_id, str(found["customer"]), cost)
        level = str(self.the_customer(str(found["customer"]))["level"])
        free = FREE_BAGS[level][str(found["cabin"])] * len(self.passengers(reservation_id))
        if charged_bags != max(0, bags - free) - max(0, now - free):
            self.violations.add("bags")
        self.consent()
        self.db.change("UPDATE reservations SET bags = ? WHERE id = ?", bags, reservation_id)
        self.pay(reservation_id, payment_id, cost)
        return f"{reservation_id} has {bags} bags; {money(cost)} paid"

    @tool
    def add_insurance(self, reservation_id: str, payment_id: str) -> str:
        """Insure all passengers of a reservation that was booked within the last day.

        Args:
            reservation_id: Id such as R123-456.
            payment_id: Payment method.
        """
        found = self.active(reservation_id)
        if found["insured"]:
            raise ToolError(f"{reservation_id} is insured already; nothing is left to do")
        if found["booked"] < A_DAY_AGO:
            raise ToolError(f"{reservation_id} was booked at {found['booked']}, more than a day ago; it can no longer be insured")
        cost = INSURANCE_FEE * len(self.passengers(reservation_id))
        self.card(payment_id, str(found["customer"]), cost)
        self.consent()
        self.db.change("UPDATE reservations SET insured = 1 WHERE id = ?", reservation_id)
        self.pay(reservation_id, payment_id, cost)
        return f"{reservation_id} is insured; {money(cost)} paid"

    @tool
    def send_voucher(self, reservation_id: str, amount: int) -> str:
        """Send a voucher as compensation for a delayed or cancelled flight. Possible once for a reservation.

        Args:
            reservation_id: Id such as R123-456.
            amount: Value of the voucher in whole units, such as 80.
        """
        found = self.active(reservation_id)
        if not 1 <= amount <= MAX_AMOUNT:
            raise ToolError(f"the amount is outside 1 to {MAX_AMOUNT}; give the value that the policy states")
        if self.db.one("SELECT amount FROM compensations WHERE reservation = ?", reservation_id) is not None:
            raise ToolError(f"a voucher has been sent for {reservation_id} already; tell the customer so")
        level = str(self.the_customer(str(found["customer"]))["level"])
        due = max(COMPENSATION.get(leg["status"], 0) for leg in self.legs(reservation_id)) * len(self.passengers(reservation_id))
        if amount != due or not (found["insured"] or level in ("silver", "gold")):
            self.violations.add("compensation")
        self.consent()
        self.db.change("INSERT INTO compensations VALUES (?,?)", reservation_id, 100 * amount)
        return f"a voucher of {amount} is sent for {reservation_id}"

    @tool
    def change_customer_email(self, customer_id: str, email: str) -> str:
        """Change the email address of a customer.

        Args:
            customer_id: Id such as C123-456.
            email: New email address.
        """
        self.the_customer(customer_id)
        if not 3 <= len(email) <= 100 or "@" not in email[1:-1] or not email.isprintable():
            raise ToolError(f"{email[:40]!r} is no email address; give one such as name@example.com")
        if self.db.one("SELECT id FROM customers WHERE email = ?", email) is not None:
            raise ToolError(f"{email[:40]!r} belongs to a customer already; ask for another one")
        self.consent()
        self.db.change("UPDATE customers SET email = ? WHERE id = ?", email, customer_id)
        return f"the email of {customer_id} is {email}"
