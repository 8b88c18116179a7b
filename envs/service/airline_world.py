"""An airline's world: airports, flights, customers and their reservations, seen at one fixed moment.

airline("train", 0).customers[0].reservations[0].id    # "R481-207"
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np

from ..search.world import SPLITS, SplitName
from ..tools.database import Database, Rows
from .tasks import TASKS_PER_WORLD, Ids, namer
from .world import TRANSFERS

Cabin: TypeAlias = Literal["basic economy", "economy", "business"]
Level: TypeAlias = Literal["regular", "silver", "gold"]
Status: TypeAlias = Literal["scheduled", "delayed", "cancelled", "landed"]

NOW = "2030-06-12 12:00"
A_DAY_AGO = "2030-06-11 12:00"
TODAY, PAST, DAYS = NOW[:10], "2030-06-08", ("2030-06-17", "2030-06-20", "2030-06-24")
"""Flights leave on these days; what was to leave today is delayed or cancelled, what left on ``PAST`` has landed."""
CABINS: tuple[Cabin, ...] = ("basic economy", "economy", "business")
COLUMN: dict[str, str] = {cabin: cabin.split()[0] for cabin in CABINS}
"""Cabin -> how the names of its columns begin."""
LEVELS: tuple[Level, ...] = ("regular", "silver", "gold")
FREE_BAGS: dict[str, dict[str, int]] = {
    "regular": {"basic economy": 0, "economy": 1, "business": 2},
    "silver": {"basic economy": 0, "economy": 2, "business": 3},
    "gold": {"basic economy": 1, "economy": 3, "business": 4},
}
"""Free bags for each passenger, by membership level and cabin."""
BAG_FEE, INSURANCE_FEE = 4000, 3000
"""For each bag, for each passenger."""
COMPENSATION: dict[str, int] = {"cancelled": 80, "delayed": 40}
"""Whole units for each passenger, by status of the flight."""
AIRPORTS = {
    "ALD": "Aldmere",
    "BRK": "Brackwater",
    "CNV": "Corriven",
    "DUN": "Dunsey",
    "ELM": "Elmscar",
    "FLX": "Farloxby",
    "GRA": "Granholt",
    "HSK": "Haskett",
}
COMPANIONS = ("Anna", "Boris", "Clara", "David", "Emma", "Felix", "Greta", "Hugo")
SCHEMA = (
    """
CREATE TABLE customers (id TEXT PRIMARY KEY, first_name TEXT, last_name TEXT, email TEXT, born TEXT, level TEXT);
CREATE TABLE methods (id TEXT PRIMARY KEY, customer TEXT REFERENCES customers(id), kind TEXT, balance INTEGER);
CREATE TABLE airports (code TEXT PRIMARY KEY, city TEXT);
CREATE TABLE flights (id TEXT PRIMARY KEY, origin TEXT REFERENCES airports(code), destination TEXT REFERENCES airports(code),
                      date TEXT, departs TEXT, arrives TEXT, status TEXT, basic_price INTEGER, economy_price INTEGER,
                      business_price INTEGER, basic_seats INTEGER, economy_seats INTEGER, business_seats INTEGER);
CREATE TABLE reservations (id TEXT PRIMARY KEY, customer TEXT REFERENCES customers(id), status TEXT, cabin TEXT,
                           method TEXT REFERENCES methods(id), bags INTEGER, insured INTEGER, booked TEXT);
CREATE TABLE legs (reservation TEXT REFERENCES reservations(id), flight TEXT REFERENCES flights(id), price INTEGER);
CREATE TABLE passengers (reservation TEXT REFERENCES reservations(id), name TEXT);
CREATE TABLE payments (reservation TEXT REFERENCES reservations(id), method TEXT REFERENCES methods(id), amount INTEGER);
CREATE TABLE compensations (reservation TEXT REFERENCES reservations(id), amount INTEGER);
"""
    + TRANSFERS
)


@dataclass(frozen=True, slots=True)
class Flight:
    """One flight on one day. Prices are in cents, for one passenger; prices and seats are by cabin."""

    id: str
    origin: str
    destination: str
    date: str
    departs: str
    arrives: str
    status: Status
    prices: dict[str, int]
    seats: dict[str, int]


@dataclass(frozen=True, slots=True)
class Method:
    id: str
    kind: str
    balance: int


@dataclass(frozen=True, slots=True)
class Reservation:
    id: str
    cabin: Cabin
    method: Method
    bags: int
    insured: bool
    booked: str
    flights: tuple[Flight, ...]
    """One, or the way there and the way back."""
    passengers: tuple[str, ...]

    @property
    def paid(self) -> int:
        fare = sum(flight.prices[self.cabin] for flight in self.flights)
        return len(self.passengers) * (fare + INSURANCE_FEE * self.insured)

    @property
    def ahead(self) -> bool:
        """Whether every flight is still to come, as planned."""
        return all(flight.status == "scheduled" for flight in self.flights)


@dataclass(frozen=True, slots=True)
class Customer:
    id: str
    first_name: str
    last_name: str
    email: str
    born: str
    level: Level
    methods: tuple[Method, ...]
    reservations: tuple[Reservation, ...]

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"


@dataclass(frozen=True, slots=True)
class AirlineData:
    split: SplitName
    number: int
    airports: dict[str, str]
    """Code -> city."""
    flights: dict[tuple[str, str, str], list[Flight]]
    """By origin, destination and date: three on each of ``DAYS``, one today, one on ``PAST``."""
    customers: list[Customer] = field(default_factory=list[Customer])


@lru_cache(maxsize=256)
def airline(split: SplitName, number: int) -> AirlineData:
    """World ``number`` of a split: four airports, 132 flights, eight customers with seven reservations each."""
    rng = np.random.default_rng(np.random.SeedSequence([SPLITS.index(split), number, 33]))
    ids = Ids(rng)
    name = namer(split, number)
    codes = [list(AIRPORTS)[int(i)] for i in rng.permutation(len(AIRPORTS))[:4]]
    flights = _flights([(*route, date) for route in itertools.permutations(codes, 2) for date in (PAST, TODAY, *DAYS)], ids, rng)
    made = AirlineData(split, number, {code: AIRPORTS[code] for code in sorted(codes)}, flights)
    for _ in range(TASKS_PER_WORLD):
        made.customers.append(_customer(made, ids, rng, name))
    return made


def _flights(days: Sequence[tuple[str, str, str]], ids: Ids, rng: np.random.Generator) -> dict[tuple[str, str, str], list[Flight]]:
    """Flights by origin, destination and date, in any order: on a day no two leave at one time or cost the same in a cabin, and each cabin
    is full on one of three."""
    n = len(days)
    # Drawn all at once: a thousand draws one by one would cost more than an episode.
    draws = (
        100 * rng.integers(50, 90, n),
        rng.permuted(np.tile(np.arange(20), (n, 3, 1)), axis=2)[:, :, :3],
        rng.integers(3, size=(n, 3)),
        rng.integers(4, 10, (n, 3, 3)),
        5 * rng.integers(48, size=(n, 3)),
        60 + 5 * rng.integers(24, size=(n, 3)),
        rng.permuted(np.tile(np.arange(3), (n, 1)), axis=1),
        rng.integers(2, size=n),
    )
    found: dict[tuple[str, str, str], list[Flight]] = {}
    for day, lowest, steps, full, seats, minutes, lasts, order, broken in zip(days, *(drawn.tolist() for drawn in draws), strict=True):
        origin, destination, date = day
        count = 3 if date in DAYS else 1
        status: Status = "scheduled" if count == 3 else "landed" if date == PAST else "cancelled" if broken else "delayed"
        flights = found.setdefault(day, [])
        for k in order if count == 3 else (0,):
            # What was to leave today leaves after the present hour.
            departs = (6 + 5 * k if count == 3 else 14) * 60 + minutes[k]
            prices = {c: lowest + above + 500 * steps[i][k] for i, (c, above) in enumerate(_ABOVE.items())}
            free = {c: 0 if count == 1 or full[i] == k else seats[i][k] for i, c in enumerate(CABINS)}
            flights.append(
                Flight(ids.new("F"), origin, destination, date, _clock(departs), _clock(departs + lasts[k]), status, prices, free)
            )
    return found


_ABOVE: dict[Cabin, int] = {"basic economy": 0, "economy": 11_000, "business": 30_000}
"""What a cabin costs more than basic economy, in cents; more than the prices of a cabin differ."""


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _customer(made: AirlineData, ids: Ids, rng: np.random.Generator, name: Callable[[], tuple[str, str]]) -> Customer:
    first, last = name()
    level = LEVELS[int(rng.integers(3))]
    methods = tuple(
        Method(ids.new("P"), kind, int(rng.integers(300, 700)) * 100 if kind == "voucher" else 0)
        for kind in ("credit card", "debit card", "voucher")
    )
    pairs = list(itertools.combinations(made.airports, 2))
    routes = [pairs[int(i)] if rng.random() < 0.5 else pairs[int(i)][::-1] for i in rng.permutation(len(pairs))]
    routes.append(routes[-1][::-1])  # so each reservation of a customer starts on a route of its own

    def cheap() -> Cabin:
        return CABINS[int(rng.integers(2))]

    begun = "begun" if rng.random() < 0.4 else "ahead"
    plans: list[tuple[Cabin, bool, bool, str]] = [
        (cheap(), False, True, "ahead"),
        (cheap(), True, False, begun),
        ("business", False, False, "ahead"),
        ("economy", False, False, "ahead"),
        ("basic economy", False, False, "ahead"),
        (cheap(), level == "regular" or rng.random() < 0.5, False, "today"),
        (cheap(), False, False, "today"),
    ]
    reservations: list[Reservation] = []
    for (cabin, insured, recent, when), route in zip(plans, routes, strict=True):
        others = [COMPANIONS[int(i)] for i in rng.permutation(len(COMPANIONS))[: int(rng.integers(3))]]
        passengers = (f"{first} {last}", *(f"{other} {last}" for other in others))
        free = FREE_BAGS[level][cabin] * len(passengers)
        trip = _trip(made, route, when, rng)
        bags = int(rng.integers(free + 1))
        method = methods[int(rng.integers(2))]
        reservations.append(Reservation(ids.new("R"), cabin, method, bags, insured, _booked(recent, rng), trip, passengers))
    shuffled = tuple(reservations[int(i)] for i in rng.permutation(len(reservations)))
    born = f"{int(rng.integers(1950, 2010))}-{int(rng.integers(1, 13)):02}-{int(rng.integers(1, 29)):02}"
    return Customer(ids.new("C"), first, last, f"{first}.{last}@example.com".lower(), born, level, methods, shuffled)


def _trip(made: AirlineData, route: Sequence[str], when: str, rng: np.random.Generator) -> tuple[Flight, ...]:
    """Flights of a reservation: today's, or one way, or there and back; ``begun``: back only is still to come."""
    origin, destination = route

    def one(a: str, b: str, date: str) -> Flight:
        # With seats in business, so that a higher cabin can be had.
        flights = [f for f in made.flights[a, b, date] if date not in DAYS or f.seats["business"]]
        return flights[int(rng.integers(len(flights)))]

    if when == "today":
        return (one(origin, destination, TODAY),)
    if when == "begun":
        return one(origin, destination, PAST), one(destination, origin, DAYS[int(rng.integers(3))])
    if rng.random() < 0.5:
        return one(origin, destination, DAYS[0]), one(destination, origin, DAYS[2])
    return (one(origin, destination, DAYS[int(rng.integers(3))]),)


def _booked(recent: bool, rng: np.random.Generator) -> str:
    """When a reservation was made: after ``A_DAY_AGO``, or some weeks before."""
    if not recent:
        return f"2030-05-{int(rng.integers(1, 29)):02} {int(rng.integers(24)):02}:{int(rng.integers(60)):02}"
    minutes = 12 * 60 + int(rng.integers(10, 23 * 60))
    day, rest = divmod(minutes, 24 * 60)
    return f"2030-06-{11 + day} {rest // 60:02}:{rest % 60:02}"


@lru_cache(maxsize=256)
def airline_database(split: SplitName, number: int) -> tuple[bytes, Rows]:
    """The airline as a snapshot, and its rows."""
    made = airline(split, number)
    db = Database(SCHEMA)
    with db.atomic():
        for code, city in made.airports.items():
            db.change("INSERT INTO airports VALUES (?,?)", code, city)
        for f in itertools.chain.from_iterable(made.flights.values()):
            values = (f.id, f.origin, f.destination, f.date, f.departs, f.arrives, f.status)
            by_cabin = (*(f.prices[c] for c in CABINS), *(f.seats[c] for c in CABINS))
            db.change("INSERT INTO flights VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)", *values, *by_cabin)
        for c in made.customers:
            db.change("INSERT INTO customers VALUES (?,?,?,?,?,?)", c.id, c.first_name, c.last_name, c.email, c.born, c.level)
            for m in c.methods:
                db.change("INSERT INTO methods VALUES (?,?,?,?)", m.id, c.id, m.kind, m.balance)
            for r in c.reservations:
                _write_reservation(db, c.id, r)
    snapshot, rows = db.snapshot(), db.rows()
    db.close()
    return snapshot, rows


def _write_reservation(db: Database, customer: str, r: Reservation) -> None:
    values = (r.id, customer, "active", r.cabin, r.method.id, r.bags, int(r.insured), r.booked)
    db.change("INSERT INTO reservations VALUES (?,?,?,?,?,?,?,?)", *values)
    for flight in r.flights:
        db.change("INSERT INTO legs VALUES (?,?,?)", r.id, flight.id, flight.prices[r.cabin])
    for passenger in r.passengers:
        db.change("INSERT INTO passengers VALUES (?,?)", r.id, passenger)
    db.change("INSERT INTO payments VALUES (?,?,?)", r.id, r.method.id, r.paid)
