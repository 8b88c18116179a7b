"""``turnwise/Airline-v0``: the customer service of an airline.

env = Airline(); observation, _ = env.reset(seed=0); env.step("Please tell me your name and your date of birth.")
"""

from __future__ import annotations

from .airline_changes import AirlineWorld
from .airline_tasks import AirlineTasks
from .airline_world import BAG_FEE, COMPENSATION, FREE_BAGS, INSURANCE_FEE, NOW
from .env import ServiceEnv, service_manifest
from .tasks import money

_FREE = "; ".join(f"{level}: {', '.join(f'{cabin} {n}' for cabin, n in by_cabin.items())}" for level, by_cabin in FREE_BAGS.items())
POLICY = f"""You are the customer service agent of an airline. It is {NOW}. You know nothing but what the functions return and the \
customer says.
Rules:
- First find the customer by email, by name and date of birth, or by customer number.
- Serve one customer in a conversation, and only with their own data.
- A reservation can be cancelled as a whole if none of its flights has landed, and if one of these holds: it was booked within the \
last 24 hours, it is insured, its cabin is business, or the airline has cancelled one of its flights.
- Flights can be changed to others on the same route, but not in basic economy.
- The cabin can be raised for all passengers and all flights, from every cabin; it cannot be lowered.
- Names of passengers can be corrected, but nobody can be added or removed.
- Free bags for each passenger, by membership level: {_FREE}. Every other bag costs {money(BAG_FEE)}.
- Insurance costs {money(INSURANCE_FEE)} for each passenger. It can be bought with a reservation or within 24 hours of booking.
- A reservation is paid with one payment method. Vouchers pay for new reservations only; everything that is added or changed later \
goes by card, also what is paid back for it.
- Compensation: only if the customer asks for it, only for silver and gold members and insured reservations. It is a voucher of \
{COMPENSATION["cancelled"]} for each passenger if a flight of the reservation is cancelled, {COMPENSATION["delayed"]} if it is delayed.
- If a customer wants what these rules forbid, transfer to a human (reason "against_policy") with the id of the reservation.
- When all is done, tell the customer so, with everything they asked to know, written as the functions return it."""


class Airline(ServiceEnv):
    """Serve customers of an airline: book, cancel, change flights or cabin, bags, insurance, compensation, inform, or refuse.

    Actions: calls of 19 tools, or text to the customer. Observations: results, or what the customer says. All else: see ``ServiceEnv``.
    Version 0.
    """

    policy = POLICY
    source = AirlineTasks
    world = AirlineWorld


MANIFEST = service_manifest(
    "Customer service of an airline: tools on a database, a policy with exceptions, a user with a goal.", lowest=-3.5
)
