"""Tasks of ``turnwise/Airline-v0``: bookings, questions about fares, wishes that the policy forbids, and the list of all templates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..search.world import SplitName
from ..tools.database import Rows
from ..users.user import Change, Fact
from . import airline_requests as requests
from .airline_requests import (
    AirCase,
    ahead,
    by_trip,
    look_up,
    may_cancel,
    payment_edits,
    read,
    route,
    search,
    seats_edit,
    take,
    touch,
    untouched,
)
from .airline_world import (
    A_DAY_AGO,
    BAG_FEE,
    CABINS,
    COMPANIONS,
    DAYS,
    FREE_BAGS,
    INSURANCE_FEE,
    NOW,
    AirlineData,
    Customer,
    Flight,
    Method,
    Reservation,
    airline,
    airline_database,
)
from .tasks import Draft, GoldCall, ServiceTasks, Template, fact, introduced, money
from .world import Edit

ENV_ID = "turnwise/Airline-v0"


def day_of_flights(case: AirCase) -> list[Flight]:
    """The flights of a route and day that nobody has touched."""
    days = [flights for (_, _, date), flights in case.world.flights.items() if date in DAYS and untouched(case, flights[0])]
    chosen: list[Flight] = case.pick(days)
    return chosen


def _wanted_flights(case: AirCase, cabin: str, seats: int) -> list[Flight]:
    """The cheapest flight that has seats, of one day or of a day and a later one back."""

    def cheapest(flights: list[Flight]) -> Flight:
        return min((f for f in flights if f.seats[cabin] >= seats), key=lambda f: f.prices[cabin])

    there = cheapest(day_of_flights(case))
    backs = [case.world.flights[there.destination, there.origin, date] for date in DAYS if date > there.date]
    free = [flights for flights in backs if untouched(case, flights[0])]
    trip = [there, cheapest(case.pick(free))] if free and case.rng.random() < 0.4 else [there]
    touch(case, *trip)
    return trip


def book(case: AirCase) -> Draft | None:
    """Make a reservation, with the cheapest flights."""
    c = case.person
    cabin, unwanted = (CABINS[int(n)] for n in case.rng.permutation(3)[:2])
    others = [COMPANIONS[int(i)] for i in case.rng.permutation(len(COMPANIONS))[: int(case.rng.integers(3))]]
    names = [c.name, *(f"{other} {c.last_name}" for other in others)]
    trip = _wanted_flights(case, cabin, len(names))
    free, insured = FREE_BAGS[c.level][cabin] * len(names), bool(case.rng.integers(2))
    bags = int(case.rng.integers(free + 3))
    charged = max(0, bags - free)
    cost = len(names) * (sum(f.prices[cabin] for f in trip) + INSURANCE_FEE * insured) + charged * BAG_FEE
    # A voucher must hold the whole price; one that an earlier request has spent no longer does, perhaps.
    method: Method = case.pick([m for m in c.methods if m.kind != "voucher" or (m.balance >= cost and m.id not in case.used)])
    case.used.add(method.id)
    back = f", and back on {trip[1].date}" if len(trip) == 2 else ", one way"

    def in_cabin(which: str) -> Fact:
        return fact(f"We fly in {which}.", "cabin", "class")

    facts = {
        "route": fact(
            f"I want to fly {route(case, trip[0])} on {trip[0].date}{back}, each time with the cheapest flight that has seats for us.",
            *("route", "where", "date", "when", "which flight", "destination", "one way", "one-way"),
        ),
        "cabin": in_cabin(cabin),
        "passengers": fact(
            f"The names are {', '.join(names)}." if others else f"It is only me, {c.name}.",
            "passenger",
            "names",
            "traveler",
            "traveller",
            "how many people",
        ),
        "bags": fact(f"We take {bags} bags in all." if bags else "We take no bags.", "bags", "baggage", "luggage"),
        "insurance": fact("With insurance, please." if insured else "We want no insurance.", "insur"),
        "payment": fact(f"I pay with my {method.kind}.", "payment", "pay"),
    }
    change: Change | None = None
    if case.turns():
        facts["cabin"] = in_cabin(unwanted)
        change = {"say": f"One moment. Let us fly in {cabin} instead.", "facts": {"cabin": in_cabin(cabin)}}
    id = f"R001-{1 + sum(mark.startswith('booked') for mark in case.used):03}"
    case.used.add(f"booked {id}")
    values = {
        "customer_id": c.id,
        "flight_ids": [f.id for f in trip],
        "cabin": cabin,
        "passengers": names,
        "bags": bags,
        "charged_bags": charged,
        "insured": insured,
        "payment_id": method.id,
    }
    row = {"id": id, "customer": c.id, "status": "active", "cabin": cabin, "method": method.id}
    edits: list[Edit] = [{"table": "reservations", "insert": {**row, "bags": bags, "insured": int(insured), "booked": NOW}}]
    edits += [{"table": "legs", "insert": {"reservation": id, "flight": f.id, "price": f.prices[cabin]}} for f in trip]
    edits += [seats_edit(f, cabin, -len(names)) for f in trip]
    edits += [{"table": "passengers", "insert": {"reservation": id, "name": name}} for name in names]
    edits += payment_edits(id, method, cost)
    reads: list[GoldCall] = [look_up(case), ("list_airports", {}), *(search(f) for f in trip)]
    say = ["I want to book a flight.", "Please make a new reservation for me.", "I need to fly somewhere."]
    return Draft(say=say, facts=facts, reads=reads, writes=[("book_flights", values)], edits=edits, change=change)


def fare(case: AirCase) -> Draft | None:
    """What the cheapest seat of a cabin costs that is still to be had."""
    flights, wanted = day_of_flights(case), str(case.pick(CABINS))
    touch(case, flights[0])
    lowest = min(f.prices[wanted] for f in flights if f.seats[wanted])
    facts = {
        "route": fact(f"Seats {route(case, flights[0])}, on {flights[0].date}.", "route", "where", "from", "day", "date"),
        "cabin": fact(f"In {wanted}.", "cabin", "class"),
    }
    say = ["What is the lowest price of a seat on a certain day?", "I want to know what the cheapest free seat costs."]
    return Draft(say=say, facts=facts, reads=[("list_airports", {}), search(flights[0])], inform=[money(lowest)])


def _refused(case: AirCase, fits: Callable[[Reservation], bool], say: list[str], **more: Fact) -> Draft | None:
    """A wish that the policy forbids, about a reservation named by its route."""
    r = take(case, fits)
    if r is None:
        return None
    writes: list[GoldCall] = [("transfer_to_human", {"about": r.id, "reason": "against_policy"})]
    edits: list[Edit] = [{"table": "transfers", "insert": {"about": r.id, "reason": "against_policy"}}]
    facts = {"reservation": by_trip(case, r), **more}
    return Draft(say=say, facts=facts, reads=[look_up(case), read(r)], writes=writes, edits=edits)


def cancel_refused(case: AirCase) -> Draft | None:
    """Cancel what nothing allows to cancel."""
    say = ["I want to cancel a reservation.", "Please cancel one of my trips.", "I cannot travel and need a reservation cancelled."]
    return _refused(case, lambda r: not may_cancel(r), say)


def change_refused(case: AirCase) -> Draft | None:
    """Change a flight in basic economy."""
    day = fact("Any other day will do.", "day", "date", "when")
    say = ["I want to change a flight.", "Please move a flight of mine to another day."]
    return _refused(case, lambda r: r.cabin == "basic economy" and r.ahead, say, day=day)


def compensation_refused(case: AirCase) -> Draft | None:
    """A voucher for somebody who gets none, or for a flight with which nothing is wrong."""
    entitled = case.person.level != "regular"
    say = ["My flight was delayed, and I want compensation.", "I want a voucher, because my flight is not on time."]
    return _refused(case, lambda r: r.ahead if entitled else not (r.ahead or r.insured or "landed" in {f.status for f in r.flights}), say)


def passenger_refused(case: AirCase) -> Draft | None:
    """One passenger more, or fewer."""
    say = ["I want to take one more person along on a trip.", "One of us is not coming. Please take one passenger off a reservation."]
    who = fact("I will tell the name later.", "passenger", "name of the", "who")
    return _refused(case, ahead, say, who=who)


def cabin_refused(case: AirCase) -> Draft | None:
    """A lower cabin."""
    lower = fact("One below the present one.", "cabin", "class")
    say = ["I want to move to a lower cabin and get the difference back.", "Please put a reservation of mine into a cheaper cabin."]
    return _refused(case, lambda r: r.cabin != "basic economy" and r.ahead, say, cabin=lower)


def insurance_refused(case: AirCase) -> Draft | None:
    """Insurance for a reservation that is more than a day old."""
    say = ["I want to add insurance to a reservation.", "Please insure one of my trips."]
    return _refused(case, lambda r: r.ahead and not r.insured and r.booked < A_DAY_AGO, say)


TEMPLATES: dict[str, tuple[SplitName, Template]] = {
    "cancel": ("train", requests.cancel),
    "change": ("train", requests.change),
    "bags": ("train", requests.bags),
    "name": ("train", requests.name),
    "book": ("train", book),
    "departure": ("train", requests.departure),
    "compensation": ("train", requests.compensation),
    "cancel_refused": ("train", cancel_refused),
    "cabin": ("validation", requests.cabin),
    "insurance": ("validation", requests.insurance),
    "email": ("validation", requests.email),
    "total": ("validation", requests.total),
    "change_refused": ("validation", change_refused),
    "insurance_refused": ("validation", insurance_refused),
    "cancel_refund": ("test", requests.cancel_refund),
    "change_cheapest": ("test", requests.change_cheapest),
    "fare": ("test", fare),
    "compensation_refused": ("test", compensation_refused),
    "passenger_refused": ("test", passenger_refused),
    "cabin_refused": ("test", cabin_refused),
}


class AirlineTasks(ServiceTasks):
    env_id = ENV_ID
    templates = TEMPLATES

    def world(self, split: SplitName, number: int) -> AirlineData:
        return airline(split, number)

    def start(self, split: SplitName, number: int) -> tuple[bytes, Rows]:
        return airline_database(split, number)

    def people(self, world: AirlineData) -> Sequence[Customer]:
        return world.customers

    def introduction(self, case: AirCase) -> tuple[dict[str, Fact], GoldCall]:
        c = case.person
        facts = {
            "name": fact(f"My name is {c.name}.", "name"),
            "born": fact(f"I was born on {c.born}.", "date of birth", "born"),
        }
        found = ("find_customer_by_name", {"first_name": c.first_name, "last_name": c.last_name, "born": c.born})
        return introduced(case, self.identity, (facts, found))
