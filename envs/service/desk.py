"""``turnwise/Desk-v0``: the assistant at the desk of one person, with calendar, mail and files.

env = Desk(); observation, _ = env.reset(seed=0); env.step("Please tell me your code.")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..base import Manifest
from ..scripts import ECHO, NULL
from ..tools.database import Database
from ..users.user import User
from .desk_tasks import DeskTasks
from .desk_tools import DeskWorld
from .env import ServiceEnv
from .tasks import Holdout, Identity

POLICY = """You are the assistant at the desk of one person, the user: calendar, mail and files. You know nothing but what the functions \
return and the user says.
It is Monday, 2027-03-01, 08:00. This week is 1 to 5 March, next week 8 to 12 March.
Rules:
- First open the session: with the user's code, or with email and phone number. Before that, read and change nothing.
- Meetings lie between 09:00 and 17:00 from Monday to Friday, and nobody who takes part may have another event at that time.
- Only the organiser moves or cancels a meeting, or invites to it.
- Confidential files are never shared with people outside the user's organisation.
- Files are deleted into the trash, never permanently.
- Titles, names, subjects and texts are exactly what the user gives: add no greeting and no signature.
- Say days as 2027-03-04, times as 14:30, sizes in KB as they are, people with first and last name.
- If the user wants what these rules forbid, transfer to a human, who is the user's personal assistant (reason "against_policy"), with the \
id of the event or file that would be changed, shared or deleted; for a new meeting, with the id of the user's event that is in the way.
- When all is done, tell the user so, with everything they asked to know."""


class Desk(ServiceEnv):
    """Keep somebody's calendar, mail and files: schedule, move, cancel, invite, write, file, label, share, delete, look up, or refuse.

    Actions: calls of 24 tools, or text to the user. Observations: results, or what the user says. Rewards, outcome and
    end: see ``ServiceEnv``. Arguments: ``tasks`` per split, ``requests`` per conversation (1 to 3), ``user`` ("scripted"; "told":
    the user says everything at once and agrees in advance; or what ``user_of`` takes), ``identity`` ("mixed": the session is opened
    by code or by email and phone number; "number": by code),
    ``holdout`` ("entity" or "template"), ``templates`` to restrict the kinds of request, ``minds`` (chance of a change of mind),
    ``instructions`` in place of policy and signatures, ``dialect``, ``weights``, ``correctness_range``, ``max_turns``. Version 0.
    """

    policy = POLICY
    consent_rule = (
        "- Before you change, send or share anything, say what you are going to do and wait until the user says yes. Nothing goes to "
        "people outside the user's organisation without that."
    )

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
        max_turns: int = 40,
    ) -> None:
        source = DeskTasks(tasks, requests=requests, identity=identity, holdout=holdout, templates=templates, minds=minds)
        super().__init__(
            source,
            user=user,
            instructions=instructions,
            dialect=dialect,
            weights=weights,
            correctness_range=correctness_range,
            max_turns=max_turns,
        )

    def make_world(self, db: Database) -> DeskWorld:
        return DeskWorld(db)


MANIFEST = Manifest(
    description="Calendar, mail and files of one person: tools on a database, a policy, a user with a goal.",
    turn_reward_range=(-2.5, 2.5),
    max_turns=40,
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
