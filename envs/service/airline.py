"""``turnwise/Airline-v0``: the customer service of an airline.

env = Airline(); observation, _ = env.reset(seed=0); env.step("Please tell me your name and your date of birth.")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..base import Manifest
from ..scripts import ECHO, NULL
from ..tools.database import Database
from ..users.user import User
from .airline_changes import AirlineWorld
from .airline_tasks import AirlineTasks
from .airline_world import BAG_FEE, COMPENSATION, FREE_BAGS, INSURANCE_FEE, NOW
from .env import ServiceEnv
from .tasks import Holdout, Identity, money

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

    Actions: calls of 19 tools, or text to the customer. Observations: results, or what the customer says. Rewards, outcome and
    end: see ``ServiceEnv``. Arguments: ``tasks`` per split, ``requests`` per conversation (1 to 3), ``user`` ("scripted"; "told":
    the customer says everything at once and agrees in advance; or what ``user_of`` takes), ``identity`` ("mixed": the customer is
    found by email, name or number; "number": by number),
    ``holdout`` ("entity" or "template"), ``templates`` to restrict the kinds of request, ``minds`` (chance of a change of mind),
    ``instructions`` in place of policy and signatures, ``dialect``, ``weights``, ``correctness_range``, ``max_turns``. Version 0.
    """

    policy = POLICY

    def __init__(
        self,
        *,
        tasks: int | Mapping[str, int] = 1000,
        requests: int = 1,
        user: str | Mapping[str, Any] | User = "scripted",
        identity: Identity = "mixed",
        holdout: Holdout = "entity",
        templates: Sequence[str] | None = None,
        minds: float = 0.25,
        instructions: str | None = None,
        dialect: str = "hermes",
        weights: Mapping[str, float] | None = None,
        correctness_range: Sequence[float] = (0.0, 1.0),
        max_turns: int = 30,
    ) -> None:
        source = AirlineTasks(tasks, requests=requests, identity=identity, holdout=holdout, templates=templates, minds=minds)
        super().__init__(
            source,
            user=user,
            instructions=instructions,
            dialect=dialect,
            weights=weights,
            correctness_range=correctness_range,
            max_turns=max_turns,
        )

    def make_world(self, db: Database) -> AirlineWorld:
        return AirlineWorld(db)


MANIFEST = Manifest(
    description="Customer service of an airline: tools on a database, a policy with exceptions, a user with a goal.",
    turn_reward_range=(-3.5, 2.5),
    max_turns=30,
    random_score=0.1,
    scripts={
        "expert": "turnwise.envs.service.scripts:Gold",
        "erring": "turnwise.envs.service.scripts:Erring",
        "random": "turnwise.envs.service.scripts:Calls",
        "hack_spam": "turnwise.envs.service.scripts:Spam",
        "hack_talk": "turnwise.envs.service.scripts:Talker",
        "null": NULL,
        "echo": ECHO,
    },
    anchors=True,
    potentials=True,
    snapshots=True,
    tools=True,
)
