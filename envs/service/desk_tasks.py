"""Tasks of the desk: which kinds of request there are, and who makes them."""

from __future__ import annotations

from collections.abc import Sequence

from ..search.world import SplitName
from ..tools.database import Rows
from ..users.user import Fact
from . import desk_meetings as meetings
from . import desk_papers as papers
from .desk_meetings import DeskCase, world
from .desk_world import Contact, Office, office, office_database
from .tasks import TASKS_PER_WORLD, GoldCall, ServiceTasks, Template, fact

ENV_ID = "turnwise/Desk-v0"
TEMPLATES: dict[str, tuple[SplitName, Template]] = {
    "schedule": ("train", meetings.schedule),
    "move": ("train", meetings.move),
    "cancel": ("train", meetings.cancel),
    "when": ("train", meetings.when),
    "move_late": ("train", meetings.move_late),
    "send": ("train", papers.send),
    "reply": ("train", papers.reply),
    "file_mails": ("train", papers.file_mails),
    "rename": ("train", papers.rename),
    "share": ("train", papers.share),
    "move_oldest": ("train", papers.move_oldest),
    "how_large": ("train", papers.how_large),
    "share_confidential": ("train", papers.share_confidential),
    "invite": ("validation", meetings.invite),
    "cancel_foreign": ("validation", meetings.cancel_foreign),
    "label": ("validation", papers.label),
    "who": ("validation", papers.who),
    "delete": ("validation", papers.delete),
    "amount": ("validation", papers.amount),
    "schedule_week": ("test", meetings.schedule_week),
    "move_first": ("test", meetings.move_first),
    "cancel_day": ("test", meetings.cancel_day),
    "invite_busy": ("test", meetings.invite_busy),
    "book_over": ("test", meetings.book_over),
    "deadline": ("test", papers.deadline),
    "share_attachment": ("test", papers.share_attachment),
    "move_largest": ("test", papers.move_largest),
    "folder_size": ("test", papers.folder_size),
    "delete_forever": ("test", papers.delete_forever),
}


class DeskTasks(ServiceTasks):
    """Every eight tasks share a desk, and so its owner."""

    env_id = ENV_ID
    templates = TEMPLATES

    def world(self, split: SplitName, number: int) -> Office:
        return office(split, number)

    def start(self, split: SplitName, number: int) -> tuple[bytes, Rows]:
        return office_database(split, number)

    def people(self, world: Office) -> Sequence[Contact]:
        return [world.owner] * TASKS_PER_WORLD

    def introduction(self, case: DeskCase) -> tuple[dict[str, Fact], GoldCall]:
        desk = world(case)
        how = "number" if self.identity == "number" else case.pick(("phone", "number"))
        if how == "number":
            return {"code": fact(f"My code is {desk.code}.", "code")}, ("open_session", {"code": desk.code})
        facts = {
            "email": fact(f"My email is {desk.owner.email}.", "email"),
            "phone": fact(f"My phone number is {desk.phone}.", "phone"),
        }
        return facts, ("open_session_by_phone", {"email": desk.owner.email, "phone": desk.phone})
