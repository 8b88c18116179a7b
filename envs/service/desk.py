"""``turnwise/Desk-v0``: the assistant at the desk of one person, with calendar, mail and files.

env = Desk(); observation, _ = env.reset(seed=0); env.step("Please tell me your code.")
"""

from __future__ import annotations

from .desk_tasks import DeskTasks
from .desk_tools import DeskWorld
from .env import ServiceEnv, service_manifest

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

    Actions: calls of 24 tools, or text to the user. Observations: results, or what the user says. All else: see ``ServiceEnv``.
    Version 0.
    """

    policy = POLICY
    consent_rule = (
        "- Before you change, send or share anything, say what you are going to do and wait until the user says yes. Nothing goes to "
        "people outside the user's organisation without that."
    )
    source = DeskTasks
    world = DeskWorld
    turns = 40


MANIFEST = service_manifest("Calendar, mail and files of one person: tools on a database, a policy, a user with a goal.", turns=40)
