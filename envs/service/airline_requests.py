"""What an airline's customers want of reservations that they have: templates of requests, with gold calls and the rows that must change."""

from __future__ import annotations

from collections.abc import Callable

from ..users.user import Change, Fact
from .airline_world import (
    A_DAY_AGO,
    BAG_FEE,
    CABINS,
    COLUMN,
    COMPENSATION,
    DAYS,
    FREE_BAGS,
    INSURANCE_FEE,
    Customer,
    Flight,
    Method,
    Reservation,
)
from .tasks import Case, Draft, GoldCall, fact, money
from .world import Edit

AirCase = Case[Customer]
_SPELLINGS = ("Hanna", "Borja", "Klara", "Davide", "Emmy", "Felicia", "Gretel", "Hugh")
"""Names that no passenger has."""


# ---- choosing ------------------------------------------------------------------------------------------------------


def day_key(origin: str, destination: str, date: str) -> str:
    return f"{origin}-{destination}-{date}"


def untouched(case: AirCase, *flights: Flight) -> bool:
    """Whether no earlier request has changed the seats of a day with these flights, so that what was drawn still holds."""
    return not any(day_key(f.origin, f.destination, f.date) in case.used for f in flights)


def touch(case: AirCase, *flights: Flight) -> None:
    case.used.update(day_key(f.origin, f.destination, f.date) for f in flights)


def take(case: AirCase, fits: Callable[[Reservation], bool]) -> Reservation | None:
    """A reservation that fits and that no earlier request has touched."""
    found = [r for r in case.person.reservations if r.id not in case.used and untouched(case, *r.flights) and fits(r)]
    if not found:
        return None
    taken: Reservation = case.pick(found)
    case.used.add(taken.id)
    touch(case, *taken.flights)
    return taken


def ahead(r: Reservation) -> bool:
    return r.ahead


def may_cancel(r: Reservation) -> bool:
    statuses = {f.status for f in r.flights}
    reason = r.booked >= A_DAY_AGO or r.insured or r.cabin == "business" or "cancelled" in statuses
    return reason and "landed" not in statuses


def some_card(case: AirCase) -> Method:
    card: Method = case.pick([m for m in case.person.methods if m.kind != "voucher"])
    return card


# ---- saying --------------------------------------------------------------------------------------------------------


def by_id(r: Reservation) -> Fact:
    return fact(f"The reservation is {r.id}.", "reservation", "booking")


def route(case: AirCase, flight: Flight) -> str:
    return f"from {case.world.airports[flight.origin]} to {case.world.airports[flight.destination]}"


def by_trip(case: AirCase, r: Reservation) -> Fact:
    return fact(f"It is the reservation of my trip {route(case, r.flights[0])}.", "reservation", "booking", "trip", "route")


def naming(case: AirCase) -> tuple[Callable[[Reservation], Fact], list[GoldCall]]:
    """How this customer names reservations, by id or by route, and what has to be read to know which one is meant.

    What is allowed is named by route as often as by id, so that a route does not give away what is to be refused.
    """
    if case.rng.random() < 0.5:
        return by_id, []
    return lambda r: by_trip(case, r), [look_up(case)]


def by_card(method: Method) -> Fact:
    return fact(f"Use my {method.kind}.", "payment", "pay", "difference", "refund", "card")


def look_up(case: AirCase) -> GoldCall:
    return "get_customer", {"customer_id": case.person.id}


def read(r: Reservation) -> GoldCall:
    return "get_reservation", {"reservation_id": r.id}


def search(flight: Flight) -> GoldCall:
    return "search_flights", {"origin": flight.origin, "destination": flight.destination, "date": flight.date}


# ---- rows that change ----------------------------------------------------------------------------------------------


def payment_edits(reservation: str, method: Method, cents: int) -> list[Edit]:
    """Rows of a payment: ``cents`` are charged, or given back where negative."""
    if not cents:
        return []
    edits: list[Edit] = [{"table": "payments", "insert": {"reservation": reservation, "method": method.id, "amount": cents}}]
    if method.kind == "voucher":
        edits.append({"table": "methods", "where": {"id": method.id}, "add": {"balance": -cents}})
    return edits


def seats_edit(flight: Flight, cabin: str, count: int) -> Edit:
    """``count`` seats more, or fewer where negative."""
    return {"table": "flights", "where": {"id": flight.id}, "add": {f"{COLUMN[cabin]}_seats": count}}


def reservation_edit(r: Reservation, **values: object) -> Edit:
    return {"table": "reservations", "where": {"id": r.id}, "set": values}


# ---- templates -----------------------------------------------------------------------------------------------------


def _cancelling(r: Reservation) -> tuple[list[GoldCall], list[Edit]]:
    edits = [reservation_edit(r, status="cancelled"), *(seats_edit(f, r.cabin, len(r.passengers)) for f in r.flights)]
    return [("cancel_reservation", {"reservation_id": r.id})], [*edits, *payment_edits(r.id, r.method, -r.paid)]


def cancel(case: AirCase) -> Draft | None:
    """Cancel a reservation that the policy lets go."""
    r = take(case, may_cancel)
    if r is None:
        return None
    named, looks = naming(case)
    facts = {"reservation": named(r)}
    change: Change | None = None
    if case.turns():
        other: Reservation = case.pick([x for x in case.person.reservations if x.id != r.id])
        facts = {"reservation": named(other)}
        change = {"say": f"No, I have mixed them up. {named(r)['say']}", "facts": {"reservation": named(r)}}
    writes, edits = _cancelling(r)
    say = ["I want to cancel a reservation.", "Please cancel one of my trips.", "I cannot travel and need a reservation cancelled."]
    return Draft(say=say, facts=facts, reads=[*looks, read(r)], writes=writes, edits=edits, change=change)


def cancel_refund(case: AirCase) -> Draft | None:
    """Cancel a reservation, and say how much comes back."""
    r = take(case, may_cancel)
    if r is None:
        return None
    writes, edits = _cancelling(r)
    facts = {"reservation": by_trip(case, r)}
    reads = [look_up(case), read(r)]
    say = [
        "I will not need one of my flights. Please cancel it, and tell me how much comes back.",
        "I want to give up one of my trips. How much do I get back then?",
    ]
    return Draft(say=say, facts=facts, reads=reads, writes=writes, edits=edits, inform=[money(r.paid)])


def _moves(case: AirCase, r: Reservation) -> list[tuple[Flight, list[Flight]]]:
    """Flights of a reservation that can be moved to another day, with the flights of that day that have seats."""
    moves: list[tuple[Flight, list[Flight]]] = []
    for n, old in enumerate(r.flights):
        others = [f.date for f in r.flights if f is not old]
        for date in DAYS:
            kept = all(date > other if n else date < other for other in others)
            there: list[Flight] = case.world.flights[old.origin, old.destination, date]
            if old.status == "scheduled" and date != old.date and kept and untouched(case, there[0]):
                moves.append((old, [f for f in there if f.seats[r.cabin] >= len(r.passengers)]))
    return moves


def _moving(case: AirCase, r: Reservation, old: Flight, new: Flight, method: Method) -> tuple[list[GoldCall], list[Edit]]:
    touch(case, new)
    seats, price = len(r.passengers), new.prices[r.cabin]
    values = {"reservation_id": r.id, "flight_id": old.id, "new_flight_id": new.id, "payment_id": method.id}
    edits: list[Edit] = [
        {"table": "legs", "where": {"reservation": r.id, "flight": old.id}, "set": {"flight": new.id, "price": price}},
        seats_edit(old, r.cabin, seats),
        seats_edit(new, r.cabin, -seats),
        *payment_edits(r.id, method, seats * (price - old.prices[r.cabin])),
    ]
    return [("change_flight", values)], edits


def _movable(case: AirCase) -> Callable[[Reservation], bool]:
    return lambda r: r.cabin != "basic economy" and bool(_moves(case, r))


def change(case: AirCase) -> Draft | None:
    """Fly on another day, with the first or the last flight that has seats."""
    r = take(case, _movable(case))
    if r is None:
        return None
    old, choices = case.pick(_moves(case, r))
    order = sorted(choices, key=lambda f: f.departs)
    wishes = [("first", order[0]), ("last", order[-1])]
    flip = int(case.rng.integers(2))
    (wish, new), (unwanted, _) = wishes[flip], wishes[1 - flip]

    def say_day(which: str) -> Fact:
        return fact(f"I want to fly on {new.date}, with the {which} flight of the day that has seats in my cabin.", "day", "date", "when")

    method = some_card(case)
    facts = {
        "reservation": naming(case)[0](r),
        "flight": fact(f"It is the flight {route(case, old)}.", "flight"),
        "day": say_day(wish),
        "payment": by_card(method),
    }
    turn: Change | None = None
    if case.turns():
        facts["day"] = say_day(unwanted)
        turn = {"say": f"Hold on. I would rather take the {wish} flight of the day that has seats.", "facts": {"day": say_day(wish)}}
    writes, edits = _moving(case, r, old, new, method)
    reads = [look_up(case), read(r), search(new)]
    say = ["I want to change a flight.", "Please move a flight of mine to another day.", "I need to travel on another day."]
    return Draft(say=say, facts=facts, reads=reads, writes=writes, edits=edits, change=turn)


def change_cheapest(case: AirCase) -> Draft | None:
    """Fly on another day, at the lowest price that is to be had, on a trip that is named by its route."""
    r = take(case, _movable(case))
    if r is None:
        return None
    old, choices = case.pick(_moves(case, r))
    new = min(choices, key=lambda f: f.prices[r.cabin])
    method = some_card(case)
    facts = {
        "reservation": by_trip(case, r),
        "flight": fact(f"Only the flight {route(case, old)} is to be changed.", "flight"),
        "day": fact(f"On {new.date}, as cheaply as possible in the cabin that I have.", "day", "date", "when"),
        "payment": by_card(method),
    }
    writes, edits = _moving(case, r, old, new, method)
    say = ["My plans have changed, and I want to fly on another day.", "Please put me on a flight of another day."]
    return Draft(say=say, facts=facts, reads=[look_up(case), read(r), search(new)], writes=writes, edits=edits)


def bags(case: AirCase) -> Draft | None:
    """Take more bags along, some of them free."""
    r = take(case, ahead)
    if r is None:
        return None
    free = FREE_BAGS[case.person.level][r.cabin] * len(r.passengers)
    count, other = (r.bags + 1 + int(n) for n in case.rng.permutation(free - r.bags + 4)[:2])
    charged = max(0, count - free)
    method = some_card(case)
    facts = {"reservation": naming(case)[0](r), "bags": _in_all(count), "payment": by_card(method)}
    change: Change | None = None
    if case.turns():
        facts["bags"] = _in_all(other)
        change = {"say": f"Wait, I have counted again: it must be {count} bags in all.", "facts": {"bags": _in_all(count)}}
    values = {"reservation_id": r.id, "bags": count, "charged_bags": charged, "payment_id": method.id}
    edits = [reservation_edit(r, bags=count), *payment_edits(r.id, method, charged * BAG_FEE)]
    say = ["I want to take more bags along.", "Please add bags to a reservation."]
    return Draft(say=say, facts=facts, reads=[look_up(case), read(r)], writes=[("add_bags", values)], edits=edits, change=change)


def _in_all(count: int) -> Fact:
    return fact(f"It should be {count} bags in all, for everybody together.", "bags", "how many", "number of", "baggage", "luggage")


def name(case: AirCase) -> Draft | None:
    """Correct the name of a passenger."""
    r = take(case, ahead)
    if r is None:
        return None
    named, looks = naming(case)
    old = str(case.pick(r.passengers))
    new = f"{case.pick(_SPELLINGS)} {old.split()[1]}"
    facts = {
        "reservation": named(r),
        "spelling": fact(f"It says {old}, but the right name is {new}.", "passenger", "correct name", "new name", "which name", "spell"),
    }
    values = {"reservation_id": r.id, "name": old, "new_name": new}
    edits: list[Edit] = [{"table": "passengers", "where": {"reservation": r.id, "name": old}, "set": {"name": new}}]
    say = ["A name in my reservation is wrong.", "Please correct the name of a passenger."]
    return Draft(say=say, facts=facts, reads=[*looks, read(r)], writes=[("change_passenger_name", values)], edits=edits)


def cabin(case: AirCase) -> Draft | None:
    """Fly in a higher cabin."""

    def higher(r: Reservation) -> list[str]:
        above = CABINS[CABINS.index(r.cabin) + 1 :]
        return [c for c in above if r.ahead and all(f.seats[c] >= len(r.passengers) for f in r.flights)]

    r = take(case, lambda r: bool(higher(r)))
    if r is None:
        return None
    new = str(case.pick(higher(r)))
    method, seats = some_card(case), len(r.passengers)

    def to(cabin: str) -> Fact:
        return fact(f"I want to fly in {cabin}.", "cabin", "class")

    facts = {"reservation": naming(case)[0](r), "cabin": to(new), "payment": by_card(method)}
    change: Change | None = None
    if r.cabin == "basic economy" and case.turns():
        facts["cabin"] = to(next(c for c in CABINS[1:] if c != new))
        change = {"say": f"I have thought again. It should be {new}.", "facts": {"cabin": to(new)}}
    edits = [reservation_edit(r, cabin=new)]
    for f in r.flights:
        edits.append({"table": "legs", "where": {"reservation": r.id, "flight": f.id}, "set": {"price": f.prices[new]}})
        edits += [seats_edit(f, r.cabin, seats), seats_edit(f, new, -seats)]
    edits += payment_edits(r.id, method, seats * sum(f.prices[new] - f.prices[r.cabin] for f in r.flights))
    values = {"reservation_id": r.id, "cabin": new, "payment_id": method.id}
    say = ["I want to fly in a better cabin.", "Please put a reservation of mine into a higher cabin."]
    return Draft(say=say, facts=facts, reads=[look_up(case), read(r)], writes=[("change_cabin", values)], edits=edits, change=change)


def insurance(case: AirCase) -> Draft | None:
    """Insure a reservation that has just been booked."""
    r = take(case, lambda r: r.booked >= A_DAY_AGO and not r.insured)
    if r is None:
        return None
    method = some_card(case)
    edits = [reservation_edit(r, insured=1), *payment_edits(r.id, method, INSURANCE_FEE * len(r.passengers))]
    values = {"reservation_id": r.id, "payment_id": method.id}
    say = ["I want to add insurance to a new reservation.", "Please insure a trip that I have just booked."]
    facts = {"reservation": naming(case)[0](r), "payment": by_card(method)}
    return Draft(say=say, facts=facts, reads=[look_up(case), read(r)], writes=[("add_insurance", values)], edits=edits)


def email(case: AirCase) -> Draft | None:
    """Change the email address of the account."""
    c = case.person
    if c.id in case.used:
        return None
    case.used.add(c.id)
    new = f"{c.last_name}{int(case.rng.integers(10, 100))}@example.org".lower()
    edits: list[Edit] = [{"table": "customers", "where": {"id": c.id}, "set": {"email": new}}]
    writes: list[GoldCall] = [("change_customer_email", {"customer_id": c.id, "email": new})]
    say = ["I have another email address now.", "Please change the email address of my account."]
    return Draft(say=say, facts={"new_email": fact(f"The new address is {new}.", "new email", "new address")}, writes=writes, edits=edits)


def compensation(case: AirCase) -> Draft | None:
    """Get a voucher for a flight that is delayed or cancelled."""
    level = case.person.level
    r = take(case, lambda r: r.flights[0].status in COMPENSATION and (r.insured or level != "regular"))
    if r is None:
        return None
    amount = COMPENSATION[r.flights[0].status] * len(r.passengers)
    edits: list[Edit] = [{"table": "compensations", "insert": {"reservation": r.id, "amount": 100 * amount}}]
    writes: list[GoldCall] = [("send_voucher", {"reservation_id": r.id, "amount": amount})]
    facts = {"reservation": by_trip(case, r)}
    return Draft(say=_COMPLAINTS, facts=facts, reads=[look_up(case), read(r)], writes=writes, edits=edits)


_COMPLAINTS = ["My flight does not go as planned, and I want compensation.", "There is trouble with my flight. What do I get for it?"]


def departure(case: AirCase) -> Draft | None:
    """When a flight leaves."""
    r = take(case, ahead)
    if r is None:
        return None
    facts = {"reservation": fact(f"It is the flight {route(case, r.flights[0])}.", "reservation", "flight", "trip")}
    say = ["At what time does a flight of mine leave?", "I want to know when my flight departs."]
    return Draft(say=say, facts=facts, reads=[look_up(case), read(r)], inform=[r.flights[0].departs])


def total(case: AirCase) -> Draft | None:
    """What a reservation has cost."""
    r = take(case, lambda r: True)
    if r is None:
        return None
    say = ["How much have I paid for a reservation in all?", "I need to know what a trip has cost me."]
    return Draft(say=say, facts={"reservation": by_id(r)}, reads=[read(r)], inform=[money(r.paid)])
